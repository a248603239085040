//! Where the data of images lies, as JSON, and changes to that. Pure.

use std::collections::BTreeMap;

use image_service::{HashAlgorithm, Image, Known, Location, MultiHash, Status};
use serde_json::{Map, Value, json};

use super::attribute::LONGEST;
use super::fault::Fault;

/// What is shown of where the data of an image lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// All its locations, if they are shown.
    pub(super) locations: Option<Vec<Location>>,
    /// The URL of the first one, if that is shown and there is one.
    pub(super) direct_url: Option<String>,
}

/// A location as it is shown, its store among what is noted about it.
pub(super) fn location(location: &Location) -> Value {
    let notes = location.metadata.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    let mut metadata: Map<String, Value> = notes.collect();
    if let Some(store) = &location.store {
        metadata.insert(STORE.to_owned(), store.as_str().into());
    }
    json!({"url": location.url, "metadata": metadata})
}

const STORE: &str = "store";

/// A change of the locations of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// One more, at a place or at the end.
    Add(Option<usize>, Named),
    /// These from now on.
    Replace(Vec<Named>),
    /// The one at a place, or at the end, goes.
    Remove(Option<usize>),
}

/// A location that a client names, and what it says of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) location: Location,
    pub(super) known: Known,
}

/// Reads a place, which the last token of a path names.
///
/// # Errors
/// 400 if it is neither a number nor `-`.
pub(super) fn place(token: &str) -> Result<Option<usize>, Fault> {
    let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    match token {
        "-" => Ok(None),
        _ if digits => Ok(Some(token.parse().unwrap_or(usize::MAX))),
        _ => Err(Fault::bad_request("Invalid position for a location.")),
    }
}

/// Reads a location of a patch.
///
/// # Errors
/// 400 if it is none.
pub(super) fn named(value: &Value) -> Result<Named, Fault> {
    let Value::Object(members) = value else { return Err(wrong("must be objects")) };
    let Some(Value::String(url)) = members.get("url") else { return Err(wrong("must have a url")) };
    let Some(Value::Object(notes)) = members.get("metadata") else { return Err(wrong("must have metadata")) };
    let mut metadata = BTreeMap::new();
    // The store is told, not kept.
    for (key, value) in notes.iter().filter(|(key, _)| *key != STORE) {
        match value.as_str() {
            Some(value) if key.chars().count() <= LONGEST && value.chars().count() <= LONGEST => {
                metadata.insert(key.clone(), value.to_owned());
            }
            _ => return Err(wrong(&format!("metadata must be strings of at most {LONGEST} characters"))),
        }
    }
    let known = members.get("validation_data").map_or_else(|| Ok(Known::default()), known)?;
    Ok(Named { location: Location { url: url.clone(), metadata, store: None }, known })
}

/// Reads the locations that are to be all from now on.
///
/// # Errors
/// 400 if they are none; 403 if there are none.
pub(super) fn all_named(value: &Value) -> Result<Vec<Named>, Fault> {
    let Value::Array(items) = value else { return Err(wrong("must be an array")) };
    if items.is_empty() {
        return Err(Fault::forbidden("Cannot set locations to empty list."));
    }
    items.iter().map(named).collect()
}

fn wrong(what: &str) -> Fault {
    Fault::bad_request(format!("locations: {what}"))
}

fn wrong_data(what: &str) -> Fault {
    Fault::bad_request(format!("validation_data: {what}"))
}

/// Reads what a patch says of the data.
fn known(value: &Value) -> Result<Known, Fault> {
    let (hash, checksum) = validation(value, &["checksum", "os_hash_algo", "os_hash_value"])?;
    let Some(hash) = hash else { return Err(wrong_data("must have os_hash_algo and os_hash_value")) };
    if checksum.as_ref().is_some_and(|checksum| checksum.chars().count() != 32) {
        return Err(wrong_data("checksum must have 32 characters"));
    }
    Ok(Known { checksum, hash: Some(hash), ..Known::default() })
}

/// Reads the hash of the data that a request to look at a location expects.
///
/// # Errors
/// 400 if it is of no kind that is known, or cannot be a hash of its kind.
pub(super) fn expected(value: &Value) -> Result<Option<MultiHash>, Fault> {
    let (hash, _) = validation(value, &["os_hash_algo", "os_hash_value"])?;
    let Some(hash) = hash else { return Ok(None) };
    let algorithm: HashAlgorithm = hash.algorithm.parse()?;
    if is_hex(&hash.value, algorithm.digits()) {
        return Ok(Some(hash));
    }
    Err(wrong_data(&format!("os_hash_value must have {} hex digits for {algorithm}", algorithm.digits())))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn validation(value: &Value, keys: &[&str]) -> Result<(Option<MultiHash>, Option<String>), Fault> {
    let Value::Object(members) = value else { return Err(wrong_data("must be an object")) };
    if let Some(key) = members.keys().find(|key| !keys.contains(&key.as_str())) {
        return Err(wrong_data(&format!("'{key}' is unexpected")));
    }
    let text = |key: &str| match members.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.to_lowercase())),
        Some(_) => Err(wrong_data(&format!("{key} must be a string"))),
    };
    let hash = match (text("os_hash_algo")?, text("os_hash_value")?) {
        (Some(algorithm), Some(value)) => Some(MultiHash { algorithm, value }),
        (None, None) => None,
        _ => return Err(wrong_data("os_hash_algo and os_hash_value need each other")),
    };
    Ok((hash, text("checksum")?))
}

impl Named {
    /// Lets through what is said of the data of a queued image, which is believed. Of other images it must be what they
    /// say themselves, which their store sees to.
    ///
    /// # Errors
    /// 409 for what cannot be a hash of the kind that stores compute.
    pub(super) fn check_known(&self, image: &Image) -> Result<(), Fault> {
        if image.status != Status::Queued {
            return Ok(());
        }
        if self.known.checksum.as_ref().is_some_and(|checksum| !is_hex(checksum, 32)) {
            return Err(Fault::conflict("checksum is no valid MD5"));
        }
        match &self.known.hash {
            Some(hash) if hash.algorithm != HashAlgorithm::Sha512.as_str() => {
                Err(Fault::conflict(format!("os_hash_algo must be sha512, not {}", hash.algorithm)))
            }
            Some(hash) if !is_hex(&hash.value, HashAlgorithm::Sha512.digits()) => {
                Err(Fault::conflict("os_hash_value is no valid SHA-512"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status<T: std::fmt::Debug>(answer: Result<T, Fault>) -> u16 {
        answer.map_or_else(|fault| fault.status().as_u16(), |_| 200)
    }

    #[test]
    fn a_location_is_shown_as_it_is_named_with_its_store_beside() {
        let shown = json!({"url": "http://x/y#z", "metadata": {"speed": "88mph", "store": "web"}});
        let Named { location: mut read, known } = named(&shown).unwrap();
        assert_eq!((read.store.as_ref(), known), (None, Known::default()));
        read.store = Some("web".into());
        assert_eq!(location(&read), shown);
    }

    #[test]
    fn what_is_no_location_is_refused() {
        let data = |data: Value| json!({"url": "http://x", "metadata": {}, "validation_data": data});
        for wrong in [
            json!("http://x"),
            json!({"url": "http://x"}),
            json!({"metadata": {}}),
            json!({"url": 1, "metadata": {}}),
            json!({"url": "http://x", "metadata": []}),
            json!({"url": "http://x", "metadata": {"a": 1}}),
            json!({"url": "http://x", "metadata": {"a": "b".repeat(256)}}),
            data(json!([])),
            data(json!({})),
            data(json!({"checksum": "1".repeat(32)})),
            data(json!({"os_hash_algo": "sha512"})),
            data(json!({"os_hash_algo": "sha512", "os_hash_value": 1})),
            data(json!({"os_hash_algo": "sha512", "os_hash_value": "1", "checksum": "1"})),
            data(json!({"os_hash_algo": "sha512", "os_hash_value": "1", "store": "web"})),
        ] {
            assert_eq!(status(named(&wrong)), 400, "{wrong}");
        }
        assert_eq!(status(all_named(&json!([]))), 403);
        assert_eq!(status(all_named(&json!({}))), 400);
        for (token, expected) in [("-", 200), ("0", 200), ("17", 200), ("", 400), ("-1", 400), ("x", 400)] {
            assert_eq!(status(place(token)), expected, "{token}");
        }
    }

    #[test]
    fn an_expected_hash_is_one_of_its_kind() {
        for (algorithm, digits) in [("md5", 32), ("sha1", 40), ("sha256", 64), ("sha512", 128)] {
            let of =
                |digits: usize| json!({"os_hash_algo": algorithm, "os_hash_value": "aB".repeat(digits / 2)});
            assert_eq!(expected(&of(digits)).unwrap().unwrap().value, "ab".repeat(digits / 2));
            assert_eq!(status(expected(&of(digits + 2))), 400, "{algorithm}");
        }
        assert_eq!(expected(&json!({})).unwrap(), None);
        for wrong in [
            json!({"os_hash_algo": "sha123", "os_hash_value": "00"}),
            json!({"os_hash_value": "0".repeat(128)}),
            json!({"os_hash_algo": "md5", "os_hash_value": "x".repeat(32)}),
            json!({"os_hash_algo": "md5", "os_hash_value": "0".repeat(32), "checksum": "0".repeat(32)}),
            json!("md5"),
        ] {
            assert_eq!(status(expected(&wrong)), 400, "{wrong}");
        }
    }
}
