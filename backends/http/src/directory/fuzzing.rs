//! What must hold of a listing and of a checksum file whatever a server sends.

use image_service::HashAlgorithm;
use url::Url;

use super::page::{Page, as_folder, is_name, url_of};
use super::sums;

/// A listing is refused, or names only what lies directly below its directory, by URLs that lead there, and that are
/// read as the same names in a listing that has them.
pub fn check_page(bytes: &[u8]) {
    let root = Url::parse("http://h/mirror/").expect("a URL");
    let Ok(page) = Page::read(&root, bytes) else { return };
    let folders = page.folders.iter().map(|name| (name, true));
    for (name, is_folder) in page.files.keys().map(|name| (name, false)).chain(folders) {
        assert!(is_name(name), "{name:?}");
        let url = url_of(&root, [name.as_str()]).expect("a name leads somewhere");
        let url = if is_folder { as_folder(url) } else { url };
        let below = url.as_str().strip_prefix(root.as_str()).expect("a name leads below its directory");
        assert_eq!(below.matches('/').count(), usize::from(is_folder), "{below}");
        assert!(!below.contains(['?', '#', ' ', '\\']) && url.query().is_none(), "{below}");
        let again = format!("<title>Index of /</title><a href=\"./{}\">x</a>", below.replace('&', "&amp;"));
        let again = Page::read(&root, again.as_bytes()).expect("a listing with a link is one");
        assert_eq!((again.files.contains_key(name), again.folders.contains(name)), (!is_folder, is_folder));
    }
}

/// A checksum file is refused, or has hashes that are of their algorithms, in small letters, and is read as the same
/// when it is written in the other form.
pub fn check_sums(bytes: &[u8]) {
    let Ok(read) = sums::read("CHECKSUM", bytes) else { return };
    for sum in &read {
        let algorithm: HashAlgorithm = sum.hash.algorithm.parse().expect("an algorithm");
        assert_ne!(algorithm, HashAlgorithm::Sha1);
        assert_eq!(sum.hash.value.len(), algorithm.digits());
        assert!(sum.hash.value.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
        let line = format!("{} ({}) = {}", algorithm.as_str().to_uppercase(), sum.path, sum.hash.value);
        let again = sums::read("CHECKSUM", line.as_bytes()).expect("a checksum can be written");
        let path = sum.path.strip_prefix("./").unwrap_or(&sum.path);
        assert_eq!(again.len(), 1, "{line}");
        assert!(again.iter().all(|again| again.hash == sum.hash && again.path == path), "{line}");
    }
}
