//! What goes wrong in the catalogue, told as errors of the contract.
//!
//! A client may read the sentence, so no path is in it; the cause is for the operator. Only errors of opening
//! name paths: no client ever sees those.

use std::path::Path;

use image_service::{Error, ErrorKind};

/// What ends a job in the catalogue: an answer by the contract's rules, or SQLite.
#[derive(Debug)]
pub enum Fault {
    /// An answer.
    Answer(Error),
    /// SQLite could not do it.
    Sqlite(rusqlite::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Answer(error) => error,
            Fault::Sqlite(error) => sqlite(error),
        }
    }
}

fn sqlite(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let (kind, message) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (ErrorKind::TooLarge, "the store is full"),
        Some(ErrorCode::OperationInterrupted) => (ErrorKind::TimedOut, "the question was given up"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Unavailable, "the catalogue is in use")
        }
        Some(ErrorCode::ConstraintViolation) => (ErrorKind::Internal, "the catalogue refused a record"),
        Some(_) => (ErrorKind::Unavailable, "the catalogue cannot be used"),
        None => (ErrorKind::Internal, "the catalogue holds what cannot be read"),
    };
    Error::new(kind, message).with_source(error)
}

/// The catalogue at `path` could not be opened.
pub(crate) fn opening(path: &Path, error: impl Into<Fault>) -> Error {
    let (kind, told, source): (_, _, Box<dyn std::error::Error + Send + Sync>) = match error.into() {
        Fault::Answer(error) => (error.kind(), error.to_string(), error.into()),
        Fault::Sqlite(error) => (ErrorKind::Unavailable, error.to_string(), error.into()),
    };
    Error::new(kind, format!("cannot open the catalogue '{}': {told}", path.display())).with_source(source)
}

/// A thread of ours has panicked, or the runtime is going down.
#[must_use]
pub fn lost(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "the store gave up in the middle").with_source(error)
}

/// The store takes no more work.
#[must_use]
pub fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closing")
}
