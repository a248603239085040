//! A query in Glance's parameters.
//!
//! Pure. What is asked for here may be more than the query admits, never less: everything is tested again when
//! it comes. A filter is left out where Glance would read it as something else, and time filters are put so that
//! the microseconds that Glance keeps and does not show decide nothing.

use std::collections::BTreeMap;

use image_service::{
    Comparison, Direction, Field, Filter, Image, MemberScope, Query, Scope, Sort, SortKey, SortValue,
    Timestamp, VisibilityScope,
};

use super::wire::RESERVED;
use crate::fault::Credentials;

/// Names and values of the parameters of a request.
pub(super) type Params = Vec<(String, String)>;

/// The order to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The query's own, as far as the server can be held to it: see [`leading`].
    Asked,
    /// The same the other way round.
    Backwards,
    /// By one attribute alone.
    By(SortKey, Direction),
    /// By id alone, which every server does alike and can always go on in.
    ById,
}

/// What all filters together may add to a URL. Servers refuse lines of four thousand bytes.
const LONGEST_FILTERS: usize = 2500;

/// Parameters of Glance's list that are no attributes.
const PARAMETERS: [&str; 9] = [
    "limit",
    "marker",
    "sort",
    "sort_key",
    "sort_dir",
    "member_status",
    "tag",
    "changes-since",
    "all_tenants",
];

/// Attributes of the object that Glance compares with, by accident of its language: as filters they fail.
const ACCIDENTS: [&str; 12] = [
    "delete",
    "get",
    "items",
    "iteritems",
    "keys",
    "metadata",
    "next",
    "registry",
    "save",
    "to_dict",
    "update",
    "values",
];

/// The parameters that ask for what `query` admits among images that are hidden, or are not.
pub(super) fn of(query: &Query, credentials: Credentials, order: Order, hidden: bool) -> Params {
    let mut params = vec![
        ("sort".to_owned(), sort(query, order)),
        ("os_hidden".to_owned(), if hidden { "true" } else { "false" }.to_owned()),
    ];
    params.extend(scope(query.scope, credentials));
    params.extend(times(query));
    params.extend(sizes(query));
    let mut room = LONGEST_FILTERS;
    let mut scalars = BTreeMap::new();
    for filter in &query.filters {
        let Some((name, value)) = equality(filter) else { continue };
        let length = name.len() + 3 * value.len();
        if length > room {
            continue;
        }
        room -= length;
        if matches!(filter, Filter::Tag(_)) {
            params.push((name, value));
        } else {
            // Of a parameter given twice Glance takes the last; one condition of the two is enough to ask for.
            scalars.entry(name).or_insert(value);
        }
    }
    params.extend(scalars);
    params
}

/// Whether no image that comes after `image` in the query's order can be admitted.
pub(super) fn is_beyond(query: &Query, image: &Image) -> bool {
    let Some((first, direction)) = query.sort.keys().first() else { return false };
    let SortValue::Time(actual) = first.value(image) else { return false };
    query.filters.iter().any(|filter| {
        let Filter::Time { field, comparison, value } = filter else { return false };
        let lost = match direction {
            // Only ever later: what must come before, or at, the moment has been passed.
            Direction::Asc => {
                matches!(comparison, Comparison::Lt | Comparison::Le | Comparison::Eq) && actual >= *value
            }
            Direction::Desc => {
                matches!(comparison, Comparison::Gt | Comparison::Ge | Comparison::Eq) && actual <= *value
            }
        };
        Some(*field) == time_field(*first) && lost && !comparison.holds(&actual, value)
    })
}

/// The keys that decide where a server puts an image, as far as that can be seen: those up to the first time.
///
/// Behind a time, microseconds decide that nobody sees. What is equal up to there is put in order here.
pub(super) fn leading(sort: &Sort) -> &[(SortKey, Direction)] {
    let keys = sort.keys();
    let time = keys.iter().position(|(key, _)| time_field(*key).is_some());
    time.and_then(|last| keys.get(..=last)).unwrap_or(keys)
}

/// Whether a list in this order is asked for from the position's second on.
pub(super) fn seeks(sort: &Sort) -> bool {
    sort.keys().first().is_some_and(|(key, _)| time_field(*key).is_some())
}

fn sort(query: &Query, order: Order) -> String {
    let leading = leading(&query.sort);
    let by_id = query.sort.keys().last().into_iter();
    let keys = leading.iter().filter(|(key, _)| *key != SortKey::Id).chain(by_id).copied();
    let words: Vec<String> = match order {
        Order::ById => vec![word(SortKey::Id, Direction::Asc)],
        Order::By(key, direction) => vec![word(key, direction), word(SortKey::Id, direction)],
        Order::Asked => keys.map(|(key, direction)| word(key, direction)).collect(),
        Order::Backwards => keys.map(|(key, direction)| word(key, opposite(direction))).collect(),
    };
    words.join(",")
}

fn word(key: SortKey, direction: Direction) -> String {
    format!("{}:{}", key.as_str(), direction.as_str())
}

const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Asc => Direction::Desc,
        Direction::Desc => Direction::Asc,
    }
}

fn scope(scope: Scope, credentials: Credentials) -> Params {
    let mut params = Params::new();
    match scope.visibility {
        VisibilityScope::Only(visibility) => {
            params.push(("visibility".to_owned(), visibility.as_str().to_owned()))
        }
        VisibilityScope::All => params.push(("visibility".to_owned(), "all".to_owned())),
        // Whose community images are usual depends on the caller, whom the server does not know.
        VisibilityScope::Usual if credentials == Credentials::Service => {
            params.push(("visibility".to_owned(), "all".to_owned()));
        }
        VisibilityScope::Usual => {}
    }
    if credentials == Credentials::Caller && scope.member_status != MemberScope::default() {
        params.push(("member_status".to_owned(), scope.member_status.as_str().to_owned()));
    }
    params
}

/// A bound of a time, in whole seconds.
#[derive(Debug, Clone, Copy)]
enum Bound {
    From(Timestamp),
    Before(Timestamp),
}

/// One time parameter for each attribute: the one that a walk in the query's order gains most by.
fn times(query: &Query) -> Params {
    let mut params = Params::new();
    for key in [SortKey::CreatedAt, SortKey::UpdatedAt] {
        let first = query.sort.keys().first().filter(|(first, _)| *first == key);
        let direction = first.map(|(_, direction)| *direction);
        let (mut from, mut before) = (None::<Timestamp>, None::<Timestamp>);
        for bound in bounds(query, key, direction) {
            match bound {
                Bound::From(time) => from = Some(from.map_or(time, |other| other.max(time))),
                Bound::Before(time) => before = Some(before.map_or(time, |other| other.min(time))),
            }
        }
        let from = from.filter(is_writable).map(|time| format!("gte:{time}"));
        let before = before.filter(is_writable).map(|time| format!("lt:{time}"));
        let chosen = match direction {
            Some(Direction::Asc) => from.or(before),
            Some(Direction::Desc) | None => before.or(from),
        };
        params.extend(chosen.map(|value| (key.as_str().to_owned(), value)));
    }
    params
}

fn bounds(query: &Query, key: SortKey, direction: Option<Direction>) -> Vec<Bound> {
    let mut bounds = Vec::new();
    if let (Some(direction), Some(position)) = (direction, &query.position)
        && let Some(SortValue::Time(time)) = position.values.first()
    {
        bounds.extend(match direction {
            Direction::Asc => Some(Bound::From(*time)),
            Direction::Desc => before_next(*time),
        });
    }
    for filter in &query.filters {
        let Filter::Time { field, comparison, value } = filter else { continue };
        if Some(*field) != time_field(key) {
            continue;
        }
        match comparison {
            Comparison::Ge => bounds.push(Bound::From(*value)),
            Comparison::Gt => bounds.extend(next(*value).map(Bound::From)),
            Comparison::Lt => bounds.push(Bound::Before(*value)),
            Comparison::Le => bounds.extend(before_next(*value)),
            Comparison::Eq => {
                bounds.push(Bound::From(*value));
                bounds.extend(before_next(*value));
            }
            Comparison::Ne => {}
        }
    }
    bounds
}

const fn time_field(key: SortKey) -> Option<Field> {
    match key {
        SortKey::CreatedAt => Some(Field::CreatedAt),
        SortKey::UpdatedAt => Some(Field::UpdatedAt),
        _ => None,
    }
}

/// The second after `time`, unless the calendar ends there.
fn next(time: Timestamp) -> Option<Timestamp> {
    Some(time.saturating_add(1)).filter(|next| *next > time)
}

fn before_next(time: Timestamp) -> Option<Bound> {
    next(time).map(Bound::Before)
}

/// Whether the time has the form that Glance reads: a year of four digits, from 1 on.
fn is_writable(time: &Timestamp) -> bool {
    let text = time.to_string();
    text.len() == "2026-11-23T12:00:00Z".len() && !text.starts_with("0000") && !text.starts_with('-')
}

fn sizes(query: &Query) -> Params {
    let (mut least, mut most) = (None::<u64>, None::<u64>);
    for filter in &query.filters {
        let Filter::Number { field: Field::Size, comparison, value } = filter else { continue };
        let (from, to) = match comparison {
            Comparison::Eq => (Some(*value), Some(*value)),
            Comparison::Ge => (Some(*value), None),
            Comparison::Gt => (value.checked_add(1), None),
            Comparison::Le => (None, Some(*value)),
            Comparison::Lt => (None, value.checked_sub(1)),
            Comparison::Ne => (None, None),
        };
        least = least.max(from);
        most = match (most, to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    // Databases have no larger numbers, and fail on them.
    let fits = |size: &u64| i64::try_from(*size).is_ok();
    let least = least.filter(fits).map(|size| ("size_min".to_owned(), size.to_string()));
    let most = most.filter(fits).map(|size| ("size_max".to_owned(), size.to_string()));
    least.into_iter().chain(most).collect()
}

/// The parameter that asks for what `filter` admits, if there is one.
fn equality(filter: &Filter) -> Option<(String, String)> {
    match filter {
        Filter::Text { field, any_of } => {
            let value = text(*field, any_of)?;
            Some((field.as_str().to_owned(), value))
        }
        Filter::Number { field, comparison: Comparison::Eq, value } => {
            let most = match field {
                Field::MinDisk | Field::MinRam => i32::MAX.unsigned_abs().into(),
                Field::VirtualSize => i64::MAX.unsigned_abs(),
                _ => return None,
            };
            (*value <= most).then(|| (field.as_str().to_owned(), value.to_string()))
        }
        Filter::Protected(wanted) => Some(("protected".to_owned(), wanted.to_string())),
        // Glance trims the tags that it is asked for.
        Filter::Tag(tag) => {
            (is_plain(tag) && !tag.is_empty() && tag.trim() == tag).then(|| ("tag".to_owned(), tag.clone()))
        }
        Filter::Property { key, value } => {
            (is_property_parameter(key) && is_plain(value)).then(|| (key.clone(), value.clone()))
        }
        // Glance finds no parts of names.
        Filter::Number { .. } | Filter::Time { .. } | Filter::Hidden(_) | Filter::NameContains(_) => None,
    }
}

fn text(field: Field, any_of: &[String]) -> Option<String> {
    if any_of.is_empty() || !any_of.iter().all(|value| is_plain(value)) {
        return None;
    }
    let operators =
        matches!(field, Field::Id | Field::Name | Field::Status | Field::ContainerFormat | Field::DiskFormat);
    match any_of {
        // Without an operator, text in front of a colon would be taken for one.
        [value] if operators => Some(format!("eq:{value}")),
        values if operators => {
            // A quote or a backslash inside quotes is not given back as it was.
            let quotable = values.iter().all(|value| !value.contains(['"', '\\']));
            let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
            quotable.then(|| format!("in:{}", quoted.join(",")))
        }
        [value]
            if matches!(field, Field::Owner | Field::Checksum | Field::HashAlgorithm | Field::HashValue) =>
        {
            Some(value.clone())
        }
        _ => None,
    }
}

/// Whether Glance would read a parameter of this name as a filter on a property.
fn is_property_parameter(key: &str) -> bool {
    let taken = [&RESERVED[..], &PARAMETERS[..], &ACCIDENTS[..]];
    !key.is_empty()
        && !key.starts_with('_')
        && !key.ends_with("_min")
        && !key.ends_with("_max")
        && taken.iter().all(|names| !names.contains(&key))
        && is_plain(key)
}

/// Whether text can be asked for at all: Glance answers 400 to what its database cannot hold.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c <= '\u{ffff}' && !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{ImageId, Position, Visibility};

    fn ask(query: &Query) -> Params {
        of(query, Credentials::Service, Order::Asked, false)
    }

    fn value<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
        params.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn filtered(filters: impl IntoIterator<Item = Filter>) -> Params {
        ask(&Query { filters: filters.into_iter().collect(), ..Query::default() })
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn created(comparison: Comparison, text: &str) -> Filter {
        Filter::Time { field: Field::CreatedAt, comparison, value: time(text) }
    }

    #[test]
    fn text_in_front_of_a_colon_is_not_taken_for_an_operator() {
        let params = filtered([Filter::text(Field::Name, "in:a,b")]);
        assert_eq!(value(&params, "name"), Some("eq:in:a,b"));
    }

    #[test]
    fn several_values_are_quoted_and_one_that_cannot_be_is_left_to_us() {
        let any_of = |values: &[&str]| Filter::Text {
            field: Field::Name,
            any_of: values.iter().map(|&value| value.to_owned()).collect(),
        };
        assert_eq!(value(&filtered([any_of(&["a,b", "c"])]), "name"), Some(r#"in:"a,b","c""#));
        assert_eq!(value(&filtered([any_of(&["a\"b", "c"])]), "name"), None);
        assert_eq!(value(&filtered([any_of(&["😀", "c"])]), "name"), None);
    }

    #[test]
    fn time_filters_are_put_so_that_hidden_microseconds_decide_nothing() {
        for (comparison, expected) in [
            (Comparison::Lt, Some("lt:2026-01-01T00:00:00Z")),
            (Comparison::Le, Some("lt:2026-01-01T00:00:01Z")),
            (Comparison::Gt, Some("gte:2026-01-01T00:00:01Z")),
            (Comparison::Ge, Some("gte:2026-01-01T00:00:00Z")),
            (Comparison::Eq, Some("lt:2026-01-01T00:00:01Z")),
            (Comparison::Ne, None),
        ] {
            let params = filtered([created(comparison, "2026-01-01")]);
            assert_eq!(value(&params, "created_at"), expected, "{comparison}");
        }
    }

    #[test]
    fn a_position_seeks_by_time_and_of_several_bounds_the_walk_takes_its_own_side() {
        let mut query = Query {
            filters: vec![created(Comparison::Ge, "2020-01-01"), created(Comparison::Lt, "2026-01-01")],
            position: Some(Position {
                values: vec![SortValue::Time(time("2025-01-01"))],
                id: ImageId::lookup("x"),
            }),
            ..Query::default()
        };
        assert_eq!(value(&ask(&query), "created_at"), Some("lt:2025-01-01T00:00:01Z"));
        query.sort = Sort::by([(SortKey::CreatedAt, Direction::Asc)]);
        assert_eq!(value(&ask(&query), "created_at"), Some("gte:2025-01-01T00:00:00Z"));
        query.sort = Sort::by([(SortKey::Name, Direction::Asc)]);
        assert_eq!(value(&ask(&query), "created_at"), Some("lt:2026-01-01T00:00:00Z"));
    }

    #[test]
    fn times_that_glance_cannot_read_are_not_sent() {
        for text in ["-000001-01-01T00:00:00Z", "0000-01-01T00:00:00Z"] {
            assert_eq!(value(&filtered([created(Comparison::Ge, text)]), "created_at"), None, "{text}");
        }
        let last = "9999-12-30T22:00:00Z";
        assert!(
            value(&filtered([created(Comparison::Le, last)]), "created_at")
                .is_none_or(|v| v.starts_with("lt:9999"))
        );
    }

    #[test]
    fn properties_named_like_something_else_are_left_to_us() {
        for key in [
            "limit",
            "marker",
            "sort",
            "visibility",
            "disk_min",
            "name",
            "to_dict",
            "_x",
            "",
            "changes-since",
        ] {
            let filter = Filter::Property { key: key.to_owned(), value: "v".to_owned() };
            let plain = filtered([]);
            assert_eq!(filtered([filter]), plain, "{key}");
        }
        let params = filtered([Filter::Property { key: "os_distro".to_owned(), value: "a:b".to_owned() }]);
        assert_eq!(value(&params, "os_distro"), Some("a:b"));
    }

    #[test]
    fn tags_are_repeated_and_one_that_glance_would_trim_is_left_to_us() {
        let params = filtered(["a", "b", " c", ""].map(|tag| Filter::Tag(tag.to_owned())));
        let tags: Vec<&str> =
            params.iter().filter(|(name, _)| name == "tag").map(|(_, v)| v.as_str()).collect();
        assert_eq!(tags, ["a", "b"]);
    }

    #[test]
    fn sizes_are_asked_for_by_their_tightest_bounds() {
        let size = |comparison, value| Filter::Number { field: Field::Size, comparison, value };
        let params = filtered([
            size(Comparison::Ge, 5),
            size(Comparison::Gt, 9),
            size(Comparison::Lt, 100),
            size(Comparison::Le, 100),
        ]);
        assert_eq!((value(&params, "size_min"), value(&params, "size_max")), (Some("10"), Some("99")));
        assert_eq!(value(&filtered([size(Comparison::Ge, u64::MAX)]), "size_min"), None);
    }

    #[test]
    fn a_list_of_filters_too_long_for_a_url_is_cut_and_still_asks_for_enough() {
        let ids = (0..200).map(|_| ImageId::random().to_string()).collect();
        let params =
            filtered([Filter::Text { field: Field::Id, any_of: ids }, Filter::text(Field::Name, "n")]);
        assert_eq!((value(&params, "id"), value(&params, "name")), (None, Some("eq:n")));
    }

    #[test]
    fn who_decides_about_tenancy_decides_what_is_asked_for() {
        let mut query = Query::default();
        assert_eq!(value(&ask(&query), "visibility"), Some("all"));
        let as_caller = |query: &Query| of(query, Credentials::Caller, Order::Asked, false);
        assert_eq!(value(&as_caller(&query), "visibility"), None);
        query.scope.member_status = MemberScope::Pending;
        assert_eq!(value(&as_caller(&query), "member_status"), Some("pending"));
        assert_eq!(value(&ask(&query), "member_status"), None);
        query.scope.visibility = VisibilityScope::Only(Visibility::Shared);
        assert_eq!(value(&ask(&query), "visibility"), Some("shared"));
    }

    #[test]
    fn a_walk_ends_where_its_time_filter_can_no_longer_hold() {
        let image = |text: &str| Image {
            created_at: time(text),
            ..image_service::NewImage::default()
                .into_image(&image_service::Caller::administrator(), time(text))
                .unwrap()
        };
        let query = |comparison, direction| Query {
            filters: vec![created(comparison, "2026-01-02")],
            sort: Sort::by([(SortKey::CreatedAt, direction)]),
            ..Query::default()
        };
        for (comparison, direction, text, expected) in [
            (Comparison::Ge, Direction::Desc, "2026-01-01", true),
            (Comparison::Ge, Direction::Desc, "2026-01-02", false),
            (Comparison::Gt, Direction::Desc, "2026-01-02", true),
            (Comparison::Eq, Direction::Desc, "2026-01-03", false),
            (Comparison::Eq, Direction::Desc, "2026-01-01", true),
            (Comparison::Lt, Direction::Desc, "2026-01-03", false),
            (Comparison::Lt, Direction::Asc, "2026-01-02", true),
            (Comparison::Le, Direction::Asc, "2026-01-02", false),
            (Comparison::Ge, Direction::Asc, "2026-01-01", false),
            (Comparison::Ne, Direction::Asc, "2026-01-02", false),
        ] {
            let query = query(comparison, direction);
            assert_eq!(is_beyond(&query, &image(text)), expected, "{comparison} {direction} {text}");
        }
    }
}
