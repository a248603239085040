//! Data on its way from one backend to the other, or read to know what it is: counted, hashed, and held to its image.
//!
//! The stream ends in an error before its end if what passed is not the image's data, so that the target never has the
//! whole of it. Hashing is done off the async threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{ByteStream, Error, ErrorKind, HashAlgorithm, Image, MultiHash, Result};
use portico_hashing::Hashing;

use super::content::{self, Verified};

/// Who is told how many bytes have passed.
pub(super) type Meter = Arc<dyn Fn(u64) + Send + Sync>;

/// How a stream ended.
#[derive(Debug, Default)]
pub(super) enum End {
    /// It has not, or was not read to its end.
    #[default]
    Open,
    /// All of it passed: so many bytes, and these hashes of them.
    Whole(u64, Vec<MultiHash>),
    /// It is not the image's data.
    Mismatch(Error),
    /// The source broke off.
    Broken(Error),
}

/// What is known of a stream when it has passed.
#[derive(Debug, Clone, Default)]
pub(super) struct Passed(Arc<Mutex<End>>);

impl Passed {
    /// How it ended.
    pub(super) fn take(&self) -> End {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, End> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps why the data is not the image's, and gives the error that ends the stream.
    fn mismatch(&self, how: &str) -> Error {
        let error = || Error::new(ErrorKind::Corrupt, format!("the data read is not the image's: {how}"));
        *self.lock() = End::Mismatch(error());
        error()
    }

    /// Keeps that the source broke off. Who takes the stream may tell that as something else.
    fn broken(&self, error: Error) -> Error {
        let passed_on = Error::new(error.kind(), error.message());
        *self.lock() = End::Broken(error);
        passed_on
    }
}

/// `stream`, held to `image`, and what will be known of it.
pub(super) fn held(stream: ByteStream, image: &Image, meter: Meter) -> (ByteStream, Passed) {
    let passed = Passed::default();
    let size = image.size;
    let start = Passing { stream, meter, count: 0, size, hashes: hashes(image), passed: passed.clone() };
    (Box::pin(futures::stream::try_unfold(start, Passing::next)), passed)
}

/// What shows that `made` has the data that passed: this size, and one of these hashes if it tells one that can be
/// compared. `None` if it has other data.
pub(super) fn verified(made: &Image, size: u64, hashes: &[MultiHash]) -> Option<Verified> {
    let told = made.hash.iter().cloned().chain(made.checksum.as_deref().map(content::md5));
    let mut best = Verified::Size;
    for told in told {
        match hashes.iter().find_map(|passed| content::same(&told, passed)) {
            Some(false) => return None,
            Some(true) if best == Verified::Size => best = Verified::Hash(told.algorithm),
            _ => {}
        }
    }
    (made.size == Some(size)).then_some(best)
}

/// What to hash the data of `image` with: as it is hashed there, and as the target most likely does.
fn hashes(image: &Image) -> Vec<(Hashing, Option<MultiHash>)> {
    let expected = content::telling(image);
    let usual = HashAlgorithm::Sha512;
    let is_usual = expected.as_ref().is_some_and(|(algorithm, _)| *algorithm == usual);
    let expected = expected.map(|(algorithm, hash)| (Hashing::new(algorithm), Some(hash)));
    expected.into_iter().chain((!is_usual).then(|| (Hashing::new(usual), None))).collect()
}

struct Passing {
    stream: ByteStream,
    meter: Meter,
    count: u64,
    size: Option<u64>,
    hashes: Vec<(Hashing, Option<MultiHash>)>,
    passed: Passed,
}

impl Passing {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        let Some(next) = self.stream.next().await else { return self.end().await.map(|()| None) };
        let bytes = next.map_err(|error| self.passed.broken(error))?;
        self.count = self.count.saturating_add(bytes.len() as u64);
        if self.size.is_some_and(|size| self.count > size) {
            return Err(self.passed.mismatch("it is longer"));
        }
        for (hashing, _) in &mut self.hashes {
            hashing.update(bytes.clone()).await?;
        }
        (self.meter)(bytes.len() as u64);
        Ok(Some((bytes, self)))
    }

    async fn end(self) -> Result<()> {
        if self.size.is_some_and(|size| self.count < size) {
            return Err(self.passed.mismatch("it is shorter"));
        }
        let mut hashes = Vec::new();
        for (hashing, expected) in self.hashes {
            let hash = hashing.finish().await?;
            if expected.is_some_and(|expected| content::same(&hash, &expected) != Some(true)) {
                return Err(self.passed.mismatch("its hash differs"));
            }
            hashes.push(hash);
        }
        *self.passed.lock() = End::Whole(self.count, hashes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::TryStreamExt as _;

    use super::*;
    use crate::replica::metadata::tests::active;

    async fn pass(data: &[u8], image: &Image) -> (Result<Vec<Bytes>>, End, u64) {
        let pieces: Vec<_> = data.chunks(3).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let counted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&counted);
        let meter: Meter = Arc::new(move |bytes| {
            count.fetch_add(bytes, Ordering::SeqCst);
        });
        let (stream, passed) = held(futures::stream::iter(pieces).boxed(), image, meter);
        (stream.try_collect().await, passed.take(), counted.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn only_the_data_of_the_image_passes_to_its_end_by_whatever_hash_is_known() {
        let image = active();
        let sha256 = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7";
        let sha256 = Some(MultiHash { algorithm: "sha256".into(), value: sha256.into() });
        let nonsense = Some(MultiHash { algorithm: "sha512".into(), value: "00".into() });
        let unknown = Some(MultiHash { algorithm: "blake3".into(), value: "00".into() });
        for hash in [image.hash.clone(), sha256, nonsense, unknown, None] {
            let image = Image { hash, ..image.clone() };
            let (passed, end, counted) = pass(b"data", &image).await;
            assert_eq!((passed.unwrap().concat().as_slice(), counted), (&b"data"[..], 4));
            assert!(matches!(&end, End::Whole(4, _)), "{end:?}");
            for other in [&b"dat"[..], b"datum", b"dato", b""] {
                let (passed, end, _) = pass(other, &image).await;
                assert_eq!(passed.unwrap_err().kind(), ErrorKind::Corrupt, "{other:?}");
                assert!(matches!(end, End::Mismatch(_)), "{other:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_was_made_is_held_to_what_passed_by_each_hash_that_both_have() {
        let image = active();
        let bare = Image { hash: None, checksum: None, ..image.clone() };
        let md5_alone = Image { hash: None, ..image.clone() };
        for source in [&image, &md5_alone, &bare] {
            let (_, End::Whole(size, hashes), _) = pass(b"data", source).await else { panic!() };
            for made in [&image, &bare, &md5_alone] {
                // MD5 is made of what passes only where the source has nothing else.
                let by_size = made == &bare || (made == &md5_alone && source != &md5_alone);
                let hash = if made.hash.is_some() { "sha512" } else { "md5" };
                let by = if by_size { Verified::Size } else { Verified::Hash(hash.into()) };
                assert_eq!(verified(made, size, &hashes), Some(by));
            }
            assert_eq!(verified(&Image { size: Some(5), ..image.clone() }, size, &hashes), None);
            let hash = Some(MultiHash { algorithm: "sha512".into(), value: "00".repeat(64) });
            assert_eq!(verified(&Image { hash, ..image.clone() }, size, &hashes), None);
        }
        let (_, End::Whole(size, hashes), _) = pass(b"data", &md5_alone).await else { panic!() };
        assert_eq!(verified(&Image { checksum: Some("00".into()), ..bare }, size, &hashes), None);
    }

    #[tokio::test]
    async fn a_source_that_breaks_off_is_told_as_such() {
        let gone = Err(Error::new(ErrorKind::Unavailable, "gone"));
        let pieces = futures::stream::iter([Ok(Bytes::from_static(b"da")), gone]).boxed();
        let (stream, passed) = held(pieces, &active(), Arc::new(|_| ()));
        assert!(stream.try_collect::<Vec<_>>().await.is_err());
        assert!(matches!(passed.take(), End::Broken(error) if error.message() == "gone"));
    }
}
