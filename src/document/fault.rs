//! What is wrong with a text that a person wrote: file, line, key, and a sentence.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Place;

/// One fault. Prints as `portico.toml:14: backend[1].options.endpoint: is missing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file that is at fault.
    pub file: PathBuf,
    /// The line, from one, if the fault is in one.
    pub line: Option<usize>,
    /// The key that is at fault; the root if there is none.
    pub place: Place,
    /// What is wrong, in one lower-case sentence. Never holds a secret.
    pub message: String,
}

impl Fault {
    /// A fault of a file as a whole.
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, place: Place::root(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.place.steps().is_empty() {
            write!(f, ": {}", self.place)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Fault {}
