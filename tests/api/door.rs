//! A front door with a service behind it, and short ways to ask it things.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::BodyExt;
use image_service::{Caller, ImageService};
use portico::api::{Front, Route, Settings, router};
use portico::auth::{Auth, Refusal};
use portico_memory::{Memory, Options};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::paper;

pub(crate) const PATCH: &str = "application/openstack-images-v2.1-json-patch";
pub(crate) const OCTETS: &str = "application/octet-stream";

/// Believes the header `x-caller`: `project:role,role`. An empty project is none.
#[derive(Debug)]
struct Believing;

#[async_trait]
impl Auth for Believing {
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let refusal = || Refusal::Unknown {
            message: "who are you?".into(),
            challenge: Some(HeaderValue::from_static("Test realm=\"images\"")),
        };
        let caller = headers.get("x-caller").ok_or_else(refusal)?.to_str().map_err(|_| refusal())?;
        let (project, roles) = caller.split_once(':').unwrap_or((caller, "member,reader"));
        let roles: BTreeSet<String> = roles.split(',').map(str::to_owned).collect();
        let project = Some(project.to_owned()).filter(|project| !project.is_empty());
        Ok(Caller { project, roles, ..Caller::default() })
    }
}

pub(crate) struct Door {
    router: axum::Router,
    /// Whether clients of v1 are spoken to.
    v1: bool,
}

impl Door {
    pub(crate) fn to(service: Arc<dyn ImageService>) -> Self {
        Self::with(service, Settings::default())
    }

    pub(crate) fn with(service: Arc<dyn ImageService>, settings: Settings) -> Self {
        Self::before(service, settings, |front| front)
    }

    /// A door to a service and what `beside` puts beside it.
    pub(crate) fn before(
        service: Arc<dyn ImageService>,
        settings: Settings,
        beside: impl FnOnce(Front) -> Front,
    ) -> Self {
        paper::ready();
        let v1 = settings.v1;
        Self { router: router(beside(Front::new(service, Arc::new(Believing), settings))), v1 }
    }

    /// A door to an empty memory.
    pub(crate) fn to_memory() -> Self {
        Self::to(Arc::new(memory()))
    }

    pub(crate) fn router(&self) -> axum::Router {
        self.router.clone()
    }

    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        let is_head = ask.0.method() == Method::HEAD;
        let response = self.router.clone().oneshot(ask.0).await.unwrap();
        let (head, body) = response.into_parts();
        assert!(head.extensions.get::<Route>().is_some(), "every answer says which route it is of");
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer { status: head.status.as_u16(), headers: head.headers, body };
        answer.check_request_id();
        match is_head {
            true => {}
            false if answer.header("x-compute-request-id").is_some() => answer.check_named_fault(),
            false if self.v1 && !answer.is_json() => answer.check_old_fault(),
            false => answer.check_fault(),
        }
        answer
    }

    /// Makes an image, as a member of project `a`.
    pub(crate) async fn create(&self, image: Value) -> Value {
        self.ask(post("/v2/images").json(&image)).await.expect(201).json()
    }

    /// Makes an image with data, and gives its id.
    pub(crate) async fn active(&self, data: &'static [u8]) -> String {
        let id = self.queued().await;
        self.ask(put(format!("/v2/images/{id}/file")).octets(data)).await.expect(204);
        id
    }

    /// Makes an image that can take data, and gives its id.
    pub(crate) async fn queued(&self) -> String {
        id_of(&self.create(json!({"disk_format": "raw", "container_format": "bare"})).await)
    }

    pub(crate) async fn show(&self, id: &str) -> Value {
        self.ask(get(format!("/v2/images/{id}"))).await.expect(200).json()
    }

    pub(crate) async fn patch(&self, id: &str, operations: Value) -> Answer {
        self.ask(patch(id, operations)).await
    }
}

pub(crate) fn memory() -> Memory {
    Memory::new("memory", Options::default())
}

pub(crate) fn id_of(image: &Value) -> String {
    image["id"].as_str().unwrap().to_owned()
}

/// A request, by default of a member of project `a`.
#[derive(Debug)]
pub(crate) struct Ask(Request<Body>);

pub(crate) fn ask(method: &str, path: impl AsRef<str>) -> Ask {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    *request.uri_mut() = path.as_ref().parse().unwrap();
    Ask(request).header("x-caller", "a")
}

pub(crate) fn get(path: impl AsRef<str>) -> Ask {
    ask("GET", path)
}

pub(crate) fn post(path: impl AsRef<str>) -> Ask {
    ask("POST", path)
}

pub(crate) fn put(path: impl AsRef<str>) -> Ask {
    ask("PUT", path)
}

pub(crate) fn delete(path: impl AsRef<str>) -> Ask {
    ask("DELETE", path)
}

pub(crate) fn patch(id: &str, operations: Value) -> Ask {
    ask("PATCH", format!("/v2/images/{id}")).header("content-type", PATCH).json(&operations)
}

impl Ask {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.0.headers_mut().insert(HeaderName::from_static(name), value);
        self
    }

    /// On behalf of `project:role,role`.
    pub(crate) fn by(self, caller: &str) -> Self {
        self.header("x-caller", caller)
    }

    pub(crate) fn by_nobody(mut self) -> Self {
        self.0.headers_mut().remove("x-caller");
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    pub(crate) fn octets(self, body: impl Into<Body>) -> Self {
        self.header("content-type", OCTETS).body(body)
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        *self.0.body_mut() = body.into();
        self
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What the fault says.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    fn check_request_id(&self) {
        let id = self.header("x-openstack-request-id").expect("every answer has a request id");
        assert!(id.starts_with("req-"), "{id}");
    }

    fn is_json(&self) -> bool {
        self.header("content-type") == Some("application/json")
    }

    /// What a fault of v1 says.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap().split_once("\n\n").unwrap().1.trim_end()
    }

    /// Clients of v1 read plain text.
    fn check_old_fault(&self) {
        if self.status >= 400 {
            assert_eq!(self.header("content-type"), Some("text/plain; charset=UTF-8"));
            let title = format!("{} ", self.status);
            assert!(self.body.starts_with(title.as_bytes()) && !self.text().is_empty(), "{:?}", self.body);
        }
    }

    /// Clients of Nova read a fault that has a name.
    fn check_named_fault(&self) {
        assert_eq!(self.header("x-compute-request-id"), self.header("x-openstack-request-id"));
        if self.status >= 400 {
            assert_eq!(self.header("content-type"), Some("application/json"));
            let fault = self.json();
            let faults: Vec<&Value> = fault.as_object().unwrap().values().collect();
            assert_eq!(faults.len(), 1, "{fault}");
            assert_eq!(faults[0]["code"], self.status, "{fault}");
            assert!(faults[0]["message"].is_string() && faults[0].as_object().unwrap().len() == 2, "{fault}");
        }
    }

    /// Every refusal is told in the one shape that all clients read.
    fn check_fault(&self) {
        if self.status >= 400 {
            assert_eq!(self.header("content-type"), Some("application/json"));
            let fault = self.json();
            assert_eq!(fault["error"]["code"], self.status);
            assert!(fault["error"]["title"].is_string() && fault["error"]["message"].is_string(), "{fault}");
            assert_eq!(fault.as_object().unwrap().len(), 1, "a flat fault breaks clients: {fault}");
        }
    }
}
