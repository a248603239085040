//! Types of resources, and their associations with namespaces. A type is made by its first association and stays.

use image_service::{Error, Result, Timestamp};
use rusqlite::params;

use super::{Found, Session, absent, rows};
use crate::metadefs::model::{Association, Entry};
use crate::metadefs::rules;

impl Session<'_> {
    /// All types of resources, in the order in which they were made.
    ///
    /// # Errors
    /// None of its own.
    pub fn resource_types(&self) -> Result<Vec<Entry<String>>> {
        self.all("SELECT name, created_at, updated_at FROM resource_types ORDER BY id", [], rows::named)
    }

    /// The associations of a namespace, in the order in which they were made.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn associations(&self, namespace: &str) -> Result<Vec<Entry<Association>>> {
        self.associations_of(self.find(namespace)?.id)
    }

    /// Associates a namespace with a type of resource, and makes the type if it is new.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists`; `TooLarge`.
    pub fn associate(&self, namespace: &str, association: &Association) -> Result<Entry<Association>> {
        self.put_association(self.find(namespace)?.id, association)
    }

    /// Removes an association. The type stays.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if the namespace is protected.
    pub fn dissociate(&self, namespace: &str, resource_type: &str) -> Result<()> {
        let Found { id, entry } = self.find(namespace)?;
        let associations = self.associations_of(id)?;
        if !associations.iter().any(|association| association.it.resource_type == resource_type) {
            return Err(missing(resource_type));
        }
        rules::removable(&entry.it, "an association")?;
        self.change(
            "DELETE FROM associations WHERE namespace = ?1
                 AND resource_type = (SELECT id FROM resource_types WHERE name = ?2)",
            params![id, resource_type],
        )
        .map(drop)
    }

    pub(super) fn associations_of(&self, namespace: i64) -> Result<Vec<Entry<Association>>> {
        let sql = format!(
            "SELECT {} FROM associations a JOIN resource_types t ON t.id = a.resource_type
             WHERE a.namespace = ?1 ORDER BY a.id",
            rows::ASSOCIATION
        );
        self.all(&sql, [namespace], rows::association)
    }

    pub(in crate::metadefs) fn put_association(
        &self,
        namespace: i64,
        association: &Association,
    ) -> Result<Entry<Association>> {
        let now = Timestamp::now();
        self.change_unique(
            "INSERT INTO associations
                 (namespace, resource_type, prefix, properties_target, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
            params![
                namespace,
                self.resource_type_id(&association.resource_type)?,
                association.prefix,
                association.properties_target,
                now.as_second(),
            ],
            &described(&association.resource_type),
        )?;
        Ok(Entry { it: association.clone(), created_at: now, updated_at: now })
    }

    /// The number of a type, which is made if it is new.
    pub(in crate::metadefs) fn resource_type_id(&self, name: &str) -> Result<i64> {
        let known = self.one("SELECT id FROM resource_types WHERE name = ?1", [name], |row| row.get(0))?;
        if let Some(id) = known {
            return Ok(id);
        }
        let sql = "INSERT INTO resource_types (name, created_at, updated_at) VALUES (?1, ?2, ?2)";
        self.change(sql, params![name, Timestamp::now().as_second()])?;
        let id = self.connection.last_insert_rowid();
        let number = self.number("SELECT count(*) FROM resource_types", [])?;
        rules::few_enough(number, self.bounds.resource_types, "types of resources")?;
        Ok(id)
    }
}

fn described(resource_type: &str) -> String {
    format!("association of this metadata namespace with the resource type '{resource_type}'")
}

fn missing(resource_type: &str) -> Error {
    absent(&described(resource_type))
}
