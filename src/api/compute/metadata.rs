//! The metadata of an image, which are its properties.
//!
//! Only what differs is changed, by one change of properties alone. So two who write different keys of one image at the
//! same moment both find theirs, and of the rest of the image nothing is written that was read before.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use image_service::{Image, ImageChange, ImageId, MOST_PER_IMAGE};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::attribute::{self, Kind, LONGEST};
use super::super::exchange::Call;
use super::super::fault::Fault;
use super::super::{answer, body, policy};
use super::shown::{self, Item};
use super::{GONE, Spelling, absent, visible};

const TOO_MANY: &str = "Image metadata limit exceeded";

/// What a client says of metadata.
type Said = BTreeMap<String, String>;

/// Metadata as it is sent.
#[derive(Serialize)]
struct All<'a> {
    metadata: BTreeMap<&'a str, Item<'a>>,
}

/// One item as it is sent.
#[derive(Serialize)]
struct One<'a> {
    meta: BTreeMap<&'a str, Item<'a>>,
}

/// Properties to set, or with `None` to remove.
type Change = BTreeMap<String, Option<String>>;

/// Shows all metadata of an image.
pub(super) async fn list(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    Ok(all(&visible(call, id).await?))
}

/// Shows one item.
pub(super) async fn show(call: &Call, id: &ImageId, key: &str) -> Result<Response, Fault> {
    let image = visible(call, id).await?;
    let item = Item::of(&image, key).ok_or_else(|| Fault::not_found(GONE))?;
    Ok(answer::json(StatusCode::OK, &One { meta: BTreeMap::from([(key, item)]) }))
}

/// Sets items, and leaves the others.
pub(super) async fn add(
    call: &Call,
    id: &ImageId,
    body: Body,
    spelling: Spelling,
) -> Result<Response, Fault> {
    let said = read(call, body, "metadata", spelling).await?;
    let image = visible(call, id).await?;
    let new = said.keys().filter(|key| !image.properties.contains_key(*key)).count();
    if !said.is_empty() {
        check_count(image.properties.len() + new)?;
    }
    let image = write(call, image, set(said)).await?;
    Ok(all(&image))
}

/// Sets items, and removes the others.
pub(super) async fn replace(
    call: &Call,
    id: &ImageId,
    body: Body,
    spelling: Spelling,
) -> Result<Response, Fault> {
    let said = read(call, body, "metadata", spelling).await?;
    let answer = answer::json(StatusCode::OK, &json!({ "metadata": said }));
    let image = visible(call, id).await?;
    check_count(said.len())?;
    // What clients cannot write they do not take away either.
    let goes = |key: &&String| !said.contains_key(*key) && attribute::kind(key) == Kind::Property;
    let mut change: Change = image.properties.keys().filter(goes).map(|key| (key.clone(), None)).collect();
    change.extend(set(said));
    write(call, image, change).await?;
    Ok(answer)
}

/// Sets one item.
pub(super) async fn set_one(
    call: &Call,
    id: &ImageId,
    key: &str,
    body: Body,
    spelling: Spelling,
) -> Result<Response, Fault> {
    let said = read(call, body, "meta", spelling).await?;
    if said.len() != 1 {
        return Err(Fault::bad_request("meta: must have exactly one item"));
    }
    if !said.contains_key(key) {
        return Err(Fault::bad_request("Request body and URI mismatch"));
    }
    let answer = answer::json(StatusCode::OK, &json!({ "meta": said }));
    let image = visible(call, id).await?;
    let new = usize::from(!image.properties.contains_key(key));
    check_count(image.properties.len() + new)?;
    write(call, image, set(said)).await?;
    Ok(answer)
}

/// Removes one item.
pub(super) async fn remove(call: &Call, id: &ImageId, key: &str) -> Result<Response, Fault> {
    let image = visible(call, id).await?;
    if Item::of(&image, key).is_none() {
        return Err(Fault::not_found("Invalid metadata key"));
    }
    write(call, image, [(key.to_owned(), None)].into()).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

fn all(image: &Image) -> Response {
    answer::json(StatusCode::OK, &All { metadata: shown::metadata(image) })
}

fn set(said: Said) -> Change {
    said.into_iter().map(|(key, value)| (key, Some(value))).collect()
}

fn check_count(count: usize) -> Result<(), Fault> {
    if count > MOST_PER_IMAGE {
        return Err(Fault::forbidden(TOO_MANY));
    }
    Ok(())
}

/// Makes a change of properties, for a caller who may make it.
async fn write(call: &Call, image: Image, mut change: Change) -> Result<Image, Fault> {
    let id = &image.id;
    let refused = |fault: Fault| match fault.status() {
        StatusCode::FORBIDDEN => fault.with_message(format!("Not authorized for image {id}.")),
        StatusCode::PAYLOAD_TOO_LARGE => fault.with_status(StatusCode::FORBIDDEN).with_message(TOO_MANY),
        _ => absent(fault),
    };
    call.permit(&call.policy().modify_image, "change images").map_err(refused)?;
    policy::must_own(&call.context.caller, &image).map_err(refused)?;
    if let Some(key) = change.keys().find(|key| attribute::kind(key) != Kind::Property) {
        return Err(Fault::forbidden(format!("'{key}' is no metadata that can be written")));
    }
    change.retain(|key, value| image.properties.get(key) != value.as_ref());
    if change.is_empty() {
        return Ok(image);
    }
    let change = ImageChange { properties: change, ..ImageChange::default() };
    let changed = call.service().update(&call.context, id, change, None).await;
    changed.map_err(|error| refused(error.into()))
}

/// Reads the body of a request, whose one key is `name`.
async fn read(call: &Call, body: Body, name: &str, spelling: Spelling) -> Result<Said, Fault> {
    let value = body::json(body, &call.front.settings).await.map_err(|fault| match fault.status() {
        StatusCode::BAD_REQUEST => fault.with_message("Malformed request body"),
        _ => fault,
    })?;
    said(value, name, spelling)
}

/// What is said under `name`, which stands alone but for clients of old.
fn said(value: Value, name: &str, spelling: Spelling) -> Result<Said, Fault> {
    let wrong = |what: &str| Fault::bad_request(format!("{name}: {what}"));
    let Value::Object(mut body) = value else {
        return Err(Fault::bad_request("the body must be a JSON object"));
    };
    let items = body.remove(name).ok_or_else(|| wrong("must be in the body"))?;
    if spelling == Spelling::Versioned && !body.is_empty() {
        return Err(Fault::bad_request(format!("the body must have '{name}' and nothing else")));
    }
    let Value::Object(items) = items else { return Err(wrong("must be a JSON object")) };
    each(items).map_err(|what| wrong(&what))
}

fn each(items: Map<String, Value>) -> Result<Said, String> {
    let mut said = Said::new();
    for (key, value) in items {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:. ".contains(&byte);
        // Each character of one that is allowed is a byte.
        if key.is_empty() || key.len() > LONGEST || !key.bytes().all(allowed) {
            return Err(format!(
                "a key has from 1 to {LONGEST} letters and digits of ASCII, '-', '_', ':', '.' and spaces"
            ));
        }
        match value {
            Value::String(value) if value.chars().count() <= LONGEST => drop(said.insert(key, value)),
            _ => {
                return Err(format!("the value of '{key}' must be a string of at most {LONGEST} characters"));
            }
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(value: Value, name: &str) -> String {
        let fault = said(value, name, Spelling::Versioned).unwrap_err();
        assert_eq!(fault.status().as_u16(), 400);
        fault.message().to_owned()
    }

    #[test]
    fn a_body_has_one_key_and_text_for_values() {
        let (long, longest) = ("x".repeat(256), "é".repeat(255));
        let good = json!({"metadata": {"a": "1", "A-b_c:d. 9": longest, (long[1..]): ""}});
        assert_eq!(said(good, "metadata", Spelling::Versioned).unwrap().len(), 3);
        assert!(said(json!({"metadata": {}}), "metadata", Spelling::Versioned).unwrap().is_empty());
        for (bad, expected) in [
            (json!([]), "the body must be"),
            (json!({}), "metadata: must be in the body"),
            (json!({"meta": {"a": "1"}}), "metadata: must be in the body"),
            (json!({"metadata": {}, "x": 1}), "the body must have 'metadata' and nothing else"),
            (json!({"metadata": []}), "metadata: must be a JSON object"),
            (json!({"metadata": null}), "metadata: must be a JSON object"),
            (json!({"metadata": {"a": 1}}), "metadata: the value of 'a'"),
            (json!({"metadata": {"a": null}}), "metadata: the value of 'a'"),
            (json!({"metadata": {"a": long}}), "metadata: the value of 'a'"),
            (json!({"metadata": {(long.clone()): "1"}}), "metadata: a key has"),
            (json!({"metadata": {"": "1"}}), "metadata: a key has"),
            (json!({"metadata": {"a/b": "1"}}), "metadata: a key has"),
            (json!({"metadata": {"é": "1"}}), "metadata: a key has"),
            (json!({"metadata": {"a\n": "1"}}), "metadata: a key has"),
        ] {
            let message = message(bad.clone(), "metadata");
            assert!(message.starts_with(expected), "{bad}: {message}");
        }
    }

    #[test]
    fn clients_of_old_may_say_more() {
        let body = json!({"metadata": {"a": "1"}, "x": 1});
        assert_eq!(said(body, "metadata", Spelling::Legacy).unwrap(), [("a".into(), "1".into())].into());
    }
}
