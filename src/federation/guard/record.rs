//! What has been seen of one backend, and who is told of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use image_service::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::latencies::Latencies;
use crate::federation::health::{Breaker, Finding, Pass, Phase, Rules};
use crate::federation::status::{BackendStatus, Flow, LastError, Observer, Outcome, State};

/// What has been seen of one backend.
#[derive(Debug)]
pub(super) struct Record {
    name: String,
    observer: Arc<dyn Observer>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    breaker: Breaker,
    failing: bool,
    /// What was last told.
    state: State,
    since: SystemTime,
    last_error: Option<LastError>,
    reads: Latencies,
    /// Those of one image.
    lookups: Latencies,
}

impl Seen {
    const fn now(&self) -> State {
        match self.breaker.phase() {
            Phase::Open { .. } => State::Open,
            Phase::Probing { .. } => State::Probing,
            Phase::Closed if self.failing => State::Failing,
            Phase::Closed => State::Ok,
        }
    }
}

impl Record {
    pub(super) fn new(name: &str, rules: Rules, observer: Arc<dyn Observer>) -> Self {
        let seen = Seen {
            breaker: Breaker::new(rules),
            failing: false,
            state: State::Ok,
            since: SystemTime::now(),
            last_error: None,
            reads: Latencies::default(),
            lookups: Latencies::default(),
        };
        Self { name: name.to_owned(), observer, seen: Mutex::new(seen) }
    }

    /// The backend's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Who is told.
    pub(super) fn observer(&self) -> &dyn Observer {
        self.observer.as_ref()
    }

    /// How the backend is now. What the record does not know is left empty.
    pub(super) fn status(&self) -> BackendStatus {
        let seen = self.seen();
        // When the pause is over the next call is let through, whether or not one has come: who sends none for as
        // long as nothing is asked, such as a balancer, must see that.
        let due = seen.state == State::Open && seen.breaker.would_admit(now());
        BackendStatus {
            name: self.name.clone(),
            kind: String::new(),
            state: if due { State::Probing } else { seen.state },
            since: seen.since,
            last_error: seen.last_error.clone(),
            latency: seen.reads.quantiles(),
            images: None,
            calls: 0,
            streams: 0,
        }
    }

    /// The time within which 95 of 100 reads of one image were answered. `None` while too few were.
    pub(super) fn usual_lookup(&self) -> Option<Duration> {
        /// Fewer than these say nothing about one in twenty.
        const LEAST: usize = 20;
        self.seen().lookups.within(95, LEAST)
    }

    /// Image data has passed.
    pub(super) fn passed(&self, flow: Flow, bytes: usize) {
        self.observer.bytes(&self.name, flow, bytes as u64);
    }

    /// Image data came to a bad end. Gives the error with its origin.
    pub(super) fn broke_off(&self, error: Error) -> Error {
        if error.kind().is_silence() && error.origin().is_none() {
            tracing::warn!(backend = %self.name, error = %error.chain(), "image data broke off");
            self.seen().last_error = Some(last("get", &error));
        }
        error.with_origin(&self.name, "get")
    }

    /// Whether a call would be let through now.
    pub(super) fn would_admit(&self) -> bool {
        self.seen().breaker.would_admit(now())
    }

    /// Gives leave to make a call.
    fn admit(&self) -> Option<Pass> {
        let mut seen = self.seen();
        let pass = seen.breaker.admit(now());
        self.tell(seen, None);
        pass
    }

    /// A call came to nothing.
    fn withdraw(&self, pass: Pass) {
        let mut seen = self.seen();
        seen.breaker.withdraw(now(), pass);
        self.tell(seen, None);
    }

    /// A call that was let through has ended.
    fn settle(&self, operation: &'static str, pass: Pass, finding: Option<Finding>, error: Option<&Error>) {
        let mut seen = self.seen();
        match finding {
            Some(finding) => seen.breaker.settle(now(), pass, finding, fastrand::f64()),
            None => seen.breaker.withdraw(now(), pass),
        }
        let silence = error.filter(|error| error.kind().is_silence());
        seen.failing = silence.is_some();
        if let Some(error) = silence {
            seen.last_error = Some(last(operation, error));
        }
        self.tell(seen, silence);
    }

    /// A read was answered after so long.
    fn timed(&self, operation: &'static str, took: Duration) {
        let mut seen = self.seen();
        seen.reads.add(took);
        if matches!(operation, "show" | "get") {
            seen.lookups.add(took);
        }
    }

    /// Tells of the state if it has changed.
    fn tell(&self, mut seen: MutexGuard<'_, Seen>, error: Option<&Error>) {
        let (before, after) = (seen.state, seen.now());
        if before == after {
            return;
        }
        seen.state = after;
        // A probe that fails changes nothing about how long the backend has been out.
        if !matches!((before, after), (State::Open, State::Probing) | (State::Probing, State::Open)) {
            seen.since = SystemTime::now();
        }
        drop(seen);
        let (backend, error) = (self.name.as_str(), error.map(Error::chain).unwrap_or_default());
        match after {
            State::Ok => tracing::info!(backend, "backend answers again"),
            State::Failing => tracing::warn!(backend, error, "backend is failing"),
            State::Open if before == State::Probing => {
                tracing::debug!(backend, error, "backend does not answer yet");
            }
            State::Open => tracing::warn!(backend, error, "backend fails too often and is not asked for now"),
            State::Probing => tracing::debug!(backend, "backend is asked whether it answers again"),
        }
        self.observer.state(backend, after);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn last(operation: &'static str, error: &Error) -> LastError {
    LastError { at: SystemTime::now(), operation, kind: error.kind(), message: error.message().to_owned() }
}

/// What the time that a call took says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timing {
    /// It was a read, slow from so long on.
    Read(Duration),
    /// It was a read that was not given the time it should have had.
    Rushed,
    /// It was a write, which takes as long as it takes.
    Write,
}

/// One call, from when it is wanted. Dropped before its end, it counts as cancelled.
#[derive(Debug)]
pub(super) struct Call<'a> {
    record: &'a Record,
    operation: &'static str,
    wanted: Instant,
    /// Leave to make it, and since when it is under way.
    pass: Option<(Pass, Instant)>,
    outcome: Outcome,
}

impl<'a> Call<'a> {
    pub(super) fn wanted(record: &'a Record, operation: &'static str) -> Self {
        Self { record, operation, wanted: Instant::now(), pass: None, outcome: Outcome::Cancelled }
    }

    /// Takes leave to make the call. False if there is none.
    pub(super) fn begin(&mut self) -> bool {
        self.pass = self.record.admit().map(|pass| (pass, Instant::now()));
        self.pass.is_some()
    }

    /// Ends the call before it was made.
    pub(super) fn shed(mut self, error: Error) -> Error {
        self.outcome = Outcome::Shed;
        error.with_origin(&self.record.name, self.operation)
    }

    /// Ends the call with what came of it. An error is given its origin.
    pub(super) fn end<T>(mut self, timing: Timing, answer: Result<T>) -> Result<T> {
        let Some((pass, began)) = self.pass.take() else { return answer };
        let (took, error) = (began.elapsed(), answer.as_ref().err());
        self.outcome = match error {
            None => Outcome::Ok,
            Some(error) if error.kind().is_silence() => Outcome::Failure(error.kind()),
            Some(error) => Outcome::Refusal(error.kind()),
        };
        if timing != Timing::Write && !matches!(self.outcome, Outcome::Failure(_)) {
            self.record.timed(self.operation, took);
        }
        self.record.settle(self.operation, pass, finding(timing, took, error), error);
        answer.map_err(|error| self.placed(error))
    }

    fn placed(&self, error: Error) -> Error {
        // What arose behind another federation is that one's to judge, and to try again: the rest of it may be well.
        let error = if error.origin().is_some() { error.answered() } else { error };
        error.with_origin(&self.record.name, self.operation)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some((pass, _)) = self.pass.take() {
            self.record.withdraw(pass);
        }
        let took = self.wanted.elapsed();
        self.record.observer.call(&self.record.name, self.operation, self.outcome, took);
    }
}

/// What a call says about the backend's health. `None`: nothing.
fn finding(timing: Timing, took: Duration, error: Option<&Error>) -> Option<Finding> {
    let against = error.filter(|error| error.speaks_against_store() && error.origin().is_none());
    match (against.map(Error::kind), error, timing) {
        (Some(ErrorKind::TimedOut), _, Timing::Rushed) => None,
        (Some(ErrorKind::TimedOut), _, _) => Some(Finding::Late),
        (Some(_), _, _) => Some(Finding::Failed),
        (None, None, Timing::Read(slow)) if took >= slow => Some(Finding::Slow),
        (None, _, _) => Some(Finding::Good),
    }
}
