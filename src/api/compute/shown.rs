//! An image as the Compute API shows it. Pure.

use std::collections::BTreeMap;

use image_service::{Image, Status};
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::wire;
use super::place::{Link, Links};

/// Properties in which Nova keeps JSON, and shows what it means.
const JSON: [&str; 2] = ["block_device_mapping", "mappings"];

/// The property that says of which server an image was taken.
pub(super) const SERVER: &str = "instance_uuid";

/// The property that says whether a server may divide its disk as it likes.
const DISK_CONFIG: &str = "auto_disk_config";

/// What Nova takes for true.
const TRUE: [&str; 6] = ["1", "t", "true", "on", "y", "yes"];

/// The word for a status. All that is newer than this API is unknown to it.
pub(super) const fn status(status: Status) -> &'static str {
    match status {
        Status::Active => "ACTIVE",
        Status::Queued | Status::Saving => "SAVING",
        Status::Deleted | Status::PendingDelete => "DELETED",
        Status::Killed => "ERROR",
        _ => "UNKNOWN",
    }
}

/// How far an image is, in percent, by its status alone.
const fn progress(status: Status) -> u8 {
    match status {
        Status::Queued => 25,
        Status::Saving => 50,
        Status::Active => 100,
        _ => 0,
    }
}

/// What a property says.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    /// Text, as almost all do.
    Text(&'a str),
    /// JSON, as it stands: a tree of it would take many times its room, and change its numbers.
    Json(&'a RawValue),
}

impl<'a> Item<'a> {
    fn new(key: &str, value: &'a str) -> Self {
        match JSON.contains(&key).then(|| serde_json::from_str(value)) {
            Some(Ok(json)) => Self::Json(json),
            _ => Self::Text(value),
        }
    }

    /// The property of an image, if it is shown.
    pub(super) fn of(image: &'a Image, key: &str) -> Option<Self> {
        let (key, value) = wire::properties(image).find(|(name, _)| *name == key)?;
        Some(Self::new(key, value))
    }
}

/// The properties of an image: those that v2 shows.
pub(super) fn metadata(image: &Image) -> BTreeMap<&str, Item<'_>> {
    wire::properties(image).map(|(key, value)| (key, Item::new(key, value))).collect()
}

/// What tells one image from another.
#[derive(Debug, Serialize)]
pub(super) struct Brief<'a> {
    id: &'a str,
    name: Option<&'a str>,
    links: [Link; 3],
}

impl<'a> Brief<'a> {
    pub(super) fn new(image: &'a Image, links: &Links) -> Self {
        Self { id: image.id.as_str(), name: image.name.as_deref(), links: links.of_image(&image.id) }
    }
}

/// The server that an image was taken of.
#[derive(Debug, Serialize)]
struct Server<'a> {
    id: &'a str,
    links: [Link; 2],
}

/// All of an image.
#[derive(Debug, Serialize)]
pub(super) struct Whole<'a> {
    #[serde(flatten)]
    brief: Brief<'a>,
    #[serde(rename = "minRam")]
    min_ram: u32,
    #[serde(rename = "minDisk")]
    min_disk: u32,
    metadata: BTreeMap<&'a str, Item<'a>>,
    created: String,
    updated: String,
    status: &'static str,
    progress: u8,
    #[serde(rename = "OS-EXT-IMG-SIZE:size")]
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server<'a>>,
    #[serde(rename = "OS-DCF:diskConfig", skip_serializing_if = "Option::is_none")]
    disk_config: Option<&'static str>,
}

impl<'a> Whole<'a> {
    pub(super) fn new(image: &'a Image, links: &Links) -> Self {
        let text = |key| image.properties.get(key).map(String::as_str);
        let config = |value: &str| match TRUE.iter().any(|word| value.trim().eq_ignore_ascii_case(word)) {
            true => "AUTO",
            false => "MANUAL",
        };
        Self {
            brief: Brief::new(image, links),
            min_ram: image.min_ram,
            min_disk: image.min_disk,
            metadata: metadata(image),
            created: image.created_at.to_string(),
            updated: image.updated_at.to_string(),
            status: status(image.status),
            progress: progress(image.status),
            size: image.size.unwrap_or_default(),
            server: text(SERVER).map(|id| Server { id, links: links.of_server(id) }),
            disk_config: text(DISK_CONFIG).map(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::Place;
    use super::*;
    use image_service::{Caller, NewImage, Timestamp};
    use serde_json::{Value, json};

    fn image(properties: &[(&str, &str)]) -> Image {
        let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let new =
            NewImage { properties: properties.collect(), min_ram: 5, min_disk: 1, ..NewImage::default() };
        new.into_image(&Caller::member_of("a"), Timestamp::from_second(0).unwrap()).unwrap()
    }

    fn shown(image: &Image) -> Value {
        let links = Links::new("http://x".into(), &Place::default());
        serde_json::to_value(Whole::new(image, &links)).unwrap()
    }

    #[test]
    fn an_image_is_shown_with_everything_that_nova_shows_and_no_more() {
        let image = image(&[("colour", "red"), ("name", "property"), ("os_glance_stage_host", "a")]);
        let id = image.id.as_str();
        let expected = json!({
            "id": id, "name": null, "minRam": 5, "minDisk": 1, "metadata": {"colour": "red"},
            "created": "1970-01-01T00:00:00Z", "updated": "1970-01-01T00:00:00Z",
            "status": "SAVING", "progress": 25, "OS-EXT-IMG-SIZE:size": 0,
            "links": [
                {"rel": "self", "href": format!("http://x/v2.1/images/{id}")},
                {"rel": "bookmark", "href": format!("http://x/images/{id}")},
                {"rel": "alternate", "type": "application/vnd.openstack.image",
                 "href": format!("http://x/v2/images/{id}")},
            ],
        });
        assert_eq!(shown(&image), expected);
        let links = Links::new("http://x".into(), &Place::default());
        let brief = serde_json::to_value(Brief::new(&image, &links)).unwrap();
        assert_eq!(brief, json!({"id": id, "name": null, "links": expected["links"]}));
    }

    #[test]
    fn an_image_of_a_server_shows_the_server_and_how_its_disk_is_divided() {
        let of = shown(&image(&[("instance_uuid", "u"), ("auto_disk_config", "True")]));
        let links = json!([
            {"rel": "self", "href": "http://x/v2.1/servers/u"}, {"rel": "bookmark", "href": "http://x/servers/u"},
        ]);
        assert_eq!(of["server"], json!({"id": "u", "links": links}));
        for (value, expected) in
            [("True", "AUTO"), (" yes ", "AUTO"), ("1", "AUTO"), ("disabled", "MANUAL"), ("", "MANUAL")]
        {
            assert_eq!(
                shown(&image(&[("auto_disk_config", value)]))["OS-DCF:diskConfig"],
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn what_nova_keeps_as_json_is_shown_as_what_it_means_and_else_as_it_stands() {
        let of = shown(&image(&[
            ("block_device_mapping", "[{\"a\": 1}]"),
            ("mappings", "not json"),
            ("other", "[1]"),
        ]));
        let expected = json!({"block_device_mapping": [{"a": 1}], "mappings": "not json", "other": "[1]"});
        assert_eq!(of["metadata"], expected);
    }

    #[test]
    fn json_is_shown_as_it_stands_however_deep_it_is_and_long_its_numbers_are() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for value in ["[12345678901234567890123, 0.10]", &deep] {
            let image = image(&[("mappings", value)]);
            let links = Links::new("http://x".into(), &Place::default());
            let whole = serde_json::to_string(&Whole::new(&image, &links)).unwrap();
            assert!(whole.contains(&format!("\"mappings\":{value}")), "{whole}");
            let item = serde_json::to_string(&Item::of(&image, "mappings")).unwrap();
            assert_eq!(item, value);
        }
    }

    #[test]
    fn each_status_has_its_word_and_its_progress() {
        for (of, word, percent) in [
            (Status::Queued, "SAVING", 25),
            (Status::Saving, "SAVING", 50),
            (Status::Active, "ACTIVE", 100),
            (Status::PendingDelete, "DELETED", 0),
            (Status::Deleted, "DELETED", 0),
            (Status::Killed, "ERROR", 0),
            (Status::Uploading, "UNKNOWN", 0),
            (Status::Importing, "UNKNOWN", 0),
            (Status::Deactivated, "UNKNOWN", 0),
        ] {
            let shown = shown(&Image { status: of, size: Some(7), ..image(&[]) });
            assert_eq!((&shown["status"], &shown["progress"]), (&json!(word), &json!(percent)), "{of}");
            assert_eq!(shown["OS-EXT-IMG-SIZE:size"], 7);
        }
    }
}
