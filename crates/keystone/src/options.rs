//! How to reach a Keystone, with every bound and its default. Every time is longer than nothing and no longer than a
//! day.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::{Address, Credential};

/// No time is longer: the clock cannot be asked for a moment that is too far off.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How to reach a Keystone, and how much of its time and talk to take.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where it is.
    pub url: Address,
    /// As whom to speak to it.
    pub credential: Credential,
    /// The certificate authorities to trust, in PEM, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take to be made. Default: 5 s.
    #[serde(default = "five_seconds", deserialize_with = "time")]
    pub connect_timeout: Duration,
    /// How long one answer may take, the wait until others have theirs included. Default: 10 s.
    #[serde(default = "ten_seconds", deserialize_with = "time")]
    pub answer_timeout: Duration,
    /// The most bytes of one answer. Default: 1 MiB.
    #[serde(default = "one_mebibyte", deserialize_with = "some_bytes")]
    pub max_response: ByteSize,
    /// The most requests at once; more wait until one ends. Default: 32.
    #[serde(default = "thirty_two")]
    pub calls: NonZeroUsize,
    /// How long before its end a token of our own is renewed, or a fifth of its life if that is less. Default: 5 min.
    #[serde(default = "five_minutes", deserialize_with = "time")]
    pub renew_before: Duration,
    /// How long not to ask for a token again after that failed. Default: 1 s.
    #[serde(default = "one_second", deserialize_with = "time")]
    pub retry_pause: Duration,
}

impl Options {
    /// The options to speak to the Keystone at `url` with `credential`, with every default.
    #[must_use]
    pub fn new(url: Address, credential: Credential) -> Self {
        Self {
            url,
            credential,
            ca_file: None,
            connect_timeout: five_seconds(),
            answer_timeout: ten_seconds(),
            max_response: one_mebibyte(),
            calls: thirty_two(),
            renew_before: five_minutes(),
            retry_pause: one_second(),
        }
    }
}

/// A time that is more than nothing and at most a day.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let time = humantime_serde::deserialize::<Duration, D>(deserializer)?;
    if time.is_zero() {
        return Err(D::Error::custom("must be longer than nothing"));
    }
    if time > LONGEST {
        return Err(D::Error::custom("must not be longer than a day"));
    }
    Ok(time)
}

fn some_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    let size = ByteSize::deserialize(deserializer)?;
    if size.as_u64() == 0 { Err(D::Error::custom("must be more than nothing")) } else { Ok(size) }
}

const fn one_second() -> Duration {
    Duration::from_secs(1)
}
const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}
const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}
const fn one_mebibyte() -> ByteSize {
    ByteSize::mib(1)
}
const fn thirty_two() -> NonZeroUsize {
    NonZeroUsize::new(32).expect("thirty-two is not zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &str) -> Result<Options, toml::de::Error> {
        let credential = "credential = { username = 'a', password = 'hunter2', project_name = 'b' }";
        toml::from_str(&format!("url = 'http://127.0.0.1:5000/v3'\n{credential}\n{more}"))
    }

    #[test]
    fn what_is_left_out_is_what_new_gives() {
        let parsed = parse("").unwrap();
        assert_eq!(Options::new(parsed.url.clone(), parsed.credential.clone()), parsed);
        assert!(!format!("{parsed:?}").contains("hunter2"));
    }

    #[test]
    fn a_bound_is_more_than_nothing_and_a_time_at_most_a_day() {
        for key in ["connect_timeout", "answer_timeout", "renew_before", "retry_pause"] {
            assert!(parse(&format!("{key} = '0s'")).is_err(), "{key}");
            assert!(parse(&format!("{key} = '25h'")).is_err(), "{key}");
            assert!(parse(&format!("{key} = '1day'")).is_ok(), "{key}");
        }
        for nothing in ["max_response = 0", "calls = 0", "time_out = '1s'"] {
            assert!(parse(nothing).is_err(), "{nothing}");
        }
    }
}
