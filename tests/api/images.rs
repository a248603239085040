//! One image and its tags: made, shown, changed, deleted.

use serde_json::{Value, json};

use crate::door::{Door, PATCH, ask, delete, get, id_of, patch, post, put};

const ID: &str = "B2173DD3-7AD6-4362-BAA6-A68BCE3565CB";

#[tokio::test]
async fn an_image_of_nothing_has_every_attribute_at_its_default() {
    let door = Door::to_memory();
    let answer = door.ask(post("/v2/images").header("host", "images").json(&json!({}))).await.expect(201);
    let mut image = answer.json();
    let id = id_of(&image);
    assert_eq!(answer.header("location"), Some(format!("http://images/v2/images/{id}").as_str()));
    assert_eq!(answer.header("openstack-image-store-ids"), None);
    for moment in ["created_at", "updated_at"] {
        let moment = image.as_object_mut().unwrap().remove(moment).unwrap();
        let moment = moment.as_str().unwrap();
        assert!(moment.len() == 20 && moment.ends_with('Z'), "{moment}");
    }
    let expected = json!({
        "id": id, "name": null, "status": "queued", "visibility": "shared", "owner": "a", "size": null,
        "virtual_size": null, "disk_format": null, "container_format": null, "checksum": null,
        "os_hash_algo": null, "os_hash_value": null, "os_hidden": false, "protected": false, "min_disk": 0,
        "min_ram": 0, "tags": [], "self": format!("/v2/images/{id}"), "file": format!("/v2/images/{id}/file"),
        "schema": "/v2/schemas/image",
    });
    assert_eq!(image, expected);
}

#[tokio::test]
async fn what_is_said_on_creation_is_what_is_shown() {
    let door = Door::to_memory();
    let said = json!({
        "id": ID, "name": "ünïcode 💿", "visibility": "private", "owner": "a", "disk_format": "qcow2",
        "container_format": "bare", "os_hidden": true, "protected": true, "min_disk": 2_147_483_647, "min_ram": 1,
        "tags": ["b", "a", "b"], "": "the empty key", "long": "x".repeat(70_000),
    });
    let created = door.create(said.clone()).await;
    assert_eq!(created, door.show(ID).await);
    for (key, value) in said.as_object().unwrap() {
        let expected = if key == "tags" { &json!(["a", "b"]) } else { value };
        assert_eq!(&created[key], expected, "{key}");
    }
    // Case is a part of an id.
    door.ask(get(format!("/v2/images/{}", ID.to_lowercase()))).await.expect(404);
}

#[tokio::test]
async fn a_senseless_or_forbidden_image_is_not_made() {
    let door = Door::to_memory();
    let long = "x".repeat(256);
    for (image, status) in [
        (json!([]), 400),
        (json!({"id": "x"}), 400),
        (json!({"name": long}), 400),
        (json!({"name": 1}), 400),
        (json!({"visibility": "open"}), 400),
        (json!({"disk_format": "floppy"}), 400),
        (json!({"min_ram": -1}), 400),
        (json!({"min_disk": 2_147_483_648_u64}), 400),
        (json!({"protected": "yes"}), 400),
        (json!({"tags": "one"}), 400),
        (json!({"tags": [long]}), 400),
        (json!({"custom": 5}), 400),
        (json!({"custom": null}), 400),
        (json!({(long.clone()): "x"}), 400),
        (json!({"status": "active"}), 403),
        (json!({"size": 1}), 403),
        (json!({"checksum": "x"}), 403),
        (json!({"os_hash_value": "x"}), 403),
        (json!({"locations": []}), 403),
        (json!({"deleted": true}), 403),
        (json!({"os_glance_x": "x"}), 403),
        (json!({"stores": "x"}), 403),
        (json!({"owner": "b"}), 403),
        (json!({"owner": null}), 403),
        (json!({"visibility": "public"}), 403),
        (json!({"tags": (0..129).map(|n| n.to_string()).collect::<Vec<_>>()}), 413),
        (Value::Object((0..129).map(|n| (n.to_string(), json!(""))).collect()), 413),
    ] {
        let answer = door.ask(post("/v2/images").json(&image)).await;
        assert_eq!(answer.status, status, "{image}");
    }
    assert_eq!(door.ask(get("/v2/images")).await.json()["images"], json!([]));
    for allowed in [json!({"owner": "b"}), json!({"owner": null}), json!({"visibility": "public"})] {
        door.ask(post("/v2/images").by("a:admin").json(&allowed)).await.expect(201);
    }
    door.ask(post("/v2/images").json(&json!({"visibility": "community"}))).await.expect(201);
}

#[tokio::test]
async fn an_id_is_given_once_and_never_again() {
    let door = Door::to_memory();
    door.create(json!({"id": ID})).await;
    door.ask(post("/v2/images").json(&json!({"id": ID}))).await.expect(409);
    door.ask(delete(format!("/v2/images/{ID}"))).await.expect(204);
    door.ask(post("/v2/images").json(&json!({"id": ID}))).await.expect(409);
}

#[tokio::test]
async fn a_deleted_image_is_gone_and_a_protected_one_stays() {
    let door = Door::to_memory();
    let id = id_of(&door.create(json!({"protected": true})).await);
    let path = format!("/v2/images/{id}");
    door.ask(delete(&path)).await.expect(403);
    door.patch(&id, json!([{"op": "replace", "path": "/protected", "value": false}])).await.expect(200);
    let answer = door.ask(delete(&path)).await.expect(204);
    assert!(answer.body.is_empty());
    door.ask(get(&path)).await.expect(404);
    door.ask(delete(&path)).await.expect(404);
}

#[tokio::test]
async fn a_patch_is_done_whole_or_not_at_all() {
    let door = Door::to_memory();
    let id = id_of(&door.create(json!({"name": "old", "colour": "red", "tags": ["a"]})).await);
    let changed = door
        .patch(
            &id,
            json!([
                {"op": "replace", "path": "/name", "value": "new"},
                {"op": "add", "path": "/size_class", "value": "big"},
                {"op": "add", "path": "/colour", "value": "blue"},
                {"op": "replace", "path": "/tags", "value": ["x", "y", "x"]},
                {"op": "replace", "path": "/min_disk", "value": 3},
            ]),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(changed, door.show(&id).await);
    assert_eq!(
        [
            &changed["name"],
            &changed["size_class"],
            &changed["colour"],
            &changed["tags"],
            &changed["min_disk"]
        ],
        [&json!("new"), &json!("big"), &json!("blue"), &json!(["x", "y"]), &json!(3)]
    );
    for (bad, status) in [
        (json!({"op": "replace", "path": "/absent", "value": "x"}), 409),
        (json!({"op": "remove", "path": "/absent"}), 409),
        (json!({"op": "remove", "path": "/name"}), 403),
        (json!({"op": "replace", "path": "/status", "value": "active"}), 403),
        (json!({"op": "replace", "path": "/owner", "value": "b"}), 403),
        (json!({"op": "replace", "path": "/visibility", "value": "public"}), 403),
        (json!({"op": "replace", "path": "/locations", "value": []}), 403),
        (json!({"op": "replace", "path": "/min_ram", "value": "1"}), 400),
        (json!({"op": "add", "path": "/tags/-", "value": "z"}), 400),
        (json!({"op": "replace", "path": 5, "value": "z"}), 400),
    ] {
        let good = json!({"op": "replace", "path": "/name", "value": "half done"});
        let answer = door.patch(&id, json!([good, bad])).await;
        assert_eq!(answer.status, status, "{bad}");
        assert_eq!(door.show(&id).await, changed, "{bad}");
    }
    // No step may publish, whatever a later one does.
    let visibility = |value: &str| json!({"op": "replace", "path": "/visibility", "value": value});
    door.patch(&id, json!([visibility("public"), visibility("private")])).await.expect(403);
    let many: Vec<Value> =
        (0..129).map(|n| json!({"op": "add", "path": format!("/p{n}"), "value": ""})).collect();
    door.patch(&id, many.into()).await.expect(413);
    assert_eq!(door.patch(&id, json!([])).await.expect(200).json(), changed);
    door.patch("absent", json!([])).await.expect(404);
    let removed = door.patch(&id, json!([{"op": "remove", "path": "/colour"}])).await.expect(200).json();
    assert_eq!(removed.get("colour"), None);
}

#[tokio::test]
async fn a_patch_is_known_by_its_media_type() {
    let door = Door::to_memory();
    let id = door.queued().await;
    let older = json!([{"replace": "/name", "value": "x"}, {"add": "/new", "value": "y"}]);
    let ask_as =
        |media: &str| ask("PATCH", format!("/v2/images/{id}")).header("content-type", media).json(&older);
    let older_type = "application/openstack-images-v2.0-json-patch";
    assert_eq!(door.ask(ask_as(older_type)).await.expect(200).json()["name"], "x");
    door.ask(ask_as(older_type)).await.expect(409);
    door.ask(ask_as(PATCH)).await.expect(400);
    for media in ["application/json", "application/json-patch+json", "text/plain"] {
        let answer = door.ask(ask_as(media)).await.expect(415);
        assert_eq!(answer.header("accept-patch"), Some(format!("{older_type}, {PATCH}").as_str()));
    }
}

#[tokio::test]
async fn formats_are_fixed_once_there_is_data() {
    let door = Door::to_memory();
    let id = door.active(b"data").await;
    let answer = door.patch(&id, json!([{"op": "replace", "path": "/disk_format", "value": "raw"}])).await;
    answer.expect(403);
}

#[tokio::test]
async fn an_administrator_gives_an_image_away() {
    let door = Door::to_memory();
    let id = door.queued().await;
    let give = json!([{"op": "replace", "path": "/owner", "value": "b"}]);
    door.ask(patch(&id, give).by("x:admin")).await.expect(200);
    door.ask(get(format!("/v2/images/{id}"))).await.expect(404);
    door.ask(get(format!("/v2/images/{id}")).by("b")).await.expect(200);
}

#[tokio::test]
async fn an_image_sleeps_and_wakes() {
    let door = Door::to_memory();
    let id = door.active(b"data").await;
    let action = |action: &str| post(format!("/v2/images/{id}/actions/{action}"));
    for (act, status) in [
        ("deactivate", "deactivated"),
        ("deactivate", "deactivated"),
        ("reactivate", "active"),
        ("reactivate", "active"),
    ] {
        assert!(door.ask(action(act)).await.expect(204).body.is_empty());
        assert_eq!(door.show(&id).await["status"], status);
    }
    door.ask(action("deactivate")).await.expect(204);
    door.ask(get(format!("/v2/images/{id}/file"))).await.expect(403);
    door.ask(get(format!("/v2/images/{id}/file")).by("x:admin")).await.expect(200);
    let queued = door.queued().await;
    let refused = door.ask(post(format!("/v2/images/{queued}/actions/deactivate"))).await.expect(403);
    assert!(refused.message().contains("queued"));
    door.ask(post("/v2/images/absent/actions/reactivate")).await.expect(404);
}

#[tokio::test]
async fn tags_come_and_go_one_by_one() {
    let door = Door::to_memory();
    let id = door.queued().await;
    let tag = |tag: &str| format!("/v2/images/{id}/tags/{tag}");
    for name in ["plain", "two%20words", "%C3%A9", "%F0%9F%92%BF", "plain"] {
        assert!(door.ask(put(tag(name))).await.expect(204).body.is_empty());
    }
    assert_eq!(door.show(&id).await["tags"], json!(["plain", "two words", "é", "💿"]));
    door.ask(delete(tag("two%20words"))).await.expect(204);
    door.ask(delete(tag("two%20words"))).await.expect(404);
    door.ask(delete(tag("%C3%A9"))).await.expect(204);
    door.ask(put(tag(&"x".repeat(255)))).await.expect(204);
    door.ask(put(tag(&"x".repeat(256)))).await.expect(400);
    door.ask(put(tag("a%2Fb"))).await.expect(404);
    door.ask(put("/v2/images/absent/tags/x")).await.expect(404);
    let tags: Vec<String> = (0..128).map(|n| n.to_string()).collect();
    door.patch(&id, json!([{"op": "replace", "path": "/tags", "value": tags}])).await.expect(200);
    door.ask(put(tag("0"))).await.expect(204);
    door.ask(put(tag("one-more"))).await.expect(413);
}
