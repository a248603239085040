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
//! | `keeping` | what ends, what goes, what is written down |
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
mod keeping;
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
use tokio::sync::{Notify, Semaphore};
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
use memory::Memory;
use overlay::Shown;
pub use settings::Settings;
use shelf::Shelf;

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
    /// How many writes are under way, by image. Nothing is learned of an image meanwhile.
    writing: HashMap<ImageId, usize>,
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
        let (files, index, shelf, memory) = blocking(move || keeping::restore(&wanted)).await?;
        let state = State {
            shelf,
            memory,
            fills: HashMap::new(),
            writing: HashMap::new(),
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
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Runs `work` where it may wait for files.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let lost = |error: tokio::task::JoinError| {
        Error::new(ErrorKind::Internal, "the cache gave up in the middle").with_source(error)
    };
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}
