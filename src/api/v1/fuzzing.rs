//! What must hold of v1's parsers whatever a client sends. [`super::super::fuzzing`] is the way in.

use http::{HeaderMap, HeaderName, HeaderValue};
use image_service::{Caller, Image, MOST_PER_IMAGE, SortKey, Status, Timestamp, Visibility};
use uuid::Uuid;

use super::super::attribute::{self, Kind, LONGEST};
use super::super::fuzzing::{image, must_be_the_clients, must_obey_the_rules};
use super::super::links::Params;
use super::super::{Settings, imports};
use super::change::{self, Purge};
use super::query;
use super::said::{Said, Source};
use super::shown;

/// A time within the calendar, in seconds.
const NOW: i64 = 1_700_000_000;

/// Headers are a client's error, or say of an image what one may be and become. The input is a header in each line.
pub(in super::super) fn check_headers(bytes: &[u8]) {
    let settings = Settings::default();
    let said = match Said::read(&headers(bytes), &settings) {
        Ok(said) => said,
        Err(fault) => return must_be_the_clients(&fault),
    };
    must_be_sayable(&said, &settings);
    for caller in [Caller::administrator(), Caller::member_of("a")] {
        must_make_an_image(&said, &caller, &settings);
        for before in [image(false), image(true)] {
            must_change_an_image(&said, &before, &caller, &settings);
        }
    }
}

fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts.next().and_then(|value| HeaderValue::from_bytes(value).ok());
        if let (Some(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn must_be_sayable(said: &Said, settings: &Settings) {
    let fits = |text: &str| !text.is_empty() && text.chars().count() <= LONGEST;
    let known =
        |format: &Option<String>, known: &[String]| format.as_ref().is_none_or(|it| known.contains(it));
    for text in [&said.name, &said.owner].into_iter().flatten().flatten() {
        assert!(fits(text), "{text:?}");
    }
    assert!(known(&said.disk_format, &settings.disk_formats));
    assert!(known(&said.container_format, &settings.container_formats));
    let amazons =
        |format: &Option<String>| format.as_deref().is_some_and(|it| matches!(it, "aki" | "ari" | "ami"));
    if amazons(&said.disk_format) || amazons(&said.container_format) {
        assert_eq!(said.disk_format, said.container_format, "these come in pairs");
    }
    assert!(said.min_disk.is_none_or(|size| i32::try_from(size).is_ok()));
    assert!(said.min_ram.is_none_or(|size| i32::try_from(size).is_ok()));
    if let Some(Source::Location(url) | Source::Copy(url)) = &said.source {
        assert!(!url.is_empty() && url.len() <= imports::LONGEST);
    }
    assert!(said.properties.len() <= MOST_PER_IMAGE);
    for (key, value) in &said.properties {
        assert!(key.chars().count() <= LONGEST && attribute::kind(key) == Kind::Property, "{key:?}");
        assert!(!key.contains('-') && *key == key.to_lowercase(), "two headers can be one property: {key:?}");
        assert!(value.as_deref() != Some(""), "an empty value is none: {key:?}");
    }
}

/// What is said makes a queued image; and whoever sends back what is shown of it changes nothing.
fn must_make_an_image(said: &Said, caller: &Caller, settings: &Settings) {
    let now = Timestamp::from_second(NOW).expect("a time within the calendar");
    let new = match change::new_image(said, caller) {
        Ok(new) => new,
        Err(fault) => return must_be_the_clients(&fault),
    };
    assert!(caller.is_admin() || new.owner.is_none(), "an owner is an administrator's to say");
    let made = new.into_image(caller, now).expect("it is within its quotas, and nobody else's");
    assert_eq!((made.status, made.size, made.hidden), (Status::Queued, None, false));
    assert!(matches!(made.visibility, Visibility::Public | Visibility::Shared));
    must_stay_when_sent_back(&made, caller, settings);
}

fn must_stay_when_sent_back(image: &Image, caller: &Caller, settings: &Settings) {
    let mut headers = HeaderMap::new();
    shown::put(image, &mut headers);
    let said = Said::read(&headers, settings).expect("what is shown can be said");
    assert!(change::check_fixed(&said, image).is_ok(), "what is shown may be said");
    let change = change::of(&said, image, caller, Purge::Yes).expect("it has as many properties as before");
    assert!(change.is_empty(), "{change:?} of {image:?}");
}

fn must_change_an_image(said: &Said, before: &Image, caller: &Caller, settings: &Settings) {
    if let Err(fault) = change::check_fixed(said, before) {
        return must_be_the_clients(&fault);
    }
    for purge in [Purge::No, Purge::Yes] {
        let change = match change::of(said, before, caller, purge) {
            Ok(change) => change,
            Err(fault) => {
                must_be_the_clients(&fault);
                continue;
            }
        };
        let mut after = before.clone();
        if change.apply_to(&mut after, caller, before.updated_at.saturating_add(1)).is_err() {
            assert_eq!(after, *before, "a change that fails changes nothing");
            continue;
        }
        must_obey_the_rules(before, &after, settings);
        for (key, value) in &said.properties {
            assert_eq!(after.properties.get(key), value.as_ref(), "a property is what is said");
        }
        let unsaid = before.properties.keys().filter(|key| !said.properties.contains_key(*key));
        for key in unsaid {
            assert_eq!(after.properties.contains_key(key), purge == Purge::No, "{key:?} and {purge:?}");
        }
    }
}

/// A query string is a client's error, or a list in a total order that asks for no more than may be.
pub(in super::super) fn check_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let settings = Settings::default();
    let params = match Params::read(text) {
        Ok(params) => params,
        Err(fault) => return must_be_the_clients(&fault),
    };
    for caller in [Caller::administrator(), Caller::member_of("a")] {
        let listing = match query::read(&params, &caller, &settings) {
            Ok(listing) => listing,
            Err(fault) => {
                assert_eq!(fault.status().as_u16(), 400, "{fault:?}");
                continue;
            }
        };
        assert!(listing.query.check().is_ok() && listing.query.position.is_none());
        assert!(listing.limit.is_none_or(|limit| limit <= settings.largest_page));
        assert_eq!(listing.query.sort.keys().last().map(|(key, _)| *key), Some(SortKey::Id));
        let ways = listing.query.sort.keys().iter().map(|(_, direction)| *direction);
        assert!(ways.clone().all(|way| Some(way) == ways.clone().next()), "ties go the same way");
        assert!(listing.marker.is_none_or(|id| Uuid::try_parse(id.as_str()).is_ok()));
        let _ = listing.query.admits(&image(false));
        let hidden = Image { hidden: true, ..image(true) };
        assert!(!listing.query.admits(&hidden), "hidden images are not listed");
        assert!(caller.is_admin() || listing.view == query::View::Own);
    }
}
