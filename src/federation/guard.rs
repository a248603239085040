//! Around every call to one backend: its deadline, the error's origin, and what is seen of it.
//!
//! Only the time until an answer begins is bounded here. Bytes that flow afterwards, and writes once they have
//! begun, are bounded by the backend itself: cutting a write short would leave its outcome unknown.

mod record;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use image_service::{Context, Error, ErrorKind, ImageService, Result, SourceState};
use tokio::time::Instant;

use super::Backend;
use super::status::{BackendStatus, Observer, Unobserved};
use record::{Call, Record};

/// A backend and what has been seen of it.
#[derive(Debug)]
pub(super) struct Guard {
    backend: Backend,
    record: Arc<Record>,
}

impl Guard {
    pub(super) fn new(backend: Backend) -> Self {
        let record = Arc::new(Record::new(&backend.name, Arc::new(Unobserved)));
        Self { backend, record }
    }

    /// The same guard, of which nothing has been asked yet, with somebody who is told of every call.
    pub(super) fn observed(self, observer: Arc<dyn Observer>) -> Self {
        let record = Arc::new(Record::new(&self.backend.name, observer));
        Self { record, ..self }
    }

    pub(super) const fn backend(&self) -> &Backend {
        &self.backend
    }

    pub(super) fn service(&self) -> &Arc<dyn ImageService> {
        &self.backend.service
    }

    /// How the backend is.
    pub(super) fn status(&self) -> BackendStatus {
        self.record.status(&self.backend.kind)
    }

    /// Awaits a read, for as long as the backend's deadline and the request's own allow.
    ///
    /// # Errors
    /// The call's, with the backend and `operation` as origin; `TimedOut` at the deadline.
    pub(super) async fn read<T>(
        &self,
        context: &Context,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let now = Instant::now();
        let allowed = context.deadline.map_or(self.backend.deadline, |end| {
            Instant::from_std(end).duration_since(now).min(self.backend.deadline)
        });
        let ticket = Call::begin(&self.record, operation);
        let answer = match tokio::time::timeout(allowed, call).await {
            Ok(answer) => answer,
            Err(_) => Err(late(allowed)),
        };
        ticket.end(answer)
    }

    /// Awaits a write, however long it takes.
    ///
    /// # Errors
    /// The call's, with the backend and `operation` as origin.
    pub(super) async fn write<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let ticket = Call::begin(&self.record, operation);
        let answer = call.await;
        ticket.end(answer)
    }
}

fn late(allowed: Duration) -> Error {
    Error::new(ErrorKind::TimedOut, format!("no answer within {} ms", allowed.as_millis()))
}

/// How a source that failed with `kind` fared.
pub(super) const fn state_of(kind: ErrorKind) -> SourceState {
    match kind {
        ErrorKind::TimedOut => SourceState::Timeout,
        ErrorKind::Refused | ErrorKind::Unauthenticated | ErrorKind::Forbidden => SourceState::Refused,
        _ => SourceState::Error,
    }
}
