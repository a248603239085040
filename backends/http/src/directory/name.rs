//! What the name of a file tells of the image in it, where it is certain. Pure.
//!
//! What a distribution or a version is called is anybody's guess, and nothing is made of it.

use std::collections::BTreeMap;

/// Words that name an architecture and nothing else, and what OpenStack calls it.
const ARCHITECTURES: &[(&str, &str)] = &[
    ("amd64", "x86_64"),
    ("x86_64", "x86_64"),
    ("arm64", "aarch64"),
    ("aarch64", "aarch64"),
    ("armhf", "armv7l"),
    ("i386", "i686"),
    ("i686", "i686"),
    ("ppc64el", "ppc64le"),
    ("ppc64le", "ppc64le"),
    ("riscv64", "riscv64"),
    ("s390x", "s390x"),
];

/// The disk format of an image called so, by how its name ends: the longest of the endings that fit counts.
pub(super) fn disk_format<'e>(name: &str, endings: &'e BTreeMap<String, String>) -> Option<&'e str> {
    let fits = |ending: &&String| name.len() > ending.len() && name.ends_with(ending.as_str());
    let ending = endings.keys().filter(fits).max_by_key(|ending| ending.len())?;
    endings.get(ending).map(String::as_str)
}

/// The architecture that a path names, if it names one and no other.
pub(super) fn architecture(path: &str) -> Option<&'static str> {
    let path = path.to_ascii_lowercase();
    let mut named = ARCHITECTURES.iter().filter(|(word, _)| has_word(&path, word)).map(|(_, name)| *name);
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

/// Whether `word` stands in `text` with no letter or digit on either side.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric();
    text.match_indices(word).any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let after = rest.get(word.len()..).unwrap_or_default();
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_is_told_only_if_it_is_certain() {
        for (path, expected) in [
            ("debian-12-generic-amd64.qcow2", Some("x86_64")),
            ("Fedora-Cloud-41.x86_64.qcow2", Some("x86_64")),
            ("noble/noble-server-cloudimg-arm64.img", Some("aarch64")),
            ("aarch64/cirros-aarch64-disk.img", Some("aarch64")),
            ("x86_64-amd64.img", Some("x86_64")),
            ("ppc64el.img", Some("ppc64le")),
            ("x86_64/disk-arm64.img", None),
            ("camd64.img", None),
            ("amd640.img", None),
            ("disk.img", None),
            ("", None),
        ] {
            assert_eq!(architecture(path), expected, "{path}");
        }
    }

    #[test]
    fn the_longest_ending_says_the_format_and_a_name_is_more_than_its_ending() {
        let endings = [(".img", "qcow2"), (".raw.img", "raw"), (".iso", "iso")];
        let endings =
            endings.into_iter().map(|(ending, format)| (ending.to_owned(), format.to_owned())).collect();
        for (name, expected) in [
            ("a.img", Some("qcow2")),
            ("a.raw.img", Some("raw")),
            ("a.iso", Some("iso")),
            ("a.iso.xz", None),
            ("a.IMG", None),
            (".img", None),
        ] {
            assert_eq!(disk_format(name, &endings), expected, "{name}");
        }
    }
}
