//! Data held to the strongest hash that is known of it.
//!
//! That is the image's strong hash if its algorithm is one of ours, else the MD5 that today's clients look at. The hash is
//! taken off the async threads ([`portico_hashing`]).

use bytes::Bytes;
use image_service::{HashAlgorithm, Image, MultiHash, Result};

use portico_hashing::Hashing;

/// A hash on its way, and what it must come to.
#[derive(Debug)]
pub(super) struct Check {
    expected: MultiHash,
    hashing: Hashing,
}

impl Check {
    /// A check of the data of `image`. `None` if no hash of it is known.
    pub(super) fn of(image: &Image) -> Option<Self> {
        let checksum = || {
            let value = image.checksum.clone()?;
            known(&MultiHash { algorithm: HashAlgorithm::Md5.as_str().to_owned(), value })
        };
        let (algorithm, expected) = image.hash.as_ref().and_then(known).or_else(checksum)?;
        Some(Self { expected, hashing: Hashing::new(algorithm) })
    }

    /// Takes the next piece of the data. Waits while the hash is too far behind.
    ///
    /// # Errors
    /// `Internal` if it cannot be hashed.
    pub(super) async fn update(&mut self, piece: Bytes) -> Result<()> {
        self.hashing.update(piece).await
    }

    /// Whether all that has passed is the image's data.
    ///
    /// # Errors
    /// Those of [`update`](Self::update).
    pub(super) async fn matches(self) -> Result<bool> {
        Ok(self.hashing.finish().await? == self.expected)
    }
}

/// The algorithm of a hash, and the hash as we write it. `None` if it is not one that we can take.
fn known(hash: &MultiHash) -> Option<(HashAlgorithm, MultiHash)> {
    let algorithm: HashAlgorithm = hash.algorithm.parse().ok()?;
    let value = hash.value.to_ascii_lowercase();
    let is_hash = value.len() == algorithm.digits() && value.chars().all(|c| c.is_ascii_hexdigit());
    is_hash.then(|| (algorithm, MultiHash { algorithm: hash.algorithm.clone(), value }))
}

#[cfg(test)]
mod tests {
    use image_service::{Caller, Digester, NewImage, Timestamp};

    use super::*;

    fn image() -> Image {
        let mut image = NewImage::default().into_image(&Caller::administrator(), Timestamp::now()).unwrap();
        let mut digester = Digester::default();
        digester.update(b"data");
        image.finish_upload(digester.finish(None).unwrap(), Timestamp::now());
        image
    }

    async fn is_right(image: &Image, data: &'static [u8]) -> Option<bool> {
        let mut check = Check::of(image)?;
        check.update(Bytes::from_static(data)).await.unwrap();
        Some(check.matches().await.unwrap())
    }

    #[tokio::test]
    async fn the_strongest_hash_that_is_known_tells() {
        let image = image();
        let hash = |algorithm: &str, value: &str| {
            let hash = MultiHash { algorithm: algorithm.into(), value: value.into() };
            Image { hash: Some(hash), ..image.clone() }
        };
        let strong = image.hash.clone().unwrap().value;
        let sha256 = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7";
        let shouted = strong.to_uppercase();
        for image in [hash("sha512", &strong), hash("sha512", &shouted), hash("sha256", sha256)] {
            let image = Image { checksum: None, ..image };
            assert_eq!(is_right(&image, b"data").await, Some(true));
            assert_eq!(is_right(&image, b"dato").await, Some(false));
        }
        // Of what cannot be taken the checksum is all that is left.
        for image in [hash("blake3", "00"), hash("sha512", "00"), Image { hash: None, ..image.clone() }] {
            assert_eq!(is_right(&image, b"data").await, Some(true));
            assert_eq!(is_right(&image, b"dato").await, Some(false));
            assert_eq!(is_right(&Image { checksum: None, ..image }, b"data").await, None);
        }
    }
}
