//! A federation behind the door: its backends are stores, and those that are silent are named.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use image_service::{ErrorKind, ImageService, Partial};
use portico::api;
use portico::federation::{Backend, Federation, Settings};
use serde_json::json;

use crate::door::{Door, delete, get, id_of, memory, post, put};
use crate::flawed::{Flaw, Flawed};

fn backend(name: &str, service: Arc<dyn ImageService>) -> Backend {
    Backend {
        name: name.into(),
        kind: "memory".into(),
        description: (name == "paris").then(|| "far away".into()),
        service,
        deadline: Duration::from_secs(10),
    }
}

fn federation(backends: Vec<Backend>) -> Arc<dyn ImageService> {
    Arc::new(Federation::new(backends, Settings::default()).unwrap())
}

fn two_stores() -> Door {
    Door::to(federation(vec![backend("local", Arc::new(memory())), backend("paris", Arc::new(memory()))]))
}

/// A store that answers and one that does not.
fn half_silent(partial: Partial) -> Door {
    half_silent_with(api::Settings { partial, ..api::Settings::default() })
}

fn half_silent_with(settings: api::Settings) -> Door {
    let silent = Flawed { inner: Arc::new(memory()), flaw: Flaw::Fails(ErrorKind::Refused) };
    let service = federation(vec![backend("local", Arc::new(memory())), backend("paris", Arc::new(silent))]);
    Door::with(service, settings)
}

#[tokio::test]
async fn the_stores_are_told_and_their_details_to_administrators() {
    let door = two_stores();
    let stores = door.ask(get("/v2/info/stores")).await.expect(200).json();
    assert_eq!(
        stores["stores"],
        json!([{"id": "local", "default": "true"}, {"id": "paris", "description": "far away"}])
    );
    door.ask(get("/v2/info/stores/detail")).await.expect(403);
    let detail = door.ask(get("/v2/info/stores/detail").by("x:admin")).await.expect(200).json();
    assert_eq!(detail["stores"][1]["type"], "memory");
    let versions = door.ask(get("/versions")).await.expect(200).json();
    assert_eq!(versions["versions"][0]["id"], "v2.15");
    door.ask(get("/v2.8/images")).await.expect(200);
}

#[tokio::test]
async fn a_client_can_prefer_stores_that_there_are_if_its_role_lets_it() {
    let door = two_stores();
    let id = door.active(b"data").await;
    let from = |stores: &str| get(format!("/v2/images/{id}/file?prefer={stores}"));
    for stores in ["local", "paris", "paris,%20local", "", "%20,"] {
        assert_eq!(door.ask(from(stores)).await.expect(200).body, "data", "{stores}");
    }
    assert!(door.ask(from("local,rome")).await.expect(400).message().starts_with("prefer:"));
    let policy = api::Policy { download_from_store: api::Roles::of(&[]), ..api::Policy::default() };
    let service = federation(vec![backend("local", Arc::new(memory()))]);
    let door = Door::with(service, api::Settings { policy, ..api::Settings::default() });
    let id = door.active(b"data").await;
    door.ask(get(format!("/v2/images/{id}/file?prefer=local"))).await.expect(403);
    door.ask(get(format!("/v2/images/{id}/file"))).await.expect(200);
}

#[tokio::test]
async fn a_named_store_is_where_the_image_goes() {
    let door = two_stores();
    let formats = json!({"disk_format": "raw", "container_format": "bare"});
    let create = post("/v2/images").json(&formats).header("x-image-meta-store", "paris");
    let created = door.ask(create).await.expect(201);
    assert_eq!(created.header("openstack-image-store-ids"), Some("local,paris"));
    let id = id_of(&created.json());
    door.ask(put(format!("/v2/images/{id}/file")).octets("abc")).await.expect(204);
    assert_eq!(door.show(&id).await["stores"], "paris");
    let unknown = post("/v2/images").json(&formats).header("x-image-meta-store", "atlantis");
    door.ask(unknown).await.expect(400);
    let queued = door.queued().await;
    let path = format!("/v2/images/{queued}/file");
    door.ask(put(&path).octets("abc").header("x-image-meta-store", "atlantis")).await.expect(400);
    door.ask(put(&path).octets("abc").header("x-image-meta-store", "local")).await.expect(204);
    assert_eq!(door.show(&queued).await["stores"], "local");
}

#[tokio::test]
async fn a_copy_is_removed_by_administrators_and_never_the_last() {
    let door = two_stores();
    let id = door.active(b"abc").await;
    let path = |store: &str, id: &str| format!("/v2/stores/{store}/{id}");
    door.ask(delete(path("local", &id))).await.expect(403);
    door.ask(delete(path("local", &id)).by("b")).await.expect(404);
    door.ask(delete(path("local", &id)).by("x:admin")).await.expect(403);
    door.ask(delete(path("paris", &id)).by("x:admin")).await.expect(404);
    door.ask(delete(path("atlantis", &id)).by("x:admin")).await.expect(409);
    door.ask(delete(path("local", "absent")).by("x:admin")).await.expect(404);
}

#[tokio::test]
async fn a_list_names_the_backends_that_are_missing_or_is_refused() {
    let door = half_silent(Partial::Serve);
    door.create(json!({"name": "here"})).await;
    let answer = door.ask(get("/v2/images")).await.expect(200);
    assert_eq!(answer.header("portico-backends"), Some("local=ok, paris=refused"));
    assert_eq!(answer.json()["images"][0]["name"], "here");
    door.ask(get("/v2/images").header("portico-partial", "refuse")).await.expect(503);
    door.ask(get("/v2/images").header("portico-partial", "perhaps")).await.expect(400);
    let strict = half_silent(Partial::Refuse);
    strict.ask(get("/v2/images")).await.expect(503);
    strict.ask(get("/v2/images").header("portico-partial", "serve")).await.expect(200);
    door.ask(get("/v2/images/absent")).await.expect(503);
}

#[tokio::test]
async fn the_lists_of_the_older_apis_name_them_too() {
    for list in ["/v1/images", "/v1/images/detail", "/v2.1/images", "/v2.1/images/detail"] {
        let settings = api::Settings { v1: true, compute: true, ..api::Settings::default() };
        let door = half_silent_with(api::Settings { partial: Partial::Serve, ..settings.clone() });
        let answer = door.ask(get(list)).await.expect(200);
        assert_eq!(answer.header("portico-backends"), Some("local=ok, paris=refused"), "{list}");
        door.ask(get(list).header("portico-partial", "refuse")).await.expect(503);
        let strict = half_silent_with(api::Settings { partial: Partial::Refuse, ..settings });
        strict.ask(get(list)).await.expect(503);
        strict.ask(get(list).header("portico-partial", "serve")).await.expect(200);
    }
}

#[tokio::test]
async fn a_walk_over_a_federation_gives_every_image_once() {
    let door = two_stores();
    for number in 0..30 {
        let store = if number % 3 == 0 { "paris" } else { "local" };
        let image = json!({"name": format!("image {}", number % 7)});
        door.ask(post("/v2/images").json(&image).header("x-image-meta-store", store)).await.expect(201);
    }
    let whole = door.ask(get("/v2/images?sort=name:asc&limit=100")).await.json()["images"].clone();
    assert_eq!(whole.as_array().unwrap().len(), 30);
    for limit in (1..=31).filter_map(NonZeroUsize::new) {
        let (mut path, mut seen) = (format!("/v2/images?sort=name:asc&limit={limit}"), Vec::new());
        for _ in 0..=30 {
            let list = door.ask(get(&path)).await.expect(200).json();
            seen.extend(list["images"].as_array().unwrap().clone());
            match list["next"].as_str() {
                Some(next) => next.clone_into(&mut path),
                None => break,
            }
        }
        assert_eq!(json!(seen), whole, "{limit} at a time");
    }
}
