//! The tables, and how a catalogue of an older version comes to have them.

use image_service::{Error, ErrorKind, Result};
use rusqlite::{Connection, TransactionBehavior};

use crate::fault::Fault;

/// The first step of every catalogue: images, their tags, properties and members, and the ids of deleted ones.
///
/// Text is compared by bytes (SQLite's `BINARY`, the default), and `NULL` comes before everything: the contract's
/// order. Times are seconds since the epoch.
pub const IMAGES: &str = "
CREATE TABLE images (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT,
    status TEXT NOT NULL,
    visibility TEXT NOT NULL,
    owner TEXT,
    size INTEGER,
    virtual_size INTEGER,
    disk_format TEXT,
    container_format TEXT,
    checksum TEXT,
    hash_algorithm TEXT,
    hash_value TEXT,
    hidden INTEGER NOT NULL,
    protected INTEGER NOT NULL,
    min_disk INTEGER NOT NULL,
    min_ram INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX images_by_creation ON images (created_at, id);
CREATE INDEX images_by_update ON images (updated_at, id);
CREATE INDEX images_by_name ON images (name, id);
CREATE INDEX images_saving ON images (id) WHERE status = 'saving';

CREATE TABLE tags (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (image_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX images_by_tag ON tags (tag, image_id);

CREATE TABLE properties (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (image_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX images_by_property ON properties (key, value, image_id);

CREATE TABLE members (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    member_id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (image_id, member_id)
) STRICT, WITHOUT ROWID;

-- Ids of deleted images: never given out again.
CREATE TABLE deleted (
    id TEXT NOT NULL PRIMARY KEY,
    deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// The version of the schema in this catalogue. 0 stands for a new, empty one.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes the steps that this catalogue has not taken yet, all or none.
///
/// # Errors
/// `Unavailable` if it has taken steps that are not among `steps`.
pub(crate) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken = version(&transaction)?;
    let Some(missing) = usize::try_from(taken).ok().and_then(|taken| steps.get(taken..)) else {
        return Err(Error::new(
            ErrorKind::Unavailable,
            format!("the catalogue is of version {taken}; this program knows versions up to {}", steps.len()),
        )
        .into());
    };
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        transaction.execute_batch(step)?;
    }
    let version = taken.saturating_add_unsigned(missing.len() as u64);
    transaction.pragma_update(None, "user_version", version)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> Vec<String> {
        let mut statement =
            connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn a_catalogue_takes_the_steps_it_has_not_taken_and_no_other() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x)"];
        migrate(&mut connection, &steps[..1]).map_err(Error::from).unwrap();
        assert_eq!((version(&connection).unwrap(), tables(&connection)), (1, vec!["a".into()]));
        for _ in 0..2 {
            migrate(&mut connection, &steps).map_err(Error::from).unwrap();
            assert_eq!(version(&connection).unwrap(), 2);
            assert_eq!(tables(&connection), ["a", "b"]);
        }
    }

    #[test]
    fn steps_are_taken_together_or_not_at_all() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut connection, &["CREATE TABLE a (x)", "CREATE NONSENSE"]).is_err());
        assert_eq!((version(&connection).unwrap(), tables(&connection).len()), (0, 0));
    }

    #[test]
    fn a_catalogue_of_a_newer_version_is_refused_by_both_versions() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 7).unwrap();
        let error = Error::from(migrate(&mut connection, &[IMAGES]).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("version 7") && error.message().contains("up to 1"), "{error}");
    }
}
