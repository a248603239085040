//! The HTTP client of one server, with the certificates that its files hold at present.
//!
//! Whom it trusts and what it shows of itself is read from files, and read again when they change: the requests from
//! then on use new connections. Files that cannot be used change nothing, and are told once. Redirects are not
//! followed, nothing is tried twice, and no proxy of the environment comes between.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use image_service::{Context, Error, ErrorKind, Result};
use reqwest::{Certificate, Identity};
use tokio::time::Instant;

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
    stamps: Vec<Option<Stamp>>,
}

/// How connections to a server are made, whatever it speaks.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// The certificate authorities to trust, instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// The certificate to show.
    pub(crate) client_certificate: Option<PathBuf>,
    /// Its private key.
    pub(crate) client_key: Option<PathBuf>,
    /// How often to look whether these files have changed.
    pub(crate) look: Duration,
    /// Whether the server is spoken to without TLS.
    pub(crate) is_plain: bool,
    /// The most headers of an answer, where that is more than usual.
    pub(crate) most_headers: Option<usize>,
    /// How long a connection may take to be made.
    pub(crate) connect_timeout: Duration,
    /// The most idle connections to keep.
    pub(crate) pool_size: usize,
    /// How long to keep them.
    pub(crate) pool_idle_timeout: Duration,
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
    /// Makes a client by what the files hold now.
    ///
    /// # Errors
    /// `Invalid`, with the option and the path, if they cannot be used.
    pub(crate) async fn make(connection: Connection) -> Result<Self> {
        let broken = |source| Error::new(ErrorKind::Internal, "files cannot be read").with_source(source);
        tokio::task::spawn_blocking(move || Self::open(connection)).await.map_err(broken)?
    }

    /// As [`make`](Self::make), and blocks on the files.
    fn open(connection: Connection) -> Result<Self> {
        let identity = match (connection.client_certificate, connection.client_key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(Error::invalid("client_certificate: needs client_key beside it")),
            (None, Some(_)) => return Err(Error::invalid("client_key: needs client_certificate beside it")),
        };
        let plan = Plan {
            authorities: connection.ca_file,
            identity,
            look: connection.look,
            is_plain: connection.is_plain,
            most_headers: connection.most_headers,
            connect_timeout: connection.connect_timeout,
            pool_size: connection.pool_size,
            pool_idle_timeout: connection.pool_idle_timeout,
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

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        self.authorities.iter().chain(identity).map(|file| stamp(file)).collect()
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

/// How long an answer may take: `most`, or what is left until nobody waits for it any more.
pub(crate) fn patience(context: &Context, most: Duration) -> Duration {
    let left = context.deadline.map(|deadline| deadline.saturating_duration_since(std::time::Instant::now()));
    left.map_or(most, |left| left.min(most))
}

/// What changes when a file does: when it was written, and how long it is.
pub(crate) type Stamp = (SystemTime, u64);

/// The stamp of `file`, if it is there.
pub(crate) fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
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
