//! Data in memory, and the room it takes.
//!
//! What arrives is copied into pieces of one size. That costs one pass over the bytes, which hashing costs
//! several times over, and buys two things: a client that sends byte by byte, or slices of large buffers, cannot
//! make the store hold more than it counts; and a range finds its first piece by division.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use image_service::{ByteStream, Digester, Digests, Error, ErrorKind, Result, Upload};

/// Bytes in every piece but the last.
const PIECE: usize = 256 * 1024;

/// How many bytes may be held, and how many are.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u64,
    held: AtomicU64,
}

impl Budget {
    pub(crate) const fn new(most: u64) -> Self {
        Self { most, held: AtomicU64::new(0) }
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// A part of a budget, given back when dropped.
#[derive(Debug)]
struct Room {
    budget: Arc<Budget>,
    taken: u64,
}

impl Room {
    fn take(&mut self, bytes: u64) -> Result<()> {
        let most = self.budget.most;
        let grown = |held: u64| held.checked_add(bytes).filter(|held| *held <= most);
        self.budget.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).map_err(|_| {
            Error::new(ErrorKind::TooLarge, format!("the store holds at most {most} bytes of image data"))
        })?;
        self.taken += bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

/// All the bytes of one image. Every piece but the last has [`PIECE`] bytes, and none is empty.
pub(crate) struct Pieces {
    pieces: Vec<Bytes>,
    room: Room,
}

impl Pieces {
    /// Nothing yet, in `budget`.
    pub(crate) const fn within(budget: Arc<Budget>) -> Self {
        Self { pieces: Vec::new(), room: Room { budget, taken: 0 } }
    }

    /// Takes in a whole upload, hashing it. Before each piece `wanted` is asked whether to go on.
    ///
    /// # Errors
    /// `TooLarge` if the budget is used up, `Incomplete` if the size is not as announced, and what the upload
    /// or `wanted` says.
    pub(crate) async fn receive(
        mut self,
        mut upload: Upload,
        wanted: impl Fn() -> Result<()> + Send,
    ) -> Result<(Self, Digests)> {
        let mut digester = Digester::default();
        let mut last = Vec::new();
        while let Some(chunk) = upload.stream.next().await {
            for part in chunk?.chunks(PIECE) {
                wanted()?;
                self.room.take(part.len() as u64)?;
                digester.update(part);
                self.append(&mut last, part);
                if upload.size.is_some_and(|announced| announced < digester.size()) {
                    digester.finish(upload.size)?;
                    return Err(Error::new(ErrorKind::Incomplete, "more image data came than was announced"));
                }
                tokio::task::consume_budget().await;
            }
        }
        if !last.is_empty() {
            self.pieces.push(whole(last));
        }
        Ok((self, digester.finish(upload.size)?))
    }

    /// Holds `bytes` as they are.
    ///
    /// # Errors
    /// `TooLarge` if the budget is used up.
    pub(crate) fn holding(mut self, bytes: &Bytes) -> Result<Self> {
        self.room.take(bytes.len() as u64)?;
        let starts = (0..bytes.len()).step_by(PIECE);
        self.pieces = starts.map(|at| bytes.slice(at..bytes.len().min(at + PIECE))).collect();
        Ok(self)
    }

    /// Puts `part`, of at most one piece, behind `last`, the piece being filled.
    fn append(&mut self, last: &mut Vec<u8>, part: &[u8]) {
        let (fits, rest) = part.split_at(part.len().min(PIECE - last.len()));
        last.extend_from_slice(fits);
        if last.len() == PIECE {
            self.pieces.push(whole(std::mem::take(last)));
        }
        last.extend_from_slice(rest);
    }

    /// How many bytes there are.
    pub(crate) const fn len(&self) -> u64 {
        self.room.taken
    }

    /// The bytes of `range`, which lies within them. Nothing is copied.
    pub(crate) fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream {
        let mut at = range.start;
        let parts = std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let piece = self.pieces.get(usize::try_from(at / PIECE as u64).ok()?)?;
            let start = usize::try_from(at % PIECE as u64).ok()?;
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let part = piece.slice(start..piece.len().min(start.saturating_add(left)));
            at += part.len() as u64;
            Some(Ok(part))
        });
        Box::pin(futures::stream::iter(parts))
    }
}

/// A finished piece, without spare capacity.
fn whole(bytes: Vec<u8>) -> Bytes {
    Bytes::from(bytes.into_boxed_slice())
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;

    const FEW: u64 = 3 * PIECE as u64 + 5;

    fn budget(most: u64) -> Arc<Budget> {
        Arc::new(Budget::new(most))
    }

    fn pattern() -> Bytes {
        (0..FEW).map(|n| (n % 251) as u8).collect()
    }

    fn in_chunks(bytes: &Bytes, size: usize) -> Upload {
        let chunks: Vec<Result<Bytes>> =
            bytes.chunks(size).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        Upload::new(Box::pin(futures::stream::iter(chunks)))
    }

    async fn read(pieces: &Arc<Pieces>, range: Range<u64>) -> Vec<u8> {
        let parts: Vec<Bytes> = Arc::clone(pieces).stream(range).try_collect().await.unwrap();
        parts.concat()
    }

    #[tokio::test]
    async fn however_data_comes_it_is_read_as_it_was() {
        let bytes = pattern();
        for size in [7, 1000, PIECE - 1, PIECE, PIECE + 1, bytes.len()] {
            let pieces = Pieces::within(budget(FEW));
            let (pieces, digests) = pieces.receive(in_chunks(&bytes, size), || Ok(())).await.unwrap();
            assert_eq!(digests.size, FEW);
            assert!(pieces.pieces.iter().rev().skip(1).all(|piece| piece.len() == PIECE), "chunks of {size}");
            assert_eq!(read(&Arc::new(pieces), 0..FEW).await, bytes, "chunks of {size}");
        }
    }

    #[tokio::test]
    async fn a_range_is_exact_wherever_it_starts_and_ends() {
        let bytes = pattern();
        let pieces = Arc::new(Pieces::within(budget(FEW)).holding(&bytes).unwrap());
        let piece = PIECE as u64;
        for edge in [0, 1, piece - 1, piece, piece + 1, 2 * piece, FEW - 1] {
            for end in [edge + 1, FEW] {
                let wanted = &bytes[edge as usize..end as usize];
                assert_eq!(read(&pieces, edge..end).await, wanted, "{edge}..{end}");
            }
        }
    }

    #[tokio::test]
    async fn room_is_given_back_when_an_upload_fails_and_when_the_last_reader_is_done() {
        let budget = budget(FEW);
        let bytes = pattern();
        let too_much = in_chunks(&[&bytes[..], b"x"].concat().into(), 1000);
        let error = Pieces::within(Arc::clone(&budget)).receive(too_much, || Ok(())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(budget.held(), 0);
        let pieces = Arc::new(Pieces::within(Arc::clone(&budget)).holding(&bytes).unwrap());
        let reader = Arc::clone(&pieces).stream(0..10);
        drop(pieces);
        assert_eq!(budget.held(), FEW);
        drop(reader);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn an_upload_that_outgrows_its_announced_size_is_not_read_on() {
        let endless = futures::stream::repeat_with(|| Ok(Bytes::from_static(b"0123456789")));
        let upload = Upload { size: Some(15), ..Upload::new(Box::pin(endless)) };
        let error = Pieces::within(budget(u64::MAX)).receive(upload, || Ok(())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incomplete);
    }
}
