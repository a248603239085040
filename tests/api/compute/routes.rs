//! Every path and method: what answers, how, and in which words it is refused.

use std::sync::Arc;

use image_service::ErrorKind;
use serde_json::{Value, json};

use super::{ABSENT, door, door_to, fault, path, with};
use crate::door::{Ask, Door, ask, delete, get, memory, post, put};
use crate::flawed::{Flaw, Flawed};

const NEW: &str = "openstack-api-version";
const OLD: &str = "x-openstack-nova-api-version";

#[tokio::test]
async fn the_version_is_told_to_everybody_at_each_of_its_places() {
    let door = door();
    let nobody = |place: &str| get(place).by_nobody();
    for place in ["/v2.1", "/v2.1/", "/v2.1/0123abc/"] {
        let version = door.ask(nobody(place)).await.expect(200).json()["version"].clone();
        let shown = [&version["id"], &version["status"], &version["min_version"], &version["version"]];
        assert_eq!(shown, ["v2.1", "CURRENT", "2.1", "2.104"], "{place}");
        assert_eq!(version["links"][0], json!({"rel": "self", "href": "http://x/v2.1/"}), "{place}");
        door.ask(ask("HEAD", place).by_nobody()).await.expect(200);
    }
    door.ask(nobody("/v2.1/").header(NEW, "compute 2.104")).await.expect(200);
    door.ask(nobody("/v2.1/").header(NEW, "compute 2.105")).await.expect(406);
    door.ask(post("/v2.1/").by_nobody()).await.expect(401);
}

#[tokio::test]
async fn the_image_api_stays_as_it_is_and_has_the_path_where_this_is_not_served() {
    let (with, without) = (door(), Door::to_memory());
    for place in ["/", "/v2", "/v2/", "/versions"] {
        let ids = |document: Value| {
            let versions = document["versions"].as_array().unwrap().clone();
            versions.iter().map(|version| version["id"].clone()).collect::<Vec<_>>()
        };
        let of = [with.ask(get(place)).await.json(), without.ask(get(place)).await.json()].map(ids);
        assert_eq!(of[0], of[1], "{place}");
    }
    for door in [&with, &without] {
        assert_eq!(door.ask(get("/v2/images")).await.expect(200).json()["schema"], "/v2/schemas/images");
        assert_eq!(door.ask(get("/v2/schemas/images")).await.expect(200).json()["name"], "images");
        let media = get("/images").header("accept", "application/vnd.openstack.images-v2.1");
        assert_eq!(door.ask(media).await.expect(200).json()["first"], "/v2/images");
    }
    let listed = || get("/v2.1/images");
    assert_eq!(with.ask(listed()).await.expect(200).json(), json!({"images": []}));
    assert_eq!(without.ask(listed()).await.expect(200).json()["first"], "/v2/images");
    without.ask(get("/v2/abc/images")).await.expect(404);
}

#[tokio::test]
async fn other_methods_are_told_which_there_are_and_other_paths_that_there_is_nothing() {
    let door = door();
    let id = with(&door, json!({})).await;
    let metadata = format!("{}/metadata", path(&id));
    for (methods, path, allow) in [
        ("HEAD POST PUT PATCH DELETE OPTIONS BREW", "/v2.1/images".to_owned(), "GET"),
        ("HEAD POST PUT PATCH DELETE OPTIONS", "/v2.1/images/detail".to_owned(), "GET"),
        ("HEAD POST PUT PATCH OPTIONS", path(&id), "DELETE, GET"),
        ("HEAD PATCH DELETE OPTIONS", metadata.clone(), "GET, POST, PUT"),
        ("HEAD POST PATCH OPTIONS", format!("{metadata}/a"), "DELETE, GET, PUT"),
        ("POST PUT", "/v2.1/".to_owned(), "GET, HEAD"),
        ("POST", "/v2/a/images".to_owned(), "GET"),
    ] {
        for method in methods.split(' ') {
            let answer = door.ask(ask(method, &path)).await.expect(405);
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
            assert!(method == "HEAD" || fault(&answer).0 == "badMethod", "{method} {path}");
        }
    }
    for path in ["/v2.1/images/", "/v2.1/servers", "/v2.1/xyz/images", "/v2.1/images/x/file", "/v2.1/a"] {
        let answer = door.ask(get(path)).await.expect(404);
        assert_eq!(fault(&answer).0, "itemNotFound", "{path}");
    }
}

/// A request of each kind about an image.
fn each(id: &str) -> Vec<Ask> {
    let (one, metadata) = (path(id), format!("{}/metadata", path(id)));
    vec![
        get(&one),
        delete(&one),
        get(&metadata),
        post(&metadata).json(&json!({"metadata": {"a": "1"}})),
        put(&metadata).json(&json!({"metadata": {"a": "1"}})),
        get(format!("{metadata}/colour")),
        put(format!("{metadata}/a")).json(&json!({"meta": {"a": "1"}})),
        delete(format!("{metadata}/colour")),
    ]
}

#[tokio::test]
async fn whoever_is_not_known_is_asked_who_they_are_in_the_form_of_this_api() {
    let door = door();
    for request in each(ABSENT).into_iter().chain(["/v2.1/images", "/v2/a/images", "/v2.1/x"].map(get)) {
        let refused = door.ask(request.by_nobody()).await.expect(401);
        assert!(refused.header("www-authenticate").is_some());
        assert_eq!(fault(&refused).0, "unauthorized");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_to_be_seen_is_not_found_by_any_method() {
    let door = door();
    let hidden = with(&door, json!({"colour": "red"})).await;
    for id in [ABSENT, hidden.as_str(), "x"] {
        for request in each(id) {
            let refused = door.ask(request.by("b")).await.expect(404);
            assert_eq!(fault(&refused), ("itemNotFound".into(), "Image not found.".into()), "{id}");
        }
    }
}

#[tokio::test]
async fn a_project_in_the_path_is_the_callers_or_the_request_malformed() {
    let door = door();
    let id = with(&door, json!({})).await;
    for begin in ["/v2.1/a", "/v2/a"] {
        door.ask(get(format!("{begin}/images"))).await.expect(200);
        let shown = door.ask(get(format!("{begin}/images/{id}"))).await.expect(200).json();
        assert_eq!(shown["image"]["links"][0]["href"], format!("http://x{begin}/images/{id}"));
        assert_eq!(shown["image"]["links"][1]["href"], format!("http://x/a/images/{id}"));
    }
    let words = "Malformed request URL: URL's project_id 'b' doesn't match Context's project_id 'a'";
    for begin in ["/v2.1/b", "/v2/b"] {
        for place in ["images".to_owned(), "images/detail".to_owned(), format!("images/{id}/metadata")] {
            let refused = door.ask(get(format!("{begin}/{place}"))).await.expect(400);
            assert_eq!(fault(&refused), ("badRequest".into(), words.into()), "{begin}/{place}");
        }
    }
}

#[tokio::test]
async fn microversions_take_the_images_away_and_then_their_metadata() {
    let door = door();
    let id = with(&door, json!({})).await;
    let (one, metadata) = (path(&id), format!("{}/metadata", path(&id)));
    for (path, version, status) in [
        ("/v2.1/images", "2.1", 200),
        ("/v2.1/images", "2.35", 200),
        ("/v2.1/images", "2.36", 404),
        ("/v2.1/images/detail", "2.36", 404),
        (one.as_str(), "2.35", 200),
        (one.as_str(), "2.36", 404),
        (metadata.as_str(), "2.38", 200),
        (metadata.as_str(), "2.39", 404),
        (metadata.as_str(), "2.104", 404),
        (metadata.as_str(), "2.105", 406),
        (metadata.as_str(), "2.0", 406),
        ("/v2.1/images", "3.1", 406),
        ("/v2.1/nothing", "2.35", 404),
    ] {
        let both = [(NEW, format!("compute {version}")), (OLD, version.to_owned())];
        for (header, value) in both {
            let answer = door.ask(get(path).header(header, &value)).await.expect(status);
            assert_eq!(answer.header(NEW), Some(format!("compute {version}").as_str()), "{path}");
            assert_eq!(answer.header(OLD), Some(version), "{path}");
            let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
            assert_eq!(vary, ["OpenStack-API-Version", "X-OpenStack-Nova-API-Version"], "{path}");
        }
    }
    let gone = door.ask(delete(&one).header(OLD, "2.36")).await.expect(404);
    assert_eq!(fault(&gone).1, "The resource could not be found.");
    let latest = door.ask(get(&one).header(NEW, "compute latest")).await.expect(404);
    assert_eq!(latest.header(OLD), Some("2.104"));
    let malformed = door.ask(get(&one).header(NEW, "compute x")).await.expect(400);
    assert_eq!((malformed.header(NEW), malformed.header("vary")), (None, None));
    // By its older name the API takes no notice of them.
    let legacy = door.ask(get(format!("/v2/a/images/{id}")).header(NEW, "compute x")).await.expect(200);
    assert_eq!((legacy.header(NEW), legacy.header(OLD), legacy.header("vary")), (None, None, None));
}

#[tokio::test]
async fn only_json_is_taken_also_where_nothing_is_read() {
    let door = door();
    let metadata = format!("{}/metadata", path(&with(&door, json!({})).await));
    for (media, status) in [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/vnd.openstack.compute+json", 200),
        ("text/plain", 200),
        ("", 200),
        ("application/octet-stream", 415),
        ("application/xml", 415),
    ] {
        let said = post(&metadata).json(&json!({"metadata": {"a": "1"}}));
        door.ask(said.header("content-type", media)).await.expect(status);
        let answer = door.ask(get(&metadata).header("content-type", media)).await.expect(status);
        assert!(
            status == 200 || fault(&answer) == ("badMediaType".into(), "Unsupported Content-Type".into())
        );
    }
    door.ask(get("/v2.1/images").body("ignored")).await.expect(200);
}

#[tokio::test]
async fn a_service_that_fails_is_told_by_a_fault_of_that_name() {
    for (kind, status, name) in [
        (ErrorKind::Unavailable, 503, "serviceUnavailable"),
        (ErrorKind::TimedOut, 503, "serviceUnavailable"),
        (ErrorKind::Internal, 500, "computeFault"),
        (ErrorKind::Conflict, 409, "conflictingRequest"),
        (ErrorKind::NotImplemented, 501, "notImplemented"),
    ] {
        let door = door_to(Arc::new(Flawed { inner: Arc::new(memory()), flaw: Flaw::Fails(kind) }));
        for request in each(ABSENT).into_iter().chain(["/v2.1/images", "/v2.1/images/detail"].map(get)) {
            let refused = door.ask(request).await.expect(status);
            assert_eq!(fault(&refused).0, name);
            assert!(!refused.json().to_string().contains("upstream"), "{:?}", refused.body);
        }
    }
}

#[tokio::test]
async fn a_body_and_a_query_have_their_bounds() {
    let mut settings = super::settings();
    (settings.json_body, settings.query_string) = (100, 50);
    let door = Door::with(Arc::new(memory()), settings);
    let metadata = format!("{}/metadata", path(ABSENT));
    let large = json!({"metadata": {"a": "x".repeat(200)}});
    let refused = door.ask(post(metadata).json(&large)).await.expect(413);
    assert_eq!(fault(&refused).0, "overLimit");
    let refused = door.ask(get(format!("/v2.1/images?name={}", "x".repeat(50)))).await.expect(414);
    assert_eq!(fault(&refused).0, "computeFault");
}
