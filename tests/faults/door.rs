//! The front door of a case: asks, and sees to what holds for every answer.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use image_service::SourceState;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::case::Case;
use crate::misbehaviour::{FOREIGN, UPSTREAM_TEXT};

/// No request may take longer, however busy the machine is. A fault lasts longer than this, and so does the deadline of
/// every backend that is not meant to miss it.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Door {
    router: Router,
    case: Case,
    /// What no client may read.
    secrets: Vec<String>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    case: Case,
    what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// `None` if it broke off.
    pub(crate) body: Option<Bytes>,
}

impl Door {
    pub(crate) const fn to(router: Router, case: Case, secrets: Vec<String>) -> Self {
        Self { router, case, secrets }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(Request::delete(path).body(Body::empty()).unwrap()).await
    }

    /// Sends JSON.
    pub(crate) async fn send(&self, method: Method, path: &str, media_type: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", media_type);
        self.ask(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let what = format!("{} {}", request.method(), request.uri());
        let case = self.case;
        let answer = async {
            let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
            (head, body.collect().await.ok().map(|body| body.to_bytes()))
        };
        let Ok((head, body)) = tokio::time::timeout(PATIENCE, answer).await else {
            panic!("{case}: {what} hangs");
        };
        let answer = Answer { case, what, status: head.status.as_u16(), headers: head.headers, body };
        answer.check_discretion(&self.secrets);
        answer
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {self:?}", self.case);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }

    /// What a fault says.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    /// The ids in a list.
    pub(crate) fn ids(&self) -> Vec<String> {
        let images = self.json();
        let images = images["images"].as_array().unwrap().iter();
        images.map(|image| image["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Each backend with its state, as the header of a list tells them.
    pub(crate) fn states(&self) -> Vec<(String, SourceState)> {
        let Some(header) = self.headers.get("portico-backends") else { return Vec::new() };
        let header = header.to_str().unwrap();
        let pairs = header.split(", ").map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, state)| (name.to_owned(), state.parse().unwrap())).collect()
    }

    /// Nothing that the upstream says, nor where it lives, is in the answer, be it good or bad.
    fn check_discretion(&self, secrets: &[String]) {
        let headers = self.headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let body = self.body.as_ref().map(|body| String::from_utf8_lossy(body));
        for text in headers.chain(body) {
            let secrets = secrets.iter().map(String::as_str);
            for secret in secrets.chain([UPSTREAM_TEXT, FOREIGN]) {
                assert!(!text.contains(secret), "{}: {} tells {secret}: {text}", self.case, self.what);
            }
        }
    }
}
