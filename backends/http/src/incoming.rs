//! A server's data on its way to a caller: a stream that is whole, or ends in an error.
//!
//! This module must not know what was asked for: a dialect says which bytes of the body are wanted.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use image_service::{ByteStream, Error, ErrorKind, Result};
use reqwest::Response;
use reqwest::header::{CONTENT_LENGTH, HeaderMap};

use crate::fault;

/// How long the body is said to be.
pub(crate) fn length(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| fault::nonsense("a length that is no number"))
}

/// Exactly `length` bytes of a body behind the first `skip`, or an error at the end.
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
}
