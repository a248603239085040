//! The query string of a list becomes an [`image_service::Query`]. Pure.
//!
//! Parameters that nobody knows are ignored, and of one that is repeated the last counts, as with Glance.

use std::num::NonZeroUsize;

use image_service::{
    Caller, Comparison, Direction, Field, Filter, ImageId, MemberScope, Query, Scope, Sort, SortKey, Status,
    Timestamp, Visibility,
};
use uuid::Uuid;

use super::super::Settings;
use super::super::conditions;
use super::super::fault::Fault;
use super::super::links::{MARKER, Params};
use super::said::flag;

const PROPERTY: &str = "property-";

/// As whom an administrator lists images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// As somebody who is none.
    User,
    /// As who they are.
    Own,
}

/// A list, as asked for. Where it begins is still to be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    /// Without a position.
    pub(super) query: Query,
    /// `None` if no image can be in it, so that nothing is to be asked.
    pub(super) limit: Option<NonZeroUsize>,
    /// The last image that has been seen.
    pub(super) marker: Option<ImageId>,
    /// As whom it is asked.
    pub(super) view: View,
}

/// Reads a query string.
///
/// # Errors
/// 400 for every value that cannot be its parameter's.
pub(super) fn read(params: &Params, caller: &Caller, settings: &Settings) -> Result<Listing, Fault> {
    let mut filters = vec![Filter::Hidden(false)];
    for key in ["name", "status", "container_format", "disk_format"] {
        filters.extend(params.last(key).map(|value| text(key, value)).transpose()?);
    }
    for (key, field, comparison) in [
        ("size_min", Field::Size, Comparison::Ge),
        ("size_max", Field::Size, Comparison::Le),
        ("min_ram", Field::MinRam, Comparison::Eq),
        ("min_disk", Field::MinDisk, Comparison::Eq),
    ] {
        if let Some(value) = params.last(key) {
            filters.push(conditions::number(key, field, comparison, value).map_err(|_| bad(key, value))?);
        }
    }
    filters.extend(protected(params.last("protected"))?);
    filters.extend(params.last("changes-since").map(changes_since).transpose()?);
    for (key, value) in params.iter() {
        if let Some(property) = key.strip_prefix(PROPERTY).filter(|_| params.last(key) == Some(value)) {
            filters.push(Filter::Property { key: property.to_owned(), value: value.to_owned() });
        }
    }
    let (view, of_visibility) = whose(params.last("is_public"), caller)?;
    filters.extend(of_visibility);
    let limit = limit(params.last("limit"), settings)?;
    // Images are not shown any more when they are deleted, nor are those whose upload failed for good.
    let of_the_dead = caller.is_admin() && params.last("deleted").is_some_and(|value| flag(Some(value)));
    let killed = Filter::text(Field::Status, Status::Killed.as_str());
    let none = of_the_dead || filters.contains(&killed);
    let scope = Scope { member_status: MemberScope::All, ..Scope::default() };
    Ok(Listing {
        query: Query { filters, scope, sort: sort(params)?, limit, position: None, resume: None },
        limit: limit.filter(|_| !none),
        marker: marker(params.last(MARKER))?,
        view,
    })
}

fn bad(key: &str, value: &str) -> Fault {
    Fault::bad_request(format!("Bad value passed to filter {key} got {value}"))
}

fn text(key: &str, value: &str) -> Result<Filter, Fault> {
    let field = match key {
        "name" => Field::Name,
        "status" => Field::Status,
        "container_format" => Field::ContainerFormat,
        _ => Field::DiskFormat,
    };
    let mut filter = conditions::text(field, value)?;
    // What v1 calls so has other names too.
    let saving = Status::Saving.as_str();
    if let Filter::Text { field: Field::Status, any_of } = &mut filter
        && any_of.iter().any(|status| status == saving)
    {
        any_of.extend([Status::Uploading, Status::Importing].map(|status| status.as_str().to_owned()));
    }
    Ok(filter)
}

fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn protected(value: Option<&str>) -> Result<Option<Filter>, Fault> {
    let Some(value) = value else { return Ok(None) };
    match truth(value) {
        Some(protected) => Ok(Some(Filter::Protected(protected))),
        None if value.eq_ignore_ascii_case("none") => {
            Err(Fault::bad_request("protected must be True, or False"))
        }
        None => Err(bad("protected", value)),
    }
}

fn changes_since(value: &str) -> Result<Filter, Fault> {
    let value = value.parse::<Timestamp>();
    let value = value.map_err(|_| Fault::bad_request("Unrecognized changes-since value"))?;
    Ok(Filter::Time { field: Field::UpdatedAt, comparison: Comparison::Gt, value })
}

/// Whose images an administrator means. What others say of it has no meaning.
fn whose(value: Option<&str>, caller: &Caller) -> Result<(View, Option<Filter>), Fault> {
    if !caller.is_admin() {
        return Ok((View::Own, None));
    }
    let is_public = match value {
        None => Some(true),
        Some(value) if value.eq_ignore_ascii_case("none") => None,
        Some(value) => Some(truth(value).ok_or_else(|| bad("is_public", value))?),
    };
    Ok(match is_public {
        Some(true) => (View::User, None),
        None => (View::Own, None),
        Some(false) => {
            let others = Visibility::ALL.iter().filter(|visibility| **visibility != Visibility::Public);
            let any_of = others.map(|visibility| visibility.as_str().to_owned()).collect();
            (View::Own, Some(Filter::Text { field: Field::Visibility, any_of }))
        }
    })
}

fn limit(value: Option<&str>, settings: &Settings) -> Result<Option<NonZeroUsize>, Fault> {
    let Some(value) = value else { return Ok(Some(settings.default_page.min(settings.largest_page))) };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if value.strip_prefix('-').is_some_and(digits) {
        return Err(Fault::bad_request("limit param must be positive"));
    }
    if !digits(value) {
        return Err(Fault::bad_request("limit param must be an integer"));
    }
    // What overflows is still a number, and larger than any page.
    let wanted = value.parse().unwrap_or(usize::MAX);
    Ok(NonZeroUsize::new(wanted).map(|wanted| wanted.min(settings.largest_page)))
}

fn marker(value: Option<&str>) -> Result<Option<ImageId>, Fault> {
    match value {
        None | Some("") => Ok(None),
        Some(id) if Uuid::try_parse(id).is_ok() => Ok(Some(ImageId::lookup(id))),
        Some(_) => Err(Fault::bad_request("Invalid marker format")),
    }
}

/// One key, then the time of creation and the id, all in one direction.
fn sort(params: &Params) -> Result<Sort, Fault> {
    let key = match params.last("sort_key") {
        None => SortKey::CreatedAt,
        Some(key) => key.parse().map_err(|_| {
            let known: Vec<&str> = SortKey::ALL.iter().map(|key| key.as_str()).collect();
            Fault::bad_request(format!("Unsupported sort_key. Acceptable values: {}", known.join(", ")))
        })?,
    };
    let direction = match params.last("sort_dir") {
        None => Direction::Desc,
        Some(direction) => direction
            .parse()
            .map_err(|_| Fault::bad_request("Unsupported sort_dir. Acceptable values: asc, desc"))?,
    };
    Ok(Sort::by([(key, direction), (SortKey::CreatedAt, direction)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, proptest};

    fn listing(query: &str, caller: &Caller) -> Result<Listing, Fault> {
        read(&Params::read(query)?, caller, &Settings::default())
    }

    fn filters(query: &str) -> Vec<Filter> {
        let mut filters = listing(query, &Caller::member_of("a")).unwrap().query.filters;
        filters.retain(|filter| *filter != Filter::Hidden(false));
        filters
    }

    #[test]
    fn each_parameter_becomes_its_filter_and_unknown_ones_none() {
        let number = |field, comparison, value| Filter::Number { field, comparison, value };
        let property = |key: &str, value: &str| Filter::Property { key: key.into(), value: value.into() };
        for (query, expected) in [
            ("name=a", Filter::text(Field::Name, "a")),
            ("name=a&name=b", Filter::text(Field::Name, "b")),
            ("status=active", Filter::text(Field::Status, "active")),
            ("container_format=bare", Filter::text(Field::ContainerFormat, "bare")),
            ("disk_format=raw", Filter::text(Field::DiskFormat, "raw")),
            ("size_min=1", number(Field::Size, Comparison::Ge, 1)),
            ("size_max=1", number(Field::Size, Comparison::Le, 1)),
            ("min_ram=1", number(Field::MinRam, Comparison::Eq, 1)),
            ("min_disk=1", number(Field::MinDisk, Comparison::Eq, 1)),
            ("protected=True", Filter::Protected(true)),
            ("protected=0", Filter::Protected(false)),
            ("property-colour=red", property("colour", "red")),
            ("property-colour=red&property-colour=in:b", property("colour", "in:b")),
            (
                "changes-since=2011-01-01T00:00:00",
                Filter::Time {
                    field: Field::UpdatedAt,
                    comparison: Comparison::Gt,
                    value: "2011-01-01T00:00:00Z".parse().unwrap(),
                },
            ),
        ] {
            assert_eq!(filters(query), [expected], "{query}");
        }
        assert_eq!(filters("colour=red&owner=b&size=1&tag=x&sort=name&deleted=true&is_public=none"), []);
        let Filter::Text { any_of, .. } = filters("status=saving").remove(0) else { panic!() };
        assert_eq!(any_of, ["saving", "uploading", "importing"]);
    }

    #[test]
    fn an_administrator_lists_as_a_user_unless_it_says_otherwise() {
        let of = |query: &str| {
            let listing = listing(query, &Caller::administrator()).unwrap();
            let visibility = listing.query.filters.iter().any(|filter| filter.field() == Field::Visibility);
            (listing.view, visibility)
        };
        assert_eq!(of(""), (View::User, false));
        assert_eq!(of("is_public=1"), (View::User, false));
        assert_eq!(of("is_public=None"), (View::Own, false));
        assert_eq!(of("is_public=False"), (View::Own, true));
        for query in ["", "is_public=none", "is_public=false", "is_public=maybe"] {
            let listing = listing(query, &Caller::member_of("a")).unwrap();
            assert_eq!((listing.view, listing.query.filters), (View::Own, vec![Filter::Hidden(false)]));
        }
        let scope = listing("", &Caller::member_of("a")).unwrap().query.scope;
        assert_eq!(scope.member_status, MemberScope::All);
    }

    #[test]
    fn limits_are_capped_and_of_what_is_gone_there_is_nothing() {
        let limit = |query: &str| {
            listing(query, &Caller::administrator()).unwrap().limit.map_or(0, NonZeroUsize::get)
        };
        for (query, expected) in [
            ("", 25),
            ("limit=0", 0),
            ("limit=7", 7),
            ("limit=1001", 1000),
            ("limit=99999999999999999999999", 1000),
            ("deleted=True", 0),
            ("deleted=False", 25),
            ("status=killed", 0),
        ] {
            assert_eq!(limit(query), expected, "{query}");
        }
        assert_eq!(
            listing("deleted=true", &Caller::member_of("a")).unwrap().limit.map(NonZeroUsize::get),
            Some(25)
        );
    }

    #[test]
    fn one_key_sorts_and_ties_go_the_same_way() {
        let order = |query: &str| {
            let listing = listing(query, &Caller::member_of("a")).unwrap();
            let keys = listing.query.sort.keys().iter().map(|(key, direction)| format!("{key}:{direction}"));
            keys.collect::<Vec<_>>().join(",")
        };
        assert_eq!(order(""), "created_at:desc,id:desc");
        assert_eq!(order("sort_key=name"), "name:desc,created_at:desc,id:desc");
        assert_eq!(order("sort_key=size&sort_dir=asc"), "size:asc,created_at:asc,id:asc");
        assert_eq!(order("sort_key=id&sort_dir=asc"), "id:asc");
    }

    #[test]
    fn every_bad_value_is_a_clients_error_in_glances_words() {
        for (query, message) in [
            ("size_min=x", "Bad value passed to filter size_min got x"),
            ("size_max=-1", "Bad value passed to filter size_max got -1"),
            ("min_ram=1.5", "Bad value passed to filter min_ram got 1.5"),
            ("min_disk=", "Bad value passed to filter min_disk got "),
            ("protected=maybe", "Bad value passed to filter protected got maybe"),
            ("protected=none", "protected must be True, or False"),
            ("is_public=maybe", "Bad value passed to filter is_public got maybe"),
            ("changes-since=yesterday", "Unrecognized changes-since value"),
            ("limit=x", "limit param must be an integer"),
            ("limit=", "limit param must be an integer"),
            ("limit=-1", "limit param must be positive"),
            ("marker=x", "Invalid marker format"),
            ("sort_dir=up", "Unsupported sort_dir. Acceptable values: asc, desc"),
            ("name=a:b", "name: Unable to filter by unknown operator 'a'."),
        ] {
            let fault = listing(query, &Caller::administrator()).unwrap_err();
            assert_eq!((fault.status().as_u16(), fault.message()), (400, message), "{query}");
        }
        let fault = listing("sort_key=owner", &Caller::member_of("a")).unwrap_err();
        assert!(fault.message().starts_with("Unsupported sort_key. Acceptable values: name, status, "));
    }

    proptest! {
        #[test]
        fn a_query_string_is_read_or_refused(
            pairs in prop::collection::vec(
                ("[a-z_-]{0,8}|property-[a-z]|size_min|limit|marker|sort_key|is_public|name", any::<String>()),
                0..6,
            )
        ) {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            match listing(&text, &Caller::administrator()) {
                Ok(listing) => assert!(listing.query.check().is_ok()),
                Err(fault) => assert_eq!(fault.status().as_u16(), 400),
            }
        }
    }
}
