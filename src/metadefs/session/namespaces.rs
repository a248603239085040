//! Namespaces: listed, shown, made, replaced, deleted.

use image_service::{Result, Timestamp};
use rusqlite::{named_params, params};

use super::{Found, Session, rows};
use crate::metadefs::model::{Contents, Entry, Listed, Namespace, NamespaceKey, NamespaceList, Order, Whole};
use crate::metadefs::rules;

impl Session<'_> {
    /// The namespaces that the caller sees, as the list wants them, each with its associations.
    ///
    /// # Errors
    /// `NotFound` if the one to begin after is not there.
    pub fn namespaces(&self, list: &NamespaceList) -> Result<Vec<Listed>> {
        let after = list.after.as_ref().map(|name| self.find(name)).transpose()?.map(|found| found.id);
        let key = match list.key {
            NamespaceKey::CreatedAt => "created_at",
            NamespaceKey::UpdatedAt => "updated_at",
            NamespaceKey::Id => "id",
            NamespaceKey::Name => "name",
            NamespaceKey::DisplayName => "coalesce(display_name, '')",
            NamespaceKey::Visibility => "visibility",
            NamespaceKey::Protected => "protected",
            NamespaceKey::Owner => "coalesce(owner, '')",
        };
        let (direction, beyond) = match list.order {
            Order::Ascending => ("ASC", ">"),
            Order::Descending => ("DESC", "<"),
        };
        let sql = format!(
            "SELECT {fields} FROM namespaces
             WHERE (:sees_all OR visibility = 'public' OR owner = :project)
               AND (:visibility IS NULL OR visibility = :visibility)
               AND (:types IS NULL OR id IN (
                   SELECT a.namespace FROM associations a JOIN resource_types t ON t.id = a.resource_type
                   WHERE t.name IN (SELECT value FROM json_each(:types))))
               AND (:after IS NULL OR ({key}, created_at, id) {beyond}
                   (SELECT {key}, created_at, id FROM namespaces WHERE id = :after))
             ORDER BY {key} {direction}, created_at {direction}, id {direction}
             LIMIT :limit",
            fields = rows::NAMESPACE,
        );
        let found = self.all(
            &sql,
            named_params! {
                ":sees_all": self.caller.is_admin(),
                ":project": self.caller.project,
                ":visibility": list.visibility.map(|visibility| visibility.as_str()),
                ":types": list.resource_types.as_ref().map(rows::text),
                ":after": after,
                ":limit": i64::try_from(list.limit).unwrap_or(i64::MAX),
            },
            |row| Ok(Found { id: row.get("id")?, entry: rows::namespace(row)? }),
        )?;
        found
            .into_iter()
            .map(|Found { id, entry }| {
                Ok(Listed { namespace: entry, associations: self.associations_of(id)? })
            })
            .collect()
    }

    /// A namespace without what is in it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn namespace(&self, name: &str) -> Result<Entry<Namespace>> {
        Ok(self.find(name)?.entry)
    }

    /// A namespace and all that is in it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn whole(&self, name: &str) -> Result<Whole> {
        let Found { id, entry } = self.find(name)?;
        let tags = self.tags(name, &Default::default())?;
        Ok(Whole {
            namespace: entry,
            associations: self.associations_of(id)?,
            properties: self.properties_of(id)?,
            objects: self.objects_of(id)?,
            tags: tags.into_iter().map(|tag| tag.it).collect(),
        })
    }

    /// Makes a namespace with `contents` in it.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, also by one that the caller does not see, or `contents` has something
    /// twice; `TooLarge`.
    pub fn add_namespace(&self, namespace: &Namespace, contents: &Contents) -> Result<Entry<Namespace>> {
        let now = Timestamp::now();
        self.change_unique(
            "INSERT INTO namespaces
                 (name, display_name, description, visibility, protected, owner, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
            params![
                namespace.name,
                namespace.display_name,
                namespace.description,
                namespace.visibility.as_str(),
                namespace.protected,
                namespace.owner,
                now.as_second(),
            ],
            &format!("metadata namespace '{}'", namespace.name),
        )?;
        self.put_all(self.connection.last_insert_rowid(), contents)?;
        let number = self.number("SELECT count(*) FROM namespaces", [])?;
        rules::few_enough(number, self.bounds.namespaces, "metadata namespaces")?;
        Ok(Entry { it: namespace.clone(), created_at: now, updated_at: now })
    }

    /// Replaces what a namespace says of itself, its name too. What is in it stays.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` if the new name is taken.
    pub fn change_namespace(&self, name: &str, namespace: &Namespace) -> Result<Entry<Namespace>> {
        let Found { id, entry } = self.find(name)?;
        let now = Timestamp::now();
        self.change_unique(
            "UPDATE namespaces SET name = ?2, display_name = ?3, description = ?4, visibility = ?5,
                 protected = ?6, owner = ?7, updated_at = ?8
             WHERE id = ?1",
            params![
                id,
                namespace.name,
                namespace.display_name,
                namespace.description,
                namespace.visibility.as_str(),
                namespace.protected,
                namespace.owner,
                now.as_second(),
            ],
            &format!("metadata namespace '{}'", namespace.name),
        )?;
        Ok(Entry { it: namespace.clone(), created_at: entry.created_at, updated_at: now })
    }

    /// Deletes a namespace and all that is in it. Types of resources stay.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if it is protected.
    pub fn delete_namespace(&self, name: &str) -> Result<()> {
        let Found { id, entry } = self.find(name)?;
        rules::removable(&entry.it, "it")?;
        self.drop_namespace(id)
    }

    /// Deletes a namespace, protected or not, if it is there.
    pub(in crate::metadefs) fn wipe_namespace(&self, name: &str) -> Result<()> {
        let id = self.one("SELECT id FROM namespaces WHERE name = ?1", [name], |row| row.get(0))?;
        id.map_or(Ok(()), |id| self.drop_namespace(id))
    }

    fn drop_namespace(&self, id: i64) -> Result<()> {
        self.change("DELETE FROM namespaces WHERE id = ?1", [id]).map(drop)
    }

    /// Puts `contents` into a namespace that has nothing of it.
    pub(in crate::metadefs) fn fill(&self, name: &str, contents: &Contents) -> Result<()> {
        self.put_all(self.find(name)?.id, contents)
    }

    fn put_all(&self, id: i64, contents: &Contents) -> Result<()> {
        for association in contents.associations.iter().flatten() {
            self.put_association(id, association)?;
        }
        for object in contents.objects.iter().flatten() {
            self.put_object(id, object)?;
        }
        for tag in contents.tags.iter().flatten() {
            self.put_tag(id, tag)?;
        }
        for (name, schema) in contents.properties.iter().flatten() {
            self.put_property(id, name, schema)?;
        }
        Ok(())
    }
}
