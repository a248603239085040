//! The hashes by which data is known.
//!
//! All data that is uploaded to a store is hashed to SHA-512, so that one is by who does it quickest.

use std::fmt;

use md5::Md5;
use ring::digest::{Context, SHA512};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::MultiHash;
use crate::words::words;

words! {
    /// An algorithm that the strong hash of an image may have been made with.
    HashAlgorithm, "os_hash_algo", {
        /// 128 bits, long broken.
        Md5 = "md5",
        /// 160 bits, broken.
        Sha1 = "sha1",
        /// 256 bits.
        Sha256 = "sha256",
        /// 512 bits: what stores compute themselves.
        Sha512 = "sha512",
    }
}

impl HashAlgorithm {
    /// How many hex digits its hashes have.
    #[must_use]
    pub const fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// Hashes data while it passes.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Context),
}

impl Hasher {
    /// A hash of nothing yet.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self(match algorithm {
            HashAlgorithm::Md5 => State::Md5(Md5::new()),
            HashAlgorithm::Sha1 => State::Sha1(Sha1::new()),
            HashAlgorithm::Sha256 => State::Sha256(Sha256::new()),
            HashAlgorithm::Sha512 => State::Sha512(Context::new(&SHA512)),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The hash of all that has passed.
    #[must_use]
    pub fn finish(self) -> MultiHash {
        let algorithm = self.algorithm();
        let value = match self.0 {
            State::Md5(state) => hex::encode(state.finalize()),
            State::Sha1(state) => hex::encode(state.finalize()),
            State::Sha256(state) => hex::encode(state.finalize()),
            State::Sha512(state) => hex::encode(state.finish()),
        };
        MultiHash { algorithm: algorithm.as_str().to_owned(), value }
    }

    const fn algorithm(&self) -> HashAlgorithm {
        match self.0 {
            State::Md5(_) => HashAlgorithm::Md5,
            State::Sha1(_) => HashAlgorithm::Sha1,
            State::Sha256(_) => HashAlgorithm::Sha256,
            State::Sha512(_) => HashAlgorithm::Sha512,
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.algorithm()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_gives_its_own_hash() {
        for (algorithm, start) in [
            (HashAlgorithm::Md5, "900150983cd24fb0"),
            (HashAlgorithm::Sha1, "a9993e364706816a"),
            (HashAlgorithm::Sha256, "ba7816bf8f01cfea"),
            (HashAlgorithm::Sha512, "ddaf35a193617aba"),
        ] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"a");
            hasher.update(b"bc");
            let hash = hasher.finish();
            assert_eq!((hash.algorithm.as_str(), hash.value.len()), (algorithm.as_str(), algorithm.digits()));
            assert!(hash.value.starts_with(start), "{hash:?}");
        }
    }
}
