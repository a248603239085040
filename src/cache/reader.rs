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

use super::content::Key;
use super::fill::{End, Progress};
use super::{Cache, blocking};

/// The bytes of `range` of a whole file.
pub(super) fn of_whole(cache: &Cache, key: &Key, file: Arc<File>, range: Range<u64>, total: u64) -> Data {
    let (piece, end, source) = (cache.settings().piece(), range.end, Arc::clone(&file));
    let (counts, key, keeper) = (cache.counts(), key.clone(), cache.clone());
    let stream = futures::stream::try_unfold(range.start, move |at| {
        let (file, counts) = (Arc::clone(&source), Arc::clone(&counts));
        let (key, keeper) = (key.clone(), keeper.clone());
        async move {
            if at >= end {
                return Ok(None);
            }
            let bytes = match read(file, at, piece.min(end.saturating_sub(at))).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    // The store has it still; the next reader is to get it from there.
                    keeper.drop_content(&key).await;
                    return Err(error);
                }
            };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Clock, Settings};
    use image_service::{Caller, ImageService as _, NewImage, Upload};
    use portico_memory::Memory;
    use std::io::Write as _;

    /// A reader of 10 bytes, of which 4 are in the file and one has been given.
    async fn follower(progress: watch::Receiver<Progress>, directory: &tempfile::TempDir) -> Follower {
        let memory = Memory::new("memory", portico_memory::Options::default());
        let context = Context::new(Caller::member_of("a"), "req");
        let format = |word: &str| Some(word.to_owned());
        let new =
            NewImage { disk_format: format("raw"), container_format: format("bare"), ..NewImage::default() };
        let image = memory.create(&context, new, Some(Upload::from_bytes("0123456789"))).await.unwrap();
        let (settings, stores) = (Settings::at(directory.path().join("cache")), Default::default());
        let cache = Cache::open(Arc::new(memory), stores, settings, Clock::default()).await.unwrap();
        let mut file = File::create_new(directory.path().join("x")).unwrap();
        file.write_all(b"0123").unwrap();
        let file = Arc::new(File::open(directory.path().join("x")).unwrap());
        Follower { cache, context, id: image.id, file, progress, left: 1..10, total: 10 }
    }

    async fn given(end: End) -> (Vec<u8>, Option<ErrorKind>) {
        let directory = tempfile::tempdir().unwrap();
        let sender = watch::Sender::new(Progress { opened: true, filled: 4, end: None });
        let mut stream = follower(sender.subscribe(), &directory).await.into_data().into_stream();
        let mut given = stream.next().await.unwrap().unwrap().to_vec();
        sender.send_modify(|progress| progress.end = Some(end));
        loop {
            match stream.next().await {
                Some(Ok(bytes)) => given.extend_from_slice(&bytes),
                Some(Err(error)) => return (given, Some(error.kind())),
                None => return (given, None),
            }
        }
    }

    #[tokio::test]
    async fn when_the_disk_takes_no_more_a_reader_goes_on_at_the_store_where_it_was() {
        assert_eq!(given(End::Lost).await, (b"123456789".to_vec(), None));
    }

    #[tokio::test]
    async fn a_fill_that_ends_badly_ends_its_readers_so() {
        let broken = End::Broken(ErrorKind::TimedOut, "no answer".into());
        assert_eq!(given(broken).await, (b"123".to_vec(), Some(ErrorKind::TimedOut)));
        assert_eq!(given(End::Corrupt).await, (b"123".to_vec(), Some(ErrorKind::Corrupt)));
    }
}
