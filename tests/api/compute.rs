//! The images of the Compute API through the router, before real services.

mod images;
mod lists;
mod metadata;
mod routes;

use std::sync::Arc;

use image_service::ImageService;
use portico::api::Settings;
use serde_json::{Value, json};

use crate::door::{Answer, Door, id_of, memory, post};

/// Who may make images public.
const ADMIN: &str = "a:admin,member,reader";

const ABSENT: &str = "11111111-2222-3333-4444-555555555555";

fn settings() -> Settings {
    Settings { compute: true, public_endpoint: Some("http://x".into()), ..Settings::default() }
}

fn door() -> Door {
    Door::with(Arc::new(memory()), settings())
}

fn door_to(service: Arc<dyn ImageService>) -> Door {
    Door::with(service, settings())
}

/// Makes an image, and gives its id.
async fn made(door: &Door, image: Value, caller: &str) -> String {
    id_of(&door.ask(post("/v2/images").json(&image).by(caller)).await.expect(201).json())
}

/// Makes an image of project `a` with these properties, and gives its id.
async fn with(door: &Door, properties: Value) -> String {
    let mut image = json!({"name": "it", "disk_format": "raw", "container_format": "bare"});
    image.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    made(door, image, "a").await
}

/// Makes a public image, and gives its id.
async fn public(door: &Door) -> String {
    made(door, json!({"name": "public", "visibility": "public", "colour": "red"}), ADMIN).await
}

fn path(id: &str) -> String {
    format!("/v2.1/images/{id}")
}

/// The name of a fault, and what it says.
fn fault(answer: &Answer) -> (String, String) {
    let fault = answer.json();
    let (name, said) = fault.as_object().unwrap().iter().next().unwrap();
    (name.clone(), said["message"].as_str().unwrap().to_owned())
}
