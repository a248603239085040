//! New images and changes, in the words that Glance takes them in.
//!
//! Pure. Glance keeps properties beside its own attributes under one roof, so a property of a reserved name
//! cannot be sent: it would change the attribute.

use image_service::{Edit, Error, Image, ImageChange, ImageId, NewImage, Result};
use serde_json::{Map, Value, json};

use super::wire::RESERVED;

/// The media type of a change.
pub(super) const MEDIA_TYPE: &str = "application/openstack-images-v2.1-json-patch";

/// The body that makes `new` under `id`. `owner` is the owner to set, if it is for us to set one.
pub(super) fn creation(new: &NewImage, id: &ImageId, owner: Edit<String>) -> Result<Vec<u8>> {
    let mut body = Map::new();
    for (key, value) in &new.properties {
        check_property(key)?;
        body.insert(key.clone(), json!(value));
    }
    body.insert("id".to_owned(), json!(id.as_str()));
    if let Some(owner) = owner {
        body.insert("owner".to_owned(), json!(owner));
    }
    let optional =
        [("name", &new.name), ("disk_format", &new.disk_format), ("container_format", &new.container_format)];
    for (key, value) in optional {
        if let Some(value) = value {
            body.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(visibility) = new.visibility {
        body.insert("visibility".to_owned(), json!(visibility.as_str()));
    }
    // Services of before 2018 do not know this attribute, and take it for a property that is no text.
    if new.hidden {
        body.insert("os_hidden".to_owned(), json!(true));
    }
    body.insert("protected".to_owned(), json!(new.protected));
    body.insert("min_disk".to_owned(), json!(new.min_disk));
    body.insert("min_ram".to_owned(), json!(new.min_ram));
    body.insert("tags".to_owned(), json!(new.tags));
    Ok(Value::Object(body).to_string().into_bytes())
}

/// The body that makes `change` in `image`, but for its status. `None` if that is nothing.
pub(super) fn change(change: &ImageChange, image: &Image) -> Result<Option<Vec<u8>>> {
    let mut ops = Vec::new();
    let mut replace = |attribute: &str, value: Option<Value>| {
        ops.extend(
            value.map(|value| json!({"op": "replace", "path": format!("/{attribute}"), "value": value})),
        );
    };
    replace("name", change.name.as_ref().map(|name| json!(name)));
    replace("visibility", change.visibility.map(|visibility| json!(visibility.as_str())));
    replace("owner", change.owner.as_ref().map(|owner| json!(owner)));
    replace("disk_format", change.disk_format.as_ref().map(|format| json!(format)));
    replace("container_format", change.container_format.as_ref().map(|format| json!(format)));
    replace("os_hidden", change.hidden.map(|hidden| json!(hidden)));
    replace("protected", change.protected.map(|protected| json!(protected)));
    replace("min_disk", change.min_disk.map(|size| json!(size)));
    replace("min_ram", change.min_ram.map(|size| json!(size)));
    replace("tags", change.tags.as_ref().map(|tags| json!(tags)));
    for (key, value) in &change.properties {
        match value {
            Some(value) => {
                check_property(key)?;
                if key.is_empty() {
                    return Err(Error::invalid(
                        "a property without a name can only be set when the image is made",
                    ));
                }
                // In this version of the media type, adding what is there replaces it.
                ops.push(json!({"op": "add", "path": pointer(key), "value": value}));
            }
            // Glance refuses to remove what is not there; here that is no error.
            None if image.properties.contains_key(key) => {
                check_property(key)?;
                ops.push(json!({"op": "remove", "path": pointer(key)}));
            }
            None => {}
        }
    }
    Ok((!ops.is_empty()).then(|| Value::Array(ops).to_string().into_bytes()))
}

/// The body that takes away an image's protection.
pub(super) fn unprotection() -> Vec<u8> {
    json!([{"op": "replace", "path": "/protected", "value": false}]).to_string().into_bytes()
}

fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn check_property(key: &str) -> Result<()> {
    if RESERVED.contains(&key) || key.starts_with("os_glance_") {
        return Err(Error::invalid(format!("properties: '{key}' is reserved in this store")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{Caller, ErrorKind, Timestamp, Visibility};
    use std::collections::BTreeMap;

    fn image() -> Image {
        let new =
            NewImage { properties: [("a/b~".to_owned(), "1".to_owned())].into(), ..NewImage::default() };
        new.into_image(&Caller::administrator(), Timestamp::now()).unwrap()
    }

    fn ops(change: &ImageChange) -> Value {
        serde_json::from_slice(&super::change(change, &image()).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn attributes_are_replaced_and_an_unset_name_is_null() {
        let change = ImageChange {
            name: Some(None),
            visibility: Some(Visibility::Public),
            hidden: Some(false),
            ..ImageChange::default()
        };
        assert_eq!(
            ops(&change),
            json!([
                {"op": "replace", "path": "/name", "value": null},
                {"op": "replace", "path": "/visibility", "value": "public"},
                {"op": "replace", "path": "/os_hidden", "value": false},
            ])
        );
    }

    #[test]
    fn properties_are_added_or_removed_and_only_what_is_there_is_removed() {
        let properties = BTreeMap::from([
            ("a/b~".to_owned(), None),
            ("gone".to_owned(), None),
            ("new".to_owned(), Some("v".to_owned())),
        ]);
        assert_eq!(
            ops(&ImageChange { properties, ..ImageChange::default() }),
            json!([
                {"op": "remove", "path": "/a~1b~0"},
                {"op": "add", "path": "/new", "value": "v"},
            ])
        );
    }

    #[test]
    fn a_change_of_nothing_is_nothing_to_send() {
        let properties = BTreeMap::from([("gone".to_owned(), None), ("name".to_owned(), None)]);
        let nothing = ImageChange { properties, ..ImageChange::default() };
        assert_eq!(change(&nothing, &image()).unwrap(), None);
    }

    #[test]
    fn a_property_never_becomes_an_attribute() {
        for key in ["name", "owner", "stores", "os_glance_import_task"] {
            let new =
                NewImage { properties: [(key.to_owned(), "v".to_owned())].into(), ..NewImage::default() };
            let id = ImageId::random();
            assert_eq!(creation(&new, &id, None).unwrap_err().kind(), ErrorKind::Invalid, "{key}");
            let properties = BTreeMap::from([(key.to_owned(), Some("v".to_owned()))]);
            let edit = ImageChange { properties, ..ImageChange::default() };
            assert_eq!(change(&edit, &image()).unwrap_err().kind(), ErrorKind::Invalid, "{key}");
        }
    }

    #[test]
    fn an_owner_is_sent_only_if_it_is_for_us_to_set() {
        let body = |owner| -> Value {
            serde_json::from_slice(&creation(&NewImage::default(), &ImageId::random(), owner).unwrap())
                .unwrap()
        };
        assert_eq!(body(None).get("owner"), None);
        assert_eq!(body(Some(None)).get("owner"), Some(&Value::Null));
        assert_eq!(body(Some(Some("p".into()))).get("owner"), Some(&json!("p")));
    }
}
