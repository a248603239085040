//! One image: made, shown, changed, deleted, with headers alone.

use serde_json::{Value, json};

use super::{ADMIN, active, door, id_of, image, new, path, queued, saying, shown};
use crate::door::{delete, get, post, put};

const ID: &str = "71c675ab-d94f-49cd-a114-e12490b328d9";

#[tokio::test]
async fn what_is_said_in_headers_is_shown_in_json_and_in_headers() {
    let door = door();
    let said = [
        ("x-image-meta-id", ID),
        ("x-image-meta-name", "old friend"),
        ("x-image-meta-min-ram", "40"),
        ("x-image-meta-min_disk", "2"),
        ("x-image-meta-protected", "yes"),
        ("x-image-meta-owner", "b"),
        ("x-image-meta-property-os-type", "linux"),
        ("x-image-meta-property-empty", ""),
    ];
    let made = door.ask(new(&said).header("host", "images:9292")).await.expect(201);
    assert_eq!(made.header("location"), Some(format!("http://images:9292/v1/images/{ID}").as_str()));
    assert_eq!((made.header("content-type"), made.header("etag")), (Some("application/json"), None));
    let mut told = image(&made);
    for moment in ["created_at", "updated_at"] {
        let moment = told.as_object_mut().unwrap().remove(moment).unwrap();
        assert!(moment.as_str().unwrap().ends_with(".000000"), "{moment}");
    }
    // The owner is an administrator's to say.
    let expected = json!({
        "id": ID, "name": "old friend", "status": "queued", "size": 0, "virtual_size": null, "checksum": null,
        "disk_format": "raw", "container_format": "bare", "min_ram": 40, "min_disk": 2, "protected": true,
        "is_public": false, "owner": "a", "deleted": false, "deleted_at": null, "properties": {"os_type": "linux"},
    });
    assert_eq!(told, expected);
    let shown = shown(&door, ID).await;
    for (name, value) in [
        ("id", Some(ID)),
        ("name", Some("old friend")),
        ("status", Some("queued")),
        ("size", Some("0")),
        ("disk_format", Some("raw")),
        ("container_format", Some("bare")),
        ("min_ram", Some("40")),
        ("min_disk", Some("2")),
        ("protected", Some("True")),
        ("is_public", Some("False")),
        ("deleted", Some("False")),
        ("owner", Some("a")),
        ("property-os_type", Some("linux")),
        ("property-empty", None),
        ("checksum", None),
        ("deleted_at", None),
        ("location", None),
    ] {
        assert_eq!(shown.header(&format!("x-image-meta-{name}")), value, "{name}");
    }
    assert!(shown.body.is_empty());
    assert_eq!(door.show(ID).await["visibility"], "shared", "v2 sees the same image");
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_and_nothing_is_made() {
    let door = door();
    queued(&door, &[("x-image-meta-id", ID)]).await;
    for (said, status, why) in [
        (("x-image-meta-id", ID), 409, format!("An image with identifier {ID} already exists")),
        (("x-image-meta-id", "7"), 400, "Failed to reserve image. Got error: Invalid image id format".into()),
        (("x-image-meta-colour", "red"), 400, "Bad header: x-image-meta-colour".into()),
        (("x-image-meta-disk_format", "floppy"), 400, "Invalid disk format 'floppy' for image.".into()),
        (("x-image-meta-container_format", "x"), 400, "Invalid container format 'x' for image.".into()),
        (
            ("x-image-meta-disk_format", "ami"),
            400,
            "Invalid mix of disk and container formats. When setting a disk or container format to one of 'aki', \
             'ari', or 'ami', the container and disk formats must match."
                .into(),
        ),
        (("x-image-meta-property-status", "x"), 403, "Property 'status' is protected".into()),
        (
            ("x-image-meta-size", "1099511627777"),
            400,
            "Denying attempt to upload image larger than 1099511627776 bytes.".into(),
        ),
        (
            ("x-image-meta-location", "http://127.0.0.1/x"),
            400,
            "External sources are not supported: 'http://127.0.0.1/x'".into(),
        ),
        (
            ("x-glance-api-copy-from", "http://127.0.0.1/x"),
            400,
            "External sources are not supported: 'http://127.0.0.1/x'".into(),
        ),
    ] {
        assert_eq!(door.ask(new(&[said])).await.expect(status).text(), why);
    }
    let listed = door.ask(get("/v1/images")).await.expect(200).json();
    assert_eq!(listed["images"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn one_of_amazons_formats_is_that_of_both() {
    let door = door();
    let made = door.ask(post("/v1/images").header("x-image-meta-disk-format", "aki")).await.expect(201);
    assert_eq!(image(&made)["container_format"], "aki");
    let none = id_of(&door.ask(post("/v1/images")).await.expect(201));
    let set = door.ask(put(path(&none)).header("x-image-meta-container-format", "ari")).await.expect(200);
    assert_eq!(
        (&image(&set)["disk_format"], &image(&set)["container_format"]),
        (&json!("ari"), &json!("ari"))
    );
}

#[tokio::test]
async fn the_owner_is_an_administrators_to_say_and_to_change() {
    let door = door();
    let made = door.ask(new(&[("x-image-meta-owner", "b")]).by(ADMIN)).await.expect(201);
    assert_eq!(image(&made)["owner"], "b");
    let id = id_of(&made);
    let own = |owner: &str| put(path(&id)).header("x-image-meta-owner", owner);
    assert_eq!(image(&door.ask(own("c").by("b")).await.expect(200))["owner"], "b");
    assert_eq!(image(&door.ask(own("c").by(ADMIN)).await.expect(200))["owner"], "c");
    assert_eq!(image(&door.ask(own("").by(ADMIN)).await.expect(200))["owner"], Value::Null);
}

#[tokio::test]
async fn properties_that_are_not_said_go_unless_the_client_says_that_they_stay() {
    let door = door();
    let id = queued(&door, &[("x-image-meta-property-a", "1"), ("x-image-meta-property-b", "2")]).await;
    let purge = "x-glance-registry-purge-props";
    for (said, expected) in [
        (&[("x-image-meta-property-c", "3"), (purge, "false")][..], json!({"a": "1", "b": "2", "c": "3"})),
        (&[("x-image-meta-property-b", ""), (purge, "False")], json!({"a": "1", "c": "3"})),
        (&[("x-image-meta-property-c", "4"), (purge, "true")], json!({"c": "4"})),
        (&[("x-image-meta-property-d", "5")], json!({"d": "5"})),
        (&[("x-image-meta-name", "x")], json!({})),
    ] {
        let changed = door.ask(saying(put(path(&id)), said)).await.expect(200);
        assert_eq!(image(&changed)["properties"], expected, "{said:?}");
        assert_eq!(changed.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn what_does_not_change_may_be_said_again_and_nothing_else() {
    let door = door();
    let id = active(&door, "abc").await;
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    for (name, same, other, why) in [
        ("x-image-meta-id", id.as_str(), ID, "Forbidden to modify 'id' of image."),
        ("x-image-meta-status", "active", "queued", "Forbidden to modify 'status' of image."),
        ("x-image-meta-size", "3", "4", "Forbidden to modify 'size' of active image."),
        ("x-image-meta-checksum", md5, "00", "Forbidden to modify 'checksum' of active image."),
    ] {
        let tagged = door.ask(put(path(&id)).header(name, same)).await.expect(200);
        assert_eq!(tagged.header("etag"), Some(md5));
        assert_eq!(door.ask(put(path(&id)).header(name, other)).await.expect(403).text(), why);
    }
    door.ask(put(path(&id)).header("x-image-meta-disk-format", "raw")).await.expect(200);
    door.ask(put(path(&id)).header("x-image-meta-disk-format", "iso")).await.expect(403);
}

#[tokio::test]
async fn an_image_is_public_or_not() {
    let door = door();
    let id = queued(&door, &[]).await;
    let public = |word: &str| put(path(&id)).header("x-image-meta-is-public", word).by(ADMIN);
    for (word, expected, visibility) in
        [("false", false, "shared"), ("True", true, "public"), ("no", false, "shared")]
    {
        assert_eq!(image(&door.ask(public(word)).await.expect(200))["is_public"], expected);
        assert_eq!(door.show(&id).await["visibility"], visibility);
    }
}

#[tokio::test]
async fn an_image_has_so_many_properties_and_no_more() {
    let door = door();
    let names: Vec<String> = (0..129).map(|n| format!("x-image-meta-property-p{n}")).collect();
    let names: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
    let all: Vec<(&'static str, &str)> = names.iter().map(|name| (*name, "x")).collect();
    let id = id_of(&door.ask(new(&all[..128])).await.expect(201));
    let more =
        "The limit has been exceeded on the number of allowed image properties. Attempted: 129, Maximum: 128";
    assert_eq!(door.ask(new(&all)).await.expect(413).text(), more);
    let one = [all[128], ("x-glance-registry-purge-props", "false")];
    assert_eq!(door.ask(saying(put(path(&id)), &one)).await.expect(413).text(), more);
    door.ask(saying(put(path(&id)), &all[..1])).await.expect(200);
}

#[tokio::test]
async fn deleted_is_gone_and_protected_stays() {
    let door = door();
    let id = queued(&door, &[("x-image-meta-protected", "True")]).await;
    assert_eq!(door.ask(delete(path(&id))).await.expect(403).text(), "Image is protected");
    door.ask(put(path(&id)).header("x-image-meta-protected", "False")).await.expect(200);
    assert!(door.ask(delete(path(&id))).await.expect(200).body.is_empty());
    door.ask(delete(path(&id))).await.expect(404);
    door.ask(super::head(path(&id))).await.expect(404);
    door.ask(get(format!("/v2/images/{id}"))).await.expect(404);
}
