//! A service that is shown a token which a Keystone gives us, and does not always take it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../crates/keystone/tests/scripted/mod.rs"]
mod scripted;
mod server;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Method;
use axum::response::Response;
use futures::TryStreamExt;
use image_service::{
    ByteRange, Caller, Context, ErrorKind, ImageChange, ImageId, ImageService, NewImage, Query, Upload,
};
use portico_http::{Auth, Dialect, GlanceV2, Options};
use portico_keystone::Address;
use scripted::{Keystone, Mood, PASSWORD};
use serde_json::{Value, json};
use server::{Call, Habits, Server, answer, chunks, id, image, page, reply};

fn auth(keystone: &Keystone, password: &str) -> Auth {
    let text = format!("username = 'portico'\npassword = '{password}'\nproject_name = 'service'");
    let (url, credential) = (Address::try_from(keystone.url()).unwrap(), toml::from_str(&text).unwrap());
    Auth::Keystone(Box::new(portico_keystone::Options::new(url, credential)))
}

/// A Glance that takes one of our tokens at a time, and the backend before it.
struct World {
    keystone: Keystone,
    taken: Arc<Mutex<String>>,
    server: Server,
    glance: GlanceV2,
}

fn active() -> Value {
    let mut image = image(1, 1);
    for (key, value) in [
        ("status", json!("active")),
        ("size", json!(3)),
        ("disk_format", json!("raw")),
        ("container_format", json!("bare")),
        ("visibility", json!("private")),
    ] {
        image[key] = value;
    }
    image
}

/// An image that can be given data.
fn queued() -> Value {
    let mut image = image(2, 1);
    (image["disk_format"], image["container_format"]) = (json!("raw"), json!("bare"));
    image
}

fn serve(call: &Call) -> Response {
    match (&call.method, call.path.as_str()) {
        (&Method::POST, "/v2/images") => {
            let mut made = image(1, 1);
            made["id"] = serde_json::from_slice::<Value>(&call.body.0).unwrap()["id"].clone();
            answer(201, &made)
        }
        (&Method::GET, "/v2/images") => page(&[active()], &Habits::default(), call),
        (&Method::GET, path) if path.ends_with("/file") => reply(
            206,
            &[("content-range", "bytes 0-1/3".into()), ("content-length", "2".into())],
            chunks(&["ab"]),
        ),
        (&Method::GET, path) if path.ends_with(&id(2)) => answer(200, &queued()),
        (&Method::GET, _) => answer(200, &active()),
        _ => answer(500, &json!({})),
    }
}

impl World {
    async fn new() -> Self {
        let keystone = Keystone::start().await;
        let taken = Arc::new(Mutex::new(String::from("own-1")));
        let takes = Arc::clone(&taken);
        let server = Server::start(move |call| {
            let shown = call.headers.get("x-auth-token").map(|token| token.to_str().unwrap().to_owned());
            if shown.as_deref() == Some(takes.lock().unwrap().as_str()) {
                serve(call)
            } else {
                answer(401, &json!({}))
            }
        })
        .await;
        let options = Options { auth: auth(&keystone, PASSWORD), ..options(&server) };
        let glance = GlanceV2::open("there", options).await.unwrap();
        Self { keystone, taken, server, glance }
    }

    /// Takes only the token that we shall get next.
    fn takes_the_next(&self) {
        *self.taken.lock().unwrap() = format!("own-{}", self.keystone.logins() + 1);
    }
}

fn options(server: &Server) -> Options {
    Options::new(Dialect::GlanceV2, format!("http://{}", server.address).parse().unwrap())
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-keystone")
}

fn one() -> ImageId {
    ImageId::lookup(id(1))
}

#[tokio::test]
async fn our_token_is_shown_and_got_once() {
    let world = World::new().await;
    for _ in 0..3 {
        world.glance.show(&admin(), &one()).await.unwrap();
    }
    assert!(world.server.calls().iter().all(|call| call.headers["x-auth-token"] == "own-1"));
    assert_eq!((world.server.calls().len(), world.keystone.logins()), (3, 1));
}

#[tokio::test]
async fn a_callers_own_token_stays_here_and_tenancy_is_enforced_here() {
    let world = World::new().await;
    let caller = Caller { token: Some(image_service::Secret::new("theirs")), ..Caller::member_of("others") };
    let context = Context::new(caller, "r");
    assert_eq!(world.glance.show(&context, &one()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(world.glance.detail(&context, &Query::default()).await.unwrap().items.is_empty());
    assert!(world.server.calls().iter().all(|call| call.headers["x-auth-token"] == "own-1"));
}

#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_replaced_once_in_every_request_whose_body_is_at_hand() {
    let world = World::new().await;
    world.glance.show(&admin(), &one()).await.unwrap();
    world.takes_the_next();
    world.glance.show(&admin(), &one()).await.unwrap();
    world.takes_the_next();
    world.glance.detail(&admin(), &Query::default()).await.unwrap();
    world.takes_the_next();
    world.glance.create(&admin(), NewImage::default(), None).await.unwrap();
    assert_eq!(world.keystone.logins(), 4);
    assert_eq!(world.server.count(&Method::POST, "/v2/images"), 2);
    let calls = world.server.calls();
    let bodies: Vec<_> =
        calls.iter().filter(|call| call.method == Method::POST).map(|call| call.body.0.clone()).collect();
    assert_eq!(bodies[0], bodies[1]);
    assert!(!bodies[0].is_empty());
}

#[tokio::test]
async fn a_download_whose_token_ends_between_the_record_and_the_data_gets_a_new_one() {
    let (keystone, once) = (Keystone::start().await, AtomicBool::new(true));
    let server = Server::start(move |call| {
        let refuses = call.path.ends_with("/file") && once.swap(false, Ordering::Relaxed);
        if refuses { answer(401, &json!({})) } else { serve(call) }
    })
    .await;
    let glance = GlanceV2::open("there", Options { auth: auth(&keystone, PASSWORD), ..options(&server) });
    let range = Some(ByteRange::Between(0, 1));
    let data = glance.await.unwrap().get(&admin(), &one(), range).await.unwrap().data.unwrap();
    assert_eq!(data.into_stream().try_collect::<Vec<_>>().await.unwrap().concat(), b"ab");
    let ranges: Vec<_> =
        server.calls().iter().filter_map(|call| call.headers.get("range").cloned()).collect();
    assert_eq!(ranges, ["bytes=0-1", "bytes=0-1"]);
    assert_eq!(keystone.logins(), 2);
}

#[tokio::test]
async fn an_upload_whose_token_is_refused_fails_and_the_next_request_has_a_new_one() {
    let keystone = Keystone::start().await;
    let server = Server::start(|call| match call.method {
        Method::PUT => answer(401, &json!({})),
        _ => serve(call),
    })
    .await;
    let glance = GlanceV2::open("there", Options { auth: auth(&keystone, PASSWORD), ..options(&server) });
    let glance = glance.await.unwrap();
    let two = ImageId::lookup(id(2));
    let upload = Upload::from_bytes("abc");
    let error = glance.update(&admin(), &two, ImageChange::default(), Some(upload)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let puts = server.count(&Method::PUT, "/file");
    assert_eq!(puts, 1);
    glance.show(&admin(), &one()).await.unwrap();
    let last = server.calls().pop().unwrap();
    assert_eq!(last.headers["x-auth-token"], "own-2");
}

#[tokio::test]
async fn a_token_that_is_never_taken_is_tried_twice_and_then_told_as_refused() {
    let world = World::new().await;
    *world.taken.lock().unwrap() = String::from("none of ours");
    let error = world.glance.show(&admin(), &one()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!((world.server.calls().len(), world.keystone.logins()), (2, 2));
}

#[tokio::test]
async fn a_silent_keystone_is_silence_of_the_backend_and_a_wrong_password_a_refusal() {
    let world = World::new().await;
    world.keystone.is(Mood::Answers(500));
    let error = world.glance.show(&admin(), &one()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let options = Options { auth: auth(&world.keystone, "wrong-horse"), ..options(&world.server) };
    world.keystone.is(Mood::Well);
    let glance = GlanceV2::open("there", options).await.unwrap();
    let error = glance.show(&admin(), &one()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!error.chain().to_string().contains("wrong-horse"));
    assert_eq!(world.server.calls().len(), 0);
}

#[tokio::test]
async fn a_keystone_slower_than_a_caller_waits_gives_its_token_all_the_same() {
    let world = World::new().await;
    world.keystone.holds();
    let soon = std::time::Instant::now() + Duration::from_millis(50);
    let hasty = Context { deadline: Some(soon), ..admin() };
    assert_eq!(world.glance.show(&hasty, &one()).await.unwrap_err().kind(), ErrorKind::TimedOut);
    world.keystone.goes_on();
    world.glance.show(&admin(), &one()).await.unwrap();
    assert_eq!(world.keystone.logins(), 1);
}
