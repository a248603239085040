//! Data on its way in, held to the format that its image declares.
//!
//! The first bytes are held back until they have been looked at, so that no store sees a byte of what is refused for
//! them. Pieces pass on as they came; only the beginning is copied, to be looked at as one.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use image_service::{ByteStream, Error, ErrorKind, Result};
use portico_format::{Declared, Finding, HEAD, Kind, TAIL, Verdict, is_fixed_vhd, look};

/// What is declared of an image, if both formats are.
pub(super) fn declared(disk: Option<&str>, container: Option<&str>) -> Option<Declared> {
    Some(Declared { disk: disk?.to_owned(), container: container?.to_owned() })
}

/// `stream`, which ends in `UnsupportedFormat` if it is not what is declared.
pub(super) fn checked(stream: ByteStream, declared: Declared) -> ByteStream {
    judged(stream, declared, Declared::judge)
}

/// `stream`, which ends in `UnsupportedFormat` if it leads to other files.
pub(super) fn safe(stream: ByteStream, declared: Declared) -> ByteStream {
    judged(stream, declared, Declared::judge_safety)
}

type Judge = fn(&Declared, &Finding) -> Verdict;

fn judged(stream: ByteStream, declared: Declared, judge: Judge) -> ByteStream {
    // Its end may be found twice: among the first pieces, and behind them.
    let start = Some(Stage::Head { stream: stream.fuse().boxed(), declared, judge });
    Box::pin(futures::stream::unfold(start, async |stage| stage?.next().await))
}

/// How far the data has come.
enum Stage {
    /// Nothing has passed yet.
    Head { stream: ByteStream, declared: Declared, judge: Judge },
    /// These pieces, the last first, pass before what else comes.
    Held { held: Vec<Bytes>, rest: Rest },
    /// All passes.
    Rest(Rest),
}

/// What is left to come.
struct Rest {
    stream: ByteStream,
    /// The end of what has passed, if it must have the mark of a fixed vhd.
    tail: Option<(BytesMut, Declared)>,
}

type Next = Option<(Result<Bytes>, Option<Stage>)>;

impl Stage {
    async fn next(self) -> Next {
        match self {
            Self::Head { mut stream, declared, judge } => match gather(&mut stream).await {
                Err(error) => Some((Err(error), None)),
                Ok(mut held) => {
                    let tail = match judge(&declared, &look(&head(&held))) {
                        Verdict::Fits => None,
                        Verdict::FitsWithFooter => Some((BytesMut::new(), declared)),
                        Verdict::Refused(message) => return Some((Err(refused(message)), None)),
                    };
                    held.reverse();
                    pass(held, Rest { stream, tail }).await
                }
            },
            Self::Held { held, rest } => pass(held, rest).await,
            Self::Rest(rest) => rest.next().await,
        }
    }
}

/// The pieces that hold the beginning, or all if there is less.
async fn gather(stream: &mut ByteStream) -> Result<Vec<Bytes>> {
    let (mut held, mut length) = (Vec::new(), 0_usize);
    while length < HEAD {
        let Some(piece) = stream.next().await.transpose()? else { break };
        length = length.saturating_add(piece.len());
        // An empty piece says nothing, and there could be any number of them.
        if !piece.is_empty() {
            held.push(piece);
        }
    }
    Ok(held)
}

fn head(held: &[Bytes]) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD);
    for piece in held {
        let room = HEAD.saturating_sub(head.len()).min(piece.len());
        head.extend_from_slice(piece.get(..room).unwrap_or_default());
    }
    head
}

async fn pass(mut held: Vec<Bytes>, mut rest: Rest) -> Next {
    match held.pop() {
        Some(piece) => {
            rest.note(&piece);
            Some((Ok(piece), Some(Stage::Held { held, rest })))
        }
        None => rest.next().await,
    }
}

impl Rest {
    async fn next(mut self) -> Next {
        match self.stream.next().await {
            Some(Ok(piece)) => {
                self.note(&piece);
                Some((Ok(piece), Some(Stage::Rest(self))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => match self.tail {
                Some((tail, declared)) if !is_fixed_vhd(&tail) => {
                    Some((Err(refused(declared.mismatch(Kind::Plain))), None))
                }
                _ => None,
            },
        }
    }

    fn note(&mut self, piece: &Bytes) {
        let Some((tail, _)) = &mut self.tail else { return };
        let new = piece.get(piece.len().saturating_sub(TAIL)..).unwrap_or_default();
        let old = tail.len().saturating_add(new.len()).saturating_sub(TAIL);
        *tail = tail.split_off(old.min(tail.len()));
        tail.extend_from_slice(new);
    }
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::UnsupportedFormat, message)
}

#[cfg(test)]
mod tests {
    use futures::{TryStreamExt as _, stream};

    use super::*;

    fn qcow2(backing: u64) -> Vec<u8> {
        let mut image = vec![0; 100_000];
        image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
        image[8..16].copy_from_slice(&backing.to_be_bytes());
        image
    }

    async fn sent(data: &[u8], pieces: usize, disk: &str) -> Result<Vec<u8>> {
        let items: Vec<Result<Bytes>> =
            data.chunks(pieces).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let declared = declared(Some(disk), Some("bare")).unwrap();
        let pieces: Vec<Bytes> = checked(stream::iter(items).boxed(), declared).try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn what_fits_passes_as_it_is_in_whatever_pieces() {
        let plain: Vec<u8> = (0..=255).cycle().take(200_000).collect();
        for pieces in [1, 511, 65_536, 65_537, 1 << 20] {
            assert_eq!(sent(&plain, pieces, "raw").await.unwrap(), plain, "{pieces}");
            assert_eq!(sent(&qcow2(0), pieces, "qcow2").await.unwrap(), qcow2(0), "{pieces}");
            assert_eq!(sent(b"", pieces, "raw").await.unwrap(), b"");
        }
    }

    #[tokio::test]
    async fn nothing_of_what_does_not_fit_passes() {
        for (data, disk) in [(qcow2(0), "raw"), (qcow2(7), "qcow2"), (b"plain".to_vec(), "qcow2")] {
            let pieces = stream::iter(
                data.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>(),
            );
            let declared = declared(Some(disk), Some("bare")).unwrap();
            let mut passed = checked(pieces.boxed(), declared);
            let error = passed.next().await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
            assert!(passed.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn what_may_change_where_it_lies_is_only_to_be_safe() {
        for (data, disk, passes) in
            [(qcow2(0), "raw", true), (b"plain".to_vec(), "qcow2", true), (qcow2(7), "raw", false)]
        {
            let declared = declared(Some(disk), Some("bare")).unwrap();
            let pieces = stream::iter([Ok(Bytes::from(data.clone()))]).boxed();
            let passed: Result<Vec<Bytes>> = safe(pieces, declared).try_collect().await;
            match passed {
                Ok(passed) => assert!(passes && passed.concat() == data, "{disk}"),
                Err(error) => assert!(!passes && error.kind() == ErrorKind::UnsupportedFormat, "{disk}"),
            }
        }
    }

    #[tokio::test]
    async fn a_fixed_vhd_is_known_by_its_end_alone() {
        for length in [0, 100, 512, 65_536, 70_000] {
            let mut disk = vec![1; length];
            for pieces in [1, 300, 1024, 70_000] {
                assert!(sent(&disk, pieces, "vhd").await.is_err());
                let mut footer = vec![0; 512];
                footer[..8].copy_from_slice(b"conectix");
                let whole = [disk.clone(), footer].concat();
                assert_eq!(sent(&whole, pieces, "vhd").await.unwrap(), whole, "{length} in {pieces}");
            }
            disk.clear();
        }
    }

    #[tokio::test]
    async fn an_error_on_the_way_stays_that_error() {
        let broken = || Err(Error::new(ErrorKind::Incomplete, "broke off"));
        for items in [vec![broken()], vec![Ok(Bytes::from(vec![1; HEAD])), broken()]] {
            let declared = declared(Some("raw"), Some("bare")).unwrap();
            let passed: Vec<_> = checked(stream::iter(items).boxed(), declared).collect().await;
            assert_eq!(passed.last().unwrap().as_ref().unwrap_err().kind(), ErrorKind::Incomplete);
        }
    }
}
