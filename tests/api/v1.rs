//! The Image API v1 through the router, before real services.

mod data;
mod images;
mod lists;
mod members;
mod routes;
mod sources;

use std::sync::Arc;

use axum::body::Body;
use image_service::ImageService;
use portico::api::Settings;
use serde_json::Value;

use crate::door::{Answer, Ask, Door, OCTETS, ask, memory, post};

/// Who may make images public.
const ADMIN: &str = "admin:admin,member,reader";

fn settings() -> Settings {
    Settings { v1: true, ..Settings::default() }
}

fn door() -> Door {
    Door::with(Arc::new(memory()), settings())
}

fn door_to(service: Arc<dyn ImageService>) -> Door {
    Door::with(service, settings())
}

fn head(path: impl AsRef<str>) -> Ask {
    ask("HEAD", path)
}

/// The headers that say these things of an image.
fn saying(mut ask: Ask, said: &[(&'static str, &str)]) -> Ask {
    for (name, value) in said {
        ask = ask.header(name, value);
    }
    ask
}

/// Formats that data can come with.
const RAW: [(&str, &str); 2] =
    [("x-image-meta-disk_format", "raw"), ("x-image-meta-container_format", "bare")];

/// A request for a new image of which this is said beside its formats.
fn new(said: &[(&'static str, &str)]) -> Ask {
    saying(saying(post("/v1/images"), &RAW), said)
}

fn path(id: &str) -> String {
    format!("/v1/images/{id}")
}

fn image(answer: &Answer) -> Value {
    answer.json()["image"].clone()
}

fn id_of(answer: &Answer) -> String {
    image(answer)["id"].as_str().unwrap().to_owned()
}

/// Makes an image without data, as a member of project `a`, and gives its id.
async fn queued(door: &Door, said: &[(&'static str, &str)]) -> String {
    id_of(&door.ask(new(said)).await.expect(201))
}

/// Makes an image with data, as a member of project `a`, and gives its id.
async fn active(door: &Door, data: &'static str) -> String {
    id_of(&door.ask(new(&[]).octets(data)).await.expect(201))
}

/// Data that says nothing of its length, as clients of the time send it.
fn chunked(data: &'static str) -> Body {
    Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>(data)]))
}

/// What is shown of an image in headers.
async fn shown(door: &Door, id: &str) -> Answer {
    door.ask(head(path(id))).await.expect(200)
}

fn with_data(ask: Ask, data: impl Into<Body>) -> Ask {
    ask.header("content-type", OCTETS).body(data)
}
