//! Callers by what a Keystone says of their tokens, with a Keystone that does as it is told.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

#[path = "../api/paper.rs"]
#[allow(dead_code)]
mod paper;
#[path = "../../crates/keystone/tests/scripted/mod.rs"]
mod scripted;

mod answers;
mod callers;
mod limits;
mod memory;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use image_service::Caller;
use portico::auth::keystone::Settings;
use portico::auth::{Auth as _, Refusal, keystone};
use portico_keystone::{Address, Credential, Options, Session};

use scripted::{Keystone, PASSWORD};

/// The settings under test, with a Keystone that they know callers by.
struct Desk {
    keystone: Keystone,
    auth: Arc<keystone::Keystone>,
}

fn address(url: String) -> Address {
    Address::try_from(url).unwrap()
}

impl Desk {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_both(change, |_| {}).await
    }

    async fn with_both(change: impl FnOnce(&mut Settings), of_session: impl FnOnce(&mut Options)) -> Self {
        paper::ready();
        let keystone = Keystone::start().await;
        let credential: Credential =
            toml::from_str(&format!("username = 'portico'\npassword = '{PASSWORD}'\nproject_id = 's'"))
                .unwrap();
        let mut options = Options::new(address(keystone.url()), credential);
        of_session(&mut options);
        let mut settings = Settings::new(address(keystone.url()));
        change(&mut settings);
        let session = Arc::new(Session::open(options).await.unwrap());
        Self { keystone, auth: Arc::new(keystone::Keystone::new(session, settings)) }
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        self.auth.caller(headers).await
    }

    async fn ask(&self, token: &str) -> Result<Caller, Refusal> {
        self.caller(&with(token)).await
    }
}

/// Headers with a token.
fn with(token: &str) -> HeaderMap {
    headers(&[("x-auth-token", token)])
}

/// Headers with a token and that of a service.
fn on_behalf(token: &str, service: &str) -> HeaderMap {
    headers(&[("x-auth-token", token), ("x-service-token", service)])
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn is_unknown(outcome: &Result<Caller, Refusal>) -> bool {
    matches!(outcome, Err(Refusal::Unknown { .. }))
}

fn is_silent(outcome: &Result<Caller, Refusal>) -> bool {
    matches!(outcome, Err(Refusal::Silent(_)))
}

/// Lets time pass, between two questions.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}
