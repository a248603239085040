//! Nova's JSON, read into the contract's nouns.
//!
//! Pure. What Nova must say and says wrongly is an error.

use std::collections::{BTreeMap, BTreeSet};

use image_service::{Image, ImageId, Properties, Result, Status, Timestamp, Visibility};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fault;

#[derive(Deserialize)]
struct List {
    images: Vec<Record>,
}

#[derive(Deserialize)]
struct One {
    image: Record,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    id: String,
    name: Option<String>,
    status: String,
    progress: Option<u8>,
    created: String,
    updated: Option<String>,
    #[serde(default)]
    min_disk: u32,
    #[serde(default)]
    min_ram: u32,
    #[serde(default)]
    metadata: BTreeMap<String, Value>,
    #[serde(rename = "OS-EXT-IMG-SIZE:size")]
    size: Option<u64>,
}

/// What Nova does not tell of any image, and is the same for all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tenancy<'o> {
    /// Whose it is.
    pub(super) owner: Option<&'o str>,
    /// What it is to others.
    pub(super) visibility: Visibility,
}

/// Reads the body of a list, without the images that are deleted.
pub(super) fn images(body: &[u8], tenancy: Tenancy<'_>) -> Result<Vec<Image>> {
    let list: List = read(body)?;
    list.images.into_iter().filter_map(|record| image_of(record, tenancy).transpose()).collect()
}

/// Reads the body of one image. `None` if it is deleted.
pub(super) fn image(body: &[u8], tenancy: Tenancy<'_>) -> Result<Option<Image>> {
    image_of(read::<One>(body)?.image, tenancy)
}

fn image_of(record: Record, tenancy: Tenancy<'_>) -> Result<Option<Image>> {
    let Some(status) = status(&record.status, record.progress)? else { return Ok(None) };
    let created_at = time(&record.created)?;
    let mut image = Image {
        id: ImageId::lookup(record.id),
        name: record.name,
        status,
        visibility: tenancy.visibility,
        owner: tenancy.owner.map(str::to_owned),
        size: None,
        virtual_size: None,
        disk_format: None,
        container_format: None,
        checksum: None,
        hash: None,
        hidden: false,
        protected: false,
        min_disk: record.min_disk,
        min_ram: record.min_ram,
        tags: BTreeSet::new(),
        created_at,
        updated_at: record.updated.as_deref().map_or(Ok(created_at), time)?,
        properties: properties(record.metadata),
        stores: Vec::new(),
    };
    // Nova says 0 of an image without data.
    image.size = record.size.filter(|_| image.has_data());
    Ok(Some(image))
}

fn time(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|source| fault::nonsense("a time that is none").with_source(source))
}

/// The image's own status. Nova has one word for two, and tells them apart by the progress.
fn status(word: &str, progress: Option<u8>) -> Result<Option<Status>> {
    Ok(Some(match (word, progress) {
        ("ACTIVE", _) => Status::Active,
        ("SAVING", Some(50)) => Status::Saving,
        ("SAVING", _) => Status::Queued,
        ("ERROR", _) => Status::Killed,
        ("UNKNOWN", _) => Status::Deactivated,
        ("DELETED", _) => return Ok(None),
        _ => return Err(fault::nonsense("a status that nobody knows")),
    }))
}

/// Metadata are properties. Of some properties Nova shows what their text means; they become a text again.
fn properties(metadata: BTreeMap<String, Value>) -> Properties {
    let text = |(key, value): (String, Value)| match value {
        Value::Null => None,
        Value::String(text) => Some((key, text)),
        other => Some((key, other.to_string())),
    };
    metadata.into_iter().filter_map(text).collect()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|source| fault::nonsense("an answer that is not what it should be").with_source(source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::ErrorKind;
    use serde_json::json;

    fn read(record: &Value) -> Result<Option<Image>> {
        image(
            json!({"image": record}).to_string().as_bytes(),
            Tenancy { owner: None, visibility: Visibility::Public },
        )
    }

    fn record(status: &str, progress: u8) -> Value {
        json!({"id": "i", "name": null, "status": status, "progress": progress,
               "created": "2026-11-23T12:00:00Z", "updated": "2026-11-23T12:00:01Z",
               "OS-EXT-IMG-SIZE:size": 7})
    }

    #[test]
    fn a_status_is_led_back_to_what_nova_made_it_of() {
        for (word, progress, expected) in [
            ("ACTIVE", 100, Some(Status::Active)),
            ("SAVING", 25, Some(Status::Queued)),
            ("SAVING", 50, Some(Status::Saving)),
            ("ERROR", 0, Some(Status::Killed)),
            ("UNKNOWN", 0, Some(Status::Deactivated)),
            ("DELETED", 0, None),
        ] {
            let image = read(&record(word, progress)).unwrap();
            assert_eq!(image.as_ref().map(|image| image.status), expected, "{word} {progress}");
            let has_data = image.as_ref().is_some_and(Image::has_data);
            assert_eq!(image.and_then(|image| image.size), has_data.then_some(7), "{word} {progress}");
        }
        assert_eq!(read(&record("ASLEEP", 0)).unwrap_err().kind(), ErrorKind::Internal);
    }

    #[test]
    fn metadata_are_properties_also_where_nova_shows_what_they_mean() {
        let mut record = record("ACTIVE", 100);
        record["metadata"] =
            json!({"os_distro": "debian", "mappings": [{"device": "sda"}], "kernel_id": null});
        let properties = read(&record).unwrap().unwrap().properties;
        let expected = [("mappings", r#"[{"device":"sda"}]"#), ("os_distro", "debian")];
        assert!(properties.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(expected));
    }
}
