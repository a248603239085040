//! How the backends of a federation are, for whoever watches over them.
//!
//! Two ways to know: [`BackendStatus`] is how a backend is now, asked for at any time; an [`Observer`] is told of
//! every call as it ends. Neither knows how it is shown to people: that is the program's.

use std::fmt;
use std::time::{Duration, SystemTime};

use image_service::ErrorKind;

/// How a backend is. A backend that fails stays listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendStatus {
    /// Its name.
    pub name: String,
    /// Which kind of store it is.
    pub kind: String,
    /// Whether it is asked, and answers.
    pub state: State,
    /// Since when it has been so. A call that is let through to a backend that is not asked, in vain, does not
    /// start this anew.
    pub since: SystemTime,
    /// Its last failure, however long ago.
    pub last_error: Option<LastError>,
    /// How long its reads took of late until they answered.
    pub latency: Latency,
    /// How many images it is known to hold. `None` while that is not known.
    pub images: Option<u64>,
    /// Calls under way.
    pub calls: usize,
    /// Downloads and uploads under way.
    pub streams: usize,
}

/// Whether a backend is asked, and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It answers, or has not been asked yet.
    Ok,
    /// Its last answer was a failure, and it is asked all the same.
    Failing,
    /// It has failed too often of late and is not asked.
    Open,
    /// It was open, and the next call is let through, or one has been, to see whether it answers again.
    Probing,
}

impl State {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Failing, Self::Open, Self::Probing];

    /// Its one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Open => "open",
            Self::Probing => "probing",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure of a backend, in our words: nothing of it is the backend's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: SystemTime,
    /// What was asked of it.
    pub operation: &'static str,
    /// What kind of failure it was.
    pub kind: ErrorKind,
    /// What went wrong, fit for clients.
    pub message: String,
}

/// Quantiles of the time until an answer began. `None` as long as nothing has answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Half of the answers came within this time.
    pub p50: Option<Duration>,
    /// Nine of ten did.
    pub p90: Option<Duration>,
    /// All but one of a hundred did.
    pub p99: Option<Duration>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With an answer.
    Ok,
    /// With a refusal that says nothing against the backend, such as an image that is not there.
    Refusal(ErrorKind),
    /// With silence or nonsense.
    Failure(ErrorKind),
    /// It was never made: the breaker is open, or no permit came free in time.
    Shed,
    /// Its caller lost interest first.
    Cancelled,
}

/// Which way image data flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// From the backend.
    Down,
    /// To the backend.
    Up,
}

/// Where a download went on that broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resumed {
    /// At another copy.
    Elsewhere,
    /// At the same backend again.
    There,
    /// Nowhere: it was lost.
    Nowhere,
}

/// Is told what happens, as it happens. Must return at once.
pub trait Observer: Send + Sync + fmt::Debug {
    /// A call has ended, `took` after it was wanted. Retries and hedges are calls of their own.
    fn call(&self, backend: &str, operation: &'static str, outcome: Outcome, took: Duration);

    /// Bytes of image data have passed.
    fn bytes(&self, backend: &str, flow: Flow, bytes: u64);

    /// A backend's state has changed.
    fn state(&self, backend: &str, state: State);

    /// A read was tried once more.
    fn retry(&self, backend: &str, operation: &'static str);

    /// Another copy was asked because `backend` was slow.
    fn hedge(&self, backend: &str, operation: &'static str);

    /// A download from `backend` broke off, and went on so.
    fn resume(&self, backend: &str, resumed: Resumed);

    /// A download from `backend` was not the data of its image.
    fn corrupt(&self, backend: &str);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn call(&self, _: &str, _: &'static str, _: Outcome, _: Duration) {}
    fn bytes(&self, _: &str, _: Flow, _: u64) {}
    fn state(&self, _: &str, _: State) {}
    fn retry(&self, _: &str, _: &'static str) {}
    fn hedge(&self, _: &str, _: &'static str) {}
    fn resume(&self, _: &str, _: Resumed) {}
    fn corrupt(&self, _: &str) {}
}
