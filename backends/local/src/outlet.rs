//! A file into a stream: in pieces of one size, the next being read while the last is on its way.
//!
//! Two pieces are all that is held. Nothing is read before the first is asked for, and no more than one piece is
//! read ahead of a consumer that is slow.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use image_service::{ByteStream, Error, ErrorKind, Result};
use portico_catalogue::{Lanes, Running};

use crate::failure;

/// The bytes of `range` from `file`, which stands at the start of it.
///
/// The file stays open as long as the stream, so it can be read to its end also when its name has gone. If it
/// ends before the range does, so does the stream, in `Corrupt`.
pub(crate) fn stream(lanes: Arc<Lanes>, file: Arc<File>, range: &Range<u64>, piece: usize) -> ByteStream {
    let outlet =
        Outlet { lanes, piece, left: range.end.saturating_sub(range.start), source: Source::Idle(file) };
    Box::pin(futures::stream::try_unfold(outlet, Outlet::next))
}

struct Outlet {
    lanes: Arc<Lanes>,
    piece: usize,
    /// How many bytes have not been given.
    left: u64,
    source: Source,
}

enum Source {
    Idle(Arc<File>),
    Reading(Running<(Arc<File>, Bytes)>),
}

impl Outlet {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let reading = match self.source {
            Source::Idle(file) => read(&self.lanes, file, self.left, self.piece),
            Source::Reading(reading) => reading,
        };
        let (file, bytes) = reading.end().await?;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        self.source = if self.left == 0 {
            Source::Idle(file)
        } else {
            Source::Reading(read(&self.lanes, file, self.left, self.piece))
        };
        Ok(Some((bytes, self)))
    }
}

/// Starts to read the next piece of the `left` bytes.
fn read(lanes: &Lanes, file: Arc<File>, left: u64, piece: usize) -> Running<(Arc<File>, Bytes)> {
    let length = usize::try_from(left).map_or(piece, |left| left.min(piece));
    lanes.start(move || {
        let mut bytes = Vec::with_capacity(length);
        (&*file)
            .take(length as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| failure::file("read image data", error))?;
        if bytes.len() < length {
            return Err(Error::new(ErrorKind::Corrupt, "the image data ends before its recorded size"));
        }
        Ok((file, Bytes::from(bytes)))
    })
}
