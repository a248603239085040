//! Properties of a namespace.

use image_service::Result;
use rusqlite::params;

use super::{Found, Session, absent, rows};
use crate::metadefs::model::{Properties, Schema};
use crate::metadefs::rules;

impl Session<'_> {
    /// All properties of a namespace.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn properties(&self, namespace: &str) -> Result<Properties> {
        self.properties_of(self.find(namespace)?.id)
    }

    /// One property.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn property(&self, namespace: &str, name: &str) -> Result<Schema> {
        let id = self.find(namespace)?.id;
        let sql = "SELECT schema FROM properties WHERE namespace = ?1 AND name = ?2";
        self.one(sql, params![id, name], |row| rows::json(row, "schema"))?.ok_or_else(|| missing(name))
    }

    /// The property that is called `name` on resources of a type: its name without the prefix of the namespace's
    /// association with the type, and what it is.
    ///
    /// # Errors
    /// `NotFound`, also if there is no association, it has no prefix, or the name does not begin with it.
    pub fn property_on(&self, namespace: &str, name: &str, resource_type: &str) -> Result<(String, Schema)> {
        let associations = self.associations(namespace)?.into_iter().map(|entry| entry.it);
        let association = associations
            .into_iter()
            .find(|association| association.resource_type == resource_type)
            .ok_or_else(|| absent(&format!("association with the resource type '{resource_type}'")))?;
        let prefix = association.prefix.filter(|prefix| !prefix.is_empty());
        let bare = prefix.and_then(|prefix| name.strip_prefix(&prefix)).ok_or_else(|| missing(name))?;
        Ok((bare.to_owned(), self.property(namespace, bare)?))
    }

    /// Adds a property.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists`; `TooLarge`.
    pub fn add_property(&self, namespace: &str, name: &str, schema: &Schema) -> Result<()> {
        self.put_property(self.find(namespace)?.id, name, schema)
    }

    /// Replaces the property `name` by one that may have another name.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` if the new name is taken.
    pub fn change_property(&self, namespace: &str, name: &str, renamed: &str, schema: &Schema) -> Result<()> {
        let id = self.find(namespace)?.id;
        let changed = self.change_unique(
            "UPDATE properties SET name = ?3, schema = ?4 WHERE namespace = ?1 AND name = ?2",
            params![id, name, renamed, rows::text(schema)],
            &described(renamed),
        )?;
        if changed == 0 { Err(missing(name)) } else { self.check_weight(id) }
    }

    /// Removes a property.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if the namespace is protected.
    pub fn remove_property(&self, namespace: &str, name: &str) -> Result<()> {
        let Found { id, entry } = self.find(namespace)?;
        self.property(namespace, name)?;
        rules::removable(&entry.it, "a property")?;
        self.change("DELETE FROM properties WHERE namespace = ?1 AND name = ?2", params![id, name]).map(drop)
    }

    pub(super) fn properties_of(&self, namespace: i64) -> Result<Properties> {
        let sql = "SELECT name, schema FROM properties WHERE namespace = ?1";
        let rows = self.all(sql, [namespace], |row| Ok((row.get("name")?, rows::json(row, "schema")?)))?;
        Ok(rows.into_iter().collect())
    }

    pub(in crate::metadefs) fn put_property(
        &self,
        namespace: i64,
        name: &str,
        schema: &Schema,
    ) -> Result<()> {
        self.change_unique(
            "INSERT INTO properties (namespace, name, schema) VALUES (?1, ?2, ?3)",
            params![namespace, name, rows::text(schema)],
            &described(name),
        )?;
        rules::few_enough(
            self.count("properties", namespace)?,
            self.bounds.properties,
            "properties in a metadata namespace",
        )?;
        self.check_weight(namespace)
    }
}

fn described(name: &str) -> String {
    format!("property '{name}' in this metadata namespace")
}

fn missing(name: &str) -> image_service::Error {
    absent(&described(name))
}
