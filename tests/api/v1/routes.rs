//! Every path and method: what answers, how, and in which words it is refused.

use serde_json::{Value, json};

use super::{ADMIN, active, door, head, new, path, queued};
use crate::door::{Door, ask, delete, get, post, put};

const ABSENT: &str = "11111111-2222-3333-4444-555555555555";

fn ids(document: &Value) -> String {
    let versions = document["versions"].as_array().unwrap().iter();
    let shown = versions.map(|version| {
        format!("{} {}", version["id"].as_str().unwrap(), version["status"].as_str().unwrap())
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn versions_tell_of_v1_where_it_is_served_and_every_name_leads_to_it() {
    let door = door();
    for (place, status) in [("/", 300), ("/versions", 200), ("/v9/images", 300), ("/v1.2/images", 300)] {
        let document =
            door.ask(get(place).by_nobody().header("host", "images:9292")).await.expect(status).json();
        assert!(ids(&document).ends_with("v2.0 SUPPORTED, v1.1 DEPRECATED, v1.0 DEPRECATED"), "{document}");
        let last = document["versions"].as_array().unwrap().last().unwrap();
        assert_eq!(last["links"], json!([{"rel": "self", "href": "http://images:9292/v1/"}]));
    }
    for place in ["/v1", "/v1/", "/v1.0/", "/v1.1/images", "/v1.0/images", "/v1/images"] {
        assert_eq!(door.ask(get(place)).await.expect(200).json(), json!({"images": []}), "{place}");
    }
    let media = get("/images").header("accept", "application/vnd.openstack.images-v1");
    assert_eq!(door.ask(media).await.expect(200).json(), json!({"images": []}));
}

#[tokio::test]
async fn where_v1_is_not_served_its_paths_tell_of_the_versions_that_are() {
    let door = Door::to_memory();
    for place in ["/v1", "/v1/", "/v1.1/images", "/v1/images/detail"] {
        let document = door.ask(get(place).by_nobody()).await.expect(300).json();
        assert!(!ids(&document).contains("v1"), "{document}");
    }
    door.ask(post("/v1/images").by_nobody()).await.expect(300);
}

#[tokio::test]
async fn other_methods_are_told_which_there_are_and_other_paths_that_there_is_nothing() {
    let door = door();
    let id = queued(&door, &[]).await;
    for (method, path, allow) in [
        ("PUT", "/v1/images".to_owned(), "GET, POST"),
        ("HEAD", "/v1/images/detail".to_owned(), "GET"),
        ("POST", "/v1/images/detail".to_owned(), "GET"),
        ("POST", path(&id), "GET, HEAD, PUT, DELETE"),
        ("PATCH", path(&id), "GET, HEAD, PUT, DELETE"),
        ("POST", format!("{}/members", path(&id)), "GET, PUT"),
        ("GET", format!("{}/members/b", path(&id)), "PUT, DELETE"),
        ("POST", format!("{}/members/b", path(&id)), "PUT, DELETE"),
        ("PUT", "/v1/shared-images/b".to_owned(), "GET"),
    ] {
        let answer = door.ask(ask(method, &path)).await.expect(405);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    for (method, path) in [("DELETE", "/v1/images/"), ("GET", "/v1/tasks"), ("GET", "/v1/images/x/file")] {
        door.ask(ask(method, path)).await.expect(404);
    }
}

#[tokio::test]
async fn whoever_is_not_known_is_asked_who_they_are() {
    let door = door();
    for (method, path) in [
        ("GET", "/v1/images"),
        ("GET", "/v1/images/detail"),
        ("POST", "/v1/images"),
        ("PUT", "/v1/images/x"),
        ("DELETE", "/v1/images/x"),
        ("GET", "/v1/images/x/members"),
        ("PUT", "/v1/images/x/members/b"),
        ("GET", "/v1/shared-images/b"),
    ] {
        let refused = door.ask(ask(method, path).by_nobody()).await.expect(401);
        assert!(refused.header("www-authenticate").is_some(), "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_to_be_seen_is_not_found_by_any_method() {
    let door = door();
    let hidden = active(&door, "abc").await;
    for id in [ABSENT, hidden.as_str(), "x"] {
        let members = format!("{}/members", path(id));
        door.ask(head(path(id)).by("b")).await.expect(404);
        for request in [
            get(path(id)),
            put(path(id)),
            delete(path(id)),
            get(&members),
            put(&members).json(&json!({"memberships": []})),
            put(format!("{members}/c")),
            delete(format!("{members}/c")),
        ] {
            let refused = door.ask(request.by("b")).await.expect(404);
            assert_eq!(refused.text(), format!("Image with identifier {id} not found"));
        }
    }
}

#[tokio::test]
async fn roles_and_owners_are_held_to_as_in_v2() {
    let door = door();
    let public = door.ask(new(&[("x-image-meta-is_public", "true")]).by(ADMIN)).await.expect(201);
    let public = path(super::id_of(&public).as_str());
    for (request, status) in [
        (new(&[]).by("a:reader"), 403),
        (new(&[("x-image-meta-is_public", "True")]), 403),
        (put(&public), 403),
        (delete(&public), 403),
        (head(&public), 200),
        (put(format!("{public}/members/b")), 404),
        (put(format!("{public}/members/b")).by("a:reader"), 403),
        (get("/v1/images").by("a:none"), 403),
        (get(&public).by("a:reader"), 403),
    ] {
        door.ask(request).await.expect(status);
    }
    let own = queued(&door, &[]).await;
    door.ask(put(path(&own)).header("x-image-meta-is-public", "1")).await.expect(403);
    // What one can see and not change is not there, unless it is everybody's.
    door.ask(put(format!("{}/members/b", path(&own)))).await.expect(204);
    door.ask(put(path(&own)).by("b")).await.expect(404);
    door.ask(delete(path(&own)).by("b")).await.expect(404);
    door.ask(put(format!("{}/members/c", path(&own))).by("b")).await.expect(404);
}
