//! How the service is, told on a second listener to whoever watches over it.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 and `ok`, as long as the process is alive |
//! | `/readyz` | 200 if requests are worth sending here, else 503; which and why as JSON, see below |
//! | `/backends` | 200 and every backend as JSON, failed ones too, see below |
//! | `/metrics` | 200 and what [`metrics`] counts, as OpenMetrics text, which Prometheus reads |
//!
//! `GET` and `HEAD` are all there is: other methods are 405, other paths 404. No answer may be cached.
//!
//! Nobody is asked who they are. So the listener is on this machine alone unless the configuration says otherwise,
//! and nothing told here is secret: names of backends and our own words about them, but no addresses, no
//! credentials, and nothing about any image or caller.
//!
//! This listener opens when all backends are open, just before the service begins, and closes when the service has
//! drained: until then and from then on connections are refused. It must not know how a federation works.
//!
//! # `/backends`
//!
//! Backends are in configured order. Times are RFC 3339 in UTC.
//!
//! ```json
//! {
//!   "backends": [
//!     {
//!       "name": "paris",
//!       "kind": "http",
//!       "state": "failing",
//!       "since": "2026-03-01T09:30:00.250Z",
//!       "last_error": {
//!         "at": "2026-03-01T09:31:10.000Z",
//!         "operation": "detail",
//!         "kind": "timed_out",
//!         "message": "no answer within 2000 ms"
//!       },
//!       "latency_ms": { "p50": 12.5, "p90": 80.0, "p99": null },
//!       "images": 1200,
//!       "calls": 1,
//!       "streams": 0
//!     }
//!   ]
//! }
//! ```
//!
//! * `state`: `ok`, it answers or has not been asked yet; `failing`, its last answer was a failure; `open`, it failed
//!   too often and is not asked; `probing`, it was open, and the next call tries whether it answers again, or one is
//!   trying. `since` is when that began; for `probing`, when it was first not asked.
//! * `last_error`: its last failure, however long ago, or `null`. `kind` is one of [`ErrorKind`]'s, in snake case.
//! * `latency_ms`: of late, half, nine of ten, and all but one of a hundred of its answers to reads began within so
//!   many milliseconds; `null` while that is not known.
//! * `images`: how many it is known to hold, or `null`.
//! * `calls`, `streams`: what is under way: calls, and downloads and uploads.
//!
//! # `/readyz`
//!
//! ```json
//! { "ready": false, "why": "draining", "backends": { "local": "ok", "paris": "open" } }
//! ```
//!
//! `why` is `null` when it is ready. It is not ready when it is `draining`, or when there are `no backends`: all of
//! them are open, so nothing would be asked of any. When the first of them is due to be tried it is ready again, for
//! only a request can show that a backend is back.
//!
//! One backend that is not open is enough, also where the configuration lets lists refuse to be partial. Without the
//! others, downloads, uploads and lists that ask for a partial answer still work, and every other replica misses the
//! same backends: to take them all out of service would make a whole outage of a partial one.
//!
//! [`ErrorKind`]: image_service::ErrorKind

mod backends;
pub mod metrics;
mod process;
mod readiness;
mod words;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::cache::CacheStatus;
use crate::federation::status::BackendStatus;
use metrics::Metrics;

/// What is watched over. Every question is answered at once.
pub trait Watched: Send + Sync + fmt::Debug {
    /// How each backend is now, in configured order.
    fn backends(&self) -> Vec<BackendStatus>;

    /// Whether the service goes on.
    fn phase(&self) -> Phase;

    /// How many connections clients have to it.
    fn connections(&self) -> usize;

    /// How its cache is, if it has one.
    fn cache(&self) -> Option<CacheStatus>;
}

/// Whether the service goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It takes requests.
    Serving,
    /// It ends what is under way, and takes nothing new.
    Draining,
}

/// Makes the router that tells how `watched` is, and what `metrics` has counted.
pub fn router(watched: Arc<dyn Watched>, metrics: Arc<Metrics>) -> Router {
    let view = Arc::new(View { watched, metrics });
    Router::new()
        .route("/healthz", get(async || answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into())))
        .route("/readyz", get(async |State(view): State<Arc<View>>| view.readiness()))
        .route("/backends", get(async |State(view): State<Arc<View>>| view.backends()))
        .route("/metrics", get(async |State(view): State<Arc<View>>| view.metrics()))
        .with_state(view)
}

#[derive(Debug)]
struct View {
    watched: Arc<dyn Watched>,
    metrics: Arc<Metrics>,
}

impl View {
    fn readiness(&self) -> Response {
        let backends = self.watched.backends();
        let told = readiness::of(self.watched.phase(), &backends);
        let status = if told.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        json(status, &told)
    }

    fn backends(&self) -> Response {
        json(StatusCode::OK, &backends::document(&self.watched.backends()))
    }

    fn metrics(&self) -> Response {
        let (backends, connections) = (self.watched.backends(), self.watched.connections());
        match self.metrics.text(&backends, connections, self.watched.cache()) {
            Ok(text) => answer(StatusCode::OK, metrics::CONTENT_TYPE, text),
            Err(error) => broken(&error),
        }
    }
}

fn json(status: StatusCode, document: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(document) {
        Ok(text) => answer(status, "application/json", text + "\n"),
        Err(error) => broken(&error),
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Nothing that is told here can fail to be written, so this is a mistake in this program.
fn broken(error: &dyn fmt::Display) -> Response {
    tracing::error!(%error, "how the service is cannot be told");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests;
