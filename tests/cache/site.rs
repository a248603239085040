//! A cache in front of one store, with a directory that outlives it and a clock of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt as _;
use image_service::{
    ByteRange, Caller, Context, Download, Image, ImageId, ImageService, NewImage, Result, Upload, Visibility,
};
use portico::cache::{Cache, Clock, Settings};
use portico::federation::{self, Backend, Federation};

use crate::upstream::Upstream;

pub(crate) struct Site {
    pub(crate) cache: Cache,
    pub(crate) shown: Arc<dyn ImageService>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) directory: tempfile::TempDir,
    settings: Settings,
    /// Seconds that have passed.
    passed: Arc<AtomicU64>,
}

pub(crate) fn of(project: &str) -> Context {
    Context::new(Caller::member_of(project), "req")
}

pub(crate) fn owner() -> Context {
    of("owner")
}

pub(crate) fn admin() -> Context {
    Context::new(Caller::administrator(), "req")
}

pub(crate) fn bytes(length: usize, seed: usize) -> Bytes {
    (0..length).map(|at| u8::try_from((at * 7 + at / 251 + seed) % 251).unwrap()).collect::<Vec<u8>>().into()
}

pub(crate) fn raw(visibility: Visibility) -> NewImage {
    NewImage {
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        visibility: Some(visibility),
        ..NewImage::default()
    }
}

pub(crate) fn far() -> Arc<dyn ImageService> {
    let backend = Backend {
        name: "far".into(),
        kind: "memory".into(),
        description: None,
        service: Arc::new(portico_memory::Memory::new("far", portico_memory::Options::default())),
        deadline: Duration::from_secs(10),
    };
    Arc::new(Federation::new(vec![backend], federation::Settings::default()).unwrap())
}

impl Site {
    pub(crate) async fn open() -> Self {
        Self::with(Upstream::new(far()), |_| {}).await
    }

    /// One whose store gives data only when it is let.
    pub(crate) async fn held() -> Self {
        Self::with(Upstream::held(far()), |_| {}).await
    }

    pub(crate) async fn with(upstream: Upstream, set: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::at(directory.path());
        set(&mut settings);
        let (upstream, passed) = (Arc::new(upstream), Arc::new(AtomicU64::new(0)));
        let cache = open(&upstream, &settings, &passed).await;
        let shown = cache.shown();
        Self { cache, shown, upstream, directory, settings, passed }
    }

    /// Ends the cache and opens it again.
    pub(crate) async fn again(self) -> Self {
        self.cache.close().await;
        let Self { cache, shown, upstream, directory, settings, passed } = self;
        drop((cache, shown));
        let cache = open(&upstream, &settings, &passed).await;
        let shown = cache.shown();
        Self { cache, shown, upstream, directory, settings, passed }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.passed.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    /// Makes an image of the owner's with this data.
    pub(crate) async fn image(&self, visibility: Visibility, data: &Bytes) -> ImageId {
        let context =
            Context::new(Caller { roles: ["admin".to_owned()].into(), ..Caller::member_of("owner") }, "req");
        let upload = Some(Upload::from_bytes(data.clone()));
        self.shown.create(&context, raw(visibility), upload).await.unwrap().id
    }

    pub(crate) async fn get(&self, context: &Context, id: &ImageId) -> Result<Download> {
        self.shown.get(context, id, None).await
    }

    /// Reads all of an image.
    pub(crate) async fn read(&self, context: &Context, id: &ImageId) -> Result<Bytes> {
        collect(self.get(context, id).await?).await
    }

    pub(crate) async fn part(&self, context: &Context, id: &ImageId, range: ByteRange) -> Result<Bytes> {
        collect(self.shown.get(context, id, Some(range)).await?).await
    }

    pub(crate) async fn shows(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.shown.show(context, id).await
    }

    /// How many files there are, whole ones and others.
    pub(crate) fn files(&self) -> (usize, usize) {
        let count = |name| self.directory.path().join(name).read_dir().unwrap().count();
        (count("data"), count("incomplete"))
    }
}

async fn open(upstream: &Arc<Upstream>, settings: &Settings, passed: &Arc<AtomicU64>) -> Cache {
    let (start, passed) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), Arc::clone(passed));
    let clock = Clock::new(move || start + Duration::from_secs(passed.load(Ordering::SeqCst)));
    let service = Arc::clone(upstream) as Arc<dyn ImageService>;
    let stores = BTreeSet::from(["far".to_owned()]);
    Cache::open(service, stores, settings.clone(), clock).await.unwrap()
}

/// All the data of a download.
pub(crate) async fn collect(download: Download) -> Result<Bytes> {
    let pieces: Vec<Bytes> = download.data.unwrap().into_stream().try_collect().await?;
    Ok(pieces.concat().into())
}

/// Lets other tasks work until `done`, or for so long that it will not be.
pub(crate) async fn until(done: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(std::time::Instant::now() < end, "it does not come");
        tokio::task::yield_now().await;
    }
}
