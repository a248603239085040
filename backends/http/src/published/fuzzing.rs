//! What must hold of every catalogue that is taken, and of signed documents.

use std::sync::LazyLock;

use bytes::Bytes;
use image_service::{Error, ErrorKind, HashAlgorithm, MOST_PER_IMAGE, MultiHash, Status, Visibility};
use url::Url;

use super::catalogue::{Catalogue, Item, Packing};
use super::clearsigned::Clearsigned;
use super::documents::Document;
use super::trust::{Trust, trusting};

/// Longer names, of images and of properties, and longer values are none.
const LONGEST_NAME: usize = 255;
const LONGEST_VALUE: usize = 65_535;

/// Who is trusted, and all that they have signed.
static KEY: LazyLock<Trust> = LazyLock::new(|| trusting(include_bytes!("../../tests/signed/good.asc")));
static SIGNED: LazyLock<[Bytes; 2]> = LazyLock::new(|| {
    let texts = [
        include_str!("../../tests/signed/index.good.sjson"),
        include_str!("../../tests/signed/products.good.sjson"),
    ];
    texts.map(|document| Clearsigned::read(document).expect("a signed document").text.into())
});

/// Where catalogues are, for those who read one here.
pub(crate) fn root() -> Url {
    Url::parse("http://mirror.example/below/this/").expect("a URL")
}

/// The reason for which a document is not taken is for the operator, and is told as what it is.
pub(crate) fn must_be_refused(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(error.message().starts_with("the catalogue is refused: "), "{error}");
}

/// Images that are taken are public and active, have a size, hashes that are some, or a file that has one, and lie below
/// the root. No two of them have one id, or they are not taken.
pub(crate) fn must_be_a_catalogue(items: &[Item], root: &Url) {
    for item in items {
        let image = &item.image;
        assert_eq!((image.status, image.visibility), (Status::Active, Visibility::Public));
        assert!(image.size.is_some() && !image.protected);
        assert!(image.name.as_ref().is_some_and(|name| name.chars().count() <= LONGEST_NAME));
        assert!(image.checksum.as_deref().is_none_or(|md5| is_hash(md5, HashAlgorithm::Md5)));
        match &item.file.packing {
            Packing::Plain => must_be_strong(image.hash.as_ref().expect("what is not packed has a hash")),
            Packing::Xz { seal } => {
                assert!(image.hash.is_none() && image.checksum.is_none(), "the hash is that of the file");
                must_be_strong(seal);
            }
        }
        must_be_below(&item.file.url, root);
        assert!(image.properties.len() <= MOST_PER_IMAGE);
        for (name, value) in &image.properties {
            assert!(name.len() <= LONGEST_NAME && value.len() <= LONGEST_VALUE, "{name:?}");
        }
    }
    let mut ids: Vec<_> = items.iter().map(|item| &item.image.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let taken = Catalogue::new(items.to_vec(), items.len());
    assert_eq!(taken.is_ok(), ids.len() == items.len(), "{taken:?}");
}

fn must_be_strong(hash: &MultiHash) {
    let known = [HashAlgorithm::Sha256, HashAlgorithm::Sha512];
    let algorithm = known.into_iter().find(|known| known.as_str() == hash.algorithm).expect("a strong one");
    assert!(is_hash(&hash.value, algorithm), "{hash:?}");
}

fn is_hash(value: &str, algorithm: HashAlgorithm) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    value.len() == algorithm.digits() && value.bytes().all(is_digit)
}

pub(crate) fn must_be_below(url: &Url, root: &Url) {
    let below = url.as_str().strip_prefix(root.as_str()).expect("a URL below the root");
    assert!(!below.is_empty() && !below.contains(['?', '#', '\\']), "{below:?}");
    assert!(below.split('/').all(|part| !matches!(part, "" | "." | "..")), "{below:?}");
    let decoded = below.to_ascii_lowercase();
    assert!(!["%2e", "%2f", "%5c", "%25", "%00"].iter().any(|hidden| decoded.contains(hidden)), "{below:?}");
}

/// A signed document is refused, or is one text that can be signed as it is and read as the same. What is believed of it
/// with a key is a text that this key has signed, whatever is around it.
pub fn check_clearsigned(bytes: &[u8]) {
    let Ok(document) = std::str::from_utf8(bytes) else { return };
    match Clearsigned::read(document) {
        Err(error) => must_be_refused(&error),
        Ok(Clearsigned { text, signatures }) => {
            assert!(signatures.starts_with("-----BEGIN PGP SIGNATURE-----"));
            assert!(signatures.ends_with("-----END PGP SIGNATURE-----"));
            let lines: Vec<&str> = text.split("\r\n").collect();
            assert!(lines.iter().all(|line| !line.contains('\n') && !line.ends_with([' ', '\t', '\r'])));
            let escaped =
                |line: &&str| if line.starts_with('-') { format!("- {line}") } else { (*line).to_owned() };
            let escaped: Vec<String> = lines.iter().map(escaped).collect();
            let again = format!("-----BEGIN PGP SIGNED MESSAGE-----\n\n{}\n{signatures}", escaped.join("\n"));
            assert_eq!(Clearsigned::read(&again).expect("it can be read again").text, text);
        }
    }
    match KEY.text(&Document::new(Bytes::copy_from_slice(bytes), None)) {
        Ok(text) => assert!(SIGNED.contains(&text), "nobody signed {text:?}"),
        Err(error) => must_be_refused(&error),
    }
}
