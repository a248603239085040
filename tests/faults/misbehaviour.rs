//! How each fault looks on the wire.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use crate::fault::Fault;
use crate::upstream::until_gone;

/// A sentence of the upstream's that no client may ever read.
pub(crate) const UPSTREAM_TEXT: &str = "as told by the machine upstream";

/// Where the links of [`Fault::ForeignNext`] lead.
pub(crate) const FOREIGN: &str = "http://foreign.invalid:9";

/// What the one inside said.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers a request, well or with a fault.
pub(crate) async fn answer(
    mut stream: TcpStream,
    fault: Option<Fault>,
    request: Request<Body>,
    inside: &Router,
) -> io::Result<()> {
    let answer = match fault {
        Some(Fault::ResetsRequests) => {
            reset(&stream);
            return Ok(());
        }
        Some(fault) => changed(fault, request, inside).await,
        None => ask(inside, request).await,
    };
    let body = &answer.body[..];
    let half = &body[..body.len() / 2];
    match fault {
        Some(Fault::EndsMidHead) => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-ty").await?,
        Some(Fault::ResetsMidBody) => {
            stream.write_all(&head(&answer, Some(body.len()))).await?;
            stream.write_all(half).await?;
            reset(&stream);
            return Ok(());
        }
        Some(Fault::AnnouncesTooMuch) => {
            stream.write_all(&head(&answer, Some(body.len() + 1))).await?;
            stream.write_all(body).await?;
        }
        Some(Fault::AnnouncesTooLittle) => {
            stream.write_all(&head(&answer, Some(half.len()))).await?;
            stream.write_all(body).await?;
        }
        Some(Fault::EndlessBody) => {
            stream.write_all(&head(&answer, None)).await?;
            stream.write_all(body).await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
            }
        }
        Some(Fault::OneByteASecond) => {
            stream.write_all(&head(&answer, Some(body.len()))).await?;
            let mut second = tokio::time::interval(Duration::from_secs(1));
            for byte in body {
                second.tick().await;
                stream.write_all(&[*byte]).await?;
            }
        }
        Some(Fault::SilentBehindHead) => {
            stream.write_all(&head(&answer, Some(body.len()))).await?;
            until_gone(stream).await;
            return Ok(());
        }
        _ => {
            stream.write_all(&head(&answer, Some(body.len()))).await?;
            stream.write_all(body).await?;
        }
    }
    stream.shutdown().await
}

/// Ends a connection with a reset instead of in good order, once it is dropped.
pub(crate) fn reset(stream: &TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// What is answered instead of what is true.
async fn changed(fault: Fault, mut request: Request<Body>, inside: &Router) -> Answer {
    let is_list = request.uri().path() == "/v2/images" && request.method() == http::Method::GET;
    let marker = marker(&request);
    match fault {
        Fault::Answers(status) => told(status, UPSTREAM_TEXT),
        Fault::NoJson => told(200, &format!("<html><body>{UPSTREAM_TEXT}</body></html>")),
        Fault::WrongShape => {
            told(200, &json!({"images": {"message": UPSTREAM_TEXT}, "id": [UPSTREAM_TEXT]}).to_string())
        }
        Fault::IgnoresMarker if is_list => {
            *request.uri_mut() = without_marker(&request).parse().unwrap();
            ask(inside, request).await
        }
        Fault::OutOfOrder if is_list => {
            rewritten(ask(inside, request).await, |page| page["images"].as_array_mut().unwrap().reverse())
        }
        Fault::ForeignNext if is_list => rewritten(ask(inside, request).await, |page| {
            if let Some(next) = page["next"].as_str() {
                page["next"] = Value::from(format!("{FOREIGN}{next}"));
            }
        }),
        Fault::Repeats if is_list && marker.is_some() => {
            let show = Request::get(format!("/v2/images/{}", marker.unwrap())).body(Body::empty()).unwrap();
            let repeated: Value = serde_json::from_slice(&ask(inside, show).await.body).unwrap();
            rewritten(ask(inside, request).await, |page| {
                page["images"].as_array_mut().unwrap().insert(0, repeated);
            })
        }
        _ => ask(inside, request).await,
    }
}

fn marker(request: &Request<Body>) -> Option<String> {
    let pairs = form_urlencoded::parse(request.uri().query()?.as_bytes());
    pairs.filter(|(key, _)| key == "marker").map(|(_, value)| value.into_owned()).last()
}

fn without_marker(request: &Request<Body>) -> String {
    let query = request.uri().query().unwrap_or_default();
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("marker=")).collect();
    format!("{}?{}", request.uri().path(), kept.join("&"))
}

async fn ask(inside: &Router, request: Request<Body>) -> Answer {
    let response = inside.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    Answer { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
}

fn told(status: u16, text: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap();
    Answer { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(text.as_bytes()) }
}

fn rewritten(answer: Answer, change: impl FnOnce(&mut Value)) -> Answer {
    let mut page: Value = serde_json::from_slice(&answer.body).unwrap();
    change(&mut page);
    Answer { body: Bytes::from(page.to_string()), ..answer }
}

/// The head of an answer whose body has this announced length, or none.
fn head(answer: &Answer, length: Option<usize>) -> Vec<u8> {
    let mut head =
        format!("HTTP/1.1 {} {UPSTREAM_TEXT}\r\nconnection: close\r\n", answer.status.as_u16()).into_bytes();
    for (name, value) in &answer.headers {
        if name != "content-length" {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
    }
    if let Some(length) = length {
        head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}
