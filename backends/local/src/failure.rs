//! What goes wrong with files, told as errors of the contract.
//!
//! A client may read the sentence, so no path is in it; the cause is for the operator. Only errors of opening
//! name paths: no client ever sees those.

use std::io;
use std::path::Path;

use image_service::{Error, ErrorKind};

/// The store could not `verb` (such as "write image data").
pub(crate) fn file(verb: &str, error: io::Error) -> Error {
    if is_full(&error) {
        return Error::new(ErrorKind::TooLarge, "the store is full").with_source(error);
    }
    Error::new(ErrorKind::Unavailable, format!("the store cannot {verb}")).with_source(error)
}

/// Whether there is no more room, on the disk or in what the process may use of it.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Opening could not `verb` (such as "make directory") `path`.
pub(crate) fn opening(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot {verb} '{}': {error}", path.display()))
        .with_source(error)
}
