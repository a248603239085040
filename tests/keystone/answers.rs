//! What clients and the operator are told.

use axum::body::Body;
use http::{Request, Response};
use portico::api::{self, Front};
use portico_keystone::{Address, Credential};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::scripted::{Mood, PASSWORD};
use crate::{Desk, paper, pass};

fn router(desk: &Desk) -> axum::Router {
    let memory = portico_memory::Memory::new("memory", portico_memory::Options::default());
    let settings = api::Settings::default();
    api::router(Front::new(std::sync::Arc::new(memory), desk.auth.clone(), settings))
}

async fn list(desk: &Desk, token: Option<&str>) -> Response<Body> {
    let mut request = Request::get("/v2/images");
    if let Some(token) = token {
        request = request.header("x-auth-token", token);
    }
    router(desk).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn error(response: Response<Body>) -> Value {
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice::<Value>(&body).unwrap()["error"].clone()
}

#[tokio::test]
async fn a_bad_token_is_401_with_a_challenge_and_a_silent_keystone_503_without() {
    let desk = Desk::new().await;
    desk.keystone.knows("good", "alice", "red", &["member"], 3600);
    assert_eq!(list(&desk, Some("good")).await.status(), 200);
    for token in [None, Some("bad")] {
        let response = list(&desk, token).await;
        assert_eq!(response.status(), 401);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert_eq!(challenge, format!("Keystone uri=\"{}\"", desk.keystone.url()));
    }
    desk.keystone.is(Mood::Answers(500));
    pass(60).await;
    let response = list(&desk, Some("good")).await;
    assert_eq!(response.status(), 503);
    assert!(!response.headers().contains_key("www-authenticate"));
    let error = error(response).await;
    assert_eq!(error["message"], "the identity service does not answer now");
}

#[tokio::test]
async fn a_token_for_the_system_is_403() {
    let desk = Desk::new().await;
    desk.keystone.knows_of("system", Some(("system", serde_json::json!({"all": true}))), &["admin"]);
    assert_eq!(list(&desk, Some("system")).await.status(), 403);
}

#[tokio::test]
async fn what_keystone_refuses_us_is_503_for_clients_and_an_error_for_the_operator() {
    let wrong = "username = 'portico'\npassword = 'wrong-horse'\nproject_id = 's'";
    let desk =
        Desk::with_both(|_| {}, |options| options.credential = toml::from_str::<Credential>(wrong).unwrap())
            .await;
    let sheet = paper::lay();
    assert_eq!(list(&desk, Some("good")).await.status(), 503);
    let lines = sheet.lines();
    let told: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    assert_eq!(told[0]["fields"]["why"], "keystone does not take our credential");
}

#[tokio::test]
async fn silence_is_told_once_and_so_is_its_end_and_nothing_secret_is_written_or_printed() {
    let desk = Desk::new().await;
    desk.keystone.knows("hush-good", "alice", "red", &["member"], 3600);
    let sheet = paper::lay();
    for (mood, seconds) in
        [(Mood::Answers(500), 0), (Mood::Answers(500), 5), (Mood::Well, 5), (Mood::Well, 5)]
    {
        desk.keystone.is(mood);
        pass(seconds).await;
        list(&desk, Some("hush-good")).await;
        list(&desk, Some("hush-bad")).await;
    }
    let lines = sheet.lines();
    let told =
        |text: &str| lines.iter().filter(|line| line["fields"]["message"].as_str() == Some(text)).count();
    assert_eq!(told("keystone does not say who callers are; they are answered with 503"), 1, "{lines:?}");
    assert_eq!(told("keystone says again who callers are"), 1, "{lines:?}");
    let printed = format!("{lines:?} {:?}", desk.auth);
    for secret in ["hush", PASSWORD, "own-1", "SECRET-WORDS"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[test]
fn the_challenge_is_a_header_whatever_the_address_has_in_it() {
    for (given, expected) in
        [("http://h/\"x", "http://h/%22x"), ("http://bücher.example/v3/", "http://xn--bcher-kva.example/v3")]
    {
        assert_eq!(Address::try_from(given.to_owned()).unwrap().as_str(), expected);
    }
}
