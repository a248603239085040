//! What the data of an image is known by, and how it is found to be that. Pure.

use image_service::{HashAlgorithm, Hasher, Image};

/// The name of a content: no two contents share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key(String);

impl Key {
    /// One that was written down.
    pub(super) fn of_text(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The data that an image is said to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) key: Key,
    pub(super) size: u64,
    algorithm: HashAlgorithm,
    expected: String,
}

impl Content {
    /// What `image` says. `None` if that is not enough to know its data by.
    ///
    /// Images with one strong hash share their data. Hashes that can be forged tell nothing of other images, so the id of
    /// the image is part of their key.
    pub(super) fn of(image: &Image) -> Option<Self> {
        let size = image.size.filter(|size| *size > 0)?;
        let strong = image.hash.as_ref().and_then(|hash| {
            let algorithm: HashAlgorithm = hash.algorithm.parse().ok()?;
            is_hash(algorithm, &hash.value).then(|| (algorithm, hash.value.clone()))
        });
        let weak = || {
            let checksum = image.checksum.clone()?;
            is_hash(HashAlgorithm::Md5, &checksum).then_some((HashAlgorithm::Md5, checksum))
        };
        let (algorithm, expected) = strong.or_else(weak)?;
        let key = match algorithm {
            HashAlgorithm::Sha512 | HashAlgorithm::Sha256 => format!("{algorithm}:{expected}"),
            HashAlgorithm::Md5 | HashAlgorithm::Sha1 => {
                format!("{}:{algorithm}:{expected}:{size}", image.id)
            }
        };
        Some(Self { key: Key(key), size, algorithm, expected })
    }

    /// Takes the hash by which the data is told.
    pub(super) fn hasher(&self) -> Hasher {
        Hasher::new(self.algorithm)
    }

    /// Whether `size` bytes with this hash are the data.
    pub(super) fn is_met_by(&self, size: u64, hasher: Hasher) -> bool {
        size == self.size && hasher.finish().value == self.expected
    }
}

fn is_hash(algorithm: HashAlgorithm, value: &str) -> bool {
    value.len() == algorithm.digits()
        && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{Caller, MultiHash, NewImage, Timestamp};

    fn image(hash: Option<(&str, String)>, checksum: Option<&str>) -> Image {
        let mut image = NewImage::default().into_image(&Caller::member_of("a"), Timestamp::now()).unwrap();
        image.size = Some(3);
        image.hash = hash.map(|(algorithm, value)| MultiHash { algorithm: algorithm.into(), value });
        image.checksum = checksum.map(str::to_owned);
        image
    }

    #[test]
    fn images_share_data_by_a_strong_hash_and_never_by_one_that_can_be_forged() {
        let same = |hash: Option<(&'static str, usize)>, checksum| {
            let one = || image(hash.map(|(name, digits)| (name, "a".repeat(digits))), checksum);
            Content::of(&one()).unwrap().key == Content::of(&one()).unwrap().key
        };
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        assert!(same(Some(("sha512", 128)), None));
        assert!(same(Some(("sha256", 64)), Some(md5)));
        assert!(!same(Some(("md5", 32)), None));
        assert!(!same(Some(("sha1", 40)), None));
        assert!(!same(None, Some(md5)));
    }

    #[test]
    fn what_says_too_little_is_not_known() {
        assert_eq!(Content::of(&image(None, None)), None);
        assert_eq!(Content::of(&image(Some(("sha512", "../x".into())), None)), None);
        assert_eq!(Content::of(&image(Some(("whirlpool", "a".repeat(128))), None)), None);
        let unsized_image = Image { size: None, ..image(Some(("sha512", "a".repeat(128))), None) };
        assert_eq!(Content::of(&unsized_image), None);
    }

    #[test]
    fn data_is_what_it_is_said_to_be_by_size_and_hash() {
        let content = Content::of(&image(None, Some("900150983cd24fb0d6963f7d28e17f72"))).unwrap();
        let hashed = |bytes: &[u8]| {
            let mut hasher = content.hasher();
            hasher.update(bytes);
            hasher
        };
        assert!(content.is_met_by(3, hashed(b"abc")));
        assert!(!content.is_met_by(3, hashed(b"abd")));
        assert!(!content.is_met_by(4, hashed(b"abc")));
    }
}
