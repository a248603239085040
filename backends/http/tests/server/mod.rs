//! A server that answers as it is told, to show what no real Glance does on demand.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod database;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Of a parameter given twice, the last.
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    /// What came of the body, and whether it came to its proper end.
    pub(crate) body: (Bytes, Ended),
}

/// How a request's body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Whole,
    BrokenOff,
    /// Nobody looked.
    Unread,
}

type Script = dyn Fn(&Call) -> Response + Send + Sync;

/// A server on loopback. It is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each request, once its body has come, as `script` says.
    pub(crate) async fn start(script: impl Fn(&Call) -> Response + Send + Sync + 'static) -> Self {
        Self::serve(Arc::new(script), true).await
    }

    /// Answers each request as `script` says before its body has come.
    pub(crate) async fn hasty(script: impl Fn(&Call) -> Response + Send + Sync + 'static) -> Self {
        Self::serve(Arc::new(script), false).await
    }

    async fn serve(script: Arc<Script>, reads: bool) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&calls);
        let app = Router::new().fallback(move |request: Request| {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            async move {
                let call = read(request, reads).await;
                log.lock().unwrap().push(call.clone());
                script(&call)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, calls, task }
    }

    /// The requests so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// How many requests of this method there were on paths that end so.
    pub(crate) fn count(&self, method: &Method, end: &str) -> usize {
        self.calls().iter().filter(|call| call.method == *method && call.path.ends_with(end)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(request: Request, reads: bool) -> Call {
    let (head, body) = request.into_parts();
    let mut parts = Vec::new();
    let mut ended = if reads { Ended::Whole } else { Ended::Unread };
    if reads {
        let mut stream = body.into_data_stream();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => parts.push(chunk),
                Err(_) => {
                    ended = Ended::BrokenOff;
                    break;
                }
            }
        }
    }
    let url = url::Url::parse(&format!("http://h{}", head.uri)).unwrap();
    Call {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers: head.headers,
        body: (parts.concat().into(), ended),
    }
}

/// An answer in JSON.
pub(crate) fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

/// An answer of some status, headers and bytes.
pub(crate) fn reply(status: u16, headers: &[(&'static str, String)], body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

/// A body that comes in chunks and stops behind them, whatever its announced length.
pub(crate) fn chunks(parts: &[&'static str]) -> Body {
    let parts: Vec<_> =
        parts.iter().map(|part| Ok::<_, std::io::Error>(Bytes::from_static(part.as_bytes()))).collect();
    Body::from_stream(futures::stream::iter(parts))
}

/// The number of an image, as an id.
pub(crate) fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// An image as Glance would show it: public, queued, made in the given second.
pub(crate) fn image(number: usize, second: u32) -> Value {
    let time = format!("2026-11-23T12:{:02}:{:02}Z", second / 60, second % 60);
    json!({
        "id": id(number), "name": format!("image-{number}"), "status": "queued", "visibility": "public",
        "owner": "them", "size": null, "os_hidden": false, "created_at": time, "updated_at": time,
    })
}

/// What a listing server is like.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    /// The most images in a page.
    pub(crate) cap: usize,
    /// What it gives as `next` when there are more.
    pub(crate) next: Option<String>,
}

impl Default for Habits {
    fn default() -> Self {
        Self { cap: 1000, next: Some("/v2/images?marker=somewhere".to_owned()) }
    }
}

/// One page out of `images`, which are in the server's order, by `limit`, `marker`, `os_hidden` and bounds of
/// `created_at` alone.
pub(crate) fn page(images: &[Value], habits: &Habits, call: &Call) -> Response {
    let hidden = call.query.get("os_hidden").is_some_and(|hidden| hidden == "true");
    let of_half: Vec<&Value> = images.iter().filter(|image| image["os_hidden"] == json!(hidden)).collect();
    let of_half: Vec<&Value> = of_half.into_iter().filter(|image| is_made_within(image, call)).collect();
    let start = match call.query.get("marker") {
        None => 0,
        Some(marker) => match of_half.iter().position(|image| image["id"] == json!(marker)) {
            Some(at) => at + 1,
            None => return answer(400, &json!({"message": "no image found with that ID"})),
        },
    };
    let limit = call.query.get("limit").map_or(25, |limit| limit.parse().unwrap()).min(habits.cap);
    let items: Vec<&Value> = of_half.into_iter().skip(start).take(limit).collect();
    let mut body = json!({"images": items, "first": "/v2/images"});
    if let (true, Some(next)) = (items.len() == limit && limit > 0, &habits.next) {
        body["next"] = json!(next);
    }
    answer(200, &body)
}

fn is_made_within(image: &Value, call: &Call) -> bool {
    let made = image["created_at"].as_str().unwrap();
    match call.query.get("created_at").and_then(|bound| bound.split_once(':')) {
        None => true,
        Some(("lt", bound)) => made < bound,
        Some(("gte", bound)) => made >= bound,
        Some(other) => panic!("a bound that would look at microseconds: {other:?}"),
    }
}

/// A server that lists `images` in this order, and shows each.
pub(crate) async fn listing(images: Vec<Value>, habits: Habits) -> Server {
    Server::start(move |call| match call.path.strip_prefix("/v2/images") {
        Some("") => page(&images, &habits, call),
        Some(rest) => {
            let found = images.iter().find(|image| image["id"].as_str() == rest.strip_prefix('/'));
            found.map_or_else(|| answer(404, &json!({})), |image| answer(200, image))
        }
        None => answer(404, &json!({})),
    })
    .await
}
