//! Whether two images have the same data, by what their records say of it. Pure.

use std::fmt;

use image_service::{HashAlgorithm, Image, MultiHash};

/// Whether two images have the same data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Likeness {
    /// A hash says so, or both have none.
    Same,
    /// They have not: these attributes differ, and `data` if only one of them has any.
    Other(Vec<&'static str>),
    /// They have the same size, and no hash in common.
    Unknown,
}

/// What shows that a copy has the data of its image, by what the target tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// The hash by this algorithm.
    Hash(String),
    /// The size alone, for the target tells no hash that can be compared.
    Size,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hash(algorithm) => algorithm,
            Self::Size => "size",
        })
    }
}

/// What shows that two images have the same data, if it is known that they have.
pub(super) fn shown_by(a: &Image, b: &Image) -> Verified {
    match (hash(a, b), checksum(a, b), &b.hash) {
        (Some(true), _, Some(hash)) => Verified::Hash(hash.algorithm.clone()),
        (_, Some(true), _) => Verified::Hash(HashAlgorithm::Md5.to_string()),
        _ => Verified::Size,
    }
}

/// Compares the data of two images.
pub(super) fn likeness(a: &Image, b: &Image) -> Likeness {
    match (a.has_data(), b.has_data()) {
        (false, false) => return Likeness::Same,
        (true, true) => {}
        _ => return Likeness::Other(vec!["data"]),
    }
    let hashes = [("os_hash_value", hash(a, b)), ("checksum", checksum(a, b))];
    let size = (a.size != b.size).then_some("size");
    let differing = hashes.iter().filter(|(_, same)| *same == Some(false)).map(|(name, _)| *name);
    let differing: Vec<&str> = size.into_iter().chain(differing).collect();
    if !differing.is_empty() {
        return Likeness::Other(differing);
    }
    if hashes.iter().any(|(_, same)| same.is_some()) { Likeness::Same } else { Likeness::Unknown }
}

/// Whether the strong hashes are the same. `None` if they are not both there, or not of one algorithm.
fn hash(a: &Image, b: &Image) -> Option<bool> {
    same(a.hash.as_ref()?, b.hash.as_ref()?)
}

fn checksum(a: &Image, b: &Image) -> Option<bool> {
    Some(a.checksum.as_ref()?.eq_ignore_ascii_case(b.checksum.as_ref()?))
}

/// The hash that tells whether data read is that of `image`: the strong one, or MD5 if it has no other of a known algorithm.
pub(super) fn telling(image: &Image) -> Option<(HashAlgorithm, MultiHash)> {
    let checksum = image.checksum.as_deref().map(md5);
    image.hash.clone().into_iter().chain(checksum).find_map(|hash| Some((known(&hash)?, hash)))
}

pub(super) fn md5(checksum: &str) -> MultiHash {
    MultiHash { algorithm: HashAlgorithm::Md5.as_str().to_owned(), value: checksum.to_owned() }
}

/// The algorithm of a hash that is one.
fn known(hash: &MultiHash) -> Option<HashAlgorithm> {
    let algorithm: HashAlgorithm = hash.algorithm.parse().ok()?;
    let is_hash = hash.value.len() == algorithm.digits() && hash.value.chars().all(|c| c.is_ascii_hexdigit());
    is_hash.then_some(algorithm)
}

/// Whether two hashes are the same. `None` if they are not of one algorithm.
pub(super) fn same(a: &MultiHash, b: &MultiHash) -> Option<bool> {
    (a.algorithm == b.algorithm).then(|| a.value.eq_ignore_ascii_case(&b.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::metadata::tests::active;

    fn with(algorithm: &str, value: &str, checksum: Option<&str>) -> Image {
        let hash = Some(MultiHash { algorithm: algorithm.into(), value: value.into() });
        Image { hash, checksum: checksum.map(str::to_owned), ..active() }
    }

    #[test]
    fn the_same_hash_in_either_case_is_the_same_data() {
        let a = with("sha512", "ab", Some("cd"));
        assert_eq!(likeness(&a, &with("sha512", "AB", Some("CD"))), Likeness::Same);
        assert_eq!(likeness(&a, &with("sha256", "12", Some("cd"))), Likeness::Same);
        assert_eq!(likeness(&a, &Image { hash: None, ..a.clone() }), Likeness::Same);
    }

    #[test]
    fn the_strongest_hash_in_common_shows_that_data_is_the_same() {
        let a = with("sha512", "ab", Some("cd"));
        for (b, by) in [
            (a.clone(), "sha512"),
            (with("sha256", "12", Some("cd")), "md5"),
            (Image { checksum: None, ..with("sha256", "12", None) }, "size"),
            (Image { hash: None, checksum: None, ..a.clone() }, "size"),
        ] {
            assert_eq!(shown_by(&a, &b).to_string(), by);
        }
    }

    #[test]
    fn each_attribute_that_differs_is_told() {
        let a = with("sha512", "ab", Some("cd"));
        let other =
            |b: &Image, what: &[&'static str]| assert_eq!(likeness(&a, b), Likeness::Other(what.to_vec()));
        other(&with("sha512", "ac", Some("cd")), &["os_hash_value"]);
        other(&with("sha512", "ab", Some("ce")), &["checksum"]);
        other(
            &Image { size: Some(9), ..with("sha512", "ac", Some("ce")) },
            &["size", "os_hash_value", "checksum"],
        );
        other(&Image { size: None, ..a.clone() }, &["size"]);
    }

    #[test]
    fn data_on_one_side_alone_is_other_data_and_on_neither_the_same() {
        let (full, empty) =
            (active(), Image { status: image_service::Status::Queued, size: None, ..active() });
        assert_eq!(likeness(&full, &empty), Likeness::Other(vec!["data"]));
        assert_eq!(likeness(&empty, &full), Likeness::Other(vec!["data"]));
        assert_eq!(likeness(&empty, &empty), Likeness::Same);
    }

    #[test]
    fn without_a_hash_in_common_nobody_knows_unless_the_size_differs() {
        let (a, b) = (with("sha512", "ab", None), with("sha256", "ab", Some("cd")));
        assert_eq!(likeness(&a, &b), Likeness::Unknown);
        assert_eq!(likeness(&a, &Image { size: Some(9), ..b }), Likeness::Other(vec!["size"]));
    }
}
