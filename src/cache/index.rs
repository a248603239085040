//! What must outlive the process: which files hold which contents, and what is remembered of images. One SQLite file.
//!
//! Everything here blocks, for the time of one small transaction.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use image_service::{Error, ErrorKind, ImageId, Result};
use rusqlite::{Connection, TransactionBehavior, params};

use super::content::Key;
use super::memory::Remembered;
use super::record;
use super::shelf::Entry;
use crate::state::open_database;

/// What brings an empty file to today's tables. A later version adds another step, and never changes one.
const STEPS: &[&str] = &["
    CREATE TABLE contents (
        key TEXT PRIMARY KEY,
        file TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        made_at INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        orphaned_at INTEGER
    ) STRICT;
    CREATE TABLE images (
        id TEXT PRIMARY KEY,
        key TEXT NOT NULL,
        record TEXT NOT NULL,
        shown_at INTEGER NOT NULL,
        seen_by TEXT NOT NULL,
        hits INTEGER NOT NULL,
        used_at INTEGER NOT NULL
    ) STRICT;
"];

/// The open file.
#[derive(Debug)]
pub(super) struct Index {
    connection: Mutex<Connection>,
}

impl Index {
    /// Opens the file at `path`, makes it if it is not there, and brings it to today's tables.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be used, or is of a later version of this program.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self { connection: Mutex::new(open_database(path, STEPS)?) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every content, the one that was not used for longest first.
    pub(super) fn contents(&self) -> Result<Vec<(Key, Entry)>> {
        let connection = self.lock();
        let sql = "SELECT key, file, size, made_at, used_at, orphaned_at FROM contents ORDER BY used_at";
        let read = |row: &rusqlite::Row<'_>| {
            let entry = Entry {
                file: row.get(1)?,
                size: row.get::<_, i64>(2)?.unsigned_abs(),
                made_at: row.get(3)?,
                used_at: row.get(4)?,
                orphaned_at: row.get(5)?,
            };
            Ok((Key::of_text(row.get(0)?), entry))
        };
        let mut statement = connection.prepare(sql).map_err(broken)?;
        let rows = statement.query_map([], read).map_err(broken)?;
        rows.collect::<rusqlite::Result<_>>().map_err(broken)
    }

    /// Every image that is remembered, save for those that cannot be read.
    pub(super) fn images(&self) -> Result<Vec<Remembered>> {
        let connection = self.lock();
        let sql = "SELECT key, record, shown_at, seen_by, hits, used_at FROM images ORDER BY shown_at";
        let read = |row: &rusqlite::Row<'_>| {
            let (text, seen_by): (String, String) = (row.get(1)?, row.get(3)?);
            let (Some(image), Ok(seen_by)) = (record::read(&text), serde_json::from_str(&seen_by)) else {
                return Ok(None);
            };
            Ok(Some(Remembered {
                key: Key::of_text(row.get(0)?),
                image,
                shown_at: row.get(2)?,
                seen_by,
                hits: row.get::<_, i64>(4)?.unsigned_abs(),
                used_at: row.get(5)?,
            }))
        };
        let mut statement = connection.prepare(sql).map_err(broken)?;
        let rows = statement.query_map([], read).map_err(broken)?;
        let images: Vec<Option<Remembered>> = rows.collect::<rusqlite::Result<_>>().map_err(broken)?;
        Ok(images.into_iter().flatten().collect())
    }

    /// Writes contents and images over what was there of them.
    pub(super) fn put(&self, contents: &[(Key, Entry)], images: &[Remembered]) -> Result<()> {
        self.write(|connection| {
            let mut statement = connection
                .prepare_cached("INSERT OR REPLACE INTO contents VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for (key, entry) in contents {
                let size = i64::try_from(entry.size).unwrap_or(i64::MAX);
                let (made, used) = (entry.made_at, entry.used_at);
                statement.execute(params![key.as_str(), entry.file, size, made, used, entry.orphaned_at])?;
            }
            let mut statement = connection
                .prepare_cached("INSERT OR REPLACE INTO images VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
            for known in images {
                let seen_by = serde_json::to_string(&known.seen_by).unwrap_or_else(|_| "{}".to_owned());
                statement.execute(params![
                    known.image.id.as_str(),
                    known.key.as_str(),
                    record::write(&known.image),
                    known.shown_at,
                    seen_by,
                    i64::try_from(known.hits).unwrap_or(i64::MAX),
                    known.used_at,
                ])?;
            }
            Ok(())
        })
    }

    /// Takes contents, as long as they are in these files, and images away.
    pub(super) fn erase(&self, contents: &[(Key, Entry)], images: &[ImageId]) -> Result<()> {
        self.write(|connection| {
            let mut statement =
                connection.prepare_cached("DELETE FROM contents WHERE key = ?1 AND file = ?2")?;
            for (key, entry) in contents {
                statement.execute([key.as_str(), entry.file.as_str()])?;
            }
            let mut statement = connection.prepare_cached("DELETE FROM images WHERE id = ?1")?;
            for id in images {
                statement.execute([id.as_str()])?;
            }
            Ok(())
        })
    }

    fn write(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<()> {
        let mut connection = self.lock();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(broken)?;
        job(&transaction).map_err(broken)?;
        transaction.commit().map_err(broken)
    }
}

fn broken(error: rusqlite::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the index of the cache cannot be read or written").with_source(error)
}
