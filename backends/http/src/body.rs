//! Image data in the body of an answer: a stream that is whole or ends in an error.
//!
//! Lengths are checked three times: announced against recorded, the part sent against the part asked for, and
//! bytes come against bytes announced. A server that ignores ranges is put up with while little is in vain.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use image_service::{ByteStream, Data, Error, ErrorKind, Result};
use reqwest::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue};

use crate::fault;

/// How much to take of a server that ignores ranges, and how long it may be silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most bytes to read and throw away.
    pub(crate) skip: u64,
    /// How long no byte may come.
    pub(crate) patience: Duration,
}

/// What to make of all the data, when all or a part of it is wanted.
pub(crate) fn whole(
    response: Response,
    size: Option<u64>,
    wanted: Option<Range<u64>>,
    limits: Limits,
) -> Result<Data> {
    let announced = length(response.headers())?;
    let total = match (announced, size) {
        (Some(announced), Some(size)) if announced != size => {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("the image has {size} bytes, and {announced} would come"),
            ));
        }
        (announced, size) => {
            announced.or(size).ok_or_else(|| fault::nonsense("image data of unknown length"))?
        }
    };
    let range = wanted.unwrap_or(0..total);
    if range.start > limits.skip {
        return Err(Error::not_implemented("reading from the middle of an image"));
    }
    let stream = exactly(response, range.start, range.end - range.start, limits.patience);
    Ok(Data::new(range, total, stream))
}

/// What to make of a part of the data.
pub(crate) fn part(
    response: Response,
    size: Option<u64>,
    wanted: Option<Range<u64>>,
    limits: Limits,
) -> Result<Data> {
    let sent = range_sent(response.headers());
    let (Some((sent, total)), Some(wanted)) = (sent, wanted) else {
        return Err(fault::nonsense("a part of the data that it does not name, or that nobody asked for"));
    };
    let announced = length(response.headers())?;
    let right_length = announced.is_none_or(|length| length == wanted.end - wanted.start);
    if sent != wanted || Some(total) != size || !right_length {
        return Err(fault::nonsense("another part of the data than was asked for"));
    }
    let stream = exactly(response, 0, wanted.end - wanted.start, limits.patience);
    Ok(Data::new(wanted, total, stream))
}

/// The length that a body is announced to have.
pub(crate) fn length(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| fault::nonsense("a length that is no number"))
}

/// The header that asks for a part, which is not empty.
pub(crate) fn range_header(wanted: &Range<u64>) -> HeaderValue {
    let text = format!("bytes={}-{}", wanted.start, wanted.end.saturating_sub(1));
    HeaderValue::from_str(&text).expect("digits and a hyphen can stand in a header")
}

/// The part that a body is announced to be, and the length of the whole.
fn range_sent(headers: &HeaderMap) -> Option<(Range<u64>, u64)> {
    headers.get(CONTENT_RANGE).and_then(|value| content_range(value.to_str().ok()?))
}

/// Reads `bytes 2-4/10`.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let end = last.trim().parse::<u64>().ok()?.checked_add(1)?;
    Some((first.trim().parse().ok()?..end, total.trim().parse().ok()?))
}

/// Exactly `length` bytes of a body behind the first `skip`, or an error at the end. `patience` is how long it may be
/// silent.
pub(crate) fn exactly(response: Response, skip: u64, length: u64, patience: Duration) -> ByteStream {
    let body = response.bytes_stream().map(|chunk| chunk.map_err(fault::silence));
    Box::pin(cut(Box::pin(body), skip, length, patience))
}

/// A body on its way, and what of it is still to come.
struct Rest<S> {
    /// `None` once the stream has come to its end, good or bad.
    body: Option<S>,
    skip: u64,
    length: u64,
}

fn cut<S>(body: S, skip: u64, length: u64, patience: Duration) -> impl Stream<Item = Result<Bytes>> + Send
where
    S: Stream<Item = Result<Bytes>> + Send + Unpin,
{
    let start = Rest { body: Some(body), skip, length };
    futures::stream::unfold(start, move |mut rest| async move {
        let mut body = rest.body.take()?;
        loop {
            if rest.length == 0 && rest.skip == 0 {
                return None;
            }
            let chunk = match tokio::time::timeout(patience, body.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(error))) => return Some((Err(error), rest)),
                Ok(None) => return Some((Err(ended_early(rest.length)), rest)),
                Err(_) => return Some((Err(fault::too_slow()), rest)),
            };
            let chunk = rest.keep(chunk);
            if !chunk.is_empty() {
                rest.body = Some(body);
                return Some((Ok(chunk), rest));
            }
        }
    })
}

impl<S> Rest<S> {
    /// The part of a chunk that is wanted.
    fn keep(&mut self, mut chunk: Bytes) -> Bytes {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
        drop(chunk.split_to(skipped));
        self.skip -= skipped as u64;
        chunk.truncate(usize::try_from(self.length).unwrap_or(usize::MAX));
        self.length -= chunk.len() as u64;
        chunk
    }
}

fn ended_early(missing: u64) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the image data ended {missing} bytes early"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;

    async fn cut_of(chunks: &[&'static str], skip: u64, length: u64) -> Result<String> {
        let body: Vec<Result<Bytes>> =
            chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
        let parts: Vec<Bytes> =
            cut(futures::stream::iter(body), skip, length, Duration::from_secs(1)).try_collect().await?;
        Ok(String::from_utf8(parts.concat()).unwrap())
    }

    #[tokio::test]
    async fn a_part_is_cut_out_wherever_the_chunks_end() {
        for chunks in [&["abcdef"][..], &["a", "b", "c", "d", "e", "f"], &["abc", "", "def"]] {
            assert_eq!(cut_of(chunks, 2, 3).await.unwrap(), "cde", "{chunks:?}");
            assert_eq!(cut_of(chunks, 0, 6).await.unwrap(), "abcdef", "{chunks:?}");
            assert_eq!(cut_of(chunks, 0, 0).await.unwrap(), "", "{chunks:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_ends_early_ends_in_an_error() {
        for (skip, length) in [(0, 7), (3, 4), (6, 1)] {
            let error = cut_of(&["abc", "def"], skip, length).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{skip} {length}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_falls_silent_ends_in_an_error() {
        let mut stream = Box::pin(cut(futures::stream::pending(), 0, 1, Duration::from_secs(1)));
        assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(stream.next().await.is_none());
    }

    #[test]
    fn a_content_range_is_read_or_is_nothing() {
        assert_eq!(content_range("bytes 2-4/10"), Some((2..5, 10)));
        for text in
            ["", "bytes 2-4/*", "bytes */10", "2-4/10x", "bytes 2/10", "bytes 2-18446744073709551615/10"]
        {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
