//! One image: shown and deleted.

use std::sync::Arc;

use image_service::ErrorKind;
use serde_json::{Value, json};

use super::{ADMIN, door, door_to, fault, made, path, public, with};
use crate::door::{delete, get, memory, patch, put};
use crate::flawed::{Flaw, Flawed};

#[tokio::test]
async fn an_image_is_shown_as_nova_shows_it() {
    let door = door();
    let server = "22222222-2222-3333-4444-555555555555";
    let id = with(
        &door,
        json!({"min_ram": 5, "min_disk": 1, "colour": "red", "instance_uuid": server, "auto_disk_config": "True",
               "block_device_mapping": "[1]"}),
    )
    .await;
    door.ask(put(format!("/v2/images/{id}/file")).octets("abc")).await.expect(204);
    let v2 = door.show(&id).await;
    let links = |begin: &str, rest: &str| {
        json!([
            {"rel": "self", "href": format!("http://x{begin}/{rest}")},
            {"rel": "bookmark", "href": format!("http://x/{rest}")},
        ])
    };
    let mut of_image = links("/v2.1", &format!("images/{id}"));
    of_image.as_array_mut().unwrap().push(json!({
        "rel": "alternate", "type": "application/vnd.openstack.image", "href": format!("http://x/v2/images/{id}"),
    }));
    let expected = json!({
        "id": id, "name": "it", "minRam": 5, "minDisk": 1, "status": "ACTIVE", "progress": 100,
        "created": v2["created_at"], "updated": v2["updated_at"], "OS-EXT-IMG-SIZE:size": 3,
        "metadata": {"colour": "red", "instance_uuid": server, "auto_disk_config": "True",
                     "block_device_mapping": [1]},
        "links": of_image, "OS-DCF:diskConfig": "AUTO",
        "server": {"id": server, "links": links("/v2.1", &format!("servers/{server}"))},
    });
    assert_eq!(door.ask(get(path(&id))).await.expect(200).json(), json!({ "image": expected }));
    let detail = door.ask(get("/v2.1/images/detail")).await.expect(200).json();
    assert_eq!(detail, json!({ "images": [expected] }));
    // The link that leads to v2 does.
    let alternate = expected["links"][2]["href"].as_str().unwrap().strip_prefix("http://x").unwrap();
    assert_eq!(door.ask(get(alternate)).await.expect(200).json()["id"], Value::from(id));
}

#[tokio::test]
async fn an_image_is_deleted_by_those_who_may() {
    let door = door();
    let (own, public) = (with(&door, json!({})).await, public(&door).await);
    let protected = with(&door, json!({"protected": true})).await;
    for (id, caller) in [(&own, "a:reader"), (&public, "b"), (&public, "a:reader"), (&protected, "a")] {
        let refused = door.ask(delete(path(id)).by(caller)).await.expect(403);
        let words = "You are not allowed to delete the image.";
        assert_eq!(fault(&refused), ("forbidden".into(), words.into()), "{caller}");
    }
    let deleted = door.ask(delete(path(&own))).await.expect(204);
    assert!(deleted.body.is_empty());
    door.ask(delete(path(&own))).await.expect(404);
    door.ask(delete(path(&public)).by(ADMIN)).await.expect(204);
    door.ask(patch(&protected, json!([{"op": "replace", "path": "/protected", "value": false}])))
        .await
        .expect(200);
    door.ask(delete(path(&protected))).await.expect(204);
}

#[tokio::test]
async fn a_role_that_may_not_look_at_images_finds_none() {
    let door = door();
    let id = made(&door, json!({"visibility": "public"}), ADMIN).await;
    door.ask(get(path(&id)).by("a:none")).await.expect(404);
    assert_eq!(fault(&door.ask(get("/v2.1/images").by("a:none")).await.expect(403)).0, "forbidden");
}

#[tokio::test]
async fn an_image_whose_change_cannot_be_made_just_now_is_a_conflict() {
    let inner = Arc::new(memory());
    let whole = door_to(inner.clone());
    let id = with(&whole, json!({})).await;
    let door = door_to(Arc::new(Flawed { inner, flaw: Flaw::UpdateFails(ErrorKind::Conflict) }));
    let said = put(format!("{}/metadata/a", path(&id))).json(&json!({"meta": {"a": "1"}}));
    assert_eq!(fault(&door.ask(said).await.expect(409)).0, "conflictingRequest");
}
