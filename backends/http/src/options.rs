//! What can be set about a remote service, with every bound and its default.
//!
//! Only shapes and values are checked here, as they are read. Files and variables are read when the backend is
//! opened. Every time must be longer than nothing and no longer than a day. A key that the dialect has no use for is a
//! fault as one that nobody knows.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use image_service::Secret;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IntoDeserializer as _};
use url::Url;

use crate::client::Connection;
use crate::keys::Keys;

/// No time is longer: the clock cannot be asked for a moment that is too far off.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The most headers of an answer in a dialect whose records travel in them: 128 properties, and what else there is.
const MOST_HEADERS: usize = 256;

/// What `dialect` can be, for all that this crate makes.
const DIALECTS: &[&str] =
    &["glance-v2", "glance-v1", "compute-images", "simplestreams", "virt-builder", "directory"];

/// How to reach a remote image service, and how much of its time and talk to take.
// Not what serde makes is the way to read this, but what refuses useless keys on top of that.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Options {
    /// Which API it speaks.
    #[serde(deserialize_with = "dialect")]
    pub dialect: Dialect,
    /// Where it is: `http` or `https`, with a path if it has one, with or without a trailing version of that API. For
    /// `compute-images` a project may follow the version.
    #[serde(deserialize_with = "endpoint")]
    pub endpoint: Url,
    /// As whom to speak to it. Default: as nobody.
    #[serde(default, deserialize_with = "auth")]
    pub auth: Auth,
    /// For `compute-images` with a credential of ours: the project, as it is called there, that its images belong to, and
    /// whose alone they are. Default: none, and they are everybody's.
    #[serde(default)]
    pub owner: Option<String>,
    /// The certificate authorities to trust, in PEM, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to the service, with those that lead from it to an authority, in PEM. Default: none.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// How often to look, before a request, whether these three files have changed. Default: 10 s.
    #[serde(default = "ten_seconds", deserialize_with = "time")]
    pub look: Duration,
    /// How long a connection may take to be made. Default: 5 s.
    #[serde(default = "five_seconds", deserialize_with = "time")]
    pub connect_timeout: Duration,
    /// How long one answer to a read may take: a whole list or record, or the head of a download.
    /// Default: 30 s.
    #[serde(default = "thirty_seconds", deserialize_with = "time")]
    pub answer_timeout: Duration,
    /// How long the service may take to answer a write, counted from when it has all of it. Not for `compute-images`.
    /// Default: 5 min.
    #[serde(default = "five_minutes", deserialize_with = "time")]
    pub write_timeout: Duration,
    /// How long the service may give or take no byte in the middle of image data. Not for `compute-images`.
    /// Default: 60 s.
    #[serde(default = "one_minute", deserialize_with = "time")]
    pub idle_timeout: Duration,
    /// How long to wait for the service to notice that an upload broke off. Not for `compute-images`. Default: 15 s.
    #[serde(default = "fifteen_seconds", deserialize_with = "time")]
    pub settle_timeout: Duration,
    /// The most images to ask for in one request, and to give in one page. The service may give fewer.
    /// Default: 1000.
    #[serde(default = "thousand")]
    pub page_size: NonZeroUsize,
    /// The most requests to make for one page of a list. Default: 1000.
    #[serde(default = "thousand")]
    pub max_pages: NonZeroUsize,
    /// The most bytes of one answer that is not image data. Default: 64 MiB.
    #[serde(default = "sixty_four_mebibytes", deserialize_with = "some_bytes")]
    pub max_response: ByteSize,
    /// The most images to read at once when the service lists in another order than ours, or cannot go on
    /// from a place in its own. Default: 10 000.
    #[serde(default = "ten_thousand")]
    pub resort_limit: NonZeroUsize,
    /// How the service orders text. For `glance-v2` alone. Default: found out.
    #[serde(default)]
    pub text_order: TextOrder,
    /// How many memberships to look up at a time for one list. For `glance-v2` alone. Default: 8.
    #[serde(default = "eight")]
    pub membership_width: NonZeroUsize,
    /// The most bytes to read and throw away for a range that the service ignores. Not for `compute-images`.
    /// Default: 16 MiB.
    #[serde(default = "sixteen_mebibytes")]
    pub skip_limit: ByteSize,
    /// The most idle connections to keep. Default: 32.
    #[serde(default = "thirty_two")]
    pub pool_size: usize,
    /// How long to keep an idle connection. Default: 30 s.
    #[serde(default = "thirty_seconds", deserialize_with = "time")]
    pub pool_idle_timeout: Duration,
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = Keys::default();
        let options = Self::deserialize(keys.noting(deserializer))?;
        keys.refuse(options.dialect.useless(), options.dialect.name())?;
        if options.owner.is_some() && matches!(options.auth, Auth::Caller {}) {
            return Err(D::Error::custom(
                "unknown field `owner`, callers with tokens of their own are shown what the service shows them",
            ));
        }
        Ok(options)
    }
}

impl Options {
    /// The options for a service that speaks `dialect` at `endpoint` to anybody, with every default.
    #[must_use]
    pub fn new(dialect: Dialect, endpoint: Url) -> Self {
        Self {
            dialect,
            endpoint,
            auth: Auth::default(),
            owner: None,
            ca_file: None,
            client_certificate: None,
            client_key: None,
            look: ten_seconds(),
            connect_timeout: five_seconds(),
            answer_timeout: thirty_seconds(),
            write_timeout: five_minutes(),
            idle_timeout: one_minute(),
            settle_timeout: fifteen_seconds(),
            page_size: thousand(),
            max_pages: thousand(),
            max_response: sixty_four_mebibytes(),
            resort_limit: ten_thousand(),
            text_order: TextOrder::default(),
            membership_width: eight(),
            skip_limit: sixteen_mebibytes(),
            pool_size: thirty_two(),
            pool_idle_timeout: thirty_seconds(),
        }
    }

    /// How connections to the service are made.
    pub(crate) fn connection(&self) -> Connection {
        Connection {
            ca_file: self.ca_file.clone(),
            client_certificate: self.client_certificate.clone(),
            client_key: self.client_key.clone(),
            look: self.look,
            is_plain: self.endpoint.scheme() == "http",
            most_headers: (self.dialect == Dialect::GlanceV1).then_some(MOST_HEADERS),
            connect_timeout: self.connect_timeout,
            pool_size: self.pool_size,
            pool_idle_timeout: self.pool_idle_timeout,
        }
    }
}

/// The API that a remote service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// The OpenStack Image API v2, as Glance has it.
    #[serde(rename = "glance-v2")]
    GlanceV2,
    /// The Images API v1, as Glance had it until 2018.
    #[serde(rename = "glance-v1")]
    GlanceV1,
    /// The images that the OpenStack Compute API shows. It has no data of images, and takes no writes.
    #[serde(rename = "compute-images")]
    ComputeImages,
}

impl Dialect {
    /// What the configuration calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::GlanceV2 => "glance-v2",
            Self::GlanceV1 => "glance-v1",
            Self::ComputeImages => "compute-images",
        }
    }

    /// The options that it has no use for.
    const fn useless(self) -> &'static [&'static str] {
        match self {
            // It tells whose images are.
            Self::GlanceV2 => &["owner"],
            // So does this one. It asks for no order by text, and for all members of a project at once.
            Self::GlanceV1 => &["owner", "text_order", "membership_width"],
            // Nor has this one, and no data and no writes.
            Self::ComputeImages => &[
                "text_order",
                "membership_width",
                "skip_limit",
                "idle_timeout",
                "write_timeout",
                "settle_timeout",
            ],
        }
    }
}

/// As whom a remote service is spoken to.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// As nobody, to a service that asks nobody. Tenancy is enforced here.
    None {},
    /// With a token of our own, as an administrator there. Tenancy is enforced here. Exactly one of the three
    /// must be given. A token is not empty and can stand in a header.
    Token {
        /// The token itself.
        #[serde(default, deserialize_with = "secret")]
        token: Option<Secret>,
        /// A file that holds it. It is read again when the service no longer takes what it held.
        #[serde(default)]
        token_file: Option<PathBuf>,
        /// An environment variable that holds it.
        #[serde(default)]
        token_env: Option<String>,
    },
    /// With a token that a Keystone gives us for a credential of our own, of an administrator there; it is renewed before
    /// its end, and once if the service no longer takes it. Tenancy is enforced here.
    Keystone(Box<portico_keystone::Options>),
    /// With the caller's own token, passed on to this service and nowhere else. The service decides.
    Caller {},
}

impl Default for Auth {
    fn default() -> Self {
        Self::None {}
    }
}

/// How a service orders text. Where it puts what is unset is found out in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextOrder {
    /// Not known. It is found out as soon as names are sorted by, from two of the service's own images whose names
    /// can tell. While no two can, lists sorted by name are read whole and sorted here, within
    /// [`Options::resort_limit`].
    #[default]
    Auto,
    /// By bytes, as SQLite, PostgreSQL with the collation `C`, and MySQL with a binary one. Believed until a page
    /// shows otherwise.
    Bytes,
    /// By some rule of a language, or without regard to case, as MySQL. Lists sorted by name are then read
    /// whole and sorted here, within [`Options::resort_limit`].
    Other,
}

/// One of the dialects of services. Whoever means another kind of source has misspelt it, and is told those as well.
fn dialect<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Dialect, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known: Result<Dialect, serde::de::value::Error> =
        Dialect::deserialize(text.as_str().into_deserializer());
    known.map_err(|_| D::Error::unknown_variant(&text, DIALECTS))
}

/// A server's address, without its API version and without anything that does not belong there.
pub(crate) fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The text itself stays out of the message: somebody may have put a password in it.
    let url = Url::parse(&text).map_err(|error| D::Error::custom(format!("not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(D::Error::custom("not an http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(D::Error::custom("a URL with credentials in it; they belong in auth"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(D::Error::custom("a URL with a query or a fragment"));
    }
    Ok(url)
}

/// A way to be known that says all it needs and no more.
fn auth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Auth, D::Error> {
    let auth = Auth::deserialize(deserializer)?;
    if let Auth::Token { token, token_file, token_env } = &auth {
        let given = [token.is_some(), token_file.is_some(), token_env.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(D::Error::custom("needs exactly one of token, token_file and token_env"));
        }
    }
    Ok(auth)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let secret = Option::<String>::deserialize(deserializer)?.map(Secret::new);
    match &secret {
        Some(secret) if token_header(secret).is_none() => {
            Err(D::Error::custom("the token is empty or not one that a header can carry"))
        }
        _ => Ok(secret),
    }
}

/// `token` as a header has it, or `None` if it is empty or no header can carry it.
pub(crate) fn token_header(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(token.expose()).ok().filter(|value| !value.is_empty())?;
    value.set_sensitive(true);
    Some(value)
}

/// A time that is more than nothing and at most a day.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let time = humantime_serde::deserialize::<Duration, D>(deserializer)?;
    if time.is_zero() {
        return Err(D::Error::custom("must be longer than nothing"));
    }
    if time > LONGEST {
        return Err(D::Error::custom("must not be longer than a day"));
    }
    Ok(time)
}

pub(crate) fn some_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    let size = ByteSize::deserialize(deserializer)?;
    if size.as_u64() == 0 { Err(D::Error::custom("must be more than nothing")) } else { Ok(size) }
}

pub(crate) const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}
pub(crate) const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
const fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}
pub(crate) const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}
pub(crate) const fn one_minute() -> Duration {
    Duration::from_secs(60)
}
const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}
pub(crate) const fn sixteen_mebibytes() -> ByteSize {
    ByteSize::mib(16)
}
pub(crate) const fn sixty_four_mebibytes() -> ByteSize {
    ByteSize::mib(64)
}
const fn eight() -> NonZeroUsize {
    NonZeroUsize::new(8).expect("eight is not zero")
}
pub(crate) const fn thirty_two() -> usize {
    32
}
const fn thousand() -> NonZeroUsize {
    NonZeroUsize::new(1000).expect("a thousand is not zero")
}
const fn ten_thousand() -> NonZeroUsize {
    NonZeroUsize::new(10_000).expect("ten thousand is not zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "dialect = 'glance-v2'\nendpoint = 'http://127.0.0.1:9292'\n";

    fn parse(more: &str) -> Result<Options, toml::de::Error> {
        toml::from_str(&format!("{LEAST}{more}"))
    }

    #[test]
    fn what_is_left_out_is_what_new_gives() {
        let parsed = parse("").unwrap();
        let made = Options::new(Dialect::GlanceV2, Url::parse("http://127.0.0.1:9292").unwrap());
        assert_eq!(format!("{parsed:?}"), format!("{made:?}"));
    }

    #[test]
    fn a_key_that_nobody_knows_is_a_fault_also_inside_auth() {
        for more in [
            "time_out = '1s'",
            "auth = { kind = 'none', token = 'x' }",
            "auth = { kind = 'caller', token = 'x' }",
            "auth = { kind = 'token', tokem = 'x' }",
            "auth = { kind = 'keystone' }",
            "auth = { kind = 'keystone', url = 'http://h', credential = { username = 'u' } }",
            "auth = { kind = 'keystone', url = 'http://h', credential = { application_credential_id = 'a', \
             application_credential_secret = 'b' }, token = 'x' }",
        ] {
            assert!(parse(more).is_err(), "{more}");
        }
    }

    #[test]
    fn a_key_that_the_dialect_has_no_use_for_is_a_fault_also_at_its_default() {
        let keys = [
            ("text_order", "'auto'"),
            ("membership_width", "8"),
            ("skip_limit", "'16 MiB'"),
            ("idle_timeout", "'60s'"),
            ("write_timeout", "'5m'"),
            ("settle_timeout", "'15s'"),
            ("page_size", "1000"),
            ("look", "'10s'"),
            ("owner", "'p'"),
        ];
        for dialect in [Dialect::GlanceV2, Dialect::GlanceV1, Dialect::ComputeImages] {
            let (name, useless) = (dialect.name(), dialect.useless());
            assert!(useless.iter().all(|useless| keys.iter().any(|(key, _)| key == useless)), "{name}");
            for (key, value) in keys {
                let text = format!("dialect = '{name}'\nendpoint = 'http://127.0.0.1'\n{key} = {value}");
                match toml::from_str::<Options>(&text) {
                    Ok(options) => {
                        assert_eq!(options.dialect, dialect);
                        assert!(!useless.contains(&key), "{name} takes {key}");
                    }
                    Err(error) => {
                        assert!(useless.contains(&key), "{error}");
                        assert!(
                            error.message().contains(&format!("`{key}`, the dialect {name} ")),
                            "{error}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn nobody_owns_what_callers_are_shown_by_tokens_of_their_own() {
        let with = |auth: &str| {
            let text = "dialect = 'compute-images'\nendpoint = 'http://127.0.0.1'\nowner = 'p'";
            toml::from_str::<Options>(&format!("{text}\nauth = {{ kind = '{auth}' }}"))
        };
        assert_eq!(with("none").unwrap().owner.as_deref(), Some("p"));
        assert!(with("caller").unwrap_err().message().starts_with("unknown field `owner`, "));
    }

    #[test]
    fn durations_and_sizes_are_read_as_text_and_a_token_is_not_printed() {
        let options = parse(
            "idle_timeout = '90s'\nmax_response = '1 MiB'\nauth = { kind = 'token', token = 'hunter2' }",
        )
        .unwrap();
        assert_eq!(options.idle_timeout, Duration::from_secs(90));
        assert_eq!(options.max_response, ByteSize::mib(1));
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn a_credential_for_keystone_is_read_with_its_bounds_and_not_printed() {
        let credential = "{ application_credential_id = 'a', application_credential_secret = 'hunter2' }";
        let text = format!(
            "auth = {{ kind = 'keystone', url = 'http://h:5000', credential = {credential}, calls = 7 }}"
        );
        let options = parse(&text).unwrap();
        assert!(matches!(&options.auth, Auth::Keystone(options) if options.calls.get() == 7));
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn a_service_token_is_given_in_exactly_one_way_and_fits_a_header() {
        for more in [
            "auth = { kind = 'token' }",
            "auth = { kind = 'token', token = 'hunter2', token_file = 'f' }",
            "auth = { kind = 'token', token_env = 'E', token_file = 'f' }",
            "auth = { kind = 'token', token = '' }",
            "auth = { kind = 'token', token = \"hunter2\\n\" }",
        ] {
            let error = parse(more).expect_err(more);
            assert!(error.message().contains("token"), "{error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
        for more in ["token = 'a'", "token_file = 'f'", "token_env = 'E'"] {
            assert!(parse(&format!("auth = {{ kind = 'token', {more} }}")).is_ok(), "{more}");
        }
    }

    #[test]
    fn a_time_is_more_than_nothing_and_at_most_a_day() {
        for key in [
            "connect_timeout",
            "answer_timeout",
            "write_timeout",
            "idle_timeout",
            "settle_timeout",
            "look",
            "pool_idle_timeout",
        ] {
            for (time, message) in [
                ("0s", "must be longer than nothing"),
                ("86400001ms", "must not be longer than a day"),
                ("18446744073709551615s", "must not be longer than a day"),
            ] {
                let error = parse(&format!("{key} = '{time}'")).expect_err(key);
                assert_eq!(error.message(), message, "{key} = {time}");
            }
            assert!(parse(&format!("{key} = '1day'")).is_ok(), "{key}");
            assert!(parse(&format!("{key} = '1ns'")).is_ok(), "{key}");
        }
    }

    #[test]
    fn an_answer_may_have_at_least_one_byte() {
        assert_eq!(parse("max_response = 0").unwrap_err().message(), "must be more than nothing");
        assert!(parse("max_response = '1 B'").is_ok());
    }

    #[test]
    fn an_endpoint_that_hides_something_is_a_fault_that_does_not_repeat_it() {
        for endpoint in
            ["ftp://x", "http://u:hunter2@x", "http://x/?token=hunter2", "http://x/#hunter2", "hunter2"]
        {
            let text = format!("dialect = 'glance-v2'\nendpoint = '{endpoint}'");
            let error = toml::from_str::<Options>(&text).unwrap_err();
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }
}
