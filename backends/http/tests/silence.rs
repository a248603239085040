//! A server that falls silent, at every point where one can, and a caller that goes away.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod server;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use futures::{StreamExt, TryStreamExt};
use image_service::{Caller, Context, Error, ErrorKind, ImageId, ImageService, Query};
use portico_http::{Dialect, GlanceV2, Options};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use server::{Server, answer, id, image, reply};

/// Longer than anything here takes, and shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(20);
/// The one time under test; all others are beyond anybody's patience.
const SHORT: Duration = Duration::from_millis(100);

fn options(address: SocketAddr) -> Options {
    let far = 2 * PATIENCE;
    let endpoint = format!("http://{address}").parse().unwrap();
    Options {
        connect_timeout: far,
        answer_timeout: far,
        idle_timeout: far,
        ..Options::new(Dialect::GlanceV2, endpoint)
    }
}

async fn glance(options: Options) -> GlanceV2 {
    GlanceV2::open("there", options).await.unwrap()
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-silence")
}

fn one() -> ImageId {
    ImageId::lookup(id(1))
}

/// Lists, and gives the error that comes of it in time.
async fn failure(glance: &GlanceV2) -> Error {
    let start = Instant::now();
    let error = timeout(PATIENCE, glance.detail(&admin(), &Query::default())).await.unwrap().unwrap_err();
    assert!(start.elapsed() >= SHORT, "too early");
    error
}

/// A body that begins so and then comes no further.
fn stalled(start: &'static str) -> Body {
    let start = futures::stream::iter([Ok::<_, Infallible>(Bytes::from_static(start.as_bytes()))]);
    Body::from_stream(start.chain(futures::stream::pending()))
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_given_up() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts these, and there is no room for more: whoever comes next is not answered at all.
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(timeout(PATIENCE, TcpStream::connect(address)).await.unwrap().unwrap());
    }
    let glance = glance(Options { connect_timeout: SHORT, ..options(address) }).await;
    assert_eq!(failure(&glance).await.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let glance = glance(Options { answer_timeout: SHORT, ..options(listener.local_addr().unwrap()) }).await;
    assert_eq!(failure(&glance).await.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn an_answer_that_does_not_end_in_time_is_given_up() {
    let server = Server::start(|_| reply(200, &[], stalled("{\"images\": ["))).await;
    let glance = glance(Options { answer_timeout: SHORT, ..options(server.address) }).await;
    assert_eq!(failure(&glance).await.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn an_answer_is_given_up_when_nobody_waits_for_it_any_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let glance = glance(options(listener.local_addr().unwrap())).await;
    let context = Context { deadline: Some(Instant::now() + SHORT), ..admin() };
    let error = timeout(PATIENCE, glance.show(&context, &one())).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn data_that_stops_coming_ends_in_an_error() {
    let server = Server::start(|call| {
        if call.path.ends_with("/file") {
            return reply(200, &[("content-length", "10".into())], stalled("0123"));
        }
        let mut image = image(1, 1);
        for (key, value) in [
            ("status", json!("active")),
            ("size", json!(10)),
            ("disk_format", json!("raw")),
            ("container_format", json!("bare")),
        ] {
            image[key] = value;
        }
        answer(200, &image)
    })
    .await;
    let glance = glance(Options { idle_timeout: 10 * SHORT, ..options(server.address) }).await;
    let data = glance.get(&admin(), &one(), None).await.unwrap().data.unwrap();
    let mut stream = data.into_stream();
    assert_eq!(stream.next().await.unwrap().unwrap(), "0123");
    let rest = timeout(PATIENCE, stream.try_collect::<Vec<Bytes>>()).await.unwrap();
    assert_eq!(rest.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_caller_that_goes_away_closes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let glance = glance(options(listener.local_addr().unwrap())).await;
    let (context, id) = (admin(), one());
    let accepted = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 3];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"GET");
        stream
    };
    let mut stream = tokio::select! {
        stream = timeout(PATIENCE, accepted) => stream.unwrap(),
        _ = glance.show(&context, &id) => panic!("nobody answered"),
    };
    let mut rest = Vec::new();
    // It ends; a reset is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the connection closes");
}
