//! A directory of files behind HTTP, as a mirror has them, and what every catalogue that is read from one must give.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use futures::TryStreamExt;
use image_service::{
    ByteRange, Caller, Context, Direction, ErrorKind, Filter, Image, ImageChange, ImageId, ImageService,
    NewImage, Query, Result, Sort, SortKey, Summary,
};

use crate::server::{Server, reply};

/// What the server is like at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It gives what there is, and ranges of it.
    Well,
    /// It knows of no ranges and no tags.
    Plain,
    /// It fails.
    Failing,
    /// It answers nothing.
    Silent,
}

/// A mirror on loopback, below `/mirror/`.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) server: Server,
    files: Arc<Mutex<BTreeMap<String, Bytes>>>,
    mood: Arc<Mutex<Mood>>,
}

impl Mirror {
    pub(crate) async fn start() -> Self {
        let (files, mood) =
            (Arc::new(Mutex::new(BTreeMap::<String, Bytes>::new())), Arc::new(Mutex::new(Mood::Well)));
        let (held, feels) = (Arc::clone(&files), Arc::clone(&mood));
        let server = Server::start(move |call| {
            let mood = *feels.lock().unwrap();
            let path = call.path.strip_prefix("/mirror/").unwrap_or("outside");
            let found = held.lock().unwrap().get(path).cloned();
            match (mood, found) {
                (Mood::Failing, _) => reply(500, &[], Body::from("broken")),
                (Mood::Silent, _) => {
                    reply(200, &[], Body::from_stream(futures::stream::pending::<Result<Bytes>>()))
                }
                (_, None) => reply(404, &[], Body::from("nothing here")),
                (Mood::Plain, Some(bytes)) => reply(200, &[], Body::from(bytes)),
                (Mood::Well, Some(bytes)) => give(&call.headers, bytes),
            }
        })
        .await;
        Self { server, files, mood }
    }

    pub(crate) fn endpoint(&self) -> url::Url {
        format!("http://{}/mirror", self.server.address).parse().unwrap()
    }

    pub(crate) fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    /// Holds these files and no others, from one moment to the next.
    pub(crate) fn hold(&self, files: BTreeMap<String, Bytes>) {
        *self.files.lock().unwrap() = files;
    }

    pub(crate) fn remove(&self, path: &str) {
        self.files.lock().unwrap().remove(path);
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// How often a file was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.server.count(&Method::GET, path)
    }
}

fn give(headers: &HeaderMap, bytes: Bytes) -> Response {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = format!("\"{:x}\"", hasher.finish());
    if headers.get("if-none-match").is_some_and(|known| known == tag.as_str()) {
        return reply(304, &[("etag", tag)], Body::empty());
    }
    let time = ("last-modified", String::from("Tue, 19 Mar 2024 09:48:38 GMT"));
    let range = headers.get("range").and_then(|range| range.to_str().unwrap().strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return reply(200, &[("etag", tag), time], Body::from(bytes));
    };
    let (first, last) = (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap());
    if first >= bytes.len() {
        return reply(416, &[("content-range", format!("bytes */{}", bytes.len()))], Body::empty());
    }
    let last = last.min(bytes.len() - 1);
    let sent = ("content-range", format!("bytes {first}-{last}/{}", bytes.len()));
    reply(206, &[("etag", tag), sent], Body::from(bytes.slice(first..=last)))
}

pub(crate) fn admin() -> Context {
    Context::new(Caller::administrator(), "req-mirror")
}

pub(crate) fn member() -> Context {
    Context::new(Caller::member_of("somebody"), "req-mirror")
}

/// Lets time pass, and then go on as it does.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// The names in the list, in their order.
pub(crate) async fn names(service: &dyn ImageService) -> Result<Vec<String>> {
    let query = Query { sort: Sort::by([(SortKey::Name, Direction::Asc)]), ..Query::default() };
    let page = service.index(&member(), &query).await?;
    Ok(page.items.into_iter().filter_map(|image| image.name).collect())
}

/// What is read of an image.
pub(crate) async fn read(
    service: &dyn ImageService,
    id: &ImageId,
    range: Option<ByteRange>,
) -> Result<Vec<u8>> {
    let data = service.get(&member(), id, range).await?.data.unwrap();
    let length = data.range.end - data.range.start;
    let parts: Vec<Bytes> = data.into_stream().try_collect().await?;
    let bytes = parts.concat();
    assert_eq!(bytes.len() as u64, length, "a stream that ended well has the length it announced");
    Ok(bytes)
}

/// The reading part of the contract, for a service with these many images.
pub(crate) async fn check_reading(service: &dyn ImageService, count: usize) {
    let all = service.detail(&member(), &Query::default()).await.unwrap().items;
    assert_eq!(all.len(), count);
    for image in &all {
        assert_eq!(service.show(&member(), &image.id).await.unwrap(), *image);
    }
    for key in SortKey::ALL {
        for way in [Direction::Asc, Direction::Desc] {
            let sort = Sort::by([(*key, way)]);
            let mut expected = all.clone();
            expected.sort_by(|a, b| sort.compare(a, b));
            let walked = walk(service, &Query { sort: sort.clone(), ..Query::default() }, 3).await;
            assert_eq!(walked, expected, "{sort:?}");
            let index = service.index(&admin(), &Query { sort, ..Query::default() }).await.unwrap();
            assert_eq!(index.items, expected.iter().map(Summary::from).collect::<Vec<_>>());
        }
    }
    let some = all.get(count / 2).unwrap();
    for (key, value) in &some.properties {
        let filter = Filter::Property { key: key.clone(), value: value.clone() };
        let expected: Vec<&Image> = all.iter().filter(|image| filter.matches(image)).collect();
        let query = Query { filters: vec![filter.clone()], ..Query::default() };
        let found = service.detail(&member(), &query).await.unwrap().items;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    }
    check_refusals(service, &some.id).await;
}

async fn walk(service: &dyn ImageService, query: &Query, limit: usize) -> Vec<Image> {
    let mut query = Query { limit: NonZeroUsize::new(limit), ..query.clone() };
    let mut all: Vec<Image> = Vec::new();
    for _ in 0..1000 {
        let page = service.detail(&member(), &query).await.unwrap();
        assert!(page.items.len() <= limit);
        all.extend(page.items);
        match all.last() {
            Some(last) if page.more => query.position = Some(query.sort.position_of(last)),
            _ => return all,
        }
    }
    panic!("a walk without an end");
}

/// That nothing is found by an unknown id, and nothing written: not to the image of `id` either.
pub(crate) async fn check_refusals(service: &dyn ImageService, id: &ImageId) {
    for unknown in ["", "..", "x", "00000000-0000-4000-8000-000000000000"] {
        let unknown = ImageId::lookup(unknown);
        assert_eq!(service.show(&admin(), &unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(service.get(&admin(), &unknown, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert!(!service.capabilities().writes.is_yes() && !service.capabilities().uploads.is_yes());
    let made = service.create(&admin(), NewImage::default(), None).await;
    let changed = service.update(&admin(), id, ImageChange::default(), None).await;
    for refused in [made, changed] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotImplemented);
    }
    assert_eq!(service.delete(&admin(), id).await.unwrap_err().kind(), ErrorKind::NotImplemented);
}
