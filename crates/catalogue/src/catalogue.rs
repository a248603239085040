//! The catalogue: SQLite, and the connections to it.
//!
//! One connection writes, each job in one `IMMEDIATE` transaction. Others only read, each job in a snapshot of
//! its own, and wait for no writer (WAL). Everything here blocks; `lanes` decides who may.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use image_service::{Error, ErrorKind, Result};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::fault::{self, Fault};
use crate::schema;

/// How many of SQLite's steps there are between two looks at whether the answer is still wanted.
const STEPS_BETWEEN_LOOKS: std::ffi::c_int = 4096;

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 64;

/// What an answered write survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The end of the process and the loss of power: every write waits for the disk.
    #[default]
    Full,
    /// The end of the process. The loss of power may take the latest writes, and may leave the catalogue broken.
    Process,
}

/// How a catalogue is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What an answered write survives.
    pub sync: Durability,
    /// How many jobs may read at once.
    pub readers: NonZeroUsize,
    /// How long to wait for another process that works on the catalogue.
    pub busy_timeout: Duration,
}

/// The records of a store, in one file of SQLite.
#[derive(Debug)]
pub struct Catalogue {
    /// First to be closed: only a connection that writes can fold the log back when it is the last.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
}

impl Catalogue {
    /// Opens the catalogue at `path`, makes it if it is not there, and brings it to today's schema, which is made in
    /// `steps`: [`IMAGES`](crate::IMAGES), and then the store's own. A step that has been released is never changed.
    ///
    /// A new one is only made if `may_be_new`.
    ///
    /// # Errors
    /// `Unavailable`, with the path, if it cannot be used, has taken steps that are not among these, or is missing
    /// where it may not be.
    pub fn open(
        path: &Path,
        settings: Settings,
        steps: &[&str],
        may_be_new: impl FnOnce() -> Result<bool>,
    ) -> Result<Self> {
        let failed = |error| fault::opening(path, error);
        let mut writer = Connection::open(path).map_err(failed)?;
        prepare(&writer, settings).map_err(failed)?;
        prepare_writer(&writer, settings.sync).map_err(failed)?;
        if schema::version(&writer).map_err(failed)? == 0 && !may_be_new()? {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "there is image data, but no catalogue '{}'; put it back, or move the data away",
                    path.display()
                ),
            ));
        }
        schema::migrate(&mut writer, steps).map_err(|fault| fault::opening(path, fault))?;
        let mut readers = Vec::with_capacity(settings.readers.get());
        for _ in 0..settings.readers.get() {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(path, flags).map_err(failed)?;
            prepare(&reader, settings).map_err(failed)?;
            readers.push(reader);
        }
        Ok(Self { writer: Mutex::new(writer), readers: Mutex::new(readers) })
    }

    /// Does `job` in one transaction: all of it, or nothing if it fails.
    ///
    /// # Errors
    /// The job's, and those of the disk.
    pub fn write<T>(&self, job: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T> {
        let mut connection = lock(&self.writer);
        let done = || -> Result<T, Fault> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = job(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        Ok(done()?)
    }

    /// Does `job` on a snapshot, and gives up as `TimedOut` soon after `unwanted` is set.
    ///
    /// No more of these may run at once than there are readers.
    ///
    /// # Errors
    /// The job's, and those of the disk.
    pub fn read<T>(
        &self,
        unwanted: Arc<AtomicBool>,
        job: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T> {
        let Some(connection) = lock(&self.readers).pop() else {
            return Err(Error::new(ErrorKind::Internal, "more reads at once than readers"));
        };
        let mut seat = Seat { readers: &self.readers, connection: Some(connection) };
        let done = || -> Result<T, Fault> {
            let Some(connection) = seat.connection.as_mut() else {
                return Err(Error::new(ErrorKind::Internal, "a seat without a reader").into());
            };
            let look = move || unwanted.load(Ordering::Relaxed);
            connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(look))?;
            let snapshot = connection.transaction()?;
            job(&snapshot)
        };
        Ok(done()?)
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

fn prepare(connection: &Connection, settings: Settings) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(settings.busy_timeout)
}

fn prepare_writer(writer: &Connection, sync: Durability) -> rusqlite::Result<()> {
    writer.pragma_update(None, "journal_mode", "WAL")?;
    writer.pragma_update(None, "foreign_keys", true)?;
    let synchronous = match sync {
        Durability::Full => "FULL",
        Durability::Process => "OFF",
    };
    writer.pragma_update(None, "synchronous", synchronous)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::is_taken;
    use crate::schema::IMAGES;
    use crate::tests::settings;

    fn open(directory: &tempfile::TempDir) -> Catalogue {
        let path = directory.path().join("catalogue.sqlite3");
        Catalogue::open(&path, settings(Durability::Full), &[IMAGES], || Ok(true)).unwrap()
    }

    #[test]
    fn a_question_that_nobody_waits_for_any_more_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let catalogue = open(&directory);
        let ask = |unwanted: bool| {
            catalogue.read(Arc::new(AtomicBool::new(unwanted)), |snapshot| {
                let long = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000) \
                            SELECT count(*) FROM n";
                Ok(snapshot.query_row(long, [], |row| row.get::<_, i64>(0))?)
            })
        };
        assert_eq!(ask(true).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(ask(false).unwrap(), 100_000);
    }

    #[test]
    fn a_job_that_panics_leaves_the_connection_to_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let catalogue = open(&directory);
        for _ in 0..8 {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                catalogue.read::<()>(Arc::default(), |_| panic!("in a read"))
            }));
            assert!(panicked.is_err());
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                catalogue.write::<()>(|transaction| {
                    transaction.execute("INSERT INTO deleted VALUES ('x', 0)", [])?;
                    panic!("in a write")
                })
            }));
            assert!(panicked.is_err());
        }
        assert!(!catalogue.read(Arc::default(), |snapshot| is_taken(snapshot, &"x")).unwrap());
        assert!(!catalogue.write(|transaction| is_taken(transaction, &"x")).unwrap());
    }

    #[test]
    fn a_catalogue_closed_in_order_is_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let catalogue = open(&directory);
        let insert = |transaction: &Transaction<'_>| {
            Ok(transaction.execute("INSERT INTO deleted VALUES ('x', 0)", [])?)
        };
        catalogue.write(insert).unwrap();
        assert!(catalogue.read(Arc::default(), |snapshot| is_taken(snapshot, &"x")).unwrap());
        drop(catalogue);
        let files: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, ["catalogue.sqlite3"]);
    }

    #[test]
    fn a_write_waits_for_the_disk_unless_told_not_to() {
        for (sync, level) in [(Durability::Full, 2), (Durability::Process, 0)] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("c");
            let catalogue = Catalogue::open(&path, settings(sync), &[IMAGES], || Ok(true)).unwrap();
            let pragma = |name| {
                let writer = lock(&catalogue.writer);
                writer.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
            };
            assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(level));
            assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".into()));
            assert_eq!(pragma("foreign_keys"), rusqlite::types::Value::Integer(1));
        }
    }
}
