//! What authentication costs a request: the processor's time for a token that Keystone has told of already.
//!
//! `cargo bench --bench auth` prints a table; with `-- --short` it only checks that everything works. Times are medians
//! of rounds, because machines are noisy; nothing here fails for being slow. The bar is 50 µs.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "lists/cost.rs"]
#[allow(dead_code)]
mod cost;
#[path = "../crates/keystone/tests/scripted/mod.rs"]
mod scripted;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request};
use portico::api::{self, Front};
use portico::auth::Auth;
use portico::auth::keystone::{Keystone, Settings};
use portico::auth::none::Nobody;
use portico_keystone::{Address, Options, Session};
use portico_memory::Memory;
use tower::ServiceExt as _;

fn main() {
    let short = std::env::args().any(|argument| argument == "--short");
    let (rounds, requests) = if short { (3, 100) } else { (31, 10_000) };
    // One thread: what is measured is the work, not how it is handed around.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new().await;
        let alone = per_request(rounds, requests, async || drop(world.auth.caller(&world.headers).await.unwrap())).await;
        println!("a cached token alone: {:.2} µs of CPU", microseconds(alone));
        let (none, keystone) = (world.router(Arc::new(Nobody)), world.router(world.auth.clone()));
        let ask = async |router: &axum::Router| {
            let mut request = Request::get("/v2/schemas/member");
            request.headers_mut().unwrap().clone_from(&world.headers);
            let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), 200);
        };
        let without = per_request(rounds, requests, async || ask(&none).await).await;
        let with = per_request(rounds, requests, async || ask(&keystone).await).await;
        println!(
            "a request for a schema: {:.2} µs of CPU where nobody is asked, {:.2} µs with Keystone: {:.2} µs more",
            microseconds(without),
            microseconds(with),
            microseconds(with) - microseconds(without)
        );
        assert_eq!(world.keystone.asked_about(&world.token), 1, "the token was not remembered");
    });
}

struct World {
    keystone: scripted::Keystone,
    auth: Arc<Keystone>,
    token: String,
    headers: HeaderMap,
}

impl World {
    async fn new() -> Self {
        let keystone = scripted::Keystone::start().await;
        // As long as one of Fernet's with a few methods in it.
        let token = "gAAAAA".to_owned() + &"x".repeat(249);
        keystone.knows(&token, "user", "project", &["admin", "manager", "member", "reader"], 86_400);
        let credential = format!("user_id = 'u'\npassword = '{}'\nproject_id = 'p'", scripted::PASSWORD);
        let address = Address::try_from(keystone.url()).unwrap();
        let options = Options::new(address.clone(), toml::from_str(&credential).unwrap());
        let session = Arc::new(Session::open(options).await.unwrap());
        // However slow the machine is, the token is not asked about a second time.
        let settings = Settings { recheck: Duration::from_secs(3600), ..Settings::new(address) };
        let auth = Arc::new(Keystone::new(session, settings));
        let headers = HeaderMap::from_iter([
            (http::HeaderName::from_static("x-auth-token"), HeaderValue::from_str(&token).unwrap()),
            (http::header::USER_AGENT, HeaderValue::from_static("bench")),
        ]);
        assert!(auth.caller(&headers).await.unwrap().is_admin());
        Self { keystone, auth, token, headers }
    }

    fn router(&self, auth: Arc<dyn Auth>) -> axum::Router {
        let memory = Memory::new("memory", portico_memory::Options::default());
        api::router(Front::new(Arc::new(memory), auth, api::Settings::default()))
    }
}

/// The median over `rounds` of what one of `requests` costs.
async fn per_request(rounds: usize, requests: u32, request: impl AsyncFn()) -> Duration {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = cost::cpu_time();
        for _ in 0..requests {
            request().await;
        }
        times.push(cost::cpu_time().saturating_sub(begun) / requests);
    }
    times.sort_unstable();
    times[times.len() / 2]
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
