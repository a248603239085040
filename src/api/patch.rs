//! `PATCH`: JSON patch, as the Image API restricts it, becomes an [`ImageChange`]. Pure.
//!
//! Two media types are understood. They differ in spelling, and in that the older one cannot add what is there.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};
use image_service::{Image, ImageChange, Visibility};
use serde_json::{Map, Value};

use super::Settings;
use super::attribute::{self, Assignment, Kind};
use super::fault::Fault;
use super::places::{self, Move};

const V20: &str = "application/openstack-images-v2.0-json-patch";
const V21: &str = "application/openstack-images-v2.1-json-patch";
const ACCEPTED: &str =
    "application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch";

/// The two spellings of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `{"add": "/path", "value": …}`
    V20,
    /// `{"op": "add", "path": "/path", "value": …}`
    V21,
}

impl Dialect {
    /// Reads the `Content-Type`, parameters aside.
    pub(super) fn of(content_type: Option<&HeaderValue>) -> Result<Self, Fault> {
        let essence = content_type
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(|essence| essence.trim().to_ascii_lowercase());
        match essence.as_deref() {
            Some(V20) => Ok(Self::V20),
            Some(V21) => Ok(Self::V21),
            _ => Err(Fault::unsupported_type(format!("Content-Type: must be one of {ACCEPTED}"))
                .with_header(
                    HeaderName::from_static("accept-patch"),
                    Some(HeaderValue::from_static(ACCEPTED)),
                )),
        }
    }
}

/// One operation of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Sets a value.
    Set(Set, Assignment),
    /// Removes the property or attribute of this name.
    Remove(String),
    /// Changes where the data lies.
    Move(Move),
}

/// Whether what is set must be there, or must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// Either way.
    Anyhow,
    /// It must be new.
    New,
    /// It must be there.
    Known,
}

/// A patch that is well-formed and touches only what clients may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patch(Vec<Step>);

impl Patch {
    /// Reads a patch.
    ///
    /// # Errors
    /// 400 if it is malformed, 403 if it touches what clients may not touch.
    pub(super) fn read(body: &Value, dialect: Dialect, settings: &Settings) -> Result<Self, Fault> {
        let Value::Array(operations) = body else {
            return Err(Fault::bad_request("Request body must be a JSON array of operation objects."));
        };
        let steps = operations.iter().map(|operation| match operation {
            Value::Object(operation) => step(operation, dialect, settings),
            _ => Err(Fault::bad_request("Operations must be JSON objects.")),
        });
        Ok(Self(steps.collect::<Result<_, _>>()?))
    }

    /// Whether it asks for nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it changes nothing but where the data lies.
    pub(super) fn is_of_locations_alone(&self) -> bool {
        self.0.iter().all(|step| matches!(step, Step::Move(_)))
    }

    /// What it changes about where the data lies, in order.
    pub(super) fn moves(&self) -> Vec<Move> {
        let moves = self.0.iter().filter_map(|step| match step {
            Step::Move(step) => Some(step.clone()),
            _ => None,
        });
        moves.collect()
    }

    /// Every visibility that one of its steps gives the image, also for a moment only.
    pub(super) fn visibilities(&self) -> impl Iterator<Item = Visibility> {
        self.0.iter().filter_map(|step| match step {
            Step::Set(_, Assignment::Visibility(visibility)) => Some(*visibility),
            _ => None,
        })
    }

    /// The change that it means for `image`, its steps taken in order, but for those of locations.
    ///
    /// # Errors
    /// 409 if a property is not there that must be, or is there that must not; 403 if a base attribute is removed.
    pub(super) fn change_to(self, image: &Image) -> Result<ImageChange, Fault> {
        let mut change = ImageChange::default();
        let mut present: BTreeSet<String> = image.properties.keys().cloned().collect();
        for step in self.0 {
            match step {
                Step::Set(set, assignment) => {
                    let known = match &assignment {
                        Assignment::Property(key, _) => !present.insert(key.clone()),
                        _ => true,
                    };
                    match (set, known) {
                        (Set::New, true) => {
                            let key = assignment.key();
                            return Err(Fault::conflict(format!("Property {key} already present.")));
                        }
                        (Set::Known, false) => return Err(missing(assignment.key())),
                        _ => assignment.change(&mut change)?,
                    }
                }
                Step::Move(_) => {}
                Step::Remove(key) if attribute::kind(&key) != Kind::Property => {
                    return Err(Fault::forbidden(format!("property {key} may not be removed")));
                }
                Step::Remove(key) => {
                    if !present.remove(&key) {
                        return Err(missing(&key));
                    }
                    change.properties.insert(key, None);
                }
            }
        }
        Ok(change)
    }
}

fn missing(key: &str) -> Fault {
    Fault::conflict(format!("Property {key} does not exist."))
}

fn step(operation: &Map<String, Value>, dialect: Dialect, settings: &Settings) -> Result<Step, Fault> {
    let (verb, path) = match dialect {
        Dialect::V21 => (text(operation, "op")?, text(operation, "path")?),
        Dialect::V20 => {
            let mut verbs =
                ["add", "replace", "remove"].into_iter().filter(|verb| operation.contains_key(*verb));
            match (verbs.next(), verbs.next()) {
                (Some(verb), None) => (verb, text(operation, verb)?),
                _ => {
                    return Err(Fault::bad_request(
                        "Operation objects must contain exactly one of add, replace, remove.",
                    ));
                }
            }
        }
    };
    let set = match (verb, dialect) {
        ("remove", _) => None,
        ("replace", _) => Some(Set::Known),
        ("add", Dialect::V20) => Some(Set::New),
        ("add", Dialect::V21) => Some(Set::Anyhow),
        _ => return Err(Fault::bad_request(format!("op: '{verb}' is not one of add, replace, remove"))),
    };
    let path = pointer(path)?;
    let key = single(&path, verb)?;
    if attribute::kind(key) == Kind::Locations && settings.locations.show {
        return Ok(Step::Move(relocation(operation, verb, &path)?));
    }
    attribute::check_writable(key)?;
    if key == "id" {
        return Err(Fault::forbidden("attribute 'id' is read-only"));
    }
    let Some(set) = set else { return Ok(Step::Remove(key.to_owned())) };
    Ok(Step::Set(set, attribute::assignment(key, value(operation, verb)?, settings)?))
}

fn value<'a>(operation: &'a Map<String, Value>, verb: &str) -> Result<&'a Value, Fault> {
    let missing = || Fault::bad_request(format!("value: operation '{verb}' requires it"));
    operation.get("value").ok_or_else(missing)
}

/// A step that changes where the data lies. That the path is as long as its verb wants it is known.
fn relocation(operation: &Map<String, Value>, verb: &str, path: &[String]) -> Result<Move, Fault> {
    let place = path.get(1).map_or(Ok(None), |token| places::place(token))?;
    match verb {
        "remove" => Ok(Move::Remove(place)),
        "replace" => Ok(Move::Replace(places::all_named(value(operation, verb)?)?)),
        _ => Ok(Move::Add(place, places::named(value(operation, verb)?)?)),
    }
}

fn text<'a>(operation: &'a Map<String, Value>, key: &str) -> Result<&'a str, Fault> {
    match operation.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Fault::bad_request(format!("{key}: must be a string"))),
        None => Err(Fault::bad_request(format!("{key}: every operation requires it"))),
    }
}

/// Splits a JSON pointer into its tokens.
fn pointer(path: &str) -> Result<Vec<String>, Fault> {
    let wrong = |why: &str| Err(Fault::bad_request(format!("path: pointer '{path}' {why}")));
    let Some(tokens) = path.strip_prefix('/') else { return wrong("does not start with '/'") };
    if tokens.ends_with('/') {
        return wrong("ends with '/'");
    }
    let mut decoded = Vec::new();
    for token in tokens.split('/') {
        if token.trim().is_empty() && tokens.contains('/') {
            return wrong("contains adjacent '/'");
        }
        if token.split('~').skip(1).any(|escape| !escape.starts_with(['0', '1'])) {
            return wrong("contains a '~' that is no part of an escape");
        }
        decoded.push(token.replace("~1", "/").replace("~0", "~"));
    }
    Ok(decoded)
}

/// The one token of a path. Only locations lie deeper, where their elements are added and removed.
fn single<'a>(path: &'a [String], verb: &str) -> Result<&'a str, Fault> {
    match path {
        [key] if key != "locations" || verb == "replace" => Ok(key),
        [key, _] if key == "locations" && verb != "replace" => Ok(key),
        _ => {
            Err(Fault::bad_request(format!("path: '/{}' names nothing that can be changed", path.join("/"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{Caller, NewImage, Timestamp};
    use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
    use serde_json::json;

    fn image() -> Image {
        let properties = [("colour".to_owned(), "red".to_owned())].into();
        let image = NewImage { properties, ..NewImage::default() };
        image.into_image(&Caller::member_of("a"), Timestamp::now()).unwrap()
    }

    fn patched(dialect: Dialect, body: &Value) -> Result<ImageChange, Fault> {
        Patch::read(body, dialect, &Settings::default())?.change_to(&image())
    }

    fn status(dialect: Dialect, body: &Value) -> u16 {
        patched(dialect, body).map_or_else(|fault| fault.status().as_u16(), |_| 200)
    }

    #[test]
    fn both_media_types_are_understood_with_parameters_and_no_other() {
        let of = |text: &str| Dialect::of(Some(&HeaderValue::from_str(text).unwrap()));
        assert_eq!(of(V20).unwrap(), Dialect::V20);
        assert_eq!(of("Application/OpenStack-Images-v2.1-json-patch; charset=utf-8").unwrap(), Dialect::V21);
        for other in ["application/json", "application/json-patch+json", "", V20.trim_end_matches('h')] {
            assert_eq!(of(other).unwrap_err().status().as_u16(), 415, "{other}");
        }
        assert_eq!(Dialect::of(None).unwrap_err().status().as_u16(), 415);
    }

    #[test]
    fn steps_are_taken_in_order_and_become_one_change() {
        let change = patched(
            Dialect::V21,
            &json!([
                {"op": "replace", "path": "/name", "value": "first"},
                {"op": "replace", "path": "/name", "value": null},
                {"op": "add", "path": "/new", "value": "1"},
                {"op": "replace", "path": "/new", "value": "2"},
                {"op": "remove", "path": "/colour"},
                {"op": "add", "path": "/a~1b~0c", "value": "3"},
                {"op": "add", "path": "/", "value": "4"},
            ]),
        )
        .unwrap();
        assert_eq!(change.name, Some(None));
        let expected = [("", Some("4")), ("a/b~c", Some("3")), ("colour", None), ("new", Some("2"))];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)));
        assert_eq!(change.properties, expected.into());
    }

    #[test]
    fn the_older_dialect_spells_the_same_and_adds_only_what_is_new() {
        let one = |operation: Value| status(Dialect::V20, &json!([operation]));
        assert_eq!(one(json!({"replace": "/name", "value": "x"})), 200);
        assert_eq!(one(json!({"add": "/new", "value": "x"})), 200);
        assert_eq!(one(json!({"remove": "/colour"})), 200);
        assert_eq!(one(json!({"add": "/name", "value": "x"})), 409);
        assert_eq!(one(json!({"add": "/colour", "value": "x"})), 409);
        assert_eq!(one(json!({"add": "/x", "replace": "/y", "value": "x"})), 400);
        assert_eq!(one(json!({"op": "add", "path": "/x", "value": "x"})), 400);
    }

    #[test]
    fn every_refusal_has_its_status() {
        for (expected, operation) in [
            (400, json!("add")),
            (400, json!({"path": "/x", "value": ""})),
            (400, json!({"op": "add", "value": ""})),
            (400, json!({"op": "add", "path": "/x"})),
            (400, json!({"op": "add", "path": 1, "value": ""})),
            (400, json!({"op": "test", "path": "/x", "value": ""})),
            (400, json!({"op": "move", "from": "/x", "path": "/y"})),
            (400, json!({"op": "copy", "from": "/x", "path": "/y"})),
            (400, json!({"op": "add", "path": "x", "value": ""})),
            (400, json!({"op": "add", "path": "//x", "value": ""})),
            (400, json!({"op": "add", "path": "/x/", "value": ""})),
            (400, json!({"op": "add", "path": "/x~2", "value": ""})),
            (400, json!({"op": "add", "path": "/x~", "value": ""})),
            (400, json!({"op": "add", "path": "/x/y", "value": ""})),
            (400, json!({"op": "add", "path": "/tags/-", "value": "x"})),
            (400, json!({"op": "add", "path": "/locations", "value": {}})),
            (400, json!({"op": "replace", "path": "/visibility", "value": "x"})),
            (400, json!({"op": "add", "path": "/x", "value": null})),
            (403, json!({"op": "replace", "path": "/id", "value": "x"})),
            (403, json!({"op": "replace", "path": "/status", "value": "active"})),
            (403, json!({"op": "add", "path": "/stores", "value": "x"})),
            (403, json!({"op": "remove", "path": "/os_glance_x"})),
            (403, json!({"op": "remove", "path": "/name"})),
            (403, json!({"op": "add", "path": "/locations/-", "value": {}})),
            (403, json!({"op": "replace", "path": "/locations", "value": []})),
            (403, json!({"op": "remove", "path": "/locations/0"})),
            (409, json!({"op": "replace", "path": "/unknown", "value": "x"})),
            (409, json!({"op": "remove", "path": "/unknown"})),
        ] {
            assert_eq!(status(Dialect::V21, &json!([operation])), expected, "{operation}");
        }
        assert_eq!(status(Dialect::V21, &json!({"op": "add"})), 400);
        assert!(patched(Dialect::V21, &json!([])).unwrap().is_empty());
    }

    #[test]
    fn locations_are_changed_where_they_are_shown() {
        let locations = crate::api::LocationSettings { show: true, direct_url: false };
        let settings = Settings { locations, ..Settings::default() };
        let status = |operation: Value| {
            let patch = Patch::read(&json!([operation]), Dialect::V21, &settings);
            patch.map_or_else(
                |fault| fault.status().as_u16(),
                |patch| 200 + u16::from(patch.moves().len() != 1),
            )
        };
        let location = json!({"url": "http://x", "metadata": {}});
        for (expected, operation) in [
            (200, json!({"op": "add", "path": "/locations/-", "value": location})),
            (200, json!({"op": "add", "path": "/locations/0", "value": location})),
            (200, json!({"op": "replace", "path": "/locations", "value": [location]})),
            (200, json!({"op": "remove", "path": "/locations/0"})),
            (200, json!({"op": "remove", "path": "/locations/-"})),
            (400, json!({"op": "add", "path": "/locations", "value": location})),
            (400, json!({"op": "add", "path": "/locations/x", "value": location})),
            (400, json!({"op": "add", "path": "/locations/0/0", "value": location})),
            (400, json!({"op": "add", "path": "/locations/0", "value": [location]})),
            (400, json!({"op": "add", "path": "/locations/0"})),
            (400, json!({"op": "replace", "path": "/locations/0", "value": location})),
            (400, json!({"op": "replace", "path": "/locations", "value": location})),
            (403, json!({"op": "replace", "path": "/locations", "value": []})),
            (400, json!({"op": "remove", "path": "/locations"})),
        ] {
            assert_eq!(status(operation.clone()), expected, "{operation}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            "[a-z/~0-9]{0,6}".prop_map(Value::from),
            prop::sample::select(vec!["add", "replace", "remove", "/name", "/tags", "/locations/-"])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let keys = prop::sample::select(vec!["op", "path", "value", "add", "replace", "remove"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((keys, inner), 0..4).prop_map(|members| {
                    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_patch_is_answered_with_anything_but_a_change_or_a_clients_error(body in values()) {
            for dialect in [Dialect::V20, Dialect::V21] {
                assert!(matches!(status(dialect, &body), 200 | 400 | 403 | 409));
            }
        }
    }
}
