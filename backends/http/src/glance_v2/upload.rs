//! Data into Glance: streamed at the pace of the slower side, and never taken for whole when it is not.
//!
//! The body is cut off, so that Glance notices, when the caller's data fails, is not of its announced length, or
//! is no longer wanted. The last bytes are held back until it is known that none come after them. Neither side
//! may keep the other waiting: Glance not longer than its timeouts, and the caller until whoever feeds its stream
//! gives up.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use image_service::{ByteStream, Context, Error, ErrorKind, ImageId, Result, Upload};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method};
use tokio_util::sync::CancellationToken;

use super::Glance;
use crate::fault::{self, Asked};

/// How a transfer failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server has answered that it does not take the data.
    Refused(Error),
    /// It was cut off before the server had all of it. The server may not have noticed yet.
    Broken(Error),
    /// The server may have taken all of it, so many bytes, without our hearing of it.
    Unheard(Error, u64),
}

/// Sends an upload to the image, until `gone` says that nobody wants that any more. Gives the number of bytes
/// that the server has taken.
pub(super) async fn send(
    glance: &Glance,
    context: &Context,
    id: &ImageId,
    upload: Upload,
    gone: &CancellationToken,
) -> Result<u64, Failure> {
    let meter = Arc::new(Meter::new(upload.size));
    let url = glance.image_url(id, &["file"]).map_err(Failure::Refused)?;
    let mut request = glance
        .upstream
        .request(context, Method::PUT, url)
        .await
        .map_err(Failure::Refused)?
        .header(CONTENT_TYPE, "application/octet-stream");
    // A body announced as empty would not even be looked at, and more might come.
    if let Some(size) = upload.size.filter(|size| *size > 0) {
        request = request.header(CONTENT_LENGTH, size);
    }
    let body = metered(upload.stream, Arc::clone(&meter), gone.clone());
    let answer = glance.upstream.send(request.body(Body::wrap_stream(body)));
    let silence = stall(&meter, glance.bounds.idle_timeout, glance.upstream.write_timeout());
    let answer = tokio::select! {
        answer = answer => answer,
        () = silence => Err(fault::too_slow()),
    };
    let answer = match answer {
        Ok(response) => glance.upstream.rest_of(response).await,
        Err(error) => Err(error),
    };
    let (stage, sent, fault) = meter.take();
    if let Some(fault) = fault {
        // What is wrong with the data itself weighs more than what it led to.
        return Err(Failure::Broken(fault));
    }
    match answer {
        Ok(reply) if !reply.status.is_success() => {
            Err(Failure::Refused(glance.refusal(Asked::Upload, id.as_str(), &reply)))
        }
        Ok(_) if stage == Stage::Sent => Ok(sent),
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
