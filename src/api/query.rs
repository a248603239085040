//! The query string of a list becomes an [`image_service::Query`]. Pure.
//!
//! A name that is no known parameter is a custom property to be equal to, as in Glance: a filter is never dropped,
//! for a list that is too long is worse than an empty one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use image_service::{Comparison, Field, Filter, MemberScope, Query, Scope, VisibilityScope};

use super::Settings;
use super::conditions;
use super::fault::Fault;
use super::links::{CURSOR, MARKER, Params};
use super::order;

/// A list, as asked for. Where it begins is still to be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    /// Without a position.
    pub(super) query: Query,
    /// `None` if the client wants none at all, and so nothing is to be asked.
    pub(super) limit: Option<NonZeroUsize>,
}

/// Reads a query string.
///
/// # Errors
/// 400, naming the parameter, for every value that cannot be one of its.
pub(super) fn read(params: &Params, settings: &Settings) -> Result<Listing, Fault> {
    let mut filters: Vec<Filter> = params.all("tag").map(|tag| Filter::Tag(tag.to_owned())).collect();
    // Only tags add up. Of everything else the last one counts.
    let scalars: BTreeMap<&str, &str> = params.iter().collect();
    for (key, value) in scalars {
        filters.extend(filter(key, value)?);
    }
    filters.push(hidden(params.last("os_hidden"))?);
    let scope = Scope {
        visibility: visibility(params.last("visibility"))?,
        member_status: params.last("member_status").map_or(Ok(MemberScope::default()), str::parse)?,
    };
    let limit = limit(params.last("limit"), settings)?;
    let query = Query { filters, scope, sort: order::read(params)?, limit, position: None, resume: None };
    Ok(Listing { query, limit })
}

/// The filter that one parameter stands for, if it stands for one.
fn filter(key: &str, value: &str) -> Result<Option<Filter>, Fault> {
    let filter = match key {
        MARKER | CURSOR | "limit" | "sort" | "sort_key" | "sort_dir" | "os_hidden" | "visibility"
        | "member_status" | "deleted" | "tag" => return Ok(None),
        "changes-since" => {
            return Err(Fault::bad_request("changes-since: is no longer available on v2"));
        }
        "locations" | "tags" => {
            return Err(Fault::bad_request(format!("{key}: lists cannot be filtered by it")));
        }
        "name" => conditions::name(value)?,
        "id" => conditions::text(Field::Id, value)?,
        "status" => conditions::text(Field::Status, value)?,
        "container_format" => conditions::text(Field::ContainerFormat, value)?,
        "disk_format" => conditions::text(Field::DiskFormat, value)?,
        "owner" => Filter::text(Field::Owner, value),
        "checksum" => Filter::text(Field::Checksum, value),
        "os_hash_algo" => Filter::text(Field::HashAlgorithm, value),
        "os_hash_value" => Filter::text(Field::HashValue, value),
        "created_at" => conditions::time(Field::CreatedAt, value)?,
        "updated_at" => conditions::time(Field::UpdatedAt, value)?,
        "protected" => Filter::Protected(protected(value)?),
        _ => return numeric(key, value).map(Some),
    };
    Ok(Some(filter))
}

/// A filter on a number, exact or at one end of a range, or else on a custom property.
fn numeric(key: &str, value: &str) -> Result<Filter, Fault> {
    let (name, comparison) = match (key.strip_suffix("_min"), key.strip_suffix("_max")) {
        (Some(name), _) => (name, Comparison::Ge),
        (_, Some(name)) => (name, Comparison::Le),
        _ => (key, Comparison::Eq),
    };
    let field = match name {
        "size" => Field::Size,
        "virtual_size" => Field::VirtualSize,
        "min_disk" => Field::MinDisk,
        "min_ram" => Field::MinRam,
        _ if comparison == Comparison::Eq => {
            return Ok(Filter::Property { key: key.to_owned(), value: value.to_owned() });
        }
        _ => {
            return Err(Fault::bad_request(format!(
                "{key}: '{name}' is no number that lists can be filtered by"
            )));
        }
    };
    conditions::number(key, field, comparison, value)
}

fn hidden(value: Option<&str>) -> Result<Filter, Fault> {
    match value {
        None => Ok(Filter::Hidden(false)),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(Filter::Hidden(true)),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(Filter::Hidden(false)),
        Some(_) => Err(Fault::bad_request("os_hidden: must be true or false")),
    }
}

fn protected(value: &str) -> Result<bool, Fault> {
    value.parse().map_err(|_| Fault::bad_request("protected: must be true or false"))
}

fn visibility(value: Option<&str>) -> Result<VisibilityScope, Fault> {
    match value {
        None => Ok(VisibilityScope::Usual),
        Some("all") => Ok(VisibilityScope::All),
        Some(value) => Ok(VisibilityScope::Only(value.parse()?)),
    }
}

fn limit(value: Option<&str>, settings: &Settings) -> Result<Option<NonZeroUsize>, Fault> {
    let Some(value) = value else { return Ok(Some(settings.default_page.min(settings.largest_page))) };
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::bad_request("limit: must be an integer, not negative"));
    }
    // What overflows is still a number, and larger than any page.
    let wanted = value.parse().unwrap_or(usize::MAX);
    Ok(NonZeroUsize::new(wanted).map(|wanted| wanted.min(settings.largest_page)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::Visibility;
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
    fn limits_are_capped_and_zero_asks_for_nothing() {
        let limit = |query| listing(query).unwrap().limit.map_or(0, NonZeroUsize::get);
        for (query, expected) in [
            ("", 25),
            ("limit=0", 0),
            ("limit=7", 7),
            ("limit=1001", 1000),
            ("limit=99999999999999999999999", 1000),
            ("limit=3&limit=4", 4),
        ] {
            assert_eq!(limit(query), expected, "{query}");
        }
    }

    #[test]
    fn each_parameter_becomes_its_filter() {
        let number = |field, comparison, value| Filter::Number { field, comparison, value };
        let property = |key: &str, value: &str| Filter::Property { key: key.into(), value: value.into() };
        for (query, expected) in [
            ("owner=a:b", Filter::text(Field::Owner, "a:b")),
            ("status=nonsense", Filter::text(Field::Status, "nonsense")),
            ("size_min=1", number(Field::Size, Comparison::Ge, 1)),
            ("size_max=1", number(Field::Size, Comparison::Le, 1)),
            ("size=1", number(Field::Size, Comparison::Eq, 1)),
            ("min_disk_min=2", number(Field::MinDisk, Comparison::Ge, 2)),
            ("min_ram=3", number(Field::MinRam, Comparison::Eq, 3)),
            ("protected=true", Filter::Protected(true)),
            ("os_hidden=True", Filter::Hidden(true)),
            ("colour=in:red", property("colour", "in:red")),
            ("is_public=none", property("is_public", "none")),
            ("stores=a", property("stores", "a")),
        ] {
            assert_eq!(filters(query), [expected], "{query}");
        }
        assert_eq!(filters("tag=a&tag=b"), [Filter::Tag("a".into()), Filter::Tag("b".into())]);
        assert_eq!(filters("name=a&name=b"), [Filter::text(Field::Name, "b")]);
        assert_eq!(filters("deleted=true&marker=x&sort=name"), []);
    }

    #[test]
    fn only_a_list_that_asks_for_hidden_images_shows_them() {
        let hidden = |query| listing(query).unwrap().query.filters.contains(&Filter::Hidden(true));
        assert!(hidden("os_hidden=TRUE"));
        assert!(!hidden(""));
        assert!(!hidden("os_hidden=False"));
    }

    #[test]
    fn scopes_are_read() {
        let scope = |query| listing(query).unwrap().query.scope;
        assert_eq!(scope(""), Scope::default());
        assert_eq!(scope("visibility=all").visibility, VisibilityScope::All);
        assert_eq!(scope("visibility=community").visibility, VisibilityScope::Only(Visibility::Community));
        assert_eq!(scope("member_status=pending").member_status, MemberScope::Pending);
    }

    #[test]
    fn every_bad_value_is_refused_with_the_name_of_its_key() {
        for query in [
            "limit=",
            "limit=-1",
            "limit=x",
            "limit=%2B1",
            "name=a:b",
            "status=gt:a",
            "created_at=x",
            "updated_at=in:2026-11-23",
            "size_min=x",
            "size_max=",
            "size=-1",
            "colour_min=1",
            "colour_max=x",
            "min_ram=1.5",
            "visibility=",
            "visibility=secret",
            "member_status=x",
            "os_hidden=1",
            "protected=True",
            "changes-since=2026-11-23",
            "locations=x",
            "sort=x",
        ] {
            let fault = listing(query).unwrap_err();
            let key = query.split('=').next().unwrap();
            assert_eq!(fault.status().as_u16(), 400, "{query}");
            assert!(fault.message().starts_with(&format!("{key}: ")), "{query}: {}", fault.message());
        }
    }

    proptest! {
        #[test]
        fn a_query_string_is_read_or_refused_and_its_links_read_the_same(
            pairs in prop::collection::vec(("[a-z_]{0,8}|tag|name|size_min|limit|sort", any::<String>()), 0..6)
        ) {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let params = Params::read(&text).unwrap();
            if let Ok(read) = read(&params, &Settings::default()) {
                let first = params.first();
                let again = listing(first.split_once('?').map_or("", |(_, query)| query)).unwrap();
                assert_eq!(again, read);
            }
        }
    }
}
