//! The JSON schemas of images, members and tasks.
//!
//! Clients do not only read these: glanceclient validates every image against them before it shows or sends it. So
//! they are as wide as what can come from any store, and no pattern is put on properties that somebody else wrote.

use axum::response::Response;
use http::StatusCode;
use image_service::{MemberStatus, Status, Visibility};
use serde_json::{Map, Value, json};

use super::exchange::Call;
use super::fault::Fault;
use super::{Settings, answer, attribute};
use crate::imports::{Kind, TaskStatus};

const UUID: &str = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";

/// The properties that OpenStack's services know, which are not base attributes.
const KNOWN_PROPERTIES: [(&str, &str); 9] = [
    ("kernel_id", "ID of the image that holds the kernel to boot an AMI-style image with."),
    ("ramdisk_id", "ID of the image that holds the ramdisk to boot an AMI-style image with."),
    ("instance_uuid", "ID of the instance that this image was made from."),
    ("architecture", "Architecture that the operating system in the image runs on."),
    ("os_distro", "Common name of the operating system's distribution, in lower case."),
    ("os_version", "Version of the operating system, as its distributor writes it."),
    ("description", "What a person should know about the image."),
    ("cinder_encryption_key_id", "Key that the data of this image of a volume is encrypted with."),
    ("cinder_encryption_key_deletion_policy", "What to do with that key when the image is deleted."),
];

/// Answers with a schema.
pub(super) fn show(call: &Call, name: &str) -> Result<Response, Fault> {
    let settings = &call.front.settings;
    let schema = match name {
        "image" => image(settings),
        "images" => collection("images", image(settings), &["first", "next"]),
        "member" => member(),
        "members" => collection("members", member(), &[]),
        "task" => task(Detail::All),
        "tasks" => collection("tasks", task(Detail::Some), &["first", "next"]),
        _ => return Err(Fault::not_found("there is no schema of this name")),
    };
    Ok(answer::json(StatusCode::OK, &schema))
}

fn image(settings: &Settings) -> Value {
    let mut properties = written_by_clients(settings);
    properties.extend(written_by_the_service());
    for (name, description) in KNOWN_PROPERTIES {
        let property = json!({"type": "string", "is_base": false, "description": description});
        properties.insert(name.to_owned(), property);
    }
    json!({
        "name": "image",
        "properties": properties,
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}

fn written_by_clients(settings: &Settings) -> Map<String, Value> {
    let longest = attribute::LONGEST;
    let visibilities: Vec<&str> = Visibility::ALL.iter().map(|visibility| visibility.as_str()).collect();
    let tag = json!({"type": "string", "maxLength": longest});
    object(json!({
        "id": {"type": "string", "pattern": UUID, "description": "Names the image for ever."},
        "name": text(longest, "What people call the image."),
        "owner": text(longest, "Project that the image belongs to."),
        "visibility": {"type": "string", "enum": visibilities, "description": "Who may see the image."},
        "protected": {"type": "boolean", "description": "Whether the image cannot be deleted."},
        "os_hidden": {"type": "boolean", "description": "Whether usual lists leave the image out."},
        "disk_format": format(&settings.disk_formats, "Format of the disk."),
        "container_format": format(&settings.container_formats, "Format of what the disk is wrapped in."),
        "min_disk": {"type": "integer", "description": "GiB of disk that an instance needs."},
        "min_ram": {"type": "integer", "description": "MiB of memory that an instance needs."},
        "tags": {"type": "array", "items": tag, "description": "Words to find the image by."},
        "locations": {"type": "array", "items": location(), "description": "Where the data lies."},
    }))
}

fn location() -> Value {
    json!({
        "type": "object",
        "properties": {
            "url": {"type": "string"},
            "metadata": {"type": "object"},
            "validation_data": {
                "type": "object",
                "writeOnly": true,
                "additionalProperties": false,
                "properties": {
                    "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                    "os_hash_algo": {"type": "string", "maxLength": 64},
                    "os_hash_value": {"type": "string", "maxLength": 128},
                },
                "required": ["os_hash_algo", "os_hash_value"],
            },
        },
        "required": ["url", "metadata"],
    })
}

fn written_by_the_service() -> Map<String, Value> {
    let statuses: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let mut properties = object(json!({
        "status": {"type": "string", "enum": statuses, "description": "Where the image is in its life."},
        "size": {"type": ["null", "integer"], "description": "Bytes of data."},
        "virtual_size": {"type": ["null", "integer"], "description": "Bytes that a guest sees."},
        "checksum": text(32, "MD5 of the data."),
        "os_hash_algo": text(64, "Algorithm of the strong hash."),
        "os_hash_value": text(128, "Strong hash of the data, in hex."),
        "created_at": {"type": "string", "description": "When the image was made."},
        "updated_at": {"type": "string", "description": "When the image last changed."},
        "stores": {"type": "string", "description": "Stores that hold the data, separated by commas."},
        "direct_url": {"type": "string", "description": "URL of the data."},
        "self": {"type": "string", "description": "Path of the image."},
        "file": {"type": "string", "description": "Path of the data."},
        "schema": {"type": "string", "description": "Path of this schema."},
    }));
    for property in properties.values_mut() {
        property["readOnly"] = true.into();
    }
    properties
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn format(known: &[String], description: &str) -> Value {
    let known: Vec<Option<&str>> =
        std::iter::once(None).chain(known.iter().map(|word| Some(word.as_str()))).collect();
    json!({"type": ["null", "string"], "enum": known, "description": description})
}

fn text(longest: usize, description: &str) -> Value {
    json!({"type": ["null", "string"], "maxLength": longest, "description": description})
}

fn member() -> Value {
    let statuses: Vec<&str> = MemberStatus::ALL.iter().map(|status| status.as_str()).collect();
    json!({
        "name": "member",
        "properties": {
            "image_id": {"type": "string", "pattern": UUID, "description": "The image."},
            "member_id": {"type": "string", "description": "The project."},
            "status": {"type": "string", "enum": statuses, "description": "What the project says to it."},
            "created_at": {"type": "string", "description": "When it became a member."},
            "updated_at": {"type": "string", "description": "When its status last changed."},
            "schema": {"type": "string", "readOnly": true, "description": "Path of this schema."},
        },
    })
}

/// How much is told of a task: in a list less.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    All,
    Some,
}

fn task(detail: Detail) -> Value {
    let statuses = TaskStatus::ALL.map(TaskStatus::as_str);
    let kinds = [Kind::Import, Kind::ApiImageImport, Kind::LocationImport].map(Kind::as_str);
    let mut properties = object(json!({
        "id": {"type": "string", "pattern": UUID, "description": "Names the task."},
        "type": {"type": "string", "enum": kinds, "description": "What kind of task it is."},
        "status": {"type": "string", "enum": statuses, "description": "Where the task is in its life."},
        "owner": {"type": ["null", "string"], "description": "Project on whose behalf it is."},
        "image_id": {"type": "string", "description": "Image that it is at work on."},
        "request_id": {"type": "string", "description": "Request that began it."},
        "user_id": {"type": "string", "description": "User on whose behalf it is."},
        "expires_at": {"type": ["null", "string"], "description": "When it is forgotten."},
        "created_at": {"type": "string", "description": "When it was made."},
        "updated_at": {"type": "string", "description": "When it last changed."},
        "self": {"type": "string", "readOnly": true, "description": "Path of the task."},
        "schema": {"type": "string", "readOnly": true, "description": "Path of this schema."},
    }));
    if detail == Detail::All {
        properties.extend(object(json!({
            "input": {"type": ["null", "object"], "description": "What was asked for."},
            "result": {"type": ["null", "object"], "description": "What has come of it."},
            "message": {"type": "string", "description": "How far it is, or why it failed."},
        })));
    }
    json!({"name": "task", "properties": properties})
}

/// A list of `items` under `name`, with paths to other pages.
fn collection(name: &str, items: Value, pages: &[&str]) -> Value {
    let mut properties = Map::new();
    let mut links = Vec::new();
    for page in pages {
        properties.insert((*page).to_owned(), json!({"type": "string"}));
        links.push(json!({"rel": page, "href": format!("{{{page}}}")}));
    }
    properties.insert("schema".to_owned(), json!({"type": "string"}));
    properties.insert(name.to_owned(), json!({"type": "array", "items": items}));
    links.push(json!({"rel": "describedby", "href": "{schema}"}));
    json!({"name": name, "properties": properties, "links": links})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::places::Places;
    use crate::api::wire;
    use image_service::{Caller, NewImage, Timestamp};

    #[test]
    fn every_attribute_of_an_image_is_in_its_schema() {
        let mut it = NewImage::default().into_image(&Caller::member_of("a"), Timestamp::now()).unwrap();
        it.stores = vec!["a".into()];
        let schema = image(&Settings::default());
        let places = Places { locations: Some(Vec::new()), direct_url: Some("http://x".into()) };
        for (key, value) in wire::image(&it, &places).as_object().unwrap() {
            let property = &schema["properties"][key];
            assert!(property.is_object(), "{key} is not in the schema");
            assert_eq!(property.get("is_base"), None, "{key}");
            let nullable = property["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
            assert!(!value.is_null() || nullable, "{key} may be null");
        }
    }

    #[test]
    fn known_properties_are_told_from_attributes() {
        let schema = image(&Settings::default());
        for (name, _) in KNOWN_PROPERTIES {
            assert_eq!(schema["properties"][name]["is_base"], false, "{name}");
        }
        assert_eq!(schema["properties"]["disk_format"]["enum"][0], Value::Null);
        assert!(schema["properties"]["disk_format"]["enum"].as_array().unwrap().contains(&json!("qcow2")));
    }
}
