//! What can be asked of the catalogue, and changed in it, within one job.
//!
//! A session sees with its caller's eyes: a namespace that the caller may not see is not there, in lists, by name and as
//! a marker. Whether a role allows a change has been asked before.

mod namespaces;
mod objects;
mod properties;
mod resource_types;
mod rows;
mod tags;
#[cfg(test)]
mod tests;

use image_service::{Caller, Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::model::{Entry, Namespace};
use super::rules::{self, Bounds};
use super::store::broken;

/// A kind of thing in a namespace, all of which can be removed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The properties.
    Properties,
    /// The objects.
    Objects,
    /// The tags.
    Tags,
}

/// What becomes of the tags that are there when others are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagsChange {
    /// They go.
    Replace,
    /// They stay.
    Append,
}

/// One job, on behalf of one caller.
#[derive(Debug)]
pub struct Session<'t> {
    connection: &'t Connection,
    caller: &'t Caller,
    bounds: &'t Bounds,
}

/// A namespace that the caller sees, and its number in the file.
struct Found {
    id: i64,
    entry: Entry<Namespace>,
}

impl<'t> Session<'t> {
    pub(super) fn new(connection: &'t Connection, caller: &'t Caller, bounds: &'t Bounds) -> Self {
        Self { connection, caller, bounds }
    }

    /// Removes all of one kind from a namespace.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if the namespace is protected.
    pub fn clear(&self, namespace: &str, part: Part) -> Result<()> {
        let Found { id, entry } = self.find(namespace)?;
        let (what, table) = match part {
            Part::Properties => ("its properties", "properties"),
            Part::Objects => ("its objects", "objects"),
            Part::Tags => ("its tags", "tags"),
        };
        rules::removable(&entry.it, what)?;
        self.change(&format!("DELETE FROM {table} WHERE namespace = ?1"), [id])?;
        Ok(())
    }

    /// The namespace called `name`, if the caller sees it.
    fn find(&self, name: &str) -> Result<Found> {
        let sql = format!("SELECT {} FROM namespaces WHERE name = ?1", rows::NAMESPACE);
        match self.one(&sql, [name], |row| Ok((row.get("id")?, rows::namespace(row)?)))? {
            Some((id, entry)) if rules::sees(self.caller, &entry.it) => Ok(Found { id, entry }),
            _ => Err(absent(&format!("metadata namespace '{name}'"))),
        }
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(broken)?;
        statement.query_row(params, read).optional().map_err(broken)
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(broken)?;
        let rows = statement.query_map(params, read).map_err(broken)?;
        rows.collect::<rusqlite::Result<_>>().map_err(broken)
    }

    /// Changes rows, and tells how many.
    fn change(&self, sql: &str, params: impl Params) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(broken)?;
        statement.execute(params).map_err(broken)
    }

    /// Inserts or changes a row for `what`, of which there can be one.
    fn change_unique(&self, sql: &str, params: impl Params, what: &str) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(broken)?;
        statement.execute(params).map_err(|error| {
            if is_of_twins(&error) {
                Error::new(ErrorKind::AlreadyExists, format!("the {what} is there already"))
            } else {
                broken(error)
            }
        })
    }

    /// How many rows of `table` belong to the namespace.
    fn count(&self, table: &str, namespace: i64) -> Result<usize> {
        self.number(&format!("SELECT count(*) FROM {table} WHERE namespace = ?1"), [namespace])
    }

    /// Refuses properties and objects that have become too much for one namespace.
    fn check_weight(&self, namespace: i64) -> Result<()> {
        let sql = "SELECT
            coalesce((SELECT sum(octet_length(schema)) FROM properties WHERE namespace = ?1), 0) +
            coalesce((SELECT sum(octet_length(properties) + octet_length(required)
                                 + coalesce(octet_length(description), 0))
                      FROM objects WHERE namespace = ?1), 0)";
        let weight = self.number(sql, [namespace])?;
        rules::few_enough(
            weight,
            self.bounds.contents,
            "bytes of properties and objects in a metadata namespace",
        )
    }

    /// The number that `sql` counts.
    fn number(&self, sql: &str, params: impl Params) -> Result<usize> {
        let number: Option<i64> = self.one(sql, params, |row| row.get(0))?;
        Ok(number.and_then(|number| usize::try_from(number).ok()).unwrap_or_default())
    }
}

fn is_of_twins(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(error, _)
        if error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

fn absent(what: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {what}"))
}
