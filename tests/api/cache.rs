//! The cache through the door: what is in it, what is to come, and what is to go, for administrators.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use image_service::ImageService;
use portico::api::Settings;
use portico::cache::{self, Cache, Clock};
use portico::federation::{self, Backend, Federation};
use serde_json::{Value, json};

use crate::door::{Door, ask, delete, get, id_of, memory, post, put};

struct Site {
    door: Door,
    cache: Cache,
    directory: tempfile::TempDir,
}

impl Site {
    /// Two stores, of which the first is cached.
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let backend = |name: &str| Backend {
            name: name.into(),
            kind: "memory".into(),
            description: None,
            service: Arc::new(memory()),
            deadline: Duration::from_secs(10),
        };
        let federation =
            Federation::new(vec![backend("far"), backend("near")], federation::Settings::default());
        let (settings, stores) = (cache::Settings::at(directory.path()), BTreeSet::from(["far".to_owned()]));
        let service: Arc<dyn ImageService> = Arc::new(federation.unwrap());
        let cache = Cache::open(service, stores, settings, Clock::default()).await.unwrap();
        let beside = cache.clone();
        let door = Door::before(cache.shown(), Settings::default(), |front| front.with_cache(Some(beside)));
        Self { door, cache, directory }
    }

    async fn state(&self) -> Value {
        self.door.ask(get("/v2/cache").by("x:admin")).await.expect(200).json()
    }

    async fn ask(&self, method: &str, path: &str, status: u16) -> Value {
        let answer = self.door.ask(ask(method, path).by("x:admin")).await.expect(status);
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    async fn read(&self, id: &str) {
        self.door.ask(get(format!("/v2/images/{id}/file"))).await.expect(200);
    }

    /// Has an image cached, and waits for it.
    async fn cached(&self, data: &'static [u8]) -> String {
        let id = self.door.active(data).await;
        self.ask("PUT", &format!("/v2/cache/{id}"), 202).await;
        self.comes(|| self.cache.cached().iter().any(|image| image.id.as_str() == id)).await;
        self.comes(|| self.cache.queued().is_empty()).await;
        id
    }

    async fn comes(&self, done: impl Fn() -> bool) {
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(std::time::Instant::now() < end, "it does not come");
            tokio::task::yield_now().await;
        }
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|image| image["image_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_image_that_is_queued_is_cached_and_told_with_its_uses() {
    let site = Site::open().await;
    assert_eq!(site.state().await, json!({"cached_images": [], "queued_images": []}));
    let id = site.cached(b"data").await;
    let state = site.state().await;
    let image = &state["cached_images"][0];
    assert_eq!(image["image_id"], id.as_str());
    assert_eq!((&image["hits"], &image["size"]), (&json!(0), &json!(4)));
    assert_eq!(image["last_accessed"], 0.0);
    assert!(image["last_modified"].as_f64().unwrap() > 1.0e9, "{image}");
    site.read(&id).await;
    let state = site.state().await;
    assert_eq!(state["cached_images"][0]["hits"], 1);
    assert!(state["cached_images"][0]["last_accessed"].as_f64().unwrap() > 1.0e9);
    assert_eq!(site.ask("GET", "/v2/cached_images", 200).await["cached_images"], state["cached_images"]);
    assert_eq!(site.ask("GET", "/v2/queued_images", 200).await, json!({"queued_images": []}));
    assert_eq!(site.ask("GET", &format!("/v2/cache/nodes/{id}"), 200).await, json!([]));
    let other = site.door.active(b"other").await;
    site.ask("PUT", &format!("/v2/queued_images/{other}"), 200).await;
    site.comes(|| site.cache.cached().len() == 2).await;
}

#[tokio::test]
async fn what_cannot_be_cached_is_not_queued() {
    let site = Site::open().await;
    let queued = site.door.queued().await;
    let near = site.door.queued().await;
    let upload = put(format!("/v2/images/{near}/file")).octets("x").header("x-image-meta-store", "near");
    site.door.ask(upload).await.expect(204);
    for (id, status) in [(queued.as_str(), 400), (&near, 409), ("none", 404)] {
        site.ask("PUT", &format!("/v2/cache/{id}"), status).await;
    }
    site.read(&near).await;
    assert_eq!(site.state().await, json!({"cached_images": [], "queued_images": []}));
}

#[tokio::test]
async fn images_go_one_by_one_or_all_at_once() {
    let site = Site::open().await;
    let (one, two) = (site.cached(b"one").await, site.cached(b"two").await);
    site.ask("DELETE", &format!("/v2/cache/{one}"), 204).await;
    assert_eq!(ids(&site.state().await["cached_images"]), [two.as_str()]);
    // It is an image, so it is no mistake to remove it.
    site.ask("DELETE", &format!("/v2/cache/{one}"), 204).await;
    site.ask("DELETE", "/v2/cache/none", 404).await;
    let clear = |target| delete("/v2/cache").by("x:admin").header("x-image-cache-clear-target", target);
    site.door.ask(clear("queue")).await.expect(204);
    assert_eq!(ids(&site.state().await["cached_images"]), [two.as_str()]);
    site.door.ask(clear("all")).await.expect(400);
    site.door.ask(clear("cache")).await.expect(204);
    assert_eq!(site.state().await["cached_images"], json!([]));
    let three = site.cached(b"three").await;
    site.ask("DELETE", "/v2/cache", 204).await;
    assert_eq!(site.state().await["cached_images"], json!([]));
    site.read(&three).await;
    site.comes(|| site.cache.cached().len() == 1).await;
    assert_eq!(site.ask("DELETE", "/v2/cached_images", 200).await, json!({"num_deleted": 1}));
    assert_eq!(site.ask("DELETE", "/v2/queued_images", 200).await, json!({"num_deleted": 0}));
    assert_eq!(site.directory.path().join("data").read_dir().unwrap().count(), 0);
    site.read(&three).await;
}

#[tokio::test]
async fn it_is_cleaned_of_what_belongs_to_nothing_and_of_no_more() {
    let site = Site::open().await;
    let id = site.cached(b"data").await;
    for place in ["data/stray", "incomplete/stray"] {
        std::fs::write(site.directory.path().join(place), "x").unwrap();
    }
    let answer = site.door.ask(post("/v2/cache/clean").by("x:admin")).await.expect(200);
    assert!(answer.body.is_empty());
    assert_eq!(site.directory.path().join("data").read_dir().unwrap().count(), 1);
    assert_eq!(site.directory.path().join("incomplete").read_dir().unwrap().count(), 0);
    let pruned = site.ask("POST", "/v2/cache/prune", 200).await;
    assert_eq!(pruned, json!({"total_files_pruned": 0, "total_bytes_pruned": 0}));
    assert_eq!(ids(&site.state().await["cached_images"]), [id.as_str()]);
}

#[tokio::test]
async fn it_is_for_administrators_and_its_versions_are_told() {
    let site = Site::open().await;
    let id = id_of(&site.door.create(json!({})).await);
    for (method, path) in [
        ("GET", "/v2/cache".to_owned()),
        ("DELETE", "/v2/cache".to_owned()),
        ("PUT", format!("/v2/cache/{id}")),
        ("DELETE", format!("/v2/cache/{id}")),
        ("POST", "/v2/cache/clean".to_owned()),
        ("POST", "/v2/cache/prune".to_owned()),
        ("GET", format!("/v2/cache/nodes/{id}")),
        ("GET", "/v2/cached_images".to_owned()),
        ("DELETE", "/v2/cached_images".to_owned()),
        ("DELETE", format!("/v2/cached_images/{id}")),
        ("GET", "/v2/queued_images".to_owned()),
        ("DELETE", "/v2/queued_images".to_owned()),
        ("PUT", format!("/v2/queued_images/{id}")),
        ("DELETE", format!("/v2/queued_images/{id}")),
    ] {
        let answer = site.door.ask(ask(method, &path).by("a")).await;
        assert_eq!(answer.status, 403, "{method} {path}");
    }
    let versions = site.door.ask(get("/versions")).await.expect(200).json();
    assert_eq!(
        (&versions["versions"][0]["id"], &versions["versions"][0]["status"]),
        (&json!("v2.18"), &json!("CURRENT"))
    );
    site.door.ask(get("/v2.14/cache").by("x:admin")).await.expect(200);
}
