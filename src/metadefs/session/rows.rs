//! Rows ⇄ nouns.

use image_service::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::metadefs::model::{Association, Entry, Namespace, Object, ObjectFields, Visibility};

pub(super) const NAMESPACE: &str =
    "id, name, display_name, description, visibility, protected, owner, created_at, updated_at";

pub(super) const OBJECT: &str = "name, description, required, properties, created_at, updated_at";

/// Of associations joined with their types.
pub(super) const ASSOCIATION: &str =
    "t.name AS name, a.prefix, a.properties_target, a.created_at, a.updated_at";

pub(super) fn namespace(row: &Row<'_>) -> rusqlite::Result<Entry<Namespace>> {
    let visibility: String = row.get("visibility")?;
    let namespace = Namespace {
        name: row.get("name")?,
        display_name: row.get("display_name")?,
        description: row.get("description")?,
        visibility: Visibility::called(&visibility).unwrap_or_default(),
        protected: row.get("protected")?,
        owner: row.get("owner")?,
    };
    entry(row, namespace)
}

pub(super) fn object(row: &Row<'_>) -> rusqlite::Result<Entry<Object>> {
    let fields = ObjectFields {
        description: row.get("description")?,
        required: Some(json(row, "required")?),
        properties: Some(json(row, "properties")?),
    };
    entry(row, Object { name: row.get("name")?, fields })
}

pub(super) fn association(row: &Row<'_>) -> rusqlite::Result<Entry<Association>> {
    let association = Association {
        resource_type: row.get("name")?,
        prefix: row.get("prefix")?,
        properties_target: row.get("properties_target")?,
    };
    entry(row, association)
}

pub(super) fn named(row: &Row<'_>) -> rusqlite::Result<Entry<String>> {
    entry(row, row.get("name")?)
}

fn entry<T>(row: &Row<'_>, it: T) -> rusqlite::Result<Entry<T>> {
    Ok(Entry { it, created_at: moment(row, "created_at")?, updated_at: moment(row, "updated_at")? })
}

fn moment(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    let unreadable = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, Box::new(error));
    Timestamp::from_second(row.get(column)?).map_err(unreadable)
}

/// What a column holds as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}

/// As a column holds it.
pub(super) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("definitions have only text for keys")
}
