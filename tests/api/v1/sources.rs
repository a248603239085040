//! Data that lies elsewhere: fetched once, or left there.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use image_service::ImageService;
use portico::federation::{self, Backend, Federation};
use portico::imports::{self, FILE, Imports, STAGING};
use serde_json::json;

use super::{id_of, image, new, path, queued, saying, settings};
use crate::door::{Door, get, memory, put};
use crate::served::{Served, web};

struct World {
    door: Door,
    served: Served,
    _directory: tempfile::TempDir,
}

/// A store of data, one of locations, and imports.
async fn world() -> World {
    world_of(imports::Settings::default()).await
}

async fn world_of(bounds: imports::Settings) -> World {
    let (web, served) = web().await;
    let backend = |name: &str, service| Backend {
        name: name.into(),
        kind: name.into(),
        description: None,
        service,
        deadline: Duration::from_secs(10),
    };
    let backends = vec![backend("local", Arc::new(memory())), backend("web", web)];
    let service: Arc<dyn ImageService> =
        Arc::new(Federation::new(backends, federation::Settings::default()).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let fetch =
        portico_fetch::Settings { ports: Vec::new(), allow_networks, ..portico_fetch::Settings::default() };
    let bounds = imports::Settings { web: fetch, ..bounds };
    let (journal, staging) = (directory.path().join(FILE), directory.path().join(STAGING));
    let imports = Imports::open(journal, staging, Arc::clone(&service), bounds).await.unwrap();
    let door = Door::before(service, settings(), |front| front.with_imports(Some(imports)));
    World { door, served, _directory: directory }
}

impl World {
    /// Waits until nothing is at work on the image, and gives its status.
    async fn settled(&self, id: &str) -> String {
        for _ in 0..10_000 {
            let image = self.door.show(id).await;
            if image.get("os_glance_import_task").is_none() {
                return image["status"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("somebody is still at work on it");
    }
}

#[tokio::test]
async fn what_is_copied_comes_behind_the_clients_back() {
    let world = world().await;
    let url = world.served.put("abc");
    let made = world.door.ask(new(&[("x-glance-api-copy-from", &url)])).await.expect(201);
    assert_eq!(image(&made)["status"], "queued");
    let later = queued(&world.door, &[]).await;
    world.door.ask(put(path(&later)).header("x-glance-api-copy-from", &url)).await.expect(200);
    for id in [id_of(&made), later] {
        assert_eq!(world.settled(&id).await, "active");
        assert_eq!(world.door.ask(get(path(&id))).await.expect(200).body, "abc");
        let again = world.door.ask(put(path(&id)).header("x-glance-api-copy-from", &url)).await.expect(400);
        assert_eq!(again.text(), "Attempted to update Location field for an image not in queued status.");
    }
    // What is on its way is saving, in the words of v1.
    let slow = world.served.put_stream(Box::pin(futures::stream::pending()));
    let id = id_of(&world.door.ask(new(&[("x-glance-api-copy-from", &slow)])).await.expect(201));
    let shown = super::shown(&world.door, &id).await;
    assert_eq!(shown.header("x-image-meta-status"), Some("saving"));
    let saving = world.door.ask(get("/v1/images?status=saving")).await.expect(200).json();
    assert_eq!(saving["images"][0]["id"], id.as_str());
}

#[tokio::test]
async fn a_copy_that_fails_leaves_the_image_queued() {
    let world = world().await;
    let url = world.served.put("abc");
    world.served.clear();
    let made = world.door.ask(new(&[("x-glance-api-copy-from", &url)])).await.expect(201);
    assert_eq!(world.settled(&id_of(&made)).await, "queued");
}

#[tokio::test]
async fn what_stays_elsewhere_is_active_at_once_and_read_from_there() {
    let world = world().await;
    let url = world.served.put("abc");
    let said = [("x-image-meta-location", url.as_str()), ("x-image-meta-size", "3")];
    let made = world.door.ask(new(&said)).await.expect(201);
    assert_eq!((&image(&made)["status"], &image(&made)["size"]), (&json!("active"), &json!(3)));
    assert_eq!(image(&made).get("location"), None);
    let later = queued(&world.door, &[]).await;
    world.door.ask(put(path(&later)).header("x-image-meta-location", &url)).await.expect(200);
    for id in [id_of(&made), later] {
        let answer = world.door.ask(get(path(&id))).await.expect(200);
        assert_eq!((answer.body.as_ref(), answer.header("x-image-meta-location")), (b"abc".as_slice(), None));
        world.door.ask(put(path(&id)).header("x-image-meta-location", &url)).await.expect(400);
    }
}

#[tokio::test]
async fn a_source_that_cannot_be_had_is_refused_and_leaves_no_image_behind() {
    let world = world().await;
    let url = world.served.put("abc");
    let wrong = [("x-image-meta-location", url.as_str()), ("x-image-meta-size", "4")];
    let differs = "Provided image size must match the stored image size. (provided size: 4, stored size: 3)";
    assert_eq!(world.door.ask(new(&wrong)).await.expect(409).text(), differs);
    for (name, value, why) in [
        (
            "x-image-meta-location",
            "file:///etc/passwd",
            "External sources are not supported: 'file:///etc/passwd'",
        ),
        ("x-image-meta-location", "", "External source should not be empty"),
        ("x-glance-api-copy-from", "swift://a/b", "External sources are not supported: 'swift://a/b'"),
        ("x-glance-api-copy-from", "", "External source should not be empty"),
    ] {
        assert_eq!(world.door.ask(new(&[(name, value)])).await.expect(400).text(), why);
    }
    let both = [("x-image-meta-location", url.as_str()), ("x-glance-api-copy-from", url.as_str())];
    world.door.ask(new(&both)).await.expect(400);
    let held = [("x-glance-api-copy-from", url.as_str()), ("x-image-meta-checksum", "00")];
    world.door.ask(new(&held)).await.expect(400);
    let formless = saying(crate::door::post("/v1/images"), &[("x-glance-api-copy-from", &url)]);
    assert_eq!(world.door.ask(formless).await.expect(400).text(), "Disk format is not specified.");
    world.served.clear();
    let protected = [("x-image-meta-location", url.as_str()), ("x-image-meta-protected", "True")];
    world.door.ask(new(&protected)).await.expect(404);
    // With a size there is still nothing there.
    let sized = [("x-image-meta-location", url.as_str()), ("x-image-meta-size", "3")];
    world.door.ask(new(&sized)).await.expect(404);
    assert_eq!(world.door.ask(get("/v1/images")).await.json(), json!({"images": []}));
}

#[tokio::test]
async fn an_import_that_is_refused_leaves_not_even_a_protected_image_behind() {
    let world =
        world_of(imports::Settings { waiting: NonZeroUsize::MIN, ..imports::Settings::default() }).await;
    let url = world.served.put_stream(Box::pin(futures::stream::pending()));
    let first = id_of(&world.door.ask(new(&[("x-glance-api-copy-from", &url)])).await.expect(201));
    let said = [("x-glance-api-copy-from", url.as_str()), ("x-image-meta-protected", "True")];
    world.door.ask(new(&said)).await.expect(503);
    let left = world.door.ask(get("/v1/images")).await.json();
    assert_eq!((left["images"].as_array().unwrap().len(), &left["images"][0]["id"]), (1, &json!(first)));
}

#[tokio::test]
async fn a_location_that_cannot_be_had_changes_nothing_of_an_image() {
    let world = world().await;
    let url = world.served.put("abc");
    let later = queued(&world.door, &[("x-image-meta-property-colour", "red")]).await;
    let wrong = put(path(&later)).header("x-image-meta-location", &url).header("x-image-meta-size", "4");
    world.door.ask(wrong).await.expect(409);
    world.served.clear();
    world.door.ask(put(path(&later)).header("x-image-meta-location", &url)).await.expect(404);
    let shown = super::shown(&world.door, &later).await;
    assert_eq!(shown.header("x-image-meta-property-colour"), Some("red"));
}

#[tokio::test]
async fn data_goes_to_the_store_that_is_named() {
    let world = world().await;
    let made = world.door.ask(new(&[("x-image-meta-store", "local")]).octets("abc")).await.expect(201);
    assert_eq!(world.door.show(&id_of(&made)).await["stores"], "local");
    let refused = world.door.ask(new(&[("x-image-meta-store", "moon")])).await.expect(400);
    assert_eq!(refused.text(), "Required store moon is invalid");
}

#[tokio::test]
async fn data_of_another_format_is_refused_in_a_status_that_clients_of_the_time_know() {
    let world = world().await;
    let refused = new(&[("x-image-meta-disk-format", "qcow2")]).octets("this is no qcow2 at all");
    world.door.ask(refused).await.expect(400);
    assert_eq!(world.door.ask(get("/v1/images")).await.json(), json!({"images": []}));
}
