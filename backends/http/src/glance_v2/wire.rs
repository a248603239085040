//! Glance's JSON, read into the contract's nouns.
//!
//! Pure. What a server must say and says wrongly is an error that names the field; what it says beyond that is
//! a property if it is text, and is passed over if not.

use std::borrow::Cow;

use image_service::{Error, Image, ImageId, Member, MultiHash, Result, Timestamp};

use super::json::{Json, Object};
use crate::fault;

/// Names that an image's own attributes have, or that Glance gives a meaning of its own. No property can have
/// one of them.
pub(super) const RESERVED: [&str; 31] = [
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
    "deleted",
    "deleted_at",
    "is_public",
    "self",
    "file",
    "schema",
    "location",
    "locations",
    "direct_url",
    "stores",
    "members",
    "properties",
];

/// One page of a list as Glance sends it.
#[derive(Debug)]
pub(super) struct ListPage {
    /// The images in its order.
    pub(super) images: Vec<Image>,
    /// Whether it says that there is a next page. Where it says that page is does not matter.
    pub(super) next: bool,
}

/// Reads the body of a list.
pub(super) fn page(body: &[u8]) -> Result<ListPage> {
    let mut object = object(body)?;
    let Json::List(images) = object.take("images") else {
        return Err(wrong("images", "a list"));
    };
    let images = images.into_iter().map(image_of).collect::<Result<_>>()?;
    let next = matches!(object.take("next"), Json::Text(next) if !next.is_empty());
    Ok(ListPage { images, next })
}

/// Reads the body of one image.
pub(super) fn image(body: &[u8]) -> Result<Image> {
    image_of(Json::Object(object(body)?))
}

/// Reads the body of a list of members.
pub(super) fn members(body: &[u8]) -> Result<Vec<Member>> {
    let Json::List(members) = object(body)?.take("members") else {
        return Err(wrong("members", "a list"));
    };
    members.into_iter().map(member_of).collect()
}

/// Reads the body of one member.
pub(super) fn member(body: &[u8]) -> Result<Member> {
    member_of(Json::Object(object(body)?))
}

fn object(body: &[u8]) -> Result<Object<'_>> {
    match serde_json::from_slice(body) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(fault::nonsense("an answer that is no JSON object")),
        Err(source) => Err(fault::nonsense("an answer that is no JSON").with_source(source)),
    }
}

fn image_of(value: Json<'_>) -> Result<Image> {
    let mut fields = Fields::of(value)?;
    let algorithm = fields.text("os_hash_algo")?;
    let hash_value = fields.text("os_hash_value")?;
    let hash = algorithm.zip(hash_value).map(|(algorithm, value)| MultiHash {
        algorithm: algorithm.to_ascii_lowercase(),
        value: value.to_ascii_lowercase(),
    });
    Ok(Image {
        id: ImageId::lookup(fields.present("id")?),
        name: fields.text("name")?,
        status: fields.word("status")?,
        visibility: fields.word("visibility")?,
        owner: fields.text("owner")?,
        size: fields.number("size")?,
        virtual_size: fields.number("virtual_size")?,
        disk_format: fields.text("disk_format")?,
        container_format: fields.text("container_format")?,
        checksum: fields.text("checksum")?.map(|checksum| checksum.to_ascii_lowercase()),
        hash,
        hidden: fields.flag("os_hidden")?,
        protected: fields.flag("protected")?,
        min_disk: fields.small("min_disk")?,
        min_ram: fields.small("min_ram")?,
        tags: fields.texts("tags")?.into_iter().collect(),
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
        properties: fields.rest(),
        stores: Vec::new(),
    })
}

fn member_of(value: Json<'_>) -> Result<Member> {
    let mut fields = Fields::of(value)?;
    Ok(Member {
        image_id: ImageId::lookup(fields.present("image_id")?),
        member_id: fields.present("member_id")?,
        status: fields.word("status")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
    })
}

fn wrong(field: &str, expected: &str) -> Error {
    fault::nonsense(format_args!("its '{field}' is not {expected}"))
}

/// The fields of an object that have not been read yet.
struct Fields<'a>(Object<'a>);

impl<'a> Fields<'a> {
    fn of(value: Json<'a>) -> Result<Self> {
        match value {
            Json::Object(fields) => Ok(Self(fields)),
            _ => Err(fault::nonsense("an element of its list is no JSON object")),
        }
    }

    fn borrowed(&mut self, field: &str) -> Result<Option<Cow<'a, str>>> {
        match self.0.take(field) {
            Json::Null => Ok(None),
            Json::Text(text) => Ok(Some(text)),
            _ => Err(wrong(field, "text")),
        }
    }

    fn text(&mut self, field: &str) -> Result<Option<String>> {
        Ok(self.borrowed(field)?.map(Cow::into_owned))
    }

    fn present(&mut self, field: &str) -> Result<String> {
        self.text(field)?.ok_or_else(|| wrong(field, "there"))
    }

    fn word<T: std::str::FromStr<Err = Error>>(&mut self, field: &str) -> Result<T> {
        let unknown = |source| wrong(field, "a word that is known").with_source(source);
        self.borrowed(field)?.ok_or_else(|| wrong(field, "there"))?.parse().map_err(unknown)
    }

    fn number(&mut self, field: &str) -> Result<Option<u64>> {
        match self.0.take(field) {
            Json::Null => Ok(None),
            Json::Natural(number) => Ok(Some(number)),
            _ => Err(wrong(field, "a natural number")),
        }
    }

    fn small(&mut self, field: &str) -> Result<u32> {
        let number = self.number(field)?.unwrap_or(0);
        u32::try_from(number).map_err(|source| wrong(field, "a small number").with_source(source))
    }

    fn flag(&mut self, field: &str) -> Result<bool> {
        match self.0.take(field) {
            Json::Null => Ok(false),
            Json::Flag(flag) => Ok(flag),
            _ => Err(wrong(field, "true or false")),
        }
    }

    fn texts(&mut self, field: &str) -> Result<Vec<String>> {
        let texts = match self.0.take(field) {
            Json::Null => Vec::new(),
            Json::List(texts) => texts,
            _ => return Err(wrong(field, "a list")),
        };
        let text = |text| match text {
            Json::Text(text) => Ok(text.into_owned()),
            _ => Err(wrong(field, "a list of texts")),
        };
        texts.into_iter().map(text).collect()
    }

    fn time(&mut self, field: &str) -> Result<Timestamp> {
        let invalid = |source| wrong(field, "a time").with_source(source);
        self.borrowed(field)?.ok_or_else(|| wrong(field, "there"))?.parse().map_err(invalid)
    }

    /// What nobody has taken and is text.
    fn rest(self) -> image_service::Properties {
        let text = |(key, value): (Cow<'_, str>, _)| match value {
            Json::Text(value) if !RESERVED.contains(&key.as_ref()) => {
                Some((key.into_owned(), value.into_owned()))
            }
            _ => None,
        };
        self.0.into_rest().filter_map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{ErrorKind, Status, Visibility};
    use serde_json::{Value, json};

    fn least() -> Value {
        json!({
            "id": "i", "status": "active", "visibility": "public",
            "created_at": "2026-11-23T12:00:00Z", "updated_at": "2026-11-23T12:00:00.123456",
        })
    }

    fn read(value: &Value) -> Result<Image> {
        image(value.to_string().as_bytes())
    }

    #[test]
    fn the_least_that_a_server_can_say_of_an_image_is_an_image() {
        let image = read(&least()).unwrap();
        assert_eq!(image.id, ImageId::lookup("i"));
        assert_eq!((image.status, image.visibility), (Status::Active, Visibility::Public));
        assert_eq!(image.updated_at, image.created_at);
        assert_eq!((image.size, image.hidden, image.min_disk), (None, false, 0));
    }

    #[test]
    fn unknown_texts_are_properties_and_what_glance_means_itself_is_not() {
        let mut value = least();
        for (key, text) in [
            ("os_distro", "debian"),
            ("os_glance_failed_import", ""),
            ("self", "/x"),
            ("stores", "a,b"),
            ("direct_url", "file:///x"),
            ("file", "/x"),
            ("schema", "/x"),
        ] {
            value[key] = json!(text);
        }
        value["locations"] = json!([{"url": "file:///x"}]);
        value["kernel_id"] = Value::Null;
        value["os_require_quiesce"] = json!(true);
        let image = read(&value).unwrap();
        let keys: Vec<&str> = image.properties.keys().map(String::as_str).collect();
        assert_eq!(keys, ["os_distro", "os_glance_failed_import"]);
        assert!(image.stores.is_empty());
    }

    #[test]
    fn a_field_of_the_wrong_type_is_an_error_that_names_it() {
        for (field, value) in [
            ("id", json!(7)),
            ("id", Value::Null),
            ("status", json!("asleep")),
            ("visibility", Value::Null),
            ("size", json!("12")),
            ("size", json!(-1)),
            ("min_disk", json!(1.5)),
            ("protected", json!("true")),
            ("tags", json!("a")),
            ("tags", json!([1])),
            ("created_at", json!("yesterday")),
            ("name", json!({})),
        ] {
            let mut image = least();
            image[field] = value.clone();
            let error = read(&image).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{field} {value}");
            assert!(error.message().contains(&format!("'{field}'")), "{field} {value}: {error}");
        }
    }

    #[test]
    fn what_is_no_list_of_images_is_an_error() {
        for body in ["", "[]", "{}", r#"{"images": {}}"#, r#"{"images": [1]}"#, "<html>"] {
            assert_eq!(page(body.as_bytes()).unwrap_err().kind(), ErrorKind::Internal, "{body}");
        }
    }

    #[test]
    fn a_next_of_any_kind_is_a_sign_of_more_and_a_missing_one_is_none() {
        for (next, expected) in [
            (json!("/v2/images?marker=x"), true),
            (json!("http://elsewhere/"), true),
            (json!(""), false),
            (Value::Null, false),
        ] {
            let body = json!({"images": [least()], "next": next}).to_string();
            assert_eq!(page(body.as_bytes()).unwrap().next, expected, "{next}");
        }
    }
}
