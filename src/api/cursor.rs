//! A place in a list as one opaque word: base64url of a seal and JSON. Pure.
//!
//! It holds all that is needed to go on from there, also when the image it was taken from is gone: sort values and id,
//! and for each backend how far it has been read. It names the order it belongs to, for in another order it means
//! nothing. The seal, an HMAC-SHA-256 cut to 128 bits, is made with a key that clients do not have, so a place is
//! only ever one that we gave out. Every process that has the key can go on from it; nothing is kept.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use image_service::{ImageId, Position, Resume, Sort, SortKey, SortValue, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

use super::fault::Fault;

/// Bytes of the seal.
const SEAL: usize = 16;

/// What cursors are sealed with.
#[derive(Clone)]
pub struct CursorKey(Hmac<Sha256>);

impl CursorKey {
    /// The key of this secret. Processes with the same secret take each other's cursors.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        // HMAC takes keys of any length.
        Self(Hmac::new_from_slice(secret).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// A key that nobody has. With it, cursors end with the process.
    #[must_use]
    pub fn random() -> Self {
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        Self::of(&[*a.as_bytes(), *b.as_bytes()].concat())
    }

    fn seal(&self, message: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(message)
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(…)")
    }
}

/// A place in a list, with how to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Where.
    pub(super) position: Position,
    /// How far each backend has been read.
    pub(super) resume: Option<Resume>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sort: String,
    values: Vec<Value>,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resume: Option<WrittenResume>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenResume {
    Behind(String),
    Sources(BTreeMap<String, Self>),
}

/// Writes a place in `sort`.
pub(super) fn write(mark: &Mark, sort: &Sort, key: &CursorKey) -> String {
    let values = mark.position.values.iter().map(|value| match value {
        SortValue::Unset => Value::Null,
        SortValue::Text(text) => Value::from(text.as_str()),
        SortValue::Number(number) => Value::from(*number),
        SortValue::Time(time) => Value::from(time.as_second()),
    });
    let written = Written {
        sort: order(sort),
        values: values.collect(),
        id: mark.position.id.as_str().to_owned(),
        resume: mark.resume.as_ref().map(written_resume),
    };
    // Text, numbers and null always are JSON.
    sealed(&serde_json::to_vec(&written).unwrap_or_default(), key)
}

/// Puts the seal before a message.
pub(super) fn sealed(message: &[u8], key: &CursorKey) -> String {
    let seal = key.seal(message).finalize().into_bytes();
    let mut bytes = seal.get(..SEAL).unwrap_or_default().to_vec();
    bytes.extend_from_slice(message);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a place in `sort`.
///
/// # Errors
/// 400 if it is no cursor, not one of ours, or one of another order.
pub(super) fn read(text: &str, sort: &Sort, key: &CursorKey) -> Result<Mark, Fault> {
    let refused = |why: &str| Fault::bad_request(format!("cursor: {why}"));
    let unreadable = || refused("cannot be read");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| unreadable())?;
    let (seal, message) = bytes.split_at_checked(SEAL).ok_or_else(unreadable)?;
    key.seal(message).verify_truncated_left(seal).map_err(|_| refused("is not one of this service"))?;
    let written: Written = serde_json::from_slice(message).map_err(|_| unreadable())?;
    if written.sort != order(sort) {
        return Err(refused("belongs to a list in another order"));
    }
    let values: Option<Vec<SortValue>> =
        sort.keys().iter().zip(&written.values).map(|((key, _), value)| sort_value(*key, value)).collect();
    let values = values.filter(|values| values.len() == written.values.len()).ok_or_else(unreadable)?;
    let position = Position { values, id: ImageId::lookup(written.id) };
    sort.check(&position).map_err(|_| unreadable())?;
    Ok(Mark { position, resume: written.resume.map(read_resume) })
}

fn written_resume(resume: &Resume) -> WrittenResume {
    match resume {
        Resume::Behind(id) => WrittenResume::Behind(id.as_str().to_owned()),
        Resume::Sources(sources) => WrittenResume::Sources(
            sources.iter().map(|(name, resume)| (name.clone(), written_resume(resume))).collect(),
        ),
    }
}

fn read_resume(written: WrittenResume) -> Resume {
    match written {
        WrittenResume::Behind(id) => Resume::Behind(ImageId::lookup(id)),
        WrittenResume::Sources(sources) => {
            Resume::Sources(sources.into_iter().map(|(name, resume)| (name, read_resume(resume))).collect())
        }
    }
}

fn order(sort: &Sort) -> String {
    let keys: Vec<String> = sort.keys().iter().map(|(key, direction)| format!("{key}:{direction}")).collect();
    keys.join(",")
}

fn sort_value(key: SortKey, value: &Value) -> Option<SortValue> {
    match (key, value) {
        (_, Value::Null) => Some(SortValue::Unset),
        (SortKey::CreatedAt | SortKey::UpdatedAt, Value::Number(second)) => {
            Timestamp::from_second(second.as_i64()?).ok().map(SortValue::Time)
        }
        (SortKey::Size, Value::Number(bytes)) => bytes.as_u64().map(SortValue::Number),
        (_, Value::String(text)) => Some(SortValue::Text(text.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{Caller, Direction, NewImage};
    use proptest::prelude::{any, prop, proptest};

    fn every_key() -> Sort {
        Sort::by(SortKey::ALL.iter().filter(|key| **key != SortKey::Id).map(|key| (*key, Direction::Asc)))
    }

    fn key() -> CursorKey {
        CursorKey::of(b"a secret")
    }

    fn resume(ids: &[String]) -> Resume {
        let behind = ids.iter().map(|id| (id.clone(), Resume::Behind(ImageId::lookup(id.as_str()))));
        let inner = Resume::Sources(behind.clone().collect());
        Resume::Sources(behind.chain([("inner".to_owned(), inner)]).collect())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in any::<Option<String>>(),
            size in any::<Option<u64>>(),
            ids in prop::collection::vec(any::<String>(), 0..4),
        ) {
            let mut image =
                NewImage { name, ..NewImage::default() }.into_image(&Caller::default(), Timestamp::now()).unwrap();
            image.size = size;
            for sort in [every_key(), Sort::default(), Sort::by([(SortKey::Id, Direction::Desc)])] {
                for resume in [None, Some(resume(&ids))] {
                    let mark = Mark { position: sort.position_of(&image), resume };
                    assert_eq!(read(&write(&mark, &sort, &key()), &sort, &key()).unwrap(), mark);
                }
            }
        }

        #[test]
        fn what_was_not_written_is_refused(noise in prop::collection::vec(any::<u8>(), 0..64)) {
            assert!(read(&URL_SAFE_NO_PAD.encode(&noise), &Sort::default(), &key()).is_err());
            assert!(read(&String::from_utf8_lossy(&noise), &Sort::default(), &key()).is_err());
            assert!(read(&sealed(&noise, &key()), &Sort::default(), &key()).is_err());
        }

        #[test]
        fn no_byte_of_a_cursor_can_be_another_one(at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let sort = Sort::default();
            let image = NewImage::default().into_image(&Caller::default(), Timestamp::now()).unwrap();
            let written = write(&Mark { position: sort.position_of(&image), resume: None }, &sort, &key());
            let mut bytes = URL_SAFE_NO_PAD.decode(written).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            assert!(read(&URL_SAFE_NO_PAD.encode(&bytes), &sort, &key()).is_err());
        }
    }

    #[test]
    fn a_cursor_of_another_key_is_refused_and_says_so() {
        let sort = Sort::default();
        let good = r#"{"sort":"created_at:desc,id:desc","values":[1],"id":"x"}"#;
        let cursor = sealed(good.as_bytes(), &CursorKey::random());
        let fault = read(&cursor, &sort, &key()).unwrap_err();
        assert_eq!((fault.status().as_u16(), fault.message()), (400, "cursor: is not one of this service"));
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", key()), "CursorKey(…)");
    }

    #[test]
    fn a_cursor_that_does_not_fit_is_refused() {
        let sort = Sort::default();
        let encode = |json: &str| sealed(json.as_bytes(), &key());
        let good = r#"{"sort":"created_at:desc,id:desc","values":[1],"id":"x"}"#;
        assert!(read(&encode(good), &sort, &key()).is_ok());
        assert!(read(&encode(good), &every_key(), &key()).is_err());
        assert!(read(&format!("{}=", encode(good)), &sort, &key()).is_err());
        for (from, to) in [
            ("[1]", "[]"),
            ("[1]", "[1,2]"),
            ("[1]", "[1,\"x\"]"),
            ("[1]", "[null]"),
            ("[1]", "[\"x\"]"),
            ("[1]", "[1.5]"),
            ("[1]", "[9223372036854775807]"),
            ("\"x\"", "1"),
            ("}", ",\"more\":1}"),
            ("}", ",\"resume\":1}"),
            ("id:desc", "id:asc"),
        ] {
            assert!(read(&encode(&good.replacen(from, to, 1)), &sort, &key()).is_err(), "{from} -> {to}");
        }
    }
}
