//! The whole list, page by page, as a client of the Image API sees it: over seven backends of awkward sizes whose
//! images were all made in the same second, for every limit from 1 to 30, by `next` and by `marker`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use image_service::{Caller, Image, ImageId, NewImage, Sort, Timestamp};
use portico::api::{self, Front};
use portico::auth::none::Nobody;
use portico::federation::{Backend, Federation, Settings};
use portico_memory::Memory;
use serde_json::Value;
use tower::ServiceExt as _;

const SIZES: [usize; 7] = [0, 1, 24, 25, 26, 999, 1001];

fn image(backend: usize, number: usize) -> Image {
    let id = ImageId::derived("walk", &format!("{backend}/{number}"));
    let new = NewImage { id: Some(id), ..NewImage::default() };
    new.into_image(&Caller::administrator(), Timestamp::from_second(1_000_000_000).unwrap()).unwrap()
}

/// The front over all backends, and the ids in the order that a list must have.
fn front() -> (Router, Vec<String>) {
    let (mut backends, mut all) = (Vec::new(), Vec::new());
    for (number, size) in SIZES.into_iter().enumerate() {
        let memory = Memory::new("memory", portico_memory::Options::default());
        for image in (0..size).map(|index| image(number, index)) {
            memory.seed(image.clone(), None).unwrap();
            all.push(image);
        }
        backends.push(Backend {
            name: format!("b{number}"),
            kind: "memory".into(),
            description: None,
            service: Arc::new(memory),
            deadline: Duration::from_secs(30),
        });
    }
    let sort = Sort::default();
    all.sort_by(|a, b| sort.compare(a, b));
    let service = Arc::new(Federation::new(backends, Settings::default()).unwrap());
    let router = api::router(Front { service, auth: Arc::new(Nobody), settings: api::Settings::default() });
    (router, all.into_iter().map(|image| image.id.to_string()).collect())
}

async fn page(router: &Router, path: &str) -> (Vec<String>, Option<String>) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let ids = body["images"].as_array().unwrap().iter().map(|image| image["id"].as_str().unwrap().to_owned());
    (ids.collect(), body["next"].as_str().map(str::to_owned))
}

/// Walks by following `next`.
async fn by_next(router: &Router, limit: usize, most_pages: usize) -> Vec<String> {
    let (mut walked, mut path) = (Vec::new(), format!("/v2/images?limit={limit}"));
    for _ in 0..most_pages {
        let (ids, next) = page(router, &path).await;
        assert!(ids.len() <= limit);
        walked.extend(ids);
        let Some(next) = next else { return walked };
        assert!(next.starts_with("/v2/images?"), "{next}");
        path = next;
    }
    panic!("the walk at limit {limit} does not end");
}

/// Walks by giving the last id as `marker`, until a page is empty.
async fn by_marker(router: &Router, limit: usize, most_pages: usize) -> Vec<String> {
    let (mut walked, mut path) = (Vec::<String>::new(), format!("/v2/images?limit={limit}"));
    for _ in 0..most_pages {
        let (ids, _) = page(router, &path).await;
        assert!(ids.len() <= limit);
        let Some(last) = ids.last() else { return walked };
        path = format!("/v2/images?limit={limit}&marker={last}");
        walked.extend(ids);
    }
    panic!("the walk at limit {limit} does not end");
}

async fn check(limits: impl Iterator<Item = usize>) {
    let (router, expected) = front();
    assert_eq!(expected.len(), SIZES.iter().sum::<usize>());
    for limit in limits {
        let most_pages = expected.len() / limit + 2;
        assert_eq!(by_next(&router, limit, most_pages).await, expected, "by next, {limit} at a time");
        assert_eq!(by_marker(&router, limit, most_pages).await, expected, "by marker, {limit} at a time");
    }
}

// Several tests, so that the limits are walked side by side.

#[tokio::test]
async fn a_walk_one_at_a_time_is_exact() {
    check(1..=1).await;
}

#[tokio::test]
async fn a_walk_two_or_three_at_a_time_is_exact() {
    check(2..=3).await;
}

#[tokio::test]
async fn a_walk_four_to_nine_at_a_time_is_exact() {
    check(4..=9).await;
}

#[tokio::test]
async fn a_walk_ten_to_thirty_at_a_time_is_exact() {
    check(10..=30).await;
}
