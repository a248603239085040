//! From a checked configuration to a service that has ended: opens, joins, serves, drains.
//!
//! This is where the parts meet; each of them knows only those below it.

mod callers;
mod sides;
mod watch;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use image_service::{Error, ErrorKind, ImageService};
use portico_keystone::{Session, Unusable};

use crate::admin::metrics::{self, Metrics};
use crate::api::{self, Front};
use crate::cache::{self, Cache, Clock};
use crate::config::{self, BackendEntry, Config, Loaded, OtherProjects};
use crate::document::Fault;
use crate::federation::status::Observer;
use crate::federation::{self, Backend, Federation, Formats, Guarding, Resuming};
use crate::imports::{self, Imports};
use crate::metadefs::{self, Bounds, Metadefs};
use crate::quotas::{Limits, Quotas, Unified};
use crate::registry::Planned;
use crate::server::threads::Seats;
use crate::server::tls::{Flaw, Tls};
use crate::server::{self, Ending, Server, Signals, Stop};
use crate::state::State;
use crate::tenancy::{Others, Rules, Tenancy};
use callers::Callers;
pub use sides::{Use, sides};
use watch::{Running, Watch};

/// Why there is no service.
#[derive(Debug)]
pub enum Failure {
    /// The configuration cannot be meant so, as showed only when it was put to use.
    Config(Vec<Fault>),
    /// A backend cannot be used for what it is wanted for, for this reason.
    Unfit(String),
    /// A backend could not be opened.
    Backend(String, Error),
    /// The directory of the service's own state cannot be used.
    State(Error),
    /// The directory of the cache cannot be used.
    Cache(Error),
    /// The certificate that clients are to see cannot be used.
    Tls(Flaw),
    /// What is needed to speak to Keystone cannot be used.
    Keystone(Unusable),
    /// The backends could not be joined.
    Federation(Error),
    /// The address that stands under this key could not be bound.
    Bind(&'static str, SocketAddr, io::Error),
    /// The system refused something else.
    System(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(faults) => write!(f, "the configuration has {} faults", faults.len()),
            Self::Unfit(why) => f.write_str(why),
            Self::Backend(name, _) => write!(f, "the backend '{name}' cannot be opened"),
            Self::Tls(_) => f.write_str("tls.certificate and tls.key cannot be used"),
            Self::Keystone(_) => f.write_str("auth.keystone cannot be used"),
            Self::State(_) => f.write_str("state.directory cannot be used"),
            Self::Cache(_) => f.write_str("the cache cannot be opened"),
            Self::Federation(_) => f.write_str("the backends cannot be joined"),
            Self::Bind(key, address, _) => write!(f, "{key}: cannot listen on {address}"),
            Self::System(_) => f.write_str("the system refuses to run this service"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(_) | Self::Unfit(_) => None,
            Self::Backend(_, source)
            | Self::State(source)
            | Self::Cache(source)
            | Self::Federation(source) => Some(source),
            Self::Tls(source) => Some(source),
            Self::Keystone(source) => Some(source),
            Self::Bind(_, _, source) | Self::System(source) => Some(source),
        }
    }
}

impl Failure {
    /// Whether the configuration is to blame, rather than the world around.
    #[must_use]
    pub fn is_of_config(&self) -> bool {
        match self {
            Self::Config(_) | Self::Unfit(_) | Self::Tls(_) | Self::Keystone(_) => true,
            Self::Backend(_, error) | Self::Federation(error) => error.kind() == ErrorKind::Invalid,
            Self::State(_) | Self::Cache(_) | Self::Bind(..) | Self::System(_) => false,
        }
    }
}

/// Serves what `loaded` describes until the process is told to end, each client on one of the `seats`, if there are any.
///
/// # Errors
/// A [`Failure`] if the service cannot begin; then no client has been let in.
pub async fn run(loaded: Loaded, seats: Seats) -> Result<Ending, Failure> {
    let Loaded { config, backends, cache, warnings } = loaded;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let callers = Callers::open(&config).await?;
    // Held until the end: what is in it is this process's alone.
    let state = open_state(&config).await?;
    let metadefs = open_metadefs(state.as_ref(), &config).await?;
    let cached =
        backends.iter().filter(|backend| backend.cached).map(|backend| backend.name.clone()).collect();
    let backends = open(backends, &config).await?;
    let federation = Federation::new(backends, federation_settings(&config));
    let metrics = Arc::new(Metrics::new());
    let observer = Arc::clone(&metrics) as Arc<dyn Observer>;
    let federation = Arc::new(federation.map_err(Failure::Federation)?.observed(observer));
    // Until here a signal ends the process at once: nobody is being served, and stores stand a sudden end.
    let signals = Signals::take_over().map_err(Failure::System)?;
    let service = Arc::clone(&federation) as Arc<dyn ImageService>;
    let cache = open_cache(cache, cached, &service).await?;
    let service = cache.as_ref().map_or(service, Cache::shown);
    let front = Front::new(Arc::clone(&service), callers.auth(), api_settings(&config));
    let front = front.with_quotas(quotas(&config).await?);
    let imports = open_imports(state.as_ref(), &config, Arc::clone(&service)).await?;
    let front = front.with_cache(cache.clone()).with_metadefs(metadefs).with_imports(imports.clone());
    let router = metrics::counted(api::router(front), Arc::clone(&metrics));
    let tls = open_tls(&config).await?;
    let (server, address) = bind("listen", config.listen, server_settings(&config))?;
    let server = server.with_tls(tls.clone()).with_seats(seats);
    let stop = Stop::default();
    let running =
        Running { federation, stop: stop.clone(), connections: server.connections(), cache: cache.clone() };
    let watch = Watch::open(&config, running, metrics)?;
    tracing::info!("listening on {}://{address}", scheme(&config));

    let service = async {
        tokio::select! {
            ending = server.serve(router, stop.clone()) => ending,
            () = signals.pass_on(stop, async || reload(&callers, tls.as_ref()).await) => Ending::Drained,
            () = watch_tls(tls.as_ref(), config.tls.look) => Ending::Drained,
        }
    };
    let ending = watch
        .during(async {
            let ending = service.await;
            if let Some(imports) = imports {
                imports.close().await;
            }
            if let Some(cache) = cache {
                cache.close().await;
            }
            ending
        })
        .await;
    match ending {
        Ending::Drained => tracing::info!("ended"),
        Ending::Cut(connections) => tracing::warn!(connections, "ended before all requests were done"),
    }
    Ok(ending)
}

/// Binds the address that stands under `key`.
fn bind(
    key: &'static str,
    address: SocketAddr,
    settings: server::Settings,
) -> Result<(Server, SocketAddr), Failure> {
    let failure = |error| Failure::Bind(key, address, error);
    let server = Server::bind(address, settings).map_err(failure)?;
    let bound = server.address().map_err(failure)?;
    Ok((server, bound))
}

/// Opens the backends in their order, each behind its own rules of tenancy.
async fn open(planned: Vec<Planned>, config: &Config) -> Result<Vec<Backend>, Failure> {
    let mut backends = Vec::new();
    for Planned { name, kind, description, deadline, address, plan, cached: _ } in planned {
        let failure = |error| Failure::Backend(name.clone(), error);
        let mut service = plan(name.clone()).await.map_err(failure)?;
        let rules = tenancy_rules(config, &name);
        if rules != Rules::default() {
            service = Arc::new(Tenancy::around(service, &name, rules).map_err(failure)?);
        }
        tracing::info!(backend = %name, kind, address, "backend is open");
        backends.push(Backend { name, kind: kind.to_owned(), description, service, deadline });
    }
    Ok(backends)
}

/// Who sees the images of the backend called `name`.
fn tenancy_rules(config: &Config, name: &str) -> Rules {
    let entry = config.backends.iter().find(|entry| entry.name.as_deref() == Some(name));
    let Some(BackendEntry { tenancy, .. }) = entry else { return Rules::default() };
    Rules {
        ceiling: tenancy.ceiling,
        projects: tenancy.projects.clone(),
        others: match tenancy.others {
            OtherProjects::Same => Others::Same,
            OtherProjects::Apart => Others::Apart,
        },
    }
}

/// Reads the certificate, if there is one.
async fn open_tls(config: &Config) -> Result<Option<Tls>, Failure> {
    let Some(files) = config.tls.files() else { return Ok(None) };
    blocking(move || Tls::open(files)).await?.map(Some).map_err(Failure::Tls)
}

/// Looks for another certificate, for as long as the service goes on.
async fn watch_tls(tls: Option<&Tls>, every: Duration) {
    match tls {
        Some(tls) => tls.watch(every).await,
        None => std::future::pending().await,
    }
}

/// Reads again what can be read again.
async fn reload(callers: &Callers, tls: Option<&Tls>) {
    callers.reload().await;
    if let Some(tls) = tls.cloned()
        && let Err(failure) = blocking(move || tls.reload()).await
    {
        tracing::error!("{failure}");
    }
}

/// How clients speak to this service.
fn scheme(config: &Config) -> Scheme {
    if config.tls.files().is_some() { Scheme::HTTPS } else { Scheme::HTTP }
}

/// Takes the directory of the service's own state, if there is to be one.
async fn open_state(config: &Config) -> Result<Option<State>, Failure> {
    let Some(directory) = config.state.directory.clone() else { return Ok(None) };
    blocking(move || State::open(&directory)).await?.map(Some).map_err(Failure::State)
}

/// Opens the catalogue of metadata definitions, if there is a place for it.
async fn open_metadefs(state: Option<&State>, config: &Config) -> Result<Option<Metadefs>, Failure> {
    let Some(state) = state else { return Ok(None) };
    let opened = Metadefs::open(state.path(metadefs::FILE), metadefs_bounds(config)).await;
    opened.map(Some).map_err(Failure::State)
}

/// Opens the cache, if there is to be one, around `service`, for the images of the stores `cached`.
async fn open_cache(
    settings: Option<cache::Settings>,
    cached: BTreeSet<String>,
    service: &Arc<dyn ImageService>,
) -> Result<Option<Cache>, Failure> {
    let Some(settings) = settings else { return Ok(None) };
    let opened = Cache::open(Arc::clone(service), cached, settings, Clock::default()).await;
    opened.map(Some).map_err(Failure::Cache)
}

/// Opens the imports, if there are to be any and a place for what they keep.
async fn open_imports(
    state: Option<&State>,
    config: &Config,
    service: Arc<dyn ImageService>,
) -> Result<Option<Imports>, Failure> {
    let Some(state) = state.filter(|_| !config.imports.methods.is_empty()) else { return Ok(None) };
    let (journal, staging) = (state.path(imports::FILE), state.path(imports::STAGING));
    let mut settings = imports::Settings { hash_locations: config.locations.hash, ..config.imports.clone() };
    settings.web.most_bytes = settings.web.most_bytes.min(config.limits.image);
    let opened = Imports::open(journal, staging, service, settings).await;
    opened.map(Some).map_err(Failure::State)
}

/// Runs `work`, which may wait for files, where nobody waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::System(io::Error::other(error)))
}

fn server_settings(config: &Config) -> server::Settings {
    let limits = &config.limits;
    server::Settings {
        connections: limits.connections,
        head: size(limits.head),
        headers: limits.headers.get(),
        head_timeout: limits.head_timeout,
        idle: limits.idle,
        drain: limits.drain,
    }
}

fn federation_settings(config: &Config) -> federation::Settings {
    federation::Settings {
        default_store: config.placement.default.clone(),
        page_size: config.pages.largest,
        resort_limit: config.federation.resort_limit.get(),
        show_width: config.federation.show_width.get(),
        hints: config.federation.hints.get() as u64,
        hint_age: config.federation.hint_age,
        census: config.federation.census,
        census_age: config.federation.census_age,
        formats: if config.formats.check { Formats::Checked } else { Formats::Unchecked },
        guarding: guarding(&config.guard),
        guarding_of: config
            .backends
            .iter()
            .filter_map(|entry| Some((entry.name.clone()?, guarding(&config.guard.with(&entry.guard)))))
            .collect(),
        resuming: Resuming {
            most: config.federation.resumes,
            attempts: config.federation.resume_attempts,
            within: config.federation.resume_within,
            pause: config.federation.resume_pause,
            skip_limit: config.federation.resume_skip_limit.as_u64(),
        },
        believed: config
            .backends
            .iter()
            .filter(|entry| !entry.verify)
            .filter_map(|entry| entry.name.clone())
            .collect(),
        cooled: config.federation.cooled.get() as u64,
        cool_down: config.federation.cool_down,
    }
}

fn guarding(guard: &config::Guard) -> Guarding {
    Guarding {
        calls: guard.calls.get(),
        streams: guard.streams.get(),
        queue: guard.queue,
        idle: guard.idle,
        failures: guard.failures.get(),
        slow_call: guard.slow_call,
        slow_percent: guard.slow_percent,
        slow_least: guard.slow_least.get(),
        slow_window: guard.slow_window,
        pause: guard.pause,
        longest_pause: guard.longest_pause,
        retries: guard.retries,
        retry_pause: guard.retry_pause,
        retry_percent: guard.retry_percent,
        hedge_percent: guard.hedge_percent,
        hedge_after: guard.hedge_after,
    }
}

/// How much a project may have, if there are limits.
async fn quotas(config: &Config) -> Result<Option<Quotas>, Failure> {
    let mebibytes = |size: bytesize::ByteSize| size.as_u64() >> 20;
    let quotas = &config.quotas;
    let limits = Limits {
        size_total: quotas.image_size_total.map(mebibytes),
        stage_total: quotas.image_stage_total.map(mebibytes),
        count_total: quotas.image_count_total,
        count_uploading: quotas.image_count_uploading,
    };
    let Some(unified) = &quotas.keystone else {
        return Ok((limits != Limits::default()).then(|| Quotas::new(Arc::new(limits))));
    };
    // That it is said where Keystone is, is among the rules.
    let Some(options) = config.auth.keystone.reach(unified.credential.clone()) else { return Ok(None) };
    let session = Arc::new(Session::open(options).await.map_err(Failure::Keystone)?);
    let (service_type, region) = (unified.service_type.clone(), unified.region.clone());
    Ok(Some(Quotas::new(Arc::new(Unified { session, service_type, region, otherwise: limits }))))
}

fn api_settings(config: &Config) -> api::Settings {
    let limits = &config.limits;
    api::Settings {
        public_endpoint: config.public_endpoint.clone(),
        scheme: scheme(config),
        partial: config.federation.partial,
        json_body: size(limits.json_body),
        query_string: size(limits.query),
        image_size: limits.image.as_u64(),
        default_page: config.pages.default,
        largest_page: config.pages.largest,
        cursor_key: config
            .pages
            .cursor_key
            .as_ref()
            .map_or_else(api::CursorKey::random, |secret| api::CursorKey::of(secret.expose().as_bytes())),
        marks: config.pages.marks as u64,
        mark_age: config.pages.mark_age,
        read_deadline: limits.read_deadline,
        body_pause: limits.idle,
        policy: config.policy.clone(),
        disk_formats: config.formats.disk.clone(),
        container_formats: config.formats.container.clone(),
        locations: api::LocationSettings {
            show: config.locations.show,
            direct_url: config.locations.direct_url,
        },
        v1: config.api.v1,
        compute: config.api.compute,
    }
}

/// How much there may be in the catalogue of metadata definitions.
#[must_use]
pub fn metadefs_bounds(config: &Config) -> Bounds {
    let metadefs = &config.metadefs;
    Bounds {
        namespaces: metadefs.namespaces.get(),
        properties: metadefs.properties.get(),
        objects: metadefs.objects.get(),
        tags: metadefs.tags.get(),
        resource_types: metadefs.resource_types.get(),
        contents: size(metadefs.contents),
        document: size(metadefs.document),
        readers: metadefs.readers,
        busy_timeout: metadefs.busy_timeout,
    }
}

/// A size that has been checked to be small.
fn size(bytes: bytesize::ByteSize) -> usize {
    usize::try_from(bytes.as_u64()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_says_nothing_leaves_every_part_at_its_own_defaults() {
        let config = Config::default();
        assert_eq!(format!("{:?}", api_settings(&config)), format!("{:?}", api::Settings::default()));
        assert_eq!(metadefs_bounds(&config), Bounds::default());
        let backends = vec![BackendEntry { name: Some("a".into()), ..BackendEntry::default() }];
        assert_eq!(tenancy_rules(&Config { backends, ..Config::default() }, "a"), Rules::default());
        assert_eq!(
            format!("{:?}", federation_settings(&config)),
            format!("{:?}", federation::Settings::default())
        );
    }
}
