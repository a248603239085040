//! Lists of the dialects of old: how much of a server's time they take, how soon they show what has changed, and what of a
//! list that makes no sense is shown: nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use axum::http::Method;
use image_service::{Caller, Context, ErrorKind, ImageService, Query};
use portico_http::{Dialect, Options, open};
use serde_json::{Value, json};
use server::{Call, Server, answer, id};

const COUNT: usize = 500;

const DIALECTS: [Dialect; 2] = [Dialect::GlanceV1, Dialect::ComputeImages];

/// A server that lists by either API what it is given here, newest first.
struct Listing {
    server: Server,
    records: Arc<Mutex<Vec<Value>>>,
}

impl Listing {
    async fn start(count: usize) -> Self {
        let records: Arc<Mutex<Vec<Value>>> = Arc::new(Mutex::new((0..count).rev().map(record).collect()));
        let held = Arc::clone(&records);
        let server = Server::start(move |call| match call.path.as_str() {
            "/v1/images/detail" | "/v2.1/images/detail" => page(&held.lock().unwrap(), call),
            _ => answer(404, &json!({})),
        })
        .await;
        Self { server, records }
    }

    async fn open(&self, dialect: Dialect, page_size: usize) -> Arc<dyn ImageService> {
        let endpoint = match dialect {
            Dialect::ComputeImages => format!("http://{}/v2.1", self.server.address),
            _ => format!("http://{}", self.server.address),
        };
        let page_size = NonZeroUsize::new(page_size).unwrap();
        open("old", Options { page_size, ..Options::new(dialect, endpoint.parse().unwrap()) }).await.unwrap()
    }

    fn asked(&self) -> usize {
        self.server.count(&Method::GET, "/images/detail")
    }
}

/// One image in the words of both APIs.
fn record(number: usize) -> Value {
    let time = format!("2012-03-04T{:02}:{:02}:{:02}", number / 3600, number / 60 % 60, number % 60);
    json!({
        "id": id(number), "name": format!("image-{number}"), "size": 7, "progress": 100, "links": [],
        "status": "active", "is_public": true, "created_at": time, "updated_at": time, "properties": {},
        "created": format!("{time}Z"), "updated": format!("{time}Z"), "minDisk": 0, "minRam": 0, "metadata": {},
    })
}

/// Only Glance can be asked for another order.
fn page(records: &[Value], call: &Call) -> axum::response::Response {
    let is_nova = call.path.starts_with("/v2.1");
    let mut records = records.to_vec();
    if !is_nova && call.query["sort_dir"] == "asc" {
        records.reverse();
    }
    let start = match call.query.get("marker") {
        None => 0,
        Some(marker) => records.iter().position(|record| record["id"] == json!(marker)).unwrap() + 1,
    };
    let limit: usize = call.query["limit"].parse().unwrap();
    let mut images: Vec<Value> = records.iter().skip(start).take(limit).cloned().collect();
    for image in images.iter_mut().filter(|_| is_nova) {
        image["status"] = json!(image["status"].as_str().unwrap().to_uppercase());
    }
    answer(200, &json!({"images": images}))
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-old")
}

/// The names of all images, page after page.
async fn walk(service: &dyn ImageService) -> (Vec<String>, usize) {
    let (mut query, mut names) = (Query::default(), Vec::new());
    for pages in 1..=COUNT {
        let page = service.detail(&admin(), &query).await.unwrap();
        query.position = page.items.last().map(|last| query.sort.position_of(last));
        query.resume = page.resume;
        names.extend(page.items.into_iter().filter_map(|image| image.name));
        if !page.more {
            return (names, pages);
        }
    }
    panic!("a walk without an end");
}

#[tokio::test]
async fn five_hundred_images_are_listed_in_as_few_requests_as_the_size_of_a_page_allows() {
    let expected: Vec<String> = (0..COUNT).rev().map(|number| format!("image-{number}")).collect();
    for (dialect, page_size, pages, requests) in [
        // Behind the last image a server is asked once more, as neither API says which page is the last.
        (Dialect::GlanceV1, 1000, 1, 2),
        (Dialect::GlanceV1, COUNT, 1, 2),
        (Dialect::ComputeImages, 1000, 1, 2),
        (Dialect::ComputeImages, COUNT, 1, 2),
        // A page, one image more, and, but for the first, a look at what is in front of it.
        (Dialect::GlanceV1, 100, 5, 5 * 2 + 4),
        // Nova cannot be asked for what is in front, so each page is read from the beginning of the list.
        (Dialect::ComputeImages, 100, 5, 2 + 3 + 4 + 5 + 6),
    ] {
        let listing = Listing::start(COUNT).await;
        let service = listing.open(dialect, page_size).await;
        assert_eq!(walk(&*service).await, (expected.clone(), pages), "{dialect:?} {page_size}");
        assert_eq!(listing.asked(), requests, "{dialect:?} {page_size}");
    }
}

#[tokio::test]
async fn what_has_changed_at_the_server_shows_in_the_next_list() {
    for dialect in DIALECTS {
        let listing = Listing::start(3).await;
        let service = listing.open(dialect, 1000).await;
        let names = async || {
            let page = service.detail(&admin(), &Query::default()).await.unwrap();
            page.items.into_iter().filter_map(|image| image.name).collect::<Vec<_>>()
        };
        assert_eq!(names().await, ["image-2", "image-1", "image-0"], "{dialect:?}");
        listing.records.lock().unwrap()[1]["name"] = json!("renamed");
        assert_eq!(names().await, ["image-2", "renamed", "image-0"], "{dialect:?}");
        listing.records.lock().unwrap().remove(0);
        assert_eq!(names().await, ["renamed", "image-0"], "{dialect:?}");
    }
}

#[tokio::test]
async fn a_list_with_anything_wrong_in_it_is_refused_whole_and_says_what_it_is_to_the_operator() {
    for dialect in DIALECTS {
        let (size, made, unknown, no_time) = match dialect {
            Dialect::ComputeImages => {
                ("OS-EXT-IMG-SIZE:size", "created", "a status that nobody knows", "a time that is none")
            }
            _ => (
                "size",
                "created_at",
                "its 'status' is not one that is known",
                "its 'created_at' is not one that is known",
            ),
        };
        for (field, value, why) in [
            ("id", json!(7), "not what it should be"),
            ("status", json!("asleep"), unknown),
            (size, json!("seven"), "not what it should be"),
            (size, json!(-7), "not what it should be"),
            (made, json!("yesterday"), no_time),
        ] {
            let listing = Listing::start(3).await;
            let service = listing.open(dialect, 1000).await;
            listing.records.lock().unwrap()[1][field] = value.clone();
            let error = service.detail(&admin(), &Query::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{dialect:?} {field} {value}");
            assert!(error.chain().contains(why), "{dialect:?} {field} {value}: {}", error.chain());
            assert!(!error.message().contains("image-"), "{error}");
        }
    }
}
