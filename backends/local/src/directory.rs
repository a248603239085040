//! The directory: its layout, the names in it, the lock on it, and what makes a file durable.
//!
//! It knows files and ids, and nothing of records.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use image_service::{Error, ErrorKind, ImageId, Result};
use portico_catalogue::Durability;
use uuid::Uuid;

use crate::failure;
use crate::steps::{Step, Watch};

/// A directory that this process alone uses while this value lives.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    data: PathBuf,
    incoming: PathBuf,
    sync: Durability,
    watch: Watch,
    /// Locked; closing it, in whatever way the process ends, unlocks.
    _lock: File,
}

impl Directory {
    /// Makes what is missing, locks it, and proves that files can be written and moved in it.
    pub(crate) fn open(root: &Path, sync: Durability, watch: Watch) -> Result<Self> {
        let (data, incoming) = (root.join("data"), root.join("incoming"));
        make_directory(root)?;
        let lock = lock(&root.join("lock"), root)?;
        make_directory(&data)?;
        make_directory(&incoming)?;
        let directory = Self { root: root.to_owned(), data, incoming, sync, watch, _lock: lock };
        directory.probe()?;
        directory
            .sync_directory(&directory.root)
            .map_err(|error| failure::opening("sync directory", &directory.root, error))?;
        Ok(directory)
    }

    /// `incoming` and `data` could be on different disks, or read-only: better known now than by an upload.
    ///
    /// A disk that is full is no reason not to open: images can be read, and deleted to make room.
    fn probe(&self) -> Result<()> {
        let (from, to) = (self.incoming.join(".probe"), self.data.join(".probe"));
        let made = self.watch.reached(Step::Probed).and_then(|()| File::create(&from));
        if let Err(error) = made {
            return if failure::is_full(&error) {
                Ok(())
            } else {
                Err(failure::opening("write", &from, error))
            };
        }
        fs::rename(&from, &to).map_err(|error| failure::opening("move a file to", &to, error))?;
        fs::remove_file(&to).map_err(|error| failure::opening("remove", &to, error))
    }

    /// The catalogue's file.
    pub(crate) fn catalogue(&self) -> PathBuf {
        self.root.join("catalogue.sqlite3")
    }

    pub(crate) const fn watch(&self) -> &Watch {
        &self.watch
    }

    /// A name for data on its way in, which nobody else ever uses.
    pub(crate) fn incoming_file(&self) -> PathBuf {
        self.incoming.join(Uuid::new_v4().to_string())
    }

    /// The place of an image's data.
    pub(crate) fn data_file(&self, id: &ImageId) -> Result<PathBuf> {
        file_name(id)
            .map(|name| self.data.join(name))
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("the image {id} cannot have data here")))
    }

    /// Removes an image's data, if there is any. Whoever is reading it reads on.
    pub(crate) fn remove_data(&self, id: &ImageId) -> Result<()> {
        match fs::remove_file(self.data_file(id)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failure::file("remove image data", error))
            }
            _ => Ok(()),
        }
    }

    /// The paths of all files under `data`, each with the id it belongs to; `None` for a stranger's.
    pub(crate) fn data_files(&self) -> Result<impl Iterator<Item = Result<(PathBuf, Option<ImageId>)>>> {
        let failed = |error| failure::opening("read directory", &self.data, error);
        let entries = fs::read_dir(&self.data).map_err(failed)?;
        Ok(entries.map(move |entry| {
            let entry = entry.map_err(failed)?;
            Ok((entry.path(), entry.file_name().to_str().and_then(id_of)))
        }))
    }

    /// Removes everything under `incoming`, and says how many files that were. For a time of no uploads.
    pub(crate) fn clear_incoming(&self) -> Result<usize> {
        let failed = |error| failure::opening("read directory", &self.incoming, error);
        let mut removed = 0;
        for entry in fs::read_dir(&self.incoming).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            fs::remove_file(&path).map_err(|error| failure::opening("remove", &path, error))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Whether what is answered survives a loss of power.
    pub(crate) const fn is_durable(&self) -> bool {
        matches!(self.sync, Durability::Full)
    }

    /// Moves data that is as durable as it is to be to the place of `id`, and makes the move so.
    pub(crate) fn keep(&self, incoming: &Path, place: &Path) -> io::Result<()> {
        fs::rename(incoming, place)?;
        self.sync_directory(&self.data)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        if self.is_durable() { File::open(path)?.sync_all() } else { Ok(()) }
    }
}

fn make_directory(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| failure::opening("make directory", path, error))
}

fn lock(path: &Path, root: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| failure::opening("open", path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::Unavailable,
            format!("the directory '{}' is in use by another process", root.display()),
        )),
        Err(TryLockError::Error(error)) => Err(failure::opening("lock", path, error)),
    }
}

/// The name of the file for an id: the id itself, each capital letter marked with a `+` and made small, so that
/// two ids never share a file, also on a disk that does not tell `a` from `A`. `None` if the id is no UUID.
fn file_name(id: &ImageId) -> Option<String> {
    ImageId::for_new_image(id.as_str()).ok()?;
    let mut name = String::with_capacity(36);
    for letter in id.as_str().chars() {
        if letter.is_ascii_uppercase() {
            name.push('+');
        }
        name.push(letter.to_ascii_lowercase());
    }
    Some(name)
}

/// The id whose file has this name.
fn id_of(name: &str) -> Option<ImageId> {
    let mut id = String::with_capacity(36);
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        id.push(if letter == '+' { letters.next()?.to_ascii_uppercase() } else { letter });
    }
    let id = ImageId::lookup(id);
    (file_name(&id)? == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_case_id_is_its_own_file_name_and_no_two_ids_share_one() {
        let lower = ImageId::lookup("b2173dd3-7ad6-4362-baa6-a68bce3565cb");
        assert_eq!(file_name(&lower).unwrap(), lower.as_str());
        let mixed = ImageId::lookup("B2173dd3-7ad6-4362-baA6-a68bce3565cb");
        assert_eq!(file_name(&mixed).unwrap(), "+b2173dd3-7ad6-4362-ba+a6-a68bce3565cb");
        for id in [lower, mixed] {
            assert_eq!(id_of(&file_name(&id).unwrap()), Some(id));
        }
    }

    #[test]
    fn what_is_no_uuid_has_no_file_and_a_strangers_file_has_no_id() {
        for id in ["", "..", "../../etc/passwd", "a/b", "x", "b2173dd3-7ad6-4362-baa6-a68bce3565c/"] {
            assert_eq!(file_name(&ImageId::lookup(id)), None, "{id}");
        }
        for name in [".probe", "lost+found", "B2173DD3-7AD6-4362-BAA6-A68BCE3565CB", "+", "+1", ""] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_directory_has_one_user_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let open = || Directory::open(root.path(), Durability::Process, Watch::default());
        let first = open().unwrap();
        let error = open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains(root.path().to_str().unwrap()), "{error}");
        drop(first);
        open().unwrap();
    }

    #[test]
    fn what_cannot_be_a_directory_is_refused_by_its_path() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let no_data = root.path().join("no-data");
        fs::create_dir(&no_data).unwrap();
        fs::write(no_data.join("data"), "").unwrap();
        for (path, named) in [
            (file.clone(), file.clone()),
            (file.join("below"), file.join("below")),
            (no_data.clone(), no_data.join("data")),
            (PathBuf::from("/proc/none"), PathBuf::from("/proc/none")),
        ] {
            let error = Directory::open(&path, Durability::Full, Watch::default()).unwrap_err();
            assert!(error.message().contains(&format!("'{}'", named.display())), "{error}");
        }
    }
}
