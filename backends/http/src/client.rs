//! The HTTP client of one server, with the certificates that its files hold at present.
//!
//! Whom it trusts and what it shows of itself is read from files, and read again when they change: the requests from
//! then on use new connections. Files that cannot be used change nothing, and are told once. Redirects are not
//! followed, nothing is tried twice, and no proxy of the environment comes between.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use image_service::{Error, ErrorKind, Result};
use reqwest::{Certificate, Identity};
use tokio::time::Instant;

use crate::options::{Dialect, Options};

/// The most headers of an answer in a dialect whose records travel in them: 128 properties, and what else there is.
const MOST_HEADERS: usize = 256;

/// A client that follows its files.
#[derive(Debug)]
pub(crate) struct Client {
    plan: Plan,
    current: RwLock<reqwest::Client>,
    seen: Mutex<Seen>,
}

/// The files as they were when they were last looked at.
#[derive(Debug)]
struct Seen {
    at: Instant,
    stamps: Vec<Option<(SystemTime, u64)>>,
}

/// What a client is made by.
#[derive(Debug)]
struct Plan {
    authorities: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    look: Duration,
    is_plain: bool,
    most_headers: Option<usize>,
    connect_timeout: Duration,
    pool_size: usize,
    pool_idle_timeout: Duration,
}

impl Client {
    /// Makes a client by what the files hold now. Blocks on them.
    ///
    /// # Errors
    /// `Invalid`, with the option and the path, if they cannot be used.
    pub(crate) fn open(options: &Options) -> Result<Self> {
        let identity = match (&options.client_certificate, &options.client_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) => return Err(Error::invalid("client_certificate: needs client_key beside it")),
            (None, Some(_)) => return Err(Error::invalid("client_key: needs client_certificate beside it")),
        };
        let plan = Plan {
            authorities: options.ca_file.clone(),
            identity,
            look: options.look,
            is_plain: options.endpoint.scheme() == "http",
            most_headers: (options.dialect == Dialect::GlanceV1).then_some(MOST_HEADERS),
            connect_timeout: options.connect_timeout,
            pool_size: options.pool_size,
            pool_idle_timeout: options.pool_idle_timeout,
        };
        let seen = Mutex::new(Seen { at: Instant::now(), stamps: plan.stamps() });
        Ok(Self { current: RwLock::new(plan.make()?), plan, seen })
    }

    /// The client for the next request. When it is time for a look at the files it reads them, if they have changed:
    /// they are small, and that is rare.
    pub(crate) fn now(&self) -> reqwest::Client {
        if self.plan.has_files() && self.have_changed() {
            match self.plan.make() {
                Ok(client) => *self.current.write().unwrap_or_else(PoisonError::into_inner) = client,
                Err(error) => {
                    let chain = error.chain();
                    tracing::error!(%chain, "certificates are left as they were");
                }
            }
        }
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn have_changed(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.elapsed() < self.plan.look {
            return false;
        }
        seen.at = Instant::now();
        let stamps = self.plan.stamps();
        let changed = stamps != seen.stamps;
        seen.stamps = stamps;
        changed
    }
}

impl Plan {
    const fn has_files(&self) -> bool {
        self.authorities.is_some() || self.identity.is_some()
    }

    fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        let stamp = |file: &PathBuf| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        self.authorities.iter().chain(identity).map(stamp).collect()
    }

    fn make(&self) -> Result<reqwest::Client> {
        static CRYPTOGRAPHY: Once = Once::new();
        // An error means that the program has chosen a provider already, which is as good.
        CRYPTOGRAPHY.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("portico/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(self.pool_size)
            .pool_idle_timeout(self.pool_idle_timeout);
        if let Some(most) = self.most_headers {
            builder = builder.http1_max_headers(most);
        }
        if let Some(file) = &self.authorities {
            builder = builder.tls_certs_only(authorities(file)?);
        } else if self.is_plain {
            // Plain HTTP needs no authorities, and a system that has none must not stand in its way.
            builder = builder.tls_certs_only([]);
        }
        if let Some((certificate, key)) = &self.identity {
            builder = builder.identity(identity(certificate, key)?);
        }
        builder.build().map_err(|source| match &self.identity {
            Some((_, key)) => {
                told("client_key", key, "is not the key of client_certificate").with_source(source)
            }
            None => Error::new(ErrorKind::Internal, "no HTTP client can be made").with_source(source),
        })
    }
}

fn told(option: &str, file: &Path, what: &str) -> Error {
    Error::invalid(format!("{option}: '{}' {what}", file.display()))
}

fn read(option: &str, file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|source| told(option, file, "cannot be read").with_source(source))
}

fn authorities(file: &Path) -> Result<Vec<Certificate>> {
    let none = || told("ca_file", file, "holds no certificates in PEM");
    let authorities = Certificate::from_pem_bundle(&read("ca_file", file)?);
    let authorities = authorities.map_err(|source| none().with_source(source))?;
    if authorities.is_empty() { Err(none()) } else { Ok(authorities) }
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity> {
    let chain = read("client_certificate", certificate)?;
    if Certificate::from_pem_bundle(&chain).is_ok_and(|chain| chain.is_empty()) {
        return Err(told("client_certificate", certificate, "holds no certificate in PEM"));
    }
    let mut both = read("client_key", key)?;
    both.push(b'\n');
    both.extend_from_slice(&chain);
    Identity::from_pem(&both).map_err(|source| {
        // What the files hold must not be shown.
        told("client_key", key, "and client_certificate do not hold a private key and a certificate in PEM")
            .with_source(source)
    })
}
