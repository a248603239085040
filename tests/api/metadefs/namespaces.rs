//! Y-01 and Y-02: namespaces.

use portico::api::Settings;
use portico::metadefs::Bounds;
use serde_json::{Value, json};

use super::{Catalogue, NAMESPACES, names, of, timeless};
use crate::door::{delete, get, post, put};

#[tokio::test]
async fn a_namespace_is_made_with_all_that_is_in_it_and_shown_so() {
    let settings = Settings { public_endpoint: Some("https://images.example".into()), ..Settings::default() };
    let catalogue = Catalogue::within(Bounds::default(), settings).await;
    let answer = catalogue.furnish("OS::a b", json!({"display_name": "D", "description": "E"})).await;
    assert_eq!(answer.header("location"), Some("https://images.example/v2/metadefs/namespaces/OS::a%20b"));
    let itself = json!({
        "namespace": "OS::a b", "display_name": "D", "description": "E",
        "visibility": "private", "protected": false, "owner": "a",
        "self": "/v2/metadefs/namespaces/OS::a b", "schema": "/v2/schemas/metadefs/namespace",
    });
    let with = |contents: Value| {
        let mut whole = itself.clone();
        whole.as_object_mut().unwrap().extend(contents.as_object().unwrap().clone());
        whole
    };
    let mut contents = json!({
        "properties": {"p": {"title": "P", "type": "string"}},
        "objects": [{"name": "o", "required": ["a"], "properties": {"a": {"title": "A", "type": "integer"}}}],
        "tags": [{"name": "t"}],
        "resource_type_associations": [{"name": "R", "prefix": "x:"}],
    });
    assert_eq!(timeless(answer.json()), with(contents.clone()));
    contents["objects"][0]["self"] = "/v2/metadefs/namespaces/OS::a b/objects/o".into();
    contents["objects"][0]["schema"] = "/v2/schemas/metadefs/object".into();
    assert_eq!(timeless(catalogue.shown("OS::a%20b").await), with(contents));
}

#[tokio::test]
async fn what_was_not_said_is_not_shown_and_has_its_default() {
    let catalogue = Catalogue::new().await;
    let answer =
        catalogue.ask(post(NAMESPACES).json(&json!({"namespace": "n", "tags": []}))).await.expect(201);
    let mut expected = json!({
        "namespace": "n", "visibility": "private", "protected": false, "owner": "a", "tags": [],
        "self": "/v2/metadefs/namespaces/n", "schema": "/v2/schemas/metadefs/namespace",
    });
    assert_eq!(timeless(answer.json()), expected);
    expected.as_object_mut().unwrap().remove("tags");
    assert_eq!(timeless(catalogue.shown("n").await), expected);
}

#[tokio::test]
async fn a_namespace_that_is_not_as_it_must_be_is_refused() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let property = json!({"title": "t", "type": "string"});
    let bad = [
        json!({}),
        json!([]),
        json!({"namespace": null}),
        json!({"namespace": "x".repeat(81)}),
        json!({"namespace": "m", "visibility": "shared"}),
        json!({"namespace": "m", "protected": "true"}),
        json!({"namespace": "m", "display_name": "x".repeat(81)}),
        json!({"namespace": "m", "description": "x".repeat(501)}),
        json!({"namespace": "m", "owner": null}),
        json!({"namespace": "m", "foo": 1}),
        json!({"namespace": "m", "properties": {"p": {"title": "t"}}}),
        json!({"namespace": "m", "properties": {"x".repeat(81): property}}),
        json!({"namespace": "m", "tags": [{}]}),
        json!({"namespace": "m", "objects": [{"name": "o", "required": ["a", "a"]}]}),
        json!({"namespace": "m", "resource_type_associations": [{"name": "R", "foo": 1}]}),
    ];
    catalogue.refuses(|| post(NAMESPACES), &bad).await;
    catalogue.refuses(|| put(of("n")), &bad).await;
    for key in ["self", "schema", "created_at", "updated_at"] {
        let body = json!({"namespace": "m", key: "x"});
        catalogue.ask(post(NAMESPACES).json(&body)).await.expect(403);
        catalogue.ask(put(of("n")).json(&body)).await.expect(403);
    }
    for twice in [
        json!({"namespace": "n"}),
        json!({"namespace": "m", "tags": [{"name": "a"}, {"name": "A"}]}),
        json!({"namespace": "m", "objects": [{"name": "a"}, {"name": "a"}]}),
        json!({"namespace": "m", "resource_type_associations": [{"name": "a"}, {"name": "a"}]}),
    ] {
        catalogue.ask(post(NAMESPACES).json(&twice)).await.expect(409);
    }
    // Of a namespace with something twice in it nothing is left.
    catalogue.ask(get(of("m"))).await.expect(404);
    let types = catalogue.ask(get("/v2/metadefs/resource_types")).await.expect(200).json();
    assert_eq!(names(&types, "resource_types", "name"), ["R"]);
}

#[tokio::test]
async fn a_change_replaces_all_that_a_namespace_says_of_itself_and_nothing_in_it() {
    let catalogue = Catalogue::new().await;
    catalogue
        .furnish("n", json!({"display_name": "D", "visibility": "public", "owner": "b", "description": "E"}))
        .await;
    let before = catalogue.shown("n").await;
    let body = json!({"namespace": "m", "tags": [{"name": "not looked at"}]});
    let answer = catalogue.ask(put(of("n")).json(&body)).await.expect(200).json();
    let expected = json!({
        "namespace": "m", "visibility": "private", "protected": false, "owner": "a",
        "self": "/v2/metadefs/namespaces/m", "schema": "/v2/schemas/metadefs/namespace",
    });
    assert_eq!(timeless(answer.clone()), expected);
    assert_eq!(answer["created_at"], before["created_at"]);
    catalogue.ask(get(of("n"))).await.expect(404);
    let after = catalogue.shown("m").await;
    for kept in ["properties", "tags", "resource_type_associations"] {
        assert_eq!(after[kept], before[kept]);
    }
    assert_eq!(after["objects"][0]["self"], "/v2/metadefs/namespaces/m/objects/o");

    catalogue.furnish("taken", json!({})).await;
    catalogue.ask(put(of("m")).json(&json!({"namespace": "taken"}))).await.expect(409);
    catalogue.ask(put(of("absent")).json(&json!({"namespace": "x"}))).await.expect(404);
}

#[tokio::test]
async fn a_deleted_namespace_is_gone_with_all_that_was_in_it_but_a_protected_one_stays() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    catalogue.ask(delete(of("n")).body("x")).await.expect(400);
    catalogue.ask(delete(of("n"))).await.expect(204);
    for path in ["n", "n/properties", "n/objects", "n/tags", "n/resource_types", "n/properties/p"] {
        catalogue.ask(get(of(path))).await.expect(404);
    }
    catalogue.ask(delete(of("n"))).await.expect(404);
    // What was in it does not come back with its name.
    catalogue.ask(post(NAMESPACES).json(&json!({"namespace": "n", "protected": true}))).await.expect(201);
    assert_eq!(catalogue.shown("n/tags").await["tags"], json!([]));
    catalogue.ask(delete(of("n"))).await.expect(403);
    catalogue.ask(put(of("n")).json(&json!({"namespace": "n"}))).await.expect(200);
    catalogue.ask(delete(of("n"))).await.expect(204);
}

#[tokio::test]
async fn a_list_is_walked_by_next_in_any_order_and_says_where_it_began() {
    let catalogue = Catalogue::new().await;
    for name in ["b", "a&b", "c"] {
        catalogue.ask(post(NAMESPACES).json(&json!({"namespace": name}))).await.expect(201);
    }
    for (query, expected) in [
        ("limit=1", ["c", "a&b", "b"]),
        ("limit=2&sort_dir=asc", ["b", "a&b", "c"]),
        ("limit=1&sort_key=namespace&sort_dir=asc", ["a&b", "b", "c"]),
        ("limit=3&sort_key=updated_at&foo=bar", ["c", "a&b", "b"]),
    ] {
        let (mut walked, mut next) = (Vec::new(), Some(format!("{NAMESPACES}?{query}")));
        for _ in 0..5 {
            let Some(path) = next else { break };
            let page = catalogue.ask(get(path)).await.expect(200).json();
            assert_eq!(page["first"], format!("{NAMESPACES}?{query}"));
            assert_eq!(page["schema"], "/v2/schemas/metadefs/namespaces");
            walked.extend(names(&page, "namespaces", "namespace"));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!((walked, next), (expected.map(str::to_owned).to_vec(), None), "{query}");
    }
    let page = catalogue.ask(get(format!("{NAMESPACES}?limit=0"))).await.expect(200).json();
    assert_eq!((page["namespaces"].clone(), page.get("next")), (json!([]), None));
    for bad in ["limit=x", "limit=-1", "limit=", "sort_key=x", "sort_dir=up", "visibility=shared", "limit=%"]
    {
        catalogue.ask(get(format!("{NAMESPACES}?{bad}"))).await.expect(400);
    }
    catalogue.ask(get(format!("{NAMESPACES}?marker=absent"))).await.expect(404);
}

#[tokio::test]
async fn a_list_can_be_of_a_visibility_or_of_types_of_resources() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({"visibility": "public"})).await;
    catalogue.ask(post(NAMESPACES).json(&json!({"namespace": "m"}))).await.expect(201);
    for (query, expected) in [
        ("visibility=public", vec!["n"]),
        ("visibility=private", vec!["m"]),
        ("resource_types=R", vec!["n"]),
        ("resource_types=S,R&visibility=public", vec!["n"]),
        ("resource_types=S", vec![]),
    ] {
        let page = catalogue.ask(get(format!("{NAMESPACES}?{query}"))).await.expect(200).json();
        assert_eq!(names(&page, "namespaces", "namespace"), expected, "{query}");
    }
    let page = catalogue.ask(get(format!("{NAMESPACES}?resource_types=R"))).await.json();
    let listed = timeless(page["namespaces"][0].clone());
    assert_eq!(listed["resource_type_associations"], json!([{"name": "R", "prefix": "x:"}]));
    assert_eq!(listed.get("properties"), None);
}

#[tokio::test]
async fn a_type_of_resources_puts_its_prefix_before_properties() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let plain = catalogue.shown("n").await;
    for same in ["n?resource_type=S", "n?resource_type="] {
        assert_eq!(catalogue.shown(same).await, plain);
    }
    let prefixed = catalogue.shown("n?resource_type=R").await;
    assert_eq!(prefixed["properties"], json!({"x:p": {"title": "P", "type": "string"}}));
    assert_eq!(prefixed["objects"][0]["required"], json!(["x:a"]));
    assert_eq!(prefixed["objects"][0]["properties"], json!({"x:a": {"title": "A", "type": "integer"}}));
    catalogue.ask(get(of("n?foo=bar"))).await.expect(400);
}

#[tokio::test]
async fn what_is_too_much_is_413() {
    let bounds = Bounds { namespaces: 1, tags: 2, document: 1024, ..Bounds::default() };
    let catalogue = Catalogue::within(bounds, Settings::default()).await;
    let long = json!({"namespace": "n", "objects": [{"name": "o", "description": "x".repeat(1024)}]});
    catalogue.ask(post(NAMESPACES).json(&long)).await.expect(413);
    let tags = json!({"namespace": "n", "tags": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
    catalogue.ask(post(NAMESPACES).json(&tags)).await.expect(413);
    catalogue.ask(post(NAMESPACES).json(&json!({"namespace": "n"}))).await.expect(201);
    catalogue.ask(post(NAMESPACES).json(&json!({"namespace": "m"}))).await.expect(413);
}

#[tokio::test]
async fn paths_have_the_methods_that_glance_gives_them() {
    let catalogue = Catalogue::new().await;
    for (path, allow) in [
        ("/v2/metadefs/resource_types", "GET"),
        (NAMESPACES, "GET, POST"),
        ("/v2/metadefs/namespaces/n", "DELETE, GET, PUT"),
        ("/v2/metadefs/namespaces/n/properties", "DELETE, GET, POST"),
        ("/v2/metadefs/namespaces/n/properties/p", "DELETE, GET, PUT"),
        ("/v2/metadefs/namespaces/n/objects", "DELETE, GET, POST"),
        ("/v2/metadefs/namespaces/n/objects/o", "DELETE, GET, PUT"),
        ("/v2/metadefs/namespaces/n/tags", "DELETE, GET, POST"),
        ("/v2/metadefs/namespaces/n/tags/t", "DELETE, GET, POST, PUT"),
        ("/v2/metadefs/namespaces/n/resource_types", "GET, POST"),
        ("/v2/metadefs/namespaces/n/resource_types/R", "DELETE"),
    ] {
        let answer = catalogue.ask(crate::door::ask("PATCH", path)).await.expect(405);
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
    for nowhere in ["/v2/metadefs", "/v2/metadefs/namespaces/", "/v2/metadefs/namespaces/n/foo"] {
        catalogue.ask(get(nowhere)).await.expect(404);
    }
}
