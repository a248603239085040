//! Sharing, from both sides.

use serde_json::{Value, json};

use super::{ADMIN, active, door, path, queued};
use crate::door::{Ask, Door, delete, get, put};

fn members(id: &str, rest: &str) -> String {
    format!("{}/members{rest}", path(id))
}

fn all(id: &str, names: &[&str]) -> Ask {
    let memberships: Vec<Value> = names.iter().map(|name| json!({"member_id": name})).collect();
    put(members(id, "")).json(&json!({"memberships": memberships}))
}

async fn listed(door: &Door, id: &str, caller: &str) -> Vec<String> {
    let list = door.ask(get(members(id, "")).by(caller)).await.expect(200).json();
    let names = list["members"].as_array().unwrap().iter().map(|member| {
        assert_eq!((member.as_object().unwrap().len(), &member["can_share"]), (2, &json!(false)));
        member["member_id"].as_str().unwrap().to_owned()
    });
    names.collect()
}

async fn shared(door: &Door, member: &str, caller: &str) -> Vec<String> {
    let list = door.ask(get(format!("/v1/shared-images/{member}")).by(caller)).await.expect(200).json();
    let mut ids: Vec<String> = list["shared_images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| {
            assert_eq!((image.as_object().unwrap().len(), &image["can_share"]), (2, &json!(false)));
            image["image_id"].as_str().unwrap().to_owned()
        })
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_member_sees_and_lists_the_image_at_once_until_it_is_none_any_more() {
    let door = door();
    let id = active(&door, "abc").await;
    door.ask(get(path(&id)).by("b")).await.expect(404);
    for body in ["", r#"{"member": {}}"#, r#"{"member": {"can_share": false}}"#] {
        // To be added again changes nothing.
        assert!(door.ask(put(members(&id, "/b")).body(body)).await.expect(204).body.is_empty());
    }
    assert_eq!(listed(&door, &id, "a").await, ["b"]);
    assert_eq!(listed(&door, &id, "b").await, ["b"]);
    assert_eq!(door.ask(get(path(&id)).by("b")).await.expect(200).body, "abc");
    assert_eq!(door.ask(get("/v1/images").by("b")).await.json()["images"][0]["id"], id.as_str());
    assert!(door.ask(delete(members(&id, "/b"))).await.expect(204).body.is_empty());
    assert_eq!(listed(&door, &id, "a").await, Vec::<String>::new());
    door.ask(get(path(&id)).by("b")).await.expect(404);
    let gone = door.ask(delete(members(&id, "/b"))).await.expect(404);
    assert_eq!(gone.text(), "Membership could not be found.");
}

#[tokio::test]
async fn all_members_are_replaced_at_once() {
    let door = door();
    let id = queued(&door, &[]).await;
    for names in [&["b", "c"][..], &["c", "d"], &["c", "d"], &[]] {
        assert!(door.ask(all(&id, names)).await.expect(204).body.is_empty());
        assert_eq!(listed(&door, &id, "a").await, names);
    }
}

#[tokio::test]
async fn what_is_no_membership_is_refused_and_nothing_changes() {
    let door = door();
    let id = queued(&door, &[]).await;
    door.ask(all(&id, &["b"])).await.expect(204);
    for body in ["", "x", "[]", "{}", r#"{"memberships": 1}"#, r#"{"memberships": [{"member": "c"}]}"#] {
        door.ask(put(members(&id, "")).body(body)).await.expect(400);
    }
    let on = json!({"can_share": true});
    door.ask(put(members(&id, "/c")).json(&json!({"member": on}))).await.expect(400);
    door.ask(put(members(&id, "/c")).body("x")).await.expect(400);
    let many: Vec<String> = (0..129).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let too_many = "The limit has been exceeded on the number of allowed image members for this image. Attempted: 129, \
                    Maximum: 128";
    assert_eq!(door.ask(all(&id, &many)).await.expect(413).text(), too_many);
    assert_eq!(listed(&door, &id, "a").await, ["b"]);
    door.ask(all(&id, &many[..128])).await.expect(204);
    assert_eq!(door.ask(put(members(&id, "/one-more"))).await.expect(413).text(), too_many);
}

#[tokio::test]
async fn only_whoever_owns_the_image_says_who_its_members_are() {
    let door = door();
    let id = queued(&door, &[]).await;
    door.ask(put(members(&id, "/b"))).await.expect(204);
    for ask in [put(members(&id, "/c")), delete(members(&id, "/b")), all(&id, &[])] {
        assert_eq!(door.ask(ask.by("b")).await.expect(404).text(), "No permission to share that image");
    }
    for ask in [put(members(&id, "/c")), delete(members(&id, "/b")), all(&id, &[])] {
        door.ask(ask.by("")).await.expect(401);
    }
    door.ask(put(members(&id, "/c")).by(ADMIN)).await.expect(204);
    assert_eq!(listed(&door, &id, ADMIN).await, ["b", "c"]);
}

#[tokio::test]
async fn what_is_shared_with_a_project_is_told_to_it_to_whoever_shares_and_to_administrators() {
    let door = door();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(queued(&door, &[]).await);
    }
    ids.sort_unstable();
    for id in &ids[..2] {
        door.ask(put(members(id, "/b"))).await.expect(204);
    }
    for caller in ["b", "a", ADMIN] {
        assert_eq!(shared(&door, "b", caller).await, ids[..2], "{caller}");
    }
    for (member, caller) in [("b", "c"), ("c", "a"), ("a", "a"), ("c", ADMIN)] {
        assert_eq!(shared(&door, member, caller).await, Vec::<String>::new(), "{member} {caller}");
    }
}

#[tokio::test]
async fn an_image_that_is_not_shared_has_no_members() {
    let door = door();
    let id = queued(&door, &[]).await;
    door.ask(put(members(&id, "/b"))).await.expect(204);
    door.ask(put(path(&id)).header("x-image-meta-is-public", "True").by(ADMIN)).await.expect(200);
    assert_eq!(listed(&door, &id, "a").await, Vec::<String>::new());
    door.ask(put(members(&id, "/c"))).await.expect(403);
    door.ask(delete(members(&id, "/b"))).await.expect(404);
}
