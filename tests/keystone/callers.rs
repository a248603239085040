//! Who is let in, and as whom.

use std::collections::BTreeSet;

use portico::auth::Refusal;
use serde_json::json;

use crate::{Desk, headers, is_unknown, on_behalf, with};

fn roles(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn a_token_stands_for_its_user_project_and_roles() {
    let desk = Desk::new().await;
    desk.keystone.knows("good", "alice", "red", &["Member", "reader"], 3600);
    let caller = desk.ask("good").await.unwrap();
    assert_eq!((caller.user.as_deref(), caller.project.as_deref()), (Some("alice"), Some("red")));
    assert_eq!((caller.roles, caller.service_roles), (roles(&["member", "reader"]), BTreeSet::new()));
    assert_eq!(caller.token.unwrap().expose(), "good");
}

#[tokio::test]
async fn no_token_and_one_that_keystone_does_not_know_are_challenged_with_its_address() {
    let desk = Desk::new().await;
    let expected = format!("Keystone uri=\"{}\"", desk.keystone.url());
    for asked in [headers(&[]), with(""), with("unknown"), headers(&[("x-service-token", "good")])] {
        let Err(Refusal::Unknown { challenge, message }) = desk.caller(&asked).await else {
            panic!("{asked:?} was let in")
        };
        assert_eq!(challenge.unwrap(), expected);
        assert!(!message.contains("unknown"), "{message}");
    }
}

#[tokio::test]
async fn the_challenge_can_name_another_address_than_ours() {
    let public = crate::address(String::from("https://keystone.example/v3"));
    let desk = Desk::with(|settings| settings.challenge = public).await;
    let Err(Refusal::Unknown { challenge, .. }) = desk.ask("unknown").await else { panic!("let in") };
    assert_eq!(challenge.unwrap(), "Keystone uri=\"https://keystone.example/v3\"");
}

#[tokio::test]
async fn administrators_are_whom_the_settings_say() {
    let desk = Desk::with(|settings| settings.admin_roles = roles(&["cloud_admin", "boss"])).await;
    for (token, role) in
        [("cloud", "Cloud_Admin"), ("boss", "boss"), ("admin", "admin"), ("member", "member")]
    {
        desk.keystone.knows(token, "alice", "red", &[role], 3600);
    }
    for (token, expected) in [("cloud", true), ("boss", true), ("admin", false), ("member", false)] {
        assert_eq!(desk.ask(token).await.unwrap().is_admin(), expected, "{token}");
    }
    let usual = Desk::new().await;
    usual.keystone.knows("admin", "alice", "red", &["Admin"], 3600);
    assert!(usual.ask("admin").await.unwrap().is_admin());
}

#[tokio::test]
async fn a_token_that_is_for_no_project_has_neither_project_nor_roles() {
    let desk = Desk::new().await;
    desk.keystone.knows_of("system", Some(("system", json!({"all": true}))), &["admin"]);
    desk.keystone.knows_of("domain", Some(("domain", json!({"id": "default", "name": "D"}))), &["admin"]);
    desk.keystone.knows_of("unscoped", None, &[]);
    for token in ["system", "domain", "unscoped"] {
        let caller = desk.ask(token).await.unwrap();
        let expected = (Some("somebody"), None, roles(&[]));
        assert_eq!((caller.user.as_deref(), caller.project, caller.roles), expected, "{token}");
    }
}

#[tokio::test]
async fn a_service_lets_in_a_token_that_has_ended_and_nobody_else_does() {
    let desk = Desk::new().await;
    desk.keystone.knows("ended", "alice", "red", &["member"], -60);
    desk.keystone.knows("nova", "nova", "service", &["Service", "reader"], 3600);
    desk.keystone.knows("member", "bob", "blue", &["member"], 3600);
    desk.keystone.knows("late-nova", "nova", "service", &["service"], -60);
    assert!(is_unknown(&desk.ask("ended").await));
    let caller = desk.caller(&on_behalf("ended", "nova")).await.unwrap();
    assert_eq!((caller.user.as_deref(), caller.roles), (Some("alice"), roles(&["member"])));
    assert_eq!(caller.service_roles, roles(&["service", "reader"]));
    // That it was let in with a service does not let it in alone.
    assert!(is_unknown(&desk.ask("ended").await));
    assert!(is_unknown(&desk.caller(&on_behalf("unknown", "nova")).await));
    // A token of nobody's, or of no service's, is as good as none.
    for service in ["member", "late-nova", "unknown", ""] {
        assert!(is_unknown(&desk.caller(&on_behalf("ended", service)).await), "{service}");
        let caller = desk.caller(&on_behalf("member", service)).await.unwrap();
        assert_eq!((caller.user.as_deref(), caller.service_roles), (Some("bob"), roles(&[])), "{service}");
    }
}

#[tokio::test]
async fn which_roles_make_a_service_is_in_the_settings() {
    let desk = Desk::with(|settings| settings.service_roles = roles(&["helper"])).await;
    desk.keystone.knows("good", "alice", "red", &["member"], 3600);
    desk.keystone.knows("helper", "nova", "service", &["helper"], 3600);
    desk.keystone.knows("nova", "nova", "service", &["service"], 3600);
    assert_eq!(desk.caller(&on_behalf("good", "helper")).await.unwrap().service_roles, roles(&["helper"]));
    assert!(desk.caller(&on_behalf("good", "nova")).await.unwrap().service_roles.is_empty());
}
