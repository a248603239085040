//! The minors of the Image API that are served, and the documents that tell of them.
//!
//! A minor is advertised only if what it brought is served. Clients decide by it what to call: had we 2.12, they
//! would ask for tasks.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::exchange::Call;
use super::{answer, compute, links};

/// One minor that can be advertised.
struct Version {
    minor: &'static str,
    /// What it is true only with.
    needs: Storage,
}

const NOTHING: Storage =
    Storage { named: false, imports: false, located: false, cache: false, v1: false, compute: false };
const STORES: Storage = Storage { named: true, ..NOTHING };
const IMPORTS: Storage = Storage { imports: true, ..NOTHING };
const BOTH: Storage = Storage { imports: true, ..STORES };
const LOCATED: Storage = Storage { located: true, ..BOTH };
const CACHE: Storage = Storage { cache: true, ..NOTHING };

/// The minor that is `CURRENT`; all others are `SUPPORTED`.
const fn current(storage: Storage) -> &'static str {
    if storage.cache { "2.18" } else { "2.7" }
}

/// The minors of v1, for sites that still have clients of it. Glance has never called them anything but this since 2015.
const FIRST: [&str; 2] = ["1.1", "1.0"];

const VERSIONS: &[Version] = &[
    // Tidying up the cache.
    Version { minor: "2.18", needs: CACHE },
    // Locations by themselves.
    Version { minor: "2.17", needs: LOCATED },
    // Images are queued for the cache, and the answer says that.
    Version { minor: "2.16", needs: CACHE },
    // Details of stores.
    Version { minor: "2.15", needs: STORES },
    // The cache.
    Version { minor: "2.14", needs: CACHE },
    // Usage of quotas. Glance too offers it only with stores.
    Version { minor: "2.13", needs: STORES },
    // Tasks of an image.
    Version { minor: "2.12", needs: IMPORTS },
    // Import to several stores, and copies between them.
    Version { minor: "2.11", needs: BOTH },
    // Removal of the copy in one store.
    Version { minor: "2.10", needs: STORES },
    // Nothing new; it is there so that the minors before the cache's have no gap.
    Version { minor: "2.9", needs: CACHE },
    // Storage stores.
    Version { minor: "2.8", needs: STORES },
    // Strong hashes and hidden images.
    Version { minor: "2.7", needs: NOTHING },
    // Import.
    Version { minor: "2.6", needs: IMPORTS },
    // Community and shared visibility.
    Version { minor: "2.5", needs: NOTHING },
    // Stricter locations.
    Version { minor: "2.4", needs: NOTHING },
    // Deactivate and reactivate.
    Version { minor: "2.3", needs: NOTHING },
    // Image properties as they are today.
    Version { minor: "2.2", needs: NOTHING },
    // Members, and JSON patch in its present form.
    Version { minor: "2.1", needs: NOTHING },
    // Images, data, tags, schemas.
    Version { minor: "2.0", needs: NOTHING },
];

/// What a service has, as far as versions go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Storage {
    /// Named stores.
    pub(super) named: bool,
    /// Imports.
    pub(super) imports: bool,
    /// A store that keeps images whose data lies at URLs, which are read by imports.
    pub(super) located: bool,
    /// A cache.
    pub(super) cache: bool,
    /// The API of old beside that of today.
    pub(super) v1: bool,
    /// The images of the Compute API beside it.
    pub(super) compute: bool,
}

impl Storage {
    /// Whether it has all of `needs`.
    const fn has(self, needs: Self) -> bool {
        (self.named || !needs.named)
            && (self.imports || !needs.imports)
            && (self.located || !needs.located)
            && (self.cache || !needs.cache)
    }
}

fn advertised(storage: Storage) -> impl Iterator<Item = &'static Version> {
    VERSIONS.iter().filter(move |version| storage.has(version.needs))
}

/// The document of versions, with links below `base`.
fn document(base: &str, storage: Storage) -> Value {
    let shown = |minor: &str, status: &str, major: &str| {
        let links = json!([{"rel": "self", "href": format!("{base}/{major}/")}]);
        json!({"id": format!("v{minor}"), "status": status, "links": links})
    };
    let status = |minor| if minor == current(storage) { "CURRENT" } else { "SUPPORTED" };
    let second = advertised(storage).map(|version| shown(version.minor, status(version.minor), "v2"));
    let first = FIRST.iter().filter(|_| storage.v1).map(|minor| shown(minor, "DEPRECATED", "v1"));
    let versions: Vec<Value> = second.chain(first).collect();
    json!({ "versions": versions })
}

/// Answers with the versions to choose from.
pub(super) fn choose(call: &Call, storage: Storage) -> Response {
    answer::json(StatusCode::MULTIPLE_CHOICES, &document(&base(call), storage))
}

/// Answers with the versions as the thing that was asked for.
pub(super) fn list(call: &Call, storage: Storage) -> Response {
    answer::json(StatusCode::OK, &document(&base(call), storage))
}

fn base(call: &Call) -> String {
    links::base(&call.front.settings, &call.headers)
}

/// Which API a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Major {
    /// That of old.
    V1,
    /// That of today.
    V2,
    /// Nova's, by one of its names. The document of versions says nothing of it: it is for clients of images.
    Compute(compute::Spelling),
}

impl Major {
    /// The first segment of its paths.
    pub(super) const fn segment(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Compute(spelling) => spelling.segment(),
        }
    }
}

/// What the first segment of a path, or the version in a media type, names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// A version that is served.
    Served(Major),
    /// A version that is not.
    NotServed,
    /// No version.
    NoVersion,
}

/// Reads `v2`, `v2.7`, `v1`, ….
pub(super) fn read(word: &str, storage: Storage) -> Word {
    let Some(number) = word.strip_prefix('v') else { return Word::NoVersion };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = match number.split_once('.') {
        Some((major, minor)) => digits(major) && digits(minor),
        None => digits(number),
    };
    if !is_version {
        Word::NoVersion
    } else if number == "2" || advertised(storage).any(|version| version.minor == number) {
        Word::Served(Major::V2)
    } else if storage.v1 && (number == "1" || FIRST.contains(&number)) {
        Word::Served(Major::V1)
    } else {
        Word::NotServed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minors_are_advertised_only_with_what_they_need() {
        let ids = |storage| {
            let document = document("http://x", storage);
            let ids = document["versions"].as_array().unwrap().iter();
            ids.map(|version| version["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ids(NOTHING), "v2.7 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0");
        assert_eq!(ids(STORES), "v2.15 v2.13 v2.10 v2.8 v2.7 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0");
        assert_eq!(ids(IMPORTS), "v2.12 v2.7 v2.6 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0");
        assert_eq!(ids(BOTH), "v2.15 v2.13 v2.12 v2.11 v2.10 v2.8 v2.7 v2.6 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0");
        assert_eq!(ids(LOCATED), format!("v2.17 {}", ids(BOTH)));
        assert_eq!(ids(CACHE), format!("v2.18 v2.16 v2.14 v2.9 {}", ids(NOTHING)));
        assert_eq!(ids(Storage { v1: true, ..NOTHING }), format!("{} v1.1 v1.0", ids(NOTHING)));
        let all: Vec<String> = (0..19).rev().map(|minor| format!("v2.{minor}")).collect();
        assert_eq!(ids(Storage { cache: true, ..LOCATED }), all.join(" "));
    }

    #[test]
    fn exactly_one_version_is_current() {
        for (storage, minor) in [(BOTH, "v2.7"), (Storage { cache: true, ..BOTH }, "v2.18")] {
            let document = document("http://x", storage);
            let versions = document["versions"].as_array().unwrap().iter();
            let current: Vec<_> = versions.filter(|version| version["status"] == "CURRENT").collect();
            assert!(current.len() == 1 && current[0]["id"] == minor, "{current:?}");
        }
    }

    #[test]
    fn a_word_is_a_version_that_is_served_or_another_or_none() {
        for (word, expected) in [
            ("v2", Word::Served(Major::V2)),
            ("v2.7", Word::Served(Major::V2)),
            ("v2.8", Word::NotServed),
            ("v2.99", Word::NotServed),
            ("v1", Word::NotServed),
            ("v9", Word::NotServed),
            ("v", Word::NoVersion),
            ("v2.", Word::NoVersion),
            ("v2.7.1", Word::NoVersion),
            ("versions", Word::NoVersion),
            ("images", Word::NoVersion),
        ] {
            assert_eq!(read(word, NOTHING), expected, "{word}");
        }
        assert_eq!(read("v2.8", BOTH), Word::Served(Major::V2));
        for (word, expected) in [
            ("v1", Word::Served(Major::V1)),
            ("v1.0", Word::Served(Major::V1)),
            ("v1.1", Word::Served(Major::V1)),
            ("v1.2", Word::NotServed),
            ("v2.7", Word::Served(Major::V2)),
        ] {
            assert_eq!(read(word, Storage { v1: true, ..NOTHING }), expected, "{word}");
        }
    }
}
