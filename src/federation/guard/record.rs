//! What has been seen of one backend, and who is told of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use image_service::{Error, Result};
use tokio::time::Instant;

use super::super::status::{BackendStatus, LastError, Latency, Observer, Outcome, State};

/// What has been seen of one backend.
#[derive(Debug)]
pub(super) struct Record {
    name: String,
    observer: Arc<dyn Observer>,
    calls: AtomicUsize,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    state: State,
    since: SystemTime,
    last_error: Option<LastError>,
}

impl Record {
    pub(super) fn new(name: &str, observer: Arc<dyn Observer>) -> Self {
        let seen = Seen { state: State::Ok, since: SystemTime::now(), last_error: None };
        Self { name: name.to_owned(), observer, calls: AtomicUsize::new(0), seen: Mutex::new(seen) }
    }

    /// How the backend, which is of `kind`, is now.
    pub(super) fn status(&self, kind: &str) -> BackendStatus {
        let seen = self.seen();
        BackendStatus {
            name: self.name.clone(),
            kind: kind.to_owned(),
            state: seen.state,
            since: seen.since,
            last_error: seen.last_error.clone(),
            latency: Latency::default(),
            images: None,
            calls: self.calls.load(Ordering::Relaxed),
            streams: 0,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, operation: &'static str, error: &Error) {
        let kind = error.kind();
        let last_error =
            LastError { at: SystemTime::now(), operation, kind, message: error.message().to_owned() };
        self.seen().last_error = Some(last_error);
        if self.enter(State::Failing) {
            tracing::warn!(backend = %self.name, operation, error = %error.chain(), "backend is failing");
        }
    }

    fn answered(&self) {
        if self.enter(State::Ok) {
            tracing::info!(backend = %self.name, "backend answers again");
        }
    }

    /// Changes the state. False if it was so before.
    fn enter(&self, state: State) -> bool {
        let mut seen = self.seen();
        if seen.state == state {
            return false;
        }
        (seen.state, seen.since) = (state, SystemTime::now());
        drop(seen);
        self.observer.state(&self.name, state);
        true
    }
}

/// One call under way. Dropped before its end, it counts as cancelled.
#[derive(Debug)]
pub(super) struct Call<'a> {
    record: &'a Record,
    operation: &'static str,
    started: Instant,
    outcome: Outcome,
}

impl<'a> Call<'a> {
    pub(super) fn begin(record: &'a Record, operation: &'static str) -> Self {
        record.calls.fetch_add(1, Ordering::Relaxed);
        Self { record, operation, started: Instant::now(), outcome: Outcome::Cancelled }
    }

    /// Ends the call with what came of it, an error with its origin.
    pub(super) fn end<T>(mut self, answer: Result<T>) -> Result<T> {
        self.outcome = match &answer {
            Ok(_) => Outcome::Ok,
            Err(error) if error.kind().is_silence() => Outcome::Failure(error.kind()),
            Err(error) => Outcome::Refusal(error.kind()),
        };
        match &answer {
            Err(error) if error.kind().is_silence() => self.record.failed(self.operation, error),
            _ => self.record.answered(),
        }
        answer.map_err(|error| error.with_origin(&self.record.name, self.operation))
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.record.calls.fetch_sub(1, Ordering::Relaxed);
        let took = self.started.elapsed();
        self.record.observer.call(&self.record.name, self.operation, self.outcome, took);
    }
}
