//! What is counted of backends and of clients' requests, written as OpenMetrics text.
//!
//! | metric | type | labels | what |
//! |---|---|---|---|
//! | `portico_backend_calls_total` | counter | `backend`, `operation`, `outcome`, `kind` | Calls that have ended |
//! | `portico_backend_call_duration_seconds` | histogram | `backend`, `operation` | Time of calls that were answered or failed |
//! | `portico_backend_bytes_total` | counter | `backend`, `direction` | Bytes of image data |
//! | `portico_backend_retries_total` | counter | `backend`, `operation` | Reads that were tried once more |
//! | `portico_backend_hedges_total` | counter | `backend`, `operation` | Reads asked of another copy as this backend was slow |
//! | `portico_backend_resumes_total` | counter | `backend`, `resumed` | Downloads from it that broke off |
//! | `portico_backend_corrupt_downloads_total` | counter | `backend` | Downloads from it that were not the image's data |
//! | `portico_backend_state` | gauge | `backend`, `state` | 1 for the state it is in, 0 for the others |
//! | `portico_backend_state_changes_total` | counter | `backend`, `state` | Changes to this state |
//! | `portico_backend_calls_in_flight` | gauge | `backend` | Calls under way |
//! | `portico_backend_streams_in_flight` | gauge | `backend` | Downloads and uploads under way |
//! | `portico_backend_images` | gauge | `backend` | Images that it is known to hold |
//! | `portico_cache_reads_total` | counter | `outcome` | Reads of data that is cached |
//! | `portico_cache_fills_total` | counter | | Contents that were read once and kept |
//! | `portico_cache_evicted_total` | counter | | Contents that went to make room |
//! | `portico_cache_stale_total` | counter | | Answers from memory while a store was silent |
//! | `portico_cache_read_bytes_total` | counter | | Bytes given from whole files |
//! | `portico_cache_contents` | gauge | | Contents that are kept |
//! | `portico_cache_size_bytes` | gauge | | Bytes that they have |
//! | `portico_requests_total` | counter | `method`, `route`, `status` | Requests that have been answered |
//! | `portico_request_duration_seconds` | histogram | `route` | Time until the answer began |
//! | `portico_connections` | gauge | | Connections of clients |
//! | `portico_build_info` | info | `version` | The version that runs |
//! | `process_start_time_seconds` | gauge | | When it started, in seconds since 1970 |
//! | `process_resident_memory_bytes` | gauge | | Memory in use |
//!
//! `outcome` is `ok`; `refusal`, which says nothing against the backend, such as an image that is not there;
//! `failure`; `shed`, a call that was never made because the breaker was open or there was no room; or `cancelled`,
//! if its caller lost interest. Refusals and failures have a `kind`, as in `/backends`; for the others it is empty.
//! Of a cache's reads, `hit` is one from a whole file, `followed` one of a file that is being filled in, `miss` one that
//! begins this, and `passed` one that the cache could not take. They are there if there is a cache.
//! `direction` is `down`, from the backend, or `up`. `resumed` is where a download went on: `elsewhere`, at another copy;
//! `there`, at the same backend again; or `nowhere`, if it was lost. `route` is a template such as `/v2/images/{id}`. `method` is
//! `other` if it is none that HTTP's own documents define for resources.
//!
//! Every label comes from a closed set, so there is a bound on what can be counted here: nothing that a client sends
//! makes a new series save for methods, routes and statuses, of which there are finitely many. A series is there from
//! its first event on, a known number of images from when it is known. Requests whose client went away before the
//! answer began are not counted, and neither are those whose head could not be read.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::Method;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{process, words};
use crate::api::Route;
use crate::cache::CacheStatus;
use crate::federation::status::{self, BackendStatus, Flow, Observer, Outcome, Resumed};

/// What kind of text [`Metrics::text`] is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds: from what memory takes to what nobody waits for.
const BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Everything that is counted in the life of a process.
#[derive(Debug)]
pub struct Metrics {
    started: SystemTime,
    registry: Registry,
    calls: Family<OfCall, Counter>,
    call_seconds: Times<OfOperation>,
    bytes: Family<OfFlow, Counter>,
    retries: Family<OfOperation, Counter>,
    hedges: Family<OfOperation, Counter>,
    resumes: Family<OfResume, Counter>,
    corrupt_downloads: Family<OfBackend, Counter>,
    state_changes: Family<OfState, Counter>,
    requests: Family<OfRequest, Counter>,
    request_seconds: Times<OfRoute>,
}

type Times<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBackend {
    backend: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCall {
    backend: String,
    operation: &'static str,
    outcome: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOperation {
    backend: String,
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFlow {
    backend: String,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResume {
    backend: String,
    resumed: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRead {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    backend: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: &'static str,
}

impl Metrics {
    /// Nothing counted yet, by a process that has just started.
    #[must_use]
    pub fn new() -> Self {
        let times = || Histogram::new(BUCKETS);
        let mut metrics = Self {
            started: SystemTime::now(),
            registry: Registry::with_prefix("portico"),
            calls: Family::default(),
            call_seconds: Times::new_with_constructor(times),
            bytes: Family::default(),
            retries: Family::default(),
            hedges: Family::default(),
            resumes: Family::default(),
            corrupt_downloads: Family::default(),
            state_changes: Family::default(),
            requests: Family::default(),
            request_seconds: Times::new_with_constructor(times),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let to = &mut self.registry;
        to.register("backend_calls", "Calls that have ended", self.calls.clone());
        to.register_with_unit(
            "backend_call_duration",
            "Time of calls that were answered or failed",
            Unit::Seconds,
            self.call_seconds.clone(),
        );
        to.register_with_unit("backend", "Bytes of image data", Unit::Bytes, self.bytes.clone());
        to.register("backend_retries", "Reads that were tried once more", self.retries.clone());
        let help = "Reads asked of another copy as this backend was slow";
        to.register("backend_hedges", help, self.hedges.clone());
        to.register("backend_resumes", "Downloads from it that broke off", self.resumes.clone());
        let help = "Downloads from it that were not the image's data";
        to.register("backend_corrupt_downloads", help, self.corrupt_downloads.clone());
        to.register("backend_state_changes", "Changes to this state", self.state_changes.clone());
        to.register("requests", "Requests that have been answered", self.requests.clone());
        to.register_with_unit(
            "request_duration",
            "Time until the answer began",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        to.register("build", "The version that runs", version);
    }

    /// Writes down all that has been counted, and how things are at this moment.
    ///
    /// # Errors
    /// None that a text in memory has.
    pub(super) fn text(
        &self,
        backends: &[BackendStatus],
        connections: usize,
        cache: Option<CacheStatus>,
    ) -> Result<String, fmt::Error> {
        let mut written = String::new();
        text::encode_registry(&mut written, &self.registry)?;
        text::encode_registry(&mut written, &now(backends, connections))?;
        if let Some(cache) = cache {
            text::encode_registry(&mut written, &of_cache(&cache))?;
        }
        text::encode_registry(&mut written, &self.process())?;
        text::encode_eof(&mut written)?;
        Ok(written)
    }

    fn process(&self) -> Registry {
        let mut registry = Registry::with_prefix("process");
        let started = Gauge::<f64, std::sync::atomic::AtomicU64>::default();
        started.set(self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        let help = "When it started, in seconds since 1970";
        registry.register_with_unit("start_time", help, Unit::Seconds, started);
        if let Some(bytes) = process::resident_memory() {
            let memory = Gauge::<i64>::default();
            memory.set(bytes);
            registry.register_with_unit("resident_memory", "Memory in use", Unit::Bytes, memory);
        }
        registry
    }

    fn answered(&self, method: &'static str, response: &Response, took: Duration) {
        let route = response.extensions().get::<Route>().map_or("unknown path", |route| route.0);
        let status = response.status().as_u16();
        self.requests.get_or_create(&OfRequest { method, route, status }).inc();
        self.request_seconds.get_or_create(&OfRoute { route }).observe(took.as_secs_f64());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What is not counted but is so at this moment.
fn now(backends: &[BackendStatus], connections: usize) -> Registry {
    let mut registry = Registry::with_prefix("portico");
    let states = Family::<OfState, Gauge>::default();
    let [calls, streams, images] = [(); 3].map(|()| Family::<OfBackend, Gauge>::default());
    for status in backends {
        for state in status::State::ALL {
            let labels = OfState { backend: status.name.clone(), state: state.as_str() };
            states.get_or_create(&labels).set(i64::from(state == status.state));
        }
        let labels = OfBackend { backend: status.name.clone() };
        calls.get_or_create(&labels).set(number(status.calls));
        streams.get_or_create(&labels).set(number(status.streams));
        if let Some(known) = status.images {
            images.get_or_create(&labels).set(number(known));
        }
    }
    registry.register("backend_state", "1 for the state it is in, 0 for the others", states);
    registry.register("backend_calls_in_flight", "Calls under way", calls);
    registry.register("backend_streams_in_flight", "Downloads and uploads under way", streams);
    registry.register("backend_images", "Images that it is known to hold", images);
    let open = Gauge::<i64>::default();
    open.set(number(connections));
    registry.register("connections", "Connections of clients", open);
    registry
}

/// What a cache has counted, and how it is.
fn of_cache(cache: &CacheStatus) -> Registry {
    let mut registry = Registry::with_prefix("portico_cache");
    let reads = Family::<OfRead, Counter>::default();
    let outcomes =
        [("hit", cache.hits), ("followed", cache.followed), ("miss", cache.misses), ("passed", cache.passed)];
    for (outcome, count) in outcomes {
        reads.get_or_create(&OfRead { outcome }).inc_by(count);
    }
    registry.register("reads", "Reads of data that is cached", reads);
    let counted = |count: u64| {
        let counter = Counter::<u64>::default();
        counter.inc_by(count);
        counter
    };
    registry.register("fills", "Contents that were read once and kept", counted(cache.fills));
    registry.register("evicted", "Contents that went to make room", counted(cache.evicted));
    registry.register("stale", "Answers from memory while a store was silent", counted(cache.stale));
    registry.register_with_unit("read", "Bytes given from whole files", Unit::Bytes, counted(cache.bytes));
    let [contents, size] = [cache.contents, cache.size].map(|value| {
        let gauge = Gauge::<i64>::default();
        gauge.set(number(value));
        gauge
    });
    registry.register("contents", "Contents that are kept", contents);
    registry.register_with_unit("size", "Bytes that they have", Unit::Bytes, size);
    registry
}

fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

impl Observer for Metrics {
    fn call(&self, backend: &str, operation: &'static str, outcome: Outcome, took: Duration) {
        let (backend, (outcome, kind, timed)) = (backend.to_owned(), told(outcome));
        if timed {
            let labels = OfOperation { backend: backend.clone(), operation };
            self.call_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        }
        self.calls.get_or_create(&OfCall { backend, operation, outcome, kind }).inc();
    }

    fn bytes(&self, backend: &str, flow: Flow, bytes: u64) {
        let direction = match flow {
            Flow::Down => "down",
            Flow::Up => "up",
        };
        self.bytes.get_or_create(&OfFlow { backend: backend.to_owned(), direction }).inc_by(bytes);
    }

    fn state(&self, backend: &str, state: status::State) {
        let labels = OfState { backend: backend.to_owned(), state: state.as_str() };
        self.state_changes.get_or_create(&labels).inc();
    }

    fn retry(&self, backend: &str, operation: &'static str) {
        self.retries.get_or_create(&OfOperation { backend: backend.to_owned(), operation }).inc();
    }

    fn hedge(&self, backend: &str, operation: &'static str) {
        self.hedges.get_or_create(&OfOperation { backend: backend.to_owned(), operation }).inc();
    }

    fn resume(&self, backend: &str, resumed: Resumed) {
        let resumed = match resumed {
            Resumed::Elsewhere => "elsewhere",
            Resumed::There => "there",
            Resumed::Nowhere => "nowhere",
        };
        self.resumes.get_or_create(&OfResume { backend: backend.to_owned(), resumed }).inc();
    }

    fn corrupt(&self, backend: &str) {
        self.corrupt_downloads.get_or_create(&OfBackend { backend: backend.to_owned() }).inc();
    }
}

/// The words for an outcome, and whether its time says something about the backend.
const fn told(outcome: Outcome) -> (&'static str, &'static str, bool) {
    match outcome {
        Outcome::Ok => ("ok", "", true),
        Outcome::Refusal(kind) => ("refusal", words::of_kind(kind), true),
        Outcome::Failure(kind) => ("failure", words::of_kind(kind), true),
        Outcome::Shed => ("shed", "", false),
        Outcome::Cancelled => ("cancelled", "", false),
    }
}

/// The same Image API, with every answer of it counted.
pub fn counted(api: Router, metrics: Arc<Metrics>) -> Router {
    api.layer(middleware::from_fn_with_state(metrics, count))
}

async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let (started, method) = (Instant::now(), word_of(request.method()));
    let response = next.run(request).await;
    metrics.answered(method, &response, started.elapsed());
    response
}

fn word_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
