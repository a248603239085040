//! The value of one filter: operators, lists, times, numbers. Pure.

use image_service::{Comparison, Field, Filter, Timestamp};

use super::fault::Fault;

/// Text to be equal to, or one of several: `a`, `eq:a:b`, `in:a,"b,c"`.
pub(super) fn text(field: Field, value: &str) -> Result<Filter, Fault> {
    let any_of = match value.split_once(':') {
        None => vec![value.to_owned()],
        Some(("eq", wanted)) => vec![wanted.to_owned()],
        Some(("in", list)) => items(list).map_err(|why| Fault::bad_request(format!("{field}: {why}")))?,
        Some((operator, _)) => {
            return Err(Fault::bad_request(format!(
                "{field}: Unable to filter by unknown operator '{operator}'."
            )));
        }
    };
    Ok(Filter::Text { field, any_of })
}

/// As [`text`], or a part of the name: `like:ubuntu`.
pub(super) fn name(value: &str) -> Result<Filter, Fault> {
    match value.strip_prefix("like:") {
        Some(part) => Ok(Filter::NameContains(part.to_owned())),
        None => text(Field::Name, value),
    }
}

/// A moment to compare with: `2026-11-23T12:00:00Z`, `gte:2026-11-23`.
pub(super) fn time(field: Field, value: &str) -> Result<Filter, Fault> {
    let wrong =
        || Fault::bad_request(format!("{field}: must be an ISO 8601 time, or an operator, ':' and one"));
    // A time has colons of its own, so it is tried whole first.
    let (comparison, value) = match value.parse::<Timestamp>() {
        Ok(time) => (Comparison::Eq, time),
        Err(_) => {
            let (operator, time) = value.split_once(':').ok_or_else(wrong)?;
            (operator.parse().map_err(|_| wrong())?, time.parse().map_err(|_| wrong())?)
        }
    };
    Ok(Filter::Time { field, comparison, value })
}

/// A number to compare with.
pub(super) fn number(key: &str, field: Field, comparison: Comparison, value: &str) -> Result<Filter, Fault> {
    let value =
        value.parse().map_err(|_| Fault::bad_request(format!("{key}: must be an integer, not negative")))?;
    Ok(Filter::Number { field, comparison, value })
}

/// Splits at commas that are not between quotes. Between quotes a backslash takes the next character as it is.
fn items(list: &str) -> Result<Vec<String>, &'static str> {
    let mut items = Vec::new();
    let mut rest = list;
    loop {
        let (item, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_item(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (item, behind) = rest.split_at(end);
                if item.contains('"') {
                    return Err("there is no comma before a quotation mark");
                }
                (item.to_owned(), behind)
            }
        };
        items.push(item);
        rest = match behind.strip_prefix(',') {
            Some(rest) => rest,
            None if behind.is_empty() => return Ok(items),
            None => return Err("there is no comma behind a quotation mark"),
        };
    }
}

/// The item up to the closing quote, and what is behind it.
fn quoted_item(text: &str) -> Result<(String, &str), &'static str> {
    let mut item = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Ok((item, characters.as_str())),
            '\\' => item.extend(characters.next()),
            other => item.push(other),
        }
    }
    Err("a quotation mark is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    fn wanted(value: &str) -> Option<Vec<String>> {
        match text(Field::Name, value) {
            Ok(Filter::Text { any_of, .. }) => Some(any_of),
            Ok(other) => panic!("{other:?}"),
            Err(fault) => {
                assert!(fault.message().starts_with("name: "), "{}", fault.message());
                None
            }
        }
    }

    #[test]
    fn text_is_equal_or_in_a_list_with_quotes() {
        for (value, expected) in [
            ("a", &["a"][..]),
            ("", &[""]),
            ("eq:a:b", &["a:b"]),
            ("eq:", &[""]),
            ("in:a,b", &["a", "b"]),
            ("in:", &[""]),
            ("in:a,,b,", &["a", "", "b", ""]),
            (r#"in:"a,b",c"#, &["a,b", "c"]),
            (r#"in:"a\"b""#, &["a\"b"]),
            ("in:eq:a", &["eq:a"]),
        ] {
            assert_eq!(wanted(value).unwrap(), expected, "{value}");
        }
        for bad in ["a:b", "neq:a", "IN:a", r#"in:"a"#, r#"in:a"b""#, r#"in:"a"b"#, r#"in:"a\""#] {
            assert_eq!(wanted(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_part_of_a_name_is_everything_behind_the_operator() {
        let part = |text: &str| Filter::NameContains(text.to_owned());
        for (value, expected) in
            [("like:ubuntu", part("ubuntu")), ("like:", part("")), ("like:a:%_\"", part("a:%_\""))]
        {
            assert_eq!(name(value).ok(), Some(expected), "{value}");
        }
        assert_eq!(name("like").ok(), Some(Filter::text(Field::Name, "like")));
        assert_eq!(name("in:like:a").ok(), Some(Filter::text(Field::Name, "like:a")));
        assert!(name("LIKE:a").is_err());
        assert!(text(Field::Id, "like:a").is_err());
    }

    #[test]
    fn times_have_operators_and_default_to_equality() {
        let read = |value: &str| match time(Field::CreatedAt, value) {
            Ok(Filter::Time { comparison, value, .. }) => Some((comparison, value.to_string())),
            _ => None,
        };
        let noon = "2026-11-23T12:00:00Z".to_owned();
        assert_eq!(read("2026-11-23T12:00:00Z"), Some((Comparison::Eq, noon.clone())));
        assert_eq!(read("gte:2026-11-23T12:00:00"), Some((Comparison::Ge, noon.clone())));
        for operator in Comparison::ALL {
            assert_eq!(read(&format!("{operator}:{noon}")), Some((*operator, noon.clone())));
        }
        for bad in ["", "noon", "in:2026-11-23", "gt:", "gt:noon", "gt"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_value_of_any_kind_is_a_panic(value in any::<String>(), list in "[a,\"\\\\:]{0,12}") {
            let _ = (text(Field::Name, &value), time(Field::CreatedAt, &value));
            let _ = number("size_min", Field::Size, Comparison::Ge, &value);
            let _ = text(Field::Name, &format!("in:{list}"));
        }
    }
}
