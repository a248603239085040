//! Image data kept on this machine's disk, in front of stores that are far away.
//!
//! A cache is a service around another: the images are the same, and the data of some comes from here. Which: those whose
//! stores are all named as cached. It is no store of its own, and whoever asks for data does not notice where it lies.
//!
//! | file | what it knows |
//! |---|---|
//! | `settings` | what can be set |
//! | `content` | what data is known by, and how it is found to be that |
//! | `shelf`, `memory` | which contents there are and which go first; what is remembered of images. Both pure |
//! | `files`, `index`, `record` | the directory; what must outlive the process |
//! | `fill`, `reader` | a content on its way in, once for all who want it; data on its way out |
//! | `lookup` | where the data of an image is to come from |
//! | `overlay` | the service that clients see |
//! | `managing` | what can be asked of the cache itself |
//! | `counts` | what is counted |
//!
//! **Only what is what it should be is kept.** What comes is hashed on its way into a file, and the file is kept if the hash is
//! the image's. Otherwise all who read it are cut off before the last byte.
//!
//! **Rights.** Data is never given before the store below has shown the image to this very caller, save as follows.
//!
//! **Silence.** When the stores do not answer in time, a cached image is shown as it was last, and its data given, to whom
//! it belongs, to everyone if it is public, and to projects that the store showed it to of late. An image that was
//! changed through this service, or that a store has said to be gone, is not remembered.
//!
//! **The end of the process.** A content is written down when its file is whole and safe on the disk. What had not come so far
//! is removed with the next start; how often and when things were used may be some seconds behind.
//!
//! This room must not know HTTP, or which role may do what.

mod content;
mod counts;
mod files;
mod fill;
mod index;
mod lookup;
mod managing;
mod memory;
mod overlay;
mod reader;
mod record;
mod settings;
mod shelf;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use image_service::{Context, Error, ErrorKind, ImageId, ImageService, Result};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use content::Key;
pub use counts::CacheStatus;
use counts::Counts;
use files::Files;
use fill::Fill;
use index::Index;
pub use managing::{CachedImage, Extent};
use memory::{Memory, Remembered};
use overlay::Shown;
pub use settings::Settings;
use shelf::{Entry, Shelf};

/// How often what has changed is written down.
const FLUSH: Duration = Duration::from_secs(1);

/// How many counters of writes there are; images share them.
const WRITES: usize = 64;

/// What time it is, for what must outlive the process.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock that says what `now` says.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }
}

impl Default for Clock {
    /// The system's.
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The cache around one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: Arc<dyn ImageService>,
    /// The stores whose images are cached.
    stores: BTreeSet<String>,
    settings: Settings,
    files: Arc<Files>,
    index: Arc<Index>,
    state: Mutex<State>,
    counts: Arc<Counts>,
    /// How often images have been written, so that an answer from before a write is not taken for one from after it.
    writes: [AtomicU64; WRITES],
    clock: Clock,
    /// The right to write down what is remembered.
    turn: Semaphore,
    /// Something is in the queue.
    asked: Notify,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    shelf: Shelf,
    memory: Memory,
    fills: HashMap<Key, Arc<Fill>>,
    /// Nothing is filled in until then.
    rest_until: Option<Instant>,
    /// What has changed and was not written down.
    touched: BTreeSet<Key>,
    forgotten: BTreeSet<ImageId>,
    /// What is to be filled in because somebody asked for that, and as whom.
    queue: VecDeque<(ImageId, Context)>,
}

impl Cache {
    /// Opens the directory, and puts itself around `service` for images that are in no other stores than `stores`.
    ///
    /// # Errors
    /// `Unavailable` if the directory or the index cannot be used.
    pub async fn open(
        service: Arc<dyn ImageService>,
        stores: BTreeSet<String>,
        settings: Settings,
        clock: Clock,
    ) -> Result<Self> {
        let wanted = settings.clone();
        let (files, index, shelf, memory) = blocking(move || restore(&wanted)).await?;
        let state = State {
            shelf,
            memory,
            fills: HashMap::new(),
            rest_until: None,
            touched: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            queue: VecDeque::new(),
        };
        let cache = Self(Arc::new(Inner {
            service,
            stores,
            files: Arc::new(files),
            index: Arc::new(index),
            state: Mutex::new(state),
            counts: Arc::default(),
            writes: std::array::from_fn(|_| AtomicU64::new(0)),
            clock,
            turn: Semaphore::new(1),
            asked: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            settings,
        }));
        let keeper = cache.clone();
        cache.0.tasks.spawn(async move { keeper.keep_until_stopped().await });
        let worker = cache.clone();
        cache.0.tasks.spawn(async move { worker.work_until_stopped().await });
        Ok(cache)
    }

    /// The images, with data from here where it is.
    #[must_use]
    pub fn shown(&self) -> Arc<dyn ImageService> {
        Arc::new(Shown(self.clone()))
    }

    /// Ends all fills, and writes down what has changed.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.flush().await;
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> CacheStatus {
        let (contents, size) = self.state().shelf.load();
        self.0.counts.status(contents, size)
    }

    fn service(&self) -> &dyn ImageService {
        self.0.service.as_ref()
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn files(&self) -> Arc<Files> {
        Arc::clone(&self.0.files)
    }

    fn index(&self) -> Arc<Index> {
        Arc::clone(&self.0.index)
    }

    fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.0.counts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since 1970.
    fn now(&self) -> i64 {
        let since = (self.0.clock.0)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        millis(since)
    }

    async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// How often images like this one have been written.
    fn writes_of(&self, id: &ImageId) -> &AtomicU64 {
        let sum =
            id.as_str().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let [first, ..] = &self.0.writes;
        self.0.writes.get(sum % WRITES).unwrap_or(first)
    }

    fn written(&self, id: &ImageId) -> u64 {
        self.writes_of(id).load(Ordering::SeqCst)
    }

    /// Notes a write on the image, and gives how many there were, this one included.
    fn note_write(&self, id: &ImageId) -> u64 {
        self.writes_of(id).fetch_add(1, Ordering::SeqCst).wrapping_add(1)
    }

    /// Takes note of the end of a fill. `entry` is what came of it.
    fn settle(&self, content: &content::Content, entry: Option<Entry>, lost: bool) {
        let mut state = self.state();
        state.fills.remove(&content.key);
        state.shelf.release(content.size);
        if let Some(entry) = entry {
            state.shelf.put(content.key.clone(), entry);
        }
        if lost {
            state.rest_until = Some(Instant::now() + self.settings().rest);
        }
    }

    /// Removes contents that are no longer on the shelf.
    async fn discard(&self, gone: Vec<(Key, Entry)>) {
        if gone.is_empty() {
            return;
        }
        let (index, files) = (self.index(), self.files());
        let removed = blocking(move || {
            // The row first: a file without one is removed with the next start.
            index.erase(&gone, &[])?;
            gone.iter().for_each(|(_, entry)| files.remove_whole(&entry.file));
            Ok(())
        });
        report(removed.await);
    }

    /// Takes a content off the shelf and removes it. True if it was there.
    async fn drop_content(&self, key: &Key) -> bool {
        let taken = self.state().shelf.take(key);
        let Some(entry) = taken else { return false };
        self.discard(vec![(key.clone(), entry)]).await;
        true
    }

    /// Forgets an image for good before this returns.
    async fn forget(&self, id: &ImageId) -> Option<Remembered> {
        let (known, written) = {
            let mut state = self.state();
            let known = state.memory.forget(id);
            let written = state.forgotten.remove(id) || known.is_some();
            (known, written)
        };
        if written {
            let (index, id, _turn) = (self.index(), id.clone(), self.turn().await);
            report(blocking(move || index.erase(&[], &[id])).await);
        }
        known
    }

    /// Lets go of a content that no image has any more, now or after a while.
    async fn orphan(&self, key: &Key) {
        let at_once = {
            let mut state = self.state();
            if state.memory.of_key(key).next().is_some() {
                return;
            }
            let now = self.now();
            state.shelf.orphan(key, now);
            state.touched.insert(key.clone());
            self.settings().deleted.is_zero()
        };
        if at_once {
            self.drop_content(key).await;
        }
    }

    /// Waits until nobody else writes down what is remembered, so that what is forgotten stays so.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.0.turn.acquire().await.ok()
    }

    /// Writes down what has changed.
    async fn flush(&self) {
        let _turn = self.turn().await;
        let (contents, images, forgotten) = {
            let mut state = self.state();
            let touched = std::mem::take(&mut state.touched);
            let entry = |key: Key| Some((key.clone(), state.shelf.get(&key)?.clone()));
            let contents: Vec<(Key, Entry)> = touched.into_iter().filter_map(entry).collect();
            let images = state.memory.take_changed();
            let forgotten: Vec<ImageId> = std::mem::take(&mut state.forgotten).into_iter().collect();
            (contents, images, forgotten)
        };
        if contents.is_empty() && images.is_empty() && forgotten.is_empty() {
            return;
        }
        let index = self.index();
        let done = blocking(move || {
            index.erase(&[], &forgotten)?;
            index.put(&contents, &images)
        });
        report(done.await);
    }

    /// Writes down what has changed, and removes what was kept for a while after its images, until the cache closes.
    async fn keep_until_stopped(&self) {
        let mut ticks = tokio::time::interval(FLUSH);
        loop {
            tokio::select! {
                () = self.stopped() => return,
                _ = ticks.tick() => {}
            }
            self.flush().await;
            let (now, kept) = (self.now(), millis(self.settings().deleted));
            let over = |entry: &Entry| entry.orphaned_at.is_some_and(|at| now.saturating_sub(at) > kept);
            let gone: Vec<Key> = {
                let state = self.state();
                state.shelf.iter().filter(|(_, entry)| over(entry)).map(|(key, _)| key.clone()).collect()
            };
            for key in gone {
                self.drop_content(&key).await;
            }
        }
    }
}

/// Opens the directory and finds what is in it: files without rows and rows without files go, and what there is no room for.
fn restore(settings: &Settings) -> Result<(Files, Index, Shelf, Memory)> {
    let files = Files::open(&settings.path)?;
    let index = Index::open(files.index())?;
    let mut found = files.whole()?;
    let mut shelf = Shelf::new(settings.size.as_u64());
    let mut lost = Vec::new();
    for (key, entry) in index.contents()? {
        if found.get(&entry.file) == Some(&entry.size) && entry.size <= settings.size.as_u64() {
            found.remove(&entry.file);
            let room = shelf.reserve(entry.size).unwrap_or_default();
            shelf.release(entry.size);
            shelf.put(key, entry);
            for (key, entry) in room {
                found.insert(entry.file.clone(), entry.size);
                lost.push((key, entry));
            }
        } else {
            lost.push((key, entry));
        }
    }
    index.erase(&lost, &[])?;
    found.keys().for_each(|name| files.remove_whole(name));
    let mut memory = Memory::new(settings.images.get(), settings.projects.get());
    let images = index.images()?;
    let surplus = images.len().saturating_sub(settings.images.get());
    let (dropped, kept): (Vec<_>, Vec<_>) = images
        .into_iter()
        .enumerate()
        .partition(|(number, known)| *number < surplus || shelf.get(&known.key).is_none());
    let dropped: Vec<ImageId> = dropped.into_iter().map(|(_, known)| known.image.id).collect();
    index.erase(&[], &dropped)?;
    kept.into_iter().for_each(|(_, known)| memory.restore(known));
    Ok((files, index, shelf, memory))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A failure here is the operator's business: data comes from the store then.
fn report(done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(error = %error.chain(), "the cache cannot write down what it has");
    }
}

/// Runs `work` where it may wait for files.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let lost = |error: tokio::task::JoinError| {
        Error::new(ErrorKind::Internal, "the cache gave up in the middle").with_source(error)
    };
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}
