//! The whole list, page by page, as a client of the Image API sees it: over seven backends of awkward sizes whose
//! images were all made in the same second, for every limit from 1 to 30, by `next` and by `marker`; and over backends
//! that cut pages to 1, 25 and 1000 images, while images are made, deleted, the marker's too, and renamed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

#[allow(dead_code, reason = "it has more bends than are wanted here")]
#[path = "federation/bent.rs"]
mod bent;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bent::{Bend, bent};
use http::Request;
use http_body_util::BodyExt as _;
use image_service::{Caller, Context, Image, ImageId, ImageService, NewImage, Sort, Timestamp};
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

fn memories() -> Vec<(Arc<Memory>, Vec<Image>)> {
    let stocked = |(backend, size)| {
        let memory = Memory::new("memory", portico_memory::Options::default());
        let images: Vec<Image> = (0..size).map(|number| image(backend, number)).collect();
        for image in &images {
            memory.seed(image.clone(), None).unwrap();
        }
        (Arc::new(memory), images)
    };
    SIZES.into_iter().enumerate().map(stocked).collect()
}

fn door(services: impl IntoIterator<Item = Arc<dyn ImageService>>) -> Router {
    let backends = services.into_iter().enumerate().map(|(number, service)| Backend {
        name: format!("b{number}"),
        kind: "memory".into(),
        description: None,
        service,
        deadline: Duration::from_secs(30),
    });
    let service = Arc::new(Federation::new(backends.collect(), Settings::default()).unwrap());
    api::router(Front::new(service, Arc::new(Nobody), api::Settings::default()))
}

/// The ids in the order that a list must have.
fn in_order(mut images: Vec<Image>) -> Vec<String> {
    let sort = Sort::default();
    images.sort_by(|a, b| sort.compare(a, b));
    images.into_iter().map(|image| image.id.to_string()).collect()
}

/// The front over all backends, and what it must list.
fn front() -> (Router, Vec<String>) {
    let (memories, images): (Vec<_>, Vec<_>) = memories().into_iter().unzip();
    let router = door(memories.into_iter().map(|memory| memory as Arc<dyn ImageService>));
    (router, in_order(images.concat()))
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

/// How a client asks for the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Next,
    Marker,
}

/// What is in the backends while somebody makes, deletes and renames images.
struct Changing {
    memories: Vec<Arc<Memory>>,
    /// The images that are there, and whose they are.
    held: Vec<(usize, Image)>,
    made: BTreeSet<String>,
    turn: usize,
}

impl Changing {
    fn new(stocked: Vec<(Arc<Memory>, Vec<Image>)>) -> Self {
        let (mut memories, mut held) = (Vec::new(), Vec::new());
        for (number, (memory, images)) in stocked.into_iter().enumerate() {
            memories.push(memory);
            held.extend(images.into_iter().map(|image| (number, image)));
        }
        Self { memories, held, made: BTreeSet::new(), turn: 0 }
    }

    /// Makes an image, renames one, and deletes one: every other time the last of the page that has just been given.
    async fn change(&mut self, last: &str) {
        self.turn += 1;
        let member = self.turn % self.memories.len();
        let made = image(member, 10_000 + self.turn);
        self.memories[member].seed(made.clone(), None).unwrap();
        self.made.insert(made.id.to_string());
        self.held.push((member, made));

        let renamed = self.turn * 7919 % self.held.len();
        let (member, image) = &mut self.held[renamed];
        image.name = Some(format!("renamed {}", self.turn));
        self.memories[*member].seed(image.clone(), None).unwrap();

        let at_marker = self.held.iter().position(|(_, image)| image.id.as_str() == last);
        let any = self.turn * 104_729 % self.held.len();
        let deleted = at_marker.filter(|_| self.turn.is_multiple_of(2)).unwrap_or(any);
        let (member, image) = self.held.swap_remove(deleted);
        let context = Context::new(Caller::administrator(), "req-change");
        self.memories[member].delete(&context, &image.id).await.unwrap();
    }
}

/// Walks over backends that cut their pages, while images come, go and change between all pages.
async fn check_changing(cap: usize, limit: usize, by: By) {
    let mut world = Changing::new(memories());
    let services = world.memories.iter().map(|memory| {
        let memory: Arc<dyn ImageService> = Arc::<Memory>::clone(memory);
        bent(memory, Bend::ShortPages(cap))
    });
    let router = door(services);
    let first = in_order(world.held.iter().map(|(_, image)| image.clone()).collect());
    let (mut walked, mut path) = (Vec::<String>::new(), format!("/v2/images?limit={limit}"));
    for _ in 0..2 * first.len() {
        let (ids, next) = page(&router, &path).await;
        let Some(last) = ids.last().cloned() else { break };
        walked.extend(ids);
        match (by, next) {
            (By::Next, None) => break,
            (By::Next, Some(next)) => path = next,
            (By::Marker, _) => path = format!("/v2/images?limit={limit}&marker={last}"),
        }
        world.change(&last).await;
    }
    // All were made in one second, so the order is that of the ids, last first.
    let case = format!("pages of {cap}, {limit} at a time, by {by:?}");
    assert!(walked.is_sorted_by(|a, b| a > b), "{case}: out of order, or twice");
    let met: BTreeSet<&String> = walked.iter().collect();
    let there: BTreeSet<String> = world.held.iter().map(|(_, image)| image.id.to_string()).collect();
    for id in &first {
        assert!(met.contains(id) || !there.contains(id), "{case}: {id} was there all the time");
    }
    let known: BTreeSet<&String> = first.iter().chain(&world.made).collect();
    assert!(met.is_subset(&known), "{case}: an image that never was");
}

#[tokio::test]
async fn a_walk_over_pages_of_one_is_exact_while_images_come_and_go() {
    for by in [By::Next, By::Marker] {
        check_changing(1, 30, by).await;
    }
}

#[tokio::test]
async fn a_walk_over_pages_of_25_is_exact_while_images_come_and_go() {
    for (limit, by) in [(7, By::Next), (7, By::Marker), (100, By::Next), (100, By::Marker)] {
        check_changing(25, limit, by).await;
    }
}

#[tokio::test]
async fn a_walk_over_pages_of_1000_is_exact_while_images_come_and_go() {
    for (limit, by) in [(25, By::Next), (25, By::Marker), (1000, By::Next), (1000, By::Marker)] {
        check_changing(1000, limit, by).await;
    }
}
