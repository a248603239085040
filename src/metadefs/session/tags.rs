//! Tags of a namespace. Two that differ in nothing but case are one.

use image_service::{Error, Result, Timestamp};
use rusqlite::{named_params, params};

use super::{Found, Session, TagsChange, absent, rows};
use crate::metadefs::model::{Entry, Order, TagKey, TagList};
use crate::metadefs::rules::{self, folded};

impl Session<'_> {
    /// The tags of a namespace, as the list wants them.
    ///
    /// # Errors
    /// `NotFound`, also if the tag to begin after is not there.
    pub fn tags(&self, namespace: &str, list: &TagList) -> Result<Vec<Entry<String>>> {
        let id = self.find(namespace)?.id;
        if let Some(after) = &list.after {
            self.tag(namespace, after)?;
        }
        let key = match list.key {
            TagKey::CreatedAt => "created_at",
            TagKey::UpdatedAt => "updated_at",
            TagKey::Id => "id",
            TagKey::Name => "name",
        };
        let (direction, beyond) = match list.order {
            Order::Ascending => ("ASC", ">"),
            Order::Descending => ("DESC", "<"),
        };
        let sql = format!(
            "SELECT name, created_at, updated_at FROM tags
             WHERE namespace = :namespace
               AND (:after IS NULL OR ({key}, created_at, id) {beyond}
                   (SELECT {key}, created_at, id FROM tags WHERE namespace = :namespace AND folded = :after))
             ORDER BY {key} {direction}, created_at {direction}, id {direction}
             LIMIT :limit"
        );
        let limit = list.limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(i64::MAX);
        let after = list.after.as_deref().map(folded);
        self.all(&sql, named_params! {":namespace": id, ":after": after, ":limit": limit}, rows::named)
    }

    /// One tag.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn tag(&self, namespace: &str, name: &str) -> Result<Entry<String>> {
        let sql = "SELECT name, created_at, updated_at FROM tags WHERE namespace = ?1 AND folded = ?2";
        let id = self.find(namespace)?.id;
        self.one(sql, params![id, folded(name)], rows::named)?.ok_or_else(|| missing(name))
    }

    /// Adds a tag.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists`; `TooLarge`.
    pub fn add_tag(&self, namespace: &str, name: &str) -> Result<Entry<String>> {
        self.put_tag(self.find(namespace)?.id, name)
    }

    /// Adds many tags, or puts them in the place of those that are there.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists`, also if one is given twice; `TooLarge`. Then nothing has changed.
    pub fn set_tags(&self, namespace: &str, names: &[String], change: TagsChange) -> Result<()> {
        let id = self.find(namespace)?.id;
        // No tags at all say nothing, in Glance's eyes.
        if change == TagsChange::Replace && !names.is_empty() {
            self.change("DELETE FROM tags WHERE namespace = ?1", [id])?;
        }
        names.iter().try_for_each(|name| self.put_tag(id, name).map(drop))
    }

    /// Gives a tag another name.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` if the new name is taken.
    pub fn rename_tag(&self, namespace: &str, name: &str, renamed: &str) -> Result<Entry<String>> {
        let created_at = self.tag(namespace, name)?.created_at;
        let now = Timestamp::now();
        self.change_unique(
            "UPDATE tags SET name = ?3, folded = ?4, updated_at = ?5 WHERE namespace = ?1 AND folded = ?2",
            params![self.find(namespace)?.id, folded(name), renamed, folded(renamed), now.as_second()],
            &described(renamed),
        )?;
        Ok(Entry { it: renamed.to_owned(), created_at, updated_at: now })
    }

    /// Removes a tag.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if the namespace is protected.
    pub fn remove_tag(&self, namespace: &str, name: &str) -> Result<()> {
        let Found { id, entry } = self.find(namespace)?;
        self.tag(namespace, name)?;
        rules::removable(&entry.it, "a tag")?;
        self.change("DELETE FROM tags WHERE namespace = ?1 AND folded = ?2", params![id, folded(name)])
            .map(drop)
    }

    pub(in crate::metadefs) fn put_tag(&self, namespace: i64, name: &str) -> Result<Entry<String>> {
        let now = Timestamp::now();
        self.change_unique(
            "INSERT INTO tags (namespace, name, folded, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)",
            params![namespace, name, folded(name), now.as_second()],
            &described(name),
        )?;
        let number = self.count("tags", namespace)?;
        rules::few_enough(number, self.bounds.tags, "tags in a metadata namespace")?;
        Ok(Entry { it: name.to_owned(), created_at: now, updated_at: now })
    }
}

fn described(name: &str) -> String {
    format!("tag '{name}', in whatever case, of this metadata namespace")
}

fn missing(name: &str) -> Error {
    absent(&format!("tag '{name}' in this metadata namespace"))
}
