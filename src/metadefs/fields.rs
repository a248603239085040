//! The fields of one JSON object, each read by its type, and every fault noted with its place.

use std::collections::BTreeSet;

use image_service::Error;
use serde_json::{Map, Value};

/// Most faults that are told; who makes more hears of the rest later.
const MOST_TOLD: usize = 20;

/// Every fault found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<String>);

impl Faults {
    pub(super) fn note(&mut self, place: &str, what: impl AsRef<str>) {
        let what = what.as_ref();
        self.0.push(if place.is_empty() { what.to_owned() } else { format!("{place}: {what}") });
    }

    /// What was read, if there was no fault; else all faults as one error.
    pub(super) fn none_or<T>(self, read: Option<T>) -> Result<T, Error> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            _ => {
                let told: Vec<_> = self.0.into_iter().take(MOST_TOLD).collect();
                Err(Error::invalid(told.join("; ")))
            }
        }
    }
}

/// One JSON object on its way to become something.
pub(super) struct Fields<'v, 'f> {
    place: String,
    object: &'v Map<String, Value>,
    known: BTreeSet<&'static str>,
    faults: &'f mut Faults,
}

impl<'v, 'f> Fields<'v, 'f> {
    /// The fields of `value`; nothing, and a fault, if it is no object.
    pub(super) fn of(value: &'v Value, place: &str, faults: &'f mut Faults) -> Option<Self> {
        let Some(object) = value.as_object() else {
            faults.note(place, "must be an object");
            return None;
        };
        Some(Self { place: place.to_owned(), object, known: BTreeSet::new(), faults })
    }

    pub(super) fn faults(&mut self) -> &mut Faults {
        self.faults
    }

    /// Where `key` of this object stands.
    pub(super) fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    pub(super) fn note(&mut self, key: &str, what: impl AsRef<str>) {
        let place = self.place_of(key);
        self.faults.note(&place, what);
    }

    /// The value of `key` as it came, which is thereby a known key.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'v Value> {
        self.known.insert(key);
        self.object.get(key)
    }

    /// These keys may be there, and say nothing.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Option<T> {
        let read = read(self.value(key)?);
        if read.is_none() {
            self.note(key, format!("must be {wanted}"));
        }
        read
    }

    /// Text of at most `longest` characters.
    pub(super) fn text(&mut self, key: &'static str, longest: usize) -> Option<String> {
        let text = self.typed(key, "a string", Value::as_str)?;
        if text.chars().count() > longest {
            self.note(key, format!("must have at most {longest} characters"));
        }
        Some(text.to_owned())
    }

    /// Text that must be there.
    pub(super) fn needed(&mut self, key: &'static str, longest: usize) -> Option<String> {
        if !self.object.contains_key(key) {
            self.note(key, "is required");
        }
        self.text(key, longest)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A whole number from nothing up; `2.0` is one too.
    pub(super) fn count(&mut self, key: &'static str) -> Option<u64> {
        self.typed(key, "a whole number that is not negative", |value| match value.as_u64() {
            Some(count) => Some(count),
            None => value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0).and_then(whole),
        })
    }

    pub(super) fn number(&mut self, key: &'static str) -> Option<&'v Value> {
        self.typed(key, "a number", |value| value.is_number().then_some(value))
    }

    pub(super) fn array(&mut self, key: &'static str) -> Option<&'v Vec<Value>> {
        self.typed(key, "an array", Value::as_array)
    }

    pub(super) fn object(&mut self, key: &'static str) -> Option<&'v Map<String, Value>> {
        self.typed(key, "an object", Value::as_object)
    }

    /// An array of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let items = self.array(key)?;
        let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        if texts.is_none() {
            self.note(key, "must hold nothing but strings");
        }
        texts
    }

    /// An array of texts, each of them once.
    pub(super) fn set(&mut self, key: &'static str) -> Option<Vec<String>> {
        let texts = self.texts(key)?;
        if texts.iter().collect::<BTreeSet<_>>().len() < texts.len() {
            self.note(key, "must hold each string once");
        }
        Some(texts)
    }

    /// Notes the keys that nobody has asked for.
    pub(super) fn end(self) {
        for key in self.object.keys().filter(|key| !self.known.contains(key.as_str())) {
            let place = self.place_of(key);
            self.faults.note(&place, "is not known");
        }
    }
}

/// The whole number that a float stands for, if it is so small that floats tell such numbers apart.
fn whole(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number <= EXACT).then(|| format!("{number:.0}").parse().ok()).flatten()
}
