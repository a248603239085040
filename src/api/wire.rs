//! Images and members as JSON, and new images from it. Pure.

use image_service::{Image, ImageId, Member, NewImage};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::Settings;
use super::attribute;
use super::fault::Fault;
use super::places::{self, Places};

/// Properties in which a Glance behind us remembers which of its hosts is at work.
const HIDDEN: [&str; 2] = ["os_glance_stage_host", "os_glance_hash_op_host"];

/// What every image shows of itself, and no property can.
const ATTRIBUTES: [&str; 22] = [
    "id",
    "name",
    "status",
    "visibility",
    "owner",
    "size",
    "virtual_size",
    "disk_format",
    "container_format",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "os_hidden",
    "protected",
    "min_disk",
    "min_ram",
    "tags",
    "created_at",
    "updated_at",
    "file",
    "self",
    "schema",
];

/// What cannot stand in a segment of a path.
pub(super) const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of an image, from the root.
pub(super) fn path(id: &ImageId) -> String {
    format!("/v2/images/{}", utf8_percent_encode(id.as_str(), IN_A_PATH))
}

/// An image, its properties next to its attributes. Where they share a name, the attribute is what is shown.
pub(super) fn image(image: &Image, places: &Places) -> Value {
    serde_json::to_value(Shown(image, places)).expect("an image has only text for keys")
}

/// An image as [`image`] shows it, to be written without being built first: lists have a thousand of them.
pub(super) struct Shown<'a>(pub(super) &'a Image, pub(super) &'a Places);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Shown(image, places) = self;
        let path = path(&image.id);
        let mut shown = serializer.serialize_map(None)?;
        shown.serialize_entry("id", image.id.as_str())?;
        shown.serialize_entry("name", &image.name)?;
        shown.serialize_entry("status", image.status.as_str())?;
        shown.serialize_entry("visibility", image.visibility.as_str())?;
        shown.serialize_entry("owner", &image.owner)?;
        shown.serialize_entry("size", &image.size)?;
        shown.serialize_entry("virtual_size", &image.virtual_size)?;
        shown.serialize_entry("disk_format", &image.disk_format)?;
        shown.serialize_entry("container_format", &image.container_format)?;
        shown.serialize_entry("checksum", &image.checksum)?;
        shown.serialize_entry("os_hash_algo", &image.hash.as_ref().map(|hash| &hash.algorithm))?;
        shown.serialize_entry("os_hash_value", &image.hash.as_ref().map(|hash| &hash.value))?;
        shown.serialize_entry("os_hidden", &image.hidden)?;
        shown.serialize_entry("protected", &image.protected)?;
        shown.serialize_entry("min_disk", &image.min_disk)?;
        shown.serialize_entry("min_ram", &image.min_ram)?;
        shown.serialize_entry("tags", &image.tags)?;
        shown.serialize_entry("created_at", &image.created_at.to_string())?;
        shown.serialize_entry("updated_at", &image.updated_at.to_string())?;
        shown.serialize_entry("file", &format!("{path}/file"))?;
        shown.serialize_entry("self", &path)?;
        shown.serialize_entry("schema", "/v2/schemas/image")?;
        let in_stores = !image.stores.is_empty();
        if in_stores {
            shown.serialize_entry("stores", &image.stores.join(","))?;
        }
        if let Some(locations) = &places.locations {
            let locations: Vec<Value> = locations.iter().map(places::location).collect();
            shown.serialize_entry("locations", &locations)?;
        }
        if let Some(direct_url) = &places.direct_url {
            shown.serialize_entry("direct_url", direct_url)?;
        }
        for (key, value) in properties(image) {
            shown.serialize_entry(key, value)?;
        }
        shown.end()
    }
}

/// The properties that are shown of an image: those that share no name with an attribute, and are no notes of a Glance.
pub(super) fn properties(image: &Image) -> impl Iterator<Item = (&str, &str)> {
    let in_stores = !image.stores.is_empty();
    let all = image.properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    all.filter(move |(key, _)| match *key {
        "stores" => !in_stores,
        // No property of these names is believed.
        "locations" | "direct_url" => false,
        key => !ATTRIBUTES.contains(&key) && !HIDDEN.contains(&key),
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
    fn what_is_shown_of_an_image_without_properties_are_its_attributes_each_once() {
        let text = serde_json::to_string(&Shown(&queued(), &Places::default())).unwrap();
        for attribute in ATTRIBUTES {
            assert_eq!(text.matches(&format!("\"{attribute}\":")).count(), 1, "{attribute} in {text}");
        }
        assert_eq!(image(&queued(), &Places::default()).as_object().unwrap().len(), ATTRIBUTES.len());
    }

    #[test]
    fn a_property_never_overwrites_an_attribute_and_what_hosts_do_is_not_shown() {
        let mut it = queued();
        for key in ["name", "id", "self", "colour", "os_glance_stage_host"] {
            it.properties.insert(key.to_owned(), "property".to_owned());
        }
        let shown = image(&it, &Places::default());
        assert_eq!(shown["name"], Value::Null);
        assert_eq!(shown["id"], it.id.as_str());
        assert_eq!(shown["self"], format!("/v2/images/{}", it.id));
        assert_eq!(shown["colour"], "property");
        assert_eq!(shown.get("os_glance_stage_host"), None);
    }

    #[test]
    fn what_is_unset_is_null_and_stores_appear_when_there_are_any() {
        let mut it = queued();
        let shown = image(&it, &Places::default());
        for key in
            ["name", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "disk_format"]
        {
            assert_eq!(shown.get(key), Some(&Value::Null), "{key}");
        }
        assert_eq!(shown["created_at"], "1970-01-01T00:00:00Z");
        assert_eq!(shown.get("stores"), None);
        it.stores = vec!["a".into(), "b".into()];
        it.hash = Some(MultiHash { algorithm: "sha512".into(), value: "00".into() });
        let shown = image(&it, &Places::default());
        assert_eq!((&shown["stores"], &shown["os_hash_algo"]), (&json!("a,b"), &json!("sha512")));
    }

    #[test]
    fn an_id_in_a_path_is_escaped() {
        assert_eq!(path(&ImageId::lookup("a/b?c")), "/v2/images/a%2Fb%3Fc");
    }
}
