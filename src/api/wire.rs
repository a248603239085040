//! Images and members as JSON, and new images from it. Pure.

use image_service::{Image, ImageId, Member, NewImage};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::Settings;
use super::attribute;
use super::fault::Fault;

/// Properties in which a Glance behind us remembers which of its hosts is at work.
const HIDDEN: [&str; 2] = ["os_glance_stage_host", "os_glance_hash_op_host"];

const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of an image, from the root.
pub(super) fn path(id: &ImageId) -> String {
    format!("/v2/images/{}", utf8_percent_encode(id.as_str(), IN_A_PATH))
}

/// An image, its properties next to its attributes. Where they share a name, the attribute is what is shown.
pub(super) fn image(image: &Image) -> Value {
    let mut shown: Map<String, Value> = image
        .properties
        .iter()
        .filter(|(key, _)| !HIDDEN.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect();
    if let Value::Object(attributes) = attributes(image) {
        shown.extend(attributes);
    }
    if !image.stores.is_empty() {
        shown.insert("stores".to_owned(), image.stores.join(",").into());
    }
    Value::Object(shown)
}

fn attributes(image: &Image) -> Value {
    let path = path(&image.id);
    let hash = image.hash.as_ref();
    json!({
        "id": image.id.as_str(),
        "name": image.name,
        "status": image.status.as_str(),
        "visibility": image.visibility.as_str(),
        "owner": image.owner,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "checksum": image.checksum,
        "os_hash_algo": hash.map(|hash| &hash.algorithm),
        "os_hash_value": hash.map(|hash| &hash.value),
        "os_hidden": image.hidden,
        "protected": image.protected,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "tags": image.tags,
        "created_at": image.created_at.to_string(),
        "updated_at": image.updated_at.to_string(),
        "file": format!("{path}/file"),
        "self": path,
        "schema": "/v2/schemas/image",
    })
}

/// A new image from the body of a request.
///
/// # Errors
/// 400 if it is no object, or a value cannot be that of its key; 403 for what clients may not set.
pub(super) fn new_image(body: &Value, settings: &Settings) -> Result<NewImage, Fault> {
    let Value::Object(body) = body else { return Err(Fault::bad_request("an image must be a JSON object")) };
    let mut image = NewImage::default();
    for (key, value) in body {
        attribute::assignment(key, value, settings)?.describe(&mut image);
    }
    Ok(image)
}

/// A member of an image.
pub(super) fn member(member: &Member) -> Value {
    json!({
        "member_id": member.member_id,
        "image_id": member.image_id.as_str(),
        "status": member.status.as_str(),
        "created_at": member.created_at.to_string(),
        "updated_at": member.updated_at.to_string(),
        "schema": "/v2/schemas/member",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{Caller, MultiHash, Timestamp};

    fn queued() -> Image {
        NewImage::default().into_image(&Caller::member_of("a"), Timestamp::from_second(0).unwrap()).unwrap()
    }

    #[test]
    fn a_property_never_overwrites_an_attribute_and_what_hosts_do_is_not_shown() {
        let mut it = queued();
        for key in ["name", "id", "self", "colour", "os_glance_stage_host"] {
            it.properties.insert(key.to_owned(), "property".to_owned());
        }
        let shown = image(&it);
        assert_eq!(shown["name"], Value::Null);
        assert_eq!(shown["id"], it.id.as_str());
        assert_eq!(shown["self"], format!("/v2/images/{}", it.id));
        assert_eq!(shown["colour"], "property");
        assert_eq!(shown.get("os_glance_stage_host"), None);
    }

    #[test]
    fn what_is_unset_is_null_and_stores_appear_when_there_are_any() {
        let mut it = queued();
        let shown = image(&it);
        for key in
            ["name", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "disk_format"]
        {
            assert_eq!(shown.get(key), Some(&Value::Null), "{key}");
        }
        assert_eq!(shown["created_at"], "1970-01-01T00:00:00Z");
        assert_eq!(shown.get("stores"), None);
        it.stores = vec!["a".into(), "b".into()];
        it.hash = Some(MultiHash { algorithm: "sha512".into(), value: "00".into() });
        let shown = image(&it);
        assert_eq!((&shown["stores"], &shown["os_hash_algo"]), (&json!("a,b"), &json!("sha512")));
    }

    #[test]
    fn an_id_in_a_path_is_escaped() {
        assert_eq!(path(&ImageId::lookup("a/b?c")), "/v2/images/a%2Fb%3Fc");
    }
}
