//! Lists: every image once, in order, however a client pages; and what a query string may say.

use std::sync::Arc;

use image_service::{Caller, ErrorKind, Image, ImageId, NewImage, Status, Timestamp, Visibility};
use portico::api::{CursorKey, Settings};
use portico_memory::Memory;
use serde_json::{Value, json};

use crate::door::{Door, delete, get, memory, post};
use crate::flawed::{Flaw, Flawed};

/// Thirty-seven images whose names, sizes and times collide, or are not set.
fn crowd() -> Memory {
    let memory = memory();
    for number in 0..37_u64 {
        let now = Timestamp::from_second(1_000_000 + i64::try_from(number / 5).unwrap()).unwrap();
        let new = NewImage {
            id: Some(ImageId::derived("crowd", &number.to_string())),
            name: (number % 4 != 0).then(|| format!("name {}", number % 6)),
            tags: ["all".to_owned(), format!("mod{}", number % 2)].into(),
            ..NewImage::default()
        };
        let mut image: Image = new.into_image(&Caller::member_of("a"), now).unwrap();
        image.size = (number % 3 != 0).then_some(number % 7);
        image.status = if image.size.is_some() { Status::Active } else { Status::Queued };
        memory.seed(image, None).unwrap();
    }
    memory
}

fn ids(list: &Value) -> Vec<String> {
    let images = list["images"].as_array().unwrap().iter();
    images.map(|image| image["id"].as_str().unwrap().to_owned()).collect()
}

async fn page(door: &Door, path: &str) -> Value {
    door.ask(get(path)).await.expect(200).json()
}

/// Follows `next`, or names the last image as the marker, until there is no more.
async fn walk(door: &Door, query: &str, limit: usize, by_marker: bool) -> Vec<String> {
    let first = format!("/v2/images?{query}&limit={limit}");
    let (mut path, mut seen) = (first.clone(), Vec::new());
    for _ in 0..50 {
        let list = page(door, &path).await;
        let ids = ids(&list);
        assert!(ids.len() <= limit);
        let last = ids.last().cloned();
        seen.extend(ids);
        match (list.get("next"), last) {
            (Some(next), Some(last)) => {
                path = if by_marker {
                    format!("{first}&marker={last}")
                } else {
                    next.as_str().unwrap().to_owned()
                };
            }
            (None, _) => return seen,
            (Some(_), None) => panic!("an empty page with a next one"),
        }
    }
    panic!("the list has no end");
}

#[tokio::test]
async fn every_walk_gives_every_image_once_and_in_order() {
    let door = Door::to(Arc::new(crowd()));
    for query in [
        "sort=created_at",
        "sort=name:asc",
        "sort=name,size:asc",
        "sort_key=size&sort_dir=desc",
        "sort_key=status&sort_dir=asc&sort_key=name&sort_dir=desc",
        "sort=id:asc",
        "tag=all&tag=mod1",
    ] {
        let whole = ids(&page(&door, &format!("/v2/images?{query}&limit=1000")).await);
        let expected = if query.starts_with("tag") { 18 } else { 37 };
        assert_eq!(whole.len(), expected, "{query}");
        for limit in 1..=30 {
            assert_eq!(walk(&door, query, limit, false).await, whole, "{query} by next, {limit} at a time");
            assert_eq!(walk(&door, query, limit, true).await, whole, "{query} by marker, {limit} at a time");
        }
    }
}

#[tokio::test]
async fn links_are_paths_that_keep_what_was_asked() {
    let door = Door::to(Arc::new(crowd()));
    let list =
        page(&door, "/v2/images?tag=all&tag=mod0&limit=2&sort_key=name&sort_key=size&sort_dir=asc").await;
    let kept = "/v2/images?tag=all&tag=mod0&limit=2&sort_key=name&sort_key=size&sort_dir=asc";
    assert_eq!(list["first"], kept);
    assert_eq!(list["schema"], "/v2/schemas/images");
    let last = ids(&list).pop().unwrap();
    let next = list["next"].as_str().unwrap();
    assert!(next.starts_with(&format!("{kept}&marker={last}&cursor=")), "{next}");
    let second = page(&door, next).await;
    assert_eq!(second["first"], kept);
    let third = second["next"].as_str().unwrap();
    assert_eq!(third.matches("marker=").count() + third.matches("cursor=").count(), 2, "{third}");
}

#[tokio::test]
async fn there_is_a_next_page_only_if_there_is_more() {
    let door = Door::to(Arc::new(crowd()));
    let all = page(&door, "/v2/images?limit=37").await;
    assert_eq!((ids(&all).len(), all.get("next")), (37, None));
    let default = page(&door, "/v2/images").await;
    assert_eq!((ids(&default).len(), default["first"].as_str()), (25, Some("/v2/images")));
    assert!(default.get("next").is_some());
    let none = page(&door, "/v2/images?limit=0").await;
    assert_eq!((ids(&none).len(), none.get("next")), (0, None));
}

#[tokio::test]
async fn a_walk_goes_on_when_the_image_at_the_border_is_gone() {
    let door = Door::to(Arc::new(crowd()));
    let whole = ids(&page(&door, "/v2/images?limit=37").await);
    let first = page(&door, "/v2/images?limit=5").await;
    let next = first["next"].as_str().unwrap();
    door.ask(delete(format!("/v2/images/{}", whole[4]))).await.expect(204);
    assert_eq!(ids(&page(&door, next).await), whole[5..10]);
    // The page that ended there was given out, so the plain marker holds too, for the project that got it.
    let by_marker = format!("/v2/images?limit=5&marker={}", whole[4]);
    assert_eq!(ids(&page(&door, &by_marker).await), whole[5..10]);
    door.ask(get(&by_marker).by("b")).await.expect(400);
    // Of an image that no page ended with nobody knows where it stood.
    door.ask(delete(format!("/v2/images/{}", whole[2]))).await.expect(204);
    door.ask(get(format!("/v2/images?limit=5&marker={}", whole[2]))).await.expect(400);
}

#[tokio::test]
async fn a_walk_by_marker_goes_on_from_where_it_stood_when_the_image_at_the_border_has_moved() {
    let door = Door::to(Arc::new(crowd()));
    let by_name = |rest: &str| format!("/v2/images?sort=name:asc,id:asc&limit=5{rest}");
    let whole = ids(&page(&door, "/v2/images?sort=name:asc,id:asc&limit=37").await);
    let first = ids(&page(&door, &by_name("")).await);
    assert_eq!(first, whole[..5]);
    let rename = json!([{"op": "add", "path": "/name", "value": "zzz"}]);
    door.patch(&whole[4], rename).await.expect(200);
    assert_eq!(ids(&page(&door, &by_name(&format!("&marker={}", whole[4]))).await), whole[5..10]);
}

#[tokio::test]
async fn a_walk_by_marker_goes_on_while_the_backend_of_the_marker_is_silent() {
    let flaw = Flaw::ShowFails(ErrorKind::Unavailable);
    let door = Door::to(Arc::new(Flawed { inner: Arc::new(crowd()), flaw }));
    let whole = ids(&page(&door, "/v2/images?limit=37").await);
    door.ask(get(format!("/v2/images?limit=5&marker={}", whole[4]))).await.expect(503);
    let _ = page(&door, "/v2/images?limit=5").await;
    assert_eq!(ids(&page(&door, &format!("/v2/images?limit=5&marker={}", whole[4])).await), whole[5..10]);
}

#[tokio::test]
async fn a_cursor_is_taken_by_every_door_with_the_same_key_and_by_no_other() {
    let door = |cursor_key| Door::with(Arc::new(crowd()), Settings { cursor_key, ..Settings::default() });
    let key = |secret: &str| CursorKey::of(secret.as_bytes());
    let one = door(key("shared"));
    let whole = ids(&page(&one, "/v2/images?limit=37").await);
    let next = page(&one, "/v2/images?limit=5").await["next"].as_str().unwrap().to_owned();
    assert_eq!(ids(&page(&door(key("shared")), &next).await), whole[5..10]);
    for other in [key("other"), CursorKey::random()] {
        let refused = door(other).ask(get(&next)).await.expect(400);
        assert!(refused.message().contains("cursor: is not one of this service"), "{}", refused.message());
    }
}

#[tokio::test]
async fn a_marker_that_disagrees_with_the_cursor_counts() {
    let door = Door::to(Arc::new(crowd()));
    let whole = ids(&page(&door, "/v2/images?limit=37").await);
    let next = page(&door, "/v2/images?limit=5").await["next"].as_str().unwrap().to_owned();
    // openstacksdk carries parameters of an earlier page along.
    let mixed = next.replace(&whole[4], &whole[20]);
    assert_eq!(ids(&page(&door, &mixed).await), whole[21..26]);
    let cursor_alone = next.replace(&format!("marker={}&", whole[4]), "");
    assert_eq!(ids(&page(&door, &cursor_alone).await), whole[5..10]);
}

#[tokio::test]
async fn markers_and_cursors_that_lead_nowhere_are_refused() {
    let door = Door::to(Arc::new(crowd()));
    let next = page(&door, "/v2/images?limit=5").await["next"].as_str().unwrap().to_owned();
    let hidden = door.ask(post("/v2/images").by("b").json(&json!({}))).await.expect(201).json();
    for path in [
        "/v2/images?marker=absent".to_owned(),
        "/v2/images?marker=".to_owned(),
        format!("/v2/images?marker={}", hidden["id"].as_str().unwrap()),
        "/v2/images?cursor=".to_owned(),
        "/v2/images?cursor=e30".to_owned(),
        "/v2/images?cursor=!".to_owned(),
        format!("{next}x"),
        format!("{next}&sort=name"),
        format!("{next}&sort_dir=asc"),
    ] {
        let answer = door.ask(get(&path)).await;
        assert_eq!(answer.status, 400, "{path}");
    }
}

#[tokio::test]
async fn whom_an_image_is_listed_to_hangs_on_visibility_and_scope() {
    let memory = memory();
    for (name, owner, visibility, hidden) in [
        ("own private", "a", Visibility::Private, false),
        ("own hidden", "a", Visibility::Private, true),
        ("own community", "a", Visibility::Community, false),
        ("their public", "b", Visibility::Public, false),
        ("their community", "b", Visibility::Community, false),
        ("their shared", "b", Visibility::Shared, false),
        ("their private", "b", Visibility::Private, false),
    ] {
        let new = NewImage {
            name: Some(name.to_owned()),
            visibility: Some(visibility),
            hidden,
            ..NewImage::default()
        };
        memory.seed(new.into_image(&Caller::member_of(owner), Timestamp::now()).unwrap(), None).unwrap();
    }
    let door = Door::to(Arc::new(memory));
    let shared = door.ask(get("/v2/images?name=their+shared").by("b")).await.json();
    let shared = ids(&shared).pop().unwrap();
    door.ask(post(format!("/v2/images/{shared}/members")).by("b").json(&json!({"member": "a"})))
        .await
        .expect(200);
    for (query, expected) in [
        ("", &["own community", "own private", "their public"][..]),
        ("visibility=public", &["their public"]),
        ("visibility=private", &["own private"]),
        ("visibility=community", &["own community", "their community"]),
        ("visibility=all", &["own community", "own private", "their community", "their public"]),
        ("visibility=shared&member_status=pending", &["their shared"]),
        ("visibility=shared&member_status=all", &["their shared"]),
        ("visibility=shared", &[]),
        ("os_hidden=True", &["own hidden"]),
        ("os_hidden=FALSE&visibility=private", &["own private"]),
    ] {
        let list = page(&door, &format!("/v2/images?sort=name:asc&{query}")).await;
        let names: Vec<&str> =
            list["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{query}");
    }
    let admin = door.ask(get("/v2/images").by("x:admin")).await.json();
    assert_eq!(ids(&admin).len(), 4, "all but hidden and community ones");
}

#[tokio::test]
async fn filters_let_through_what_they_say() {
    let door = Door::to_memory();
    for image in [
        json!({"name": "a:b", "colour": "red", "tags": ["x", "y"], "min_ram": 5, "disk_format": "raw"}),
        json!({"name": "c,d", "colour": "blue", "tags": ["x"], "protected": true}),
        json!({"name": "e", "hw_cpu": "4"}),
    ] {
        door.create(image).await;
    }
    for (query, expected) in [
        ("name=e", "e"),
        ("name=eq:a:b", "a:b"),
        ("name=in:e,%22c,d%22", "c,d e"),
        ("name=e&name=nothing", ""),
        ("name=like:,d", "c,d"),
        ("name=like:%3A", "a:b"),
        ("name=like:", "a:b c,d e"),
        ("name=like:E", ""),
        ("status=queued", "a:b c,d e"),
        ("status=nonsense", ""),
        ("disk_format=in:raw,qcow2", "a:b"),
        ("tag=x", "a:b c,d"),
        ("tag=x&tag=y", "a:b"),
        ("colour=red", "a:b"),
        ("hw_cpu=4", "e"),
        ("is_public=none", ""),
        ("deleted=True", "a:b c,d e"),
        ("owner=a", "a:b c,d e"),
        ("owner=b", ""),
        ("protected=true", "c,d"),
        ("min_ram=5", "a:b"),
        ("min_ram_min=1", "a:b"),
        ("min_ram_max=1", "c,d e"),
        ("size_min=0", ""),
        ("created_at=gt:2020-01-01T00:00:00Z", "a:b c,d e"),
        ("created_at=lt:2020-01-01", ""),
        ("checksum=x", ""),
        ("visibility=shared", "a:b c,d e"),
    ] {
        let list = page(&door, &format!("/v2/images?sort=name:asc&{query}")).await;
        let names: Vec<&str> =
            list["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), expected, "{query}");
    }
    // What a client sees is what it can ask for.
    let image = &page(&door, "/v2/images?name=e").await["images"][0];
    let moment = image["created_at"].as_str().unwrap();
    assert_eq!(ids(&page(&door, &format!("/v2/images?created_at={moment}&name=e")).await).len(), 1);
}

#[tokio::test]
async fn a_query_that_cannot_be_meant_is_refused_with_its_key() {
    let door = Door::to_memory();
    for query in [
        "limit=x",
        "limit=-1",
        "limit=",
        "sort=nonsense",
        "sort_key=owner",
        "sort_dir=up",
        "name=a:b",
        "name=in:%22a",
        "created_at=gt:yesterday",
        "size_min=big",
        "colour_min=1",
        "visibility=open",
        "member_status=x",
        "os_hidden=1",
        "protected=True",
        "changes-since=2020-01-01",
        "locations=x",
        "name=%ff",
        "name=%",
        "marker=absent",
    ] {
        let answer = door.ask(get(format!("/v2/images?{query}"))).await.expect(400);
        let key = query.split('=').next().unwrap();
        assert!(answer.message().starts_with(key), "{query}: {}", answer.message());
    }
    for query in ["sort=name&sort_key=name", "sort_key=name&sort_dir=asc&sort_dir=desc", "%ff=1"] {
        door.ask(get(format!("/v2/images?{query}"))).await.expect(400);
    }
}
