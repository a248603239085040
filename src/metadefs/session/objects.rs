//! Objects of a namespace: groups of properties.

use image_service::{Error, Result, Timestamp};
use rusqlite::params;

use super::{Found, Session, absent, rows};
use crate::metadefs::model::{Entry, Object};
use crate::metadefs::rules;

impl Session<'_> {
    /// All objects of a namespace, in the order in which they were made.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn objects(&self, namespace: &str) -> Result<Vec<Entry<Object>>> {
        self.objects_of(self.find(namespace)?.id)
    }

    /// One object.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn object(&self, namespace: &str, name: &str) -> Result<Entry<Object>> {
        let sql = format!("SELECT {} FROM objects WHERE namespace = ?1 AND name = ?2", rows::OBJECT);
        let id = self.find(namespace)?.id;
        self.one(&sql, params![id, name], rows::object)?.ok_or_else(|| missing(name))
    }

    /// Adds an object.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists`; `TooLarge`.
    pub fn add_object(&self, namespace: &str, object: &Object) -> Result<Entry<Object>> {
        self.put_object(self.find(namespace)?.id, object)
    }

    /// Replaces the object `name` by one that may have another name.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` if the new name is taken.
    pub fn change_object(&self, namespace: &str, name: &str, object: &Object) -> Result<Entry<Object>> {
        let id = self.find(namespace)?.id;
        let created_at = self.object(namespace, name)?.created_at;
        let now = Timestamp::now();
        self.change_unique(
            "UPDATE objects SET name = ?3, description = ?4, required = ?5, properties = ?6, updated_at = ?7
             WHERE namespace = ?1 AND name = ?2",
            params![
                id,
                name,
                object.name,
                object.fields.description,
                rows::text(&object.fields.required.as_deref().unwrap_or_default()),
                rows::text(&object.fields.properties.clone().unwrap_or_default()),
                now.as_second(),
            ],
            &described(&object.name),
        )?;
        self.check_weight(id)?;
        Ok(Entry { it: object.clone(), created_at, updated_at: now })
    }

    /// Removes an object.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if the namespace is protected.
    pub fn remove_object(&self, namespace: &str, name: &str) -> Result<()> {
        let Found { id, entry } = self.find(namespace)?;
        self.object(namespace, name)?;
        rules::removable(&entry.it, "an object")?;
        self.change("DELETE FROM objects WHERE namespace = ?1 AND name = ?2", params![id, name]).map(drop)
    }

    pub(super) fn objects_of(&self, namespace: i64) -> Result<Vec<Entry<Object>>> {
        let sql = format!("SELECT {} FROM objects WHERE namespace = ?1 ORDER BY id", rows::OBJECT);
        self.all(&sql, [namespace], rows::object)
    }

    pub(in crate::metadefs) fn put_object(&self, namespace: i64, object: &Object) -> Result<Entry<Object>> {
        let now = Timestamp::now();
        self.change_unique(
            "INSERT INTO objects (namespace, name, description, required, properties, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
            params![
                namespace,
                object.name,
                object.fields.description,
                rows::text(&object.fields.required.as_deref().unwrap_or_default()),
                rows::text(&object.fields.properties.clone().unwrap_or_default()),
                now.as_second(),
            ],
            &described(&object.name),
        )?;
        let number = self.count("objects", namespace)?;
        rules::few_enough(number, self.bounds.objects, "objects in a metadata namespace")?;
        self.check_weight(namespace)?;
        Ok(Entry { it: object.clone(), created_at: now, updated_at: now })
    }
}

fn described(name: &str) -> String {
    format!("object '{name}' in this metadata namespace")
}

fn missing(name: &str) -> Error {
    absent(&described(name))
}
