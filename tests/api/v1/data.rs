//! Image data in and out.

use std::sync::Arc;

use image_service::ErrorKind;
use portico::api::Settings;
use serde_json::json;

use super::{
    ADMIN, active, chunked, door, door_to, id_of, image, new, path, queued, saying, settings, with_data,
};
use crate::door::{Door, get, memory, post, put};
use crate::flawed::{Flaw, Flawed};

const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

#[tokio::test]
async fn data_comes_with_the_image_or_after_it_and_goes_out_with_it() {
    let door = door();
    let said =
        [("x-image-meta-property-colour", "red"), ("x-image-meta-checksum", MD5), ("x-image-meta-size", "3")];
    let made = door.ask(with_data(new(&said), chunked("abc"))).await.expect(201);
    let told = image(&made);
    assert_eq!(
        (&told["status"], &told["size"], &told["checksum"]),
        (&json!("active"), &json!(3), &json!(MD5))
    );
    assert_eq!(made.header("etag"), Some(MD5));
    let later = queued(&door, &[("x-image-meta-property-colour", "red")]).await;
    let given = door.ask(with_data(put(path(&later)), "abc")).await.expect(200);
    assert_eq!((&image(&given)["status"], &image(&given)["size"]), (&json!("active"), &json!(3)));
    for id in [id_of(&made), later] {
        let answer = door.ask(get(path(&id))).await.expect(200);
        assert_eq!(answer.body, "abc");
        for (name, value) in [
            ("content-type", "application/octet-stream"),
            ("content-length", "3"),
            ("etag", MD5),
            ("x-image-meta-id", id.as_str()),
            ("x-image-meta-status", "active"),
            ("x-image-meta-checksum", MD5),
            // It was said without data, and stays when data comes.
            ("x-image-meta-property-colour", "red"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        // v1 knows no ranges.
        assert_eq!(door.ask(get(path(&id)).header("range", "bytes=1-")).await.expect(200).body, "abc");
    }
}

#[tokio::test]
async fn data_that_is_not_what_was_said_is_refused_and_nothing_of_it_stays() {
    let door = door();
    let mismatch = "Supplied size (4) and size generated from uploaded image (3) did not match.";
    let length = [("content-length", "3"), ("x-image-meta-size", "4")];
    assert_eq!(door.ask(with_data(new(&length), "abc")).await.expect(400).text(), mismatch);
    door.ask(with_data(new(&[("x-image-meta-size", "4")]), chunked("abc"))).await.expect(400);
    door.ask(with_data(new(&[("x-image-meta-size", "2")]), chunked("abc"))).await.expect(400);
    let other = "Supplied checksum (00) and checksum generated from uploaded image \
                 (900150983cd24fb0d6963f7d28e17f72) did not match.";
    let checksum = [("x-image-meta-checksum", "00")];
    assert_eq!(door.ask(with_data(new(&checksum), chunked("abc"))).await.expect(400).text(), other);
    assert_eq!(door.ask(get("/v1/images").by(ADMIN)).await.json(), json!({"images": []}));
    // An image that was there is queued again, and can be given data anew.
    let id = queued(&door, &[]).await;
    let refused = with_data(saying(put(path(&id)), &checksum), "abc");
    assert_eq!(door.ask(refused).await.expect(400).text(), other);
    assert_eq!(super::shown(&door, &id).await.header("x-image-meta-status"), Some("queued"));
    door.ask(with_data(put(path(&id)), "abc")).await.expect(200);
}

#[tokio::test]
async fn data_wants_its_type_its_formats_and_an_image_that_waits() {
    let door = door();
    let wrong = "Content-Type must be application/octet-stream";
    for ask in [new(&[]).body("abc"), new(&[]).header("content-type", "application/json").body("{}")] {
        assert_eq!(door.ask(ask).await.expect(400).text(), wrong);
    }
    for (said, why) in [
        (&[][..], "Disk format is not specified."),
        (&[("x-image-meta-disk-format", "raw")], "Container format is not specified."),
    ] {
        let ask = with_data(saying(post("/v1/images"), said), "abc");
        assert_eq!(door.ask(ask).await.expect(400).text(), why);
    }
    let id = active(&door, "abc").await;
    let again = door.ask(with_data(put(path(&id)), "abc")).await.expect(409);
    assert_eq!(again.text(), "Cannot upload to an unqueued image");
    let two = [("x-glance-api-copy-from", "http://127.0.0.1/x")];
    let refused = door.ask(with_data(new(&two), "abc")).await.expect(400);
    assert_eq!(refused.text(), "It's invalid to provide multiple image sources.");
}

#[tokio::test]
async fn an_image_of_no_bytes_is_active_at_once_and_gives_none() {
    let door = door();
    let made = door.ask(new(&[("x-image-meta-size", "0")])).await.expect(201);
    assert_eq!((&image(&made)["status"], &image(&made)["size"]), (&json!("active"), &json!(0)));
    let empty = door.ask(get(path(&id_of(&made)))).await.expect(200);
    assert_eq!((empty.body.len(), empty.header("content-length")), (0, Some("0")));
    let sent = door.ask(with_data(new(&[("x-image-meta-size", "0")]), chunked(""))).await.expect(201);
    assert_eq!(image(&sent)["status"], "active");
}

#[tokio::test]
async fn only_active_images_are_read() {
    let door = door();
    let id = queued(&door, &[]).await;
    assert_eq!(door.ask(get(path(&id))).await.expect(404).text(), format!("Image {id} is not active"));
    let id = active(&door, "abc").await;
    door.ask(post(format!("/v2/images/{id}/actions/deactivate")).by(ADMIN)).await.expect(204);
    for caller in ["a", ADMIN] {
        let refused = door.ask(get(path(&id)).by(caller)).await.expect(403);
        assert_eq!(refused.text(), format!("Image {id} is deactivated"));
    }
    assert_eq!(super::shown(&door, &id).await.header("x-image-meta-status"), Some("deactivated"));
}

#[tokio::test]
async fn an_image_has_so_many_bytes_and_no_more() {
    let settings = Settings { image_size: 4, ..settings() };
    let door = Door::with(Arc::new(memory()), settings);
    let why = "Denying attempt to upload image larger than 4 bytes.";
    let announced = with_data(new(&[("content-length", "5")]), "abcde");
    assert_eq!(door.ask(announced).await.expect(400).text(), why);
    assert_eq!(door.ask(with_data(new(&[]), chunked("abcde"))).await.expect(413).text(), why);
    door.ask(with_data(new(&[]), chunked("abcd"))).await.expect(201);
}

#[tokio::test]
async fn an_image_that_is_gone_when_its_data_has_come_and_a_store_that_takes_none_are_told_apart() {
    for (kind, status, why) in [
        (
            ErrorKind::NotFound,
            412,
            "could not be found after upload. The image may have been deleted during the upload.",
        ),
        (ErrorKind::NotImplemented, 410, "Error in store configuration. Adding images to store is disabled."),
        (ErrorKind::Conflict, 409, "told in our words"),
        (ErrorKind::Unavailable, 503, "told in our words"),
    ] {
        let flaw = Flaw::UpdateFails(kind);
        let door = door_to(Arc::new(Flawed { inner: Arc::new(memory()), flaw }));
        let id = queued(&door, &[]).await;
        let refused = door.ask(with_data(put(path(&id)), "abc")).await.expect(status);
        assert!(refused.text().ends_with(why), "{}", refused.text());
    }
}
