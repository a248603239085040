//! One content on its way into a file, read once for all who want it.
//!
//! A fill has a task of its own: it goes on when whoever began it has gone, and it ends when the cache closes. It is as fast
//! as the store and the disk are, never as slow as a reader. Who reads it sees how far it is, and what became of it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::stream::{Fuse, StreamExt as _};
use image_service::{ByteStream, Context, Error, ErrorKind, Hasher, ImageId, Result};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::content::{Content, Key};
use super::files::Files;
use super::shelf::Entry;
use super::{Cache, blocking};

/// How much is gathered before it is written, if it is there.
const BATCH: usize = 1 << 20;

/// A content that is being filled in.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) content: Content,
    /// The name of its file.
    pub(super) name: String,
    progress: watch::Sender<Progress>,
    file: OnceLock<Arc<File>>,
}

/// How far it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// The store has begun to give data.
    pub(super) opened: bool,
    /// How many bytes are in the file.
    pub(super) filled: u64,
    pub(super) end: Option<End>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// All of it is there, and is what it should be.
    Whole,
    /// It is not what it should be.
    Corrupt,
    /// The disk did not take it.
    Lost,
    /// The store did not give it.
    Broken(ErrorKind, String),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Broken(error.kind(), error.message().to_owned())
    }
}

impl Fill {
    pub(super) fn new(content: Content) -> Arc<Self> {
        let (name, progress) = (Uuid::new_v4().to_string(), watch::Sender::default());
        Arc::new(Self { content, name, progress, file: OnceLock::new() })
    }

    /// Follows it from now on.
    pub(super) fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// How many bytes are there.
    pub(super) fn filled(&self) -> u64 {
        self.progress.borrow().filled
    }

    /// The file, once it has been opened.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.file.get().cloned()
    }

    fn advance(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }
}

/// Settles a fill whatever happens to its task.
struct Task {
    cache: Cache,
    fill: Arc<Fill>,
    outcome: Option<(End, Option<Entry>)>,
}

impl Drop for Task {
    fn drop(&mut self) {
        let given_up =
            || (End::Broken(ErrorKind::Internal, "filling the cache was given up".to_owned()), None);
        let (end, entry) = self.outcome.take().unwrap_or_else(given_up);
        self.cache.settle(&self.fill.content, entry, end == End::Lost);
        self.fill.advance(|progress| progress.end = Some(end));
    }
}

/// A file that goes with this value.
struct Incomplete {
    files: Arc<Files>,
    name: String,
}

impl Drop for Incomplete {
    fn drop(&mut self) {
        // When it has been kept there is nothing under this name.
        self.files.remove_incomplete(&self.name);
    }
}

/// Fills in what `fill` stands for by reading the image `id` as `context` may. What is in `gone` makes room first.
pub(super) async fn run(
    cache: Cache,
    fill: Arc<Fill>,
    context: Context,
    id: ImageId,
    gone: Vec<(Key, Entry)>,
) {
    let mut task = Task { cache: cache.clone(), fill: Arc::clone(&fill), outcome: None };
    let work = async {
        cache.discard(gone).await;
        fill_in(&cache, &fill, &context, &id).await
    };
    let ending = || Err(End::Broken(ErrorKind::Unavailable, "the service is ending".to_owned()));
    let outcome = tokio::select! {
        biased;
        () = cache.stopped() => ending(),
        outcome = work => outcome,
    };
    match &outcome {
        Ok(_) => cache.counts().fills.count(1),
        Err(End::Corrupt) => {
            tracing::error!(image = %id, "the data of an image is not what its store says it is")
        }
        Err(End::Lost) => tracing::warn!("the cache cannot be written, so that images are passed through"),
        Err(_) => {}
    }
    task.outcome = Some(match outcome {
        Ok(entry) => (End::Whole, entry),
        Err(end) => (end, None),
    });
}

/// Reads, writes, looks at it, and keeps it. Gives what is to be found later, if it could be written down.
async fn fill_in(
    cache: &Cache,
    fill: &Arc<Fill>,
    context: &Context,
    id: &ImageId,
) -> Result<Option<Entry>, End> {
    let files = cache.files();
    let begun = {
        let (files, name) = (Arc::clone(&files), fill.name.clone());
        blocking(move || Ok(files.begin(&name))).await?
    };
    let file = Arc::new(begun.map_err(|_| End::Lost)?);
    let incomplete = Incomplete { files: Arc::clone(&files), name: fill.name.clone() };
    let stream = open(cache, &fill.content, context, id).await?;
    let _ = fill.file.set(Arc::clone(&file));
    fill.advance(|progress| progress.opened = true);
    let (size, hasher) = pour(cache, fill, stream, &file).await?;
    if !fill.content.is_met_by(size, hasher) {
        return Err(End::Corrupt);
    }
    let (index, key, now) = (cache.index(), fill.content.key.clone(), cache.now());
    blocking(move || {
        let name = incomplete.name.clone();
        if incomplete.files.keep(&name, &file).is_err() {
            return Ok(None);
        }
        let entry = Entry { file: name, size, made_at: now, used_at: now, orphaned_at: None };
        if let Err(error) = index.put(&[(key, entry.clone())], &[]) {
            tracing::warn!(error = %error.chain(), "what was cached cannot be written down");
            incomplete.files.remove_whole(&entry.file);
            return Ok(None);
        }
        Ok(Some(entry))
    })
    .await
    .map_err(End::from)
}

/// Opens the data at the store: all of it, and of the content that is expected.
async fn open(cache: &Cache, content: &Content, context: &Context, id: &ImageId) -> Result<ByteStream, End> {
    let download = cache.service().get(context, id, None).await?;
    let same = Content::of(&download.image).is_some_and(|found| found == *content);
    match download.data {
        Some(data) if same && data.total == content.size && data.range == (0..content.size) => {
            Ok(data.into_stream())
        }
        _ => Err(End::Broken(ErrorKind::Conflict, "the image has changed meanwhile".to_owned())),
    }
}

/// Writes the stream into the file, and gives its size and hash.
async fn pour(
    cache: &Cache,
    fill: &Arc<Fill>,
    stream: ByteStream,
    file: &Arc<File>,
) -> Result<(u64, Hasher), End> {
    let mut source = Source { stream: stream.fuse(), failed: None };
    let (mut size, mut hasher, mut alone_since) = (0_u64, fill.content.hasher(), None);
    let mut batch = source.gather().await?;
    while !batch.is_empty() {
        let (at, bytes) = (size, batch.iter().map(|piece| piece.len() as u64).sum::<u64>());
        size = size.saturating_add(bytes);
        if size > fill.content.size {
            return Err(End::Corrupt);
        }
        let write = async {
            let hasher = write(Arc::clone(file), at, batch, hasher).await?;
            fill.advance(|progress| progress.filled = size);
            Ok::<_, End>(hasher)
        };
        let next = async { source.gather().await.map_err(End::from) };
        (hasher, batch) = tokio::try_join!(write, next)?;
        if fill.progress.receiver_count() > 0 {
            alone_since = None;
        } else if alone_since.get_or_insert_with(Instant::now).elapsed() > cache.settings().alone {
            return Err(End::Broken(ErrorKind::Unavailable, "nobody waits for the image".to_owned()));
        }
    }
    Ok((size, hasher))
}

/// Writes pieces one behind the other, and hashes them.
async fn write(file: Arc<File>, mut at: u64, batch: Vec<Bytes>, mut hasher: Hasher) -> Result<Hasher, End> {
    let written = blocking(move || {
        for piece in batch {
            hasher.update(&piece);
            if let Err(error) = file.write_all_at(&piece, at) {
                return Ok(Err(error));
            }
            at = at.saturating_add(piece.len() as u64);
        }
        Ok(Ok(hasher))
    });
    written.await?.map_err(|error| {
        tracing::warn!(%error, "a file of the cache cannot be written");
        End::Lost
    })
}

/// Data as it comes, in larger pieces if more of it is there.
struct Source {
    stream: Fuse<ByteStream>,
    failed: Option<Error>,
}

impl Source {
    /// The next pieces; none at the end.
    async fn gather(&mut self) -> Result<Vec<Bytes>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut batch = Vec::new();
        let Some(first) = self.stream.next().await.transpose()? else { return Ok(batch) };
        let mut length = first.len();
        batch.push(first);
        while length < BATCH {
            match self.stream.next().now_or_never().flatten() {
                Some(Ok(piece)) => {
                    length = length.saturating_add(piece.len());
                    batch.push(piece);
                }
                Some(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
                None => break,
            }
        }
        Ok(batch)
    }
}
