//! Lists: what is in them, for whom, in which order, page by page.

use std::num::NonZeroUsize;
use std::sync::Arc;

use image_service::{Caller, Context, ImageService, NewImage, Status, Timestamp, Visibility};
use portico_memory::{Memory, Options};
use serde_json::{Value, json};

use super::{ADMIN, active, door, door_to, new, path, queued};
use crate::door::{Door, get, memory, put};
use crate::flawed::{Flaw, Flawed};

async fn listed(door: &Door, query: &str, caller: &str) -> Vec<String> {
    let answer = door.ask(get(format!("/v1/images?{query}")).by(caller)).await.expect(200).json();
    let images = answer["images"].as_array().unwrap().iter();
    images.map(|image| image["name"].as_str().unwrap().to_owned()).collect()
}

async fn sorted(door: &Door, query: &str, caller: &str) -> String {
    let mut names = listed(door, query, caller).await;
    names.sort_unstable();
    names.join(" ")
}

#[tokio::test]
async fn a_list_is_brief_or_whole() {
    let door = door();
    let said = [("x-image-meta-name", "x"), ("x-image-meta-property-colour", "red")];
    let id = queued(&door, &said).await;
    let brief = door.ask(get("/v1/images")).await.expect(200).json();
    let expected = json!({"images": [{
        "id": id, "name": "x", "size": 0, "disk_format": "raw", "container_format": "bare", "checksum": null,
    }]});
    assert_eq!(brief, expected);
    let whole = door.ask(get("/v1/images/detail")).await.expect(200).json();
    let image = &whole["images"][0];
    assert_eq!((&image["properties"], &image["is_public"]), (&json!({"colour": "red"}), &json!(false)));
    assert_eq!((image.as_object().unwrap().len(), image.get("location")), (18, None));
}

/// Images of every visibility, of three projects: `a`, `b` and nobody's.
async fn world() -> Door {
    let memory = Memory::new("memory", Options::default());
    for (name, owner, visibility) in [
        ("a-private", "a", Visibility::Private),
        ("a-shared", "a", Visibility::Shared),
        ("a-public", "a", Visibility::Public),
        ("a-community", "a", Visibility::Community),
        ("b-private", "b", Visibility::Private),
        ("b-shared", "b", Visibility::Shared),
        ("b-public", "b", Visibility::Public),
        ("b-community", "b", Visibility::Community),
        ("b-given", "b", Visibility::Shared),
        ("b-refused", "b", Visibility::Shared),
    ] {
        let context = Context::new(Caller::member_of(owner), "req-1");
        let image = NewImage { name: Some(name.into()), visibility: Some(visibility), ..NewImage::default() };
        let image = memory.create(&context, image, None).await.unwrap();
        let member = name.strip_prefix("b-").filter(|rest| ["given", "refused"].contains(rest));
        if let Some(said) = member {
            let sharing = memory.sharing().unwrap();
            sharing.add_member(&context, &image.id, "a").await.unwrap();
            if said == "refused" {
                let member = Context::new(Caller::member_of("a"), "req-2");
                let status = image_service::MemberStatus::Rejected;
                sharing.set_member_status(&member, &image.id, "a", status).await.unwrap();
            }
        }
    }
    door_to(Arc::new(memory))
}

#[tokio::test]
async fn everyone_lists_public_images_their_own_and_what_is_shared_with_them_whatever_they_said_to_it() {
    let door = world().await;
    let own = "a-community a-private a-public a-shared b-given b-public b-refused";
    for query in ["", "is_public=none", "is_public=False", "deleted=True"] {
        assert_eq!(sorted(&door, query, "a").await, own, "{query}");
    }
    // An administrator is taken for a user first, and sees the rest on request.
    let admin = "a:admin,member";
    assert_eq!(sorted(&door, "", admin).await, own);
    assert_eq!(sorted(&door, "is_public=True", admin).await, own);
    let all = "a-community a-private a-public a-shared b-given b-private b-public b-refused b-shared";
    assert_eq!(sorted(&door, "is_public=None", admin).await, all);
    let not_public = "a-community a-private a-shared b-given b-private b-refused b-shared";
    assert_eq!(sorted(&door, "is_public=False", admin).await, not_public);
    assert_eq!(sorted(&door, "deleted=True", admin).await, "");
}

#[tokio::test]
async fn every_filter_finds_what_it_names() {
    let door = door();
    for (name, said) in [
        ("one", [("x-image-meta-disk-format", "iso"), ("x-image-meta-min-ram", "1")]),
        ("two", [("x-image-meta-min-disk", "2"), ("x-image-meta-protected", "1")]),
        ("three", [("x-image-meta-container-format", "ovf"), ("x-image-meta-property-colour", "red")]),
    ] {
        let mut said = said.to_vec();
        said.push(("x-image-meta-name", name));
        queued(&door, &said).await;
    }
    let full = active(&door, "0123456789").await;
    door.ask(put(path(&full)).header("x-image-meta-name", "full")).await.expect(200);
    for (query, expected) in [
        ("name=two", "two"),
        ("name=nothing", ""),
        ("status=active", "full"),
        ("status=queued", "one three two"),
        ("status=killed", ""),
        ("disk_format=iso", "one"),
        ("container_format=ovf", "three"),
        ("min_ram=1", "one"),
        ("min_disk=2", "two"),
        ("size_min=10", "full"),
        ("size_min=11", ""),
        ("size_max=10&status=active", "full"),
        ("size_max=9&status=active", ""),
        ("protected=True", "two"),
        ("protected=0&status=queued", "one three"),
        ("property-colour=red", "three"),
        ("property-colour=blue", ""),
        ("changes-since=2011-01-01T00:00:00", "full one three two"),
        ("changes-since=2999-01-01T00:00:00Z", ""),
        ("colour=red", "full one three two"),
    ] {
        assert_eq!(sorted(&door, query, "a").await, expected, "{query}");
    }
    for query in ["size_min=x", "limit=-1", "limit=x", "sort_key=owner", "sort_dir=up", "protected=x"] {
        door.ask(get(format!("/v1/images?{query}"))).await.expect(400);
        door.ask(get(format!("/v1/images/detail?{query}"))).await.expect(400);
    }
    // What others than administrators say of it is not even read.
    door.ask(get("/v1/images?is_public=x")).await.expect(200);
    door.ask(get("/v1/images?is_public=x").by(ADMIN)).await.expect(400);
}

/// The names in the order of a walk by marker, in pages of so many.
async fn walk(door: &Door, query: &str, limit: usize) -> Vec<String> {
    let (mut names, mut marker) = (Vec::new(), String::new());
    for _ in 0..100 {
        let page = format!("/v1/images/detail?limit={limit}&{query}{marker}");
        let answer = door.ask(get(page)).await.expect(200).json();
        let images = answer["images"].as_array().unwrap().clone();
        names.extend(images.iter().map(|image| image["name"].as_str().unwrap().to_owned()));
        // As clients of v1 do: a page that is not full is the last one.
        if images.len() < limit {
            return names;
        }
        marker = format!("&marker={}", images.last().unwrap()["id"].as_str().unwrap());
    }
    panic!("the walk does not end");
}

#[tokio::test]
async fn a_walk_by_marker_finds_everything_once_however_short_the_pages_of_the_store_are() {
    let flaw = Flaw::GivesPagesOf(NonZeroUsize::MIN.saturating_add(1));
    let door = door_to(Arc::new(Flawed { inner: Arc::new(memory()), flaw }));
    let names: Vec<String> = (0..11).map(|n| format!("n{n:02}")).collect();
    for name in &names {
        queued(&door, &[("x-image-meta-name", name)]).await;
    }
    for limit in [1, 3, 5, 11, 12] {
        assert_eq!(walk(&door, "sort_key=name&sort_dir=asc", limit).await, names, "{limit}");
        let mut backwards = walk(&door, "sort_key=name", limit).await;
        backwards.reverse();
        assert_eq!(backwards, names, "{limit}");
    }
    assert_eq!(listed(&door, "limit=0", "a").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_marker_is_the_id_of_an_image_that_can_be_seen() {
    let door = door();
    let hidden = queued(&door, &[]).await;
    for (marker, why) in [
        ("x", "Invalid marker format"),
        ("11111111-2222-3333-4444-555555555555", "Invalid marker. Image could not be found."),
        (hidden.as_str(), "Invalid marker. Image could not be found."),
    ] {
        let refused = door.ask(get(format!("/v1/images?marker={marker}")).by("b")).await.expect(400);
        assert_eq!(refused.text(), why);
    }
    let last = door.ask(get(format!("/v1/images?marker={hidden}"))).await.expect(200).json();
    assert_eq!(last["images"], Value::Array(Vec::new()));
    door.ask(new(&[]).by(ADMIN)).await.expect(201);
}

#[tokio::test]
async fn images_whose_upload_failed_for_good_are_in_no_list_and_leave_no_page_short() {
    let memory = Memory::new("memory", Options::default());
    for number in 0..9 {
        let now = Timestamp::from_second(1_000_000 + number).unwrap();
        let new = NewImage { name: Some(format!("n{number}")), ..NewImage::default() };
        let mut image = new.into_image(&Caller::member_of("a"), now).unwrap();
        image.status = if number % 3 == 0 { Status::Queued } else { Status::Killed };
        memory.seed(image, None).unwrap();
    }
    let door = door_to(Arc::new(memory));
    for limit in [1, 2, 3, 4] {
        assert_eq!(walk(&door, "", limit).await, ["n6", "n3", "n0"], "{limit}");
    }
}
