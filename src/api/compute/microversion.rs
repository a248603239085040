//! Which microversion of the Compute API a request speaks, and how an answer tells it. Pure.

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::super::fault::Fault;
use super::Spelling;

const HEADER: HeaderName = HeaderName::from_static("openstack-api-version");
/// Its name until 2016, which has the number alone.
const FORMER: HeaderName = HeaderName::from_static("x-openstack-nova-api-version");
/// As what the first of the headers knows this service.
const SERVICE: &str = "compute";

/// A microversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Microversion {
    major: u32,
    minor: u32,
}

impl Microversion {
    /// What who asks for none gets, and the oldest there is.
    pub(super) const OLDEST: Self = Self::minor(1);
    /// The newest that is known here, that of Nova 34.
    pub(super) const NEWEST: Self = Self::minor(104);

    /// The one of this major version, which is the only one there has been.
    pub(super) const fn minor(minor: u32) -> Self {
        Self { major: 2, minor }
    }

    /// Reads `2.35`. No number begins with a zero, but for zero itself as the second.
    fn read(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let canonical = text == "0" || !text.starts_with('0');
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // What overflows is still a number, and newer than any version.
            (canonical && digits).then(|| text.parse().unwrap_or(u32::MAX))
        };
        let (major, minor) = text.split_once('.')?;
        let (major, minor) = (number(major).filter(|major| *major > 0)?, number(minor)?);
        Some(Self { major, minor })
    }
}

impl std::fmt::Display for Microversion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Asked {
    /// It cannot ask, as the API has no microversions by the name that it is called.
    Nothing,
    /// A microversion, maybe one that is not known.
    For(Microversion),
    /// What is none.
    Malformed(String),
}

impl Asked {
    /// Reads the headers of a request.
    pub(in super::super) fn read(spelling: Spelling, headers: &HeaderMap) -> Self {
        if spelling == Spelling::Legacy {
            return Self::Nothing;
        }
        match named(headers).as_deref() {
            None => Self::For(Microversion::OLDEST),
            Some("latest") => Self::For(Microversion::NEWEST),
            Some(text) => {
                Microversion::read(text).map_or_else(|| Self::Malformed(text.to_owned()), Self::For)
            }
        }
    }

    /// The microversion, if it is one that is known.
    ///
    /// # Errors
    /// 400 for what is no microversion, 406 for one that is not known.
    pub(super) fn known(&self) -> Result<Microversion, Fault> {
        let (oldest, newest) = (Microversion::OLDEST, Microversion::NEWEST);
        match self {
            Self::Nothing => Ok(oldest),
            Self::For(version) if (oldest..=newest).contains(version) => Ok(*version),
            Self::For(version) => {
                let message = format!(
                    "Version {version} is not supported by the API. Minimum is {oldest} and maximum is {newest}."
                );
                Err(Fault::new(StatusCode::NOT_ACCEPTABLE, message))
            }
            Self::Malformed(text) => Err(Fault::bad_request(format!(
                "API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
            ))),
        }
    }

    /// Tells in the headers of an answer which microversion it speaks, and that it is another one by these headers.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let Self::For(version) = self else { return };
        for (name, spelt, text) in [
            (HEADER, "OpenStack-API-Version", format!("{SERVICE} {version}")),
            (FORMER, "X-OpenStack-Nova-API-Version", version.to_string()),
        ] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
            headers.append(VARY, HeaderValue::from_static(spelt));
        }
    }
}

/// What the headers name: the last one for this service counts, and the newer header before the older.
fn named(headers: &HeaderMap) -> Option<String> {
    let texts = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let pieces: Vec<&str> = texts(HEADER).flat_map(|text| text.split(',')).collect();
    let ours = |piece: &&str| {
        let (service, version) = piece.trim().split_once(char::is_whitespace)?;
        service.eq_ignore_ascii_case(SERVICE).then(|| version.trim().to_owned())
    };
    let former = || texts(FORMER).flat_map(|text| text.split(',')).last().map(|text| text.trim().to_owned());
    pieces.iter().rev().find_map(ours).or_else(former)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    const NEW: &str = "openstack-api-version";
    const OLD: &str = "x-openstack-nova-api-version";

    #[test]
    fn the_newer_header_counts_if_it_names_this_service_and_the_last_of_several_values() {
        let version = |minor| Asked::For(Microversion::minor(minor));
        for (pairs, expected) in [
            (&[][..], version(1)),
            (&[(NEW, "compute 2.35")], version(35)),
            (&[(NEW, "Compute  2.35 ")], version(35)),
            (&[(NEW, "compute latest")], version(104)),
            (&[(NEW, "volume 3.1, compute 2.2, compute 2.3, image 2.9")], version(3)),
            (&[(NEW, "compute 2.2"), (NEW, "compute 2.4")], version(4)),
            (&[(NEW, "volume 3.1"), (OLD, "2.5")], version(5)),
            (&[(NEW, "2.7")], version(1)),
            (&[(OLD, "2.5, 2.6")], version(6)),
            (&[(NEW, "compute 2.7"), (OLD, "2.6")], version(7)),
            (&[(NEW, "compute 2.99999999999")], version(u32::MAX)),
        ] {
            assert_eq!(Asked::read(Spelling::Versioned, &headers(pairs)), expected, "{pairs:?}");
        }
        for bad in ["2", "2.", ".1", "2.01", "02.1", "0.1", "2.1.1", "2.x", "-2.1", "2.1 x", "Latest"] {
            let asked = Asked::read(Spelling::Versioned, &headers(&[(OLD, bad)]));
            assert_eq!(asked, Asked::Malformed(bad.to_owned()), "{bad}");
        }
        assert_eq!(Asked::read(Spelling::Legacy, &headers(&[(OLD, "x")])), Asked::Nothing);
    }

    #[test]
    fn what_is_not_known_is_told_with_what_is() {
        let known = |text: &str| {
            let known = Asked::read(Spelling::Versioned, &headers(&[(OLD, text)])).known();
            known.map_err(|fault| (fault.status().as_u16(), fault.message().to_owned()))
        };
        assert_eq!(known("2.1"), Ok(Microversion::OLDEST));
        assert_eq!(known("2.104"), Ok(Microversion::NEWEST));
        for text in ["2.0", "2.105", "3.1", "1.1"] {
            let words =
                format!("Version {text} is not supported by the API. Minimum is 2.1 and maximum is 2.104.");
            assert_eq!(known(text), Err((406, words)));
        }
        let words = "API Version String x is of invalid format. Must be of format MajorNum.MinorNum.";
        assert_eq!(known("x"), Err((400, words.to_owned())));
        assert_eq!(Asked::Nothing.known().unwrap(), Microversion::OLDEST);
    }

    #[test]
    fn an_answer_tells_by_both_headers_and_varies_by_both() {
        let told = |asked: &Asked| {
            let mut headers = HeaderMap::new();
            asked.tell(&mut headers);
            let all = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            all.collect::<Vec<_>>()
        };
        let expected = [
            "openstack-api-version: compute 2.35",
            "vary: OpenStack-API-Version",
            "vary: X-OpenStack-Nova-API-Version",
            "x-openstack-nova-api-version: 2.35",
        ];
        let mut lines = told(&Asked::For(Microversion::minor(35)));
        lines.sort_unstable();
        assert_eq!(lines, expected);
        assert!(told(&Asked::Nothing).is_empty() && told(&Asked::Malformed("x".into())).is_empty());
    }
}
