//! Packed image data on its way: unpacked while it passes, and held to the hash of what was packed.
//!
//! The hash is known only when all packed bytes have passed, and the last of them may come behind the last byte of the
//! image. So the end of the image is kept back until the hash is known to be right: whoever gets all of it has good
//! data.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::XzDecoder;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use image_service::{ByteStream, Error, ErrorKind, HashAlgorithm, Hasher, MultiHash, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _};
use tokio_util::io::StreamReader;

/// How much is unpacked at once.
const CHUNK: usize = 64 * 1024;

/// The most memory that unpacking may take. What `xz -9` packs takes 65 MiB.
const MOST_MEMORY: u64 = 128 << 20;

type Packed = StreamReader<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>, Bytes>;

/// Data being unpacked.
struct Unpacking {
    decoder: XzDecoder<Packed>,
    /// Bytes of the image.
    size: u64,
    /// Bytes that have been unpacked.
    given: u64,
    /// The last of them, kept back.
    held: Option<Bytes>,
}

/// What is packed in `packed`: exactly `size` bytes, or an error at the end. `seal` is the hash of the packed bytes.
pub(crate) fn unpack(packed: ByteStream, seal: MultiHash, size: u64) -> ByteStream {
    let packed: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> =
        Box::pin(sealed(packed, seal).map(|piece| piece.map_err(io::Error::other)));
    let decoder = XzDecoder::with_mem_limit(StreamReader::new(packed), MOST_MEMORY);
    let start = Unpacking { decoder, size, given: 0, held: None };
    Box::pin(futures::stream::unfold(Some(start), |unpacking| async move {
        let mut unpacking = unpacking?;
        match unpacking.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(unpacking))),
            Ok(None) => unpacking.finish().await.transpose().map(|last| (last, None)),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

impl Unpacking {
    /// The next piece that has another one behind it.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let mut piece = BytesMut::with_capacity(CHUNK);
            let count = self.decoder.read_buf(&mut piece).await.map_err(damage)?;
            if count == 0 {
                return Ok(None);
            }
            self.given += count as u64;
            if self.given > self.size {
                return Err(other_size(self.size));
            }
            if let Some(before) = self.held.replace(piece.freeze()) {
                return Ok(Some(before));
            }
        }
    }

    /// Reads what is packed to its end, and gives the last piece.
    async fn finish(self) -> Result<Option<Bytes>> {
        let mut rest = self.decoder.into_inner();
        loop {
            let count = rest.fill_buf().await.map_err(damage)?.len();
            if count == 0 {
                break;
            }
            rest.consume(count);
        }
        if self.given == self.size { Ok(self.held) } else { Err(other_size(self.size)) }
    }
}

/// The same bytes, and an error at their end if their hash is not `seal`.
fn sealed(packed: ByteStream, seal: MultiHash) -> impl Stream<Item = Result<Bytes>> + Send {
    let hasher = seal.algorithm.parse::<HashAlgorithm>().map(Hasher::new);
    futures::stream::unfold(Some((packed, hasher, seal)), |passing| async move {
        let (mut packed, mut hasher, seal) = passing?;
        match packed.next().await {
            Some(Ok(piece)) => {
                if let Ok(hasher) = &mut hasher {
                    hasher.update(&piece);
                }
                Some((Ok(piece), Some((packed, hasher, seal))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => match hasher.map(Hasher::finish) {
                Ok(hash) if hash == seal => None,
                _ => Some((
                    Err(corrupt("the packed image data is not what the catalogue has the hash of")),
                    None,
                )),
            },
        }
    })
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

fn other_size(size: u64) -> Error {
    corrupt(format!("the image has {size} bytes, and another number was packed"))
}

/// Our own error that came through the decoder, or the decoder's.
fn damage(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => corrupt("the packed image data cannot be unpacked").with_source(error),
    }
}
