//! Backends as JSON; the shape is a promise of the [module above](super). Pure.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::words;
use crate::federation::status::{BackendStatus, LastError, Latency};

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct Document<'s> {
    backends: Vec<Entry<'s>>,
}

#[derive(Debug, Serialize)]
struct Entry<'s> {
    name: &'s str,
    kind: &'s str,
    state: &'static str,
    since: Option<String>,
    last_error: Option<Failure<'s>>,
    latency_ms: Quantiles,
    images: Option<u64>,
    calls: usize,
    streams: usize,
}

#[derive(Debug, Serialize)]
struct Failure<'s> {
    at: Option<String>,
    operation: &'static str,
    kind: &'static str,
    message: &'s str,
}

#[derive(Debug, Serialize)]
struct Quantiles {
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
}

/// Writes down how `backends` are.
pub(super) fn document(backends: &[BackendStatus]) -> Document<'_> {
    Document { backends: backends.iter().map(entry).collect() }
}

fn entry(status: &BackendStatus) -> Entry<'_> {
    Entry {
        name: &status.name,
        kind: &status.kind,
        state: status.state.as_str(),
        since: time(status.since),
        last_error: status.last_error.as_ref().map(failure),
        latency_ms: quantiles(status.latency),
        images: status.images,
        calls: status.calls,
        streams: status.streams,
    }
}

fn failure(error: &LastError) -> Failure<'_> {
    Failure {
        at: time(error.at),
        operation: error.operation,
        kind: words::of_kind(error.kind),
        message: &error.message,
    }
}

fn quantiles(latency: Latency) -> Quantiles {
    // More digits than microseconds have would only be noise.
    let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    Quantiles {
        p50: latency.p50.map(milliseconds),
        p90: latency.p90.map(milliseconds),
        p99: latency.p99.map(milliseconds),
    }
}

/// RFC 3339 to the millisecond; `None` for a time so far away that it cannot be written so.
fn time(at: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(at).ok().map(|at| format!("{at:.3}"))
}
