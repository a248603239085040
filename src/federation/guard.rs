//! Around every call to one backend: whether it is asked at all, how many calls at once, until when, and once more
//! if that may help; and what is seen of it.
//!
//! *Reads* have the backend's deadline, the wait for a permit and all retries included. *Downloads* are reads until
//! their data begins, and from then on may not stand still because of the backend. *Writes* are never tried again,
//! and once begun they are bounded by the backend itself: cutting one short would leave its outcome unknown.
//!
//! A backend that fails too often is not asked for a while ([`health`](super::health)): its calls fail at once as
//! `Unavailable`. Then the next call that comes, read or write, is let through to see whether it answers again;
//! nothing is ever asked in the background.

mod budget;
mod guarding;
mod latencies;
mod permits;
mod record;
mod streams;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use image_service::{Context, Download, Error, ErrorKind, ImageService, Result, SourceState, Upload};
use tokio::time::Instant;

use super::Backend;
use super::status::{BackendStatus, Observer, Outcome, Unobserved};
use budget::Budget;
pub use guarding::Guarding;
use permits::{Gate, Permit};
use record::{Call, Record, Timing};

/// A backend and what has been seen of it.
#[derive(Debug)]
pub(super) struct Guard {
    backend: Backend,
    guarding: Guarding,
    calls: Gate,
    streams: Gate,
    retries: Budget,
    hedges: Budget,
    record: Arc<Record>,
}

impl Guard {
    pub(super) fn new(backend: Backend, guarding: Guarding) -> Self {
        let record = Record::new(&backend.name, guarding.rules(backend.deadline), Arc::new(Unobserved));
        Self {
            calls: Gate::new(guarding.calls, guarding.queue),
            streams: Gate::new(guarding.streams, guarding.queue),
            retries: Budget::new(guarding.retry_percent),
            hedges: Budget::new(guarding.hedge_percent),
            record: Arc::new(record),
            backend,
            guarding,
        }
    }

    /// The same guard, of which nothing has been asked yet, with somebody who is told of every call.
    pub(super) fn observed(&self, observer: Arc<dyn Observer>) -> Self {
        let rules = self.guarding.rules(self.backend.deadline);
        let record = Arc::new(Record::new(&self.backend.name, rules, observer));
        Self { record, ..Self::new(self.backend.clone(), self.guarding.clone()) }
    }

    pub(super) const fn backend(&self) -> &Backend {
        &self.backend
    }

    pub(super) fn service(&self) -> &Arc<dyn ImageService> {
        &self.backend.service
    }

    /// Who is told of what happens.
    pub(super) fn observer(&self) -> &dyn Observer {
        self.record.observer()
    }

    /// How the backend is.
    pub(super) fn status(&self) -> BackendStatus {
        BackendStatus {
            kind: self.backend.kind.clone(),
            calls: self.calls.under_way(),
            streams: self.streams.under_way(),
            ..self.record.status()
        }
    }

    /// Makes a read, and makes it again if it fails in a way that may pass, for as long as the backend's deadline and
    /// the request's own allow.
    ///
    /// # Errors
    /// The call's, with the backend and `operation` as origin; `TimedOut` at the deadline; `Unavailable` at once if
    /// the backend is not asked, and if no permit came free in time.
    pub(super) async fn read<T: Send, F: Future<Output = Result<T>> + Send>(
        &self,
        context: &Context,
        operation: &'static str,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<T> {
        let (answer, _) = self.persist(context, operation, &self.calls, call).await?;
        Ok(answer)
    }

    /// Makes a read that no request has asked for: once, and only while the backend is asked. It takes no place of a
    /// request's, and nothing is held against the backend if it fails.
    ///
    /// # Errors
    /// The call's; `TimedOut` at the backend's deadline; `Unavailable` at once if the backend is not asked.
    pub(super) async fn aside<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if !self.record.would_admit() {
            return Err(self.not_asked());
        }
        let (began, deadline) = (Instant::now(), self.backend.deadline);
        let answer = tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| Err(late(deadline)));
        let outcome = match &answer {
            Ok(_) => Outcome::Ok,
            Err(error) => Outcome::Failure(error.kind()),
        };
        self.record.observer().call(self.record.name(), operation, outcome, began.elapsed());
        answer.map_err(|error| error.with_origin(&self.backend.name, operation))
    }

    /// Opens data: a read, whose answer has a stream that goes on.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub(super) async fn open<F: Future<Output = Result<Download>> + Send>(
        &self,
        context: &Context,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<Download> {
        let (mut download, permit) = self.persist(context, "get", &self.streams, call).await?;
        if let Some(data) = download.data {
            download.data = Some(streams::download(data, permit, &self.record, self.guarding.idle));
        }
        Ok(download)
    }

    /// Makes a write, however long it takes once it has begun.
    ///
    /// # Errors
    /// The call's, with the backend and `operation` as origin; `Unavailable` before it has begun, as for a read.
    pub(super) async fn write<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let (answer, _) = self.attempt(self.backend_deadline(), None, operation, &self.calls, call).await?;
        Ok(answer)
    }

    /// Makes a write that may carry data.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub(super) async fn upload<T: Send, F: Future<Output = Result<T>> + Send>(
        &self,
        operation: &'static str,
        data: Option<Upload>,
        call: impl FnOnce(Option<Upload>) -> F + Send,
    ) -> Result<T> {
        let Some(data) = data else { return self.write(operation, call(None)).await };
        let call = call(Some(streams::upload(data, &self.record)));
        let (answer, _) = self.attempt(self.backend_deadline(), None, operation, &self.streams, call).await?;
        Ok(answer)
    }

    /// How long to wait for a read of one image before another copy is asked: as long as all but the slowest
    /// twentieth of such reads took of late, within bounds.
    pub(super) fn patience(&self) -> Duration {
        let most = self.backend.deadline / 2;
        let usual = self.record.usual_lookup().unwrap_or(most);
        usual.max(self.guarding.hedge_after).min(most)
    }

    /// Whether another copy may be asked, because this backend is slow with `operation`. If so it is told.
    pub(super) fn may_hedge(&self, operation: &'static str) -> bool {
        let may = self.hedges.spend();
        if may {
            self.record.observer().hedge(self.record.name(), operation);
        }
        may
    }

    /// Whether a call would be made now, rather than fail at once.
    pub(super) fn is_asked(&self) -> bool {
        self.record.would_admit()
    }

    fn backend_deadline(&self) -> Instant {
        Instant::now() + self.backend.deadline
    }

    /// Makes a read as often as may help.
    async fn persist<T: Send, F: Future<Output = Result<T>> + Send>(
        &self,
        context: &Context,
        operation: &'static str,
        gate: &Gate,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<(T, Permit)> {
        let own = self.backend_deadline();
        let end = context.deadline.map_or(own, |end| own.min(Instant::from_std(end)));
        self.retries.earn();
        if matches!(operation, "show" | "get") {
            self.hedges.earn();
        }
        let mut pause = self.guarding.retry_pause;
        for _ in 0..self.guarding.retries {
            let began = Instant::now();
            let error = match self.attempt(end, Some(end), operation, gate, call()).await {
                Err(error) if error.is_passing() => error,
                answer => return answer,
            };
            // What was not quick to fail is not asked for once more: there may be no time for it, and it costs.
            let is_quick = began.elapsed() <= self.backend.deadline / 4;
            let next = Instant::now() + pause.mul_f64(0.5 + 0.5 * fastrand::f64());
            if !is_quick || next >= end || !self.record.would_admit() || !self.retries.spend() {
                return Err(error);
            }
            tokio::time::sleep_until(next).await;
            self.record.observer().retry(self.record.name(), operation);
            pause *= 2;
        }
        self.attempt(end, Some(end), operation, gate, call()).await
    }

    /// Makes one call: waits for a permit until `begins`, and for the answer until `ends`, if that is bounded.
    async fn attempt<T: Send>(
        &self,
        begins: Instant,
        ends: Option<Instant>,
        operation: &'static str,
        gate: &Gate,
        answer: impl Future<Output = Result<T>> + Send,
    ) -> Result<(T, Permit)> {
        let mut call = Call::wanted(&self.record, operation);
        // Who is not asked is not waited for either.
        if !self.record.would_admit() {
            return Err(call.shed(self.not_asked()));
        }
        let Some(permit) = gate.enter(begins).await else { return Err(call.shed(self.busy())) };
        if !call.begin() {
            return Err(call.shed(self.not_asked()));
        }
        let Some(ends) = ends else { return Ok((call.end(Timing::Write, answer.await)?, permit)) };
        let began = Instant::now();
        let answer = match tokio::time::timeout_at(ends, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(late(ends - began)),
        };
        // Who had less than half of the time, because the request's own was up, was not slow.
        let was_rushed = Instant::now() >= ends && ends - began < self.backend.deadline / 2;
        let slow = self.guarding.slow_call.unwrap_or(self.backend.deadline);
        let timing = if was_rushed { Timing::Rushed } else { Timing::Read(slow) };
        Ok((call.end(timing, answer)?, permit))
    }

    fn not_asked(&self) -> Error {
        let message =
            format!("store '{}' has failed too often of late and is not asked now", self.backend.name);
        Error::new(ErrorKind::Unavailable, message).answered().with_source(NotAsked)
    }

    fn busy(&self) -> Error {
        let message = format!("store '{}' is busy", self.backend.name);
        Error::new(ErrorKind::Unavailable, message).answered()
    }
}

/// The cause of an error for a call that was not made.
#[derive(Debug)]
struct NotAsked;

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its breaker is open")
    }
}

impl std::error::Error for NotAsked {}

fn late(allowed: Duration) -> Error {
    Error::new(ErrorKind::TimedOut, format!("no answer within {} ms", allowed.as_millis()))
}

/// How a source that failed so fared.
pub(super) fn state_of(error: &Error) -> SourceState {
    let cause = std::error::Error::source(error);
    if cause.is_some_and(|cause| cause.is::<NotAsked>()) {
        return SourceState::Open;
    }
    match error.kind() {
        ErrorKind::TimedOut => SourceState::Timeout,
        ErrorKind::Refused | ErrorKind::Unauthenticated | ErrorKind::Forbidden => SourceState::Refused,
        _ => SourceState::Error,
    }
}
