//! Which keys were written, so that those a dialect has no use for are refused.
//!
//! Several dialects share one struct of options, so the struct alone takes the keys of each for all. What is written in
//! vain is most likely meant for something, and whoever wrote it should know that nothing will come of it.
//!
//! The keys are noted on their way into the struct: what was read does not tell a default from a key that says the same.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The keys that a struct was given, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<String>);

impl Keys {
    /// The same as `deserializer`, whose keys are noted here when a struct is read from it.
    pub(crate) const fn noting<D>(&mut self, deserializer: D) -> Noting<'_, D> {
        Noting { inner: deserializer, keys: self }
    }

    /// Refuses the first key that is one of `useless` to the dialect called `dialect`.
    ///
    /// # Errors
    /// The one of serde for a key that there is not, so that whoever reads the text places it as such.
    pub(crate) fn refuse<E: Error>(&self, useless: &[&str], dialect: &str) -> Result<(), E> {
        match self.0.iter().find(|key| useless.contains(&key.as_str())) {
            Some(key) => {
                Err(E::custom(format_args!("unknown field `{key}`, the dialect {dialect} has no use for it")))
            }
            None => Ok(()),
        }
    }
}

/// A deserializer, a visitor or a map whose keys are noted.
#[derive(Debug)]
pub(crate) struct Noting<'k, T> {
    inner: T,
    keys: &'k mut Keys,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Noting<'_, D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, Noting { inner: visitor, keys: self.keys })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(Noting { inner: visitor, keys: self.keys })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Noting<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Noting { inner: map, keys: self.keys })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Noting<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(key) = self.inner.next_key::<String>()? else { return Ok(None) };
        let reader: StringDeserializer<A::Error> = key.clone().into_deserializer();
        self.keys.0.push(key);
        seed.deserialize(reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ship {
        #[expect(dead_code, reason = "only whether it is there matters")]
        masts: Option<u8>,
        #[expect(dead_code, reason = "only whether it is there matters")]
        coal: Option<u8>,
    }

    fn read(text: &str) -> Result<Keys, toml::de::Error> {
        let mut keys = Keys::default();
        Ship::deserialize(keys.noting(toml::Deserializer::parse(text)?))?;
        Ok(keys)
    }

    #[test]
    fn a_key_is_refused_where_it_is_useless_whatever_its_value() {
        let keys = read("masts = 3\ncoal = 0").unwrap();
        assert!(keys.refuse::<toml::de::Error>(&[], "sail").is_ok());
        assert!(keys.refuse::<toml::de::Error>(&["oil"], "sail").is_ok());
        let error = keys.refuse::<toml::de::Error>(&["oil", "coal"], "sail").unwrap_err();
        assert_eq!(error.message(), "unknown field `coal`, the dialect sail has no use for it");
        assert!(read("masts = 3").unwrap().refuse::<toml::de::Error>(&["coal"], "sail").is_ok());
    }

    #[test]
    fn what_the_struct_itself_refuses_is_refused_as_before() {
        assert!(read("oil = 1").unwrap_err().message().starts_with("unknown field `oil`, expected"));
        let error = read("masts = 3\ncoal = 'much'").unwrap_err();
        assert_eq!(error.span(), Some(17..23));
    }
}
