//! A caller's data on its way to a server: at the pace of the slower side, and never taken for whole when it is not.
//!
//! The body is cut off, so that the server notices, when the caller's data fails, is not of its announced length, or
//! is no longer wanted. The last bytes are held back until it is known that none come after them. Neither side
//! may keep the other waiting: the server not longer than its timeouts, and the caller until whoever feeds its stream
//! gives up. This module must not know what is asked of the server: a dialect makes the request and reads the answer.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use image_service::{ByteStream, Error, ErrorKind, Result, Upload};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, RequestBuilder};
use tokio_util::sync::CancellationToken;

use crate::fault;
use crate::upstream::{Reply, Upstream};

/// How a transfer failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server has answered that it does not take the data.
    Refused(Error),
    /// It was cut off before the server had all of it. The server may not have noticed yet.
    Broken(Error),
    /// The server may have taken all of it, so many bytes, without our hearing of it.
    Unheard(Error, u64),
}

/// Sends an upload as the body of `request`, until `gone` says that nobody wants that any more, and while the server
/// is not silent for longer than `idle`. Gives the server's answer to it, and the number of bytes that it has taken;
/// `refusal` says what an answer without success means.
pub(crate) async fn send(
    upstream: &Upstream,
    request: RequestBuilder,
    upload: Upload,
    gone: &CancellationToken,
    idle: Duration,
    refusal: impl FnOnce(&Reply) -> Error,
) -> Result<(Reply, u64), Failure> {
    let meter = Arc::new(Meter::new(upload.size));
    // A body announced as empty would not even be looked at, and more might come.
    let request = match upload.size.filter(|size| *size > 0) {
        Some(size) => request.header(CONTENT_LENGTH, size),
        None => request,
    };
    let body = metered(upload.stream, Arc::clone(&meter), gone.clone());
    let answer = upstream.send(request.body(Body::wrap_stream(body)));
    let silence = stall(&meter, idle, upstream.write_timeout());
    let answer = tokio::select! {
        answer = answer => answer,
        () = silence => Err(fault::too_slow()),
    };
    let answer = match answer {
        Ok(response) => upstream.rest_of(response).await,
        Err(error) => Err(error),
    };
    let (stage, sent, fault) = meter.take();
    if let Some(fault) = fault {
        // What is wrong with the data itself weighs more than what it led to.
        return Err(Failure::Broken(fault));
    }
    match answer {
        Ok(reply) if !reply.status.is_success() => Err(Failure::Refused(refusal(&reply))),
        Ok(reply) if stage == Stage::Sent => Ok((reply, sent)),
        Ok(_) => Err(Failure::Broken(fault::nonsense("it accepted image data before it had all of it"))),
        Err(error) if stage == Stage::Sent => Err(Failure::Unheard(error, sent)),
        Err(error) => Err(Failure::Broken(error)),
    }
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The server is to take what it has been given, or to accept the connection.
    Server,
    /// The caller is to give more.
    Caller,
    /// All has been given.
    Sent,
}

/// What is known of a transfer, shared between its body and whoever waits for the answer.
#[derive(Debug)]
struct Meter {
    announced: Option<u64>,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    stage: Stage,
    turns: u64,
    sent: u64,
    fault: Option<Error>,
}

impl Meter {
    const fn new(announced: Option<u64>) -> Self {
        let progress = Progress { stage: Stage::Server, turns: 0, sent: 0, fault: None };
        Self { announced, progress: Mutex::new(progress) }
    }

    // The lock is held for a few assignments, which cannot panic half way.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, stage: Stage) {
        let mut progress = self.progress();
        progress.stage = stage;
        progress.turns += 1;
    }

    /// Keeps what is wrong with the data, and gives the error that cuts the body off.
    fn fail(&self, fault: Error) -> io::Error {
        self.progress().fault = Some(fault);
        io::Error::other("the upload broke off")
    }

    /// Counts bytes that are about to be given.
    fn count(&self, bytes: u64) -> Result<(), io::Error> {
        let sent = {
            let mut progress = self.progress();
            progress.sent += bytes;
            progress.sent
        };
        match self.announced.filter(|announced| sent > *announced) {
            Some(announced) => Err(self.fail(wrong_length(announced, "more"))),
            None => Ok(()),
        }
    }

    /// Whether the caller's data may end here.
    fn end(&self) -> Result<(), io::Error> {
        let sent = self.progress().sent;
        match self.announced.filter(|announced| sent != *announced) {
            Some(announced) => Err(self.fail(wrong_length(announced, &sent.to_string()))),
            None => Ok(()),
        }
    }

    fn take(&self) -> (Stage, u64, Option<Error>) {
        let mut progress = self.progress();
        (progress.stage, progress.sent, progress.fault.take())
    }
}

fn wrong_length(announced: u64, came: &str) -> Error {
    Error::new(
        ErrorKind::Incomplete,
        format!("{announced} bytes of image data were announced and {came} came"),
    )
}

/// The caller's data as a body, one chunk behind what has come of it.
fn metered(
    stream: ByteStream,
    meter: Arc<Meter>,
    gone: CancellationToken,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    struct Body {
        stream: ByteStream,
        held: Option<Bytes>,
        ended: bool,
    }
    let start = Body { stream, held: None, ended: false };
    futures::stream::try_unfold(start, move |mut body| {
        let (meter, gone) = (Arc::clone(&meter), gone.clone());
        async move {
            while !body.ended {
                meter.turn(Stage::Caller);
                let next = tokio::select! {
                    next = body.stream.next() => next,
                    () = gone.cancelled() => Some(Err(Error::new(ErrorKind::Incomplete, "the caller went away"))),
                };
                match next {
                    Some(Ok(chunk)) if chunk.is_empty() => {}
                    Some(Ok(chunk)) => {
                        meter.count(chunk.len() as u64)?;
                        if let Some(ready) = body.held.replace(chunk) {
                            meter.turn(Stage::Server);
                            return Ok(Some((ready, body)));
                        }
                    }
                    Some(Err(fault)) => return Err(meter.fail(fault)),
                    None => {
                        meter.end()?;
                        body.ended = true;
                    }
                }
            }
            // From here on the server may have everything.
            meter.turn(Stage::Sent);
            Ok(body.held.take().map(|last| (last, body)))
        }
    })
}

/// Comes to its end when the server has been silent for too long, and never while the caller is to blame.
async fn stall(meter: &Meter, idle: Duration, answer: Duration) {
    let look = || {
        let progress = meter.progress();
        (progress.stage, progress.turns)
    };
    loop {
        let before = look();
        tokio::time::sleep(if before.0 == Stage::Sent { answer } else { idle }).await;
        if look() == before && before.0 != Stage::Caller {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;

    fn chunks(parts: &[&'static str]) -> ByteStream {
        let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
        Box::pin(futures::stream::iter(parts))
    }

    async fn pass(stream: ByteStream, announced: Option<u64>) -> (Vec<Bytes>, Stage, Option<Error>) {
        let meter = Arc::new(Meter::new(announced));
        let mut body = Box::pin(metered(stream, Arc::clone(&meter), CancellationToken::new()));
        let mut given = Vec::new();
        while let Ok(Some(chunk)) = body.try_next().await {
            given.push(chunk);
        }
        let (stage, _, fault) = meter.take();
        (given, stage, fault)
    }

    #[tokio::test]
    async fn data_of_the_announced_length_passes() {
        for announced in [None, Some(6)] {
            let (given, stage, fault) = pass(chunks(&["ab", "", "cd", "ef"]), announced).await;
            assert_eq!((given.concat().as_slice(), stage), (&b"abcdef"[..], Stage::Sent));
            assert!(fault.is_none());
        }
    }

    #[tokio::test]
    async fn data_of_another_length_never_passes_to_its_announced_end() {
        for (parts, announced) in
            [(&["ab", "cd"][..], 5), (&["ab", "cd", "ef"], 4), (&["abcdef"], 4), (&[], 1)]
        {
            let (given, stage, fault) = pass(chunks(parts), Some(announced)).await;
            assert!((given.concat().len() as u64) < announced, "{parts:?}");
            assert_ne!(stage, Stage::Sent);
            assert_eq!(fault.unwrap().kind(), ErrorKind::Incomplete);
        }
    }

    #[tokio::test]
    async fn data_that_fails_passes_without_an_end() {
        let end = futures::stream::iter([Err(Error::new(ErrorKind::TooLarge, "over the bound"))]);
        let (_, stage, fault) = pass(Box::pin(chunks(&["ab", "cd"]).chain(end)), None).await;
        assert_ne!(stage, Stage::Sent);
        assert_eq!(fault.unwrap().kind(), ErrorKind::TooLarge);
    }

    #[tokio::test]
    async fn data_that_nobody_wants_any_more_is_cut_off() {
        let (meter, gone) = (Arc::new(Meter::new(None)), CancellationToken::new());
        let mut body =
            Box::pin(metered(Box::pin(futures::stream::pending()), Arc::clone(&meter), gone.clone()));
        gone.cancel();
        assert!(body.try_next().await.is_err());
        assert_eq!(meter.take().2.unwrap().kind(), ErrorKind::Incomplete);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_silent_server_stalls_a_transfer() {
        let (idle, answer) = (Duration::from_secs(1), Duration::from_secs(60));
        for (stage, expected) in [(Stage::Server, Some(1)), (Stage::Sent, Some(60)), (Stage::Caller, None)] {
            let meter = Meter::new(None);
            meter.turn(stage);
            let begin = tokio::time::Instant::now();
            let stalled = tokio::time::timeout(Duration::from_secs(600), stall(&meter, idle, answer)).await;
            assert_eq!(stalled.is_ok().then(|| begin.elapsed().as_secs()), expected, "{stage:?}");
        }
    }
}
