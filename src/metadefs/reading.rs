//! JSON → definitions, or every fault in it: the form that the Image API and the files of Glance's distribution share.
//!
//! What Glance writes itself when it shows something (`self`, `schema`, `created_at`, `updated_at`) is ignored, so that
//! what was shown can be read again.

use image_service::Result;
use serde_json::{Value, json};

use super::fields::{Faults, Fields};
use super::model::{Association, Contents, Namespace, Object, ObjectFields, Properties, Schema, Visibility};
use super::rules::{LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_OWNER};

/// The types that a property may have.
pub const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

const SHOWN: [&str; 4] = ["self", "schema", "created_at", "updated_at"];

/// Reads definitions.
///
/// All of them fail as `Invalid`, with every fault in one sentence.
#[derive(Debug)]
pub struct Read;

impl Read {
    /// A namespace and what is in it.
    pub fn namespace(value: &Value) -> Result<(Namespace, Contents)> {
        whole(value, namespace)
    }

    /// A property with its name.
    pub fn property(value: &Value) -> Result<(String, Schema)> {
        whole(value, |fields| {
            let name = fields.needed("name", LONGEST_NAME);
            let schema = schema(fields);
            Some((name?, schema))
        })
    }

    /// An object.
    pub fn object(value: &Value) -> Result<Object> {
        whole(value, object)
    }

    /// A tag.
    pub fn tag(value: &Value) -> Result<String> {
        whole(value, named)
    }

    /// A list of tags.
    pub fn tags(value: &Value) -> Result<Vec<String>> {
        whole(value, |fields| {
            if fields.value("tags").is_none() {
                fields.note("tags", "is required");
            }
            each(fields, "tags", named)
        })
    }

    /// The name of a tag that stands alone.
    pub fn tag_name(name: &str) -> Result<String> {
        Self::tag(&json!({ "name": name }))
    }

    /// An association.
    pub fn association(value: &Value) -> Result<Association> {
        whole(value, association)
    }
}

/// Reads all of `value` by `read`.
fn whole<T>(value: &Value, read: impl FnOnce(&mut Fields<'_, '_>) -> Option<T>) -> Result<T> {
    let mut faults = Faults::default();
    let read = within(value, "", &mut faults, read);
    faults.none_or(read)
}

fn within<T>(
    value: &Value,
    place: &str,
    faults: &mut Faults,
    read: impl FnOnce(&mut Fields<'_, '_>) -> Option<T>,
) -> Option<T> {
    let mut fields = Fields::of(value, place, faults)?;
    let read = read(&mut fields);
    fields.end();
    read
}

/// Reads every item of an array by `read`.
fn each<T>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    read: impl Fn(&mut Fields<'_, '_>) -> Option<T>,
) -> Option<Vec<T>> {
    let items = fields.array(key)?;
    let place = fields.place_of(key);
    let mut all = Vec::with_capacity(items.len());
    for (number, item) in items.iter().enumerate() {
        all.extend(within(item, &format!("{place}[{number}]"), fields.faults(), &read));
    }
    Some(all)
}

fn namespace(fields: &mut Fields<'_, '_>) -> Option<(Namespace, Contents)> {
    fields.ignore(&SHOWN);
    let name = fields.needed("namespace", LONGEST_NAME);
    let display_name = fields.text("display_name", LONGEST_NAME);
    let description = fields.text("description", LONGEST_DESCRIPTION);
    let visibility = fields.text("visibility", LONGEST_NAME).and_then(|word| {
        let visibility = Visibility::called(&word);
        if visibility.is_none() {
            fields.note("visibility", "must be public or private");
        }
        visibility
    });
    let protected = fields.flag("protected").unwrap_or_default();
    let owner = fields.text("owner", LONGEST_OWNER);
    let contents = Contents {
        associations: each(fields, "resource_type_associations", association),
        properties: properties(fields),
        objects: each(fields, "objects", object),
        tags: each(fields, "tags", named),
    };
    let visibility = visibility.unwrap_or_default();
    Some((Namespace { name: name?, display_name, description, visibility, protected, owner }, contents))
}

fn object(fields: &mut Fields<'_, '_>) -> Option<Object> {
    fields.ignore(&SHOWN);
    let name = fields.needed("name", LONGEST_NAME);
    let fields = ObjectFields {
        description: fields.text("description", usize::MAX),
        required: fields.set("required"),
        properties: properties(fields),
    };
    Some(Object { name: name?, fields })
}

fn named(fields: &mut Fields<'_, '_>) -> Option<String> {
    fields.ignore(&["created_at", "updated_at"]);
    fields.needed("name", LONGEST_NAME)
}

fn association(fields: &mut Fields<'_, '_>) -> Option<Association> {
    fields.ignore(&["created_at", "updated_at"]);
    let resource_type = fields.needed("name", LONGEST_NAME);
    let prefix = fields.text("prefix", LONGEST_NAME);
    let properties_target = fields.text("properties_target", LONGEST_NAME);
    Some(Association { resource_type: resource_type?, prefix, properties_target })
}

/// The properties under `properties`, by their names.
fn properties(fields: &mut Fields<'_, '_>) -> Option<Properties> {
    let named = fields.object("properties")?;
    let place = fields.place_of("properties");
    let mut all = Properties::new();
    for (name, value) in named {
        let place = format!("{place}.{name}");
        if name.chars().count() > LONGEST_NAME {
            fields.faults().note(&place, format!("the name must have at most {LONGEST_NAME} characters"));
        }
        let read = within(value, &place, fields.faults(), |fields| {
            // Here a name, and that a value is confidential, may stand, though neither counts.
            let name = fields.text("name", LONGEST_NAME);
            let confidential = fields.flag("confidential");
            let mut schema = schema(fields);
            put(&mut schema, "name", name);
            put(&mut schema, "confidential", confidential);
            Some(schema)
        });
        all.extend(read.map(|schema| (name.clone(), schema)));
    }
    Some(all)
}

/// What a property is, without its name. Numbers and booleans as defaults become the texts that Glance makes of them.
fn schema(fields: &mut Fields<'_, '_>) -> Schema {
    let mut schema = Schema::new();
    for key in ["title", "description", "pattern"] {
        let text = if key == "title" { fields.needed(key, usize::MAX) } else { fields.text(key, usize::MAX) };
        put(&mut schema, key, text);
    }
    put(&mut schema, "type", kind(fields));
    put(&mut schema, "operators", fields.texts("operators"));
    put(&mut schema, "enum", choices(fields));
    for key in ["readonly", "uniqueItems", "additionalItems"] {
        put(&mut schema, key, fields.flag(key));
    }
    for key in ["minLength", "maxLength", "minItems", "maxItems"] {
        put(&mut schema, key, fields.count(key));
    }
    for key in ["minimum", "maximum"] {
        put(&mut schema, key, fields.number(key).cloned());
    }
    put(&mut schema, "default", fields.value("default").map(default));
    if let Some(value) = fields.value("items") {
        let place = fields.place_of("items");
        let items = within(value, &place, fields.faults(), |fields| {
            let mut items = Schema::new();
            put(&mut items, "type", kind(fields));
            put(&mut items, "enum", choices(fields));
            Some(items)
        });
        put(&mut schema, "items", items);
    }
    schema
}

fn kind(fields: &mut Fields<'_, '_>) -> Option<String> {
    let kind = fields.needed("type", usize::MAX)?;
    if !TYPES.contains(&kind.as_str()) {
        fields.note("type", format!("must be one of {}", TYPES.join(", ")));
    }
    Some(kind)
}

/// Values to choose from: texts, and nothing.
fn choices(fields: &mut Fields<'_, '_>) -> Option<Vec<Value>> {
    let choices = fields.array("enum")?;
    if !choices.iter().all(|choice| choice.is_string() || choice.is_null()) {
        fields.note("enum", "must hold nothing but strings");
    }
    Some(choices.clone())
}

fn default(value: &Value) -> Value {
    match value {
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string().into(),
        other => other.clone(),
    }
}

fn put(schema: &mut Schema, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        schema.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(more: Value) -> Result<Schema> {
        let mut value = json!({"name": "p", "title": "t", "type": "string"});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Read::property(&value).map(|(_, schema)| schema)
    }

    #[test]
    fn a_property_is_what_its_few_words_say() {
        for good in [
            json!({}),
            json!({"minimum": 1, "maximum": 2.5}),
            json!({"enum": ["a", null], "operators": ["<in>"], "readonly": true}),
            json!({"items": {"type": "string", "enum": []}, "uniqueItems": false, "additionalItems": true}),
            json!({"minLength": 0, "maxLength": 2.0, "minItems": 1, "maxItems": 3}),
            json!({"default": null, "description": "", "pattern": "("}),
        ] {
            assert!(property(good.clone()).is_ok(), "{good}: {:?}", property(good.clone()));
        }
        for bad in [
            json!({"foo": 1}),
            json!({"minimum": "1"}),
            json!({"maximum": null}),
            json!({"enum": [1]}),
            json!({"enum": null}),
            json!({"operators": "x"}),
            json!({"readonly": 1}),
            json!({"confidential": true}),
            json!({"required": ["a"]}),
            json!({"items": {}}),
            json!({"items": {"type": "string", "foo": 1}}),
            json!({"items": null}),
            json!({"minItems": -1}),
            json!({"maxLength": 1.5}),
            json!({"description": null}),
            json!({"type": "text"}),
            json!({"type": null}),
            json!({"title": 5}),
            json!({"name": "x".repeat(81)}),
        ] {
            assert!(property(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn defaults_become_texts_and_whole_floats_numbers() {
        for (given, kept) in [
            (json!(5), json!("5")),
            (json!(1.5), json!("1.5")),
            (json!(true), json!("True")),
            (json!(false), json!("False")),
            (json!("é"), json!("é")),
            (json!(null), json!(null)),
            (json!(["a"]), json!(["a"])),
        ] {
            assert_eq!(property(json!({ "default": given })).unwrap()["default"], kept);
        }
        assert_eq!(property(json!({"maxLength": 2.0})).unwrap()["maxLength"], json!(2));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let error = Read::namespace(&json!({
            "visibility": "shared",
            "foo": 1,
            "properties": {"p": {"title": 1, "type": "string"}},
            "objects": [{"name": "o"}, {"required": ["a", "a"]}],
            "tags": [{"name": "t", "x": 1}],
        }))
        .unwrap_err();
        for fault in [
            "namespace: is required",
            "visibility: must be public or private",
            "foo: is not known",
            "properties.p.title: must be a string",
            "objects[1].name: is required",
            "objects[1].required: must hold each string once",
            "tags[0].x: is not known",
        ] {
            assert!(error.message().contains(fault), "{fault} is not in {error}");
        }
        assert!(Read::namespace(&json!([])).is_err());
    }

    #[test]
    fn what_was_shown_can_be_read_again() {
        let times = json!({"created_at": "x", "updated_at": "x", "self": "x", "schema": "x"});
        let mut object = json!({"name": "o"});
        object.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        let mut value = json!({
            "namespace": "n",
            "objects": [object],
            "resource_type_associations": [{"name": "R", "created_at": "x", "updated_at": "x"}],
            "properties": {"p": {"name": "p", "title": "t", "type": "string", "confidential": false}},
        });
        value.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        let (namespace, contents) = Read::namespace(&value).unwrap();
        assert_eq!(namespace, Namespace { name: "n".into(), ..Namespace::default() });
        assert_eq!(contents.objects.unwrap()[0].name, "o");
        assert_eq!(contents.properties.unwrap()["p"]["name"], "p");
        assert_eq!(contents.tags, None);
    }

    #[test]
    fn names_of_eighty_characters_are_the_longest() {
        assert!(Read::tag_name(&"é".repeat(80)).is_ok());
        for (longer, value) in [
            ("a namespace", json!({"namespace": "x".repeat(81)})),
            (
                "a property",
                json!({"namespace": "n", "properties": {"x".repeat(81): {"title": "", "type": "string"}}}),
            ),
            ("an object", json!({"namespace": "n", "objects": [{"name": "x".repeat(81)}]})),
            ("a tag", json!({"namespace": "n", "tags": [{"name": "x".repeat(81)}]})),
            ("a type", json!({"namespace": "n", "resource_type_associations": [{"name": "x".repeat(81)}]})),
            (
                "a prefix",
                json!({"namespace": "n", "resource_type_associations": [{"name": "x", "prefix": "x".repeat(81)}]}),
            ),
            ("a description", json!({"namespace": "n", "description": "x".repeat(501)})),
            ("an owner", json!({"namespace": "n", "owner": "x".repeat(256)})),
        ] {
            assert!(Read::namespace(&value).is_err(), "{longer}");
        }
    }
}
