//! The sections of the configuration: every key, its promise and its default.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use image_service::{Partial, Secret};
use portico_keystone::Credential;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::KeystoneSettings;

use crate::server::tls::Files;

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate of this service and those that lead from it to an authority, in PEM. With it and `key` the
    /// service speaks HTTPS on `listen`. Default: none, and plain HTTP.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM. Default: none.
    pub key: Option<PathBuf>,
    /// How often to look whether these files have changed. Default: 10 seconds.
    #[serde(with = "humantime_serde")]
    pub look: Duration,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self { certificate: None, key: None, look: Duration::from_secs(10) }
    }
}

impl TlsSettings {
    /// Where certificate and key are, if there are both.
    #[must_use]
    pub fn files(&self) -> Option<Files> {
        let (certificate, key) = (self.certificate.clone()?, self.key.clone()?);
        Some(Files { certificate, key })
    }
}

/// `[api]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    /// Whether the Image API v1, which Glance gave up in 2018, is served beside v2. Default: no.
    pub v1: bool,
    /// Whether the images of the Compute API, as Nova shows them, are served beside v2. Default: no.
    pub compute: bool,
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The address and port where whoever watches over the service finds its metrics and its health; port 0 takes a
    /// free one, and `off` is none at all. Nobody is asked who they are there. Default: `127.0.0.1:9293`.
    #[serde(deserialize_with = "address_or_off")]
    pub listen: Option<SocketAddr>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 9293))) }
    }
}

/// `[state]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateSettings {
    /// The directory of what the service keeps beside the images, for one process alone; it is made if it is not
    /// there. `off` keeps nothing, and what needs it is then not served. Default: `state` in the working directory.
    #[serde(deserialize_with = "directory_or_off")]
    pub directory: Option<PathBuf>,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self { directory: Some(PathBuf::from("./state")) }
    }
}

/// `[metadefs]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetadefsSettings {
    /// Most namespaces. Default: 1000.
    pub namespaces: NonZeroUsize,
    /// Most properties of one namespace, those of its objects aside. Default: 1000.
    pub properties: NonZeroUsize,
    /// Most objects of one namespace. Default: 1000.
    pub objects: NonZeroUsize,
    /// Most tags of one namespace. Default: 1000.
    pub tags: NonZeroUsize,
    /// Most types of resources, in all namespaces together. Default: 1000.
    pub resource_types: NonZeroUsize,
    /// Most bytes of all properties and objects of one namespace together. Default: 8 MiB.
    pub contents: ByteSize,
    /// Most bytes of one definition, in a request or in a file. Default: 1 MiB.
    pub document: ByteSize,
    /// How many questions are answered at once. Default: 4.
    pub readers: NonZeroUsize,
    /// How long to wait for another process that writes, such as one that loads files. Default: 5 seconds.
    #[serde(with = "humantime_serde")]
    pub busy_timeout: Duration,
}

impl Default for MetadefsSettings {
    fn default() -> Self {
        Self {
            namespaces: number(1000),
            properties: number(1000),
            objects: number(1000),
            tags: number(1000),
            resource_types: number(1000),
            contents: ByteSize::mib(8),
            document: ByteSize::mib(1),
            readers: number(4),
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is logged, as `RUST_LOG` has it, such as `info` or `warn,portico=debug`; a word that stands alone must
    /// be a level. The environment variable `RUST_LOG` goes before it. Default: `info`.
    pub level: String,
    /// How a line looks. Default: `text`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: String::from("info"), format: LogFormat::default() }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[auth]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// How callers are known. Default: `none`.
    pub kind: AuthKind,
    /// For the kind `tokens`.
    pub tokens: TokensFile,
    /// For the kind `keystone`.
    pub keystone: KeystoneSettings,
}

/// How callers are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthKind {
    /// Nobody is asked; everyone is an administrator.
    #[default]
    None,
    /// By a token that a file lists.
    Tokens,
    /// By a token that a Keystone knows.
    Keystone,
}

/// `[auth.tokens]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokensFile {
    /// The file that lists the tokens. Default: `tokens.toml` in the working directory.
    pub file: PathBuf,
}

impl Default for TokensFile {
    fn default() -> Self {
        Self { file: PathBuf::from("tokens.toml") }
    }
}

/// `[quotas]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaSettings {
    /// Most bytes of data of one project, in whole MiB. Default: no limit.
    pub image_size_total: Option<ByteSize>,
    /// Most bytes of staged data of one project, in whole MiB. Default: no limit.
    pub image_stage_total: Option<ByteSize>,
    /// Most images of one project. Default: no limit.
    pub image_count_total: Option<u64>,
    /// Most images of one project with data on its way. Default: no limit.
    pub image_count_uploading: Option<u64>,
    /// Limits that Keystone keeps, before which those here step back. Default: none.
    pub keystone: Option<UnifiedLimits>,
}

/// `[quotas.keystone]`: how Keystone's unified limits are found. It is reached as `[auth.keystone]` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnifiedLimits {
    /// As whom to ask: the role `reader` in the system scope lets one see the limits of every project.
    pub credential: Credential,
    /// The type that the catalogue has for this service. Default: `image`.
    #[serde(default = "image")]
    pub service_type: String,
    /// The region whose limits hold; those of no region hold where it has none. Default: no region.
    #[serde(default)]
    pub region: Option<String>,
}

fn image() -> String {
    String::from("image")
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most connections at once; more wait until one ends. Default: 1024.
    pub connections: NonZeroUsize,
    /// Threads that connections are served on, each on one of them. Default: as many as there are processors.
    pub threads: Option<NonZeroUsize>,
    /// Most bytes of a request's head, its first line and headers, from 8 KiB to 1 MiB. Default: 64 KiB.
    pub head: ByteSize,
    /// Most headers of a request. Default: 200.
    pub headers: NonZeroUsize,
    /// How long a client may take to send a request's head. As the time starts when a connection is free, it is
    /// also how long an idle connection is kept. Default: 30 seconds.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// Most bytes of a query string. Default: 8 KiB.
    pub query: ByteSize,
    /// Most bytes of a JSON body. Default: 1 MiB.
    pub json_body: ByteSize,
    /// Most bytes of one image. Default: 1 TiB.
    pub image: ByteSize,
    /// How long a read may take until its answer begins, whatever the backends' deadlines add up to.
    /// Default: 1 minute.
    #[serde(with = "humantime_serde")]
    pub read_deadline: Duration,
    /// How long a transfer may stand still because the client sends or takes nothing. Default: 1 minute.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// How long transfers under way may go on when the service is told to end. Default: 30 seconds.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: number(1024),
            threads: None,
            head: ByteSize::kib(64),
            headers: number(200),
            head_timeout: Duration::from_secs(30),
            query: ByteSize::kib(8),
            json_body: ByteSize::mib(1),
            image: ByteSize::tib(1),
            read_deadline: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

/// `[pages]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pages {
    /// Images in a page if the client does not say. Default: 25.
    pub default: NonZeroUsize,
    /// Most images in a page, whatever the client says. Default: 1000.
    pub largest: NonZeroUsize,
    /// A secret of 32 characters or more, with which the cursors in `next` are sealed. Processes with the same one take
    /// each other's cursors, and it outlives them. Default: one that is made up when the process starts.
    #[serde(deserialize_with = "secret")]
    pub cursor_key: Option<Secret>,
    /// Most ends of pages that are remembered, for clients that go on by `marker` when its image has gone.
    /// Default: 10 000.
    pub marks: usize,
    /// How long they are remembered. Default: 1 hour.
    #[serde(with = "humantime_serde")]
    pub mark_age: Duration,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            default: number(25),
            largest: number(1000),
            cursor_key: None,
            marks: 10_000,
            mark_age: Duration::from_secs(3600),
        }
    }
}

/// `[formats]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Formats {
    /// Whether data must be of the format that its image declares, and must not refer to other files. Default: yes.
    pub check: bool,
    /// The disk formats that an image may have.
    pub disk: Vec<String>,
    /// The container formats that an image may have.
    pub container: Vec<String>,
}

impl Default for Formats {
    fn default() -> Self {
        let words = |words: &str| words.split(' ').map(str::to_owned).collect();
        Self {
            check: true,
            disk: words("ami ari aki vhd vhdx vmdk raw qcow2 vdi iso ploop"),
            container: words("ami ari aki bare ovf ova docker compressed"),
        }
    }
}

/// `[locations]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocationSettings {
    /// Whether images show all locations of their data to their owners, and patches change them. Default: no.
    pub show: bool,
    /// Whether images show their owners the URL of the first location. Default: no.
    pub direct_url: bool,
    /// Whether what lies at a location that a client posts is read once, so that the image has its hashes; otherwise what
    /// the client says of it is believed. Glance: do_secure_hash. Default: yes.
    pub hash: bool,
}

impl Default for LocationSettings {
    fn default() -> Self {
        Self { show: false, direct_url: false, hash: true }
    }
}

/// `[federation]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FederationSettings {
    /// What a list does when a backend is silent and the request does not say: `serve` the rest or `refuse`.
    /// Default: `serve`.
    #[serde(deserialize_with = "partial")]
    pub partial: Partial,
    /// Most images read from one backend in order to sort them here. Default: 10 000.
    pub resort_limit: NonZeroUsize,
    /// How many images are shown at a time for a backend that lists only names. Default: 8.
    pub show_width: NonZeroUsize,
    /// Most image ids whose backends are remembered. Default: 100 000.
    pub hints: NonZeroUsize,
    /// How long the backends of an image id are remembered. Default: 10 minutes.
    #[serde(with = "humantime_serde")]
    pub hint_age: Duration,
    /// Most images of a backend whose ids are counted, so that lists need not ask it for each id that others list.
    /// 0 counts none. Default: 1000.
    pub census: usize,
    /// How long such a count is believed, and that a larger backend was asked for an id in vain. 0 counts none, and asks
    /// each time. Default: 30 seconds.
    #[serde(with = "humantime_serde")]
    pub census_age: Duration,
    /// How long a copy is not read that gave other data than its image's. 0 leaves out none. Default: 5 minutes.
    #[serde(with = "humantime_serde")]
    pub cool_down: Duration,
    /// Most copies that are left out so. Default: 10 000.
    pub cooled: NonZeroUsize,
    /// Most times that one download is taken up again whose source fails. Default: 100.
    pub resumes: u32,
    /// How often everybody who may have the rest is asked for it until a byte comes. 0 takes up none. Default: 8.
    pub resume_attempts: u32,
    /// How long that may take. Default: 30 seconds.
    #[serde(with = "humantime_serde")]
    pub resume_within: Duration,
    /// The pause before everybody is asked again, which doubles each time. Default: 100 ms.
    #[serde(with = "humantime_serde")]
    pub resume_pause: Duration,
    /// Most bytes to read and throw away for the rest in a store that cannot start in the middle. Default: 256 MiB.
    pub resume_skip_limit: ByteSize,
}

impl Default for FederationSettings {
    fn default() -> Self {
        Self {
            partial: Partial::default(),
            resort_limit: number(10_000),
            show_width: number(8),
            hints: number(100_000),
            hint_age: Duration::from_secs(600),
            census: 1000,
            census_age: Duration::from_secs(30),
            cool_down: Duration::from_secs(300),
            cooled: number(10_000),
            resumes: 100,
            resume_attempts: 8,
            resume_within: Duration::from_secs(30),
            resume_pause: Duration::from_millis(100),
            resume_skip_limit: ByteSize::mib(256),
        }
    }
}

/// `[guard]`: how calls to the backends are guarded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// Most calls to one backend at once, save those that carry image data. Default: 64.
    pub calls: NonZeroUsize,
    /// Most downloads from and uploads to one backend at once. Default: 32.
    pub streams: NonZeroUsize,
    /// Most calls to one backend that wait until others end, and as many downloads and uploads; a wait is part of
    /// the backend's deadline. Default: 256.
    pub queue: usize,
    /// How long a download may stand still because its backend gives nothing. Default: 30 seconds.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// Failures in a row after which a backend is not asked for a pause. Refusals, such as 404 or 429, are no
    /// failures. Default: 5.
    pub failures: NonZeroU32,
    /// From when on a read is slow. Default: when it reaches the backend's deadline.
    #[serde(with = "humantime_serde")]
    pub slow_call: Option<Duration>,
    /// The share of slow reads, in percent, from which on a backend is not asked for a pause. Default: 50.
    pub slow_percent: u32,
    /// Calls below which such a share says nothing, up to 100. Default: 10.
    pub slow_least: NonZeroUsize,
    /// How far back calls count for it. Default: 30 seconds.
    #[serde(with = "humantime_serde")]
    pub slow_window: Duration,
    /// How long a backend is not asked at first. Then one call is let through, and as long as that is in vain, each
    /// pause is twice as long as the one before. Default: 1 second.
    #[serde(with = "humantime_serde")]
    pub pause: Duration,
    /// The longest pause. Default: 10 seconds.
    #[serde(with = "humantime_serde")]
    pub longest_pause: Duration,
    /// How often a read that failed is tried again, within its deadline, if the failure may pass. Default: 2.
    pub retries: u32,
    /// The pause before a read is tried again the first time; it doubles each time. Default: 50 ms.
    #[serde(with = "humantime_serde")]
    pub retry_pause: Duration,
    /// The share of reads, in percent, that may be tried again, beyond ten. Default: 20.
    pub retry_percent: u32,
    /// The share of reads of one image, in percent, for which a second copy may be asked because the first is slow,
    /// beyond ten. 0: none. Default: 10.
    pub hedge_percent: u32,
    /// The least time after which the second copy is asked. Default: 20 ms.
    #[serde(with = "humantime_serde")]
    pub hedge_after: Duration,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            calls: number(64),
            streams: number(32),
            queue: 256,
            idle: Duration::from_secs(30),
            failures: NonZeroU32::MIN.saturating_add(4),
            slow_call: None,
            slow_percent: 50,
            slow_least: number(10),
            slow_window: Duration::from_secs(30),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(10),
            retries: 2,
            retry_pause: Duration::from_millis(50),
            retry_percent: 20,
            hedge_percent: 10,
            hedge_after: Duration::from_millis(20),
        }
    }
}

/// `guard` of a backend: what holds for it instead of what `[guard]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardOfBackend {
    /// Instead of `guard.calls`.
    pub calls: Option<NonZeroUsize>,
    /// Instead of `guard.streams`.
    pub streams: Option<NonZeroUsize>,
    /// Instead of `guard.idle`.
    #[serde(with = "humantime_serde")]
    pub idle: Option<Duration>,
    /// Instead of `guard.slow_call`.
    #[serde(with = "humantime_serde")]
    pub slow_call: Option<Duration>,
}

impl Guard {
    /// What holds for a backend that says `own`.
    #[must_use]
    pub fn with(&self, own: &GuardOfBackend) -> Self {
        Self {
            calls: own.calls.unwrap_or(self.calls),
            streams: own.streams.unwrap_or(self.streams),
            idle: own.idle.unwrap_or(self.idle),
            slow_call: own.slow_call.or(self.slow_call),
            ..self.clone()
        }
    }
}

/// `[placement]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    /// The backend that new images go to if the request names none. Default: the first that takes data.
    pub default: Option<String>,
}

fn number(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap_or(NonZeroUsize::MIN)
}

pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!("'{text}' is not an address and port, such as 127.0.0.1:9292 or [::]:9292"))
    })
}

fn address_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        D::Error::custom(format!("'{text}' is neither an address and port, such as 127.0.0.1:9293, nor off"))
    })
}

fn directory_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "" => Err(D::Error::custom("must name a directory, or be off")),
        "off" => Ok(None),
        _ => Ok(Some(PathBuf::from(text))),
    }
}

/// An address that links can begin with, as it is sent: host in lower case, other characters encoded.
pub(super) fn public_endpoint<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The parser would drop line breaks, and blanks at the ends, without a word.
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(D::Error::custom("must not have blanks or line breaks in it"));
    }
    // The text itself stays out of the messages: somebody may have put a password in it.
    let url = Url::parse(&text)
        .map_err(|_| D::Error::custom("is not an address, such as https://images.example"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(D::Error::custom("is not an http or https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(D::Error::custom("must not hold credentials"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(D::Error::custom("must not have a query or a fragment"));
    }
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

/// Text that is long enough to be hard to guess.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.chars().count() < 32 {
        return Err(D::Error::custom("must have 32 characters or more"));
    }
    Ok(Some(Secret::new(text)))
}

fn partial<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Partial, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "serve" => Ok(Partial::Serve),
        "refuse" => Ok(Partial::Refuse),
        other => Err(D::Error::custom(format!("'{other}' is not one of serve, refuse"))),
    }
}
