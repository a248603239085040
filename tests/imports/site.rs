//! Imports over three stores in memory, with a directory that outlives them.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use image_service::{
    Caller, Context, Image, ImageId, ImageService, NewImage, Query, Result, Upload, Visibility,
};
use portico::federation::{self, Backend, Federation};
use portico::imports::{
    FILE, Imports, Kind, Method, Request, STAGING, Settings, Source, Targets, Task, TaskStatus,
};
use serde_json::json;

use crate::gated::Gated;

pub(crate) struct Site {
    pub(crate) imports: Imports,
    pub(crate) shown: Arc<dyn ImageService>,
    pub(crate) stores: [Arc<Gated>; 3],
    pub(crate) directory: tempfile::TempDir,
    settings: Settings,
}

pub(crate) fn settings() -> Settings {
    let mut settings =
        Settings { methods: Method::ALL.to_vec(), region: Some("here".into()), ..Settings::default() };
    settings.web.ports = Vec::new();
    settings.web.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    settings
}

pub(crate) fn owner() -> Context {
    Context::new(Caller::member_of("owner"), "req-owner")
}

pub(crate) fn raw() -> NewImage {
    NewImage {
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        visibility: Some(Visibility::Private),
        ..NewImage::default()
    }
}

pub(crate) fn bytes(length: usize) -> Bytes {
    (0..length).map(|number| u8::try_from(number % 251).unwrap()).collect::<Vec<u8>>().into()
}

pub(crate) fn request(source: Source, targets: Targets) -> Request {
    Request {
        source,
        kind: Kind::ApiImageImport,
        targets,
        all_must_succeed: true,
        input: json!({"asked": true}),
    }
}

pub(crate) fn named(stores: &[&str]) -> Targets {
    Targets::Named(stores.iter().map(|&store| store.to_owned()).collect())
}

/// Waits until `found` finds something, for a while.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(found: impl Fn() -> F) -> T {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "it does not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Site {
    pub(crate) async fn open() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let mut stores = Vec::new();
        for name in ["a", "b", "c"] {
            let memory = portico_memory::open(name, portico_memory::Options::default()).await.unwrap();
            stores.push(Gated::new(memory));
        }
        let stores: [Arc<Gated>; 3] = stores.try_into().unwrap();
        Self::over(stores, tempfile::tempdir().unwrap(), settings).await
    }

    async fn over(stores: [Arc<Gated>; 3], directory: tempfile::TempDir, settings: Settings) -> Self {
        let names = ["a", "b", "c"];
        let backends = names.iter().zip(&stores).map(|(name, store)| Backend {
            name: (*name).to_owned(),
            kind: "memory".into(),
            description: None,
            service: Arc::clone(store) as Arc<dyn ImageService>,
            deadline: Duration::from_secs(10),
        });
        // Data that has gone bad and is well again is read at once.
        let joining = federation::Settings { cool_down: Duration::ZERO, ..federation::Settings::default() };
        let federation = Federation::new(backends.collect(), joining).unwrap();
        let federation: Arc<dyn ImageService> = Arc::new(federation);
        let (journal, staging) = (directory.path().join(FILE), directory.path().join(STAGING));
        let imports = Imports::open(journal, staging, federation, settings.clone()).await.unwrap();
        Self { shown: imports.shown(), imports, stores, directory, settings }
    }

    /// Ends the process, as far as imports go, and begins another on the same stores, to which `between` is done.
    pub(crate) async fn again(self, between: impl FnOnce(&Self)) -> Self {
        self.imports.close().await;
        between(&self);
        let Self { stores, directory, settings, .. } = self;
        Self::over(stores, directory, settings).await
    }

    pub(crate) async fn queued(&self) -> ImageId {
        self.shown.create(&owner(), raw(), None).await.unwrap().id
    }

    pub(crate) async fn active(&self, store: &str, data: &Bytes) -> ImageId {
        let new = NewImage { store: Some(store.into()), ..raw() };
        self.shown.create(&owner(), new, Some(Upload::from_bytes(data.clone()))).await.unwrap().id
    }

    pub(crate) async fn staged(&self, data: &Bytes) -> ImageId {
        let id = self.queued().await;
        self.imports.stage(&owner(), &id, Upload::from_bytes(data.clone())).await.unwrap();
        id
    }

    pub(crate) async fn show(&self, id: &ImageId) -> Image {
        self.shown.show(&owner(), id).await.unwrap()
    }

    pub(crate) async fn begin(&self, id: &ImageId, request: Request) -> Result<Option<Task>> {
        self.imports.import(&owner(), id, request).await
    }

    /// Imports, and waits for the end.
    pub(crate) async fn import(&self, id: &ImageId, request: Request) -> Task {
        let task = self.begin(id, request).await.unwrap().unwrap();
        self.ended(&task.id).await
    }

    /// Waits until a task has ended and nothing is said any more to be at work.
    pub(crate) async fn ended(&self, task: &str) -> Task {
        let context = Context::new(Caller::administrator(), "req-admin");
        until(|| async {
            let task = self.imports.task(&context, task).await.unwrap();
            let ended = matches!(task.status, TaskStatus::Success | TaskStatus::Failure);
            let shown = self.shown.show(&context, &task.image).await;
            let idle = shown.is_ok_and(|image| image.properties.contains_key("os_glance_import_task"));
            (ended && !idle).then_some(task)
        })
        .await
    }

    pub(crate) async fn data_in(&self, id: &ImageId, store: &str) -> Vec<u8> {
        let context = Context { prefer: vec![store.to_owned()], ..owner() };
        let download = self.shown.get(&context, id, None).await.unwrap();
        let data = download.data.expect("there should be data");
        data.into_stream().try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }

    /// How many files are in the staging area.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(self.directory.path().join(STAGING)).unwrap().count()
    }

    /// How many images the query lists.
    pub(crate) async fn count(&self, query: Query) -> usize {
        self.shown.detail(&owner(), &query).await.unwrap().items.len()
    }
}

pub(crate) fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}
