//! The metadata of an image: read, and written key by key or all at once.

use std::sync::Arc;

use image_service::ErrorKind;
use serde_json::{Map, Value, json};

use super::{ABSENT, door, door_to, fault, path, public, with};
use crate::door::{Ask, Door, delete, get, memory, post, put};
use crate::flawed::{Flaw, Flawed};

fn of(id: &str) -> String {
    format!("{}/metadata", path(id))
}

async fn shown(door: &Door, id: &str) -> Value {
    door.ask(get(of(id))).await.expect(200).json()["metadata"].clone()
}

fn many(name: &str, count: usize) -> Value {
    let items = (0..count).map(|number| (format!("{name}{number}"), json!("1")));
    Value::Object(items.collect::<Map<_, _>>())
}

#[tokio::test]
async fn metadata_is_read_added_to_replaced_and_removed() {
    let door = door();
    let id = with(&door, json!({"colour": "red", "size_of": "1"})).await;
    assert_eq!(shown(&door, &id).await, json!({"colour": "red", "size_of": "1"}));
    let item = format!("{}/colour", of(&id));
    assert_eq!(door.ask(get(&item)).await.expect(200).json(), json!({"meta": {"colour": "red"}}));

    let added = door.ask(post(of(&id)).json(&json!({"metadata": {"colour": "blue", "new": "2"}}))).await;
    let all = json!({"colour": "blue", "size_of": "1", "new": "2"});
    assert_eq!(added.expect(200).json(), json!({ "metadata": all }));
    assert_eq!(shown(&door, &id).await, all);

    let set = door.ask(put(&item).json(&json!({"meta": {"colour": "green"}}))).await.expect(200);
    assert_eq!(set.json(), json!({"meta": {"colour": "green"}}));
    let replaced = door.ask(put(of(&id)).json(&json!({"metadata": {"colour": "green", "only": "3"}}))).await;
    assert_eq!(replaced.expect(200).json(), json!({"metadata": {"colour": "green", "only": "3"}}));
    assert_eq!(shown(&door, &id).await, json!({"colour": "green", "only": "3"}));

    assert!(door.ask(delete(&item)).await.expect(204).body.is_empty());
    assert_eq!(fault(&door.ask(delete(&item)).await.expect(404)).1, "Invalid metadata key");
    assert_eq!(fault(&door.ask(get(&item)).await.expect(404)).1, "The resource could not be found.");
    assert_eq!(shown(&door, &id).await, json!({"only": "3"}));
    door.ask(put(of(&id)).json(&json!({"metadata": {}}))).await.expect(200);
    assert_eq!(shown(&door, &id).await, json!({}));
    // Of the image itself nothing has changed, and all of it is one image.
    assert_eq!(door.show(&id).await["name"], "it");
}

#[tokio::test]
async fn a_change_of_nothing_leaves_the_image_as_it_is() {
    let inner = Arc::new(memory());
    let whole = door_to(inner.clone());
    let id = with(&whole, json!({"colour": "red"})).await;
    // Every update would fail here.
    let door = door_to(Arc::new(Flawed { inner, flaw: Flaw::UpdateFails(ErrorKind::Internal) }));
    for said in [
        post(of(&id)).json(&json!({"metadata": {}})),
        post(of(&id)).json(&json!({"metadata": {"colour": "red"}})),
        put(of(&id)).json(&json!({"metadata": {"colour": "red"}})),
        put(format!("{}/colour", of(&id))).json(&json!({"meta": {"colour": "red"}})),
    ] {
        door.ask(said).await.expect(200);
    }
    door.ask(post(of(&id)).json(&json!({"metadata": {"colour": "blue"}}))).await.expect(500);
}

#[tokio::test]
async fn what_another_client_writes_at_the_same_moment_is_not_undone() {
    let inner = Arc::new(memory());
    let door = door_to(Arc::new(Flawed { inner, flaw: Flaw::IsOvertaken }));
    type Says = fn(&str) -> Ask;
    let says: [Says; 4] = [
        |id| post(of(id)).json(&json!({"metadata": {"new": "1"}})),
        |id| put(of(id)).json(&json!({"metadata": {"new": "1"}})),
        |id| put(format!("{}/new", of(id))).json(&json!({"meta": {"new": "1"}})),
        |id| delete(format!("{}/colour", of(id))),
    ];
    for said in says {
        let id = with(&door, json!({"colour": "red", "min_ram": 1})).await;
        let answer = door.ask(said(&id)).await;
        assert!(answer.status < 300, "{}", answer.status);
        let image = door.show(&id).await;
        assert_eq!(
            (&image["other"], &image["name"], &image["min_ram"]),
            (&json!("other"), &json!("other"), &json!(1))
        );
    }
}

#[tokio::test]
async fn what_is_no_metadata_is_refused() {
    let door = door();
    let id = with(&door, json!({})).await;
    let (long, item) = ("x".repeat(256), format!("{}/a", of(&id)));
    for bad in [
        json!({}),
        json!([]),
        json!({"metadata": []}),
        json!({"metadata": {"a": 1}}),
        json!({"metadata": {"a": null}}),
        json!({"metadata": {"a": long}}),
        json!({"metadata": {(long.clone()): "1"}}),
        json!({"metadata": {"": "1"}}),
        json!({"metadata": {"a/b": "1"}}),
        json!({"metadata": {"a": "1"}, "x": 1}),
        json!({"meta": {"a": "1"}}),
    ] {
        for said in [post(of(&id)), put(of(&id))] {
            let refused = door.ask(said.json(&bad)).await.expect(400);
            assert_eq!(fault(&refused).0, "badRequest", "{bad}");
        }
    }
    for bad in
        [json!({}), json!({"meta": {}}), json!({"meta": {"a": "1", "b": "2"}}), json!({"meta": {"a": 1}})]
    {
        door.ask(put(&item).json(&bad)).await.expect(400);
    }
    let mismatch = door.ask(put(&item).json(&json!({"meta": {"b": "1"}}))).await.expect(400);
    assert_eq!(fault(&mismatch).1, "Request body and URI mismatch");
    for bad in ["", "{", "5", "null", "\"x\""] {
        let refused = door.ask(post(of(&id)).body(bad)).await.expect(400);
        assert_eq!(fault(&refused), ("badRequest".into(), "Malformed request body".into()), "{bad}");
    }
    assert_eq!(shown(&door, &id).await, json!({}));
    // Clients of old may say more.
    let said = json!({"metadata": {"a": "1"}, "x": 1});
    door.ask(post(format!("/v2/a/images/{id}/metadata")).json(&said)).await.expect(200);
    // What is wrong is told before anybody looks for the image.
    door.ask(post(of(ABSENT)).json(&json!({}))).await.expect(400);
}

#[tokio::test]
async fn attributes_are_no_metadata_and_what_only_the_service_writes_stays() {
    let door = door();
    let id = with(&door, json!({"colour": "red"})).await;
    let before = door.show(&id).await;
    for key in [
        "name",
        "visibility",
        "protected",
        "min_ram",
        "owner",
        "status",
        "tags",
        "os_glance_x",
        "deleted",
        "id",
    ] {
        let said = [
            post(of(&id)).json(&json!({"metadata": {key: "public", "new": "1"}})),
            put(of(&id)).json(&json!({"metadata": {key: "public"}})),
            put(format!("{}/{key}", of(&id))).json(&json!({"meta": {key: "public"}})),
        ];
        for said in said {
            assert_eq!(fault(&door.ask(said).await.expect(403)).0, "forbidden", "{key}");
        }
        door.ask(delete(format!("{}/{key}", of(&id)))).await.expect(404);
    }
    assert_eq!(door.show(&id).await, before);
}

#[tokio::test]
async fn an_image_has_so_many_items_and_no_more() {
    let door = door();
    let id = with(&door, json!({"colour": "red"})).await;
    door.ask(post(of(&id)).json(&json!({"metadata": many("k", 127)}))).await.expect(200);
    for said in [
        post(of(&id)).json(&json!({"metadata": {"one": "more"}})),
        put(of(&id)).json(&json!({"metadata": many("l", 129)})),
        put(format!("{}/one", of(&id))).json(&json!({"meta": {"one": "more"}})),
    ] {
        let refused = door.ask(said).await.expect(403);
        assert_eq!(fault(&refused), ("forbidden".into(), "Image metadata limit exceeded".into()));
    }
    door.ask(put(format!("{}/k0", of(&id))).json(&json!({"meta": {"k0": "other"}}))).await.expect(200);
    door.ask(put(of(&id)).json(&json!({"metadata": many("l", 128)}))).await.expect(200);
    assert_eq!(shown(&door, &id).await.as_object().unwrap().len(), 128);
}

#[tokio::test]
async fn metadata_is_written_by_those_who_may() {
    let door = door();
    let (own, public) = (with(&door, json!({"colour": "red"})).await, public(&door).await);
    for (id, caller) in [(&public, "b"), (&public, "a:reader"), (&own, "a:reader")] {
        for said in [
            post(of(id)).json(&json!({"metadata": {"a": "1"}})),
            post(of(id)).json(&json!({"metadata": {"colour": "red"}})),
            put(of(id)).json(&json!({"metadata": {"a": "1"}})),
            put(format!("{}/a", of(id))).json(&json!({"meta": {"a": "1"}})),
            delete(format!("{}/colour", of(id))),
        ] {
            let refused = door.ask(said.by(caller)).await.expect(403);
            assert_eq!(
                fault(&refused),
                ("forbidden".into(), format!("Not authorized for image {id}.")),
                "{caller}"
            );
        }
        door.ask(get(of(id)).by(caller)).await.expect(200);
    }
    door.ask(post(of(&public)).json(&json!({"metadata": {"a": "1"}})).by(super::ADMIN)).await.expect(200);
}
