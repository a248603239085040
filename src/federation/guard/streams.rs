//! Image data on its way: counted, and on its way out neither forgotten nor waited for without end.
//!
//! A download holds its permit until its stream ends or is dropped. Only the time that the backend is waited for
//! counts as standing still: while the reader does not ask for more, nothing does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use image_service::{ByteStream, Data, Error, ErrorKind, Result, Upload};
use tokio::time::{Instant, Sleep};

use super::permits::Permit;
use super::record::Record;
use crate::federation::status::Flow;

/// The same data, guarded.
pub(super) fn download(data: Data, permit: Permit, record: &Arc<Record>, idle: Duration) -> Data {
    let (range, total) = (data.range.clone(), data.total);
    let (stream, file) = data.into_parts();
    let permit = Arc::new(permit);
    let held = Held { stream, _permit: Arc::clone(&permit) };
    let patience = Box::pin(tokio::time::sleep(idle));
    let guarded = Guarded { held: Some(held), waits: false, patience, idle, record: Arc::clone(record) };
    let data = Data::new(range, total, Box::pin(guarded));
    let Some(file) = file else { return data };
    let record = Arc::clone(record);
    data.in_file(file.observed(move |bytes| {
        let _held = &permit;
        record.passed(Flow::Down, usize::try_from(bytes).unwrap_or(usize::MAX));
    }))
}

/// The same upload, counted.
pub(super) fn upload(upload: Upload, record: &Arc<Record>) -> Upload {
    let record = Arc::clone(record);
    let counted = upload.stream.inspect(move |chunk| {
        if let Ok(bytes) = chunk {
            record.passed(Flow::Up, bytes.len());
        }
    });
    Upload { stream: Box::pin(counted), ..upload }
}

struct Held {
    stream: ByteStream,
    _permit: Arc<Permit>,
}

struct Guarded {
    /// `None` once the stream has come to its end, good or bad.
    held: Option<Held>,
    /// Whether the backend owes us something.
    waits: bool,
    patience: Pin<Box<Sleep>>,
    idle: Duration,
    record: Arc<Record>,
}

impl Guarded {
    fn end(&mut self, error: Error) -> Poll<Option<Result<Bytes>>> {
        self.held = None;
        Poll::Ready(Some(Err(self.record.broke_off(error))))
    }

    /// Whether the backend has been waited for too long.
    fn is_too_late(&mut self, context: &mut Context<'_>) -> bool {
        if !self.waits {
            self.waits = true;
            self.patience.as_mut().reset(Instant::now() + self.idle);
        }
        while self.patience.as_mut().poll(context).is_ready() {
            // A reader that comes long after it was woken was busy elsewhere. The backend is given its time again.
            if self.patience.deadline().elapsed() <= self.idle / 4 {
                return true;
            }
            self.patience.as_mut().reset(Instant::now() + self.idle);
        }
        false
    }
}

impl Stream for Guarded {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(held) = &mut this.held else { return Poll::Ready(None) };
        match held.stream.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(bytes))) => {
                this.waits = false;
                this.record.passed(Flow::Down, bytes.len());
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(Some(Err(error))) => this.end(error),
            Poll::Ready(None) => {
                this.held = None;
                Poll::Ready(None)
            }
            Poll::Pending if this.is_too_late(context) => {
                let message = format!("no image data came for {} ms", this.idle.as_millis());
                this.end(Error::new(ErrorKind::TimedOut, message))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
