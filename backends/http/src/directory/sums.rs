//! Checksum files: which there are, and what stands in them. Pure.
//!
//! A line is `digest  name`, as GNU's tools write it, or `SHA256 (name) = digest`, as those of BSD do. A line that is
//! neither, nor a comment, makes the file refused: whatever it was to say of an image would be lost. Hashes of other
//! kinds than MD5, SHA-256 and SHA-512 are passed over.

use std::collections::HashMap;

use image_service::{HashAlgorithm, MultiHash, Result};

use crate::published::refused;

/// Endings of the names of signatures that lie beside what they sign.
pub(crate) const SIGNATURES: &[&str] = &[".gpg", ".asc", ".sign", ".sig"];

/// The names of files with checksums of a whole directory, in capitals, and what their names begin or end with.
const NAMES: &[&str] = &["CHECKSUM", "CHECKSUMS"];
const BEGINNINGS: &[&str] =
    &["MD5SUM", "SHA256SUM", "SHA512SUM", "CHECKSUM.SHA256", "CHECKSUM.SHA512", "CHECKSUMS."];
const FURTHER: &[&str] = &["", "S", ".TXT", "S.TXT"];
const ENDING: &str = "-CHECKSUM";

/// Endings of the names of files with checksums of one file, whose name is before. The strongest come first.
const BESIDE: &[&str] = &[
    ".sha512",
    ".SHA512",
    ".sha512sum",
    ".SHA512SUM",
    ".sha256",
    ".SHA256",
    ".sha256sum",
    ".SHA256SUM",
    ".CHECKSUM",
];

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Of which file, by a path from the directory of the checksum file. Empty if a digest stands alone.
    pub(crate) path: String,
    /// The hash.
    pub(crate) hash: MultiHash,
}

/// Whether a file called so has checksums of files in its directory.
pub(crate) fn is_for_directory(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let begins = |beginning: &&str| {
        name.strip_prefix(*beginning).is_some_and(|rest| {
            FURTHER.contains(&rest) || (beginning.starts_with("CHECKSUM") && !is_signature(&name))
        })
    };
    NAMES.contains(&name.as_str()) || name.ends_with(ENDING) || BEGINNINGS.iter().any(begins)
}

fn is_signature(name: &str) -> bool {
    SIGNATURES.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

/// What files with checksums of the file `name` alone would be called, the best first.
pub(crate) fn beside(name: &str) -> impl Iterator<Item = String> {
    BESIDE.iter().map(move |ending| format!("{name}{ending}"))
}

/// Reads the checksum file called `name`.
///
/// # Errors
/// If there is something in it that is no checksum.
pub(crate) fn read(name: &str, text: &[u8]) -> Result<Vec<Sum>> {
    let text = std::str::from_utf8(text).map_err(|_| wrong(name, "is not UTF-8"))?;
    let mut sums = Vec::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (path, algorithm, digest) = of_bsd(line)
            .or_else(|| of_gnu(line))
            .ok_or_else(|| wrong(name, "has a line that is no checksum"))?;
        let Some(algorithm) = algorithm else { continue };
        if digest.len() != algorithm.digits() || !is_hex(digest) || !fits(name, algorithm) {
            return Err(wrong(name, "has a checksum of another length than it should have"));
        }
        let hash = MultiHash { algorithm: algorithm.to_string(), value: digest.to_ascii_lowercase() };
        sums.push(Sum { path: path.strip_prefix("./").unwrap_or(path).to_owned(), hash });
    }
    Ok(sums)
}

fn wrong(name: &str, why: &str) -> image_service::Error {
    refused(format_args!("the checksum file {name:?} {why}"))
}

/// Whether a file called so has hashes of this algorithm, if its name says which it has.
fn fits(name: &str, algorithm: HashAlgorithm) -> bool {
    let name = name.to_ascii_lowercase();
    let said = [HashAlgorithm::Md5, HashAlgorithm::Sha256, HashAlgorithm::Sha512]
        .into_iter()
        .find(|said| name.starts_with(&format!("{said}sum")));
    said.is_none_or(|said| said == algorithm)
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Reads `SHA256 (name) = digest`: path, algorithm if it is one that counts, and digest.
fn of_bsd(line: &str) -> Option<(&str, Option<HashAlgorithm>, &str)> {
    let (word, rest) = line.split_once(" (")?;
    let (path, digest) = rest.rsplit_once(") = ")?;
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte)) {
        return None;
    }
    let algorithm = match word {
        "MD5" => Some(HashAlgorithm::Md5),
        "SHA256" => Some(HashAlgorithm::Sha256),
        "SHA512" => Some(HashAlgorithm::Sha512),
        _ => None,
    };
    Some((path, algorithm, digest.trim_start()))
}

/// Reads `digest  name`, `digest *name` or a digest alone, of which the length says what it is. A name with a backslash
/// or the end of a line in it is written in another way, and is no name here.
fn of_gnu(line: &str) -> Option<(&str, Option<HashAlgorithm>, &str)> {
    if let Some(escaped) = line.strip_prefix('\\') {
        return of_gnu(escaped).map(|(path, _, digest)| (path, None, digest));
    }
    let (digest, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let algorithm = match digest.len() {
        32 => Some(HashAlgorithm::Md5),
        64 => Some(HashAlgorithm::Sha256),
        128 => Some(HashAlgorithm::Sha512),
        // SHA-1, SHA-224 and SHA-384.
        40 | 56 | 96 => None,
        _ => return None,
    };
    let path = rest.strip_prefix([' ', '*', '\t']).unwrap_or(rest);
    is_hex(digest).then_some((path, algorithm, digest))
}

/// The hashes of files, by their paths from the root.
#[derive(Debug, Default)]
pub(crate) struct Hashes(HashMap<String, Of>);

/// The hashes of one file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Of {
    /// A broken hash, which is shown and not gone by.
    pub(crate) md5: Option<MultiHash>,
    /// SHA-256.
    pub(crate) sha256: Option<MultiHash>,
    /// SHA-512.
    pub(crate) sha512: Option<MultiHash>,
}

impl Of {
    /// The strongest hash.
    pub(crate) fn strong(&self) -> Option<&MultiHash> {
        self.sha512.as_ref().or(self.sha256.as_ref())
    }

    /// The hash that the id of an image hangs on: not the strongest, so that it stays when a mirror begins to publish
    /// SHA-512 beside SHA-256.
    pub(crate) fn natural(&self) -> Option<&MultiHash> {
        self.sha256.as_ref().or(self.sha512.as_ref())
    }
}

impl Hashes {
    /// Notes the hash of the file at `path`.
    ///
    /// # Errors
    /// If it is known to have another one.
    pub(crate) fn add(&mut self, path: String, hash: &MultiHash) -> Result<()> {
        let of = self.0.entry(path).or_default();
        let place = match hash.algorithm.parse() {
            Ok(HashAlgorithm::Sha512) => &mut of.sha512,
            Ok(HashAlgorithm::Sha256) => &mut of.sha256,
            _ => &mut of.md5,
        };
        match place {
            Some(known) if known != hash => {
                Err(refused(format_args!("two checksum files have another {} of one file", hash.algorithm)))
            }
            _ => {
                *place = Some(hash.clone());
                Ok(())
            }
        }
    }

    /// What is known of the file at `path`.
    pub(crate) fn of(&self, path: &str) -> Of {
        self.0.get(path).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

    fn sha256() -> String {
        "ab".repeat(32)
    }

    fn sha512() -> String {
        "cd".repeat(64)
    }

    fn lines(name: &str, text: &str) -> Result<Vec<(String, String)>> {
        let sums = read(name, text.as_bytes())?;
        Ok(sums.into_iter().map(|sum| (sum.path, sum.hash.value)).collect())
    }

    #[test]
    fn checksums_are_read_in_every_way_they_are_written() {
        let (a, b) = (sha256(), sha512());
        let upper = a.to_uppercase();
        for (text, expected) in [
            (format!("{a}  x.img\n"), vec![("x.img", &a)]),
            (format!("{a} *x y.img\r\n"), vec![("x y.img", &a)]),
            (format!("{upper}  ./x.img"), vec![("x.img", &a)]),
            (format!("SHA256 (x (1).img) = {a}"), vec![("x (1).img", &a)]),
            (format!("# x.img: 12 bytes\n\nSHA512 (x.img) = {b}\n"), vec![("x.img", &b)]),
            (format!("{a}\n"), vec![("", &a)]),
            (format!("{a}  sub/x.img\n{b}  x.img\n"), vec![("sub/x.img", &a), ("x.img", &b)]),
            (format!("\\{a}  x\\ny.img\nSHA1 (x.img) = {}\nSIZE (x.img) = 12", "a".repeat(40)), vec![]),
            (format!("{}  x.img", "a".repeat(40)), vec![]),
        ] {
            let expected: Vec<(String, String)> =
                expected.into_iter().map(|(path, value)| (path.to_owned(), value.clone())).collect();
            assert_eq!(lines("CHECKSUM", &text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_checksum_makes_its_file_refused() {
        let a = sha256();
        for (name, text) in [
            ("CHECKSUM", String::from("<html>")),
            ("CHECKSUM", format!("{}  x.img", &a[1..])),
            ("CHECKSUM", format!("{}  x.img", a.replace('a', "g"))),
            ("CHECKSUM", format!("SHA512 (x.img) = {a}")),
            ("CHECKSUM", format!("SHA256 (x.img) = {}", &a[1..])),
            ("CHECKSUM", String::from("SHA256 (x.img) = ")),
            ("CHECKSUM", String::from("\\")),
            ("SHA512SUMS", format!("{a}  x.img")),
            ("SHA256SUMS", format!("{MD5}  x.img")),
        ] {
            assert!(lines(name, &text).is_err(), "{name}: {text}");
        }
        assert!(read("CHECKSUM", b"\xff").is_err());
    }

    #[test]
    fn checksum_files_are_known_by_their_names() {
        for name in [
            "SHA256SUMS",
            "SHA512SUMS",
            "MD5SUMS",
            "sha256sum.txt",
            "sha512sums",
            "CHECKSUM",
            "CHECKSUMS",
            "Fedora-Cloud-41-1.4-x86_64-CHECKSUM",
            "CHECKSUM.SHA512-FreeBSD-14.1-RELEASE-amd64",
            "CHECKSUM.SHA256",
        ] {
            assert!(is_for_directory(name), "{name}");
        }
        for name in [
            "SHA256SUMS.gpg",
            "CHECKSUM.asc",
            "CHECKSUM.SHA256.asc",
            "x.img.sha256",
            "SHA1SUMS",
            "checksummed",
            "",
        ] {
            assert!(!is_for_directory(name), "{name}");
        }
        assert_eq!(beside("x.img").next().unwrap(), "x.img.sha512");
    }

    #[test]
    fn a_contradiction_is_refused_and_two_algorithms_are_none() {
        let hash =
            |algorithm: &str, value: &str| MultiHash { algorithm: algorithm.into(), value: value.into() };
        let mut hashes = Hashes::default();
        for hash in [hash("sha256", "a"), hash("sha512", "b"), hash("md5", "c"), hash("sha256", "a")] {
            hashes.add(String::from("x"), &hash).unwrap();
        }
        let of = hashes.of("x");
        assert_eq!(of.strong().unwrap().value, "b");
        assert_eq!(of.natural().unwrap().value, "a");
        assert_eq!(of.md5.unwrap().value, "c");
        for hash in [hash("sha256", "b"), hash("sha512", "a"), hash("md5", "a")] {
            assert!(hashes.add(String::from("x"), &hash).is_err());
        }
        assert!(hashes.of("y").strong().is_none());
    }
}
