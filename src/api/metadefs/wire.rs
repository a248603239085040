//! Definitions → JSON. What was not said is left out, as Glance does. Links hold names as they are, not encoded.

use serde_json::{Map, Value, json};

use crate::metadefs::{Association, Contents, Entry, Listed, Namespace, Object, Properties, Schema, Whole};

/// The path of a namespace.
pub(super) fn path(namespace: &str) -> String {
    format!("/v2/metadefs/namespaces/{namespace}")
}

/// A namespace by itself.
pub(super) fn namespace(entry: &Entry<Namespace>) -> Map<String, Value> {
    let namespace = &entry.it;
    let mut shown = Map::new();
    put(&mut shown, "namespace", Some(namespace.name.as_str()));
    put(&mut shown, "display_name", namespace.display_name.as_deref());
    put(&mut shown, "description", namespace.description.as_deref());
    put(&mut shown, "visibility", Some(namespace.visibility.as_str()));
    put(&mut shown, "protected", Some(namespace.protected));
    put(&mut shown, "owner", namespace.owner.as_deref());
    put_times(&mut shown, entry);
    put(&mut shown, "self", Some(path(&namespace.name)));
    put(&mut shown, "schema", Some("/v2/schemas/metadefs/namespace"));
    shown
}

/// A namespace in a list.
pub(super) fn listed(listed: &Listed) -> Value {
    let mut shown = namespace(&listed.namespace);
    put_list(&mut shown, "resource_type_associations", listed.associations.iter().map(association).collect());
    shown.into()
}

/// A namespace that was just made, with what was said to be in it.
pub(super) fn made(entry: &Entry<Namespace>, contents: &Contents) -> Value {
    let mut shown = namespace(entry);
    let associations = contents.associations.as_ref();
    let associations =
        associations.map(|all| all.iter().map(|one| bare_association(one).into()).collect::<Vec<Value>>());
    put(&mut shown, "resource_type_associations", associations);
    put(&mut shown, "properties", contents.properties.as_ref().map(properties));
    let objects = contents.objects.as_ref();
    put(
        &mut shown,
        "objects",
        objects.map(|all| all.iter().map(|one| bare_object(one).into()).collect::<Vec<Value>>()),
    );
    put(&mut shown, "tags", contents.tags.as_deref().map(tags));
    shown.into()
}

/// A namespace with all that is in it.
pub(super) fn whole(whole: &Whole) -> Value {
    let mut shown = namespace(&whole.namespace);
    let name = &whole.namespace.it.name;
    put_list(&mut shown, "resource_type_associations", whole.associations.iter().map(association).collect());
    put_list(&mut shown, "objects", whole.objects.iter().map(|entry| object(name, entry)).collect());
    put_list(&mut shown, "tags", tags(&whole.tags));
    if !whole.properties.is_empty() {
        put(&mut shown, "properties", Some(properties(&whole.properties)));
    }
    shown.into()
}

/// Properties by their names.
pub(super) fn properties(properties: &Properties) -> Value {
    properties.iter().map(|(name, schema)| (name.clone(), Value::from(schema.clone()))).collect()
}

/// A property with its name.
pub(super) fn property(name: &str, schema: &Schema) -> Value {
    let mut shown = schema.clone();
    put(&mut shown, "name", Some(name));
    shown.into()
}

/// An object of `namespace`.
pub(super) fn object(namespace: &str, entry: &Entry<Object>) -> Value {
    let mut shown = bare_object(&entry.it);
    put_times(&mut shown, entry);
    put(&mut shown, "self", Some(format!("{}/objects/{}", path(namespace), entry.it.name)));
    put(&mut shown, "schema", Some("/v2/schemas/metadefs/object"));
    shown.into()
}

fn bare_object(object: &Object) -> Map<String, Value> {
    let mut shown = Map::new();
    put(&mut shown, "name", Some(object.name.as_str()));
    put(&mut shown, "description", object.fields.description.as_deref());
    put(&mut shown, "required", object.fields.required.clone());
    put(&mut shown, "properties", object.fields.properties.as_ref().map(properties));
    shown
}

/// Tags in a list.
pub(super) fn tags(tags: &[String]) -> Vec<Value> {
    tags.iter().map(|tag| json!({ "name": tag })).collect()
}

/// A tag or a type of resources by itself.
pub(super) fn named(entry: &Entry<String>) -> Value {
    let mut shown = Map::new();
    put(&mut shown, "name", Some(entry.it.as_str()));
    put_times(&mut shown, entry);
    shown.into()
}

/// An association.
pub(super) fn association(entry: &Entry<Association>) -> Value {
    let mut shown = bare_association(&entry.it);
    put_times(&mut shown, entry);
    shown.into()
}

fn bare_association(association: &Association) -> Map<String, Value> {
    let mut shown = Map::new();
    put(&mut shown, "name", Some(association.resource_type.as_str()));
    put(&mut shown, "prefix", association.prefix.as_deref());
    put(&mut shown, "properties_target", association.properties_target.as_deref());
    shown
}

fn put(shown: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        shown.insert(key.to_owned(), value.into());
    }
}

fn put_list(shown: &mut Map<String, Value>, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        put(shown, key, Some(list));
    }
}

fn put_times<T>(shown: &mut Map<String, Value>, entry: &Entry<T>) {
    put(shown, "created_at", Some(entry.created_at.to_string()));
    put(shown, "updated_at", Some(entry.updated_at.to_string()));
}
