//! The minors of the Image API that are served, and the documents that tell of them.
//!
//! A minor is advertised only if what it brought is served. Clients decide by it what to call: had we 2.12, they
//! would ask for tasks.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::exchange::Call;
use super::{answer, links};

/// One minor that can be advertised.
struct Version {
    minor: &'static str,
    /// How images must be stored for it to be true.
    needs: Storage,
}

/// The minor that is `CURRENT`; all others are `SUPPORTED`.
const CURRENT: &str = "2.7";

/// Not here: 2.6 import, 2.9 a mere bump, 2.11 import to several stores, 2.12 image tasks, 2.14 and
/// 2.16 cache, 2.18 cache cleaning.
const VERSIONS: &[Version] = &[
    // Locations by themselves.
    Version { minor: "2.17", needs: Storage::Located },
    // Details of stores.
    Version { minor: "2.15", needs: Storage::Named },
    // Usage of quotas. Glance too offers it only with stores.
    Version { minor: "2.13", needs: Storage::Named },
    // Removal of the copy in one store.
    Version { minor: "2.10", needs: Storage::Named },
    // Storage stores.
    Version { minor: "2.8", needs: Storage::Named },
    // Strong hashes and hidden images.
    Version { minor: "2.7", needs: Storage::Plain },
    // Community and shared visibility.
    Version { minor: "2.5", needs: Storage::Plain },
    // Stricter locations.
    Version { minor: "2.4", needs: Storage::Plain },
    // Deactivate and reactivate.
    Version { minor: "2.3", needs: Storage::Plain },
    // Image properties as they are today.
    Version { minor: "2.2", needs: Storage::Plain },
    // Members, and JSON patch in its present form.
    Version { minor: "2.1", needs: Storage::Plain },
    // Images, data, tags, schemas.
    Version { minor: "2.0", needs: Storage::Plain },
];

/// How a service stores images, as far as versions go. Each has what those before have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Storage {
    /// Somewhere.
    Plain,
    /// In named stores.
    Named,
    /// One of them keeps images whose data lies at URLs.
    Located,
}

fn advertised(storage: Storage) -> impl Iterator<Item = &'static Version> {
    VERSIONS.iter().filter(move |version| version.needs <= storage)
}

/// The document of versions, with links below `base`.
fn document(base: &str, storage: Storage) -> Value {
    let versions: Vec<Value> = advertised(storage)
        .map(|version| {
            json!({
                "id": format!("v{}", version.minor),
                "status": if version.minor == CURRENT { "CURRENT" } else { "SUPPORTED" },
                "links": [{"rel": "self", "href": format!("{base}/v2/")}],
            })
        })
        .collect();
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

/// What the first segment of a path, or the version in a media type, names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// A version that is served.
    Served,
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
        Word::Served
    } else {
        Word::NotServed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minors_of_named_stores_and_of_locations_are_advertised_only_with_them() {
        let ids = |storage| {
            let document = document("http://x", storage);
            let ids = document["versions"].as_array().unwrap().iter();
            ids.map(|version| version["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ids(Storage::Plain), "v2.7 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0");
        assert_eq!(ids(Storage::Located), format!("v2.17 {}", ids(Storage::Named)));
        assert_eq!(ids(Storage::Named), "v2.15 v2.13 v2.10 v2.8 v2.7 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0");
    }

    #[test]
    fn exactly_one_version_is_current() {
        let document = document("http://x", Storage::Named);
        let current = |version: &&Value| version["status"] == "CURRENT";
        assert_eq!(document["versions"].as_array().unwrap().iter().filter(current).count(), 1);
    }

    #[test]
    fn a_word_is_a_version_that_is_served_or_another_or_none() {
        for (word, expected) in [
            ("v2", Word::Served),
            ("v2.7", Word::Served),
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
            assert_eq!(read(word, Storage::Plain), expected, "{word}");
        }
        assert_eq!(read("v2.8", Storage::Named), Word::Served);
    }
}
