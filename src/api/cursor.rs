//! A place in a list as one opaque word: base64url of JSON. Pure.
//!
//! It holds all that is needed to go on from there, also when the image it was taken from is gone. It names the
//! order it belongs to, for in another order it means nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use image_service::{ImageId, Position, Sort, SortKey, SortValue, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::Fault;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sort: String,
    values: Vec<Value>,
    id: String,
}

/// Writes a position in `sort`.
pub(super) fn write(position: &Position, sort: &Sort) -> String {
    let values = position.values.iter().map(|value| match value {
        SortValue::Unset => Value::Null,
        SortValue::Text(text) => Value::from(text.as_str()),
        SortValue::Number(number) => Value::from(*number),
        SortValue::Time(time) => Value::from(time.as_second()),
    });
    let id = position.id.as_str().to_owned();
    let written = Written { sort: order(sort), values: values.collect(), id };
    // Text, numbers and null always are JSON.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&written).unwrap_or_default())
}

/// Reads a position in `sort`.
///
/// # Errors
/// 400 if it is no cursor, or one of another order.
pub(super) fn read(text: &str, sort: &Sort) -> Result<Position, Fault> {
    let refused = |why: &str| Fault::bad_request(format!("cursor: {why}"));
    let unreadable = || refused("cannot be read");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| unreadable())?;
    let written: Written = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
    if written.sort != order(sort) {
        return Err(refused("belongs to a list in another order"));
    }
    let values: Option<Vec<SortValue>> =
        sort.keys().iter().zip(&written.values).map(|((key, _), value)| sort_value(*key, value)).collect();
    let values = values.filter(|values| values.len() == written.values.len()).ok_or_else(unreadable)?;
    let position = Position { values, id: ImageId::lookup(written.id) };
    sort.check(&position).map_err(|_| unreadable())?;
    Ok(position)
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

    proptest! {
        #[test]
        fn what_is_written_is_read(name in any::<Option<String>>(), size in any::<Option<u64>>()) {
            let mut image =
                NewImage { name, ..NewImage::default() }.into_image(&Caller::default(), Timestamp::now()).unwrap();
            image.size = size;
            for sort in [every_key(), Sort::default(), Sort::by([(SortKey::Id, Direction::Desc)])] {
                let position = sort.position_of(&image);
                assert_eq!(read(&write(&position, &sort), &sort).unwrap(), position);
            }
        }

        #[test]
        fn what_was_not_written_is_refused(noise in prop::collection::vec(any::<u8>(), 0..64)) {
            assert!(read(&URL_SAFE_NO_PAD.encode(&noise), &Sort::default()).is_err());
            assert!(read(&String::from_utf8_lossy(&noise), &Sort::default()).is_err());
        }
    }

    #[test]
    fn a_cursor_that_does_not_fit_is_refused() {
        let sort = Sort::default();
        let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let good = r#"{"sort":"created_at:desc,id:desc","values":[1],"id":"x"}"#;
        assert!(read(&encode(good), &sort).is_ok());
        assert!(read(&encode(good), &every_key()).is_err());
        assert!(read(&format!("{}=", encode(good)), &sort).is_err());
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
            ("id:desc", "id:asc"),
        ] {
            assert!(read(&encode(&good.replacen(from, to, 1)), &sort).is_err(), "{from} -> {to}");
        }
    }
}
