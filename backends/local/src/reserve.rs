//! Room kept back on the disk, so that a store that has filled it can still be opened, and images be deleted.
//!
//! Even to forget an image the catalogue must write. The room is a file of zeros; when it is needed it is cut to
//! nothing, and when there is room again it is filled again. All of that is best effort: a store without its
//! reserve is as good as any, until its disk is full.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// How much is written at once.
const PIECE: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    size: u64,
    spent: AtomicBool,
}

impl Reserve {
    /// A reserve of `size` bytes in the directory `root`. It is spent until it is [filled](Self::refill).
    pub(crate) fn in_directory(root: &Path, size: u64) -> Self {
        let reserve = Self { path: root.join("reserve"), size, spent: AtomicBool::new(false) };
        reserve.release();
        reserve
    }

    /// Gives the room to whoever needs it.
    pub(crate) fn release(&self) {
        self.spent.store(true, Ordering::Relaxed);
        match File::options().write(true).truncate(true).open(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the reserve cannot be released");
            }
            _ => {}
        }
    }

    /// Takes the room back, as far as there is any, if it has been released.
    pub(crate) fn refill(&self) {
        if self.size == 0 || !self.spent.swap(false, Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.fill() {
            tracing::warn!(%error, "there is no room for the reserve");
            // What did fit would be the last room of a disk that others need too.
            self.release();
        }
    }

    fn fill(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        let zeros = vec![0; PIECE];
        let mut left = self.size;
        while left > 0 {
            let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            file.write_all(zeros.get(..length).unwrap_or_default())?;
            left = left.saturating_sub(length as u64);
        }
        // Until then, the disk may not have set the room aside.
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_there_in_full_or_released_and_none_is_made_if_it_has_no_size() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reserve");
        let length = || path.metadata().map(|metadata| metadata.len()).ok();
        Reserve::in_directory(directory.path(), 0).refill();
        assert_eq!(length(), None);
        let reserve = Reserve::in_directory(directory.path(), PIECE as u64 + 1);
        for _ in 0..2 {
            reserve.refill();
            assert_eq!(length(), Some(PIECE as u64 + 1));
        }
        reserve.release();
        assert_eq!(length(), Some(0));
        reserve.refill();
        assert_eq!(length(), Some(PIECE as u64 + 1));
    }

    #[test]
    fn a_reserve_that_finds_no_room_is_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("not there yet");
        let reserve = Reserve::in_directory(&root, 10);
        reserve.refill();
        std::fs::create_dir(&root).unwrap();
        reserve.refill();
        assert_eq!(root.join("reserve").metadata().unwrap().len(), 10);
    }
}
