//! A session with a Keystone that does as it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod scripted;

use std::time::Duration;

use image_service::Secret;
use portico_keystone::{Address, Credential, Failure, Late, Options, Reach, Session};
use serde_json::json;

use scripted::{Keystone, Mood, PASSWORD, Validation};

fn credential(password: &str) -> Credential {
    let text = format!("username = 'portico'\npassword = '{password}'\nproject_name = 'service'");
    toml::from_str(&text).unwrap()
}

fn options(keystone: &Keystone) -> Options {
    Options::new(Address::try_from(keystone.url()).unwrap(), credential(PASSWORD))
}

async fn session(keystone: &Keystone) -> Session {
    Session::open(options(keystone)).await.unwrap()
}

fn secret(token: &str) -> Secret {
    Secret::new(token)
}

#[tokio::test]
async fn a_token_is_told_with_user_project_and_roles() {
    let keystone = Keystone::start().await;
    keystone.knows("good", "alice", "red", &["Member", "reader"], 3600);
    let identity = session(&keystone).await.validate(&secret("good"), Late::Refused).await.unwrap().unwrap();
    assert_eq!((identity.user.id.as_str(), identity.user.name.as_str()), ("alice", "name of alice"));
    assert!(matches!(identity.reach, Reach::Project { project, .. } if project.id == "red"));
    assert!(identity.roles.iter().eq(["member", "reader"]));
    let expected = Validation { subject: "good".into(), own: "own-1".into(), query: "nocatalog=".into() };
    assert_eq!(keystone.ledger().validations, [expected]);
    let login = keystone.ledger().logins[0].clone();
    assert_eq!(login["auth"]["scope"]["project"]["name"], json!("service"));
}

#[tokio::test]
async fn a_token_that_keystone_does_not_know_is_an_answer() {
    let keystone = Keystone::start().await;
    keystone.knows("ended", "alice", "red", &["member"], -10);
    let session = session(&keystone).await;
    for token in ["unknown", "ended", "no header\ncarries this"] {
        assert_eq!(session.validate(&secret(token), Late::Refused).await, Ok(None), "{token}");
    }
    assert!(session.validate(&secret("ended"), Late::Allowed).await.unwrap().is_some());
    assert_eq!(session.validate(&secret("unknown"), Late::Allowed).await, Ok(None));
}

#[tokio::test]
async fn a_keystone_that_does_not_answer_as_it_should_is_silent_and_never_says_no() {
    let keystone = Keystone::start().await;
    keystone.knows("good", "alice", "red", &["member"], 3600);
    let session = session(&keystone).await;
    session.token().await.unwrap();
    for mood in [
        Mood::Answers(500),
        Mood::Answers(503),
        Mood::Answers(429),
        Mood::Answers(400),
        Mood::Redirects(keystone.url()),
        Mood::Babbles("{}".into()),
        Mood::Babbles("{\"token\": {}}".into()),
    ] {
        keystone.is(mood.clone());
        let failure = session.validate(&secret("good"), Late::Refused).await.unwrap_err();
        assert!(matches!(failure, Failure::Silent(_)), "{mood:?}: {failure}");
        assert!(!failure.to_string().contains("SECRET-WORDS"), "{failure}");
    }
    keystone.is(Mood::Answers(403));
    let failure = session.validate(&secret("good"), Late::Refused).await.unwrap_err();
    assert!(matches!(failure, Failure::Refused(_)), "{failure}");
}

#[tokio::test]
async fn a_token_goes_nowhere_else_than_to_keystone() {
    let (keystone, elsewhere) = (Keystone::start().await, Keystone::start().await);
    let session = session(&keystone).await;
    session.token().await.unwrap();
    keystone.is(Mood::Redirects(format!("{}/auth/tokens", elsewhere.url())));
    assert!(session.validate(&secret("good"), Late::Refused).await.is_err());
    assert_eq!((elsewhere.asked_about("good"), elsewhere.logins()), (0, 0));
}

#[tokio::test]
async fn nobody_at_the_address_is_silence() {
    let keystone = Keystone::start().await;
    let options = options(&keystone);
    drop(keystone);
    let session =
        Session::open(Options { connect_timeout: Duration::from_secs(1), ..options }).await.unwrap();
    assert!(matches!(session.token().await.unwrap_err(), Failure::Silent(_)));
}

#[tokio::test]
async fn an_answer_that_is_late_or_too_long_is_given_up() {
    let keystone = Keystone::start().await;
    let short = Options { answer_timeout: Duration::from_millis(100), ..options(&keystone) };
    keystone.holds();
    let failure = Session::open(short).await.unwrap().token().await.unwrap_err();
    assert!(matches!(failure, Failure::Silent(_)), "{failure}");
    keystone.goes_on();
    let small = Options { max_response: bytesize::ByteSize::b(100), ..options(&keystone) };
    let failure = Session::open(small).await.unwrap().token().await.unwrap_err();
    assert!(failure.to_string().contains("over 100 bytes"), "{failure}");
}

#[tokio::test]
async fn a_token_of_our_own_that_is_refused_is_replaced_once() {
    let keystone = Keystone::start().await;
    keystone.knows("good", "alice", "red", &["member"], 3600);
    let session = session(&keystone).await;
    assert!(session.validate(&secret("good"), Late::Refused).await.unwrap().is_some());
    keystone.drops_own_tokens();
    assert!(session.validate(&secret("good"), Late::Refused).await.unwrap().is_some());
    assert_eq!((keystone.logins(), keystone.asked_about("good")), (2, 3));
    // Now it takes none at all.
    keystone.is(Mood::Answers(401));
    assert!(matches!(session.validate(&secret("good"), Late::Refused).await, Err(Failure::Refused(_))));
    assert_eq!((keystone.logins(), keystone.asked_about("good")), (3, 4));
}

#[tokio::test]
async fn a_hundred_who_need_our_token_at_once_log_in_once() {
    let keystone = Keystone::start().await;
    let session = std::sync::Arc::new(session(&keystone).await);
    keystone.holds();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let session = std::sync::Arc::clone(&session);
        tasks.spawn(async move { session.token().await });
    }
    keystone.goes_on();
    for token in tasks.join_all().await {
        assert_eq!(token.unwrap(), "own-1");
    }
    assert_eq!(keystone.logins(), 1);
}

#[tokio::test]
async fn our_token_is_renewed_before_its_end_by_keystones_own_clock() {
    let keystone = Keystone::start().await;
    keystone.ledger().life = Duration::from_secs(100);
    let session = session(&keystone).await;
    assert_eq!(session.token().await.unwrap(), "own-1");
    for (seconds, expected) in [(79, "own-1"), (2, "own-2")] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
        assert_eq!(session.token().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such_and_not_sent_again_at_once() {
    let keystone = Keystone::start().await;
    let options = Options { credential: credential("wrong-horse"), ..options(&keystone) };
    let session = Session::open(options).await.unwrap();
    for _ in 0..10 {
        let failure = session.token().await.unwrap_err();
        assert_eq!(failure, Failure::Refused("keystone does not take our credential".into()));
    }
    assert_eq!(keystone.logins(), 1);
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let keystone = Keystone::start().await;
    let session = session(&keystone).await;
    let token = session.token().await.unwrap();
    let printed = format!("{session:?} {token:?} {:?}", options(&keystone));
    for secret in [PASSWORD, "own-1"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn limits_of_a_project_go_before_registered_ones_and_those_of_the_region_before_others() {
    let keystone = Keystone::start().await;
    let limit = |key: &str, name: &str, region: Option<&str>, limit: i64| json!({"resource_name": name, key: limit, "region_id": region, "project_id": "red", "service_id": "s"});
    let registered = |name, region, number| limit("default_limit", name, region, number);
    let own = |name, region, number| limit("resource_limit", name, region, number);
    keystone.ledger().pages = [
        ("/v3/services?type=image", json!({"services": [{"id": "s", "type": "image"}]})),
        ("/v3/services?type=compute", json!({"services": []})),
        (
            "/v3/registered_limits?service_id=s",
            json!({"registered_limits": [
                registered("count", None, 10), registered("size", None, 20), registered("size", Some("one"), 21),
                registered("stage", Some("two"), 30), registered("uploading", Some("one"), -1),
            ]}),
        ),
        ("/v3/limits?service_id=s&project_id=red", json!({"limits": [own("count", None, 5), own("size", Some("two"), 99)]})),
    ]
    .map(|(path, page)| (path.to_owned(), page))
    .into();
    let session = session(&keystone).await;
    let limits = session.limits("image", Some("one"), "red").await.unwrap();
    let on = |name| limits.on(name);
    assert_eq!((on("count"), on("size"), on("stage"), on("uploading")), (Some(5), Some(21), None, Some(-1)));
    assert_eq!(session.limits("compute", None, "red").await.unwrap().on("count"), None);
    keystone.ledger().pages.remove("/v3/limits?service_id=s&project_id=red");
    assert!(session.limits("image", None, "red").await.is_err());
}
