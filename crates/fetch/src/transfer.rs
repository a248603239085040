//! The bytes on their way, within bounds of number and time.

use std::time::Duration;

use image_service::{ByteStream, Error, ErrorKind};
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

pub(crate) fn too_large(most: u64) -> Error {
    Error::new(ErrorKind::TooLarge, format!("no more than {most} bytes are fetched from one URL"))
}

/// The body of `response`: until it ends, no byte has come for `idle`, `end` has come, or there are more than `most`
/// bytes. An end before the announced length is an error of the connection.
pub(crate) fn stream(response: Response, idle: Duration, end: Instant, most: u64) -> ByteStream {
    let start = Some((response, most));
    Box::pin(futures::stream::unfold(start, move |state| async move {
        let (mut response, left) = state?;
        let item = match timeout_at(end.min(Instant::now() + idle), response.chunk()).await {
            Err(_) if Instant::now() >= end => Err(late("the transfer took too long")),
            Err(_) => Err(late("the server sent nothing for too long")),
            Ok(Ok(None)) => return None,
            Ok(Ok(Some(bytes))) => match left.checked_sub(bytes.len() as u64) {
                Some(left) => return Some((Ok(bytes), Some((response, left)))),
                None => Err(too_large(most)),
            },
            Ok(Err(error)) => {
                let broken = Error::new(ErrorKind::Incomplete, "the server broke off");
                Err(broken.with_source(error.without_url()))
            }
        };
        Some((item, None))
    }))
}

fn late(what: &str) -> Error {
    Error::new(ErrorKind::TimedOut, what)
}
