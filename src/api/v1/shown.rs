//! An image as v1 shows it, in JSON and in headers. Pure.

use std::collections::BTreeMap;

use http::header::ETAG;
use http::{HeaderMap, HeaderName, HeaderValue};
use image_service::{Image, Status, Timestamp, Visibility};
use serde::Serialize;

/// How properties begin that are the service's own.
const OURS: &str = "os_glance";

/// Most properties that are shown in headers. Images of our own have fewer; it is a bound on those of others.
const MOST_HEADERS: usize = 1000;

/// The word for a status. Imports are newer than v1, which calls all data on its way so.
pub(super) const fn status(status: Status) -> &'static str {
    match status {
        Status::Uploading | Status::Importing => Status::Saving.as_str(),
        other => other.as_str(),
    }
}

/// What a list shows.
#[derive(Debug, Serialize)]
pub(super) struct Brief<'a> {
    id: &'a str,
    name: Option<&'a str>,
    size: u64,
    disk_format: Option<&'a str>,
    container_format: Option<&'a str>,
    checksum: Option<&'a str>,
}

impl<'a> From<&'a Image> for Brief<'a> {
    fn from(image: &'a Image) -> Self {
        Self {
            id: image.id.as_str(),
            name: image.name.as_deref(),
            size: image.size.unwrap_or_default(),
            disk_format: image.disk_format.as_deref(),
            container_format: image.container_format.as_deref(),
            checksum: image.checksum.as_deref(),
        }
    }
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Whole<'a> {
    #[serde(flatten)]
    brief: Brief<'a>,
    status: &'static str,
    is_public: bool,
    protected: bool,
    owner: Option<&'a str>,
    virtual_size: Option<u64>,
    min_disk: u32,
    min_ram: u32,
    created_at: String,
    updated_at: String,
    deleted_at: Option<&'a str>,
    deleted: bool,
    properties: BTreeMap<&'a str, &'a str>,
}

impl<'a> From<&'a Image> for Whole<'a> {
    fn from(image: &'a Image) -> Self {
        let properties = image.properties.iter().filter(|(key, _)| !key.starts_with(OURS));
        Self {
            brief: Brief::from(image),
            status: status(image.status),
            is_public: image.visibility == Visibility::Public,
            protected: image.protected,
            owner: image.owner.as_deref(),
            virtual_size: image.virtual_size,
            min_disk: image.min_disk,
            min_ram: image.min_ram,
            created_at: time(image.created_at),
            updated_at: time(image.updated_at),
            deleted_at: None,
            deleted: false,
            properties: properties.map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        }
    }
}

/// With a fraction and without a zone: clients of the time read exactly this.
fn time(time: Timestamp) -> String {
    format!("{}.000000", time.to_string().trim_end_matches('Z'))
}

/// Truth, as Python spells it.
const fn flag(flag: bool) -> &'static str {
    if flag { "True" } else { "False" }
}

/// Shows an image in the headers of an answer. What is unset is left out, and so is what cannot stand in a header.
pub(super) fn put(image: &Image, headers: &mut HeaderMap) {
    let whole = Whole::from(image);
    let brief = &whole.brief;
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let text = |text: Option<&str>| text.map(str::to_owned);
    for (key, value) in [
        ("x-image-meta-id", text(Some(brief.id))),
        ("x-image-meta-name", text(brief.name)),
        ("x-image-meta-size", number(Some(brief.size))),
        ("x-image-meta-disk_format", text(brief.disk_format)),
        ("x-image-meta-container_format", text(brief.container_format)),
        ("x-image-meta-checksum", text(brief.checksum)),
        ("x-image-meta-status", text(Some(whole.status))),
        ("x-image-meta-is_public", text(Some(flag(whole.is_public)))),
        ("x-image-meta-protected", text(Some(flag(whole.protected)))),
        ("x-image-meta-owner", text(whole.owner)),
        ("x-image-meta-virtual_size", number(whole.virtual_size)),
        ("x-image-meta-min_disk", Some(whole.min_disk.to_string())),
        ("x-image-meta-min_ram", Some(whole.min_ram.to_string())),
        ("x-image-meta-created_at", Some(whole.created_at)),
        ("x-image-meta-updated_at", Some(whole.updated_at)),
        ("x-image-meta-deleted", text(Some(flag(whole.deleted)))),
    ] {
        insert(headers, HeaderName::from_static(key), value.as_deref());
    }
    for (key, value) in whole.properties.into_iter().take(MOST_HEADERS) {
        let name = format!("x-image-meta-property-{}", key.to_lowercase());
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            insert(headers, name, Some(value));
        }
    }
    put_tag(image, headers);
}

/// Names the data of an image, by its MD5 and without quotation marks, as Glance did.
pub(super) fn put_tag(image: &Image, headers: &mut HeaderMap) {
    insert(headers, ETAG, image.checksum.as_deref());
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(Ok(value)) = value.map(|value| HeaderValue::from_bytes(value.as_bytes())) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{Caller, NewImage};
    use serde_json::{Value, json};

    fn image(properties: &[(&str, &str)]) -> Image {
        let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let new = NewImage { properties: properties.collect(), ..NewImage::default() };
        new.into_image(&Caller::member_of("a"), Timestamp::from_second(0).unwrap()).unwrap()
    }

    #[test]
    fn json_has_every_attribute_and_nothing_of_where_the_data_lies() {
        let image = image(&[("colour", "red"), ("name", "property"), ("os_glance_importing_to_stores", "a")]);
        let expected = json!({
            "id": image.id.as_str(), "name": null, "size": 0, "disk_format": null, "container_format": null,
            "checksum": null, "status": "queued", "is_public": false, "protected": false, "owner": "a",
            "virtual_size": null, "min_disk": 0, "min_ram": 0, "created_at": "1970-01-01T00:00:00.000000",
            "updated_at": "1970-01-01T00:00:00.000000", "deleted_at": null, "deleted": false,
            "properties": {"colour": "red", "name": "property"},
        });
        assert_eq!(serde_json::to_value(Whole::from(&image)).unwrap(), expected);
        let brief = serde_json::to_value(Brief::from(&image)).unwrap();
        let keys: Vec<&String> = brief.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["checksum", "container_format", "disk_format", "id", "name", "size"]);
        assert_eq!(brief["size"], Value::from(0));
    }

    #[test]
    fn headers_leave_out_what_is_unset_and_what_cannot_stand_in_one() {
        let mut image = image(&[
            ("Os-Type", "lïnux"),
            ("with space", "x"),
            ("lines", "a\nb"),
            ("empty", ""),
            ("ok", "1"),
        ]);
        image.checksum = Some("00".into());
        image.visibility = Visibility::Public;
        let mut headers = HeaderMap::new();
        put(&image, &mut headers);
        let shown = |name: &str| {
            headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        assert_eq!(shown("x-image-meta-is_public").as_deref(), Some("True"));
        assert_eq!(shown("x-image-meta-deleted").as_deref(), Some("False"));
        assert_eq!(shown("x-image-meta-size").as_deref(), Some("0"));
        assert_eq!(shown("etag").as_deref(), Some("00"));
        assert_eq!(shown("x-image-meta-property-os-type").as_deref(), Some("lïnux"));
        assert_eq!(shown("x-image-meta-property-empty").as_deref(), Some(""));
        assert_eq!(shown("x-image-meta-name"), None);
        let properties = headers.keys().filter(|name| name.as_str().starts_with("x-image-meta-property-"));
        assert_eq!(properties.count(), 3, "{headers:?}");
    }
}
