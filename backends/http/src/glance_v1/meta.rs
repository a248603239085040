//! New images and changes, in the headers that the server takes them in.
//!
//! Pure. The server takes an empty header for an unset attribute, strips blanks around values, and reads property names
//! without regard to case and to whether there is a dash or an underscore. What would thereby become something else is
//! refused.

use image_service::{Edit, Error, Image, ImageChange, ImageId, NewImage, Properties, Result, Visibility};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::wire;

/// Whether the server is to drop the properties that are not sent.
const PURGE: HeaderName = HeaderName::from_static("x-glance-registry-purge-props");

/// Servers refuse longer lines.
const LONGEST: usize = 8000;

/// Formats of which the server takes one for the other if that is missing.
const AMAZON: [&str; 3] = ["aki", "ari", "ami"];

/// The headers that make `new` under `id`. `owner` is the owner to set, if it is for us to set one.
///
/// # Errors
/// `Invalid` for what the server would hold otherwise.
pub(super) fn creation(new: &NewImage, id: &ImageId, owner: &Edit<String>) -> Result<HeaderMap> {
    if !new.tags.is_empty() {
        return Err(unknown("tags"));
    }
    if new.hidden {
        return Err(unknown("os_hidden"));
    }
    check_formats(new.disk_format.as_deref(), new.container_format.as_deref())?;
    let mut headers = HeaderMap::new();
    put(&mut headers, "id", id.as_str())?;
    if let Some(owner) = owner {
        edit(&mut headers, "owner", owner.as_deref())?;
    }
    let optional =
        [("name", &new.name), ("disk_format", &new.disk_format), ("container_format", &new.container_format)];
    for (attribute, value) in optional {
        if let Some(value) = value {
            put(&mut headers, attribute, value)?;
        }
    }
    put(&mut headers, "is_public", is_public(new.visibility.unwrap_or(Visibility::Shared))?)?;
    put(&mut headers, "protected", flag(new.protected))?;
    put(&mut headers, "min_disk", &new.min_disk.to_string())?;
    put(&mut headers, "min_ram", &new.min_ram.to_string())?;
    put_properties(&mut headers, &new.properties)?;
    Ok(headers)
}

/// Whether `change` takes a property away that `image` has.
pub(super) fn removes(change: &ImageChange, image: &Image) -> bool {
    change.properties.iter().any(|(key, value)| value.is_none() && image.properties.contains_key(key))
}

/// The headers that make `change` in `image`, but for its status. `None` if that is nothing. `held` are the properties
/// as the server holds them, if one is to go.
///
/// # Errors
/// `Invalid` for what the server would hold otherwise, or could not keep as it is.
pub(super) fn change(
    change: &ImageChange,
    image: &Image,
    held: Option<&Properties>,
) -> Result<Option<HeaderMap>> {
    if change.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
        return Err(unknown("tags"));
    }
    if change.hidden == Some(true) {
        return Err(unknown("os_hidden"));
    }
    let mut headers = HeaderMap::new();
    if let Some(name) = &change.name {
        edit(&mut headers, "name", name.as_deref())?;
    }
    if let Some(owner) = &change.owner {
        edit(&mut headers, "owner", owner.as_deref())?;
    }
    if let Some(visibility) = change.visibility {
        put(&mut headers, "is_public", is_public(visibility)?)?;
    }
    put_formats(&mut headers, change, image)?;
    if let Some(protected) = change.protected {
        put(&mut headers, "protected", flag(protected))?;
    }
    for (attribute, size) in [("min_disk", change.min_disk), ("min_ram", change.min_ram)] {
        if let Some(size) = size {
            put(&mut headers, attribute, &size.to_string())?;
        }
    }
    change_properties(&mut headers, change, held)?;
    if headers.is_empty() && held.is_none() {
        return Ok(None);
    }
    headers.insert(PURGE, HeaderValue::from_static(if held.is_some() { "true" } else { "false" }));
    Ok(Some(headers))
}

/// The headers that take away an image's protection.
pub(super) fn unprotection() -> Result<HeaderMap> {
    let mut headers = keeping();
    put(&mut headers, "protected", flag(false))?;
    Ok(headers)
}

/// The headers of a request that changes nothing of the record, but says how much data comes, if that is known. Only
/// by that does the server notice that less came.
pub(super) fn data(size: Option<u64>) -> HeaderMap {
    let mut headers = keeping();
    if let Some(size) = size.filter(|size| *size > 0) {
        headers.insert(HeaderName::from_static("x-image-meta-size"), size.into());
    }
    headers
}

/// The headers of a request that changes nothing.
pub(super) fn keeping() -> HeaderMap {
    HeaderMap::from_iter([(PURGE, HeaderValue::from_static("false"))])
}

/// Puts the properties that must be sent: those that change and, if one is to go, all that are to stay. What no header
/// can bring back as it is held would be lost, so nothing goes then.
fn change_properties(headers: &mut HeaderMap, change: &ImageChange, held: Option<&Properties>) -> Result<()> {
    let stays = |(key, _): &(&String, &String)| !change.properties.contains_key(&wire::shown_key(key));
    let stay = held.into_iter().flatten().filter(stays);
    put_properties(headers, &stay.map(|(key, value)| (key.clone(), value.clone())).collect()).map_err(
        |error| {
            let message = format!(
                "no property can be removed while all the others cannot be sent again: {}",
                error.message()
            );
            Error::invalid(message).with_source(error)
        },
    )?;
    let set = change.properties.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    put_properties(headers, &set.collect())
}

fn put_formats(headers: &mut HeaderMap, change: &ImageChange, image: &Image) -> Result<()> {
    if change.disk_format.is_none() && change.container_format.is_none() {
        return Ok(());
    }
    let disk = change.disk_format.as_ref().unwrap_or(&image.disk_format);
    let container = change.container_format.as_ref().unwrap_or(&image.container_format);
    check_formats(disk.as_deref(), container.as_deref())?;
    let edits = [
        ("disk_format", &change.disk_format, &image.disk_format),
        ("container_format", &change.container_format, &image.container_format),
    ];
    for (attribute, edit, now) in edits {
        match edit {
            Some(Some(format)) => put(headers, attribute, format)?,
            Some(None) if now.is_some() => {
                return Err(Error::invalid(format!("{attribute}: this store cannot unset it")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_formats(disk: Option<&str>, container: Option<&str>) -> Result<()> {
    let is_amazon = |format: Option<&str>| format.is_some_and(|format| AMAZON.contains(&format));
    if (is_amazon(disk) || is_amazon(container)) && disk != container {
        return Err(Error::invalid(
            "disk_format, container_format: with aki, ari or ami both must be the same in this store",
        ));
    }
    Ok(())
}

fn is_public(visibility: Visibility) -> Result<&'static str> {
    match visibility {
        Visibility::Public => Ok(flag(true)),
        Visibility::Shared => Ok(flag(false)),
        Visibility::Private | Visibility::Community => {
            Err(Error::invalid("visibility: this store knows public and shared images alone"))
        }
    }
}

const fn flag(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn put_properties(headers: &mut HeaderMap, properties: &Properties) -> Result<()> {
    for (key, value) in properties {
        if !is_property_name(key) {
            return Err(Error::invalid(format!(
                "properties: this store cannot hold the name '{key}': it takes small letters, digits and _ . ~ + alone"
            )));
        }
        put(headers, &format!("property-{key}"), value)?;
    }
    Ok(())
}

/// Whether a name comes back as it was sent.
fn is_property_name(key: &str) -> bool {
    let is_safe =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '~' | '+');
    !key.is_empty() && key.len() <= 255 && key.chars().all(is_safe)
}

/// Sets an attribute, or unsets it.
fn edit(headers: &mut HeaderMap, attribute: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => put(headers, attribute, value),
        None => {
            headers.insert(name(attribute)?, HeaderValue::from_static(""));
            Ok(())
        }
    }
}

fn put(headers: &mut HeaderMap, attribute: &str, value: &str) -> Result<()> {
    let refused = |why: &str| Err(Error::invalid(format!("{attribute}: this store cannot hold {why}")));
    if value.is_empty() {
        return refused("an empty text");
    }
    if value.trim() != value {
        return refused("a text with blanks around it");
    }
    if value.chars().any(char::is_control) {
        return refused("a text with control characters");
    }
    if value.len() > LONGEST {
        return refused("so long a text");
    }
    let held = HeaderValue::from_bytes(value.as_bytes());
    let held = held.map_err(|source| {
        Error::invalid(format!("{attribute}: no header can hold it")).with_source(source)
    })?;
    headers.insert(name(attribute)?, held);
    Ok(())
}

/// The header of an attribute. Some servers drop headers with underscores, and all take a dash for one.
fn name(attribute: &str) -> Result<HeaderName> {
    let text = format!("x-image-meta-{}", attribute.replace('_', "-"));
    HeaderName::from_bytes(text.as_bytes()).map_err(|source| {
        Error::invalid(format!("{attribute}: no header can be called so")).with_source(source)
    })
}

fn unknown(attribute: &str) -> Error {
    Error::invalid(format!("{attribute}: this store does not know it"))
}
