//! What is the same for every image of a source, whatever its dialect. Pure.

use image_service::{Image, ImageId, Result, Status, Timestamp, Visibility};

use super::PublishedOptions;

/// Where images come from, as the operator has it.
#[derive(Debug)]
pub(crate) struct Origin {
    namespace: String,
    owner: Option<String>,
}

impl Origin {
    /// The origin that `options` name, or else the backend called `name`.
    pub(crate) fn new(name: &str, options: &PublishedOptions) -> Self {
        let namespace = options.namespace.clone().unwrap_or_else(|| name.to_owned());
        Self { namespace, owner: options.owner.clone() }
    }

    /// The image that `key` tells from all others of its source, of which nothing more is known than that it is published.
    /// It was made, and last changed, at `made`, and in 1970 if nobody says.
    pub(crate) fn image(&self, key: &str, made: Option<Timestamp>) -> Result<Image> {
        let made = made.map_or_else(|| Timestamp::from_second(0), Ok)?;
        Ok(Image {
            id: ImageId::derived(&self.namespace, key),
            name: None,
            status: Status::Active,
            visibility: Visibility::Public,
            owner: self.owner.clone(),
            size: None,
            virtual_size: None,
            disk_format: None,
            container_format: Some(String::from("bare")),
            checksum: None,
            hash: None,
            hidden: false,
            protected: false,
            min_disk: 0,
            min_ram: 0,
            tags: [].into(),
            created_at: made,
            updated_at: made,
            properties: [].into(),
            stores: Vec::new(),
        })
    }
}
