//! The store as a whole: what the conformance suite cannot see, because it needs the directory.

mod crash;
mod ending;
mod opening;
mod reading;
mod writing;

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use bytesize::ByteSize;
use futures::TryStreamExt;
use image_service::{
    ByteStream, Caller, Context, Digester, Download, Error, Image, ImageId, ImageService, NewImage, Query,
    Result, Status, Upload,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::steps::{Step, Watch};
use crate::{Durability, Local, Options};

/// Small pieces, so that little data makes many; nothing here loses its power.
fn options(path: &Path) -> Options {
    Options { chunk_size: ByteSize::kib(4), sync: Durability::Process, ..Options::at(path) }
}

async fn open(directory: &TempDir) -> Local {
    open_watched(directory, Watch::default()).await
}

async fn open_watched(directory: &TempDir, watch: Watch) -> Local {
    Local::open_watched("local", options(directory.path()), watch).await.unwrap()
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-test")
}

fn raw() -> NewImage {
    NewImage { disk_format: Some("raw".into()), container_format: Some("bare".into()), ..NewImage::default() }
}

/// Bytes in which no two pieces are alike.
fn pattern(length: usize) -> Bytes {
    (0..length).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

/// An upload that comes in as it is sent, and ends when the sender goes.
fn sent() -> (tokio::sync::mpsc::Sender<Result<Bytes>>, Upload) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let stream: ByteStream = Box::pin(futures::stream::poll_fn(move |task| receiver.poll_recv(task)));
    (sender, Upload::new(stream))
}

/// A watch, and the steps it has been told of.
fn watched() -> (Watch, UnboundedReceiver<Step>) {
    let (tell, told) = unbounded_channel();
    let watch = Watch::with(move |step| {
        tell.send(step).ok();
        Ok(())
    });
    (watch, told)
}

async fn reached(told: &mut UnboundedReceiver<Step>, wanted: Step) {
    while told.recv().await.expect("the store has gone") != wanted {}
}

async fn read(download: Download) -> Result<Vec<u8>> {
    let pieces: Vec<Bytes> = download.data.expect("no data").into_stream().try_collect().await?;
    Ok(pieces.concat())
}

async fn all(local: &Local) -> Vec<Image> {
    local.detail(&admin(), &Query::default()).await.unwrap().items
}

fn names(directory: &Path, below: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory.join(below)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What must hold whenever nothing is at work: every image is queued without data or active with all of it, and
/// there is not one file more.
async fn assert_whole(local: &Local, directory: &Path) {
    assert_eq!(names(directory, "incoming"), BTreeSet::new());
    let mut expected = BTreeSet::new();
    for image in all(local).await {
        let download = local.get(&admin(), &image.id, None).await.unwrap();
        if image.status == Status::Queued {
            assert!(download.data.is_none(), "{image:?}");
            assert_eq!((&image.size, &image.checksum, &image.hash), (&None, &None, &None));
            continue;
        }
        assert_eq!(image.status, Status::Active);
        let mut digester = Digester::default();
        digester.update(&read(download).await.unwrap());
        let digests = digester.finish(image.size).unwrap();
        assert_eq!((Some(digests.checksum), Some(digests.hash)), (image.checksum, image.hash));
        expected.insert(image.id.to_string());
    }
    assert_eq!(names(directory, "data"), expected);
}

fn cause(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(String::new, ToString::to_string)
}

fn lookup(id: &str) -> ImageId {
    ImageId::lookup(id)
}
