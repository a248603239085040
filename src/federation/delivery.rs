//! Image data on its way to a client: checked while it passes, and taken up again when its source fails.
//!
//! **Verification.** All of an image's data is held to the strongest hash that is known of it
//! ([`verification`](super::verification)), unless its backend is to be believed. Pieces pass on while they are hashed;
//! only the last one waits for the verdict. If that is bad the stream ends in `Corrupt` instead, so that no client ever
//! has all the bytes of what is not the image, and the copies that gave them are left out for a while
//! ([`cooled`](super::cooled)). A part of the data cannot be checked so.
//!
//! **Failover.** When a source breaks off, stands still or gives too little or too much, the rest is read from another
//! copy, or from the same one when it is back ([`sources`]), from the very byte on that comes next. One hash runs over
//! all of it. A copy is data of the same size and strong hash; without a strong hash only the same source can go on, and
//! only while its image is unchanged. If the rest is nowhere to be had the stream ends in the error that it broke off with.

mod identity;
mod sources;

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{ByteStream, Context, Data, Download, Error, ErrorKind, ImageId, Result};

use super::Federation;
use super::read::is_elsewhere;
use super::status::Resumed;
use super::verification::Check;
use identity::Identity;
use sources::Sources;

/// How a download is taken up again when its source fails. Every bound has a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resuming {
    /// Most times that one download is taken up again. Default 100.
    pub most: u32,
    /// How often everybody who may have the rest is asked for it until a byte comes. 0 takes up none. Default 8.
    pub attempts: u32,
    /// How long that may take. Default 30 seconds.
    pub within: Duration,
    /// The pause before everybody is asked again; it doubles each time. Default 100 ms.
    pub pause: Duration,
    /// Most bytes to read and throw away in a source that cannot start in the middle. Default 256 MiB.
    pub skip_limit: u64,
}

impl Default for Resuming {
    fn default() -> Self {
        Self {
            most: 100,
            attempts: 8,
            within: Duration::from_secs(30),
            pause: Duration::from_millis(100),
            skip_limit: 256 << 20,
        }
    }
}

impl Federation {
    /// The download of `id` that `source` has opened, held to its hash and taken up again where that is needed. The data
    /// is in `known` as well.
    ///
    /// # Errors
    /// `Corrupt` if the data is not as long as its image says.
    pub(super) fn deliver(
        &self,
        context: &Context,
        id: &ImageId,
        (source, known): (usize, &[usize]),
        mut download: Download,
    ) -> Result<Download> {
        let Some(data) = download.data.take() else { return Ok(download) };
        let (image, range, total) = (&download.image, data.range.clone(), data.total);
        if image.size.is_some_and(|size| size != total) {
            return Err(Error::new(ErrorKind::Corrupt, "the image data is not of its recorded size"));
        }
        let is_checked = range == (0..total) && !self.is_believed(source);
        let check = if is_checked { Check::of(image) } else { None };
        let sources = Sources {
            guards: self.guards.clone(),
            cooled: self.cooled.clone(),
            resuming: self.resuming,
            context: Context { deadline: None, prefer: Vec::new(), ..context.clone() },
            id: id.clone(),
            identity: Identity::of(image),
            total,
            known: known.to_vec(),
            taken: vec![source],
            outage: sources::Outage::default(),
        };
        // What is hashed must be read. Otherwise it may as well be moved from its file.
        let (stream, file) = data.into_parts();
        let file = file.filter(|_| check.is_none());
        let delivery = Delivery { sources, stream, at: range.start, end: range.end, resumed: 0, check };
        let data = Data::new(range, total, delivery.into_stream());
        download.data = Some(match file {
            Some(file) => data.in_file(file),
            None => data,
        });
        Ok(download)
    }
}

/// A download under way.
struct Delivery {
    sources: Sources,
    stream: ByteStream,
    /// Where the next byte lies, and where the last one ends.
    at: u64,
    end: u64,
    resumed: u32,
    check: Option<Check>,
}

impl Delivery {
    fn into_stream(self) -> ByteStream {
        Box::pin(futures::stream::try_unfold(Some(Box::new(self)), async |delivery| match delivery {
            Some(delivery) => delivery.next().await,
            None => Ok(None),
        }))
    }

    /// The next piece, and what is left behind it.
    async fn next(mut self: Box<Self>) -> Result<Option<(Bytes, Option<Box<Self>>)>> {
        if self.at == self.end {
            self.judge().await?;
            return Ok(None);
        }
        let piece = loop {
            match self.piece().await {
                Ok(piece) => break piece,
                Err(error) => self.resume(error).await?,
            }
        };
        self.sources.gave();
        self.at = self.at.saturating_add(piece.len() as u64);
        if let Some(check) = &mut self.check {
            check.update(piece.clone()).await?;
        }
        if self.at < self.end {
            return Ok(Some((piece, Some(self))));
        }
        self.judge().await?;
        Ok(Some((piece, None)))
    }

    /// The next piece of the source, which is not empty and not too long.
    async fn piece(&mut self) -> Result<Bytes> {
        let left = self.end.saturating_sub(self.at);
        loop {
            let Some(piece) = self.stream.next().await.transpose()? else {
                return Err(corrupt(format!("the image data ended {left} bytes early")));
            };
            if piece.len() as u64 > left {
                return Err(corrupt(String::from("more image data came than there is")));
            }
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
    }

    /// Goes on with the rest in another stream, because this one came to a bad end.
    async fn resume(&mut self, error: Error) -> Result<()> {
        // It gives its place up before another one is taken.
        self.stream = futures::stream::empty().boxed();
        let failed = self.sources.current();
        let from = self.sources.name(failed).to_owned();
        // What arose behind another federation is that one's to judge.
        let is_its_own = error.origin().is_none_or(|origin| origin.backend == from);
        if error.kind() == ErrorKind::Corrupt && is_its_own {
            self.sources.condemn(failed);
        }
        let resuming = self.sources.resuming;
        if resuming.attempts == 0 || !is_elsewhere(error.kind()) {
            return Err(error.with_origin(&from, "get"));
        }
        let (image, offset) = (self.sources.id.clone(), self.at);
        let reopened =
            if self.resumed < resuming.most { self.sources.reopen(self.at..self.end).await } else { None };
        let Some((source, stream)) = reopened else {
            self.tell(failed, Resumed::Nowhere);
            tracing::warn!(backend = %from, %image, offset, "a download broke off, and nobody gave the rest");
            return Err(error.with_origin(&from, "get"));
        };
        self.tell(failed, if source == failed { Resumed::There } else { Resumed::Elsewhere });
        let to = self.sources.name(source);
        tracing::info!(backend = %from, to, %image, offset, "a download broke off and goes on");
        (self.stream, self.resumed) = (stream, self.resumed.saturating_add(1));
        self.sources.taken.retain(|taken| *taken != source);
        self.sources.taken.push(source);
        Ok(())
    }

    fn tell(&self, failed: usize, resumed: Resumed) {
        if let Some(guard) = self.sources.guard(failed) {
            guard.observer().resume(&guard.backend().name, resumed);
        }
    }

    /// Holds all that has passed to its hash.
    async fn judge(&mut self) -> Result<()> {
        let Some(check) = self.check.take() else { return Ok(()) };
        if check.matches().await? {
            return Ok(());
        }
        self.sources.taken.iter().for_each(|source| self.sources.condemn(*source));
        let error = corrupt(format!("the data of image {} is not what was stored", self.sources.id));
        Err(error.with_origin(self.sources.name(self.sources.current()), "get"))
    }
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}
