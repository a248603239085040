//! What a client says of an image, in the headers of a request. Pure.
//!
//! Dashes and underscores are the same in these headers' names, capitals and small letters too, and an empty value is
//! none.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use image_service::{Edit, MOST_PER_IMAGE, Timestamp};

use super::super::attribute::{self, Kind, LONGEST};
use super::super::fault::Fault;
use super::super::{Settings, imports};

const ATTRIBUTES: &str = "x-image-meta-";
const PROPERTIES: &str = "property-";
const COPY_FROM: HeaderName = HeaderName::from_static("x-glance-api-copy-from");

/// Formats that disk and container can only have together.
const AMAZON: [&str; 3] = ["aki", "ari", "ami"];

/// Hex digits of a checksum.
const CHECKSUM: usize = 32;

/// The first year that a time may be of.
const FIRST_YEAR: &str = "1900-01-01";

/// Where data is to come from, if not in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// From a URL, where it stays.
    Location(String),
    /// From a URL, once.
    Copy(String),
}

/// What is said. What is left out is `None`, and what is said to be nothing `Some(None)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) id: Edit<String>,
    pub(super) name: Edit<String>,
    pub(super) status: Edit<String>,
    pub(super) owner: Edit<String>,
    pub(super) is_public: Option<bool>,
    pub(super) protected: Option<bool>,
    pub(super) disk_format: Option<String>,
    pub(super) container_format: Option<String>,
    pub(super) min_disk: Option<u32>,
    pub(super) min_ram: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) checksum: Option<String>,
    pub(super) store: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) properties: BTreeMap<String, Option<String>>,
}

impl Said {
    /// Reads the headers of a request.
    ///
    /// # Errors
    /// 400 for a header that nobody knows, and a value that cannot be that of its header; 403 for a property that clients
    /// may not write; 413 for too many of them.
    pub(super) fn read(headers: &HeaderMap, settings: &Settings) -> Result<Self, Fault> {
        let mut said = Self::default();
        for (name, value) in headers {
            let Some(field) = name.as_str().strip_prefix(ATTRIBUTES) else { continue };
            let value = text(name, value)?;
            match field.strip_prefix(PROPERTIES) {
                Some(key) => said.note(key.replace('-', "_"), value)?,
                None => said.set(name, &field.replace('-', "_"), value, settings)?,
            }
        }
        if let Some(url) = headers.get(COPY_FROM) {
            let url = source(text(&COPY_FROM, url)?)?;
            if said.source.is_some() {
                return Err(several_sources());
            }
            said.source = Some(Source::Copy(url));
        }
        let formats = pair(said.disk_format.take(), said.container_format.take())?;
        (said.disk_format, said.container_format) = formats;
        check_count(said.properties.len())?;
        Ok(said)
    }

    fn note(&mut self, key: String, value: Option<String>) -> Result<(), Fault> {
        if key.chars().count() > LONGEST {
            return Err(Fault::bad_request(format!("a property's name is longer than {LONGEST} characters")));
        }
        if attribute::kind(&key) != Kind::Property {
            return Err(Fault::forbidden(format!("Property '{key}' is protected")));
        }
        self.properties.insert(key, value);
        Ok(())
    }

    fn set(
        &mut self,
        header: &HeaderName,
        field: &str,
        value: Option<String>,
        settings: &Settings,
    ) -> Result<(), Fault> {
        match field {
            "id" => self.id = Some(value),
            "name" => self.name = Some(short("Image name", value)?),
            "status" => self.status = Some(value),
            "owner" => self.owner = Some(short("Owner", value)?),
            "store" => self.store = value,
            "is_public" => self.is_public = Some(flag(value.as_deref())),
            "protected" => self.protected = Some(flag(value.as_deref())),
            "disk_format" => {
                self.disk_format = Some(known("disk format", value, &settings.disk_formats)?);
            }
            "container_format" => {
                self.container_format = Some(known("container format", value, &settings.container_formats)?);
            }
            "min_disk" => self.min_disk = Some(small(field, value)?),
            "min_ram" => self.min_ram = Some(small(field, value)?),
            "size" => self.size = Some(number(field, value)?),
            "virtual_size" if value.as_deref() == Some("None") => {}
            // Measured, whatever is said.
            "virtual_size" => drop(number(field, value)?),
            "checksum" => self.checksum = checksum(value)?,
            "location" => self.source = Some(Source::Location(source(value)?)),
            "created_at" | "updated_at" | "deleted_at" => check_time(field, value.as_deref())?,
            // Told by clients that send back what they were shown, and by the service alone.
            "uri" | "copy_from" | "deleted" => {}
            _ => return Err(Fault::bad_request(format!("Bad header: {header}"))),
        }
        Ok(())
    }
}

fn text(name: &HeaderName, value: &HeaderValue) -> Result<Option<String>, Fault> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok("") => Ok(None),
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Fault::bad_request(format!("{name}: is not UTF-8"))),
    }
}

fn short(what: &str, value: Option<String>) -> Result<Option<String>, Fault> {
    let length = value.as_deref().map_or(0, |value| value.chars().count());
    if length > LONGEST {
        return Err(Fault::bad_request(format!("{what} too long: {length}")));
    }
    Ok(value)
}

/// Whether a text means yes. Any other means no, as with Glance.
pub(super) fn flag(value: Option<&str>) -> bool {
    let value = value.unwrap_or_default().trim().to_ascii_lowercase();
    ["1", "t", "true", "on", "y", "yes"].contains(&value.as_str())
}

fn known(what: &str, value: Option<String>, known: &[String]) -> Result<String, Fault> {
    match value {
        Some(value) if known.contains(&value) => Ok(value),
        value => {
            let value = value.as_deref().unwrap_or("None");
            Err(Fault::bad_request(format!("Invalid {what} '{value}' for image.")))
        }
    }
}

fn number(key: &str, value: Option<String>) -> Result<u64, Fault> {
    let value = value.as_deref().unwrap_or("None");
    let negative = value.strip_prefix('-').is_some_and(|rest| rest.parse::<u64>().is_ok());
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let why = match value.parse() {
        Ok(number) if digits => return Ok(number),
        _ if negative => "Cannot be a negative value.".to_owned(),
        _ => format!("Cannot convert image {key} '{value}' to an integer."),
    };
    Err(Fault::bad_request(format!("Invalid value '{value}' for parameter '{key}': {why}")))
}

fn small(key: &str, value: Option<String>) -> Result<u32, Fault> {
    let given = number(key, value)?;
    u32::try_from(given).ok().filter(|number| i32::try_from(*number).is_ok()).ok_or_else(|| {
        let message = format!("Invalid value '{given}' for parameter '{key}': must be at most {}", i32::MAX);
        Fault::bad_request(message)
    })
}

fn checksum(value: Option<String>) -> Result<Option<String>, Fault> {
    match value {
        Some(value) if value.chars().count() > CHECKSUM => {
            Err(Fault::bad_request(format!("Invalid checksum '{value}': can't exceed {CHECKSUM} characters")))
        }
        value => Ok(value.map(|value| value.to_ascii_lowercase())),
    }
}

fn source(value: Option<String>) -> Result<String, Fault> {
    let Some(url) = value else { return Err(Fault::bad_request("External source should not be empty")) };
    if url.len() > imports::LONGEST {
        let message = format!("External sources must not be longer than {} bytes", imports::LONGEST);
        return Err(Fault::bad_request(message));
    }
    Ok(url)
}

/// The refusal of data that is to come from two places.
pub(super) fn several_sources() -> Fault {
    Fault::bad_request("It's invalid to provide multiple image sources.")
}

fn check_time(key: &str, value: Option<&str>) -> Result<(), Fault> {
    let Some(value) = value else { return Ok(()) };
    let first = FIRST_YEAR.parse::<Timestamp>()?;
    match value.parse::<Timestamp>() {
        Ok(time) if time >= first => Ok(()),
        _ => Err(Fault::bad_request(format!("Invalid time format for {key}."))),
    }
}

/// Both formats, if they can be had together. One of Amazon's is that of both.
///
/// # Errors
/// 400 if they cannot.
pub(super) fn pair(
    disk: Option<String>,
    container: Option<String>,
) -> Result<(Option<String>, Option<String>), Fault> {
    let amazon = |format: &String| AMAZON.contains(&format.as_str());
    match (disk, container) {
        (None, Some(format)) | (Some(format), None) if amazon(&format) => {
            Ok((Some(format.clone()), Some(format)))
        }
        (Some(disk), Some(container)) if disk != container && (amazon(&disk) || amazon(&container)) => {
            Err(Fault::bad_request(
                "Invalid mix of disk and container formats. When setting a disk or container format to one of \
                 'aki', 'ari', or 'ami', the container and disk formats must match.",
            ))
        }
        formats => Ok(formats),
    }
}

/// Lets an image have so many properties.
///
/// # Errors
/// 413 beyond [`MOST_PER_IMAGE`].
pub(super) fn check_count(properties: usize) -> Result<(), Fault> {
    if properties <= MOST_PER_IMAGE {
        return Ok(());
    }
    let message = format!(
        "The limit has been exceeded on the number of allowed image properties. Attempted: {properties}, \
         Maximum: {MOST_PER_IMAGE}"
    );
    Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, proptest};

    fn read(headers: &[(&str, &str)]) -> Result<Said, Fault> {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        Said::read(&headers.collect(), &Settings::default())
    }

    #[test]
    fn each_header_says_its_attribute_however_it_is_spelled() {
        let said = read(&[
            ("X-Image-Meta-Name", "näme"),
            ("x-image-meta-Disk-Format", "raw"),
            ("x-image-meta-container_format", "bare"),
            ("x-image-meta-min-ram", "40"),
            ("x-image-meta-min_disk", "0"),
            ("x-image-meta-is-public", "Yes"),
            ("x-image-meta-protected", "off"),
            ("x-image-meta-size", "3"),
            ("x-image-meta-virtual-size", "None"),
            ("x-image-meta-checksum", "900150983CD24FB0D6963F7D28E17F72"),
            ("x-image-meta-owner", ""),
            ("x-image-meta-created-at", "2011-01-01T00:00:00.000000"),
            ("x-image-meta-deleted-at", ""),
            ("x-image-meta-deleted", "True"),
            ("x-image-meta-property-Os-Type", "linux"),
            ("x-image-meta-property-gone", ""),
            ("x-unknown", "is none of ours"),
        ])
        .unwrap();
        let expected = Said {
            name: Some(Some("näme".into())),
            disk_format: Some("raw".into()),
            container_format: Some("bare".into()),
            min_ram: Some(40),
            min_disk: Some(0),
            is_public: Some(true),
            protected: Some(false),
            size: Some(3),
            checksum: Some("900150983cd24fb0d6963f7d28e17f72".into()),
            owner: Some(None),
            properties: [("os_type".into(), Some("linux".into())), ("gone".into(), None)].into(),
            ..Said::default()
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn what_cannot_be_said_is_refused_in_glances_words() {
        let long = "x".repeat(256);
        for (name, value, message) in [
            ("x-image-meta-colour", "red", "Bad header: x-image-meta-colour"),
            ("x-image-meta-name", long.as_str(), "Image name too long: 256"),
            (
                "x-image-meta-size",
                "x",
                "Invalid value 'x' for parameter 'size': Cannot convert image size 'x' to an integer.",
            ),
            (
                "x-image-meta-min_ram",
                "-1",
                "Invalid value '-1' for parameter 'min_ram': Cannot be a negative value.",
            ),
            (
                "x-image-meta-min-disk",
                "2147483648",
                "Invalid value '2147483648' for parameter 'min_disk': must be at most 2147483647",
            ),
            (
                "x-image-meta-size",
                "+1",
                "Invalid value '+1' for parameter 'size': Cannot convert image size '+1' to an integer.",
            ),
            (
                "x-image-meta-size",
                "",
                "Invalid value 'None' for parameter 'size': Cannot convert image size 'None' to an integer.",
            ),
            ("x-image-meta-disk-format", "floppy", "Invalid disk format 'floppy' for image."),
            ("x-image-meta-disk-format", "", "Invalid disk format 'None' for image."),
            ("x-image-meta-container-format", "raw", "Invalid container format 'raw' for image."),
            (
                "x-image-meta-checksum",
                "900150983cd24fb0d6963f7d28e17f72a",
                "Invalid checksum '900150983cd24fb0d6963f7d28e17f72a': can't exceed 32 characters",
            ),
            ("x-image-meta-created_at", "yesterday", "Invalid time format for created_at."),
            ("x-image-meta-updated_at", "1899-12-31T23:59:59", "Invalid time format for updated_at."),
            ("x-image-meta-location", "", "External source should not be empty"),
            ("x-glance-api-copy-from", "", "External source should not be empty"),
        ] {
            let fault = read(&[(name, value)]).unwrap_err();
            assert_eq!((fault.status().as_u16(), fault.message()), (400, message), "{name}: {value}");
        }
        for key in ["id", "status", "os_glance_x", "locations"] {
            let fault = read(&[(&format!("x-image-meta-property-{key}"), "x")]).unwrap_err();
            assert_eq!(fault.status().as_u16(), 403, "{key}");
        }
        let both = [("x-image-meta-location", "http://a/"), ("x-glance-api-copy-from", "http://b/")];
        assert_eq!(read(&both).unwrap_err().message(), "It's invalid to provide multiple image sources.");
    }

    #[test]
    fn amazons_formats_come_in_pairs() {
        let formats = |disk: Option<&str>, container: Option<&str>| {
            pair(disk.map(str::to_owned), container.map(str::to_owned)).ok()
        };
        let both = |text: &str| Some((Some(text.to_owned()), Some(text.to_owned())));
        assert_eq!(formats(Some("ami"), None), both("ami"));
        assert_eq!(formats(None, Some("aki")), both("aki"));
        assert_eq!(formats(Some("ari"), Some("ari")), both("ari"));
        assert_eq!(formats(Some("ami"), Some("bare")), None);
        assert_eq!(formats(Some("ami"), Some("ari")), None);
        assert_eq!(formats(Some("raw"), None), Some((Some("raw".into()), None)));
        assert_eq!(formats(None, None), Some((None, None)));
    }

    #[test]
    fn an_image_has_so_many_properties_and_no_more() {
        let with = |count: usize| {
            let names: Vec<String> = (0..count).map(|n| format!("x-image-meta-property-p{n}")).collect();
            let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
            read(&headers)
        };
        assert_eq!(with(128).unwrap().properties.len(), 128);
        assert_eq!(with(129).unwrap_err().status().as_u16(), 413);
    }

    proptest! {
        #[test]
        fn no_header_is_a_panic_and_every_refusal_is_the_clients(
            pairs in prop::collection::vec(
                ("x-(image-meta-(property-)?[a-z_-]{1,12}|glance-api-copy-from)|x-image-meta-size", any::<Vec<u8>>()),
                0..6,
            )
        ) {
            let headers = pairs.iter().filter_map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_bytes(value).ok()?))
            });
            if let Err(fault) = Said::read(&headers.collect(), &Settings::default()) {
                assert!(fault.status().is_client_error());
            }
        }
    }
}
