//! What the server says of images, in JSON and in headers, read into the contract's nouns.
//!
//! Pure. Lists are JSON and a single record is headers, so that only what both can say alike is taken: property names in
//! small letters, and no property without a value. What a server must say and says wrongly is an error that names the
//! field.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use image_service::{Error, Image, ImageId, Properties, Result, Status, Timestamp, Visibility};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fault;

/// What the names of headers begin with that hold an attribute, and those that hold a property.
const ATTRIBUTE: &str = "x-image-meta-";
const PROPERTY: &str = "x-image-meta-property-";

/// A record as lists have it. What came later than 2011 may be missing.
#[derive(Debug, Default, Deserialize)]
struct Record {
    id: String,
    name: Option<String>,
    status: String,
    is_public: Option<bool>,
    owner: Option<String>,
    size: Option<u64>,
    virtual_size: Option<u64>,
    disk_format: Option<String>,
    container_format: Option<String>,
    checksum: Option<String>,
    protected: Option<bool>,
    min_disk: Option<u32>,
    min_ram: Option<u32>,
    created_at: String,
    updated_at: Option<String>,
    #[serde(default)]
    properties: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct List {
    images: Vec<Record>,
}

#[derive(Deserialize)]
struct One {
    image: Record,
}

#[derive(Deserialize)]
struct Members {
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    member_id: String,
}

#[derive(Deserialize)]
struct SharedImages {
    shared_images: Vec<SharedImage>,
}

#[derive(Deserialize)]
struct SharedImage {
    image_id: String,
}

/// Reads the body of a list, without the images that are deleted.
pub(super) fn images(body: &[u8]) -> Result<Vec<Image>> {
    let images: Result<Vec<Image>> = read::<List>(body)?.images.into_iter().map(image_of).collect();
    Ok(images?.into_iter().filter(|image| image.status != Status::Deleted).collect())
}

/// Reads the body that answers a write.
pub(super) fn image(body: &[u8]) -> Result<Image> {
    image_of(read::<One>(body)?.image)
}

/// Reads the properties out of the body that answers a write, by the names that the server holds them under.
pub(super) fn held_properties(body: &[u8]) -> Result<Properties> {
    Ok(texts(read::<One>(body)?.image.properties).collect())
}

/// Reads the body of a list of members: the projects.
pub(super) fn members(body: &[u8]) -> Result<Vec<String>> {
    Ok(read::<Members>(body)?.members.into_iter().map(|member| member.member_id).collect())
}

/// Reads the body of a list of what is shared with a project: the images' ids.
pub(super) fn shared_images(body: &[u8]) -> Result<Vec<String>> {
    Ok(read::<SharedImages>(body)?.shared_images.into_iter().map(|shared| shared.image_id).collect())
}

/// Reads the record of one image out of the head of an answer.
pub(super) fn image_in_headers(headers: &HeaderMap) -> Result<Image> {
    let mut record = Record::default();
    let (mut has_id, mut has_status) = (false, false);
    for (name, value) in headers {
        let Some(field) = name.as_str().strip_prefix(ATTRIBUTE) else { continue };
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| wrong(field, "text"))?;
        if let Some(key) = name.as_str().strip_prefix(PROPERTY) {
            record.properties.insert(key.to_owned(), Value::String(text.to_owned()));
            continue;
        }
        has_id |= field == "id";
        has_status |= field == "status";
        take(&mut record, field, text)?;
    }
    if !has_id || !has_status {
        return Err(wrong(if has_id { "status" } else { "id" }, "there"));
    }
    image_of(record)
}

fn take(record: &mut Record, field: &str, text: &str) -> Result<()> {
    let owned = || text.to_owned();
    match field.replace('-', "_").as_str() {
        "id" => record.id = owned(),
        "name" => record.name = Some(owned()),
        "status" => record.status = owned(),
        "is_public" => record.is_public = Some(flag(field, text)?),
        "owner" => record.owner = Some(owned()),
        "size" => record.size = Some(number(field, text)?),
        // Some servers write what is unset as a word.
        "virtual_size" if text != "None" => record.virtual_size = Some(number(field, text)?),
        "disk_format" => record.disk_format = Some(owned()),
        "container_format" => record.container_format = Some(owned()),
        "checksum" => record.checksum = Some(owned()),
        "protected" => record.protected = Some(flag(field, text)?),
        "min_disk" => record.min_disk = Some(number(field, text)?),
        "min_ram" => record.min_ram = Some(number(field, text)?),
        "created_at" => record.created_at = owned(),
        "updated_at" => record.updated_at = Some(owned()),
        _ => {}
    }
    Ok(())
}

fn image_of(record: Record) -> Result<Image> {
    let status: Status = word("status", &record.status)?;
    let created_at: Timestamp = word("created_at", &record.created_at)?;
    let updated_at = record.updated_at.as_deref().map(|time| word("updated_at", time)).transpose()?;
    let mut image = Image {
        id: ImageId::lookup(record.id),
        name: record.name,
        status,
        visibility: if record.is_public == Some(true) { Visibility::Public } else { Visibility::Shared },
        owner: record.owner.filter(|owner| !owner.is_empty()),
        size: None,
        virtual_size: record.virtual_size,
        disk_format: record.disk_format.filter(|format| !format.is_empty()),
        container_format: record.container_format.filter(|format| !format.is_empty()),
        checksum: record.checksum.map(|checksum| checksum.to_ascii_lowercase()),
        hash: None,
        hidden: false,
        protected: record.protected.unwrap_or(false),
        min_disk: record.min_disk.unwrap_or(0),
        min_ram: record.min_ram.unwrap_or(0),
        tags: std::collections::BTreeSet::new(),
        created_at,
        updated_at: updated_at.unwrap_or(created_at),
        properties: properties(record.properties),
        stores: Vec::new(),
    };
    // A record without data says that it has none of nothing.
    image.size = record.size.filter(|_| image.has_data());
    Ok(image)
}

fn properties(all: BTreeMap<String, Value>) -> Properties {
    texts(all).map(|(key, value)| (shown_key(&key), value)).collect()
}

/// The name that a property is shown by, whatever the server holds it under.
pub(super) fn shown_key(key: &str) -> String {
    key.to_lowercase()
}

fn texts(all: BTreeMap<String, Value>) -> impl Iterator<Item = (String, String)> {
    all.into_iter().filter_map(|(key, value)| match value {
        Value::String(value) => Some((key, value)),
        _ => None,
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|source| fault::nonsense("an answer that is not what it should be").with_source(source))
}

fn word<T: FromStr<Err = Error>>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|source| wrong(field, "one that is known").with_source(source))
}

fn number<T: FromStr>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| wrong(field, "a natural number"))
}

fn flag(field: &str, text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" | "" | "none" => Ok(false),
        _ => Err(wrong(field, "true or false")),
    }
}

fn wrong(field: &str, expected: impl fmt::Display) -> Error {
    fault::nonsense(format_args!("its '{field}' is not {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::ErrorKind;
    use serde_json::json;

    fn least() -> Value {
        json!({"id": "i", "status": "active", "created_at": "2012-03-04T05:06:07", "size": 7})
    }

    fn read(record: &Value) -> Result<Image> {
        image(json!({"image": record}).to_string().as_bytes())
    }

    #[test]
    fn the_least_that_a_server_can_say_of_an_image_is_an_image() {
        let image = read(&least()).unwrap();
        assert_eq!(
            (image.status, image.visibility, image.size),
            (Status::Active, Visibility::Shared, Some(7))
        );
        assert_eq!((image.updated_at, image.protected, image.min_disk), (image.created_at, false, 0));
    }

    #[test]
    fn without_data_there_is_no_size_and_what_is_deleted_is_not_listed() {
        let mut queued = least();
        queued["status"] = json!("queued");
        assert_eq!(read(&queued).unwrap().size, None);
        let mut deleted = least();
        deleted["status"] = json!("deleted");
        let list = json!({"images": [deleted, least()]}).to_string();
        assert_eq!(images(list.as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn headers_and_json_say_the_same_of_an_image() {
        let mut record = least();
        for (field, value) in [
            ("name", json!("ä b")),
            ("is_public", json!(true)),
            ("protected", json!(true)),
            ("min_disk", json!(3)),
            ("virtual_size", json!(null)),
            ("checksum", json!("ab")),
            ("properties", json!({"Os_Distro": "debian", "none": null, "empty": ""})),
        ] {
            record[field] = value;
        }
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-image-meta-id", "i"),
            ("x-image-meta-status", "active"),
            ("x-image-meta-created_at", "2012-03-04T05:06:07"),
            ("x-image-meta-size", "7"),
            ("x-image-meta-name", "ä b"),
            ("x-image-meta-is_public", "True"),
            ("x-image-meta-protected", "True"),
            ("x-image-meta-min_disk", "3"),
            ("x-image-meta-virtual_size", "None"),
            ("x-image-meta-checksum", "ab"),
            ("x-image-meta-property-os_distro", "debian"),
            ("x-image-meta-property-empty", ""),
            ("x-image-meta-store", "file"),
            ("content-length", "0"),
        ] {
            headers.insert(name, reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        assert_eq!(image_in_headers(&headers).unwrap(), read(&record).unwrap());
    }

    #[test]
    fn what_is_missing_or_wrong_is_an_error() {
        for (field, value) in [
            ("id", json!(7)),
            ("id", Value::Null),
            ("status", json!("asleep")),
            ("size", json!("7")),
            ("created_at", json!("yesterday")),
        ] {
            let mut record = least();
            record[field] = value.clone();
            assert_eq!(read(&record).unwrap_err().kind(), ErrorKind::Internal, "{field} {value}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-image-meta-id", "i".parse().unwrap());
        let error = image_in_headers(&headers).unwrap_err();
        assert!(error.message().contains("'status'"), "{error}");
    }
}
