//! Staging, importing and tasks, as clients ask for them.

use std::sync::Arc;
use std::time::Duration;

use image_service::ImageService;
use portico::api::{Front, Settings};
use portico::federation::{self, Backend, Federation};
use portico::imports::{self, FILE, Imports, Method, STAGING};
use portico_memory::{Memory, Options};
use serde_json::{Value, json};

use crate::door::{Answer, Door, OCTETS, delete, get, id_of, post, put};

struct Site {
    door: Door,
    _directory: tempfile::TempDir,
}

impl Site {
    async fn open() -> Self {
        Self::with(Method::ALL.to_vec()).await
    }

    async fn with(methods: Vec<Method>) -> Self {
        let backends = ["a", "b"].map(|name| Backend {
            name: name.into(),
            kind: "memory".into(),
            description: None,
            service: Arc::new(Memory::new(name, Options::default())),
            deadline: Duration::from_secs(10),
        });
        let federation = Federation::new(backends.into(), federation::Settings::default()).unwrap();
        Self::over(Arc::new(federation), methods).await
    }

    async fn over(service: Arc<dyn ImageService>, methods: Vec<Method>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = imports::Settings { methods, ..imports::Settings::default() };
        let (journal, staging) = (directory.path().join(FILE), directory.path().join(STAGING));
        let imports = Imports::open(journal, staging, Arc::clone(&service), settings).await.unwrap();
        let door =
            Door::before(service, Settings::default(), |front: Front| front.with_imports(Some(imports)));
        Self { door, _directory: directory }
    }

    async fn stage(&self, id: &str, data: &'static [u8]) -> Answer {
        self.door.ask(put(format!("/v2/images/{id}/stage")).octets(data)).await
    }

    async fn import(&self, id: &str, body: Value) -> Answer {
        self.door.ask(post(format!("/v2/images/{id}/import")).json(&body)).await
    }

    async fn tasks(&self, id: &str) -> Vec<Value> {
        let tasks = self.door.ask(get(format!("/v2/images/{id}/tasks"))).await.expect(200).json();
        tasks["tasks"].as_array().unwrap().clone()
    }

    /// Waits until no task of the image is at work, and shows it.
    async fn settled(&self, id: &str) -> Value {
        for _ in 0..10_000 {
            let image = self.door.show(id).await;
            let tasks = self.tasks(id).await;
            let ended = |task: &Value| ["success", "failure"].contains(&task["status"].as_str().unwrap());
            if image.get("os_glance_import_task").is_none() && tasks.iter().all(ended) {
                return image;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("an import does not end");
    }
}

fn direct() -> Value {
    json!({"method": {"name": "glance-direct"}})
}

#[tokio::test]
async fn what_is_staged_and_imported_is_the_image() {
    let site = Site::open().await;
    let id = site.door.queued().await;
    site.stage(&id, b"0123456789").await.expect(204);
    let shown = site.door.show(&id).await;
    assert_eq!((&shown["status"], &shown["size"]), (&json!("uploading"), &json!(10)));
    let begun = site.import(&id, json!({"method": {"name": "glance-direct"}, "all_stores": true})).await;
    assert_eq!(begun.expect(202).body, "");
    let shown = site.settled(&id).await;
    assert_eq!((&shown["status"], &shown["stores"]), (&json!("active"), &json!("a,b")));
    assert_eq!(shown["os_glance_importing_to_stores"], "");
    let data = site.door.ask(get(format!("/v2/images/{id}/file"))).await.expect(200);
    assert_eq!(data.body, "0123456789");
    let tasks = site.tasks(&id).await;
    let task = &tasks[0];
    assert_eq!(
        (tasks.len(), &task["type"], &task["status"]),
        (1, &json!("api_image_import"), &json!("success"))
    );
    assert_eq!(task["input"]["import_req"]["method"]["name"], "glance-direct");
    assert_eq!(
        (&task["image_id"], &task["owner"], &task["deleted"]),
        (&json!(id), &json!("a"), &json!(false))
    );
    // Who only sees the image is not told what was asked, which may hold a URL that opens a door.
    let public = json!([{"op": "replace", "path": "/visibility", "value": "community"}]);
    site.door.patch(&id, public).await.expect(200);
    let others = site.door.ask(get(format!("/v2/images/{id}/tasks")).by("other")).await.expect(200).json();
    assert_eq!(
        (&others["tasks"][0]["status"], &others["tasks"][0]["input"]),
        (&json!("success"), &Value::Null)
    );
    let made = task["created_at"].as_str().unwrap();
    assert!(made.contains('.') && !made.ends_with('Z'), "{made}");
}

#[tokio::test]
async fn the_ways_to_import_are_told_where_clients_look_for_them() {
    let site = Site::with(vec![Method::WebDownload, Method::CopyImage]).await;
    let methods = site.door.ask(get("/v2/info/import")).await.expect(200).json();
    assert_eq!(methods["import-methods"]["value"], json!(["web-download", "copy-image"]));
    let made = site.door.ask(post("/v2/images").json(&json!({}))).await.expect(201);
    assert_eq!(made.header("openstack-image-import-methods"), Some("web-download,copy-image"));
    let versions = site.door.ask(get("/versions")).await.expect(200).json();
    let ids: Vec<&str> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["id"].as_str().unwrap())
        .collect();
    assert!(["v2.6", "v2.11", "v2.12"].iter().all(|minor| ids.contains(minor)), "{ids:?}");
    // What is not among them is not there.
    let id = site.door.queued().await;
    site.stage(&id, b"x").await.expect(404);
    let answer = site.import(&id, direct()).await.expect(400);
    assert_eq!(answer.message(), "Unknown import method name 'glance-direct'.");
}

#[tokio::test]
async fn a_body_that_cannot_be_meant_is_refused_and_says_what_is_wrong_with_it() {
    let site = Site::open().await;
    let id = site.door.queued().await;
    let web = |uri: &str| json!({"name": "web-download", "uri": uri});
    let other = "00000000-1111-2222-3333-444455556666";
    for (body, why) in [
        (json!([]), "an import must be a JSON object"),
        (json!({}), "Import request requires a 'method' field."),
        (json!({"method": "web-download"}), "method: must be an object"),
        (json!({"method": {}}), "Import request requires a 'name' field."),
        (json!({"method": {"name": "fax"}}), "Unknown import method name 'fax'."),
        (json!({"method": {"name": 1}}), "name: must be text"),
        (json!({"method": {"name": "web-download"}}), "'uri' needs to be set"),
        (
            json!({"method": web("https://example.org/x"), "all_stores": "yes"}),
            "'all_stores' must be boolean",
        ),
        (json!({"method": web("https://example.org/x"), "all_stores_must_succeed": 1}), "must be boolean"),
        (json!({"method": web("https://example.org/x"), "stores": "a"}), "stores: must be a list"),
        (json!({"method": web("https://example.org/x"), "stores": []}), "stores: must be a list"),
        (
            json!({"method": web("https://example.org/x"), "stores": ["a"], "all_stores": true}),
            "can't be used",
        ),
        (json!({"method": web("file:///etc/passwd")}), "URI for web-download does not pass filtering"),
        (json!({"method": web("http://127.0.0.1/x")}), "URI for web-download does not pass filtering"),
        (json!({"method": web("http://[::ffff:169.254.169.254]/x")}), "does not pass filtering"),
        (json!({"method": web("http://0x7f.1/x")}), "does not pass filtering"),
        (json!({"method": web("http://example.org:22/x")}), "does not pass filtering"),
        (json!({"method": {"name": "glance-download", "glance_image_id": other}}), "'glance_region' needs"),
        (json!({"method": {"name": "glance-download", "glance_region": "a"}}), "'glance_image_id' needs"),
        (
            json!({"method": {"name": "glance-download", "glance_region": "a", "glance_image_id": "foo"}}),
            "image id does not look like a UUID",
        ),
    ] {
        let answer = site.import(&id, body.clone()).await.expect(400);
        assert!(answer.message().contains(why), "{body}: {}", answer.message());
    }
    let both = post(format!("/v2/images/{id}/import"))
        .json(&json!({"method": {"name": "copy-image"}, "stores": ["a"]}));
    site.door.ask(both.header("x-image-meta-store", "b").by("a:admin")).await.expect(400);
    assert_eq!(site.tasks(&id).await, [json!(null); 0]);
    assert_eq!(site.door.show(&id).await["status"], "queued");
}

#[tokio::test]
async fn who_may_do_what_and_when() {
    let site = Site::open().await;
    let (queued, active) = (site.door.queued().await, site.door.active(b"0123456789").await);
    let import =
        |id: &str, body: &Value, caller: &str| post(format!("/v2/images/{id}/import")).json(body).by(caller);
    let copy = json!({"method": {"name": "copy-image"}, "stores": ["b"]});
    for (ask, status) in [
        (import(&queued, &direct(), "a"), 409),
        (import(&queued, &direct(), "a:reader"), 403),
        (import(&queued, &direct(), "b"), 404),
        (import("no-such-image", &direct(), "a"), 404),
        (import(&active, &copy, "a"), 403),
        (import(&active, &json!({"method": {"name": "copy-image"}, "stores": ["a"]}), "a:admin"), 400),
        (import(&active, &json!({"method": {"name": "copy-image"}, "stores": ["x"]}), "a:admin"), 409),
        (put(format!("/v2/images/{active}/stage")).octets("x"), 409),
        (put(format!("/v2/images/{queued}/stage")).octets("x").by("b"), 404),
        (put(format!("/v2/images/{queued}/stage")).octets("x").by("a:reader"), 403),
        (put(format!("/v2/images/{queued}/stage")).header("content-type", "text/plain"), 415),
        (
            put(format!("/v2/images/{queued}/stage"))
                .header("content-type", OCTETS)
                .header("x-openstack-image-size", "99999999999999"),
            413,
        ),
    ] {
        let told = format!("{ask:?}");
        assert_eq!(site.door.ask(ask).await.status, status, "{told}");
    }
    site.door.ask(import(&active, &copy, "other:admin")).await.expect(202);
    let shown = site.settled(&active).await;
    assert_eq!(shown["stores"], "a,b");
    // A copy to where it is already is no work.
    let all = json!({"method": {"name": "copy-image"}, "all_stores": true});
    site.door.ask(import(&active, &all, "a:admin")).await.expect(202);
    assert_eq!(site.tasks(&active).await.len(), 1);
    site.door.ask(delete(format!("/v2/stores/a/{active}")).by("a:admin")).await.expect(204);
    assert_eq!(site.door.show(&active).await["stores"], "b");
}

#[tokio::test]
async fn tasks_are_listed_shown_and_made_by_administrators_alone() {
    let site = Site::open().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = site.door.queued().await;
        site.stage(&id, b"x").await.expect(204);
        site.import(&id, direct()).await.expect(202);
        site.settled(&id).await;
        ids.push(site.tasks(&id).await[0]["id"].as_str().unwrap().to_owned());
    }
    let admin = |path: &str| get(path).by("x:admin");
    let page = site.door.ask(admin("/v2/tasks?limit=2&sort_dir=asc&status=success")).await.expect(200).json();
    assert_eq!(page["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(page["first"], "/v2/tasks?limit=2&sort_dir=asc&status=success");
    for hidden in ["input", "result", "message"] {
        assert_eq!(page["tasks"][0].get(hidden), None);
    }
    let next = site.door.ask(admin(page["next"].as_str().unwrap())).await.expect(200).json();
    let listed =
        [&page["tasks"][0], &page["tasks"][1], &next["tasks"][0]].map(|task| task["id"].as_str().unwrap());
    let mut expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut found = listed.to_vec();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!((found, next.get("next")), (expected, None));
    let whole = site.door.ask(admin(&format!("/v2/tasks/{}", ids[0]))).await.expect(200).json();
    assert_eq!((&whole["status"], &whole["message"]), (&json!("success"), &json!("")));
    assert!(whole["expires_at"].as_str().unwrap().ends_with('Z'));
    let schema = site.door.ask(get("/v2/schemas/task")).await.expect(200).json();
    for key in whole.as_object().unwrap().keys() {
        assert!(schema["properties"].get(key).is_some(), "{key} is not in the schema");
    }
    let schema = site.door.ask(get("/v2/schemas/tasks")).await.expect(200).json();
    for key in page["tasks"][0].as_object().unwrap().keys() {
        assert!(schema["properties"]["tasks"]["items"]["properties"].get(key).is_some(), "{key}");
    }
    for (ask, status) in [
        (get("/v2/tasks"), 403),
        (get(format!("/v2/tasks/{}", ids[0])), 403),
        (delete(format!("/v2/tasks/{}", ids[0])), 403),
        (delete(format!("/v2/tasks/{}", ids[0])).by("x:admin"), 405),
        (admin("/v2/tasks/00000000-1111-2222-3333-444455556666"), 404),
        (admin("/v2/tasks?marker=00000000-1111-2222-3333-444455556666"), 400),
        (admin("/v2/tasks?status=done"), 400),
        (post("/v2/tasks").json(&json!({"type": "import"})).by("x:admin"), 400),
    ] {
        let told = format!("{ask:?}");
        assert_eq!(site.door.ask(ask).await.status, status, "{told}");
    }
}

#[tokio::test]
async fn a_task_makes_its_image_and_says_when_nothing_comes() {
    let site = Site::open().await;
    let input = |uri: &str, image: Value| json!({"type": "import", "input": {"import_from": uri, "import_from_format": "raw", "image_properties": image}});
    let image = json!({"name": "n", "disk_format": "raw", "container_format": "bare"});
    // Nobody answers to this name anywhere.
    let good = input("http://nowhere.invalid/x", image.clone());
    let made = site.door.ask(post("/v2/tasks").json(&good).by("a:admin,member")).await.expect(201);
    let task = made.json();
    let path = format!("/v2/tasks/{}", task["id"].as_str().unwrap());
    assert!(made.header("location").unwrap().ends_with(&path));
    assert_eq!(task["type"], "import");
    let id = task["image_id"].as_str().unwrap();
    let shown = site.settled(id).await;
    assert_eq!((&shown["name"], &shown["status"]), (&json!("n"), &json!("queued")));
    let ended = site.door.ask(get(&path).by("a:admin")).await.expect(200).json();
    assert_eq!(
        (&ended["status"], &ended["message"]),
        (&json!("failure"), &json!("the server cannot be reached"))
    );
    for bad in [
        input("file:///etc/passwd", image.clone()),
        input("http://127.0.0.1/x", image),
        input("http://nowhere.invalid/x", json!({"name": "n"})),
        input("http://nowhere.invalid/x", json!({"status": "active"})),
    ] {
        let status = site.door.ask(post("/v2/tasks").json(&bad).by("a:admin")).await.status;
        assert!([400, 403].contains(&status), "{bad}: {status}");
    }
}

#[tokio::test]
async fn one_store_without_a_name_takes_imports_too() {
    let site = Site::over(Arc::new(Memory::new("memory", Options::default())), Method::ALL.to_vec()).await;
    let id = id_of(&site.door.create(json!({"disk_format": "raw", "container_format": "bare"})).await);
    site.stage(&id, b"0123").await.expect(204);
    let must = json!({"method": {"name": "glance-direct"}, "all_stores_must_succeed": false});
    site.import(&id, must).await.expect(400);
    site.import(&id, direct()).await.expect(202);
    let shown = site.settled(&id).await;
    assert_eq!((&shown["status"], &shown["size"]), (&json!("active"), &json!(4)));
    let versions = site.door.ask(get("/versions")).await.expect(200).body;
    assert!(!String::from_utf8_lossy(&versions).contains("2.11"));
}
