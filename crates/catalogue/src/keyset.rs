//! The order of a list as SQL, and what lies after a place in it.
//!
//! Pure. The columns that are sorted by are words of this file; values are bound.

use image_service::{Direction, Position, SortKey, SortValue};
use rusqlite::types::Value;

/// A condition, and the values that it takes in turn.
#[derive(Debug)]
pub(crate) struct After {
    pub(crate) condition: String,
    pub(crate) values: Vec<Value>,
}

/// Holds for what comes strictly after `position`, which `keys` have made.
pub(crate) fn after(keys: &[(SortKey, Direction)], position: &Position) -> After {
    let id = SortValue::Text(position.id.as_str().to_owned());
    let places: Vec<Place<'_>> = keys
        .iter()
        .zip(position.values.iter().chain([&id]))
        .map(|((key, direction), value)| Place { key: *key, direction: *direction, value })
        .collect();
    match one_way(&places) {
        Some(direction) => as_row(&places, direction),
        None => by_case(&places),
    }
}

/// All keys in one comparison, which SQLite answers by going to that place in an index.
fn as_row(places: &[Place<'_>], direction: Direction) -> After {
    let columns: Vec<_> = places.iter().map(|place| column(place.key)).collect();
    let operator = match direction {
        Direction::Asc => ">",
        Direction::Desc => "<",
    };
    let marks = vec!["?"; places.len()].join(", ");
    After {
        condition: format!("({}) {operator} ({marks})", columns.join(", ")),
        values: places.iter().map(|place| sort_value(place.value)).collect(),
    }
}

/// The first key is beyond its value, or it is equal and the second is beyond, and so on.
///
/// The `+` keeps SQLite from looking the cases up one by one, which would cost it the order.
fn by_case(places: &[Place<'_>]) -> After {
    let (mut cases, mut values) = (Vec::with_capacity(places.len()), Vec::new());
    for (count, place) in places.iter().enumerate() {
        let mut case = Vec::with_capacity(count + 1);
        for equal in places.iter().take(count) {
            case.push(format!("+{} IS ?", column(equal.key)));
            values.push(sort_value(equal.value));
        }
        let (beyond, value) = beyond(place);
        case.push(beyond);
        values.extend(value);
        cases.push(format!("({})", case.join(" AND ")));
    }
    After { condition: format!("({})", cases.join(" OR ")), values }
}

fn beyond(place: &Place<'_>) -> (String, Option<Value>) {
    let column = column(place.key);
    match (place.direction, place.value) {
        (Direction::Asc, SortValue::Unset) => (format!("+{column} IS NOT NULL"), None),
        (Direction::Desc, SortValue::Unset) => ("FALSE".to_owned(), None),
        (Direction::Asc, value) => (format!("+{column} > ?"), Some(sort_value(value))),
        (Direction::Desc, value) => {
            (format!("(+{column} < ? OR +{column} IS NULL)"), Some(sort_value(value)))
        }
    }
}

/// One key of a position.
struct Place<'a> {
    key: SortKey,
    direction: Direction,
    value: &'a SortValue,
}

/// The direction of all keys, if there is one and `NULL` does not matter: SQL calls nothing greater or less than
/// `NULL`, which is right for what is greater than a value, and wrong for what is less.
fn one_way(places: &[Place<'_>]) -> Option<Direction> {
    let direction = places.first()?.direction;
    let plain = |place: &Place<'_>| match direction {
        Direction::Asc => *place.value != SortValue::Unset,
        Direction::Desc => is_never_unset(place.key),
    };
    places.iter().all(|place| place.direction == direction && plain(place)).then_some(direction)
}

/// The keys as SQL sorts by them: `NULL` first when ascending, and text by bytes, as the contract does.
pub(crate) fn order(keys: &[(SortKey, Direction)]) -> String {
    let mut order = Vec::with_capacity(keys.len());
    for (key, direction) in keys {
        order.push(match direction {
            Direction::Asc => format!("{} ASC", column(*key)),
            Direction::Desc => format!("{} DESC", column(*key)),
        });
    }
    order.join(", ")
}

const fn column(key: SortKey) -> &'static str {
    match key {
        SortKey::Name => "images.name",
        SortKey::Status => "images.status",
        SortKey::ContainerFormat => "images.container_format",
        SortKey::DiskFormat => "images.disk_format",
        SortKey::Size => "images.size",
        SortKey::Id => "images.id",
        SortKey::CreatedAt => "images.created_at",
        SortKey::UpdatedAt => "images.updated_at",
    }
}

const fn is_never_unset(key: SortKey) -> bool {
    matches!(key, SortKey::Status | SortKey::Id | SortKey::CreatedAt | SortKey::UpdatedAt)
}

fn sort_value(value: &SortValue) -> Value {
    match value {
        SortValue::Unset => Value::Null,
        SortValue::Text(text) => Value::Text(text.clone()),
        SortValue::Number(value) => number(*value),
        SortValue::Time(time) => Value::Integer(time.as_second()),
    }
}

/// A number to compare with. What is kept is below `i64::MAX`, so that stands for all numbers from there on.
pub(crate) fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
