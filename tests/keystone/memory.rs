//! What is remembered of tokens, and for how long.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::scripted::Mood;
use crate::{Desk, is_silent, is_unknown, on_behalf, pass};

#[tokio::test]
async fn keystone_is_asked_once_about_a_token_until_it_is_rechecked() {
    let desk = Desk::new().await;
    desk.keystone.knows("good", "alice", "red", &["member"], 3600);
    for _ in 0..10 {
        desk.ask("good").await.unwrap();
    }
    pass(58).await;
    desk.ask("good").await.unwrap();
    assert_eq!(desk.keystone.asked_about("good"), 1);
    pass(3).await;
    desk.ask("good").await.unwrap();
    assert_eq!(desk.keystone.asked_about("good"), 2);
}

#[tokio::test]
async fn a_revocation_is_noticed_within_the_time_to_recheck() {
    let desk = Desk::with(|settings| settings.recheck = Duration::from_secs(30)).await;
    desk.keystone.knows("good", "alice", "red", &["member"], 3600);
    desk.ask("good").await.unwrap();
    desk.keystone.forgets("good");
    assert!(desk.ask("good").await.is_ok());
    pass(30).await;
    assert!(is_unknown(&desk.ask("good").await));
}

#[tokio::test]
async fn a_token_is_not_believed_beyond_its_own_end() {
    let desk = Desk::new().await;
    desk.keystone.knows("short", "alice", "red", &["member"], 20);
    desk.ask("short").await.unwrap();
    pass(20).await;
    desk.keystone.forgets("short");
    assert!(is_unknown(&desk.ask("short").await));
}

#[tokio::test]
async fn a_token_that_keystone_tells_of_after_its_end_is_worthless() {
    let desk = Desk::new().await;
    desk.keystone.knows("nova", "nova", "service", &["service"], 3600);
    desk.keystone.knows("ended", "alice", "red", &["member"], -1);
    let told = desk.keystone.ledger().tokens["ended"].clone();
    desk.keystone.is(Mood::Well);
    desk.caller(&on_behalf("ended", "nova")).await.unwrap();
    // A Keystone whose clock is behind.
    desk.keystone.is(Mood::Babbles(serde_json::json!({ "token": told }).to_string()));
    assert!(is_unknown(&desk.ask("ended").await));
}

#[tokio::test]
async fn a_worthless_token_is_asked_about_again_after_a_while_and_may_be_good_then() {
    let desk = Desk::new().await;
    for _ in 0..10 {
        assert!(is_unknown(&desk.ask("early").await));
    }
    assert_eq!(desk.keystone.asked_about("early"), 1);
    desk.keystone.knows("early", "alice", "red", &["member"], 3600);
    pass(10).await;
    assert!(desk.ask("early").await.is_ok());
}

#[tokio::test]
async fn of_a_hundred_who_come_at_once_with_a_new_token_one_asks() {
    let desk = Arc::new(Desk::new().await);
    desk.keystone.knows("good", "alice", "red", &["member"], 3600);
    desk.keystone.holds();
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let desk = Arc::clone(&desk);
        tasks.spawn(async move { desk.ask("good").await });
    }
    // All have begun before any is answered.
    tokio::task::yield_now().await;
    desk.keystone.goes_on();
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    assert_eq!((desk.keystone.asked_about("good"), desk.keystone.logins()), (1, 1));
}

#[tokio::test]
async fn a_silent_keystone_costs_all_who_wait_one_question() {
    let desk = Arc::new(Desk::new().await);
    desk.ask("unknown").await.unwrap_err();
    desk.keystone.is(Mood::Answers(500));
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let desk = Arc::clone(&desk);
        tasks.spawn(async move { desk.ask("good").await });
    }
    assert!(tasks.join_all().await.iter().all(is_silent));
    assert_eq!(desk.keystone.asked_about("good"), 1);
    desk.keystone.is(Mood::Well);
    desk.keystone.knows("good", "alice", "red", &["member"], 3600);
    pass(1).await;
    assert!(desk.ask("good").await.is_ok());
}

#[tokio::test]
async fn a_flood_of_worthless_tokens_drives_out_no_good_one() {
    let desk = Desk::with(|settings| (settings.cache, settings.refused) = (10, 10)).await;
    desk.keystone.knows("good", "alice", "red", &["member"], 3600);
    desk.ask("good").await.unwrap();
    for number in 0..100 {
        assert!(is_unknown(&desk.ask(&format!("bad-{number}")).await));
    }
    desk.ask("good").await.unwrap();
    assert_eq!(desk.keystone.asked_about("good"), 1);
    // Of the bad ones only the latest are remembered.
    desk.ask("bad-0").await.unwrap_err();
    assert_eq!(desk.keystone.asked_about("bad-0"), 2);
}

#[tokio::test]
async fn no_more_good_tokens_are_remembered_than_there_is_room_for() {
    let desk = Desk::with(|settings| (settings.cache, settings.refused) = (10, 10)).await;
    for number in 0..100 {
        let token = format!("good-{number}");
        desk.keystone.knows(&token, "alice", "red", &["member"], 3600);
        desk.ask(&token).await.unwrap();
    }
    desk.ask("good-99").await.unwrap();
    desk.ask("good-0").await.unwrap();
    assert_eq!((desk.keystone.asked_about("good-99"), desk.keystone.asked_about("good-0")), (1, 2));
}

#[tokio::test]
async fn if_whoever_asks_goes_away_the_next_one_asks() {
    let desk = Desk::new().await;
    desk.keystone.knows("good", "alice", "red", &["member"], 3600);
    desk.keystone.holds();
    let gone = tokio::time::timeout(Duration::from_millis(50), desk.ask("good")).await;
    assert!(gone.is_err());
    desk.keystone.goes_on();
    desk.ask("good").await.unwrap();
}
