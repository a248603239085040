//! Hashes data off the async threads, while it passes.
//!
//! A hash takes about as long as a network takes to carry the data, so it must not keep other requests waiting. The data
//! is gathered until a trip to another thread is worth it. Whoever hashes there goes on with what has come meanwhile, so
//! that a hash which is behind never stands still, and the order of the data is kept. Who gives data waits only when the
//! hash has fallen far behind. Pieces are shared and never copied, and what is held of them is bounded by [`BEHIND`] on
//! either side of the trip, and one piece more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use image_service::{Error, ErrorKind, HashAlgorithm, Hasher, MultiHash, Result};
use tokio::sync::Notify;

/// The least to make a trip for.
const BATCH: usize = 128 << 10;

/// The most that waits to be hashed.
const BEHIND: usize = 512 << 10;

/// Up to so many bytes at the end are hashed at once: the trip would take longer.
const FEW: usize = 8 << 10;

/// After so many bytes the thread is left to others who wait for one.
const TURN: usize = 16 << 20;

/// A hash on its way.
#[derive(Debug)]
pub struct Hashing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Told whenever the hash has got on.
    moved: Notify,
}

#[derive(Debug)]
struct Queue {
    waiting: Vec<Bytes>,
    bytes: usize,
    hasher: Seat,
}

/// Where the hash so far is.
#[derive(Debug)]
enum Seat {
    Here(Box<Hasher>),
    /// On another thread.
    Away,
    /// It has been lost with the thread that had it, or given out.
    Gone,
}

impl Hashing {
    /// A hash of nothing yet.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        let hasher = Seat::Here(Box::new(Hasher::new(algorithm)));
        let queue = Mutex::new(Queue { waiting: Vec::new(), bytes: 0, hasher });
        Self(Arc::new(Shared { queue, moved: Notify::new() }))
    }

    /// Takes the next piece. Waits while the hash is too far behind.
    ///
    /// # Errors
    /// `Internal` if the hash was lost: the process ends, or has no more threads to hash on.
    pub async fn update(&mut self, piece: Bytes) -> Result<()> {
        {
            let mut queue = self.0.lock();
            queue.bytes = queue.bytes.saturating_add(piece.len());
            queue.waiting.push(piece);
        }
        self.0.begin(BATCH);
        self.0.until(|queue| queue.bytes < BEHIND).await
    }

    /// Waits for the hash of all that has passed.
    ///
    /// # Errors
    /// Those of [`update`](Self::update).
    pub async fn finish(self) -> Result<MultiHash> {
        self.0.begin(FEW);
        self.0.until(|queue| matches!(queue.hasher, Seat::Here(_))).await?;
        let (hasher, rest) = {
            let mut queue = self.0.lock();
            (std::mem::replace(&mut queue.hasher, Seat::Gone), std::mem::take(&mut queue.waiting))
        };
        let Seat::Here(mut hasher) = hasher else { return Err(lost()) };
        rest.iter().for_each(|piece| hasher.update(piece));
        Ok(hasher.finish())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has all that waits hashed on another thread if it is at least so much, unless it is being hashed already.
    fn begin(self: &Arc<Self>, least: usize) {
        let mut queue = self.lock();
        if queue.bytes < least || !matches!(queue.hasher, Seat::Here(_)) {
            return;
        }
        if let Seat::Here(hasher) = std::mem::replace(&mut queue.hasher, Seat::Away) {
            drop(queue);
            Trip { shared: Arc::clone(self), hasher: Some(hasher) }.begin();
        }
    }

    /// Waits until this is so.
    async fn until(&self, is_so: impl Fn(&Queue) -> bool) -> Result<()> {
        loop {
            let moved = self.moved.notified();
            {
                let queue = self.lock();
                if matches!(queue.hasher, Seat::Gone) {
                    return Err(lost());
                }
                if is_so(&queue) {
                    return Ok(());
                }
            }
            moved.await;
        }
    }
}

/// The hash so far, on another thread. If it is not brought back, everybody hears that it is lost.
struct Trip {
    shared: Arc<Shared>,
    hasher: Option<Box<Hasher>>,
}

impl Trip {
    /// Hashes all that waits, and what comes meanwhile.
    fn begin(self) {
        tokio::task::spawn_blocking(move || self.run());
    }

    fn run(mut self) {
        let mut hashed = 0;
        while hashed < TURN {
            let Some(pieces) = self.next() else { return };
            let Some(hasher) = &mut self.hasher else { return };
            for piece in pieces {
                hasher.update(&piece);
                hashed = hashed.saturating_add(piece.len());
            }
        }
        self.begin();
    }

    /// What waits. If that is nothing the hash is back where it was.
    fn next(&mut self) -> Option<Vec<Bytes>> {
        let mut queue = self.shared.lock();
        let pieces = std::mem::take(&mut queue.waiting);
        queue.bytes = 0;
        if pieces.is_empty() {
            queue.hasher = self.hasher.take().map_or(Seat::Gone, Seat::Here);
        }
        drop(queue);
        self.shared.moved.notify_one();
        (!pieces.is_empty()).then_some(pieces)
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        if self.hasher.is_some() {
            self.shared.lock().hasher = Seat::Gone;
            self.shared.moved.notify_one();
        }
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Internal, "a hash was lost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_hash_is_that_of_the_data_whatever_the_pieces() {
        let data: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let data = Bytes::from(data);
        for algorithm in [HashAlgorithm::Md5, HashAlgorithm::Sha512] {
            let mut expected = Hasher::new(algorithm);
            expected.update(&data);
            let expected = expected.finish();
            for size in [10_007, 65_536, BATCH, 5 << 20, data.len()] {
                let mut hashing = Hashing::new(algorithm);
                for start in (0..data.len()).step_by(size) {
                    hashing.update(data.slice(start..data.len().min(start + size))).await.unwrap();
                    assert!(hashing.0.lock().bytes < BEHIND, "what waits is bounded");
                }
                assert_eq!(hashing.finish().await.unwrap(), expected, "{algorithm} in {size}");
            }
        }
    }

    #[tokio::test]
    async fn the_hash_of_nothing_is_one_too() {
        let hash = Hashing::new(HashAlgorithm::Md5).finish().await.unwrap();
        assert_eq!(hash.value, "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[tokio::test]
    async fn who_waits_for_a_hash_that_is_lost_hears_of_it() {
        let hashing = Hashing::new(HashAlgorithm::Md5);
        let Seat::Here(hasher) = std::mem::replace(&mut hashing.0.lock().hasher, Seat::Away) else {
            panic!()
        };
        let trip = Trip { shared: Arc::clone(&hashing.0), hasher: Some(hasher) };
        let (end, ()) = futures::join!(hashing.finish(), async { drop(trip) });
        assert_eq!(end.unwrap_err().kind(), ErrorKind::Internal);
    }
}
