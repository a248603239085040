//! What a server says of when a file changed, and what may be made of that. Pure.

use image_service::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderName, LAST_MODIFIED};

/// How many seconds a file must not have changed for its next change to be told by what a server knows it by. Servers
/// know a file by the second of its last change, and listings tell the minute.
const SETTLED: i64 = 120;

/// Reads the time of `Last-Modified`, which is one of RFC 2822.
pub(crate) fn http_time(text: &str) -> Option<Timestamp> {
    let instant = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Timestamp::from_second(instant.as_second()).ok()
}

/// When the file last changed that an answer with these `headers` is of, if they say.
pub(crate) fn modified(headers: &HeaderMap) -> Option<Timestamp> {
    time(headers, LAST_MODIFIED)
}

/// Whether the file that an answer with these `headers` is of had not changed for two minutes, by the server's own clock.
/// Not if they do not say.
pub(crate) fn is_settled(headers: &HeaderMap) -> bool {
    time(headers, DATE)
        .zip(modified(headers))
        .is_some_and(|(now, changed)| now.as_second().saturating_sub(changed.as_second()) >= SETTLED)
}

fn time(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    headers.get(name).and_then(|value| http_time(value.to_str().ok()?))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn times_are_read_as_servers_and_catalogues_write_them() {
        let expected = "2024-03-19T09:48:38Z".parse().ok();
        for text in [
            "Tue, 19 Mar 2024 09:48:38 GMT",
            "Tue, 19 Mar 2024 09:48:38 +0000",
            "Tue, 19 Mar 2024 10:48:38 +0100",
        ] {
            assert_eq!(http_time(text), expected, "{text}");
        }
        assert_eq!(http_time("yesterday"), None);
    }

    #[test]
    fn a_file_has_settled_when_it_has_not_changed_for_two_minutes() {
        let now = "Tue, 19 Mar 2024 09:50:00 GMT";
        for (now, changed, settled) in [
            (Some(now), Some("Tue, 19 Mar 2024 09:48:00 GMT"), true),
            (Some(now), Some("Tue, 19 Mar 2024 09:48:01 GMT"), false),
            (Some(now), Some("Tue, 19 Mar 2024 09:52:00 GMT"), false),
            (Some(now), Some("x"), false),
            (Some(now), None, false),
            (None, Some("Tue, 19 Mar 2024 09:48:00 GMT"), false),
        ] {
            let said = [(DATE, now), (LAST_MODIFIED, changed)];
            let headers =
                said.into_iter().filter_map(|(name, time)| Some((name, HeaderValue::from_static(time?))));
            assert_eq!(is_settled(&headers.collect()), settled, "{now:?} {changed:?}");
        }
    }
}
