//! What is known of data that has passed: its size, its hashes, and what it is.
//!
//! A [`Digester`] takes it all in one place. Who has the hashes made in several, at the same time, has a [`Measure`]
//! for the rest.

use crate::{Error, ErrorKind, HashAlgorithm, Hasher, MultiHash, Result};

/// The strong hash that stores compute themselves.
pub const HASH_ALGORITHM: &str = "sha512";

/// What is known of data that has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Number of bytes.
    pub size: u64,
    /// MD5 in lower-case hex.
    pub checksum: String,
    /// The strong hash: SHA-512, unless another was wished.
    pub hash: MultiHash,
    /// Bytes of the disk in it, as its own header says; of data without one that is known, its number of bytes.
    pub virtual_size: Option<u64>,
}

/// Counts data while it passes, and keeps its beginning, which tells what it is.
#[derive(Debug, Clone, Default)]
pub struct Measure {
    size: u64,
    head: Vec<u8>,
}

impl Measure {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        let room = portico_format::HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// Bytes taken so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Whether that is as many as were promised, if any were.
    ///
    /// # Errors
    /// `Incomplete` if it is another number.
    pub fn check(&self, announced: Option<u64>) -> Result<()> {
        match announced.filter(|announced| *announced != self.size) {
            Some(announced) => Err(Error::new(
                ErrorKind::Incomplete,
                format!("{announced} bytes of image data were announced and {} came", self.size),
            )),
            None => Ok(()),
        }
    }

    /// Ends the count of data with these hashes.
    #[must_use]
    pub fn finish(self, checksum: MultiHash, strong: MultiHash) -> Digests {
        Digests {
            virtual_size: portico_format::look(&self.head).virtual_size(self.size),
            size: self.size,
            checksum: checksum.value,
            hash: strong,
        }
    }
}

/// Counts and hashes data while it passes.
#[derive(Debug, Clone)]
pub struct Digester {
    measure: Measure,
    checksum: Hasher,
    strong: Hasher,
}

impl Default for Digester {
    fn default() -> Self {
        Self::with(HashAlgorithm::Sha512)
    }
}

impl Digester {
    /// One whose strong hash is of this kind.
    #[must_use]
    pub fn with(algorithm: HashAlgorithm) -> Self {
        Self {
            measure: Measure::default(),
            checksum: Hasher::new(HashAlgorithm::Md5),
            strong: Hasher::new(algorithm),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.measure.update(bytes);
        self.checksum.update(bytes);
        self.strong.update(bytes);
    }

    /// Bytes taken so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.measure.size()
    }

    /// Ends the count. `announced` is the size that was promised, if any.
    ///
    /// # Errors
    /// `Incomplete` if another number of bytes came.
    pub fn finish(self, announced: Option<u64>) -> Result<Digests> {
        self.measure.check(announced)?;
        Ok(self.measure.finish(self.checksum.finish(), self.strong.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_bytes_and_a_broken_promise_is_incomplete() {
        let mut digester = Digester::default();
        digester.update(b"a");
        digester.update(b"bc");
        assert_eq!(digester.clone().finish(Some(4)).unwrap_err().kind(), ErrorKind::Incomplete);
        let digests = digester.finish(Some(3)).unwrap();
        assert_eq!(digests.size, 3);
        assert_eq!(digests.checksum, "900150983cd24fb0d6963f7d28e17f72");
        assert!(digests.hash.value.starts_with("ddaf35a193617abacc417349ae204131"));
        assert_eq!(digests.virtual_size, Some(3));
    }

    #[test]
    fn the_size_of_the_disk_is_that_in_the_header_however_the_data_comes() {
        let mut image = vec![0; 200_000];
        image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
        image[24..32].copy_from_slice(&(3_u64 << 30).to_be_bytes());
        for pieces in [1, 100, 65_537, 200_000] {
            let mut digester = Digester::default();
            image.chunks(pieces).for_each(|piece| digester.update(piece));
            assert_eq!(digester.finish(None).unwrap().virtual_size, Some(3 << 30), "{pieces}");
        }
    }
}
