//! JSON read once: text stays where it is, and the fields of an object stay in a row.
//!
//! A list of a thousand images has tens of thousands of fields, nearly all of which are looked at once. Copying
//! each name, and sorting it into a map, takes longer than all the rest that is done with them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Debug)]
pub(super) enum Json<'a> {
    Null,
    Flag(bool),
    /// A natural number.
    Natural(u64),
    /// A number of any other kind, which nothing of an image is.
    OtherNumber,
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Object<'a>),
}

/// The fields of an object, in the order they came. Of a name given twice, the last counts.
#[derive(Debug)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// Takes a field out. Missing is as good as null.
    pub(super) fn take(&mut self, field: &str) -> Json<'a> {
        let at = self.0.iter().rposition(|(name, _)| name == field);
        at.map_or(Json::Null, |at| self.0.remove(at).1)
    }

    /// What nobody has taken.
    pub(super) fn into_rest(self) -> impl Iterator<Item = (Cow<'a, str>, Json<'a>)> {
        self.0.into_iter()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Natural(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json<'de>, A::Error> {
        let mut fields = Vec::with_capacity(object.size_hint().unwrap_or(48).min(48));
        while let Some(Name(name)) = object.next_key()? {
            fields.push((name, object.next_value()?));
        }
        Ok(Json::Object(Object(fields)))
    }
}

/// A field's name, where it stands if it can stay there. `Cow` by itself is always read into a copy.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameReader).map(Name)
    }
}

struct NameReader;

impl<'de> Visitor<'de> for NameReader {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_given_twice_the_last_counts_and_escapes_are_read() {
        let text = r#"{"a": 1, "b\u0041": "x\ny", "a": null, "c": [-1, 1.5, true, {}], "d": 7}"#;
        let Ok(Json::Object(mut object)) = serde_json::from_str(text) else { panic!("no object") };
        assert!(matches!(object.take("a"), Json::Null));
        assert!(matches!(object.take("bA"), Json::Text(text) if text == "x\ny"));
        let Json::List(values) = object.take("c") else { panic!("no list") };
        assert!(matches!(
            values[..],
            [Json::OtherNumber, Json::OtherNumber, Json::Flag(true), Json::Object(_)]
        ));
        assert!(matches!(object.take("d"), Json::Natural(7)));
        assert!(matches!(object.take("e"), Json::Null));
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        let Ok(Json::Object(mut object)) = serde_json::from_str(r#"{"a": "text"}"#) else {
            panic!("no object")
        };
        assert!(matches!(object.take("a"), Json::Text(Cow::Borrowed("text"))));
    }

    #[test]
    fn what_is_no_json_or_goes_too_deep_is_an_error() {
        assert!(serde_json::from_str::<Json<'_>>("[1, ").is_err());
        assert!(serde_json::from_str::<Json<'_>>(&"[".repeat(10_000)).is_err());
    }
}
