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
//! How the bytes are moved was measured (`tests/bench`), on loopback and 2 processors. Turns of 512 KiB leave the receiver
//! room to keep up, which saves both sides waits: with 8 downloads, 6.8 GiB/s where turns of 4 MiB gave 5.4. A download
//! that is alone sends full packets only (`TCP_CORK`): 2.6 GiB/s instead of 1.6, as its receiver is not woken for each
//! small one. Where there are several it always finds something, and is only slowed down by that: 3.5 GiB/s.
//!
//! Used by the API, which has the files, and by the server, which has the sockets.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;
use image_service::FilePart;
use rustix::io::ReadWriteFlags;

/// The longest piece.
const PIECE: usize = 4 << 20;

/// The most that is moved at once. Then others are to have their turn.
pub const TURN: usize = 512 << 10;

/// Stands for pieces of files. Takes no memory, as nobody reads it.
static STAND_IN: [u8; PIECE] = [0; PIECE];

/// How far apart the bytes are by which a piece is judged to be in memory.
const STRIDE: usize = 1 << 20;

/// How much is read at a time of what is not.
const READ: usize = 256 << 10;

/// How many files are on their way in this process.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// One connection's. Clones are the same passage.
#[derive(Debug, Clone, Default)]
pub struct Passage(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    /// Whether the socket keeps back what does not fill a packet.
    is_corked: bool,
}

/// A piece that has been given out.
#[derive(Debug)]
struct Piece {
    way: Arc<Way>,
    offset: u64,
    left: usize,
    /// Whether the file ends with it.
    is_last: bool,
}

/// A file on its way.
#[derive(Debug)]
struct Way(FilePart);

impl Way {
    fn of(part: FilePart) -> Self {
        UNDER_WAY.fetch_add(1, Ordering::Relaxed);
        Self(part)
    }

    fn is_alone() -> bool {
        UNDER_WAY.load(Ordering::Relaxed) < 2
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
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
        try_unfold(
            (passage, Arc::new(Way::of(part)), offset, length),
            async |(passage, way, offset, left)| {
                let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
                if length == 0 {
                    return Ok(None);
                }
                warm(&way, offset, length).await?;
                let (next, rest) = (offset + length as u64, left - length as u64);
                let piece = Piece { way: Arc::clone(&way), offset, left: length, is_last: rest == 0 };
                passage.queue().pieces.push_back(piece);
                let stand_in = Bytes::from_static(STAND_IN.get(..length).unwrap_or(&STAND_IN));
                Ok(Some((stand_in, (passage, way, next, rest))))
            },
        )
    }

    /// Moves bytes into `socket`, which must not block, in place of `most` that stand for them. Gives how many.
    ///
    /// # Errors
    /// `WouldBlock` if the socket takes nothing now; `UnexpectedEof` if the file has become shorter; the system's others.
    pub fn carry(&self, socket: impl AsFd, most: usize) -> io::Result<usize> {
        let (mut queue, socket) = (self.queue(), socket.as_fd());
        let Queue { pieces, is_corked } = &mut *queue;
        let Some(piece) = pieces.front_mut() else {
            return Err(io::Error::other("bytes that stand for a file's come without a file"));
        };
        let corks = Way::is_alone() && !(piece.is_last && piece.left < TURN);
        cork(socket, is_corked, corks)?;
        let (part, mut offset) = (&piece.way.0, piece.offset);
        let moved =
            rustix::fs::sendfile(socket, part.file(), Some(&mut offset), most.min(piece.left).min(TURN))?;
        if moved == 0 {
            return Err(shorter());
        }
        piece.offset = offset;
        piece.left = piece.left.saturating_sub(moved);
        part.moved(moved as u64);
        if piece.left == 0 {
            if piece.is_last {
                cork(socket, is_corked, false)?;
            }
            pieces.pop_front();
        }
        Ok(moved)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether these bytes stand for others.
#[must_use]
pub fn stands_in(bytes: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
}

/// Has a socket keep back what does not fill a packet, or send it.
fn cork(socket: BorrowedFd<'_>, is_corked: &mut bool, corks: bool) -> io::Result<()> {
    if *is_corked != corks {
        rustix::net::sockopt::set_tcp_cork(socket, corks)?;
        *is_corked = corks;
    }
    Ok(())
}

/// Sees to it that a piece is in memory.
async fn warm(way: &Arc<Way>, offset: u64, length: usize) -> io::Result<()> {
    if is_warm(way.0.file(), offset, length) {
        return Ok(());
    }
    let way = Arc::clone(way);
    tokio::task::spawn_blocking(move || read(way.0.file(), offset, length)).await.map_err(io::Error::other)?
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
