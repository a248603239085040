//! The name of an image, unchanged for ever.

use std::fmt;

use uuid::Uuid;

use crate::{Error, Result};

/// Opaque to everyone but the store that made it. Case is significant and order is by bytes.
///
/// New ids are random UUIDs. Any other string may still be asked for and is then simply not found, so a
/// lookup never has to tell a malformed id from an unknown one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(String);

impl ImageId {
    /// A new random UUID.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// Takes any string, to look it up.
    pub fn lookup(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Takes the id that a caller wants for a new image.
    ///
    /// # Errors
    /// `Invalid` unless it is a UUID in its hyphenated form. Its case is kept.
    pub fn for_new_image(id: &str) -> Result<Self> {
        if id.len() != 36 || Uuid::try_parse(id).is_err() {
            return Err(Error::invalid(format!("id: '{id}' is not a UUID")));
        }
        Ok(Self(id.to_owned()))
    }

    /// The id for the image called `key` in a source that has no UUIDs: a UUIDv5 in the source's namespace.
    #[must_use]
    pub fn derived(namespace: &str, key: &str) -> Self {
        let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, namespace.as_bytes());
        Self(Uuid::new_v5(&namespace, key.as_bytes()).to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_depend_on_namespace_and_key_alone() {
        let id = ImageId::derived("mirror", "noble");
        assert_eq!(id, ImageId::derived("mirror", "noble"));
        assert_ne!(id, ImageId::derived("other", "noble"));
        assert_ne!(id, ImageId::derived("mirror", "jammy"));
        assert!(ImageId::for_new_image(id.as_str()).is_ok());
    }

    #[test]
    fn a_new_id_must_be_a_hyphenated_uuid_and_keeps_its_case() {
        let id = "B2173DD3-7AD6-4362-BAA6-A68BCE3565CB";
        assert_eq!(ImageId::for_new_image(id).unwrap().as_str(), id);
        for bad in ["", "x", "b2173dd37ad64362baa6a68bce3565cb", "{b2173dd3-7ad6-4362-baa6-a68bce3565}"] {
            assert!(ImageId::for_new_image(bad).is_err(), "{bad}");
        }
    }
}
