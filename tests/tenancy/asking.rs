//! Requests to a front door, and its answers.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::people::{Person, TOKEN};

/// A request. `{id}` in the path and `"{id}"` in the body stand for the image's id.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self
    }

    pub(crate) fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Sends it for `person`, of the image `id`.
    pub(crate) async fn send(&self, router: &axum::Router, person: Person, id: &str) -> Answer {
        let mut request = Request::builder().method(self.method).uri(self.path.replace("{id}", id));
        request = request.header(TOKEN, person.token);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(self.body.clone())).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec());
        Answer { status: head.status.as_u16(), headers: head.headers, body: body.ok() }
    }
}

/// An answer. Without a body the data broke off.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        self.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.body.as_deref().unwrap_or_default()).into_owned()
    }

    /// All that a client could read in it, what is packed into cursors too.
    pub(crate) fn all_text(&self) -> String {
        let mut text = self.text();
        for (name, value) in &self.headers {
            text.push_str(&format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        let json = self.json();
        let next = json["next"].as_str().unwrap_or_default();
        for parameter in next.split(['?', '&']) {
            let packed = parameter.split_once('=').and_then(|(_, value)| URL_SAFE_NO_PAD.decode(value).ok());
            text.push_str(&String::from_utf8_lossy(&packed.unwrap_or_default()));
        }
        text
    }

    /// What must be the same for an image that is hidden from the caller and for one that is not there.
    pub(crate) fn face(&self, id: &str) -> (u16, String, String) {
        let hide = |text: &str| text.replace(id, "<id>");
        let mut headers: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| *name != "x-openstack-request-id" && *name != "content-length")
            .map(|(name, value)| hide(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        headers.sort_unstable();
        (self.status, hide(&self.text()), headers.join("\n"))
    }
}
