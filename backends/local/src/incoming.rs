//! Data on its way in: a file of its own, until it is moved to its place.

use std::fs::{self, File};
use std::io::{self, IoSlice, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use image_service::{ImageId, Result};

use crate::directory::Directory;
use crate::failure;
use crate::piece::Piece;
use crate::steps::{Step, Watch};

/// The file. It goes with this value unless it is placed.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: Arc<File>,
    path: PathBuf,
    written: u64,
    watch: Watch,
}

impl Incoming {
    /// Makes an empty file.
    pub(crate) fn create(directory: &Directory) -> Result<Self> {
        let path = directory.incoming_file();
        let failed = |error| failure::file("take image data", error);
        let file = File::options().write(true).create_new(true).open(&path).map_err(failed)?;
        let incoming = Self { file: Arc::new(file), path, written: 0, watch: directory.watch().clone() };
        incoming.watch.reached(Step::Created).map_err(failed)?;
        Ok(incoming)
    }

    /// Takes the next bytes.
    pub(crate) fn append(&mut self, piece: &Piece) -> Result<()> {
        let failed = |error| failure::file("write image data", error);
        write_all(&self.file, piece).map_err(failed)?;
        self.written = self.written.saturating_add(piece.length() as u64);
        self.watch.reached(Step::Written).map_err(failed)
    }

    /// Bytes taken so far.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// What the disk can be asked to begin with.
    pub(crate) fn behind(&self) -> Behind {
        Behind(Arc::clone(&self.file))
    }

    /// Makes the data durable and moves it to its place for `id`, replacing what no record ever called whole.
    ///
    /// On an error the data is in neither place, unless what failed was making the move durable.
    pub(crate) fn place(self, directory: &Directory, id: &ImageId) -> Result<()> {
        let failed = |error| failure::file("keep image data", error);
        let place = directory.data_file(id)?;
        if directory.is_durable() {
            self.file.sync_all().map_err(failed)?;
        }
        self.watch.reached(Step::Synced).map_err(failed)?;
        directory.keep(&self.path, &place).map_err(failed)?;
        self.watch.reached(Step::Placed).map_err(failed)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After `place` there is nothing under this name, and nobody else ever uses it.
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "data of a failed upload could not be removed; opening will");
            }
            _ => {}
        }
    }
}

/// What has been written to a file and is not on the disk yet.
#[derive(Debug, Clone)]
pub(crate) struct Behind(Arc<File>);

impl Behind {
    /// Has the disk begin with these bytes, so that there is little left to wait for when all is to be durable. It
    /// is only advice: what does not follow it takes longer in the end.
    ///
    /// Advice that bytes are not needed starts to write those that the disk has not got, and drops the others from
    /// memory. All of a range that has just been written is of the first kind, so it stays in memory for whoever
    /// reads the image next.
    pub(crate) fn begin(&self, range: &Range<u64>) {
        #[cfg(target_os = "linux")]
        if let Some(length) = std::num::NonZeroU64::new(range.end.saturating_sub(range.start)) {
            let advice = rustix::fs::Advice::DontNeed;
            rustix::fs::fadvise(&*self.0, range.start, Some(length), advice).ok();
        }
    }
}

/// Writes all parts of a piece, as many at once as the system takes.
fn write_all(mut file: &File, piece: &Piece) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = piece.parts().map(IoSlice::new).collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
