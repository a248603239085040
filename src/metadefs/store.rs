//! The catalogue's file: SQLite, one connection that writes and several that only read.
//!
//! Each job is one transaction: a write is `IMMEDIATE`, a read sees one state and waits for no writer (WAL). Another
//! process may write in between, such as one that loads files while the service runs. Everything here blocks.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use image_service::{Caller, Error, ErrorKind, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::rules::Bounds;
use super::session::Session;
use crate::state::migrate;

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 64;

/// What brings an empty file to today's tables. A later version adds another step, and never changes one.
const STEPS: &[&str] = &["
    CREATE TABLE namespaces (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        display_name TEXT,
        description TEXT,
        visibility TEXT NOT NULL,
        protected INTEGER NOT NULL,
        owner TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE properties (
        id INTEGER PRIMARY KEY,
        namespace INTEGER NOT NULL REFERENCES namespaces ON DELETE CASCADE,
        name TEXT NOT NULL,
        schema TEXT NOT NULL,
        UNIQUE (namespace, name)
    ) STRICT;
    CREATE TABLE objects (
        id INTEGER PRIMARY KEY,
        namespace INTEGER NOT NULL REFERENCES namespaces ON DELETE CASCADE,
        name TEXT NOT NULL,
        description TEXT,
        required TEXT NOT NULL,
        properties TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (namespace, name)
    ) STRICT;
    CREATE TABLE tags (
        id INTEGER PRIMARY KEY,
        namespace INTEGER NOT NULL REFERENCES namespaces ON DELETE CASCADE,
        name TEXT NOT NULL,
        folded TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (namespace, folded)
    ) STRICT;
    CREATE TABLE resource_types (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE associations (
        id INTEGER PRIMARY KEY,
        namespace INTEGER NOT NULL REFERENCES namespaces ON DELETE CASCADE,
        resource_type INTEGER NOT NULL REFERENCES resource_types,
        prefix TEXT,
        properties_target TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (namespace, resource_type)
    ) STRICT;
    CREATE INDEX associations_by_type ON associations (resource_type);
"];

/// The open file.
#[derive(Debug)]
pub struct Store {
    /// First to be closed: only a connection that writes can fold the log back when it is the last.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
    bounds: Bounds,
}

impl Store {
    /// Opens the file at `path`, makes it if it is not there, and brings it to today's tables.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be used, or is of a later version of this program.
    pub fn open(path: &Path, bounds: Bounds) -> Result<Self> {
        let failed = |error: rusqlite::Error| {
            let message = format!("{} cannot be used", path.display());
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        };
        let mut writer = Connection::open(path).map_err(failed)?;
        prepare(&writer, &bounds).map_err(failed)?;
        writer.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        if !migrate(&mut writer, STEPS).map_err(failed)? {
            let message = format!("{} is of a later version of this program", path.display());
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let mut readers = Vec::with_capacity(bounds.readers.get());
        for _ in 0..bounds.readers.get() {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(path, flags).map_err(failed)?;
            prepare(&reader, &bounds).map_err(failed)?;
            readers.push(reader);
        }
        Ok(Self { readers: Mutex::new(readers), writer: Mutex::new(writer), bounds })
    }

    /// How much there may be.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Does `job` on one state of the catalogue, as `caller` sees it. No more of these may run at once than there are
    /// readers.
    ///
    /// # Errors
    /// Those of the job, and `Unavailable` if the file cannot be read.
    pub fn read<T>(&self, caller: &Caller, job: impl FnOnce(&Session<'_>) -> Result<T>) -> Result<T> {
        let Some(connection) = lock(&self.readers).pop() else {
            return Err(Error::new(ErrorKind::Internal, "more reads at once than readers"));
        };
        let mut seat = Seat { readers: &self.readers, connection: Some(connection) };
        let Some(connection) = seat.connection.as_mut() else {
            return Err(Error::new(ErrorKind::Internal, "a seat without a reader"));
        };
        let snapshot = connection.transaction().map_err(broken)?;
        job(&Session::new(&snapshot, caller, &self.bounds))
    }

    /// Does `job` in one transaction: all of it, or nothing if it fails.
    ///
    /// # Errors
    /// Those of the job, and `Unavailable` if the file cannot be written.
    pub fn write<T>(&self, caller: &Caller, job: impl FnOnce(&Session<'_>) -> Result<T>) -> Result<T> {
        let mut connection = lock(&self.writer);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(broken)?;
        let done = job(&Session::new(&transaction, caller, &self.bounds))?;
        transaction.commit().map_err(broken)?;
        Ok(done)
    }
}

/// A reader in use. It goes back when this goes, also in a panic.
struct Seat<'a> {
    readers: &'a Mutex<Vec<Connection>>,
    connection: Option<Connection>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        lock(self.readers).extend(self.connection.take());
    }
}

/// A panic leaves nothing half done behind a lock here: its transaction is rolled back as it unwinds.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn prepare(connection: &Connection, bounds: &Bounds) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(bounds.busy_timeout)?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// What went wrong between this program and SQLite.
pub(super) fn broken(error: rusqlite::Error) -> Error {
    let (kind, message) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (ErrorKind::TooLarge, "there is no room for metadata definitions"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Unavailable, "the metadata definitions are being changed by another process")
        }
        Some(ErrorCode::ConstraintViolation) | None => {
            (ErrorKind::Internal, "the catalogue of metadata definitions is not as it should be")
        }
        Some(_) => (ErrorKind::Unavailable, "the metadata definitions cannot be read or written"),
    };
    Error::new(kind, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_there_when_the_file_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metadefs.db");
        let admin = Caller::administrator();
        for round in 0..3 {
            let store = Store::open(&path, Bounds::default()).unwrap();
            let types = store.read(&admin, |session| session.resource_types()).unwrap();
            assert_eq!(types.len(), round);
            store.write(&admin, |session| session.resource_type_id(&format!("type {round}"))).unwrap();
        }
        let files: Vec<_> =
            directory.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, ["metadefs.db"]);
    }

    #[test]
    fn a_file_of_a_later_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metadefs.db");
        drop(Store::open(&path, Bounds::default()).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = Store::open(&path, Bounds::default()).unwrap_err();
        assert!(error.message().contains("later version"), "{error}");
    }

    #[test]
    fn a_job_that_fails_or_panics_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("x"), Bounds::default()).unwrap();
        let admin = Caller::administrator();
        let failed = store.write(&admin, |session| {
            session.resource_type_id("a")?;
            Err::<(), _>(Error::invalid("no"))
        });
        assert!(failed.is_err());
        for _ in 0..6 {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                store.read::<()>(&admin, |_| panic!("in a read"))
            }));
            assert!(panicked.is_err());
        }
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            store.write::<()>(&admin, |session| {
                session.resource_type_id("b").unwrap();
                panic!("in a write")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(store.read(&admin, |session| session.resource_types()).unwrap(), []);
    }

    #[test]
    fn two_processes_write_in_turns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let admin = Caller::administrator();
        let stores = [(); 2].map(|()| Store::open(&path, Bounds::default()).unwrap());
        std::thread::scope(|scope| {
            for (writer, store) in stores.iter().enumerate() {
                let admin = &admin;
                scope.spawn(move || {
                    for number in 0..25 {
                        let name = format!("{writer} {number}");
                        store.write(admin, |session| session.resource_type_id(&name)).unwrap();
                    }
                });
            }
        });
        assert_eq!(stores[0].read(&admin, |session| session.resource_types()).unwrap().len(), 50);
    }
}
