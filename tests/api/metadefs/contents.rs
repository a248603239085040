//! Y-03 to Y-10: what is in a namespace.

use serde_json::{Value, json};

use super::{Catalogue, NAMESPACES, names, of, timeless};
use crate::door::{delete, get, post, put};

#[tokio::test]
async fn properties_are_added_shown_replaced_renamed_and_removed() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let said = json!({"name": "q", "title": "Q", "type": "array", "items": {"type": "string"}, "default": 5});
    let mut kept = said.clone();
    kept["default"] = "5".into();
    assert_eq!(catalogue.ask(post(of("n/properties")).json(&said)).await.expect(201).json(), kept);
    assert_eq!(catalogue.shown("n/properties/q").await, kept);
    let all = json!({"properties": {"p": {"title": "P", "type": "string"}, "q": kept}});
    assert_eq!(catalogue.shown("n/properties").await, all);

    let renamed = json!({"name": "r", "title": "R", "type": "string"});
    assert_eq!(catalogue.ask(put(of("n/properties/q")).json(&renamed)).await.expect(200).json(), renamed);
    assert_eq!(catalogue.shown("n/properties/r").await, renamed);
    catalogue.ask(get(of("n/properties/q"))).await.expect(404);
    catalogue.ask(put(of("n/properties/q")).json(&renamed)).await.expect(404);
    catalogue.ask(post(of("n/properties")).json(&renamed)).await.expect(409);
    catalogue.ask(put(of("n/properties/p")).json(&renamed)).await.expect(409);
    catalogue.ask(post(of("absent/properties")).json(&renamed)).await.expect(404);

    catalogue.ask(delete(of("n/properties/r"))).await.expect(204);
    catalogue.ask(delete(of("n/properties/r"))).await.expect(404);
    catalogue.ask(delete(of("n/properties"))).await.expect(204);
    assert_eq!(catalogue.shown("n/properties").await, json!({"properties": {}}));
    catalogue.ask(delete(of("absent/properties"))).await.expect(404);
}

#[tokio::test]
async fn a_property_that_is_not_as_it_must_be_is_refused() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let with = |more: Value| {
        let mut property = json!({"name": "q", "title": "t", "type": "string"});
        property.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        property
    };
    let bad = [
        json!([]),
        json!({"title": "t", "type": "string"}),
        json!({"name": "q", "type": "string"}),
        with(json!({"type": "text"})),
        with(json!({"name": "x".repeat(81)})),
        with(json!({"foo": 1})),
        with(json!({"self": "x"})),
        with(json!({"enum": [1]})),
        with(json!({"minimum": "1"})),
        with(json!({"required": ["a"]})),
        with(json!({"items": {}})),
    ];
    catalogue.refuses(|| post(of("n/properties")), &bad).await;
    catalogue.refuses(|| put(of("n/properties/p")), &bad).await;
    catalogue.ask(post(of("n/properties")).json(&with(json!({"created_at": "x"})))).await.expect(403);
    catalogue.ask(post(of("absent/properties")).json(&json!({}))).await.expect(400);
}

#[tokio::test]
async fn a_property_goes_by_its_prefixed_name_on_a_type_of_resources() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let property = json!({"name": "p", "title": "P", "type": "string"});
    assert_eq!(catalogue.shown("n/properties/x:p?resource_type=R").await, property);
    assert_eq!(catalogue.shown("n/properties/p?resource_type=").await, property);
    for absent in ["p?resource_type=R", "x:q?resource_type=R", "x:p?resource_type=S", "x:p"] {
        catalogue.ask(get(of(&format!("n/properties/{absent}")))).await.expect(404);
    }
    catalogue.ask(get(of("n/properties/p?foo=R"))).await.expect(400);
}

#[tokio::test]
async fn objects_are_added_shown_replaced_renamed_and_removed() {
    let catalogue = Catalogue::new().await;
    catalogue.ask(post(NAMESPACES).json(&json!({"namespace": "n"}))).await.expect(201);
    let full = json!({
        "name": "o", "description": "d", "required": ["a,b"],
        "properties": {"a,b": {"name": "x", "title": "A", "type": "string"}},
    });
    let linked = |mut object: Value, name: &str| {
        object["self"] = format!("/v2/metadefs/namespaces/n/objects/{name}").into();
        object["schema"] = "/v2/schemas/metadefs/object".into();
        object
    };
    let answer = catalogue.ask(post(of("n/objects")).json(&full)).await.expect(201).json();
    assert_eq!(timeless(answer), linked(full.clone(), "o"));
    assert_eq!(timeless(catalogue.shown("n/objects/o").await), linked(full.clone(), "o"));
    let answer = catalogue.ask(post(of("n/objects")).json(&json!({"name": "bare"}))).await.expect(201).json();
    assert_eq!(timeless(answer), linked(json!({"name": "bare"}), "bare"));
    let bare = linked(json!({"name": "bare", "required": [], "properties": {}}), "bare");
    let all = catalogue.shown("n/objects?limit=1&marker=whatever").await;
    assert_eq!(
        timeless(all),
        json!({"objects": [linked(full.clone(), "o"), bare], "schema": "v2/schemas/metadefs/objects"})
    );

    let answer = catalogue.ask(put(of("n/objects/o")).json(&json!({"name": "o2"}))).await.expect(200).json();
    assert_eq!(timeless(answer), linked(json!({"name": "o2"}), "o2"));
    let replaced = linked(json!({"name": "o2", "required": [], "properties": {}}), "o2");
    assert_eq!(timeless(catalogue.shown("n/objects/o2").await), replaced);
    catalogue.ask(get(of("n/objects/o"))).await.expect(404);
    catalogue.ask(put(of("n/objects/o")).json(&full)).await.expect(404);
    catalogue.ask(put(of("n/objects/o2")).json(&json!({"name": "bare"}))).await.expect(409);
    catalogue.ask(post(of("n/objects")).json(&json!({"name": "bare"}))).await.expect(409);

    catalogue.ask(delete(of("n/objects/o2"))).await.expect(204);
    catalogue.ask(delete(of("n/objects/o2"))).await.expect(404);
    catalogue.ask(delete(of("n/objects"))).await.expect(204);
    assert_eq!(catalogue.shown("n/objects").await["objects"], json!([]));
}

#[tokio::test]
async fn an_object_or_a_list_of_them_that_is_not_as_it_must_be_is_refused() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let bad = [
        json!([]),
        json!({}),
        json!({"name": 5}),
        json!({"name": "x".repeat(81)}),
        json!({"name": "q", "foo": 1}),
        json!({"name": "q", "required": ["a", "a"]}),
        json!({"name": "q", "properties": []}),
        json!({"name": "q", "properties": {"p": {"title": "t"}}}),
        json!({"name": "q", "properties": {"p": {"title": "t", "type": "string", "foo": 1}}}),
    ];
    catalogue.refuses(|| post(of("n/objects")), &bad).await;
    catalogue.refuses(|| put(of("n/objects/o")), &bad).await;
    for key in ["self", "schema", "created_at", "updated_at"] {
        catalogue.ask(post(of("n/objects")).json(&json!({"name": "q", key: "x"}))).await.expect(403);
    }
    for query in ["limit=0", "limit=x", "sort_dir=x", "visibility=x"] {
        catalogue.ask(get(of(&format!("n/objects?{query}")))).await.expect(400);
    }
    catalogue.ask(get(of("absent/objects"))).await.expect(404);
}

#[tokio::test]
async fn tags_are_listed_in_order_replaced_and_appended() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let tags =
        |names: &[&str]| json!({"tags": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    let set = |names: &[&str]| post(of("n/tags")).json(&tags(names));
    let answer = catalogue.ask(set(&["b", "a", "c"])).await.expect(201).json();
    assert_eq!(answer, tags(&["b", "a", "c"]));
    assert_eq!(catalogue.shown("n/tags").await, tags(&["c", "a", "b"]));
    for yes in ["True", "1", " ON "] {
        catalogue.ask(set(&[yes]).header("x-openstack-append", yes)).await.expect(201);
    }
    catalogue.ask(set(&["TRUE"]).header("x-openstack-append", "true")).await.expect(409);
    for (query, expected) in [
        ("", vec![" ON ", "1", "True", "c", "a", "b"]),
        ("sort_key=name&sort_dir=asc&marker=True", vec!["a", "b", "c"]),
        ("limit=2", vec![" ON ", "1"]),
        ("limit=0", vec![]),
        ("marker=A", vec!["b"]),
        ("limit=&marker=", vec![" ON ", "1", "True", "c", "a", "b"]),
    ] {
        assert_eq!(
            names(&catalogue.shown(&format!("n/tags?{query}")).await, "tags", "name"),
            expected,
            "{query}"
        );
    }
    catalogue.ask(set(&["x"]).header("x-openstack-append", "no")).await.expect(201);
    assert_eq!(catalogue.shown("n/tags").await, tags(&["x"]));
    catalogue.ask(set(&["y", "Y"])).await.expect(409);
    assert_eq!(catalogue.shown("n/tags").await, tags(&["x"]));
    catalogue.ask(delete(of("n/tags"))).await.expect(204);
    assert_eq!(catalogue.shown("n/tags").await, tags(&[]));
}

#[tokio::test]
async fn tags_that_are_not_as_they_must_be_are_refused() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let bad = [
        json!([]),
        json!({}),
        json!({"foo": 1}),
        json!({"tags": "x"}),
        json!({"tags": [{}]}),
        json!({"tags": [{"name": 5}]}),
        json!({"tags": [{"name": "a", "foo": 1}]}),
        json!({"tags": [{"name": "x".repeat(81)}]}),
    ];
    catalogue.refuses(|| post(of("n/tags")), &bad).await;
    catalogue.ask(post(of("n/tags")).json(&json!({"created_at": 1}))).await.expect(403);
    catalogue.refuses(|| put(of("n/tags/t")), &[json!([]), json!({}), json!({"name": "x".repeat(81)})]).await;
    for query in ["limit=x", "limit=-1", "sort_key=x", "sort_dir=x", "visibility=x"] {
        catalogue.ask(get(of(&format!("n/tags?{query}")))).await.expect(400);
    }
    catalogue.ask(get(of("n/tags?marker=absent"))).await.expect(404);
    catalogue.ask(get(of("absent/tags"))).await.expect(404);
    catalogue.ask(post(of("absent/tags")).json(&json!({"tags": []}))).await.expect(404);
}

#[tokio::test]
async fn one_tag_is_added_shown_renamed_and_removed() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let added = catalogue.ask(post(of("n/tags/%C3%A9"))).await.expect(201).json();
    assert_eq!(timeless(added.clone()), json!({"name": "é"}));
    assert_eq!(catalogue.shown("n/tags/%C3%89").await, added);
    catalogue.ask(post(of("n/tags/%C3%89"))).await.expect(409);
    catalogue.ask(post(of("n/tags/u")).body("x")).await.expect(400);
    catalogue.ask(post(of(&format!("n/tags/{}", "x".repeat(81))))).await.expect(400);
    catalogue.ask(post(of("absent/tags/u"))).await.expect(404);

    let renamed =
        catalogue.ask(put(of("n/tags/%C3%A9")).json(&json!({"name": "u"}))).await.expect(200).json();
    assert_eq!(timeless(renamed), json!({"name": "u"}));
    catalogue.ask(put(of("n/tags/u")).json(&json!({"name": "T"}))).await.expect(409);
    catalogue.ask(put(of("n/tags/u")).json(&json!({"name": "U"}))).await.expect(200);
    catalogue.ask(put(of("n/tags/absent")).json(&json!({"name": "v"}))).await.expect(404);
    catalogue.ask(put(of("n/tags/u")).json(&json!({"name": "v", "created_at": "x"}))).await.expect(403);
    catalogue.ask(delete(of("n/tags/u"))).await.expect(204);
    catalogue.ask(delete(of("n/tags/u"))).await.expect(404);
    catalogue.ask(get(of("n/tags/u"))).await.expect(404);
}

#[tokio::test]
async fn types_of_resources_come_with_associations_and_stay() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({})).await;
    let said = json!({"name": "S", "prefix": "", "properties_target": "image"});
    let made = catalogue.ask(post(of("n/resource_types")).json(&said)).await.expect(201).json();
    assert_eq!(timeless(made), said);
    catalogue.ask(post(of("n/resource_types")).json(&said)).await.expect(409);
    catalogue.ask(post(of("absent/resource_types")).json(&said)).await.expect(404);
    let all = json!({"resource_type_associations": [{"name": "R", "prefix": "x:"}, said]});
    assert_eq!(timeless(catalogue.shown("n/resource_types").await), all);
    let bad = [
        json!([]),
        json!({}),
        json!({"name": 5}),
        json!({"name": "x".repeat(81)}),
        json!({"name": "T", "prefix": "x".repeat(81)}),
        json!({"name": "T", "properties_target": null}),
        json!({"name": "T", "self": "x"}),
    ];
    catalogue.refuses(|| post(of("n/resource_types")), &bad).await;
    catalogue
        .ask(post(of("n/resource_types")).json(&json!({"name": "T", "updated_at": "x"})))
        .await
        .expect(403);

    catalogue.ask(delete(of("n/resource_types/S"))).await.expect(204);
    catalogue.ask(delete(of("n/resource_types/S"))).await.expect(404);
    catalogue.ask(delete(of("n/resource_types/T"))).await.expect(404);
    catalogue.ask(get(of("absent/resource_types"))).await.expect(404);
    let types = catalogue.ask(get("/v2/metadefs/resource_types")).await.expect(200).json();
    assert_eq!(timeless(types), json!({"resource_types": [{"name": "R"}, {"name": "S"}]}));
    catalogue.ask(get("/v2/metadefs/resource_types").body("x")).await.expect(400);
}

#[tokio::test]
async fn nothing_is_removed_from_a_protected_namespace_but_it_can_be_added_to_and_changed() {
    let catalogue = Catalogue::new().await;
    catalogue.furnish("n", json!({"protected": true})).await;
    for path in ["properties", "objects", "tags", "properties/p", "objects/o", "tags/t", "resource_types/R"] {
        catalogue.ask(delete(of(&format!("n/{path}")))).await.expect(403);
    }
    for path in ["properties/x", "objects/x", "tags/x", "resource_types/x"] {
        catalogue.ask(delete(of(&format!("n/{path}")))).await.expect(404);
    }
    let property = json!({"name": "q", "title": "t", "type": "string"});
    catalogue.ask(post(of("n/properties")).json(&property)).await.expect(201);
    catalogue.ask(put(of("n/objects/o")).json(&json!({"name": "o2"}))).await.expect(200);
    catalogue.ask(post(of("n/tags")).json(&json!({"tags": [{"name": "u"}]}))).await.expect(201);
    catalogue.ask(post(of("n/resource_types")).json(&json!({"name": "S"}))).await.expect(201);
}
