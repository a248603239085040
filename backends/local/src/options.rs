//! What can be set, and what holds if it is not.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use image_service::{Error, Result};
use portico_catalogue::bounds::{
    Check, busy_timeout, check_busy_timeout, check_path, check_readers, page_limit, read, read_busy_timeout,
    read_path, read_readers, readers,
};
use portico_catalogue::{Durability, Settings};
use serde::de::Deserializer;

/// Where the images are and how they are kept. Only `path` must be given.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The directory. It is made if it is not there, readable by its owner alone.
    #[serde(deserialize_with = "read_path")]
    pub path: PathBuf,
    /// The most bytes in one image; an upload beyond is `TooLarge`. Default: 1 TiB.
    #[serde(default = "max_upload", deserialize_with = "read_max_upload")]
    pub max_upload: ByteSize,
    /// What an answered write survives. Default: `full`.
    #[serde(default)]
    pub sync: Durability,
    /// How much is read from or written to a file at once, 4 KiB to 64 MiB. A download holds two pieces of this
    /// size in memory, and an upload three. Default: 512 KiB.
    #[serde(default = "chunk_size", deserialize_with = "read_chunk_size")]
    pub chunk_size: ByteSize,
    /// Room kept back on the disk, up to 64 MiB, so that images can be deleted when it is full. 0 keeps none.
    /// Default: 1 MiB.
    #[serde(default = "reserve", deserialize_with = "read_reserve")]
    pub reserve: ByteSize,
    /// How many lists and lookups are answered at once, up to 64; more wait their turn. Default: 4.
    #[serde(default = "readers", deserialize_with = "read_readers")]
    pub readers: NonZeroUsize,
    /// The most images in one page, whatever limit a query has. Default: 1000.
    #[serde(default = "page_limit")]
    pub page_limit: NonZeroUsize,
    /// How long to wait for another process that works on the catalogue, such as a backup, up to an hour.
    /// Default: 5 s.
    #[serde(default = "busy_timeout", deserialize_with = "read_busy_timeout")]
    pub busy_timeout: Duration,
}

impl Options {
    /// The defaults, for the directory `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_upload: max_upload(),
            sync: Durability::default(),
            chunk_size: chunk_size(),
            reserve: reserve(),
            readers: readers(),
            page_limit: page_limit(),
            busy_timeout: busy_timeout(),
        }
    }

    /// Checks what a type cannot say, of options that were not read from text.
    pub(crate) fn check(&self) -> Result<()> {
        let checks = [
            ("path", check_path(&self.path)),
            ("max_upload", check_max_upload(&self.max_upload)),
            ("chunk_size", check_chunk_size(&self.chunk_size)),
            ("reserve", check_reserve(&self.reserve)),
            ("readers", check_readers(&self.readers)),
            ("busy_timeout", check_busy_timeout(&self.busy_timeout)),
        ];
        for (key, check) in checks {
            check.map_err(|fault| Error::invalid(format!("{key}: {fault}")))?;
        }
        Ok(())
    }

    pub(crate) const fn of_catalogue(&self) -> Settings {
        Settings { sync: self.sync, readers: self.readers, busy_timeout: self.busy_timeout }
    }

    /// The chunk size as a length in memory.
    pub(crate) fn chunk_len(&self) -> usize {
        usize::try_from(self.chunk_size.as_u64()).unwrap_or(usize::MAX)
    }
}

fn ensure(holds: bool, fault: impl Into<String>) -> Check {
    if holds { Ok(()) } else { Err(fault.into()) }
}

fn check_max_upload(size: &ByteSize) -> Check {
    ensure(i64::try_from(size.as_u64()).is_ok(), "no file can be that large")
}

fn check_chunk_size(size: &ByteSize) -> Check {
    let range = ByteSize::kib(4)..=ByteSize::mib(64);
    ensure(range.contains(size), format!("{size} is not between 4 KiB and 64 MiB"))
}

fn check_reserve(size: &ByteSize) -> Check {
    ensure(*size <= ByteSize::mib(64), format!("{size} is more than 64 MiB"))
}

fn read_max_upload<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<ByteSize, D::Error> {
    read(deserializer, check_max_upload)
}

fn read_chunk_size<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<ByteSize, D::Error> {
    read(deserializer, check_chunk_size)
}

fn read_reserve<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<ByteSize, D::Error> {
    read(deserializer, check_reserve)
}

const fn max_upload() -> ByteSize {
    ByteSize::tib(1)
}

const fn chunk_size() -> ByteSize {
    ByteSize::kib(512)
}

const fn reserve() -> ByteSize {
    ByteSize::mib(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> serde_json::Result<Options> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_path_is_enough_and_all_else_has_its_documented_default() {
        let options = parse(r#"{"path": "/images"}"#).unwrap();
        assert_eq!(options, Options::at("/images"));
        assert_eq!(options.max_upload, ByteSize::b(1 << 40));
        assert_eq!(options.chunk_size, ByteSize::b(512 << 10));
        assert_eq!(options.reserve, ByteSize::b(1 << 20));
        assert_eq!((options.readers.get(), options.page_limit.get()), (4, 1000));
        assert_eq!(options.busy_timeout, Duration::from_secs(5));
        assert_eq!(options.sync, Durability::Full);
        options.check().unwrap();
    }

    #[test]
    fn every_option_is_read_from_text_and_an_unknown_one_is_refused() {
        let options = parse(
            r#"{"path": "/i", "max_upload": "2 MiB", "sync": "process", "chunk_size": "64 KiB", "readers": 2, "reserve": "0 B",
                "page_limit": 10, "busy_timeout": "250ms"}"#,
        )
        .unwrap();
        assert_eq!((options.max_upload, options.sync), (ByteSize::mib(2), Durability::Process));
        assert_eq!((options.chunk_len(), options.busy_timeout), (65536, Duration::from_millis(250)));
        assert_eq!((options.readers.get(), options.page_limit.get(), options.reserve.as_u64()), (2, 10, 0));
        let error = parse(r#"{"path": "/i", "colour": "red"}"#).unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
        assert!(parse("{}").is_err());
    }

    #[test]
    fn a_bound_out_of_its_range_is_refused_by_its_name() {
        let good = Options::at("/images");
        let wrong = [
            ("path", Options::at("")),
            ("chunk_size", Options { chunk_size: ByteSize::b(1), ..good.clone() }),
            ("chunk_size", Options { chunk_size: ByteSize::gib(1), ..good.clone() }),
            ("readers", Options { readers: NonZeroUsize::new(65).unwrap(), ..good.clone() }),
            ("max_upload", Options { max_upload: ByteSize::b(u64::MAX), ..good.clone() }),
            ("reserve", Options { reserve: ByteSize::gib(1), ..good.clone() }),
            ("busy_timeout", Options { busy_timeout: Duration::MAX, ..good.clone() }),
        ];
        for (key, options) in wrong {
            assert!(options.check().unwrap_err().message().starts_with(key), "{key}");
        }
    }

    #[test]
    fn what_is_out_of_its_range_is_not_even_read() {
        for wrong in [
            r#""path": """#,
            r#""path": "/i", "chunk_size": "1 B""#,
            r#""path": "/i", "readers": 65"#,
            r#""path": "/i", "reserve": "100 GB""#,
            r#""path": "/i", "busy_timeout": "100days""#,
            r#""path": "/i", "max_upload": 18446744073709551615"#,
        ] {
            assert!(parse(&format!("{{{wrong}}}")).is_err(), "{wrong}");
        }
    }
}
