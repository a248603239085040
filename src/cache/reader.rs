//! Data out of a file: one that is whole, or one that is still being filled in.
//!
//! A reader has its own place in the file and holds one piece at a time. Of a file that is being filled in it gets the last
//! byte only when all of it was found to be what it should be: until then nobody can take it for the whole.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{ByteRange, ByteStream, Context, Data, Error, ErrorKind, FilePart, ImageId, Result};
use tokio::sync::watch;

use super::fill::{End, Progress};
use super::{Cache, blocking};

/// The bytes of `range` of a whole file.
pub(super) fn of_whole(cache: &Cache, file: Arc<File>, range: Range<u64>, total: u64) -> Data {
    let (piece, end, source) = (cache.settings().piece(), range.end, Arc::clone(&file));
    let counts = cache.counts();
    let stream = futures::stream::try_unfold(range.start, move |at| {
        let (file, counts) = (Arc::clone(&source), Arc::clone(&counts));
        async move {
            if at >= end {
                return Ok(None);
            }
            let bytes = read(file, at, piece.min(end.saturating_sub(at))).await?;
            counts.bytes.count(bytes.len() as u64);
            let next = at.saturating_add(bytes.len() as u64);
            Ok(Some((bytes, next)))
        }
    });
    let counts = cache.counts();
    let part = FilePart::new(file, range.start).observed(move |bytes| counts.bytes.count(bytes));
    Data::new(range, total, stream.boxed()).in_file(part)
}

/// Where a reader of a file that is being filled in is.
pub(super) struct Follower {
    pub(super) cache: Cache,
    pub(super) context: Context,
    pub(super) id: ImageId,
    pub(super) file: Arc<File>,
    pub(super) progress: watch::Receiver<Progress>,
    /// The bytes that have not been given.
    pub(super) left: Range<u64>,
    pub(super) total: u64,
}

enum Source {
    File(Box<Follower>),
    /// The rest of it, from the store.
    Store(ByteStream),
}

impl Follower {
    /// The bytes as they come.
    pub(super) fn into_data(self) -> Data {
        let (range, total) = (self.left.clone(), self.total);
        let stream = futures::stream::try_unfold(Source::File(Box::new(self)), Source::next);
        Data::new(range, total, stream.boxed())
    }

    /// Waits for the next bytes and gives how many can be read, or none if they must come from the store.
    async fn ready(&mut self) -> Result<Option<u64>> {
        let (at, total) = (self.left.start, self.total);
        let may_read = |progress: &Progress| match progress.end {
            Some(End::Whole) => total,
            _ => progress.filled.min(total.saturating_sub(1)),
        };
        let waited =
            self.progress.wait_for(|progress| progress.end.is_some() || may_read(progress) > at).await;
        let progress =
            waited.map_err(|_| Error::new(ErrorKind::Internal, "filling the cache was given up"))?;
        match &progress.end {
            None | Some(End::Whole) => Ok(Some(may_read(&progress).saturating_sub(at))),
            Some(End::Lost) => Ok(None),
            Some(End::Corrupt) => {
                Err(Error::new(ErrorKind::Corrupt, "the image data is not what its store says it is"))
            }
            Some(End::Broken(kind, message)) => Err(Error::new(*kind, message.clone())),
        }
    }
}

impl Source {
    async fn next(self) -> Result<Option<(Bytes, Self)>> {
        let mut follower = match self {
            Self::File(follower) => follower,
            Self::Store(mut stream) => {
                let next = stream.next().await.transpose()?;
                return Ok(next.map(|bytes| (bytes, Self::Store(stream))));
            }
        };
        if follower.left.is_empty() {
            return Ok(None);
        }
        let Some(ready) = follower.ready().await? else {
            let stream = resume(&follower).await?;
            return Box::pin(Self::Store(stream).next()).await;
        };
        let left = follower.left.end.saturating_sub(follower.left.start);
        let length = follower.cache.settings().piece().min(left).min(ready);
        let bytes = read(Arc::clone(&follower.file), follower.left.start, length).await?;
        follower.left.start = follower.left.start.saturating_add(length);
        Ok(Some((bytes, Self::File(follower))))
    }
}

/// Asks the store for what a reader has not got.
async fn resume(follower: &Follower) -> Result<ByteStream> {
    let Follower { cache, context, id, left, total, .. } = follower;
    let range = ByteRange::Between(left.start, left.end.saturating_sub(1));
    let download = cache.service().get(context, id, Some(range)).await?;
    match download.data {
        Some(data) if data.total == *total && data.range == *left => Ok(data.into_stream()),
        _ => Err(Error::new(ErrorKind::Conflict, "the image has changed meanwhile")),
    }
}

async fn read(file: Arc<File>, at: u64, length: u64) -> Result<Bytes> {
    blocking(move || {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, at).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "a file of the cache cannot be read").with_source(error)
        })?;
        Ok(Bytes::from(bytes))
    })
    .await
}
