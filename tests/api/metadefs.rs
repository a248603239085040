//! The catalogue of metadata definitions: every row of the API, with its answer and each of its refusals.

mod contents;
mod namespaces;
mod roles;
mod schemas;

use std::sync::Arc;

use image_service::ImageService;
use portico::api::Settings;
use portico::metadefs::{Bounds, FILE, Metadefs};
use serde_json::{Value, json};

use crate::door::{Answer, Ask, Door, delete, get, memory, post, put};

const NAMESPACES: &str = "/v2/metadefs/namespaces";

/// A door to an empty catalogue.
struct Catalogue {
    door: Door,
    _directory: tempfile::TempDir,
}

impl Catalogue {
    async fn new() -> Self {
        Self::within(Bounds::default(), Settings::default()).await
    }

    async fn within(bounds: Bounds, settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let metadefs = Metadefs::open(directory.path().join(FILE), bounds).await.unwrap();
        let service: Arc<dyn ImageService> = Arc::new(memory());
        let door = Door::before(service, settings, |front| front.with_metadefs(Some(metadefs)));
        Self { door, _directory: directory }
    }

    /// Asks as an administrator of project `a`.
    async fn ask(&self, ask: Ask) -> Answer {
        self.door.ask(ask.by("a:admin")).await
    }

    /// Makes a namespace with one of everything in it.
    async fn furnish(&self, name: &str, more: Value) -> Answer {
        let mut said = json!({
            "namespace": name,
            "properties": {"p": {"title": "P", "type": "string"}},
            "objects": [{"name": "o", "required": ["a"], "properties": {"a": {"title": "A", "type": "integer"}}}],
            "tags": [{"name": "t"}],
            "resource_type_associations": [{"name": "R", "prefix": "x:"}],
        });
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ask(post(NAMESPACES).json(&said)).await.expect(201)
    }

    async fn shown(&self, path: &str) -> Value {
        self.ask(get(of(path))).await.expect(200).json()
    }

    /// Whether each of these is refused with 400.
    async fn refuses(&self, ask: impl Fn() -> Ask, bodies: &[Value]) {
        for body in bodies {
            let answer = self.ask(ask().json(body)).await;
            assert_eq!(answer.status, 400, "{body}");
        }
        for (body, message) in [("", "Body expected"), ("{", "Malformed JSON"), ("5", "Unexpected body type")]
        {
            assert!(self.ask(ask().body(body)).await.expect(400).message().contains(message));
        }
    }
}

/// The path of something in the catalogue.
fn of(path: &str) -> String {
    format!("{NAMESPACES}/{path}")
}

/// Without times, which are checked to be some.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            for key in ["created_at", "updated_at"] {
                if let Some(time) = object.remove(key) {
                    let time = time.as_str().unwrap();
                    assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
                }
            }
            object.values_mut().for_each(|value| *value = timeless(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = timeless(value.take())),
        _ => {}
    }
    value
}

/// The names of what is under `list` in an answer.
fn names(answer: &Value, list: &str, key: &str) -> Vec<String> {
    answer[list].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn without_a_place_for_it_the_catalogue_is_empty_and_cannot_be_written() {
    let door = Door::to_memory();
    for (ask, status) in [
        (get(NAMESPACES), 200),
        (get("/v2/metadefs/resource_types"), 200),
        (get(of("n")), 404),
        (get(of("n/tags/t")), 404),
        (post(NAMESPACES).json(&json!({"namespace": "n"})), 403),
        (delete(of("n")), 403),
        (put(of("n/tags/t")).json(&json!({"name": "u"})), 403),
        (get("/v2/schemas/metadefs/namespace"), 200),
    ] {
        let said = format!("{ask:?}");
        assert_eq!(door.ask(ask.by("a:admin")).await.status, status, "{said}");
    }
    let answer = door.ask(get(NAMESPACES)).await.json();
    assert_eq!(answer["namespaces"], json!([]));
}
