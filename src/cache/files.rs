//! The directory of the cache: whole files in `data`, others in `incomplete`, the index beside them. Everything here blocks.
//!
//! A file is in `data` only when all of it is on the disk, and is never changed then. Who has one open reads it to its end
//! also when it has been removed.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use image_service::{Error, ErrorKind, Result};

use crate::state::State;

/// The directory, taken for this process.
#[derive(Debug)]
pub(super) struct Files {
    data: PathBuf,
    incomplete: PathBuf,
    index: PathBuf,
    _taken: State,
}

impl Files {
    /// Takes `root`, makes what is missing, and removes what had not come to its end.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let taken = State::open(root)?;
        let (data, incomplete) = (taken.path("data"), taken.path("incomplete"));
        for path in [&data, &incomplete] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|error| unusable(path, error))?;
        }
        let files = Self { index: taken.path("index.sqlite3"), data, incomplete, _taken: taken };
        for (name, _) in list(&files.incomplete)? {
            remove(&files.incomplete.join(name));
        }
        Ok(files)
    }

    /// The file of the index.
    pub(super) fn index(&self) -> &Path {
        &self.index
    }

    /// The names and sizes of the whole files.
    pub(super) fn whole(&self) -> Result<BTreeMap<String, u64>> {
        list(&self.data)
    }

    /// The names of all files.
    pub(super) fn all(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = list(&self.data)?.into_keys().collect();
        names.extend(list(&self.incomplete)?.into_keys());
        Ok(names)
    }

    /// Begins a file of this name.
    pub(super) fn begin(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true).mode(0o600);
        options.open(self.incomplete.join(name))
    }

    /// Makes a file whole: all of it is on the disk, and stays there, when this returns.
    pub(super) fn keep(&self, name: &str, file: &File) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(self.incomplete.join(name), self.data.join(name))?;
        File::open(&self.data)?.sync_all()
    }

    /// Opens a whole file, which must have `size` bytes.
    pub(super) fn open_whole(&self, name: &str, size: u64) -> io::Result<File> {
        let file = File::open(self.data.join(name))?;
        if file.metadata()?.len() == size {
            return Ok(file);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "a file of the cache has not its recorded size"))
    }

    /// Removes a whole file.
    pub(super) fn remove_whole(&self, name: &str) {
        remove(&self.data.join(name));
    }

    /// Removes a file that is not whole.
    pub(super) fn remove_incomplete(&self, name: &str) {
        remove(&self.incomplete.join(name));
    }
}

fn list(directory: &Path) -> Result<BTreeMap<String, u64>> {
    let failed = |error| unusable(directory, error);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata())
            && metadata.is_file()
        {
            found.insert(name, metadata.len());
        }
    }
    Ok(found)
}

/// What cannot be removed now is when the directory is opened next.
fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "a file of the cache could not be removed; opening will");
        }
        _ => {}
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{} cannot be used", path.display())).with_source(error)
}
