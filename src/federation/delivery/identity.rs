//! Which data a download gives, so that what would go on with it can be told to be the same. Pure.

use image_service::{Image, MultiHash, Timestamp};

/// What is known of the data of a download under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    size: Option<u64>,
    hash: Option<MultiHash>,
    checksum: Option<String>,
    updated_at: Timestamp,
}

impl Identity {
    /// That of the data that `image` had when the download began.
    pub(super) fn of(image: &Image) -> Self {
        Self {
            size: image.size,
            hash: image.hash.clone(),
            checksum: image.checksum.clone(),
            updated_at: image.updated_at,
        }
    }

    /// Whether it could be told in another backend.
    pub(super) const fn can_be_elsewhere(&self) -> bool {
        self.hash.is_some()
    }

    /// Whether `image`, of another backend, has this data: it has the same size and strong hash.
    pub(super) fn is_of_copy(&self, image: &Image) -> bool {
        self.hash.is_some() && image.hash == self.hash && image.size == self.size
    }

    /// Whether `image`, of the same backend, still has this data. Without a strong hash it must not have changed at all.
    pub(super) fn is_unchanged_in(&self, image: &Image) -> bool {
        if self.hash.is_some() { self.is_of_copy(image) } else { Self::of(image) == *self }
    }
}

#[cfg(test)]
mod tests {
    use image_service::{Caller, NewImage};

    use super::*;

    fn image() -> Image {
        let image = NewImage::default().into_image(&Caller::administrator(), Timestamp::now()).unwrap();
        let hash = Some(MultiHash { algorithm: "sha512".into(), value: "aa".into() });
        Image { size: Some(4), hash, checksum: Some("bb".into()), ..image }
    }

    fn later() -> Timestamp {
        Timestamp::from_second(2_000_000_000).unwrap()
    }

    #[test]
    fn with_a_strong_hash_the_data_is_known_anywhere_and_whatever_else_has_changed() {
        let identity = Identity::of(&image());
        let renamed = Image { name: Some("n".into()), updated_at: later(), checksum: None, ..image() };
        assert!(identity.is_of_copy(&renamed) && identity.is_unchanged_in(&renamed));
        for other in [Image { size: Some(5), ..image() }, Image { hash: None, ..image() }] {
            assert!(!identity.is_of_copy(&other) && !identity.is_unchanged_in(&other));
        }
    }

    #[test]
    fn without_one_it_is_known_only_where_it_was_and_only_while_nothing_changes() {
        let weak = Image { hash: None, ..image() };
        let identity = Identity::of(&weak);
        assert!(!identity.is_of_copy(&weak) && identity.is_unchanged_in(&weak));
        for other in [
            Image { updated_at: later(), ..weak.clone() },
            Image { checksum: None, ..weak.clone() },
            Image { size: None, ..weak },
            image(),
        ] {
            assert!(!identity.is_unchanged_in(&other));
        }
    }
}
