//! The contract, kept through two wires: a remote service as a backend, whose remote service is this program's own
//! Image API, in front of a federation. What one side says wrongly, the other misunderstands.
//!
//! A mistake that both sides make alike does not show here: `backends/http/tests/real_glance.rs` and
//! `tests/interop` hold each side against real services and real clients.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::sync::Arc;
use std::time::Duration;

use image_service::ImageService;
use image_service::conformance::Fixture;
use portico::api::{self, Front};
use portico::auth::none::Nobody;
use portico::federation::{Backend, Federation, Settings};
use portico_http::{Dialect, Options};
use portico_memory::Memory;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Ends a server with its test.
struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn federation() -> Arc<dyn ImageService> {
    let backend = |name: &str| Backend {
        name: name.into(),
        kind: "memory".into(),
        description: None,
        service: Arc::new(Memory::new(name, portico_memory::Options::default())),
        deadline: Duration::from_secs(10),
    };
    Arc::new(Federation::new(vec![backend("a"), backend("b")], Settings::default()).unwrap())
}

async fn through_the_front() -> Fixture {
    let settings = api::Settings::default();
    let router = api::router(Front::new(federation(), Arc::new(Nobody), settings));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let options = Options::new(Dialect::GlanceV2, endpoint.parse().unwrap());
    let service = portico_http::open("remote", options).await.unwrap();
    Fixture::new(service).keeping(Serving(serving))
}

image_service::conformance!(through_the_front);
