//! Another copy of an image is asked when the first is slow, and gives just what the first would have given.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use image_service::{
    Download, ErrorKind, ImageChange, ImageId, ImageService, NewImage, Query, SourceState, Status, Upload,
};
use portico::federation::{Federation, Guarding, Settings};
use tokio::time::Instant;

use crate::DEADLINE;
use crate::guards::Told;
use crate::made_of::{backend, context, memory};
use crate::moody::{Mood, Moody};

/// Two backends that hold one image, and a federation of them that has seen both.
struct Pair {
    home: Arc<Moody>,
    copy: Arc<Moody>,
    id: ImageId,
    told: Arc<Told>,
    federation: Federation,
}

async fn pair(home: Arc<dyn ImageService>, copy: Arc<dyn ImageService>, id: ImageId) -> Pair {
    let (home, copy) = (Moody::new(home, Mood::Well), Moody::new(copy, Mood::Well));
    let told = Arc::new(Told::default());
    let settings =
        Settings { guarding: Guarding { retries: 0, ..Guarding::default() }, ..Settings::default() };
    let backends = vec![backend(("home", home.clone())), backend(("copy", copy.clone()))];
    let federation = Federation::new(backends, settings).unwrap().observed(told.clone());
    federation.show(&context(), &id).await.unwrap();
    home.asked();
    copy.asked();
    told.all();
    Pair { home, copy, id, told, federation }
}

async fn made(service: &Arc<dyn ImageService>, id: &ImageId, name: &str, data: &'static str) {
    let new = NewImage {
        id: Some(id.clone()),
        name: Some(name.into()),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    };
    service.create(&context(), new, Some(Upload::from_bytes(data))).await.unwrap();
}

/// Two ways to one store.
async fn replicas() -> Pair {
    let (store, id) = (memory().await, ImageId::random());
    made(&store, &id, "image", "the data").await;
    pair(store.clone(), store, id).await
}

/// The same data under another name.
async fn copies() -> Pair {
    let (home, copy, id) = (memory().await, memory().await, ImageId::random());
    made(&home, &id, "home", "the data").await;
    made(&copy, &id, "copy", "the data").await;
    pair(home, copy, id).await
}

async fn text(download: Download) -> String {
    let chunks: Vec<Bytes> = download.data.unwrap().into_stream().try_collect().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

fn hedges(told: &Told) -> usize {
    told.all().iter().filter(|line| line.ends_with("elsewhere")).count()
}

impl Pair {
    async fn get(&self) -> Download {
        self.federation.get(&context(), &self.id, None).await.unwrap()
    }

    async fn name(&self) -> Option<String> {
        self.federation.show(&context(), &self.id).await.unwrap().name
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_in_two_places_is_opened_at_its_home_alone_while_that_is_quick() {
    let pair = copies().await;
    let download = pair.get().await;
    assert_eq!(download.image.stores, ["home", "copy"]);
    assert_eq!(text(download).await, "the data");
    assert_eq!((pair.home.asked(), pair.copy.asked(), hedges(&pair.told)), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn data_comes_from_another_copy_when_the_home_is_slow_and_the_slow_call_ends() {
    let pair = copies().await;
    pair.home.is_now(Mood::Hangs);
    let start = Instant::now();
    let download = pair.get().await;
    assert_eq!(start.elapsed(), DEADLINE / 2, "half of the deadline, as long as nothing is known");
    pair.home.dropped().await;
    assert_eq!(pair.federation.status()[0].streams, 0);
    assert_eq!(text(download).await, "the data");
    assert_eq!(pair.told.all()[..1], ["home get elsewhere"]);
}

#[tokio::test(start_paused = true)]
async fn the_home_is_given_the_time_that_it_usually_takes_but_no_less_than_is_set() {
    for (usual, expected) in [(100, 100), (1, 20)] {
        let pair = copies().await;
        pair.home.is_now(Mood::Takes(Duration::from_millis(usual)));
        for _ in 0..20 {
            pair.get().await;
        }
        pair.home.is_now(Mood::Hangs);
        let start = Instant::now();
        pair.get().await;
        assert_eq!(start.elapsed(), Duration::from_millis(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_another_image_never_stands_in() {
    let (home, copy, id) = (memory().await, memory().await, ImageId::random());
    made(&home, &id, "home", "the data").await;
    made(&copy, &id, "copy", "other data").await;
    let pair = pair(home, copy, id).await;
    pair.home.is_now(Mood::Takes(DEADLINE * 9 / 10));
    assert_eq!(text(pair.get().await).await, "the data");
    assert_eq!(hedges(&pair.told), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deactivated_copy_does_not_stand_in() {
    let pair = copies().await;
    let deactivate = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    pair.copy.update(&context(), &pair.id, deactivate, None).await.unwrap();
    pair.home.is_now(Mood::Takes(DEADLINE * 9 / 10));
    let start = Instant::now();
    assert_eq!(pair.get().await.image.status, Status::Active);
    assert_eq!((start.elapsed(), hedges(&pair.told)), (DEADLINE * 9 / 10, 1));
}

#[tokio::test(start_paused = true)]
async fn an_image_is_shown_as_its_home_has_it_however_slow_that_is() {
    let pair = copies().await;
    pair.home.is_now(Mood::Takes(DEADLINE * 9 / 10));
    assert_eq!(pair.name().await.as_deref(), Some("home"));
    assert_eq!((pair.copy.asked(), hedges(&pair.told)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_replica_speaks_for_its_home_as_long_as_it_is_unchanged() {
    let pair = replicas().await;
    pair.home.is_now(Mood::Hangs);
    let start = Instant::now();
    assert_eq!(pair.name().await.as_deref(), Some("image"));
    assert_eq!((start.elapsed(), hedges(&pair.told)), (DEADLINE / 2, 1));

    let rename = ImageChange { name: Some(Some("changed".into())), ..ImageChange::default() };
    pair.copy.update(&context(), &pair.id, rename, None).await.unwrap();
    pair.home.is_now(Mood::Takes(DEADLINE * 9 / 10));
    let start = Instant::now();
    assert_eq!(pair.name().await.as_deref(), Some("changed"));
    assert_eq!(start.elapsed(), DEADLINE * 9 / 10, "the home's own answer");
}

#[tokio::test(start_paused = true)]
async fn a_home_that_does_not_answer_is_asked_once_and_its_copy_is_shown_then() {
    let pair = copies().await;
    pair.home.is_now(Mood::Hangs);
    let start = Instant::now();
    assert_eq!(pair.name().await.as_deref(), Some("copy"));
    assert_eq!((start.elapsed(), pair.home.asked()), (DEADLINE, 1));
}

#[tokio::test(start_paused = true)]
async fn few_reads_ask_two_copies_however_slow_the_home_is() {
    let pair = copies().await;
    for _ in 0..500 {
        pair.home.is_now(Mood::Takes(Duration::from_millis(1)));
        pair.get().await;
        pair.home.is_now(Mood::Takes(DEADLINE * 9 / 10));
        pair.get().await;
    }
    let hedges = hedges(&pair.told);
    assert!((100..=110).contains(&hedges), "{hedges}");
}

#[tokio::test(start_paused = true)]
async fn lists_and_writes_ask_no_other_copy() {
    let pair = replicas().await;
    pair.home.is_now(Mood::Takes(DEADLINE * 9 / 10));
    let page = pair.federation.detail(&context(), &Query::default()).await.unwrap();
    assert!(page.sources.iter().all(|source| source.state == SourceState::Ok));
    let rename = ImageChange { name: Some(None), ..ImageChange::default() };
    pair.federation.update(&context(), &pair.id, rename, None).await.unwrap();
    assert_eq!(hedges(&pair.told), 0);
    assert_eq!(pair.name().await, None, "and what was known before the change counts no more");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_gone_from_its_home_and_its_copies_is_not_found() {
    let pair = replicas().await;
    pair.copy.delete(&context(), &pair.id).await.unwrap();
    for answer in [
        pair.federation.show(&context(), &pair.id).await.map(drop),
        pair.federation.get(&context(), &pair.id, None).await.map(drop),
    ] {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
