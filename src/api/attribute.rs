//! One attribute of an image as a client writes it: a JSON key and value become an [`Assignment`], or a fault that
//! names the key. Pure.

use std::collections::BTreeSet;

use image_service::{ImageChange, ImageId, NewImage, Visibility};
use serde_json::Value;

use super::Settings;
use super::fault::Fault;

/// A value given to an attribute or a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Assignment {
    Id(ImageId),
    Name(Option<String>),
    Visibility(Visibility),
    Owner(Option<String>),
    DiskFormat(Option<String>),
    ContainerFormat(Option<String>),
    Hidden(bool),
    Protected(bool),
    MinDisk(u32),
    MinRam(u32),
    Tags(BTreeSet<String>),
    Property(String, String),
}

/// What a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An attribute that clients write.
    Attribute,
    /// An attribute that only the service writes.
    ReadOnly,
    /// A name that no property may take.
    Reserved,
    /// The places of an image's data, which are not shown.
    Locations,
    /// A custom property.
    Property,
}

/// Most characters in a name, an owner, a tag or the key of a property.
pub(super) const LONGEST: usize = 255;

const LARGEST: u64 = i32::MAX as u64;

/// Tells what a key names.
pub(super) fn kind(key: &str) -> Kind {
    match key {
        "id" | "name" | "visibility" | "owner" | "disk_format" | "container_format" | "os_hidden"
        | "protected" | "min_disk" | "min_ram" | "tags" => Kind::Attribute,
        "status" | "size" | "virtual_size" | "checksum" | "os_hash_algo" | "os_hash_value" | "created_at"
        | "updated_at" | "self" | "file" | "schema" | "direct_url" | "stores" => Kind::ReadOnly,
        "location" | "deleted" | "deleted_at" => Kind::Reserved,
        "locations" => Kind::Locations,
        _ if key.starts_with("os_glance") => Kind::Reserved,
        _ => Kind::Property,
    }
}

/// Lets through a key that a client may write.
pub(super) fn check_writable(key: &str) -> Result<(), Fault> {
    match kind(key) {
        Kind::Attribute | Kind::Property if key.chars().count() <= LONGEST => Ok(()),
        Kind::Attribute | Kind::Property => {
            let start: String = key.chars().take(32).collect();
            Err(Fault::bad_request(format!("{start}…: the name is longer than {LONGEST} characters")))
        }
        Kind::ReadOnly => Err(Fault::forbidden(format!("attribute '{key}' is read-only"))),
        Kind::Reserved => Err(Fault::forbidden(format!("attribute '{key}' is reserved"))),
        Kind::Locations => {
            Err(Fault::forbidden("it's not allowed to write locations if locations are invisible"))
        }
    }
}

/// Reads `value` as one for `key`.
pub(super) fn assignment(key: &str, value: &Value, settings: &Settings) -> Result<Assignment, Fault> {
    check_writable(key)?;
    Ok(match key {
        "id" => match value.as_str() {
            Some(id) => Assignment::Id(ImageId::for_new_image(id)?),
            None => return Err(wrong(key, "must be a UUID")),
        },
        "name" => Assignment::Name(text_or_null(key, value)?),
        "owner" => Assignment::Owner(text_or_null(key, value)?),
        "visibility" => match value.as_str() {
            Some(visibility) => Assignment::Visibility(visibility.parse()?),
            None => return Err(wrong(key, "must be a string")),
        },
        "disk_format" => Assignment::DiskFormat(format(key, value, &settings.disk_formats)?),
        "container_format" => Assignment::ContainerFormat(format(key, value, &settings.container_formats)?),
        "os_hidden" => Assignment::Hidden(flag(key, value)?),
        "protected" => Assignment::Protected(flag(key, value)?),
        "min_disk" => Assignment::MinDisk(number(key, value)?),
        "min_ram" => Assignment::MinRam(number(key, value)?),
        "tags" => Assignment::Tags(tags(key, value)?),
        _ => match value.as_str() {
            Some(value) => Assignment::Property(key.to_owned(), value.to_owned()),
            None => return Err(wrong(key, "must be a string")),
        },
    })
}

/// Checks the length of a tag.
pub(super) fn check_tag(tag: &str) -> Result<(), Fault> {
    if tag.chars().count() > LONGEST {
        return Err(wrong("tags", &format!("a tag is longer than {LONGEST} characters")));
    }
    Ok(())
}

fn wrong(key: &str, what: &str) -> Fault {
    Fault::bad_request(format!("{key}: {what}"))
}

fn text_or_null(key: &str, value: &Value) -> Result<Option<String>, Fault> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() <= LONGEST => Ok(Some(text.clone())),
        Value::String(_) => Err(wrong(key, &format!("must have at most {LONGEST} characters"))),
        _ => Err(wrong(key, "must be a string or null")),
    }
}

fn format(key: &str, value: &Value, known: &[String]) -> Result<Option<String>, Fault> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if known.contains(text) => Ok(Some(text.clone())),
        _ => Err(wrong(key, &format!("must be null or one of {}", known.join(", ")))),
    }
}

fn flag(key: &str, value: &Value) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| wrong(key, "must be true or false"))
}

fn number(key: &str, value: &Value) -> Result<u32, Fault> {
    value
        .as_u64()
        .filter(|number| *number <= LARGEST)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| wrong(key, &format!("must be an integer from 0 to {LARGEST}")))
}

fn tags(key: &str, value: &Value) -> Result<BTreeSet<String>, Fault> {
    let Value::Array(items) = value else { return Err(wrong(key, "must be an array of strings")) };
    let mut tags = BTreeSet::new();
    for item in items {
        let Value::String(tag) = item else { return Err(wrong(key, "must be an array of strings")) };
        check_tag(tag)?;
        tags.insert(tag.clone());
    }
    Ok(tags)
}

impl Assignment {
    /// The key of what is assigned.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Id(_) => "id",
            Self::Name(_) => "name",
            Self::Visibility(_) => "visibility",
            Self::Owner(_) => "owner",
            Self::DiskFormat(_) => "disk_format",
            Self::ContainerFormat(_) => "container_format",
            Self::Hidden(_) => "os_hidden",
            Self::Protected(_) => "protected",
            Self::MinDisk(_) => "min_disk",
            Self::MinRam(_) => "min_ram",
            Self::Tags(_) => "tags",
            Self::Property(key, _) => key,
        }
    }

    /// Makes it in a new image.
    pub(super) fn describe(self, image: &mut NewImage) {
        match self {
            Self::Id(id) => image.id = Some(id),
            Self::Name(name) => image.name = name,
            Self::Visibility(visibility) => image.visibility = Some(visibility),
            Self::Owner(owner) => image.owner = Some(owner),
            Self::DiskFormat(format) => image.disk_format = format,
            Self::ContainerFormat(format) => image.container_format = format,
            Self::Hidden(hidden) => image.hidden = hidden,
            Self::Protected(protected) => image.protected = protected,
            Self::MinDisk(gibibytes) => image.min_disk = gibibytes,
            Self::MinRam(mebibytes) => image.min_ram = mebibytes,
            Self::Tags(tags) => image.tags = tags,
            Self::Property(key, value) => drop(image.properties.insert(key, value)),
        }
    }

    /// Makes it part of a change.
    ///
    /// # Errors
    /// 403 for the id.
    pub(super) fn change(self, change: &mut ImageChange) -> Result<(), Fault> {
        match self {
            Self::Id(_) => return Err(Fault::forbidden("attribute 'id' is read-only")),
            Self::Name(name) => change.name = Some(name),
            Self::Visibility(visibility) => change.visibility = Some(visibility),
            Self::Owner(owner) => change.owner = Some(owner),
            Self::DiskFormat(format) => change.disk_format = Some(format),
            Self::ContainerFormat(format) => change.container_format = Some(format),
            Self::Hidden(hidden) => change.hidden = Some(hidden),
            Self::Protected(protected) => change.protected = Some(protected),
            Self::MinDisk(gibibytes) => change.min_disk = Some(gibibytes),
            Self::MinRam(mebibytes) => change.min_ram = Some(mebibytes),
            Self::Tags(tags) => change.tags = Some(tags),
            Self::Property(key, value) => drop(change.properties.insert(key, Some(value))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(key: &str, value: &Value) -> u16 {
        match assignment(key, value, &Settings::default()) {
            Ok(_) => 200,
            Err(fault) => {
                let named = fault.message().contains(&key.chars().take(32).collect::<String>());
                assert!(named, "{key} is not named in {}", fault.message());
                fault.status().as_u16()
            }
        }
    }

    #[test]
    fn each_attribute_takes_what_it_is_and_nothing_else() {
        let long = "é".repeat(256);
        let fits = "é".repeat(255);
        for (key, good, bad) in [
            ("id", json!("B2173DD3-7AD6-4362-BAA6-A68BCE3565CB"), json!("x")),
            ("id", json!("b2173dd3-7ad6-4362-baa6-a68bce3565cb"), json!(null)),
            ("name", json!(fits), json!(long)),
            ("name", json!(null), json!(1)),
            ("owner", json!(null), json!(long)),
            ("visibility", json!("community"), json!("secret")),
            ("visibility", json!("public"), json!(null)),
            ("disk_format", json!("qcow2"), json!("floppy")),
            ("disk_format", json!(null), json!(1)),
            ("container_format", json!("bare"), json!("raw")),
            ("os_hidden", json!(true), json!("true")),
            ("protected", json!(false), json!(0)),
            ("min_disk", json!(2_147_483_647), json!(2_147_483_648_u64)),
            ("min_ram", json!(0), json!(-1)),
            ("min_ram", json!(1), json!("1")),
            ("min_ram", json!(1), json!(1.5)),
            ("tags", json!([fits, fits]), json!([long])),
            ("tags", json!([]), json!("a")),
            ("tags", json!(["a"]), json!([1])),
            ("anything", json!(""), json!(null)),
            ("", json!("the empty key"), json!(["a"])),
        ] {
            assert_eq!(status(key, &good), 200, "{key} {good}");
            assert_eq!(status(key, &bad), 400, "{key} {bad}");
        }
        assert_eq!(status(&long, &json!("")), 400);
    }

    #[test]
    fn what_only_the_service_writes_is_forbidden() {
        for key in [
            "status",
            "size",
            "virtual_size",
            "checksum",
            "os_hash_algo",
            "os_hash_value",
            "created_at",
            "updated_at",
            "self",
            "file",
            "schema",
            "direct_url",
            "stores",
            "location",
            "deleted",
            "deleted_at",
            "os_glance_anything",
            "locations",
        ] {
            assert_eq!(status(key, &json!("x")), 403, "{key}");
        }
    }
}
