//! Hashes data off the async threads, while it passes.
//!
//! A hash takes about as long as a network takes to carry the data, so it must not keep other requests waiting. The data
//! is gathered until a trip to another thread is worth it. At most one job is under way: it has the hash so far, and the
//! next one begins with what it came to, so the order of the data is kept. Who gives data waits only when the hash has
//! fallen far behind. Pieces are shared and never copied, and what is held of them is bounded by [`BEHIND`] on either side
//! of the trip, and one piece more.

use bytes::Bytes;
use image_service::{Error, ErrorKind, HashAlgorithm, Hasher, MultiHash, Result};
use tokio::task::JoinHandle;

/// The least to make a trip for.
const BATCH: usize = 256 << 10;

/// The most that waits while a job is under way.
const BEHIND: usize = 1 << 20;

/// Up to so many bytes at the end are hashed at once: the trip would take longer.
const FEW: usize = 8 << 10;

/// A hash on its way.
#[derive(Debug)]
pub struct Hashing {
    state: State,
    waiting: Vec<Bytes>,
    bytes: usize,
}

#[derive(Debug)]
enum State {
    Idle(Box<Hasher>),
    Busy(JoinHandle<Box<Hasher>>),
    /// The hash has been lost with the job that had it.
    Lost,
}

impl Hashing {
    /// A hash of nothing yet.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self { state: State::Idle(Box::new(Hasher::new(algorithm))), waiting: Vec::new(), bytes: 0 }
    }

    /// Takes the next piece. Waits while the hash is too far behind.
    ///
    /// # Errors
    /// `Internal` if the process has no more threads to hash on.
    pub async fn update(&mut self, piece: Bytes) -> Result<()> {
        self.bytes = self.bytes.saturating_add(piece.len());
        self.waiting.push(piece);
        let is_free = match &self.state {
            State::Busy(job) => job.is_finished(),
            State::Idle(_) | State::Lost => true,
        };
        if self.bytes >= BEHIND || (self.bytes >= BATCH && is_free) {
            self.begin().await?;
        }
        Ok(())
    }

    /// Waits for the hash of all that has passed.
    ///
    /// # Errors
    /// Those of [`update`](Self::update).
    pub async fn finish(mut self) -> Result<MultiHash> {
        if self.bytes > FEW {
            self.begin().await?;
        }
        let mut hasher = self.hasher().await?;
        self.waiting.iter().for_each(|piece| hasher.update(piece));
        Ok(hasher.finish())
    }

    /// Sends all that waits to be hashed, when the job before is done.
    async fn begin(&mut self) -> Result<()> {
        let mut hasher = self.hasher().await?;
        let pieces = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        self.state = State::Busy(tokio::task::spawn_blocking(move || {
            pieces.iter().for_each(|piece| hasher.update(piece));
            hasher
        }));
        Ok(())
    }

    /// The hash so far, when the job that has it is done.
    async fn hasher(&mut self) -> Result<Box<Hasher>> {
        if let State::Busy(job) = &mut self.state {
            self.state = State::Idle(job.await.map_err(lost)?);
        }
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Idle(hasher) => Ok(hasher),
            State::Busy(_) | State::Lost => Err(Error::new(ErrorKind::Internal, "a hash was lost")),
        }
    }
}

fn lost(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "image data cannot be hashed").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_hash_is_that_of_the_data_whatever_the_pieces() {
        let data: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let data = Bytes::from(data);
        for algorithm in [HashAlgorithm::Md5, HashAlgorithm::Sha512] {
            let mut expected = Hasher::new(algorithm);
            expected.update(&data);
            let expected = expected.finish();
            for size in [10_007, 65_536, BATCH, 5 << 20, data.len()] {
                let mut hashing = Hashing::new(algorithm);
                for start in (0..data.len()).step_by(size) {
                    hashing.update(data.slice(start..data.len().min(start + size))).await.unwrap();
                    assert!(hashing.bytes < BEHIND, "what waits is bounded");
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
}
