//! A part of what lies at a URL: what a server says of it, and its bytes cut out of others.

use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{ByteStream, Error, ErrorKind, Result};
use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, HeaderValue};

/// Which part of the whole a server sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) range: Range<u64>,
    /// The length of the whole, if it is known.
    pub(crate) total: Option<u64>,
}

/// What the header of an answer says of its part.
pub(crate) fn content_range(response: &Response) -> Option<Part> {
    read(header(response)?)
}

/// Whether a server says that it has no byte at all.
pub(crate) fn is_of_nothing(response: &Response) -> bool {
    header(response).and_then(unit) == Some("*/0")
}

fn header(response: &Response) -> Option<&str> {
    response.headers().get(CONTENT_RANGE).map(HeaderValue::to_str)?.ok()
}

fn unit(text: &str) -> Option<&str> {
    Some(text.trim().strip_prefix("bytes")?.trim())
}

/// Reads `bytes 2-4/10` or `bytes 2-4/*`.
fn read(text: &str) -> Option<Part> {
    let (range, total) = unit(text)?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let end = last.trim().parse::<u64>().ok()?.checked_add(1)?;
    let range = first.trim().parse().ok()?..end;
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (!range.is_empty() && total.is_none_or(|total| range.end <= total)).then_some(Part { range, total })
}

/// Exactly `length` bytes of `stream` behind its first `skip`, or an error at the end. What comes behind them is not
/// waited for.
pub(crate) fn exactly(stream: ByteStream, skip: u64, length: u64) -> ByteStream {
    let start = Some(Cut { stream, skip, left: length });
    Box::pin(futures::stream::unfold(start, |cut| async { cut?.next().await }))
}

struct Cut {
    stream: ByteStream,
    skip: u64,
    left: u64,
}

impl Cut {
    async fn next(mut self) -> Option<(Result<Bytes>, Option<Self>)> {
        while self.left > 0 {
            let mut bytes = match self.stream.next().await {
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    let error = Error::new(ErrorKind::Incomplete, "the server sent less than it should");
                    return Some((Err(error), None));
                }
            };
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            drop(bytes.split_to(skipped));
            self.skip -= skipped as u64;
            bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= bytes.len() as u64;
            if !bytes.is_empty() {
                return Some((Ok(bytes), Some(self)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt as _;

    #[test]
    fn a_part_is_read_or_is_nothing() {
        assert_eq!(read("bytes 2-4/10"), Some(Part { range: 2..5, total: Some(10) }));
        assert_eq!(read("bytes 2-4/*"), Some(Part { range: 2..5, total: None }));
        for text in ["", "bytes */10", "2-4/10", "bytes 2/10", "bytes 4-2/10", "bytes 2-10/10", "bytes 0-0/x"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&format!("bytes 0-{}/*", u64::MAX)), None);
        assert_eq!((unit("bytes */0"), unit("x */0")), (Some("*/0"), None));
    }

    async fn cut(pieces: &[&'static str], skip: u64, length: u64) -> Result<String> {
        let pieces: Vec<Result<Bytes>> =
            pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        // Whoever has all they want does not wait for the end.
        let stream = futures::stream::iter(pieces)
            .chain(futures::stream::once(async { Err(Error::new(ErrorKind::TimedOut, "somebody waited")) }));
        let cut: Vec<Bytes> = exactly(stream.boxed(), skip, length).try_collect().await?;
        Ok(String::from_utf8(cut.concat()).unwrap())
    }

    #[tokio::test]
    async fn a_part_is_cut_out_wherever_the_pieces_end() {
        for pieces in [&["abcdef"][..], &["a", "b", "c", "d", "e", "f"], &["abc", "", "def"]] {
            assert_eq!(cut(pieces, 2, 3).await.unwrap(), "cde", "{pieces:?}");
            assert_eq!(cut(pieces, 0, 6).await.unwrap(), "abcdef", "{pieces:?}");
        }
        assert_eq!(cut(&["abc"], 1, 3).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_ends_before_its_length_ends_in_an_error() {
        let stream = futures::stream::iter([Ok(Bytes::from_static(b"abc"))]).boxed();
        let items: Vec<Result<Bytes>> = exactly(stream, 1, 3).collect().await;
        assert_eq!(items.len(), 2);
        assert_eq!(items[1].as_ref().unwrap_err().kind(), ErrorKind::Incomplete);
    }
}
