//! What clients ask first: versions, health, schemas, ways to import.

use std::sync::Arc;

use portico::api::Settings;
use serde_json::{Value, json};

use crate::door::{Door, ask, get, memory};

fn ids(document: &Value) -> String {
    let ids = document["versions"].as_array().unwrap().iter();
    ids.map(|version| version["id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn versions_are_told_at_every_place_where_clients_look() {
    let door = Door::to_memory();
    for (path, status) in [
        ("/", 300),
        ("/versions", 200),
        ("/v2", 200),
        ("/v2/", 200),
        ("/v2.7/", 200),
        ("/v1/images", 300),
        ("/v9/what/ever", 300),
        ("/v2.99/images", 300),
        // Named stores are what this minor is about.
        ("/v2.8/images", 300),
    ] {
        let answer = door.ask(get(path).header("host", "images:9292")).await.expect(status);
        let document = answer.json();
        assert_eq!(ids(&document), "v2.7 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0", "{path}");
        for version in document["versions"].as_array().unwrap() {
            let current = if version["id"] == "v2.7" { "CURRENT" } else { "SUPPORTED" };
            assert_eq!(version["status"], current);
            assert_eq!(version["links"], json!([{"rel": "self", "href": "http://images:9292/v2/"}]));
        }
    }
    door.ask(ask("POST", "/versions")).await.expect(405);
}

#[tokio::test]
async fn every_advertised_minor_is_the_same_api_by_path_and_by_media_type() {
    let door = Door::to_memory();
    door.create(json!({"name": "x"})).await;
    let expected = door.ask(get("/v2/images")).await.expect(200).json();
    let document = door.ask(get("/versions")).await.json();
    for id in ids(&document).split(' ') {
        assert_eq!(door.ask(get(format!("/{id}/images"))).await.expect(200).json(), expected, "{id}");
        let media = format!("application/vnd.openstack.images-{id}");
        assert_eq!(
            door.ask(get("/images").header("accept", &media)).await.expect(200).json(),
            expected,
            "{id}"
        );
    }
    let unknown = "application/vnd.openstack.images-v3";
    door.ask(get("/images").header("accept", unknown)).await.expect(300);
    door.ask(get("/images")).await.expect(404);
}

#[tokio::test]
async fn absolute_links_begin_at_the_public_endpoint() {
    let settings =
        Settings { public_endpoint: Some("https://images.example/".into()), ..Settings::default() };
    let door = Door::with(Arc::new(memory()), settings);
    let document = door.ask(get("/").header("host", "inside:9292")).await.json();
    assert_eq!(document["versions"][0]["links"][0]["href"], "https://images.example/v2/");
    let created = door.ask(crate::door::post("/v2/images").json(&json!({}))).await.expect(201);
    let path = created.json()["self"].as_str().unwrap().to_owned();
    assert_eq!(created.header("location"), Some(format!("https://images.example{path}").as_str()));
}

#[tokio::test]
async fn health_is_told_to_everyone() {
    let door = Door::to_memory();
    assert_eq!(door.ask(get("/healthcheck").by_nobody()).await.expect(200).body, "OK");
    door.ask(ask("HEAD", "/healthcheck").by_nobody()).await.expect(200);
    door.ask(ask("PUT", "/healthcheck").by_nobody()).await.expect(401);
}

#[tokio::test]
async fn the_schemas_are_what_clients_build_their_models_from() {
    let door = Door::to_memory();
    let image = door.ask(get("/v2/schemas/image")).await.expect(200).json();
    assert_eq!(image["name"], "image");
    assert_eq!(image["additionalProperties"], json!({"type": "string"}));
    let relations: Vec<&str> =
        image["links"].as_array().unwrap().iter().map(|link| link["rel"].as_str().unwrap()).collect();
    assert_eq!(relations, ["self", "enclosure", "describedby"]);
    for property in ["kernel_id", "ramdisk_id", "instance_uuid", "architecture", "os_distro", "os_version"] {
        assert_eq!(image["properties"][property]["is_base"], false, "{property}");
    }
    let images = door.ask(get("/v2/schemas/images")).await.expect(200).json();
    assert_eq!((&images["name"], &images["properties"]["images"]["items"]), (&json!("images"), &image));
    let member = door.ask(get("/v2/schemas/member")).await.expect(200).json();
    assert_eq!(member["properties"]["status"]["enum"], json!(["accepted", "pending", "rejected"]));
    let members = door.ask(get("/v2/schemas/members")).await.expect(200).json();
    assert_eq!(members["properties"]["members"]["items"], member);
    door.ask(get("/v2/schemas/nonsense")).await.expect(404);
    assert_eq!(door.ask(ask("PUT", "/v2/schemas/image")).await.expect(405).header("allow"), Some("GET"));
}

#[tokio::test]
async fn there_is_no_way_to_import() {
    let methods = Door::to_memory().ask(get("/v2/info/import")).await.expect(200).json();
    assert_eq!(methods["import-methods"]["value"], json!([]));
    assert_eq!(methods["import-methods"]["type"], "array");
}
