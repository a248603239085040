//! What holds for every call.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use image_service::ErrorKind;
use portico::api::{Policy, Roles, Settings};
use serde_json::json;

use crate::door::{Door, ask, delete, get, memory, post, put};
use crate::flawed::{Flaw, Flawed};

fn flawed(flaw: Flaw) -> Door {
    Door::to(Arc::new(Flawed { inner: Arc::new(memory()), flaw }))
}

#[tokio::test]
async fn who_does_not_say_who_they_are_gets_no_further_than_versions_and_health() {
    let door = Door::to_memory();
    for path in ["/v2/images", "/v2/images/x", "/v2/schemas/image", "/v2/info/import", "/v2/nowhere", "/x"] {
        let answer = door.ask(get(path).by_nobody()).await.expect(401);
        assert_eq!(answer.header("www-authenticate"), Some("Test realm=\"images\""));
    }
    for (path, status) in [("/", 300), ("/versions", 200), ("/v9", 300), ("/v2/", 200), ("/healthcheck", 200)]
    {
        door.ask(get(path).by_nobody()).await.expect(status);
    }
}

#[tokio::test]
async fn what_a_caller_may_not_see_is_not_there_whatever_is_done_with_it() {
    let door = Door::to_memory();
    let id = door.active(b"data").await;
    let path = |rest: &str| format!("/v2/images/{id}{rest}");
    for caller in ["b:member", "b:reader"] {
        for ask in [
            get(path("")),
            get(path("/file")),
            get(path("/members")),
            get(path("/members/c")),
            get(path("/locations")),
            delete(path("")),
            delete(path("/tags/x")),
            delete(path("/members/c")),
            put(path("/tags/x")),
            put(path("/stage")),
            put(path("/file")).octets("x"),
            put(path("/members/c")).json(&json!({"status": "accepted"})),
            put(path("/members/c")).json(&json!({"status": "nonsense"})),
            post(path("/import")).json(&json!({})),
            post(path("/members")).json(&json!({"member": "b"})),
            post(path("/actions/deactivate")),
            post(path("/actions/reactivate")),
            crate::door::patch(&id, json!([])),
            crate::door::patch(&id, json!([{"op": "replace", "path": "/name", "value": "x"}])),
        ] {
            let shown = format!("{ask:?}");
            let answer = door.ask(ask.by(caller)).await;
            assert_eq!(answer.status, 404, "{shown}");
        }
    }
}

#[tokio::test]
async fn what_a_caller_sees_and_may_not_change_is_forbidden() {
    let door = Door::to_memory();
    let id = door.active(b"data").await;
    door.ask(
        crate::door::patch(&id, json!([{"op": "replace", "path": "/visibility", "value": "public"}]))
            .by("a:admin"),
    )
    .await
    .expect(200);
    let path = |rest: &str| format!("/v2/images/{id}{rest}");
    // A reader of the owning project, and a member of another one.
    for caller in ["a:reader", "b:member"] {
        for ask in [
            delete(path("")),
            delete(path("/tags/x")),
            put(path("/tags/x")),
            put(path("/file")).octets("x"),
            post(path("/actions/deactivate")),
            crate::door::patch(&id, json!([{"op": "remove", "path": "/absent"}])),
        ] {
            let shown = format!("{ask:?}");
            let answer = door.ask(ask.by(caller)).await;
            assert_eq!(answer.status, 403, "{caller} {shown}");
        }
        door.ask(crate::door::patch(&id, json!([])).by(caller)).await.expect(200);
    }
    door.ask(get(path("/file")).by("a:reader")).await.expect(403);
    door.ask(get(path("/file")).by("b:member")).await.expect(200);
    door.ask(post("/v2/images").by("a:reader").json(&json!({}))).await.expect(403);
}

#[tokio::test]
async fn without_a_role_for_reading_there_are_no_images() {
    let door = Door::to_memory();
    let id = door.active(b"data").await;
    let caller = "a:service";
    door.ask(get("/v2/images").by(caller)).await.expect(403);
    for path in ["", "/file", "/members", "/members/b"] {
        door.ask(get(format!("/v2/images/{id}{path}")).by(caller)).await.expect(404);
    }
    door.ask(delete(format!("/v2/images/{id}")).by(caller)).await.expect(404);
    door.ask(get("/v2/images").by("a:member")).await.expect(200);
}

#[tokio::test]
async fn the_operator_decides_which_role_may_do_what() {
    let policy = Policy {
        publicize_image: Roles::of(&["publisher"]),
        download_image: Roles::of(&["reader"]),
        delete_image: Roles::of(&[]),
        ..Policy::default()
    };
    let door = Door::with(Arc::new(memory()), Settings { policy, ..Settings::default() });
    let id = door.active(b"data").await;
    let publish =
        || crate::door::patch(&id, json!([{"op": "replace", "path": "/visibility", "value": "public"}]));
    door.ask(publish().by("a:member")).await.expect(403);
    door.ask(publish().by("b:member,publisher")).await.expect(404);
    door.ask(publish().by("a:member,publisher")).await.expect(200);
    door.ask(publish().by("b:member,publisher")).await.expect(403);
    door.ask(get(format!("/v2/images/{id}/file")).by("b:reader")).await.expect(200);
    door.ask(delete(format!("/v2/images/{id}")).by("a:member")).await.expect(403);
    door.ask(delete(format!("/v2/images/{id}")).by("b:admin")).await.expect(204);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let door = Door::to_memory();
    let id = door.queued().await;
    for (method, path, status, allow) in [
        ("GET", "/v2/nowhere".to_owned(), 404, None),
        ("GET", "/v2/images/".to_owned(), 404, None),
        ("GET", "//v2//images".to_owned(), 200, None),
        ("GET", format!("/v2/images/{id}/tags"), 404, None),
        ("GET", format!("/v2/images/{id}/tags/x"), 405, Some("DELETE, PUT")),
        ("HEAD", "/v2/images".to_owned(), 405, Some("GET, POST")),
        ("OPTIONS", format!("/v2/images/{id}"), 405, Some("DELETE, GET, PATCH")),
        ("HEAD", format!("/v2/images/{id}/file"), 405, Some("GET, PUT")),
        ("POST", "/v2/schemas/image".to_owned(), 405, Some("GET")),
        ("BREW", "/v2/images".to_owned(), 405, Some("GET, POST")),
        ("BREW", "/v2/coffee".to_owned(), 501, None),
        ("OPTIONS", "/v2/coffee".to_owned(), 501, None),
    ] {
        let answer = door.ask(ask(method, &path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_is_there_exactly_where_one_is_expected() {
    let door = Door::to_memory();
    let id = door.queued().await;
    for (method, path) in [
        ("GET", format!("/v2/images/{id}")),
        ("DELETE", format!("/v2/images/{id}")),
        ("GET", format!("/v2/images/{id}/file")),
        ("POST", format!("/v2/images/{id}/actions/deactivate")),
        ("GET", format!("/v2/images/{id}/members")),
        ("PUT", format!("/v2/images/{id}/tags/x")),
        ("GET", "/v2/schemas/image".to_owned()),
        ("GET", "/v2/info/import".to_owned()),
        ("GET", "/v2/info/stores".to_owned()),
        ("GET", "/v2/info/usage".to_owned()),
    ] {
        let answer = door.ask(ask(method, &path).body("{}")).await.expect(400);
        assert_eq!(answer.message(), "A body is not expected with this request.", "{method} {path}");
    }
    door.ask(get("/v2/images").body("{}")).await.expect(200);
    for (body, message) in [
        ("", "Body expected in request."),
        ("{", "Malformed JSON in request body."),
        ("\u{fffd}", "Malformed JSON in request body."),
        ("5", "Unexpected body type. Expected list/dict."),
        ("null", "Unexpected body type. Expected list/dict."),
    ] {
        assert_eq!(door.ask(post("/v2/images").body(body)).await.expect(400).message(), message);
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    door.ask(post("/v2/images").body(deep)).await.expect(400);
}

#[tokio::test]
async fn bodies_and_query_strings_are_bounded() {
    let settings = Settings { json_body: 100, query_string: 50, ..Settings::default() };
    let door = Door::with(Arc::new(memory()), settings);
    door.ask(post("/v2/images").json(&json!({"name": "x".repeat(80)}))).await.expect(201);
    door.ask(post("/v2/images").json(&json!({"name": "x".repeat(100)}))).await.expect(413);
    door.ask(get(format!("/v2/images?name={}", "x".repeat(45)))).await.expect(200);
    door.ask(get(format!("/v2/images?name={}", "x".repeat(46)))).await.expect(414);
}

#[tokio::test]
async fn the_request_id_is_the_clients_or_a_new_one() {
    let door = Door::to_memory();
    let named = door.ask(get("/v2/images").header("x-openstack-request-id", "req-mine")).await.expect(200);
    assert_eq!(named.header("x-openstack-request-id"), Some("req-mine"));
    let prefixed = door.ask(get("/v2/nowhere").header("x-openstack-request-id", "mine")).await.expect(404);
    assert_eq!(prefixed.header("x-openstack-request-id"), Some("req-mine"));
    door.ask(get("/v2/images").header("x-openstack-request-id", &"x".repeat(65))).await.expect(400);
    let fresh = door.ask(get("/v2/images")).await;
    assert_eq!(fresh.header("x-openstack-request-id").unwrap().len(), "req-".len() + 36);
}

#[tokio::test]
async fn every_kind_of_error_has_its_status_and_no_word_of_upstream() {
    for (kind, status) in [
        (ErrorKind::NotFound, 404),
        (ErrorKind::AlreadyExists, 409),
        (ErrorKind::Invalid, 400),
        (ErrorKind::Forbidden, 403),
        (ErrorKind::Unauthenticated, 503),
        (ErrorKind::Conflict, 409),
        (ErrorKind::TooLarge, 413),
        (ErrorKind::UnsupportedFormat, 415),
        (ErrorKind::RangeNotSatisfiable, 416),
        (ErrorKind::Incomplete, 400),
        (ErrorKind::Refused, 503),
        (ErrorKind::TimedOut, 503),
        (ErrorKind::Unavailable, 503),
        (ErrorKind::NotImplemented, 501),
        (ErrorKind::Corrupt, 500),
        (ErrorKind::Internal, 500),
    ] {
        let answer = flawed(Flaw::Fails(kind)).ask(get("/v2/images/x")).await.expect(status);
        assert!(!answer.message().contains("upstream"), "{kind:?}: {}", answer.message());
        let tells = !matches!(kind, ErrorKind::Internal | ErrorKind::Unauthenticated);
        assert_eq!(answer.message() == "told in our words", tells, "{kind:?}");
    }
}

#[tokio::test]
async fn silence_is_never_told_as_absence() {
    for kind in [ErrorKind::Refused, ErrorKind::TimedOut, ErrorKind::Unavailable] {
        let door = flawed(Flaw::Fails(kind));
        for ask in [
            get("/v2/images"),
            get("/v2/images?marker=x"),
            get("/v2/images/x"),
            get("/v2/images/x/file"),
            delete("/v2/images/x"),
            delete("/v2/images/x").by("a:reader"),
            put("/v2/images/x/tags/y"),
            put("/v2/images/x/file").octets("x"),
            crate::door::patch("x", json!([])),
            post("/v2/images").json(&json!({})),
        ] {
            let shown = format!("{ask:?}");
            assert_eq!(door.ask(ask).await.status, 503, "{shown}");
        }
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_with_a_request_id() {
    let door = flawed(Flaw::Panics);
    let answer = door.ask(get("/v2/images/x").header("x-openstack-request-id", "req-p")).await.expect(500);
    assert_eq!(answer.header("x-openstack-request-id"), Some("req-p"));
    door.ask(get("/v2/images")).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_never_answers_ends_at_its_deadline() {
    let settings = Settings { read_deadline: Duration::from_secs(5), ..Settings::default() };
    let door = Door::with(Arc::new(Flawed { inner: Arc::new(memory()), flaw: Flaw::Hangs }), settings);
    let started = tokio::time::Instant::now();
    for path in ["/v2/images", "/v2/images/x", "/v2/images/x/file"] {
        door.ask(get(path)).await.expect(503);
    }
    assert_eq!(started.elapsed(), Duration::from_secs(15));
}

#[tokio::test]
async fn weird_ids_are_simply_not_there() {
    let door = Door::to_memory();
    for id in ["%00", "%FF%FE", "..", "%2e%2e", "a%2Fb", "%F0%9F%92%BF", "{id}", "%25", "%zz", "a+b", "'--"] {
        for method in [Method::GET, Method::DELETE] {
            door.ask(ask(method.as_str(), format!("/v2/images/{id}"))).await.expect(404);
        }
        door.ask(get(format!("/v2/images/{id}/file"))).await.expect(404);
    }
}

#[tokio::test]
async fn parts_that_are_not_served_are_refused_as_glance_refuses_them() {
    let door = Door::to_memory();
    let id = door.queued().await;
    for (method, path, caller, status) in [
        ("PUT", format!("/v2/images/{id}/stage"), "a", 404),
        ("POST", format!("/v2/images/{id}/import"), "a", 404),
        ("GET", format!("/v2/images/{id}/tasks"), "a", 200),
        ("GET", format!("/v2/images/{id}/locations"), "a", 403),
        ("POST", format!("/v2/images/{id}/locations"), "a", 403),
        ("GET", "/v2/cache".to_owned(), "a:admin", 404),
        ("PUT", format!("/v2/cache/{id}"), "a:admin", 404),
        ("DELETE", format!("/v2/cache/{id}"), "a:admin", 404),
        ("GET", "/v2/tasks".to_owned(), "a", 403),
        ("GET", "/v2/tasks".to_owned(), "a:admin", 200),
        ("POST", "/v2/tasks".to_owned(), "a", 403),
        ("POST", "/v2/tasks".to_owned(), "a:admin", 400),
        ("GET", "/v2/tasks/x".to_owned(), "a:admin", 404),
        ("DELETE", "/v2/tasks/x".to_owned(), "a:admin", 405),
        ("GET", "/v2/metadefs/namespaces".to_owned(), "a", 200),
        ("POST", "/v2/metadefs/namespaces".to_owned(), "a", 403),
        ("GET", "/v2/metadefs/namespaces/x/objects".to_owned(), "a", 404),
        ("PUT", "/v2/metadefs/namespaces/x".to_owned(), "a", 403),
        ("GET", "/v2/metadefs/resource_types".to_owned(), "a", 200),
        ("GET", "/v2/info/usage".to_owned(), "a", 200),
        ("GET", "/v2/info/stores".to_owned(), "a", 404),
        ("GET", "/v2/info/stores/detail".to_owned(), "a", 403),
        ("GET", "/v2/info/stores/detail".to_owned(), "a:admin", 404),
        ("DELETE", format!("/v2/stores/x/{id}"), "a:admin", 404),
    ] {
        let answer = door.ask(ask(method, &path).by(caller)).await;
        assert_eq!(answer.status, status, "{method} {path} {caller}");
    }
    assert_eq!(
        door.ask(get("/v2/cache").by("a:admin")).await.message(),
        "Caching via API is not supported at this site."
    );
    assert_eq!(
        door.ask(get("/v2/info/stores")).await.message(),
        "Multi backend is not supported at this site."
    );
    assert_eq!(door.ask(get("/v2/info/usage")).await.json(), json!({"usage": {}}));
}
