//! What becomes of an image when what lies at its locations changes, falls silent or goes.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use image_service::{
    ByteRange, Caller, Context, Digester, Error, ErrorKind, Image, ImageId, ImageService as _,
    Locations as _, NewImage, NewLocation, Result,
};
use portico_web::{Durability, Options, Settings, Web};
use tempfile::TempDir;

use crate::server::{Found, Server};

fn context() -> Context {
    Context::new(Caller::administrator(), "req-test")
}

fn options(directory: &TempDir) -> Options {
    Options {
        fetch: Settings {
            ports: Vec::new(),
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            answer_timeout: Duration::from_secs(1),
            ..Settings::default()
        },
        patience: Duration::from_secs(5),
        sync: Durability::Process,
        ..Options::at(directory.path())
    }
}

async fn queued(web: &Web) -> Image {
    let formats = (Some("raw".into()), Some("bare".into()));
    let new = NewImage { disk_format: formats.0, container_format: formats.1, ..NewImage::default() };
    web.create(&context(), new, None).await.unwrap()
}

/// An image whose data is at these URLs, with the hashes of `bytes`.
async fn image(web: &Web, bytes: &Bytes, urls: &[&String]) -> Image {
    let mut digester = Digester::default();
    digester.update(bytes);
    let known = digester.finish(None).unwrap().into();
    let mut image = queued(web).await;
    for url in urls {
        let new = NewLocation { known: image_service::Known::clone(&known), ..NewLocation::at_url(*url) };
        image = web.add(&context(), &image.id, new).await.unwrap();
    }
    image
}

async fn read(web: &Web, id: &ImageId, range: Option<ByteRange>) -> Result<Vec<u8>> {
    let data = web.get(&context(), id, range).await?.data.unwrap();
    Ok(data.into_stream().try_collect::<Vec<Bytes>>().await?.concat())
}

/// What an image that cannot be read is answered with, which is never held against the store.
fn failure(answer: Result<Vec<u8>>) -> Error {
    let error = answer.unwrap_err();
    assert!(!error.speaks_against_store(), "{error:?}");
    error
}

fn pattern(length: usize) -> Bytes {
    (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

#[tokio::test]
async fn several_locations_are_tried_in_their_order() {
    let (directory, server, bytes) = (tempfile::tempdir().unwrap(), Server::start().await, pattern(100_000));
    let web = Web::open("web", options(&directory)).await.unwrap();
    let [first, second] = [(); 2].map(|()| server.put(Found::Bytes(bytes.clone())));
    let image = image(&web, &bytes, &[&first, &second]).await;
    assert_eq!(read(&web, &image.id, None).await.unwrap(), bytes);
    assert_eq!((server.asked(&first), server.asked(&second)), (1, 0));
    for gone in [None, Some(Found::Silence), Some(Found::Bytes(pattern(99_999)))] {
        server.change(&first, gone);
        assert_eq!(read(&web, &image.id, None).await.unwrap(), bytes);
        let part = read(&web, &image.id, Some(ByteRange::Between(7, 70_000))).await.unwrap();
        assert_eq!(part, bytes[7..=70_000]);
    }
    server.change(&second, None);
    assert_eq!(failure(read(&web, &image.id, None).await).kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn data_that_is_not_the_images_never_looks_whole() {
    let (directory, server, bytes) = (tempfile::tempdir().unwrap(), Server::start().await, pattern(100_000));
    let web = Web::open("web", options(&directory)).await.unwrap();
    let url = server.put(Found::Bytes(bytes.clone()));
    let image = image(&web, &bytes, &[&url]).await;
    let mut other = bytes.to_vec();
    other[99_999] ^= 1;
    for found in [
        Found::Bytes(other.into()),
        Found::Bytes(pattern(100_001)),
        Found::Unmeasured(pattern(99_999)),
        Found::Unmeasured(pattern(100_001)),
        Found::Bytes(Bytes::new()),
    ] {
        server.change(&url, Some(found.clone()));
        assert_eq!(failure(read(&web, &image.id, None).await).kind(), ErrorKind::Corrupt, "{found:?}");
    }
    let range = Some(ByteRange::From(99_990));
    assert_eq!(failure(read(&web, &image.id, range).await).kind(), ErrorKind::Unavailable);
    server.change(&url, Some(Found::Bytes(pattern(200_000))));
    assert_eq!(failure(read(&web, &image.id, range).await).kind(), ErrorKind::Corrupt);
    for found in [Found::Whole(bytes.clone()), Found::Unmeasured(bytes.clone())] {
        server.change(&url, Some(found));
        assert_eq!(read(&web, &image.id, None).await.unwrap(), bytes);
        assert_eq!(read(&web, &image.id, range).await.unwrap(), bytes[99_990..]);
    }
}

#[tokio::test]
async fn a_location_that_is_slow_to_answer_does_not_hold_up_the_store() {
    let (directory, server, bytes) = (tempfile::tempdir().unwrap(), Server::start().await, pattern(10));
    let patience = Duration::from_millis(10);
    let web = Web::open("web", Options { patience, ..options(&directory) }).await.unwrap();
    let [first, second] = [(); 2].map(|()| server.put(Found::Bytes(bytes.clone())));
    let image = image(&web, &bytes, &[&first, &second]).await;
    server.change(&first, Some(Found::Silence));
    // The download begins before the first has been given up, and goes on with the second.
    let data = web.get(&context(), &image.id, None).await.unwrap().data.unwrap();
    assert_eq!(server.asked(&second), 0);
    assert_eq!(data.into_stream().try_collect::<Vec<Bytes>>().await.unwrap().concat(), bytes);
    server.change(&second, Some(Found::Silence));
    let data = web.get(&context(), &image.id, None).await.unwrap().data.unwrap();
    let error = data.into_stream().try_collect::<Vec<Bytes>>().await.unwrap_err();
    assert_eq!(failure(Err(error)).kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn what_gives_no_data_or_no_length_is_no_location() {
    let (directory, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let web = Web::open("web", options(&directory)).await.unwrap();
    let image = queued(&web).await;
    let gone = server.put(Found::Bytes(pattern(10)));
    server.change(&gone, None);
    let unmeasured = server.put(Found::Unmeasured(pattern(10)));
    let silent = server.put(Found::Silence);
    for url in [&gone, &unmeasured, &silent] {
        let error = web.add(&context(), &image.id, NewLocation::at_url(url)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().starts_with("invalid location"), "{error}");
    }
    assert_eq!(web.show(&context(), &image.id).await.unwrap(), image);
    // Of who may not change it nobody elsewhere hears.
    let other = Context::new(Caller::member_of("other"), "req-test");
    let before = server.asked(&gone);
    web.add(&other, &image.id, NewLocation::at_url(&gone)).await.unwrap_err();
    assert_eq!(server.asked(&gone), before);
}

#[tokio::test]
async fn records_and_locations_outlive_the_process_and_are_shared_by_several() {
    let (directory, server, bytes) = (tempfile::tempdir().unwrap(), Server::start().await, pattern(1000));
    let url = server.put(Found::Bytes(bytes.clone()));
    let [one, two] = [
        Web::open("one", options(&directory)).await.unwrap(),
        Web::open("two", options(&directory)).await.unwrap(),
    ];
    let image = image(&one, &bytes, &[&url]).await;
    assert_eq!(read(&two, &image.id, None).await.unwrap(), bytes);
    drop((one, two));
    let again = Web::open("again", options(&directory)).await.unwrap();
    assert_eq!(again.show(&context(), &image.id).await.unwrap(), image);
    assert_eq!(read(&again, &image.id, None).await.unwrap(), bytes);
    let urls = again.of(&context(), &[image]).await.unwrap();
    assert_eq!(urls[0][0].url, url);
}
