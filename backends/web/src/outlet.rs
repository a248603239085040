//! Data from a location, held to what the image says of it.
//!
//! The end of the data is held back until all of it has been looked at, so that nobody takes other data for the whole.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use image_service::{ByteStream, Error, ErrorKind, HashAlgorithm, Image, Location, MultiHash, Result};
use portico_fetch::{Fetched, Fetcher};
use portico_hashing::Hashing;

use crate::store::Store;

/// Opens the bytes of `range`, of `total` in all, at the first location that gives them.
///
/// # Errors
/// That of the last location. If none of them has answered when the store's patience ends, the stream begins without,
/// and ends in that error.
pub(crate) async fn open(
    store: &Arc<Store>,
    image: &Image,
    locations: Vec<Location>,
    range: Range<u64>,
    total: u64,
) -> Result<ByteStream> {
    if range.is_empty() {
        return Ok(futures::stream::empty().boxed());
    }
    let whole = range == (0..total);
    let fetcher = store.fetcher.clone();
    let mut opening: BoxFuture<'static, Result<ByteStream>> =
        first(fetcher, locations, range.clone(), total).boxed();
    let stream = match tokio::time::timeout(store.patience, &mut opening).await {
        Ok(answer) => answer?,
        Err(_) => futures::stream::once(opening).try_flatten().boxed(),
    };
    Ok(held(stream, range.end.saturating_sub(range.start), whole.then(|| expected(image)).flatten()))
}

async fn first(
    fetcher: Fetcher,
    locations: Vec<Location>,
    range: Range<u64>,
    total: u64,
) -> Result<ByteStream> {
    let mut last = Error::new(ErrorKind::Unavailable, "the image has no location").answered();
    for location in locations {
        let opened = if range == (0..total) {
            fetcher.open(&location.url).await.and_then(|fetched| of_length(fetched, total))
        } else {
            fetcher.open_range(&location.url, range.clone(), total).await
        };
        match opened {
            Ok(fetched) => return Ok(fetched.stream.map_err(failed).boxed()),
            Err(error) => last = failed(error),
        }
    }
    Err(last)
}

fn of_length(fetched: Fetched, total: u64) -> Result<Fetched> {
    match fetched.size {
        Some(size) if size != total => {
            Err(changed(format!("the image has {total} bytes, and {size} would come")))
        }
        _ => Ok(fetched),
    }
}

fn changed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

/// What a location failed in, as an answer of this store, which is well. The client has asked for an image and not for a
/// URL.
fn failed(error: Error) -> Error {
    let kind = match error.kind() {
        kind @ (ErrorKind::Corrupt | ErrorKind::Refused | ErrorKind::TimedOut) => kind,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "the data of the image cannot be had from where it lies").with_source(error).answered()
}

/// The hash to hold the whole data to: the strong one if it is of a kind that is known, else the checksum.
fn expected(image: &Image) -> Option<(HashAlgorithm, String)> {
    let strong = |hash: &MultiHash| Some((hash.algorithm.parse().ok()?, hash.value.clone()));
    let checksum = || Some((HashAlgorithm::Md5, image.checksum.clone()?));
    image.hash.as_ref().and_then(strong).or_else(checksum)
}

/// The same bytes, exactly `length` of them, and if a hash is expected with that hash, or an error at the end.
fn held(stream: ByteStream, length: u64, expected: Option<(HashAlgorithm, String)>) -> ByteStream {
    let hashing = expected.map(|(algorithm, value)| (Hashing::new(algorithm), value));
    let start = Some(Held { stream, left: length, back: None, hashing });
    Box::pin(futures::stream::unfold(start, |held| async { held?.next().await }))
}

struct Held {
    stream: ByteStream,
    left: u64,
    /// The latest piece, while it may be the last.
    back: Option<Bytes>,
    hashing: Option<(Hashing, String)>,
}

impl Held {
    async fn next(mut self) -> Option<(Result<Bytes>, Option<Self>)> {
        loop {
            let bytes = match self.stream.next().await {
                None => return self.end().await,
                Some(Err(error)) => return Some((Err(error), None)),
                Some(Ok(bytes)) if bytes.is_empty() => continue,
                Some(Ok(bytes)) => bytes,
            };
            let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
                return Some((Err(failed(changed("more data came than the image has"))), None));
            };
            self.left = left;
            if let Some((hashing, _)) = &mut self.hashing
                && let Err(error) = hashing.update(bytes.clone()).await
            {
                return Some((Err(error), None));
            }
            if let Some(before) = self.back.replace(bytes) {
                return Some((Ok(before), Some(self)));
            }
        }
    }

    async fn end(self) -> Option<(Result<Bytes>, Option<Self>)> {
        if self.left > 0 {
            return Some((Err(failed(changed(format!("the data ended {} bytes early", self.left)))), None));
        }
        if let Some((hashing, expected)) = self.hashing {
            match hashing.finish().await {
                Ok(hash) if hash.value == expected => {}
                Ok(_) => {
                    return Some((Err(failed(changed("the data has another hash than the image"))), None));
                }
                Err(error) => return Some((Err(error), None)),
            }
        }
        self.back.map(|last| (Ok(last), None))
    }
}
