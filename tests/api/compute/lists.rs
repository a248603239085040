//! Lists: what is in them, for whom, page by page.

use std::num::NonZeroUsize;
use std::sync::Arc;

use image_service::{Caller, Status, Timestamp};
use portico::api::Settings;
use portico_memory::{Memory, Options};
use serde_json::{Value, json};

use super::{ABSENT, door, door_to, fault, made, public, settings, with};
use crate::door::{Door, delete, get, memory};
use crate::flawed::{Flaw, Flawed};

fn names(answer: &Value) -> Vec<String> {
    let images = answer["images"].as_array().unwrap().iter();
    images.map(|image| image["name"].as_str().unwrap().to_owned()).collect()
}

async fn listed(door: &Door, query: &str) -> String {
    let answer = door.ask(get(format!("/v2.1/images?{query}"))).await.expect(200).json();
    let mut names = names(&answer);
    names.sort_unstable();
    names.join(" ")
}

#[tokio::test]
async fn a_list_shows_ids_names_and_links_to_whoever_may_see_the_images() {
    let door = door();
    let (own, public) = (with(&door, json!({})).await, public(&door).await);
    made(&door, json!({"name": "hidden", "os_hidden": true}), "a").await;
    made(&door, json!({"name": "community", "visibility": "community"}), "b").await;
    let answer = door.ask(get("/v2.1/images")).await.expect(200);
    let images = answer.json()["images"].as_array().unwrap().clone();
    assert_eq!(images.len(), 2, "{images:?}");
    for image in &images {
        let keys: Vec<&String> = image.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["id", "links", "name"]);
        assert_eq!(image["links"].as_array().unwrap().len(), 3);
        assert!([&own, &public].contains(&&image["id"].as_str().unwrap().to_owned()));
    }
    let others = door.ask(get("/v2.1/images").by("b")).await.expect(200).json();
    let mut found = names(&others);
    found.sort_unstable();
    assert_eq!(found, ["community", "public"]);
}

/// Images of project `a`, one of each status.
fn of_each_status() -> Door {
    let memory = Memory::new("memory", Options::default());
    for status in Status::ALL.iter().filter(|status| **status != Status::Deleted) {
        let new = image_service::NewImage { name: Some(status.to_string()), ..Default::default() };
        let mut image =
            new.into_image(&Caller::member_of("a"), Timestamp::from_second(1_000_000).unwrap()).unwrap();
        image.status = *status;
        memory.seed(image, None).unwrap();
    }
    door_to(Arc::new(memory))
}

#[tokio::test]
async fn a_status_finds_the_images_that_are_shown_with_it() {
    let door = of_each_status();
    for (word, expected) in [
        ("ACTIVE", "active"),
        ("active", "active"),
        ("SAVING", "queued saving"),
        ("ERROR", "killed"),
        ("UNKNOWN", "deactivated importing uploading"),
        ("queued", "queued"),
        ("DEACTIVATED", "deactivated"),
        ("in:active,queued", "active queued"),
        ("nonsense", ""),
    ] {
        assert_eq!(listed(&door, &format!("status={word}")).await, expected, "{word}");
        let detail = door.ask(get(format!("/v2.1/images/detail?status={word}"))).await.expect(200).json();
        for image in detail["images"].as_array().unwrap() {
            let shown = image["status"].as_str().unwrap();
            let is_word_of_v2 =
                word.contains(':') || image["name"].as_str().unwrap().eq_ignore_ascii_case(word);
            assert!(shown.eq_ignore_ascii_case(word) || is_word_of_v2, "{image}");
        }
    }
}

#[tokio::test]
async fn every_filter_finds_what_it_names() {
    let door = door();
    for (name, properties) in [
        ("ram", json!({"min_ram": 5})),
        ("disk", json!({"min_disk": 2})),
        ("typed", json!({"image_type": "snapshot", "os_distro": "x"})),
        ("served", json!({"instance_uuid": "u"})),
    ] {
        let mut image = properties.clone();
        image["name"] = name.into();
        made(&door, image, "a").await;
    }
    for (query, expected) in [
        ("name=ram", "ram"),
        ("name=nothing", ""),
        ("minRam=5", "ram"),
        ("minDisk=2", "disk"),
        ("type=snapshot", "typed"),
        ("server=u", "served"),
        ("server=http://x/v2/servers/u", "served"),
        ("server=other", ""),
        ("property-os_distro=x", "typed"),
        ("property-os_distro=y", ""),
        ("property-name=ram", ""),
        ("changes-since=2011-01-01T00:00:00Z", "disk ram served typed"),
        ("changes-since=2999-01-01T00:00:00Z", ""),
        ("status=SAVING&name=disk", "disk"),
        ("os_distro=y&visibility=nonsense", "disk ram served typed"),
        ("offset=2&page_size=1", "disk ram served typed"),
    ] {
        assert_eq!(listed(&door, query).await, expected, "{query}");
    }
    for query in [
        "limit=0",
        "limit=x",
        "limit=",
        "limit=-1",
        "offset=x",
        "page_size=0",
        "minRam=x",
        "changes-since=x",
        "name=x:y",
        "marker=x",
        "a=%zz",
    ] {
        for list in ["images", "images/detail"] {
            let refused = door.ask(get(format!("/v2.1/{list}?{query}"))).await.expect(400);
            assert_eq!(fault(&refused).0, "badRequest", "{query}");
        }
    }
}

/// The names in the order of a walk along the links, from `path` on.
async fn walk(door: &Door, path: &str) -> Vec<String> {
    let (mut found, mut next) = (Vec::new(), Some(path.to_owned()));
    for _ in 0..100 {
        let Some(path) = next else { return found };
        let page = door.ask(get(&path)).await.expect(200).json();
        found.extend(names(&page));
        next = page.get("images_links").map(|links| {
            assert_eq!((links.as_array().unwrap().len(), &links[0]["rel"]), (1, &json!("next")));
            links[0]["href"].as_str().unwrap().strip_prefix("http://x").unwrap().to_owned()
        });
    }
    panic!("the walk does not end");
}

#[tokio::test]
async fn a_walk_along_the_links_finds_everything_once_however_short_the_pages_of_the_store_are() {
    let flaw = Flaw::GivesPagesOf(NonZeroUsize::MIN.saturating_add(1));
    let door = door_to(Arc::new(Flawed { inner: Arc::new(memory()), flaw }));
    let mut expected: Vec<String> = (0..11).map(|n| format!("n{n:02}")).collect();
    for name in &expected {
        made(&door, json!({"name": name, "colour": "red"}), "a").await;
    }
    expected.sort_unstable();
    for begin in ["/v2.1/images", "/v2.1/images/detail", "/v2.1/a/images", "/v2/a/images/detail"] {
        for limit in [1, 3, 5, 11, 12] {
            let mut found = walk(&door, &format!("{begin}?limit={limit}&property-colour=red&foo=bar")).await;
            found.sort_unstable();
            assert_eq!(found, expected, "{begin} {limit}");
        }
    }
}

#[tokio::test]
async fn a_page_without_a_limit_is_as_large_as_a_page_may_be_and_links_to_the_next() {
    let largest_page = NonZeroUsize::MIN.saturating_add(1);
    let settings = Settings { largest_page, ..settings() };
    let door = Door::with(Arc::new(memory()), settings);
    for name in ["one", "two", "three"] {
        made(&door, json!({"name": name}), "a").await;
    }
    for query in ["", "?limit=1000"] {
        let page = door.ask(get(format!("/v2.1/images{query}"))).await.expect(200).json();
        assert_eq!(names(&page).len(), 2, "{query}");
        assert_eq!(walk(&door, &format!("/v2.1/images{query}")).await.len(), 3, "{query}");
    }
}

#[tokio::test]
async fn a_walk_goes_on_from_an_image_that_is_gone_and_not_from_one_that_was_never_seen() {
    let door = door();
    for name in ["one", "two"] {
        made(&door, json!({"name": name}), "a").await;
    }
    let page = door.ask(get("/v2.1/images?limit=1")).await.expect(200).json();
    let last = page["images"][0]["id"].as_str().unwrap();
    door.ask(delete(format!("/v2.1/images/{last}"))).await.expect(204);
    let rest = door.ask(get(format!("/v2.1/images?limit=1&marker={last}"))).await.expect(200).json();
    assert_eq!(names(&rest).len(), 1);
    let hidden = with(&door, json!({})).await;
    for marker in [ABSENT, &hidden] {
        let refused = door.ask(get(format!("/v2.1/images?marker={marker}")).by("b")).await.expect(400);
        assert_eq!(fault(&refused).1, format!("No image found with ID {marker}"));
    }
}
