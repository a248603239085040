//! The way of a file's bytes past the program: the kernel moves them from the file to the client's socket.
//!
//! HTTP is written by hyper, which must be given bytes. So for each piece of the file it is given a piece of a region
//! that only *stands for* it, of the same length; the region is never read. Where hyper's writes arrive at the socket
//! the region is known by its address, and as many bytes as are to be written are moved there instead, from the files
//! in the order in which their pieces were given out. That holds as long as nothing on the way copies a piece or
//! changes the order: hyper does neither when it writes vectors, which the server has it do, and each connection has a
//! passage of its own. There is none where bytes have to be looked at after all, such as for TLS.
//!
//! The kernel waits for the disk when it moves what is not in memory, and a task must not wait. So before a piece is
//! given out it is seen to that it is in memory, where that may take its time. Between the two the system may forget
//! it again, when it is very short of memory; then one task waits for the disk once.
//!
//! Used by the API, which has the files, and by the server, which has the sockets.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;
use image_service::FilePart;
use rustix::io::ReadWriteFlags;

/// The longest piece.
const PIECE: usize = 4 << 20;

/// Stands for pieces of files. Takes no memory, as nobody reads it.
static STAND_IN: [u8; PIECE] = [0; PIECE];

/// How far apart the bytes are by which a piece is judged to be in memory.
const STRIDE: usize = 128 << 10;

/// How much is read at a time of what is not.
const READ: usize = 256 << 10;

/// One connection's. Clones are the same passage.
#[derive(Debug, Clone, Default)]
pub struct Passage(Arc<Mutex<VecDeque<Piece>>>);

/// A piece that has been given out.
#[derive(Debug)]
struct Piece {
    part: Arc<FilePart>,
    offset: u64,
    left: usize,
}

impl Passage {
    /// What stands for the `length` bytes of `part`, piece by piece. To be written, as it is, on this passage's
    /// connection alone.
    pub fn pieces(
        &self,
        part: FilePart,
        length: u64,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (passage, offset) = (self.clone(), part.offset());
        try_unfold((passage, Arc::new(part), offset, length), async |(passage, part, offset, left)| {
            let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            if length == 0 {
                return Ok(None);
            }
            warm(&part, offset, length).await?;
            passage.queue().push_back(Piece { part: Arc::clone(&part), offset, left: length });
            let (offset, left) = (offset + length as u64, left - length as u64);
            Ok(Some((
                Bytes::from_static(STAND_IN.get(..length).unwrap_or(&STAND_IN)),
                (passage, part, offset, left),
            )))
        })
    }

    /// Moves bytes into `socket`, which must not block, in place of `most` that stand for them. Gives how many.
    ///
    /// # Errors
    /// `WouldBlock` if the socket takes nothing now; `UnexpectedEof` if the file has become shorter; the system's others.
    pub fn carry(&self, socket: impl AsFd, most: usize) -> io::Result<usize> {
        let mut queue = self.queue();
        let Some(piece) = queue.front_mut() else {
            return Err(io::Error::other("bytes that stand for a file's come without a file"));
        };
        let mut offset = piece.offset;
        let file = piece.part.file();
        let moved = rustix::fs::sendfile(socket, file, Some(&mut offset), most.min(piece.left))?;
        if moved == 0 {
            return Err(shorter());
        }
        piece.offset = offset;
        piece.left = piece.left.saturating_sub(moved);
        piece.part.moved(moved as u64);
        if piece.left == 0 {
            queue.pop_front();
        }
        Ok(moved)
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether these bytes stand for others.
#[must_use]
pub fn stands_in(bytes: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
}

/// Sees to it that a piece is in memory.
async fn warm(part: &Arc<FilePart>, offset: u64, length: usize) -> io::Result<()> {
    if is_warm(part.file(), offset, length) {
        return Ok(());
    }
    let part = Arc::clone(part);
    tokio::task::spawn_blocking(move || read(part.file(), offset, length)).await.map_err(io::Error::other)?
}

/// Whether a piece is in memory, going by some of its bytes. Does not wait for the disk.
fn is_warm(file: &File, offset: u64, length: usize) -> bool {
    let last = length.saturating_sub(1);
    let places = (0..length).step_by(STRIDE).chain([last]);
    places.into_iter().all(|place| {
        let mut byte = [0];
        let read = rustix::io::preadv2(
            file,
            &mut [IoSliceMut::new(&mut byte)],
            offset + place as u64,
            ReadWriteFlags::NOWAIT,
        );
        read == Ok(1)
    })
}

/// Reads a piece for the sake of having been read.
fn read(file: &File, offset: u64, length: usize) -> io::Result<()> {
    let mut waste = vec![0; READ.min(length)];
    let mut done = 0;
    while done < length {
        let most = waste.len().min(length - done);
        let buffer = waste.get_mut(..most).unwrap_or_default();
        match file.read_at(buffer, offset + done as u64) {
            Ok(0) => return Err(shorter()),
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before its recorded size")
}
