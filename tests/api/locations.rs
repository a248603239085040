//! Where the data of images lies: shown, changed, posted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{Digester, HashAlgorithm, ImageService, Result};
use portico::api::{LocationSettings, Settings};
use portico::federation::{self, Backend, Federation};
use portico::imports::{self, FILE, Imports, STAGING};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::door::{Answer, Door, delete, get, id_of, memory, patch, post, put};
use crate::served::{Served, web};

struct World {
    door: Door,
    served: Served,
    imports: Imports,
    _directory: tempfile::TempDir,
}

/// A store of data and one of locations, of which everything is shown.
async fn shown() -> World {
    world(LocationSettings { show: true, direct_url: true }).await
}

async fn world(shown: LocationSettings) -> World {
    let (web, served) = web().await;
    let backend = |name: &str, service| Backend {
        name: name.into(),
        kind: name.into(),
        description: None,
        service,
        deadline: Duration::from_secs(10),
    };
    let backends = vec![backend("local", Arc::new(memory())), backend("web", web)];
    let service = Arc::new(Federation::new(backends, federation::Settings::default()).unwrap());
    let settings = Settings { locations: shown, ..Settings::default() };
    let directory = tempfile::tempdir().unwrap();
    let one = std::num::NonZeroUsize::MIN;
    let bounds =
        imports::Settings { jobs: one, waiting: one.saturating_add(1), ..imports::Settings::default() };
    let (journal, staging) = (directory.path().join(FILE), directory.path().join(STAGING));
    let service: Arc<dyn ImageService> = service;
    let imports = Imports::open(journal, staging, Arc::clone(&service), bounds).await.unwrap();
    let given = imports.clone();
    let door = Door::before(service, settings, |front| front.with_imports(Some(given)));
    World { door, served, imports, _directory: directory }
}

impl World {
    async fn add(&self, id: &str, location: Value) -> Answer {
        self.door.patch(id, json!([{"op": "add", "path": "/locations/-", "value": location}])).await
    }

    async fn post(&self, id: &str, body: Value) -> Answer {
        self.door.ask(post(format!("/v2/images/{id}/locations")).json(&body)).await
    }

    /// Waits until nothing looks at a location of the image any more, and shows it.
    async fn settled(&self, id: &str) -> Value {
        for _ in 0..1000 {
            let image = self.door.show(id).await;
            if image.get("os_glance_import_task").is_none() {
                return image;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("somebody still looks at it");
    }
}

fn at(url: &str) -> Value {
    json!({"url": url, "metadata": {}})
}

fn hash_of(algorithm: HashAlgorithm, data: &str) -> String {
    let mut digester = Digester::with(algorithm);
    digester.update(data.as_bytes());
    digester.finish(None).unwrap().hash.value
}

#[tokio::test]
async fn data_that_is_uploaded_has_a_location_too() {
    let World { door, .. } = shown().await;
    let id = door.queued().await;
    let image = door.show(&id).await;
    assert_eq!((&image["locations"], image.get("direct_url")), (&json!([]), None));
    door.ask(put(format!("/v2/images/{id}/file")).octets("data")).await.expect(204);
    let image = door.show(&id).await;
    let url = format!("store://local/{id}");
    assert_eq!(image["locations"], json!([{"url": url, "metadata": {"store": "local"}}]));
    assert_eq!(image["direct_url"], url.as_str());
    let list = door.ask(get("/v2/images")).await.expect(200).json();
    assert_eq!(list["images"][0], image);
}

#[tokio::test]
async fn a_location_makes_an_image_active_and_its_data_is_given_out() {
    let World { door, served, .. } = shown().await;
    let id = door.queued().await;
    let url = served.put("data");
    let location = json!({"url": url, "metadata": {"foo": "bar", "store": "elsewhere"}});
    let steps = json!([
        {"op": "replace", "path": "/name", "value": "far away"},
        {"op": "add", "path": "/locations/-", "value": location},
    ]);
    let image = door.patch(&id, steps).await.expect(200).json();
    assert_eq!(
        (&image["status"], &image["size"], &image["name"]),
        (&json!("active"), &json!(4), &json!("far away"))
    );
    assert_eq!((&image["checksum"], &image["os_hash_algo"]), (&Value::Null, &Value::Null));
    assert_eq!(image["locations"], json!([{"url": url, "metadata": {"foo": "bar", "store": "web"}}]));
    assert_eq!((&image["direct_url"], &image["stores"]), (&json!(url), &json!("web")));
    assert_eq!(door.show(&id).await, image);
    let data = door.ask(get(format!("/v2/images/{id}/file"))).await.expect(200);
    assert_eq!(data.body, "data");
    door.ask(get(format!("/v2/images/{id}/file")).header("range", "bytes=1-2")).await.expect(206);
    served.clear();
    door.ask(get(format!("/v2/images/{id}/file"))).await.expect(503);
    door.ask(delete(format!("/v2/images/{id}"))).await.expect(204);
}

#[tokio::test]
async fn locations_are_added_rearranged_and_removed() {
    let World { door, served, .. } = shown().await;
    let id = door.queued().await;
    let url = served.put("data");
    let second = format!("{url}#new");
    for location in [
        json!({"url": url, "metadata": {"foo": "bar"}}),
        json!({"url": second, "metadata": {"speed": "88mph"}}),
    ] {
        let steps = json!([{"add": "/locations/-", "value": location}]);
        let request =
            patch(&id, steps).header("content-type", "application/openstack-images-v2.0-json-patch");
        door.ask(request).await.expect(200);
    }
    let mut locations = door.show(&id).await["locations"].clone();
    assert_eq!((locations[0]["url"].as_str(), locations[1]["url"].as_str()), (Some(&*url), Some(&*second)));
    let replace = async |value: Value| {
        door.patch(&id, json!([{"op": "replace", "path": "/locations", "value": value}])).await
    };
    replace(locations.clone()).await.expect(200);
    locations[0]["metadata"]["date"] = "2015-10-15".into();
    replace(locations.clone()).await.expect(200);
    replace(json!([locations[0]])).await.expect(400);
    replace(json!([locations[0], {"url": format!("{url}#new3"), "metadata": {}}])).await.expect(400);
    replace(json!([])).await.expect(403);
    assert_eq!(door.show(&id).await["locations"], locations);
    let remove = async |place: &str| {
        let steps = json!([{"op": "remove", "path": format!("/locations/{place}")}]);
        door.ask(patch(&id, steps).by("x:admin")).await
    };
    door.patch(&id, json!([{"op": "remove", "path": "/locations/0"}])).await.expect(403);
    remove("2").await.expect(400);
    remove("0").await.expect(200);
    let image = door.show(&id).await;
    assert_eq!((&image["locations"][0], &image["locations"][1]), (&locations[1], &Value::Null));
    assert_eq!(image["direct_url"], second.as_str());
    remove("-").await.expect(403);
}

#[tokio::test]
async fn what_is_said_of_the_data_is_believed_once() {
    let world = shown().await;
    let (id, url) = (world.door.queued().await, world.served.put("data"));
    let said =
        json!({"checksum": "1".repeat(32), "os_hash_algo": "sha512", "os_hash_value": "deadbeef".repeat(16)});
    let with = |fragment: &str, data: &Value| json!({"url": format!("{url}{fragment}"), "metadata": {}, "validation_data": data});
    for (key, wrong) in
        [("os_hash_algo", "sha256"), ("os_hash_value", "dead"), ("checksum", "x".repeat(32).as_str())]
    {
        let mut data = said.clone();
        data[key] = wrong.into();
        world.add(&id, with("", &data)).await.expect(409);
    }
    let image = world.add(&id, with("", &said)).await.expect(200).json();
    for key in ["checksum", "os_hash_algo", "os_hash_value"] {
        assert_eq!(image[key], said[key]);
    }
    assert_eq!(image["locations"], json!([{"url": url, "metadata": {"store": "web"}}]));
    world.add(&id, with("#new", &said)).await.expect(200);
    let other =
        json!({"checksum": "2".repeat(32), "os_hash_algo": "sha256", "os_hash_value": "beefdead".repeat(16)});
    for key in ["checksum", "os_hash_algo", "os_hash_value"] {
        let mut data = said.clone();
        data[key] = other[key].clone();
        world.add(&id, with("#other", &data)).await.expect(409);
    }
    world.add(&id, with("#other", &other)).await.expect(409);
    assert_eq!(world.door.show(&id).await["locations"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_a_location_is_refused_and_changes_nothing() {
    let world = shown().await;
    let (id, url) = (world.door.queued().await, world.served.put("data"));
    for wrong in [
        "gopher://info.cern.ch",
        "file:///etc/passwd",
        "http://10.0.0.1/x",
        "http://[::1]/",
        "",
        "store://local/x",
    ] {
        let steps = json!([
            {"op": "replace", "path": "/name", "value": "new"},
            {"op": "add", "path": "/locations/-", "value": at(wrong)},
        ]);
        let answer = world.door.patch(&id, steps).await.expect(400).json();
        assert!(answer["error"]["message"].as_str().unwrap().starts_with("Invalid location"), "{answer}");
    }
    world.add(&id, at(&format!("{url}9"))).await.expect(400);
    let image = world.door.show(&id).await;
    assert_eq!(
        (&image["status"], &image["name"], &image["locations"]),
        (&json!("queued"), &Value::Null, &json!([]))
    );
    world.door.patch(&id, json!([{"op": "remove", "path": "/locations/0"}])).await.expect(403);
    let formless = id_of(&world.door.create(json!({})).await);
    world.add(&formless, at(&url)).await.expect(400);
    world.add(&id, at(&url)).await.expect(200);
    world.add(&id, at(&url)).await.expect(400);
    for number in 1..10 {
        world.add(&id, at(&format!("{url}#{number}"))).await.expect(200);
    }
    world.add(&id, at(&format!("{url}#10"))).await.expect(413);
    world.door.ask(post(format!("/v2/images/{id}/actions/deactivate"))).await.expect(204);
    world.add(&id, at(&format!("{url}#x"))).await.expect(409);
}

#[tokio::test]
async fn by_default_nothing_is_told_and_nobody_is_believed() {
    let World { door, served, .. } = world(LocationSettings::default()).await;
    let (id, url) = (door.active(b"data").await, served.put("data"));
    let image = door.show(&id).await;
    assert_eq!((image.get("locations"), image.get("direct_url")), (None, None));
    for step in [
        json!({"op": "add", "path": "/locations/-", "value": at(&url)}),
        json!({"op": "replace", "path": "/locations", "value": [at(&url)]}),
        json!({"op": "remove", "path": "/locations/0"}),
    ] {
        door.patch(&id, json!([step])).await.expect(403);
    }
    door.ask(post("/v2/images").json(&json!({"locations": [at(&url)]}))).await.expect(403);
}

#[tokio::test]
async fn locations_are_told_to_the_owner_and_to_services() {
    let World { door, served, .. } = shown().await;
    let (id, url) = (door.queued().await, served.put("data"));
    let publish = json!([{"op": "replace", "path": "/visibility", "value": "public"}]);
    door.ask(patch(&id, publish).by("x:admin")).await.expect(200);
    door.patch(&id, json!([{"op": "add", "path": "/locations/-", "value": at(&url)}])).await.expect(200);
    let ask = async |who: &str, path: &str| door.ask(get(format!("/v2/images/{id}{path}")).by(who)).await;
    for (who, told) in [("a:reader", true), ("x:admin", true), ("b:member,reader", false)] {
        let image = ask(who, "").await.expect(200).json();
        assert_eq!(image["locations"].as_array().unwrap().len(), usize::from(told), "{who}");
        assert_eq!(image.get("direct_url").is_some(), told, "{who}");
        let list = door.ask(get("/v2/images").by(who)).await.expect(200).json();
        assert_eq!(list["images"][0], image, "{who}");
    }
    for (who, status) in
        [("a:member,reader", 403), ("b:member,reader", 403), ("b:reader,service", 200), ("x:admin", 200)]
    {
        let answer = ask(who, "/locations").await.expect(status);
        if status == 200 {
            assert_eq!(answer.json(), json!([{"url": url, "metadata": {"store": "web"}}]));
        }
    }
    let steps = json!([{"op": "add", "path": "/locations/-", "value": at(&format!("{url}#b"))}]);
    door.ask(patch(&id, steps.clone()).by("b:member,reader")).await.expect(403);
    door.ask(patch(&id, steps).by("a:reader")).await.expect(403);
    let versions = door.ask(get("/versions")).await.expect(200).json();
    assert_eq!(versions["versions"][0]["id"], "v2.17");
    door.ask(get("/v2.17/images")).await.expect(200);
    let hidden = door.queued().await;
    door.ask(get(format!("/v2/images/{hidden}/locations")).by("b:service,reader")).await.expect(404);
}

#[tokio::test]
async fn a_posted_location_is_read_and_its_image_says_what_it_is() {
    let world = world(LocationSettings::default()).await;
    for (algorithm, expects) in [
        (HashAlgorithm::Sha512, false),
        (HashAlgorithm::Md5, true),
        (HashAlgorithm::Sha1, true),
        (HashAlgorithm::Sha256, true),
        (HashAlgorithm::Sha512, true),
    ] {
        let (id, hash) = (world.door.queued().await, hash_of(algorithm, "data"));
        let mut body = json!({"url": world.served.put("data")});
        if expects {
            body["validation_data"] = json!({"os_hash_algo": algorithm.as_str(), "os_hash_value": hash});
        }
        assert_eq!(world.post(&id, body).await.expect(202).body, "");
        let image = world.settled(&id).await;
        assert_eq!(
            (&image["status"], &image["size"], &image["stores"]),
            (&json!("active"), &json!(4), &json!("web"))
        );
        assert_eq!(
            (&image["os_hash_algo"], &image["os_hash_value"]),
            (&json!(algorithm.as_str()), &json!(hash))
        );
        assert_eq!(image["checksum"], hash_of(HashAlgorithm::Md5, "data"));
        let data = world.door.ask(get(format!("/v2/images/{id}/file"))).await.expect(200);
        assert_eq!(data.body, "data");
    }
}

#[tokio::test]
async fn a_posted_location_that_is_not_what_it_should_be_leaves_the_image_queued() {
    let world = shown().await;
    let wrong = json!({"os_hash_algo": "sha512", "os_hash_value": "beefdead".repeat(16)});
    let gone = format!("{}99", world.served.put("data"));
    // Its header names another file.
    let unsafe_data = "# Disk DescriptorFile\nRW 1 FLAT \"/etc/passwd\" 0\n";
    let vmdk = world.door.create(json!({"disk_format": "vmdk", "container_format": "bare"})).await;
    for (id, body) in [
        (world.door.queued().await, json!({"url": world.served.put("data"), "validation_data": wrong})),
        (world.door.queued().await, json!({"url": gone})),
        (id_of(&vmdk), json!({"url": world.served.put(unsafe_data)})),
    ] {
        world.post(&id, body).await.expect(202);
        let image = world.settled(&id).await;
        assert_eq!((&image["status"], &image["locations"]), (&json!("queued"), &json!([])));
        for key in ["size", "checksum", "os_hash_algo", "os_hash_value"] {
            assert_eq!(image[key], Value::Null);
        }
        // It waits there for another location, as with Glance; or else data can come.
        assert_eq!(image["stores"], "web");
        if image["disk_format"] == "raw" {
            world.door.ask(put(format!("/v2/images/{id}/file")).octets("data")).await.expect(204);
            assert_eq!(world.door.show(&id).await["stores"], "local");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_posted_is_refused_at_once() {
    let World { door, served, .. } = world(LocationSettings::default()).await;
    let (id, url) = (door.queued().await, served.put("data"));
    let post_by = async |who: &str, id: &str, body: &Value| {
        door.ask(post(format!("/v2/images/{id}/locations")).json(body).by(who)).await
    };
    let sha512 = hash_of(HashAlgorithm::Sha512, "data");
    for wrong in [
        json!([]),
        json!({}),
        json!({"url": 1}),
        json!({"url": "ftp://images.example/x"}),
        json!({"url": "http://169.254.169.254/"}),
        json!({"url": url, "validation_data": {"os_hash_value": sha512}}),
        json!({"url": url, "validation_data": {"os_hash_algo": "sha123", "os_hash_value": sha512}}),
        json!({"url": url, "validation_data": {"os_hash_algo": "sha256", "os_hash_value": sha512}}),
        json!({"url": url, "validation_data": {"store": "web"}}),
    ] {
        post_by("a:member,reader", &id, &wrong).await.expect(400);
    }
    let filtered = json!({"url": "http://10.0.0.1/"});
    let answer = post_by("a:member,reader", &id, &filtered).await.expect(400).json();
    assert!(answer["error"]["message"].as_str().unwrap().contains("does not pass filtering"), "{answer}");
    let body = json!({"url": url});
    post_by("a:reader", &id, &body).await.expect(403);
    post_by("b:member,reader", &id, &body).await.expect(404);
    let active = door.active(b"data").await;
    post_by("a:member,reader", &active, &body).await.expect(409);
    let formless = id_of(&door.create(json!({})).await);
    post_by("a:member,reader", &formless, &body).await.expect(400);
    assert_eq!(door.show(&id).await.get("stores"), None);
    door.ask(put(format!("/v2/images/{id}/locations"))).await.expect(405);
}

/// Data that is still to come.
fn slowly(served: &Served) -> (mpsc::Sender<Result<Bytes>>, String) {
    let (sender, mut receiver) = mpsc::channel(1);
    let stream = futures::stream::poll_fn(move |task| receiver.poll_recv(task));
    (sender, served.put_stream(stream.boxed()))
}

async fn given_up(sender: &mpsc::Sender<Result<Bytes>>) {
    let bound = Duration::from_secs(30);
    tokio::time::timeout(bound, async {
        while sender.send(Ok(Bytes::from(vec![0; 1 << 16]))).await.is_ok() {}
    })
    .await
    .expect("nobody reads any more");
}

#[tokio::test]
async fn one_location_of_an_image_is_read_at_a_time_and_so_many_in_all() {
    let world = world(LocationSettings::default()).await;
    let ids = [world.door.queued().await, world.door.queued().await, world.door.queued().await];
    let (first, url) = slowly(&world.served);
    world.post(&ids[0], json!({"url": url})).await.expect(202);
    first.send(Ok(Bytes::from_static(b"da"))).await.unwrap();
    world.post(&ids[0], json!({"url": world.served.put("data")})).await.expect(409);
    world.post(&ids[1], json!({"url": world.served.put("data")})).await.expect(202);
    world.post(&ids[2], json!({"url": world.served.put("data")})).await.expect(503);
    assert_eq!(world.door.show(&ids[0]).await["status"], "queued");
    first.send(Ok(Bytes::from_static(b"ta"))).await.unwrap();
    drop(first);
    for id in &ids[..2] {
        assert_eq!(world.settled(id).await["os_hash_value"], hash_of(HashAlgorithm::Sha512, "data"));
    }
    world.post(&ids[2], json!({"url": world.served.put("data")})).await.expect(202);
    assert_eq!(world.settled(&ids[2]).await["status"], "active");
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_not_read_on() {
    let world = world(LocationSettings::default()).await;
    let id = world.door.queued().await;
    let (deleted, url) = slowly(&world.served);
    world.post(&id, json!({"url": url})).await.expect(202);
    // The second is taken when the first has gone, and somebody reads.
    for data in ["da", "ta"] {
        deleted.send(Ok(Bytes::from(data))).await.unwrap();
    }
    world.door.ask(delete(format!("/v2/images/{id}"))).await.expect(204);
    given_up(&deleted).await;
    let id = world.door.queued().await;
    let (closed, url) = slowly(&world.served);
    world.post(&id, json!({"url": url})).await.expect(202);
    for data in ["da", "ta"] {
        closed.send(Ok(Bytes::from(data))).await.unwrap();
    }
    world.imports.close().await;
    given_up(&closed).await;
    assert_eq!(world.door.show(&id).await["status"], "queued");
    let other = world.door.queued().await;
    world.post(&other, json!({"url": world.served.put("data")})).await.expect(503);
}
