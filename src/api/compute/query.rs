//! The query string of a list becomes an [`image_service::Query`]. Pure.
//!
//! Parameters that nobody knows are ignored, and of one that is repeated the last counts, as with Nova.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use form_urlencoded::Serializer;
use image_service::{Comparison, Field, Filter, ImageId, Query, Scope, Sort, Status, Timestamp};

use super::super::conditions;
use super::super::fault::Fault;
use super::super::links::{MARKER, Params};
use super::super::{Settings, order};
use super::shown::{self, SERVER};

const PROPERTY: &str = "property-";

/// The property that says what an image was made of.
const TYPE: &str = "image_type";

const LIMIT: &str = "limit";

/// Numbers that Nova looks at. It makes nothing of the second, and the third is how many it asks Glance for at once.
const NUMBERS: [&str; 3] = [LIMIT, "offset", "page_size"];

const FILTERS: [&str; 7] = ["name", "status", "changes-since", "server", "type", "minRam", "minDisk"];

/// A list, as asked for. Where it begins is still to be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    /// Without a position and a limit.
    pub(super) query: Query,
    /// How many images are on a full page.
    pub(super) limit: NonZeroUsize,
    /// The last image that has been seen.
    pub(super) marker: Option<ImageId>,
}

/// Reads a query string.
///
/// # Errors
/// 400 for every value that cannot be its parameter's.
pub(super) fn read(params: &Params, settings: &Settings) -> Result<Listing, Fault> {
    let mut filters = vec![Filter::Hidden(false)];
    for (key, value) in known(params) {
        filters.extend(filter(key, value)?);
    }
    let mut limit = settings.largest_page;
    for (key, value) in params.iter().filter(|(key, _)| NUMBERS.contains(key)) {
        let number = number(key, value)?;
        if key == LIMIT {
            limit = number.min(settings.largest_page);
        }
    }
    let marker = params.last(MARKER).filter(|marker| !marker.is_empty()).map(ImageId::lookup);
    let (scope, sort) = (Scope::default(), usual_order()?);
    let query = Query { filters, scope, sort, limit: None, position: None, resume: None };
    Ok(Listing { query, limit, marker })
}

/// The query string of the page behind `last`, with every parameter that means something.
pub(super) fn next(params: &Params, last: &ImageId) -> String {
    let kept = known(params).into_iter().filter(|(key, _)| *key != MARKER);
    let mut query = Serializer::new(String::new());
    query.extend_pairs(kept).append_pair(MARKER, last.as_str());
    query.finish()
}

/// The parameters that mean something, each with its last value, by their names.
fn known(params: &Params) -> BTreeMap<&str, &str> {
    let is_known = |key: &str| {
        FILTERS.contains(&key) || NUMBERS.contains(&key) || key == MARKER || key.starts_with(PROPERTY)
    };
    params.iter().filter(|(key, _)| is_known(key)).collect()
}

/// The order of a list whose client says nothing of it, which is that of v2.
fn usual_order() -> Result<Sort, Fault> {
    order::read(&Params::default())
}

fn filter(key: &str, value: &str) -> Result<Option<Filter>, Fault> {
    let property = |key: &str, value: &str| Filter::Property { key: key.to_owned(), value: value.to_owned() };
    // A server may be named by its URL.
    let server = |value: &str| property(SERVER, value.rsplit('/').next().unwrap_or(value));
    Ok(Some(match key {
        "name" => conditions::name(value)?,
        "status" => status(value)?,
        "changes-since" => changes_since(value)?,
        "server" => server(value),
        "type" => property(TYPE, value),
        "minRam" => conditions::number(key, Field::MinRam, Comparison::Eq, value)?,
        "minDisk" => conditions::number(key, Field::MinDisk, Comparison::Eq, value)?,
        _ => match key.strip_prefix(PROPERTY) {
            Some(SERVER) => server(value),
            Some(name) => property(name, value),
            None => return Ok(None),
        },
    }))
}

/// Those that are shown so, or those that v2 calls so.
fn status(value: &str) -> Result<Filter, Fault> {
    let shown = |status: &&Status| shown::status(**status).eq_ignore_ascii_case(value);
    let any_of: Vec<String> =
        Status::ALL.iter().filter(shown).map(|status| status.as_str().to_owned()).collect();
    match any_of.is_empty() {
        false => Ok(Filter::Text { field: Field::Status, any_of }),
        true => conditions::text(Field::Status, &value.to_lowercase()),
    }
}

fn changes_since(value: &str) -> Result<Filter, Fault> {
    let value = value.parse::<Timestamp>();
    let value = value.map_err(|_| Fault::bad_request("changes-since: must be an ISO 8601 time"))?;
    Ok(Filter::Time { field: Field::UpdatedAt, comparison: Comparison::Ge, value })
}

fn number(key: &str, value: &str) -> Result<NonZeroUsize, Fault> {
    let wrong = || Fault::bad_request(format!("{key}: must be a positive integer"));
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    // What overflows is still a number, and larger than any page.
    NonZeroUsize::new(value.parse().unwrap_or(usize::MAX)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, proptest};

    fn listing(query: &str) -> Result<Listing, Fault> {
        read(&Params::read(query)?, &Settings::default())
    }

    fn filters(query: &str) -> Vec<Filter> {
        let mut filters = listing(query).unwrap().query.filters;
        filters.retain(|filter| *filter != Filter::Hidden(false));
        filters
    }

    #[test]
    fn each_parameter_becomes_its_filter_and_unknown_ones_none() {
        let number = |field| Filter::Number { field, comparison: Comparison::Eq, value: 1 };
        let property = |key: &str, value: &str| Filter::Property { key: key.into(), value: value.into() };
        for (query, expected) in [
            ("name=a", Filter::text(Field::Name, "a")),
            ("name=a&name=b", Filter::text(Field::Name, "b")),
            ("status=active", Filter::text(Field::Status, "active")),
            ("status=QUEUED", Filter::text(Field::Status, "queued")),
            ("status=nonsense", Filter::text(Field::Status, "nonsense")),
            ("status=Error", Filter::text(Field::Status, "killed")),
            ("server=u", property("instance_uuid", "u")),
            ("server=http://x/v2.1/servers/u", property("instance_uuid", "u")),
            ("property-instance_uuid=http://x/v2.1/servers/u", property("instance_uuid", "u")),
            ("type=snapshot", property("image_type", "snapshot")),
            ("minRam=1", number(Field::MinRam)),
            ("minDisk=1", number(Field::MinDisk)),
            ("property-os_distro=x", property("os_distro", "x")),
            ("property-property-x=y", property("property-x", "y")),
            ("property-name=in:b", property("name", "in:b")),
            (
                "changes-since=2011-01-01T00:00:00Z",
                Filter::Time {
                    field: Field::UpdatedAt,
                    comparison: Comparison::Ge,
                    value: "2011-01-01T00:00:00Z".parse().unwrap(),
                },
            ),
        ] {
            assert_eq!(filters(query), [expected], "{query}");
        }
        assert_eq!(filters("colour=red&owner=b&min_ram=x&sort_key=x&Name=b&offset=3&page_size=2"), []);
    }

    #[test]
    fn a_status_finds_all_that_are_shown_so() {
        for (word, expected) in [
            ("SAVING", "queued saving"),
            ("saving", "queued saving"),
            ("ACTIVE", "active"),
            ("DELETED", "pending_delete deleted"),
            ("UNKNOWN", "uploading importing deactivated"),
        ] {
            let Filter::Text { any_of, .. } = filters(&format!("status={word}")).remove(0) else { panic!() };
            assert_eq!(any_of.join(" "), expected, "{word}");
        }
        let Filter::Text { any_of, .. } = filters("status=in:ACTIVE,queued").remove(0) else { panic!() };
        assert_eq!(any_of, ["active", "queued"]);
    }

    #[test]
    fn limits_are_capped_and_a_marker_may_be_empty() {
        for (query, expected) in [
            ("", 1000),
            ("limit=7", 7),
            ("limit=1001", 1000),
            ("limit=99999999999999999999999", 1000),
            ("limit=2&limit=1", 1),
            ("page_size=5", 1000),
        ] {
            assert_eq!(listing(query).unwrap().limit.get(), expected, "{query}");
        }
        assert_eq!(listing("marker=").unwrap().marker, None);
        assert_eq!(listing("marker=a&marker=b").unwrap().marker, Some(ImageId::lookup("b")));
        let keys: Vec<String> =
            listing("").unwrap().query.sort.keys().iter().map(|(key, way)| format!("{key}:{way}")).collect();
        assert_eq!(keys.join(","), "created_at:desc,id:desc");
    }

    #[test]
    fn every_bad_value_is_a_clients_error_that_names_it() {
        for (query, name) in [
            ("limit=0", "limit"),
            ("limit=-1", "limit"),
            ("limit=x", "limit"),
            ("limit=", "limit"),
            ("limit=x&limit=1", "limit"),
            ("offset=x", "offset"),
            ("page_size=0", "page_size"),
            ("minRam=x", "minRam"),
            ("minDisk=-1", "minDisk"),
            ("changes-since=yesterday", "changes-since"),
            ("name=a:b", "name"),
            ("status=a:b", "status"),
        ] {
            let fault = listing(query).unwrap_err();
            assert_eq!(fault.status().as_u16(), 400, "{query}");
            assert!(fault.message().starts_with(&format!("{name}: ")), "{}", fault.message());
        }
    }

    #[test]
    fn the_next_page_is_asked_for_with_all_that_means_something() {
        let of = |query: &str| next(&Params::read(query).unwrap(), &ImageId::lookup("m"));
        assert_eq!(of("name=a&limit=1&foo=bar&marker=x"), "limit=1&name=a&marker=m");
        assert_eq!(of("limit=2&limit=1&property-a+b=c%26"), "limit=1&property-a+b=c%26&marker=m");
        assert_eq!(of(""), "marker=m");
    }

    proptest! {
        #[test]
        fn a_query_string_is_read_or_refused_and_the_next_page_asks_for_the_same(
            pairs in prop::collection::vec(
                ("[a-zR-]{0,8}|property-[a-z]|limit|marker|status|changes-since|minRam|name", any::<String>()),
                0..6,
            )
        ) {
            let text = Serializer::new(String::new()).extend_pairs(&pairs).finish();
            match listing(&text) {
                Ok(first) => {
                    assert!(first.query.check().is_ok());
                    let next = listing(&next(&Params::read(&text).unwrap(), &ImageId::lookup("m"))).unwrap();
                    assert_eq!(next, Listing { marker: Some(ImageId::lookup("m")), ..first });
                }
                Err(fault) => assert_eq!(fault.status().as_u16(), 400),
            }
        }
    }
}
