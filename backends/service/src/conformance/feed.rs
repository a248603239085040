//! Uploads that go well or badly, and futures that are dropped.

use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::{Either, select};
use futures::{Stream, StreamExt};

use crate::{Error, ErrorKind, Result, Upload};

/// An upload of unknown size in chunks of `size`.
pub(super) fn trickle(bytes: &Bytes, size: usize) -> Upload {
    Upload::new(chunks(bytes, size).boxed())
}

fn chunks(bytes: &Bytes, size: usize) -> impl Stream<Item = Result<Bytes>> + Send + use<> {
    let chunks: Vec<Bytes> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    futures::stream::iter(chunks).then(|chunk| async {
        step_aside().await;
        Ok(chunk)
    })
}

/// An upload that breaks off after some bytes.
pub(super) fn broken(bytes: &Bytes) -> Upload {
    let end = futures::stream::once(std::future::ready(Err(went_away())));
    Upload::new(chunks(bytes, 1000).chain(end).boxed())
}

fn went_away() -> Error {
    Error::new(ErrorKind::Incomplete, "the client went away")
}

/// Feeds an upload by hand. The upload goes on until this is dropped, or ended.
pub(super) struct Feed {
    given: UnboundedSender<Result<Bytes>>,
    taken: UnboundedReceiver<()>,
}

impl Feed {
    /// An upload of unknown size, and what feeds it.
    pub(super) fn new() -> (Self, Upload) {
        let (given, to_take) = unbounded();
        let (took, taken) = unbounded();
        // Nobody may care any more how far the upload got.
        let stream = to_take.inspect(move |_| drop(took.unbounded_send(())));
        (Self { given, taken }, Upload::new(stream.boxed()))
    }

    /// Gives some bytes. If the upload is over, nobody takes them.
    pub(super) fn give(&self, bytes: Bytes) {
        drop(self.given.unbounded_send(Ok(bytes)));
    }

    /// Waits until one more chunk has been taken.
    ///
    /// # Panics
    /// If the upload is over.
    pub(super) async fn taken(&mut self) {
        assert!(self.taken.next().await.is_some(), "the upload was given up before it was read");
    }

    /// Breaks the upload off.
    pub(super) fn break_off(&self) {
        drop(self.given.unbounded_send(Err(went_away())));
    }

    /// Ends the upload well.
    pub(super) fn end(&self) {
        self.given.close_channel();
    }
}

/// Polls `work` until `moment` has come, and then drops it.
///
/// # Panics
/// If the work ends before.
pub(super) async fn drop_at<T>(work: impl Future<Output = T>, moment: impl Future) {
    match select(pin!(work), pin!(moment)).await {
        Either::Left(_) => panic!("the work ended before it could be dropped"),
        Either::Right(_) => {}
    }
}

/// Polls `work` so many times at most, and drops it if it has not ended by then.
pub(super) async fn abandon<T>(work: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..polls {
        if let Poll::Ready(answer) = futures::poll!(work.as_mut()) {
            return Some(answer);
        }
        step_aside().await;
    }
    None
}

/// Lets others run.
pub(super) async fn step_aside() {
    let mut again = true;
    std::future::poll_fn(|context| {
        if std::mem::take(&mut again) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}
