//! Sharing: who is a member, who may say so, and who sees what.

use serde_json::{Value, json};

use crate::door::{Ask, Door, delete, get, id_of, post, put};

fn path(id: &str, rest: &str) -> String {
    format!("/v2/images/{id}/members{rest}")
}

fn add(id: &str, member: &str) -> Ask {
    post(path(id, "")).json(&json!({"member": member}))
}

fn answer(id: &str, member: &str, status: &str) -> Ask {
    put(path(id, &format!("/{member}"))).json(&json!({"status": status}))
}

#[tokio::test]
async fn a_member_is_added_answers_and_is_removed() {
    let door = Door::to_memory();
    let id = door.queued().await;
    let mut added = door.ask(add(&id, "b")).await.expect(200).json();
    for moment in ["created_at", "updated_at"] {
        assert!(added.as_object_mut().unwrap().remove(moment).unwrap().as_str().unwrap().ends_with('Z'));
    }
    let expected =
        json!({"member_id": "b", "image_id": id, "status": "pending", "schema": "/v2/schemas/member"});
    assert_eq!(added, expected);
    // It reads the image at once, and lists it once it has accepted.
    let listed =
        async || door.ask(get("/v2/images").by("b")).await.json()["images"].as_array().unwrap().len();
    door.ask(get(format!("/v2/images/{id}")).by("b")).await.expect(200);
    assert_eq!(listed().await, 0);
    let accepted = door.ask(answer(&id, "b", "accepted").by("b")).await.expect(200).json();
    assert_eq!(accepted["status"], "accepted");
    assert_eq!(listed().await, 1);
    assert_eq!(door.ask(get(path(&id, "/b"))).await.expect(200).json()["status"], "accepted");
    assert!(door.ask(delete(path(&id, "/b"))).await.expect(204).body.is_empty());
    door.ask(get(format!("/v2/images/{id}")).by("b")).await.expect(404);
    door.ask(delete(path(&id, "/b"))).await.expect(404);
}

#[tokio::test]
async fn the_owner_sees_all_members_and_a_member_itself() {
    let door = Door::to_memory();
    let id = door.queued().await;
    for member in ["c", "b"] {
        door.ask(add(&id, member)).await.expect(200);
    }
    let seen = async |caller: &str| {
        let list = door.ask(get(path(&id, "")).by(caller)).await.expect(200).json();
        assert_eq!(list["schema"], "/v2/schemas/members");
        let members: Vec<Value> = list["members"].as_array().unwrap().clone();
        members.iter().map(|member| member["member_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen("a").await, ["b", "c"]);
    assert_eq!(seen("b").await, ["b"]);
    door.ask(get(path(&id, "/c")).by("b")).await.expect(404);
    door.ask(get(path(&id, "/b")).by("b")).await.expect(200);
    door.ask(get(path(&id, "/nobody"))).await.expect(404);
}

#[tokio::test]
async fn who_may_not_say_so_and_what_cannot_be_said_is_refused() {
    let door = Door::to_memory();
    let id = door.queued().await;
    for body in [json!({}), json!([]), json!({"member": ""}), json!({"member": 5}), json!({"member": null})] {
        door.ask(post(path(&id, "")).json(&body)).await.expect(400);
    }
    door.ask(post(path(&id, "")).json(&json!({"member": "x".repeat(256)}))).await.expect(400);
    door.ask(post(path(&id, ""))).await.expect(400);
    door.ask(add("absent", "b")).await.expect(404);
    door.ask(add(&id, "b")).await.expect(200);
    door.ask(add(&id, "b")).await.expect(409);
    door.ask(add(&id, "c").by("b")).await.expect(403);
    door.ask(delete(path(&id, "/b")).by("b")).await.expect(403);
    // The answer is the member's own, and a bad one is bad from it alone.
    door.ask(answer(&id, "b", "accepted")).await.expect(403);
    door.ask(answer(&id, "b", "maybe")).await.expect(403);
    door.ask(answer(&id, "b", "maybe").by("b")).await.expect(400);
    door.ask(answer(&id, "b", "accepted").by("b:reader")).await.expect(403);
    door.ask(put(path(&id, "/b")).json(&json!({}))).await.expect(400);
    door.ask(put(path(&id, "/b")).json(&json!({"status": 1})).by("b")).await.expect(400);
    door.ask(answer(&id, "nobody", "accepted").by("x:admin")).await.expect(404);
    door.ask(answer(&id, "b", "rejected").by("x:admin")).await.expect(200);
}

#[tokio::test]
async fn an_image_that_is_not_shared_has_no_members_to_show() {
    let door = Door::to_memory();
    let id = id_of(&door.create(json!({"visibility": "private"})).await);
    door.ask(get(path(&id, ""))).await.expect(403);
    door.ask(add(&id, "b")).await.expect(403);
    door.ask(get(path(&id, "/b"))).await.expect(404);
    door.ask(delete(path(&id, "/b"))).await.expect(403);
    door.ask(delete(path(&id, "/b")).by("b")).await.expect(404);
    door.ask(answer(&id, "b", "accepted").by("b")).await.expect(404);
    door.ask(answer(&id, "b", "accepted").by("x:admin")).await.expect(403);
    door.ask(answer(&id, "b", "maybe").by("x:admin")).await.expect(403);
    let seen = id_of(&door.create(json!({"visibility": "community"})).await);
    for status in ["accepted", "maybe"] {
        door.ask(answer(&seen, "b", status).by("b")).await.expect(403);
    }
}

#[tokio::test]
async fn an_image_has_so_many_members_and_no_more() {
    let door = Door::to_memory();
    let id = door.queued().await;
    for member in 0..128 {
        door.ask(add(&id, &member.to_string())).await.expect(200);
    }
    door.ask(add(&id, "one-more")).await.expect(413);
}
