use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use image_service::ErrorKind;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::api::Route;
use crate::cache::CacheStatus;
use crate::federation::status::{
    Flow, LastError, Latency, Observer as _, Outcome, Resumed, State as Condition,
};

#[derive(Debug)]
struct Still {
    backends: Vec<BackendStatus>,
    phase: Phase,
}

impl Watched for Still {
    fn backends(&self) -> Vec<BackendStatus> {
        self.backends.clone()
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    fn connections(&self) -> usize {
        7
    }

    fn cache(&self) -> Option<CacheStatus> {
        None
    }
}

fn at(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

fn backend(name: &str, state: Condition) -> BackendStatus {
    BackendStatus {
        name: name.into(),
        kind: "memory".into(),
        state,
        since: at(1_000),
        last_error: None,
        latency: Latency::default(),
        images: None,
        calls: 0,
        streams: 0,
    }
}

struct Told {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Told {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_str(&self.body).unwrap()
    }
}

struct Listener(Router);

impl Listener {
    fn of(backends: Vec<BackendStatus>, phase: Phase) -> Self {
        Self(router(Arc::new(Still { backends, phase }), Arc::new(Metrics::new())))
    }

    async fn ask(&self, method: &str, path: &str) -> Told {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (head, body) = self.0.clone().oneshot(request).await.unwrap().into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Told { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn get(&self, path: &str) -> Told {
        self.ask("GET", path).await
    }
}

const PATHS: [&str; 4] = ["/healthz", "/readyz", "/backends", "/metrics"];

#[tokio::test]
async fn there_are_four_paths_to_be_read_and_nothing_else() {
    let listener = Listener::of(vec![backend("a", Condition::Ok)], Phase::Serving);
    for path in PATHS {
        let (whole, head) = (listener.get(path).await, listener.ask("HEAD", path).await);
        assert_eq!((whole.status, head.status), (200, 200), "{path}");
        assert_eq!(whole.headers["cache-control"], "no-store");
        assert_eq!(whole.headers["content-type"], head.headers["content-type"]);
        assert!(!whole.body.is_empty() && head.body.is_empty(), "{path}");
        for method in ["POST", "PUT", "DELETE", "BREW"] {
            let refused = listener.ask(method, path).await;
            assert_eq!(refused.status, 405, "{method} {path}");
            assert_eq!(refused.headers["allow"], "GET,HEAD", "{method} {path}");
        }
    }
    for path in ["/", "/healthz/", "/v2/images", "/metrics/x", "//metrics"] {
        assert_eq!(listener.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_process_is_alive_while_it_drains_and_while_nothing_answers() {
    let listener = Listener::of(vec![backend("a", Condition::Open)], Phase::Draining);
    let told = listener.get("/healthz").await;
    assert_eq!((told.status, told.body.as_str()), (200, "ok\n"));
}

#[tokio::test]
async fn one_backend_that_is_not_open_makes_it_ready() {
    for (states, ready) in [
        (&[Condition::Ok, Condition::Ok][..], true),
        (&[Condition::Open, Condition::Failing], true),
        (&[Condition::Open, Condition::Probing], true),
        (&[Condition::Open, Condition::Open], false),
    ] {
        let backends =
            ["a", "b"].iter().zip(states).map(|(name, state)| backend(name, *state)).collect::<Vec<_>>();
        let told = Listener::of(backends, Phase::Serving).get("/readyz").await;
        let why = if ready { Value::Null } else { json!("no backends") };
        let states = json!({"a": states[0].as_str(), "b": states[1].as_str()});
        assert_eq!(told.status, if ready { 200 } else { 503 }, "{states}");
        assert_eq!(told.json(), json!({"ready": ready, "why": why, "backends": states}));
    }
}

#[tokio::test]
async fn it_is_not_ready_while_it_drains() {
    let told = Listener::of(vec![backend("a", Condition::Ok)], Phase::Draining).get("/readyz").await;
    assert_eq!(told.status, 503);
    assert_eq!(told.json(), json!({"ready": false, "why": "draining", "backends": {"a": "ok"}}));
}

#[tokio::test]
async fn backends_are_told_in_the_shape_that_is_promised() {
    let failed = LastError {
        at: at(1_772_357_470_000),
        operation: "detail",
        kind: ErrorKind::TimedOut,
        message: "no answer within 2000 ms".into(),
    };
    let paris = BackendStatus {
        kind: "http".into(),
        since: at(1_772_357_400_250),
        last_error: Some(failed),
        latency: Latency {
            p50: Some(Duration::from_nanos(12_500_400)),
            p90: Some(Duration::from_millis(80)),
            p99: None,
        },
        images: Some(1200),
        calls: 1,
        ..backend("paris", Condition::Failing)
    };
    let told =
        Listener::of(vec![paris, backend("a", Condition::Ok)], Phase::Serving).get("/backends").await.json();
    // The promise is the example in the module's own words.
    let source = include_str!("../admin.rs");
    let example = source.split("//! ```json\n").nth(1).unwrap().split("//! ```").next().unwrap();
    let example: String = example.lines().map(|line| line.trim_start_matches("//!")).collect();
    let example: Value = serde_json::from_str(&example).unwrap();
    assert_eq!(told["backends"][0], example["backends"][0]);
    assert_eq!(
        told["backends"][1],
        json!({
            "name": "a", "kind": "memory", "state": "ok", "since": "1970-01-01T00:00:01.000Z", "last_error": null,
            "latency_ms": {"p50": null, "p90": null, "p99": null}, "images": null, "calls": 0, "streams": 0,
        })
    );
    assert_eq!(told["backends"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn metrics_say_which_format_they_are_in() {
    let told = Listener::of(Vec::new(), Phase::Serving).get("/metrics").await;
    assert_eq!(told.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(told.body.ends_with("\n# EOF\n"));
}

/// Metrics with something in each of them.
async fn busy() -> Arc<Metrics> {
    let metrics = Arc::new(Metrics::new());
    let moment = Duration::from_millis(3);
    for outcome in [
        Outcome::Ok,
        Outcome::Refusal(ErrorKind::NotFound),
        Outcome::Failure(ErrorKind::TimedOut),
        Outcome::Shed,
        Outcome::Cancelled,
    ] {
        metrics.call("a", "detail", outcome, moment);
    }
    metrics.bytes("a", Flow::Down, 100);
    metrics.bytes("a", Flow::Up, 1);
    metrics.bytes("a", Flow::Down, 10);
    metrics.state("a", Condition::Open);
    metrics.retry("a", "show");
    metrics.hedge("a", "get");
    for resumed in [Resumed::Elsewhere, Resumed::There, Resumed::Nowhere, Resumed::Nowhere] {
        metrics.resume("a", resumed);
    }
    metrics.corrupt("a");
    let api = Router::new().route(
        "/known",
        get(async || {
            let mut response = StatusCode::NO_CONTENT.into_response();
            response.extensions_mut().insert(Route("/v2/images/{id}"));
            response
        }),
    );
    let api = metrics::counted(api, Arc::clone(&metrics));
    for (method, path) in [("GET", "/known"), ("GET", "/known"), ("BREW", "/unknown")] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        api.clone().oneshot(request).await.unwrap();
    }
    metrics
}

async fn busy_text() -> String {
    let backends = [
        BackendStatus { images: Some(12), calls: 2, streams: 3, ..backend("a", Condition::Ok) },
        backend("b", Condition::Open),
    ];
    let cache = CacheStatus { hits: 3, size: 5, ..CacheStatus::default() };
    busy().await.text(&backends, 7, Some(cache)).unwrap()
}

#[tokio::test]
async fn what_happens_is_counted_by_backend_operation_and_outcome() {
    let text = busy_text().await;
    let call = |outcome, kind, count| {
        format!(
            "portico_backend_calls_total{{backend=\"a\",operation=\"detail\",outcome=\"{outcome}\",kind=\"{kind}\"}} {count}"
        )
    };
    let operation = |name, operation, value| {
        format!("portico_backend_{name}{{backend=\"a\",operation=\"{operation}\"}} {value}")
    };
    for line in [
        call("ok", "", 1),
        call("refusal", "not_found", 1),
        call("failure", "timed_out", 1),
        call("shed", "", 1),
        call("cancelled", "", 1),
        // Neither the call that was not made nor the one that was left says how long the backend takes.
        operation("call_duration_seconds_count", "detail", 3),
        operation("retries_total", "show", 1),
        operation("hedges_total", "get", 1),
        "portico_backend_resumes_total{backend=\"a\",resumed=\"elsewhere\"} 1".into(),
        "portico_backend_resumes_total{backend=\"a\",resumed=\"there\"} 1".into(),
        "portico_backend_resumes_total{backend=\"a\",resumed=\"nowhere\"} 2".into(),
        "portico_backend_corrupt_downloads_total{backend=\"a\"} 1".into(),
        "portico_backend_bytes_total{backend=\"a\",direction=\"down\"} 110".into(),
        "portico_backend_bytes_total{backend=\"a\",direction=\"up\"} 1".into(),
        "portico_backend_state_changes_total{backend=\"a\",state=\"open\"} 1".into(),
        "portico_backend_state{backend=\"a\",state=\"ok\"} 1".into(),
        "portico_backend_state{backend=\"a\",state=\"open\"} 0".into(),
        "portico_backend_state{backend=\"b\",state=\"open\"} 1".into(),
        "portico_backend_state{backend=\"b\",state=\"ok\"} 0".into(),
        "portico_backend_state{backend=\"b\",state=\"failing\"} 0".into(),
        "portico_backend_state{backend=\"b\",state=\"probing\"} 0".into(),
        "portico_backend_calls_in_flight{backend=\"a\"} 2".into(),
        "portico_backend_streams_in_flight{backend=\"a\"} 3".into(),
        "portico_backend_images{backend=\"a\"} 12".into(),
        "portico_requests_total{method=\"GET\",route=\"/v2/images/{id}\",status=\"204\"} 2".into(),
        "portico_requests_total{method=\"other\",route=\"unknown path\",status=\"404\"} 1".into(),
        "portico_request_duration_seconds_count{route=\"/v2/images/{id}\"} 2".into(),
        "portico_connections 7".into(),
        format!("portico_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\nis not in\n{text}");
    }
    assert!(!text.contains("portico_backend_images{backend=\"b\"}"), "what is not known is not told");
}

/// Type and labels of each metric, by its name as the documents have it.
fn told_in(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut told = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (family, kind) = line.split_once(' ').unwrap();
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let sample = if kind == "histogram" { "_count" } else { suffix };
        let start = format!("{family}{sample}");
        let line = text
            .lines()
            .find(|line| line.strip_prefix(&start).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let line = line.unwrap_or_else(|| panic!("{start} has no sample"));
        let labels = line.split('"').step_by(2).filter_map(|part| part.strip_suffix('='));
        let labels = labels.map(|part| part.rsplit(['{', ',']).next().unwrap().to_owned()).collect();
        let before = told.insert(format!("{family}{suffix}"), (kind.to_owned(), labels));
        assert_eq!(before, None, "{family} is told twice");
    }
    told
}

#[tokio::test]
async fn the_documents_name_every_metric_with_its_labels_and_no_other() {
    let mut promised = BTreeMap::new();
    for row in include_str!("metrics.rs").lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[2].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        promised.insert(cells[0].trim_end_matches('`').to_owned(), (cells[1].to_owned(), labels));
    }
    assert_eq!(promised.len(), 25);
    assert_eq!(told_in(&busy_text().await), promised);
}

#[tokio::test]
async fn each_metric_says_in_the_text_what_the_documents_say() {
    let text = busy_text().await;
    for row in include_str!("metrics.rs").lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let family = cells[0].trim_end_matches('`').trim_end_matches("_total").trim_end_matches("_info");
        let help = format!("# HELP {family} {}.\n", cells[3]);
        assert!(text.contains(&help), "{help}is not in\n{text}");
    }
}
