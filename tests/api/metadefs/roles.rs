//! Who may do what, and who sees what.

use portico::api::{Policy, Roles, Settings};
use portico::metadefs::Bounds;
use serde_json::{Value, json};

use super::{Catalogue, NAMESPACES, names, of};
use crate::door::{Ask, ask, get, post};

/// Every read and every write in a namespace, with a body that is as it must be.
fn rows() -> [(&'static str, &'static str, Option<Value>); 27] {
    let property = json!({"name": "q", "title": "t", "type": "string"});
    [
        ("GET", "", None),
        ("GET", "/properties", None),
        ("GET", "/properties/p", None),
        ("GET", "/objects", None),
        ("GET", "/objects/o", None),
        ("GET", "/tags", None),
        ("GET", "/tags/t", None),
        ("GET", "/resource_types", None),
        ("PUT", "", Some(json!({"namespace": "x"}))),
        ("POST", "/properties", Some(property.clone())),
        ("PUT", "/properties/p", Some(property.clone())),
        ("PUT", "/properties/absent", Some(property)),
        ("DELETE", "/properties/p", None),
        ("DELETE", "/properties", None),
        ("POST", "/objects", Some(json!({"name": "q"}))),
        ("PUT", "/objects/o", Some(json!({"name": "q"}))),
        ("DELETE", "/objects/o", None),
        ("DELETE", "/objects", None),
        ("POST", "/tags", Some(json!({"tags": [{"name": "q"}]}))),
        ("POST", "/tags/q", None),
        ("PUT", "/tags/t", Some(json!({"name": "q"}))),
        ("DELETE", "/tags/t", None),
        ("DELETE", "/tags", None),
        ("POST", "/resource_types", Some(json!({"name": "S"}))),
        ("DELETE", "/resource_types/R", None),
        ("DELETE", "/resource_types/absent", None),
        ("DELETE", "", None),
    ]
}

fn request(method: &str, namespace: &str, path: &str, body: &Option<Value>) -> Ask {
    let ask = ask(method, of(&format!("{namespace}{path}")));
    match body {
        Some(body) => ask.json(body),
        None => ask,
    }
}

#[tokio::test]
async fn others_read_what_they_see_and_write_nothing() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("private", json!({"owner": "b"})).await;
    catalogue.furnish("public", json!({"owner": "b", "visibility": "public", "protected": true})).await;
    for caller in ["a:member,reader", "b:member,reader", "a:reader", "b:reader"] {
        for (method, path, body) in rows() {
            for (namespace, seen) in
                [("public", true), ("private", caller.starts_with('b')), ("absent", false)]
            {
                let answer = catalogue.door.ask(request(method, namespace, path, &body).by(caller)).await;
                let allowed = if method == "GET" { 200 } else { 403 };
                let expected = if seen { allowed } else { 404 };
                assert_eq!(answer.status, expected, "{method} {namespace}{path} by {caller}");
            }
        }
        catalogue.door.ask(post(NAMESPACES).json(&json!({"namespace": "x"})).by(caller)).await.expect(403);
        catalogue.door.ask(post(NAMESPACES).json(&json!({})).by(caller)).await.expect(400);
        catalogue.door.ask(get("/v2/metadefs/resource_types").by(caller)).await.expect(200);
        let list =
            catalogue.door.ask(get(format!("{NAMESPACES}?sort_key=namespace")).by(caller)).await.json();
        let seen = if caller.starts_with('b') { vec!["public", "private"] } else { vec!["public"] };
        assert_eq!(names(&list, "namespaces", "namespace"), seen, "{caller}");
    }
    catalogue.door.ask(get(format!("{NAMESPACES}?marker=private")).by("a:reader")).await.expect(404);
    // Nothing of all that has changed anything.
    for namespace in ["private", "public"] {
        let whole = catalogue.shown(namespace).await;
        assert_eq!((&whole["tags"][0]["name"], &whole["objects"][0]["name"]), (&json!("t"), &json!("o")));
    }
}

#[tokio::test]
async fn for_a_role_that_may_not_read_there_is_nothing() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("public", json!({"owner": "b", "visibility": "public"})).await;
    for (method, path, body) in rows() {
        let answer = catalogue.door.ask(request(method, "public", path, &body).by("b:service")).await;
        assert_eq!(answer.status, 404, "{method} {path}");
    }
    for ask in [
        get(NAMESPACES),
        get("/v2/metadefs/resource_types"),
        post(NAMESPACES).json(&json!({"namespace": "x"})),
    ] {
        catalogue.door.ask(ask.by("b:service")).await.expect(404);
    }
    catalogue.door.ask(get(NAMESPACES).by_nobody()).await.expect(401);
}

#[tokio::test]
async fn the_operator_says_which_role_reads_and_which_writes() {
    let policy = Policy {
        metadef_default: Roles::of(&["*"]),
        metadef_admin: Roles::of(&["librarian"]),
        ..Policy::default()
    };
    let catalogue = Catalogue::within(Bounds::default(), Settings { policy, ..Settings::default() }).await;
    let made = post(NAMESPACES).json(&json!({"namespace": "n"}));
    catalogue.door.ask(made.by("b:librarian")).await.expect(201);
    let shown = catalogue.door.ask(get(of("n")).by("b:whoever")).await.expect(200).json();
    assert_eq!(shown["owner"], "b");
    catalogue.door.ask(post(of("n/tags/t")).by("b:member")).await.expect(403);
    catalogue.door.ask(post(of("n/tags/t")).by("c:librarian")).await.expect(404);
}
