//! The JSON schemas of definitions, and that what is shown fits them.

use serde_json::{Value, json};

use super::Catalogue;
use crate::door::{get, post};

const NAMES: [&str; 10] = [
    "namespace",
    "namespaces",
    "resource_type",
    "resource_types",
    "property",
    "properties",
    "object",
    "objects",
    "tag",
    "tags",
];

async fn schema(catalogue: &Catalogue, name: &str) -> Value {
    catalogue.ask(get(format!("/v2/schemas/metadefs/{name}"))).await.expect(200).json()
}

/// Whether every attribute of `shown` is in the schema, which takes no others, and what it requires is there.
fn fits(shown: &Value, schema: &Value) {
    assert_eq!(schema["additionalProperties"], false);
    for key in shown.as_object().unwrap().keys() {
        assert!(schema["properties"][key].is_object(), "{key} is not in the schema");
    }
    for key in schema["required"].as_array().unwrap() {
        assert!(shown.get(key.as_str().unwrap()).is_some(), "{key} is not in {shown}");
    }
}

#[tokio::test]
async fn there_is_a_schema_of_each_thing_and_of_many_of_it() {
    let catalogue = Catalogue::new().await;
    for name in NAMES {
        let schema = schema(&catalogue, name).await;
        assert!(schema["properties"].is_object() && schema["name"].is_string(), "{name}");
        let references = schema.to_string().matches("#/definitions/").count();
        assert_eq!(references > 0, schema.get("definitions").is_some(), "{name}");
        let many = name.ends_with('s') || name == "properties";
        assert_eq!(many, schema.get("links").is_some(), "{name}");
        catalogue.ask(post(format!("/v2/schemas/metadefs/{name}"))).await.expect(405);
    }
    catalogue.ask(get("/v2/schemas/metadefs/image")).await.expect(404);
    catalogue.ask(get("/v2/schemas/metadefs/tag").body("x")).await.expect(400);
    catalogue.door.ask(get("/v2/schemas/metadefs/tag").by("a:whoever")).await.expect(200);
    catalogue.door.ask(get("/v2/schemas/metadefs/tag").by_nobody()).await.expect(401);
}

#[tokio::test]
async fn what_is_shown_fits_its_schema() {
    let catalogue = Catalogue::new().await;
    let more = json!({"display_name": "d", "description": "e"});
    catalogue.furnish("n", more).await;
    let all = json!({
        "name": "q", "title": "t", "type": "string", "description": "d", "operators": ["<in>"], "enum": ["a"],
        "minimum": 1, "maximum": 2, "minLength": 1, "maxLength": 2, "pattern": "a", "readonly": true, "default": "a",
        "items": {"type": "string"}, "minItems": 1, "maxItems": 2, "uniqueItems": true, "additionalItems": false,
    });
    catalogue.ask(post(super::of("n/properties")).json(&all)).await.expect(201);
    fits(&catalogue.shown("n").await, &schema(&catalogue, "namespace").await);
    fits(&catalogue.shown("n/objects/o").await, &schema(&catalogue, "object").await);
    fits(&catalogue.shown("n/properties/q").await, &schema(&catalogue, "property").await);
    fits(&catalogue.shown("n/tags/t").await, &schema(&catalogue, "tag").await);
    let associations = catalogue.shown("n/resource_types").await;
    fits(&associations["resource_type_associations"][0], &schema(&catalogue, "resource_type").await);
}
