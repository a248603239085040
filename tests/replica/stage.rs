//! Backends with images in them, and what is asked of them again and again.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::TryStreamExt as _;
use image_service::{
    Caller, Context, Digester, Image, ImageId, ImageService, NewImage, Query, Timestamp, Upload, Visibility,
};
use portico::replica::{
    Choice, Comparing, Comparison, Copied, Copying, Difference, Effect, Kept, MARK, OneSided, Outcome,
    Progress, Side, Silent, Upkeep, compare, copy,
};
use portico_memory::{Memory, Options};
use tokio_util::sync::CancellationToken;

pub(crate) fn context() -> Context {
    Context::new(Caller::administrator(), "req-test")
}

pub(crate) fn side(name: &str, service: Arc<dyn ImageService>) -> Side {
    Side { name: name.to_owned(), service }
}

pub(crate) fn memory() -> Arc<Memory> {
    Arc::new(Memory::new("memory", Options::default()))
}

/// A directory that survives a kill, and no loss of power.
pub(crate) async fn local(path: &Path) -> portico_local::Local {
    let sync = portico_local::Durability::Process;
    portico_local::Local::open("local", portico_local::Options { sync, ..portico_local::Options::at(path) })
        .await
        .unwrap()
}

pub(crate) fn id(number: u32) -> ImageId {
    ImageId::derived("images", &number.to_string())
}

/// The data of a number, some of it, and other data for each.
pub(crate) fn data(number: u32, size: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(number.into());
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}

/// What an image of a number says of itself: something different in each attribute.
pub(crate) fn record(number: u32) -> NewImage {
    let visibility = [Visibility::Public, Visibility::Shared, Visibility::Private, Visibility::Community];
    NewImage {
        id: Some(id(number)),
        name: Some(format!("image {}", number % 7)),
        visibility: visibility.into_iter().nth(number as usize % 4),
        owner: Some((!number.is_multiple_of(5)).then(|| format!("project {}", number % 3))),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        hidden: number % 6 == 1,
        protected: number % 4 == 1,
        min_disk: number % 3,
        min_ram: number % 2,
        tags: (0..number % 3).map(|tag| format!("tag {tag}")).collect(),
        properties: (0..number % 4).map(|key| (format!("key {key}"), number.to_string())).collect(),
        created_at: Some(Timestamp::from_second(1_000_000_000 + i64::from(number)).unwrap()),
        ..NewImage::default()
    }
}

/// Puts images of these numbers in, with data of so many bytes.
pub(crate) async fn fill(service: &dyn ImageService, numbers: impl IntoIterator<Item = u32>, size: usize) {
    for number in numbers {
        let upload = Upload::from_bytes(data(number, size));
        service.create(&context(), record(number), Some(upload)).await.unwrap();
    }
}

/// An active image of a number that has this data, as far as its record goes.
pub(crate) fn active(number: u32, data: &[u8]) -> Image {
    let mut image = record(number).into_image(&Caller::administrator(), Timestamp::now()).unwrap();
    let mut digester = Digester::default();
    digester.update(data);
    image.finish_upload(digester.finish(None).unwrap(), Timestamp::now());
    image
}

pub(crate) fn copying() -> Copying {
    Copying {
        choice: Choice::default(),
        kept: Kept::All,
        upkeep: Upkeep::Leave,
        effect: Effect::Done,
        jobs: NonZeroUsize::new(2).unwrap(),
        limit: None,
    }
}

pub(crate) async fn copied(from: &Side, to: &Side, settings: &Copying) -> Copied {
    copied_before(from, to, settings, Arc::new(Silent)).await
}

pub(crate) async fn copied_before(
    from: &Side,
    to: &Side,
    settings: &Copying,
    progress: Arc<dyn Progress>,
) -> Copied {
    copy(from, to, settings, &CancellationToken::new(), &progress).await
}

/// How many were copied, resumed, updated, left, refused, failed.
pub(crate) fn counts(copied: &Copied) -> [u64; 6] {
    [copied.copied, copied.resumed, copied.updated, copied.left, copied.refused, copied.failed]
}

pub(crate) async fn compared(a: &Side, b: &Side, settings: &Comparing) -> (Comparison, Vec<Difference>) {
    let mut differences = Vec::new();
    let comparison = compare(a, b, settings, &mut |difference| differences.push(difference.clone())).await;
    (comparison, differences)
}

/// All differences in both directions.
pub(crate) async fn differences(a: &Side, b: &Side) -> Vec<Difference> {
    let (comparison, differences) =
        compared(a, b, &Comparing { only_in_b: OneSided::Told, ..Comparing::default() }).await;
    assert!(comparison.broken.is_none(), "{comparison:?}");
    differences
}

/// All images of a backend, by their ids.
pub(crate) async fn images(side: &Side) -> Vec<Image> {
    use image_service::{Scope, VisibilityScope};
    let scope = Scope { visibility: VisibilityScope::All, ..Scope::default() };
    let page = side.service.detail(&context(), &Query { scope, ..Query::default() }).await.unwrap();
    assert!(!page.more);
    let mut images = page.items;
    images.sort_by(|a, b| a.id.cmp(&b.id));
    images
}

/// Checks that nothing in `to` passes for an image of `from` that is not.
pub(crate) async fn check_no_half_copies(from: &Side, to: &Side) {
    for there in images(to).await.into_iter().filter(|image| !image.properties.contains_key(MARK)) {
        let image = from.service.show(&context(), &there.id).await.unwrap();
        assert_eq!((there.size, &there.hash, there.visibility), (image.size, &image.hash, image.visibility));
    }
}

pub(crate) async fn bytes(side: &Side, id: &ImageId) -> Bytes {
    let data = side.service.get(&context(), id, None).await.unwrap().data.unwrap();
    let pieces: Vec<Bytes> = data.into_stream().try_collect().await.unwrap();
    pieces.concat().into()
}

/// What became of each image, in a line.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Notes {
    fn began(&self, _image: &Image) {}
    fn moved(&self, _id: &ImageId, _bytes: u64) {}
    fn ended(&self, _image: &Image, outcome: &Outcome) {
        let line = match outcome {
            Outcome::Refused(refusal) => refusal.to_string(),
            Outcome::Failed(failed) => failed.to_string(),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}
