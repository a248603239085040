//! A file into a stream, in pieces of one size.
//!
//! What the system has in memory is copied where it is asked for: that is quicker done than given to another thread.
//! Otherwise the disk is waited for on a thread for blocking work, and the next piece is being read while the last is on
//! its way. Two pieces are all that is held. Nothing is read before the first is asked for, and no more than one piece
//! is read ahead of a consumer that is slow.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use image_service::{ByteStream, Error, ErrorKind, Result};
use portico_catalogue::{Lanes, Running};

use crate::failure;

/// The most that is copied at once on a thread that must not wait.
const AT_HAND: usize = 256 << 10;

/// The bytes of `range` from `file`.
///
/// The file stays open as long as the stream, so it can be read to its end also when its name has gone. If it
/// ends before the range does, so does the stream, in `Corrupt`.
pub(crate) fn stream(lanes: Arc<Lanes>, file: Arc<File>, range: Range<u64>, piece: usize) -> ByteStream {
    let outlet = Outlet { lanes, file, piece, range, reading: None };
    Box::pin(futures::stream::try_unfold(outlet, Outlet::next))
}

struct Outlet {
    lanes: Arc<Lanes>,
    file: Arc<File>,
    piece: usize,
    /// What has not been given.
    range: Range<u64>,
    /// The next piece, if the disk is at work on it.
    reading: Option<Running<Bytes>>,
}

impl Outlet {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let bytes = match self.reading.take() {
            Some(reading) => self.ahead(reading).await?,
            None => match at_hand(&self.file, self.range.start, self.length().min(AT_HAND)) {
                Some(bytes) => bytes,
                None => self.ahead(self.read(self.range.start)).await?,
            },
        };
        self.range.start = self.range.start.saturating_add(bytes.len() as u64);
        Ok(Some((bytes, self)))
    }

    /// Waits for the disk, and has it go on with the next piece if that is not in memory.
    async fn ahead(&mut self, reading: Running<Bytes>) -> Result<Bytes> {
        let bytes = reading.end().await?;
        let next = self.range.start.saturating_add(bytes.len() as u64);
        if next < self.range.end && at_hand(&self.file, next, 1).is_none() {
            self.reading = Some(self.read(next));
        }
        Ok(bytes)
    }

    /// Starts to read the piece at `offset`.
    fn read(&self, offset: u64) -> Running<Bytes> {
        let (file, length) = (Arc::clone(&self.file), self.length_at(offset));
        self.lanes.start(move || read(&file, offset, length))
    }

    fn length(&self) -> usize {
        self.length_at(self.range.start)
    }

    fn length_at(&self, offset: u64) -> usize {
        let left = self.range.end.saturating_sub(offset);
        usize::try_from(left).map_or(self.piece, |left| left.min(self.piece))
    }
}

/// Bytes of a file that need not be waited for, up to `length`. `None` if there are none, or it cannot be told.
fn at_hand(file: &File, offset: u64, length: usize) -> Option<Bytes> {
    #[cfg(target_os = "linux")]
    {
        let mut bytes = vec![0; length];
        let slices = &mut [io::IoSliceMut::new(&mut bytes)];
        let read = rustix::io::preadv2(file, slices, offset, rustix::io::ReadWriteFlags::NOWAIT).ok()?;
        bytes.truncate(read);
        (read > 0).then(|| bytes.into())
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Reads a piece, however long that takes.
fn read(file: &File, offset: u64, length: usize) -> Result<Bytes> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Error::new(ErrorKind::Corrupt, "the image data ends before its recorded size")
        }
        _ => failure::file("read image data", error),
    })?;
    Ok(bytes.into())
}
