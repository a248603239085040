//! An image as text and back, so that it can be remembered over the end of the process. Pure.

use std::collections::{BTreeMap, BTreeSet};

use image_service::{Image, ImageId, MultiHash, Result, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Record {
    id: String,
    name: Option<String>,
    status: String,
    visibility: String,
    owner: Option<String>,
    size: Option<u64>,
    virtual_size: Option<u64>,
    disk_format: Option<String>,
    container_format: Option<String>,
    checksum: Option<String>,
    hash: Option<(String, String)>,
    hidden: bool,
    protected: bool,
    min_disk: u32,
    min_ram: u32,
    tags: BTreeSet<String>,
    created_at: i64,
    updated_at: i64,
    properties: BTreeMap<String, String>,
    stores: Vec<String>,
}

/// Writes an image down.
pub(super) fn write(image: &Image) -> String {
    let image = image.clone();
    let record = Record {
        id: image.id.as_str().to_owned(),
        name: image.name,
        status: image.status.as_str().to_owned(),
        visibility: image.visibility.as_str().to_owned(),
        owner: image.owner,
        size: image.size,
        virtual_size: image.virtual_size,
        disk_format: image.disk_format,
        container_format: image.container_format,
        checksum: image.checksum,
        hash: image.hash.map(|hash| (hash.algorithm, hash.value)),
        hidden: image.hidden,
        protected: image.protected,
        min_disk: image.min_disk,
        min_ram: image.min_ram,
        tags: image.tags,
        created_at: image.created_at.as_second(),
        updated_at: image.updated_at.as_second(),
        properties: image.properties,
        stores: image.stores,
    };
    serde_json::to_string(&record).expect("text, numbers and maps of text can be written")
}

/// Reads an image that was written down. `None` if it is not one.
pub(super) fn read(text: &str) -> Option<Image> {
    let record: Record = serde_json::from_str(text).ok()?;
    into_image(record).ok()
}

fn into_image(record: Record) -> Result<Image> {
    Ok(Image {
        id: ImageId::lookup(record.id),
        name: record.name,
        status: record.status.parse()?,
        visibility: record.visibility.parse()?,
        owner: record.owner,
        size: record.size,
        virtual_size: record.virtual_size,
        disk_format: record.disk_format,
        container_format: record.container_format,
        checksum: record.checksum,
        hash: record.hash.map(|(algorithm, value)| MultiHash { algorithm, value }),
        hidden: record.hidden,
        protected: record.protected,
        min_disk: record.min_disk,
        min_ram: record.min_ram,
        tags: record.tags,
        created_at: Timestamp::from_second(record.created_at)?,
        updated_at: Timestamp::from_second(record.updated_at)?,
        properties: record.properties,
        stores: record.stores,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{Caller, NewImage, Status, Visibility};

    #[test]
    fn an_image_is_read_as_it_was_written() {
        let new = NewImage {
            name: Some("ä \"quoted\"".into()),
            visibility: Some(Visibility::Community),
            ..NewImage::default()
        };
        let mut image = new.into_image(&Caller::member_of("a"), Timestamp::now()).unwrap();
        (image.status, image.size, image.min_disk) = (Status::Deactivated, Some(u64::MAX), 7);
        image.hash = Some(MultiHash { algorithm: "sha512".into(), value: "00".into() });
        image.tags.insert("tag".into());
        image.properties.insert("name".into(), "not the name".into());
        image.stores = vec!["a".into(), "b".into()];
        assert_eq!(read(&write(&image)), Some(image));
        assert_eq!(read("{}"), None);
        assert_eq!(read(""), None);
    }
}
