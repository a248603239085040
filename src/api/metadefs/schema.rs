//! The JSON schemas of definitions. glanceclient holds what it shows and sends against them.

use axum::response::Response;
use serde_json::{Value, json};

use super::shown;
use crate::api::fault::Fault;
use crate::metadefs::{LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_OWNER, TYPES};

/// Answers with a schema.
pub(super) fn show(name: &str) -> Result<Response, Fault> {
    let schema = match name {
        "namespace" => alone(namespace(), definitions()),
        "namespaces" => list("namespaces", "array", "items", namespace(), definitions()),
        "object" => alone(object(), definitions()),
        "objects" => list("objects", "array", "items", object(), definitions()),
        "property" => alone(property(&["type", "title", "name"]), words(1)),
        "properties" => {
            list("properties", "object", "additionalProperties", property(&["type", "title"]), words(1))
        }
        "tag" => tag(),
        "tags" => list("tags", "array", "items", tag(), json!({})),
        "resource_type" => association(),
        "resource_types" => list("resource_type_associations", "array", "items", association(), json!({})),
        _ => return Err(Fault::not_found("there is no schema of this name")),
    };
    Ok(shown(&schema))
}

/// A schema that stands alone, with the definitions that it refers to.
fn alone(mut schema: Value, definitions: Value) -> Value {
    schema["definitions"] = definitions;
    schema
}

/// A page of many, which are under `name` as `kind`, with their schema under `key`.
fn list(name: &str, kind: &str, key: &str, schema: Value, definitions: Value) -> Value {
    let many = json!({"type": kind, key: schema});
    let text = json!({"type": "string"});
    let mut list = json!({
        "name": name,
        "properties": {name: many, "first": text, "next": text, "schema": text},
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    });
    if definitions.as_object().is_some_and(|definitions| !definitions.is_empty()) {
        list["definitions"] = definitions;
    }
    list
}

fn closed(name: &str, properties: Value, required: &[&str]) -> Value {
    json!({"name": name, "properties": properties, "additionalProperties": false, "required": required})
}

fn text(longest: usize, description: &str) -> Value {
    json!({"type": "string", "maxLength": longest, "description": description})
}

fn path() -> Value {
    json!({"type": "string", "readOnly": true})
}

fn time(description: &str) -> Value {
    json!({"type": "string", "readOnly": true, "format": "date-time", "description": description})
}

fn namespace() -> Value {
    let string = json!({"type": "string"});
    let properties = json!({
        "namespace": text(LONGEST_NAME, "Name, of which there is one."),
        "display_name": text(LONGEST_NAME, "Name for people."),
        "description": text(LONGEST_DESCRIPTION, "What the namespace is about."),
        "visibility": {"type": "string", "enum": ["public", "private"], "description": "Who may see it."},
        "protected": {"type": "boolean", "description": "Whether it and what is in it cannot be deleted."},
        "owner": text(LONGEST_OWNER, "Project that it belongs to."),
        "created_at": time("When the namespace was made."),
        "updated_at": time("When the namespace last changed."),
        "schema": path(),
        "self": path(),
        "resource_type_associations": {"type": "array", "items": {
            "type": "object",
            "properties": {"name": string, "prefix": string, "properties_target": string},
        }},
        "properties": {"$ref": "#/definitions/property"},
        "objects": {"type": "array", "items": {"type": "object", "properties": {
            "name": string,
            "description": string,
            "required": {"$ref": "#/definitions/stringArray"},
            "properties": {"$ref": "#/definitions/property"},
        }}},
        "tags": {"type": "array", "items": {"type": "object", "properties": {"name": string}}},
    });
    closed("namespace", properties, &["namespace"])
}

fn object() -> Value {
    let properties = json!({
        "name": {"type": "string", "maxLength": LONGEST_NAME},
        "description": {"type": "string"},
        "required": {"$ref": "#/definitions/stringArray"},
        "properties": {"$ref": "#/definitions/property"},
        "schema": path(),
        "self": path(),
        "created_at": time("When the object was made."),
        "updated_at": time("When the object last changed."),
    });
    closed("object", properties, &["name"])
}

fn property(required: &[&str]) -> Value {
    closed("property", property_words(), required)
}

fn tag() -> Value {
    let properties = json!({
        "name": {"type": "string", "maxLength": LONGEST_NAME},
        "created_at": time("When the tag was made."),
        "updated_at": time("When the tag last changed."),
    });
    closed("tag", properties, &["name"])
}

fn association() -> Value {
    let properties = json!({
        "name": text(LONGEST_NAME, "Type of resources, by the name that Heat has for it."),
        "prefix": text(LONGEST_NAME, "What names of properties begin with on such a resource, separator included."),
        "properties_target": text(LONGEST_NAME, "Which of several sets of properties of such a resource is meant."),
        "created_at": time("When the association was made."),
        "updated_at": time("When the association last changed."),
    });
    closed("resource_type_association", properties, &["name"])
}

/// What a property can say of itself.
fn property_words() -> Value {
    let types: Vec<Option<&str>> = TYPES.iter().copied().map(Some).chain([None]).collect();
    let kind = json!({"type": "string", "enum": types});
    let (count, count_from_0) = (
        json!({"$ref": "#/definitions/positiveInteger"}),
        json!({"$ref": "#/definitions/positiveIntegerDefault0"}),
    );
    json!({
        "name": {"type": "string", "maxLength": LONGEST_NAME},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "operators": {"type": "array", "items": {"type": "string"}},
        "type": kind,
        "required": {"$ref": "#/definitions/stringArray"},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "maxLength": count,
        "minLength": count_from_0,
        "pattern": {"type": "string", "format": "regex"},
        "enum": {"type": "array"},
        "readonly": {"type": "boolean"},
        "default": {},
        "items": {"type": "object", "properties": {"type": kind, "enum": {"type": "array"}}},
        "maxItems": count,
        "minItems": count_from_0,
        "uniqueItems": {"type": "boolean", "default": false},
        "additionalItems": {"type": "boolean"},
    })
}

/// What schemas of properties refer to. A list of strings has `least` of them.
fn words(least: usize) -> Value {
    let mut strings = json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true});
    if least > 0 {
        strings["minItems"] = least.into();
    }
    json!({
        "positiveInteger": {"type": "integer", "minimum": 0},
        "positiveIntegerDefault0": {"allOf": [{"$ref": "#/definitions/positiveInteger"}, {"default": 0}]},
        "stringArray": strings,
    })
}

/// What schemas of namespaces and objects refer to.
fn definitions() -> Value {
    let mut words = words(0);
    words["property"] = json!({
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["title", "type"],
            "properties": property_words(),
        },
    });
    words
}
