//! The directory of what this process keeps beside the images: who may have it, and what is where in it.
//!
//! It belongs to one process at a time. Each part that keeps something has files of its own in it, by the names that
//! [`State::path`] is asked for. Those of SQLite are opened by [`open_database`], or brought up to date by [`migrate`]. It
//! must not know what the files hold.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use image_service::{Error, ErrorKind, Result};
use rusqlite::{Connection, TransactionBehavior};

/// The directory, taken for this process until this is dropped.
#[derive(Debug)]
pub struct State {
    root: PathBuf,
    /// Locked; closing it, in whatever way the process ends, unlocks.
    _lock: File,
}

impl State {
    /// Takes `directory`, which is made, for nobody else to read, if it is not there. Blocks on the file system.
    ///
    /// # Errors
    /// `Unavailable`, with the path, if it cannot be made or written, or another process has it.
    pub fn open(directory: &Path) -> Result<Self> {
        let failed = |error: io::Error| unusable(directory, error);
        let root = Self::make(directory)?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = lock.open(root.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let message = format!("{} is in use by another process", root.display());
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Makes `directory`, for nobody else to read, if it is not there, and gives its full path. Takes it for nobody: who
    /// works on what is in it must stand others that do. Blocks on the file system.
    ///
    /// # Errors
    /// `Unavailable`, with the path, if it cannot be made.
    pub fn make(directory: &Path) -> Result<PathBuf> {
        let failed = |error: io::Error| unusable(directory, error);
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        // Other programs may change the working directory's name, and relative paths with it; not this one's.
        directory.canonicalize().map_err(failed)
    }

    /// Where the file or directory called `name` is, whether it is there or not.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// How long to wait for another program that has a SQLite file just then.
const BUSY: Duration = Duration::from_secs(5);

/// Opens the SQLite file at `path`, makes it if it is not there, and takes the `steps` of its schema that it has not seen.
///
/// # Errors
/// `Unavailable` if the file cannot be used, or is of a later version of this program.
pub fn open_database(path: &Path, steps: &[&str]) -> Result<Connection> {
    let failed = |error: rusqlite::Error| {
        let message = format!("{} cannot be used", path.display());
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    };
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    if !migrate(&mut connection, steps).map_err(failed)? {
        let message = format!("{} is of a later version of this program", path.display());
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    Ok(connection)
}

/// Takes the steps of a SQLite file's schema that it has not seen, each of which is counted in its `user_version`. `false`
/// if it has seen more than there are: it is of a later version of this program.
///
/// # Errors
/// SQLite's; then none has been taken.
pub fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let seen: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let Some(steps) = usize::try_from(seen).ok().and_then(|seen| steps.get(seen..)) else {
        return Ok(false);
    };
    for (version, step) in (seen + 1..).zip(steps) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.commit()?;
    Ok(true)
}

fn unusable(directory: &Path, error: io::Error) -> Error {
    let message = format!("{} cannot be used", directory.display());
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_made_for_nobody_else_to_read_and_taken_once() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("a/state");
        let state = State::open(&directory).unwrap();
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(state.path("x"), directory.canonicalize().unwrap().join("x"));
        let error = State::open(&directory).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("another process"), "{error}");
        drop(state);
        State::open(&directory).unwrap();
    }

    #[test]
    fn what_cannot_be_a_directory_is_told_by_its_path() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = State::open(&file).unwrap_err();
        assert!(error.message().contains("file"), "{error}");
    }
}
