//! A moment in whole seconds of UTC, as images carry it.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Whole seconds since 1970-01-01T00:00:00Z. Finer parts are cut off on the way in, so that what is compared
/// is what every client can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The present second.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_second())
    }

    /// The moment `seconds` after the epoch.
    ///
    /// # Errors
    /// `Invalid` outside the years -9999 to 9999.
    pub fn from_second(seconds: i64) -> Result<Self> {
        jiff::Timestamp::from_second(seconds)
            .map(|_| Self(seconds))
            .map_err(|source| Error::invalid("a time outside the calendar").with_source(source))
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_second(self) -> i64 {
        self.0
    }

    /// This moment moved by `seconds`, held within the calendar.
    #[must_use]
    pub fn saturating_add(self, seconds: i64) -> Self {
        Self::from_second(self.0.saturating_add(seconds)).unwrap_or(self)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads ISO 8601: a date, or a date and time with or without fraction and offset. No offset means UTC.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid(format!("'{text}' is not an ISO 8601 time"));
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(instant.as_second()));
        }
        let civil: jiff::civil::DateTime = text.parse().map_err(|source| invalid().with_source(source))?;
        let instant =
            jiff::tz::Offset::UTC.to_timestamp(civil).map_err(|source| invalid().with_source(source))?;
        Ok(Self(instant.as_second()))
    }
}

impl fmt::Display for Timestamp {
    /// `2026-11-23T12:00:00Z`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(instant) => write!(f, "{}", instant.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn with_and_without_fraction_and_offset_is_the_same_second() {
        let expected = parse("2010-10-11T10:30:22Z");
        for text in [
            "2010-10-11T10:30:22",
            "2010-10-11T10:30:22.999999",
            "2010-10-11T10:30:22.5Z",
            "2010-10-11 10:30:22",
            "2010-10-11T12:30:22+02:00",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(expected.to_string(), "2010-10-11T10:30:22Z");
    }

    #[test]
    fn a_date_alone_is_its_midnight_and_anything_else_is_invalid() {
        assert_eq!(parse("2010-10-11").to_string(), "2010-10-11T00:00:00Z");
        for text in ["", "yesterday", "2010-13-01T00:00:00Z", "10:30"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
