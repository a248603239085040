//! What can be set about the cache, and what holds if it is not.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

/// Where the cache is and how much it takes. Only `path` must be given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The directory. It is made if it is not there, readable by its owner alone, and is this process's alone.
    pub path: PathBuf,
    /// Most bytes of image data, those that are being filled in included. Default: 10 GB.
    #[serde(default = "size")]
    pub size: ByteSize,
    /// Most bytes of one image; a larger one is passed through. Default: half of `size`.
    #[serde(default)]
    pub most: Option<ByteSize>,
    /// Most images that are kept, and that are remembered, up to a million. Default: 10 000.
    #[serde(default = "images")]
    pub images: NonZeroUsize,
    /// Most projects of which is remembered that they may see an image, for each image, up to 10 000. Default: 64.
    #[serde(default = "projects")]
    pub projects: NonZeroUsize,
    /// Most images that are filled in at once, up to 1000; more are passed through. Default: 16.
    #[serde(default = "fills")]
    pub fills: NonZeroUsize,
    /// How far a range may begin behind what has been filled in and still wait for it; one that begins further away is
    /// read by itself. Default: 64 MiB.
    #[serde(default = "ahead")]
    pub ahead: ByteSize,
    /// How long an image is filled in while nobody reads it. Default: 10 minutes.
    #[serde(default = "alone", with = "humantime_serde")]
    pub alone: Duration,
    /// How much is read from a file at once for one reader, 4 KiB to 64 MiB. A reader holds two pieces of this size in
    /// memory. Default: 256 KiB.
    #[serde(default = "chunk_size")]
    pub chunk_size: ByteSize,
    /// How long nothing is filled in when the disk has refused something. Default: 10 seconds.
    #[serde(default = "rest", with = "humantime_serde")]
    pub rest: Duration,
    /// How long a store may take to show a cached image before what is remembered of it is believed. Default: 1 second.
    #[serde(default = "patience", with = "humantime_serde")]
    pub patience: Duration,
    /// How long what is remembered of an image, and who may see it, is believed while the stores are silent. 0 is not at
    /// all. Default: 1 hour.
    #[serde(default = "stale", with = "humantime_serde")]
    pub stale: Duration,
    /// How long data is kept when the last image that had it has been deleted. Default: 0.
    #[serde(default, with = "humantime_serde")]
    pub deleted: Duration,
    /// Most images that wait to be filled in because somebody asked for that, up to 100 000. Default: 100.
    #[serde(default = "queue")]
    pub queue: usize,
}

impl Settings {
    /// The defaults, for the directory `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            size: size(),
            most: None,
            images: images(),
            projects: projects(),
            fills: fills(),
            ahead: ahead(),
            alone: alone(),
            chunk_size: chunk_size(),
            rest: rest(),
            patience: patience(),
            stale: stale(),
            deleted: Duration::ZERO,
            queue: queue(),
        }
    }

    /// Most bytes of one image.
    pub(super) fn most(&self) -> u64 {
        self.most.map_or(self.size.as_u64() / 2, |most| most.as_u64()).min(self.size.as_u64())
    }

    /// How much is read at once.
    pub(super) fn piece(&self) -> u64 {
        self.chunk_size.as_u64().clamp(4 << 10, 64 << 20)
    }

    /// What is wrong with them: keys, and what must be.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let mut faults = Vec::new();
        if self.path.as_os_str().is_empty() {
            faults.push(("path", "must name a directory".to_owned()));
        }
        if self.most.is_some_and(|most| most > self.size) {
            faults.push(("most", format!("must not be more than size, which is {}", self.size)));
        }
        if self.chunk_size < ByteSize::kib(4) || self.chunk_size > ByteSize::mib(64) {
            faults.push(("chunk_size", "must be from 4 KiB to 64 MiB".to_owned()));
        }
        for (key, number, most) in [
            ("images", self.images.get(), 1_000_000),
            ("projects", self.projects.get(), 10_000),
            ("fills", self.fills.get(), 1000),
            ("queue", self.queue, 100_000),
        ] {
            if number > most {
                faults.push((key, format!("must not be more than {most}")));
            }
        }
        for (key, time) in [("alone", self.alone), ("rest", self.rest), ("patience", self.patience)] {
            if time.is_zero() || time > DAY {
                faults.push((key, "must be longer than nothing and at most a day".to_owned()));
            }
        }
        for (key, time) in [("stale", self.stale), ("deleted", self.deleted)] {
            if time > DAY * 365 {
                faults.push((key, "must not be longer than 365 days".to_owned()));
            }
        }
        faults
    }
}

const fn size() -> ByteSize {
    ByteSize::gb(10)
}

fn images() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(9999)
}

fn projects() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(63)
}

fn fills() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(15)
}

const fn ahead() -> ByteSize {
    ByteSize::mib(64)
}

const fn alone() -> Duration {
    Duration::from_secs(600)
}

const fn chunk_size() -> ByteSize {
    ByteSize::kib(256)
}

const fn rest() -> Duration {
    Duration::from_secs(10)
}

const fn patience() -> Duration {
    Duration::from_secs(1)
}

const fn stale() -> Duration {
    Duration::from_secs(3600)
}

const fn queue() -> usize {
    100
}
