//! Image data in and out, one request at a time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use portico::api::Settings;
use serde_json::json;

use crate::door::{Door, get, id_of, memory, put};

fn file(id: &str) -> String {
    format!("/v2/images/{id}/file")
}

#[tokio::test]
async fn what_goes_in_comes_out_with_its_length_and_hash() {
    let door = Door::to_memory();
    let id = door.queued().await;
    let uploaded = door.ask(put(file(&id)).octets("abc")).await.expect(204);
    assert!(uploaded.body.is_empty());
    let image = door.show(&id).await;
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    assert_eq!(
        [&image["status"], &image["size"], &image["checksum"], &image["os_hash_algo"]],
        [&json!("active"), &json!(3), &json!(md5), &json!("sha512")]
    );
    assert!(image["os_hash_value"].as_str().unwrap().starts_with("ddaf35a193617abacc417349ae204131"));
    let answer = door.ask(get(file(&id))).await.expect(200);
    assert_eq!(answer.body, "abc");
    assert_eq!(answer.header("content-length"), Some("3"));
    assert_eq!(answer.header("content-md5"), Some(md5));
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn one_range_is_served_and_others_are_refused() {
    let door = Door::to_memory();
    let id = door.active(b"0123456789").await;
    let md5 = door.show(&id).await["checksum"].as_str().unwrap().to_owned();
    for (name, range, part, place) in [
        ("range", "bytes=0-3", "0123", "bytes 0-3/10"),
        ("range", "bytes=7-", "789", "bytes 7-9/10"),
        ("range", "bytes=-2", "89", "bytes 8-9/10"),
        ("range", "bytes=-20", "0123456789", "bytes 0-9/10"),
        ("range", "bytes=8-100", "89", "bytes 8-9/10"),
        ("range", "bytes=8-99999999999999999999", "89", "bytes 8-9/10"),
        ("range", "bytes=-99999999999999999999", "0123456789", "bytes 0-9/10"),
        ("content-range", "bytes 1-2/*", "12", "bytes 1-2/10"),
        ("content-range", "bytes 1-2/10", "12", "bytes 1-2/10"),
    ] {
        let answer = door.ask(get(file(&id)).header(name, range)).await.expect(206);
        assert_eq!(answer.body, part, "{range}");
        assert_eq!(answer.header("content-range"), Some(place));
        assert_eq!(answer.header("content-length"), Some(part.len().to_string().as_str()));
        assert_eq!(answer.header("content-md5"), Some(md5.as_str()), "the hash is always of the whole");
    }
    for (name, range, status) in [
        ("range", "bytes=0-1,3-4", 400),
        ("range", "bytes=10-", 416),
        ("range", "bytes=20-30", 416),
        ("range", "bytes=99999999999999999999-", 416),
        ("range", "bytes=4-2", 416),
        ("range", "bytes=-0", 416),
        ("range", "lines=1-2", 416),
        ("content-range", "bytes 1-2/11", 416),
        ("content-range", "bytes 5-10/*", 416),
        ("content-range", "nonsense", 416),
    ] {
        let answer = door.ask(get(file(&id)).header(name, range)).await.expect(status);
        let size = (status == 416).then_some("bytes */10");
        assert_eq!(answer.header("content-range"), size, "{range}");
    }
    door.ask(get(format!("{}?prefer=local", file(&id)))).await.expect(400);
}

#[tokio::test]
async fn who_names_the_tag_of_the_data_hears_whether_it_is_still_that() {
    let door = Door::to_memory();
    let id = door.active(b"0123456789").await;
    let hash = door.show(&id).await["os_hash_value"].as_str().unwrap().to_owned();
    let tag = format!("\"sha512:{hash}\"");
    let whole = door.ask(get(file(&id))).await.expect(200);
    assert_eq!((whole.header("etag"), whole.header("accept-ranges")), (Some(tag.as_str()), Some("bytes")));
    let same = door.ask(get(file(&id)).header("if-none-match", &tag)).await.expect(304);
    assert_eq!((same.header("etag"), same.body.len()), (Some(tag.as_str()), 0));
    door.ask(get(file(&id)).header("if-none-match", "\"other\"")).await.expect(200);
    door.ask(get(file(&id)).header("if-match", &tag)).await.expect(200);
    door.ask(get(file(&id)).header("if-match", "\"other\"")).await.expect(412);
    for (meant, status, part) in [(tag.as_str(), 206, "01"), ("\"other\"", 200, "0123456789")] {
        let answer = get(file(&id)).header("range", "bytes=0-1").header("if-range", meant);
        let answer = door.ask(answer).await.expect(status);
        assert_eq!((answer.body.as_ref(), answer.header("etag")), (part.as_bytes(), Some(tag.as_str())));
    }
}

#[tokio::test]
async fn conditions_tell_nobody_more_than_the_data_would() {
    let door = Door::to_memory();
    let id = door.active(b"0123456789").await;
    let tag = door.ask(get(file(&id))).await.expect(200).header("etag").unwrap().to_owned();
    door.ask(get(file("absent")).header("if-none-match", "*")).await.expect(404);
    let queued = door.queued().await;
    door.ask(get(file(&queued)).header("if-none-match", "*")).await.expect(204);
    door.ask(get(file(&queued)).header("if-match", "\"other\"")).await.expect(204);
    door.ask(put(format!("/v2/images/{id}")).header("if-match", &tag).body("")).await.expect(405);
}

#[tokio::test]
async fn an_image_without_data_gives_nothing_whatever_the_range() {
    let door = Door::to_memory();
    let id = door.queued().await;
    assert!(door.ask(get(file(&id))).await.expect(204).body.is_empty());
    for range in ["bytes=5-", "bytes=5-4", "nonsense"] {
        door.ask(get(file(&id)).header("range", range)).await.expect(204);
        door.ask(get(file("absent")).header("range", range)).await.expect(404);
    }
    door.ask(get(file("absent"))).await.expect(404);
}

#[tokio::test]
async fn an_image_of_no_bytes_is_an_image() {
    let door = Door::to_memory();
    let id = door.queued().await;
    door.ask(put(file(&id)).octets("")).await.expect(204);
    assert_eq!(door.show(&id).await["size"], 0);
    assert_eq!(door.ask(get(file(&id))).await.expect(200).header("content-length"), Some("0"));
}

#[tokio::test]
async fn an_upload_that_cannot_be_meant_is_refused_and_leaves_the_image_queued() {
    let door = Door::to_memory();
    let id = door.queued().await;
    let sized = |length: &str, size: &str| {
        put(file(&id)).octets("abc").header("content-length", length).header("x-openstack-image-size", size)
    };
    door.ask(put(file(&id)).body("abc")).await.expect(415);
    door.ask(put(file(&id)).body("abc").header("content-type", "text/plain")).await.expect(415);
    for (length, size) in [("3", "4"), ("3", "x"), ("3", "-3"), ("3", "1.5"), ("3", "")] {
        door.ask(sized(length, size)).await.expect(400);
    }
    // Neither more nor fewer than announced.
    for size in ["2", "4"] {
        door.ask(put(file(&id)).octets("abc").header("x-openstack-image-size", size)).await.expect(400);
    }
    let image = door.show(&id).await;
    assert_eq!((&image["status"], &image["size"]), (&json!("queued"), &json!(null)));
    door.ask(sized("3", "3").header("content-type", "Application/Octet-Stream; x=y")).await.expect(204);
    door.ask(put(file(&id)).octets("again")).await.expect(409);
    assert_eq!(door.ask(get(file(&id))).await.body, "abc");
    door.ask(put(file("absent")).octets("abc")).await.expect(404);
    let formless = id_of(&door.create(json!({"disk_format": "raw"})).await);
    door.ask(put(file(&formless)).octets("abc")).await.expect(400);
}

#[tokio::test]
async fn an_upload_is_bounded_whether_its_size_is_announced_or_not() {
    let settings = Settings { image_size: 10, ..Settings::default() };
    let door = Door::with(Arc::new(memory()), settings);
    let id = door.queued().await;
    door.ask(put(file(&id)).octets("x").header("content-length", "11")).await.expect(413);
    let pieces = futures::stream::iter((0..11).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"x"))));
    door.ask(put(file(&id)).octets(Body::from_stream(pieces))).await.expect(413);
    assert_eq!(door.show(&id).await["status"], "queued");
    door.ask(put(file(&id)).octets("0123456789")).await.expect(204);
}

#[tokio::test]
async fn an_upload_that_breaks_off_can_be_tried_again() {
    let door = Door::to_memory();
    let id = door.queued().await;
    let broken = [Ok(Bytes::from_static(b"the beginning")), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures::stream::iter(broken));
    door.ask(put(file(&id)).octets(body)).await.expect(400);
    let image = door.show(&id).await;
    assert_eq!((&image["status"], &image["size"]), (&json!("queued"), &json!(null)));
    door.ask(put(file(&id)).octets("abc")).await.expect(204);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_pauses_for_too_long_has_broken_off() {
    let settings = Settings { body_pause: Duration::from_secs(7), ..Settings::default() };
    let door = Door::with(Arc::new(memory()), settings);
    let id = door.queued().await;
    let started = tokio::time::Instant::now();
    let silent = || {
        let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"x"))]);
        Body::from_stream(first.chain(futures::stream::pending()))
    };
    door.ask(put(file(&id)).octets(silent())).await.expect(400);
    assert_eq!(started.elapsed(), Duration::from_secs(7));
    assert_eq!(door.show(&id).await["status"], "queued");
    door.ask(crate::door::post("/v2/images").body(silent())).await.expect(408);
}
