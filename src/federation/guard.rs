//! Around every call to one backend: its deadline, the error's origin, and one log line for each change of
//! state.
//!
//! Only the time until an answer begins is bounded here. Bytes that flow afterwards, and writes once they have
//! begun, are bounded by the backend itself: cutting a write short would leave its outcome unknown.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use image_service::{Context, Error, ErrorKind, ImageService, Result, SourceState};

use super::Backend;

/// A backend and what has been seen of it.
#[derive(Debug)]
pub(super) struct Guard {
    backend: Backend,
    failing: AtomicBool,
}

impl Guard {
    pub(super) const fn new(backend: Backend) -> Self {
        Self { backend, failing: AtomicBool::new(false) }
    }

    pub(super) const fn backend(&self) -> &Backend {
        &self.backend
    }

    pub(super) fn service(&self) -> &Arc<dyn ImageService> {
        &self.backend.service
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
        let allowed = context.deadline.map_or(self.backend.deadline, |end| {
            end.duration_since(Instant::now()).min(self.backend.deadline)
        });
        let answer = match tokio::time::timeout(allowed, call).await {
            Ok(answer) => answer,
            Err(_) => Err(late(allowed)),
        };
        self.seen(operation, answer)
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
        let answer = call.await;
        self.seen(operation, answer)
    }

    fn seen<T>(&self, operation: &'static str, answer: Result<T>) -> Result<T> {
        let name = &self.backend.name;
        match answer {
            Ok(value) => {
                self.answered(name);
                Ok(value)
            }
            Err(error) if error.kind().is_silence() => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(backend = %name, operation, error = %error.chain(), "backend is failing");
                }
                Err(error.with_origin(name, operation))
            }
            Err(error) => {
                self.answered(name);
                Err(error.with_origin(name, operation))
            }
        }
    }

    fn answered(&self, name: &str) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(backend = %name, "backend answers again");
        }
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
