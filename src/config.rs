//! TOML text → [`Config`], or every fault found, each with its key and line.
//!
//! What can be said of a configuration without opening anything is said here: [`load`] opens no socket, makes no
//! directory and asks no other service, though it reads the files that the configuration refers to. A backend's
//! options are read by its own crate, found through [`crate::registry`].
//!
//! This module must not know which kinds of backends there are, or what any of the settings does.

mod cache;
mod imports;
mod keystone;
mod report;
mod rules;
mod settings;
mod tenancy;

use std::path::Path;

use serde::Deserialize;

pub use crate::api::Policy;
pub use crate::cache::Settings as CacheSettings;
use crate::document::{Document, Fault, Place, read_text};
pub use crate::imports::Settings as ImportSettings;
use crate::registry::{self, Planned};
pub use keystone::KeystoneSettings;
pub use report::report;
pub use settings::{
    Admin, ApiSettings, Auth, AuthKind, FederationSettings, Formats, Guard, GuardOfBackend, Limits,
    LocationSettings, Log, LogFormat, MetadefsSettings, Pages, Placement, QuotaSettings, StateSettings,
    TlsSettings, TokensFile, UnifiedLimits,
};
pub use tenancy::{OtherProjects, TenancyOfBackend};

/// What the file says, key by key. `Default` is what holds where it says nothing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address and port that clients connect to; port 0 takes a free one. Default: `127.0.0.1:9292`.
    #[serde(deserialize_with = "settings::address")]
    pub listen: std::net::SocketAddr,
    /// The address that clients use for this service, such as `https://images.example`, for links that must be
    /// absolute. Default: `http://` and the `Host` that the client named.
    #[serde(deserialize_with = "settings::public_endpoint")]
    pub public_endpoint: Option<String>,
    /// How clients are spoken to in private.
    pub tls: TlsSettings,
    /// Which APIs clients are spoken to in.
    pub api: ApiSettings,
    /// Where metrics and health are told.
    pub admin: Admin,
    /// What is logged, and how.
    pub log: Log,
    /// Who may use the service.
    pub auth: Auth,
    /// Which role may do what.
    pub policy: Policy,
    /// How much a project may have.
    pub quotas: QuotaSettings,
    /// The bounds on what a client may take of this process.
    pub limits: Limits,
    /// How long lists are.
    pub pages: Pages,
    /// The formats that images may have.
    pub formats: Formats,
    /// What is told of where data lies, and how posted locations are looked at.
    pub locations: LocationSettings,
    /// How several backends become one service.
    pub federation: FederationSettings,
    /// How calls to the backends are guarded.
    pub guard: Guard,
    /// Where new images go.
    pub placement: Placement,
    /// Where the service keeps what it needs beside the images.
    pub state: StateSettings,
    /// How data comes to images by other ways than one upload.
    pub imports: ImportSettings,
    /// How much there may be in the catalogue of metadata definitions.
    pub metadefs: MetadefsSettings,
    /// The stores, first ones first.
    #[serde(rename = "backend")]
    pub backends: Vec<BackendEntry>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 9292)),
            public_endpoint: None,
            tls: TlsSettings::default(),
            api: ApiSettings::default(),
            admin: Admin::default(),
            log: Log::default(),
            auth: Auth::default(),
            policy: Policy::default(),
            quotas: QuotaSettings::default(),
            limits: Limits::default(),
            pages: Pages::default(),
            formats: Formats::default(),
            locations: LocationSettings::default(),
            federation: FederationSettings::default(),
            guard: Guard::default(),
            placement: Placement::default(),
            state: StateSettings::default(),
            imports: ImportSettings::default(),
            metadefs: MetadefsSettings::default(),
            backends: Vec::new(),
        }
    }
}

/// What the file says about one backend, save for its own options.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackendEntry {
    /// What clients know it by, as a store: lower-case letters, digits, `-` and `_`, a letter first. Must be
    /// given.
    pub name: Option<String>,
    /// Which kind of store it is. Must be given.
    pub kind: Option<String>,
    /// One sentence for people. Default: none.
    pub description: Option<String>,
    /// How long a read may take until its answer begins. Default: 2 seconds.
    #[serde(with = "humantime_serde")]
    pub deadline: std::time::Duration,
    /// Whether downloads from it are held to the hash of their image. Default: yes.
    pub verify: bool,
    /// What it is for: `store`, which clients see, or `cache`, which keeps data of others near and is no store of its own.
    /// Default: `store`.
    pub role: Role,
    /// Whether its images are cached, if there is a cache. Default: if its kind is far away, as `http` and `web` are.
    pub cached: Option<bool>,
    /// What holds for calls to it instead of what `[guard]` says. Default: nothing.
    pub guard: GuardOfBackend,
    /// Who sees its images, and what projects are called there. Default: as the backend has it.
    pub tenancy: TenancyOfBackend,
    /// Read by the kind itself.
    pub options: Unread,
}

impl Default for BackendEntry {
    fn default() -> Self {
        Self {
            name: None,
            kind: None,
            description: None,
            deadline: std::time::Duration::from_secs(2),
            verify: true,
            role: Role::default(),
            cached: None,
            guard: GuardOfBackend::default(),
            tenancy: TenancyOfBackend::default(),
            options: Unread {},
        }
    }
}

/// What a backend is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It holds images.
    #[default]
    Store,
    /// It keeps data of others near.
    Cache,
}

/// A table that is somebody else's to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Unread {}

/// A configuration without faults.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The backends, first ones first, each ready to be opened.
    pub backends: Vec<Planned>,
    /// The cache, if there is to be one.
    pub cache: Option<CacheSettings>,
    /// What is allowed but not wise.
    pub warnings: Vec<Fault>,
}

/// Reads the configuration in `file`.
///
/// # Errors
/// Every fault in it, and in the files that it names, at once.
pub fn load(file: &Path) -> Result<Loaded, Vec<Fault>> {
    let text = read_text(file).map_err(|fault| vec![fault])?;
    parse(file, &text)
}

/// Reads the configuration `text`, which is called `file` in faults.
///
/// # Errors
/// Every fault in it, and in the files that it names, at once.
pub fn parse(file: &Path, text: &str) -> Result<Loaded, Vec<Fault>> {
    let mut document = Document::parse(file, text)?;
    let Some(config) = document.read_leniently::<Config>() else { return Err(document.into_faults()) };
    rules::check(&config, &mut document);
    let cache = cache::plan(&config, &mut document);
    let backends = plan(&config, &mut document);
    let warnings = rules::warnings(&config, &document);
    let faults = document.into_faults();
    if faults.is_empty() { Ok(Loaded { config, backends, cache, warnings }) } else { Err(faults) }
}

/// Has each backend's kind read its options.
fn plan(config: &Config, document: &mut Document<'_>) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (number, entry) in config.backends.iter().enumerate() {
        let place = Place::root().then("backend").then(number);
        let Some(kind) = entry.kind.as_ref().filter(|_| entry.role == Role::Store) else { continue };
        let Some(kind) = registry::kind(kind) else {
            document.fault(
                &place.then("kind"),
                format!("'{kind}' is not one of {}", registry::names().join(", ")),
            );
            continue;
        };
        let options = place.then("options");
        let (plan, address) = (kind.plan(document, &options), kind.address(document, &options));
        let (Some(plan), Some(name)) = (plan, entry.name.clone()) else { continue };
        let (description, deadline) = (entry.description.clone(), entry.deadline);
        let cached = entry.cached.unwrap_or_else(|| kind.is_far());
        planned.push(Planned { name, kind: kind.name(), description, deadline, cached, address, plan });
    }
    planned
}
