//! The certificate that clients see, and how it comes to be another one while the service runs.
//!
//! Certificate and key are read together and must fit each other. When either file changes both are read again: new
//! connections get the new certificate, those that are open keep theirs. Files that cannot be used change nothing, and
//! are told once.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use tokio_rustls::TlsAcceptor;

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate and those that lead from it to an authority, in PEM, its own first.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// What is wrong with a certificate or its key.
#[derive(Debug)]
pub struct Flaw {
    /// Whether it is the key.
    pub of_key: bool,
    message: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Flaw {}

impl Files {
    /// Finds what is wrong with the files. Blocks on them.
    ///
    /// # Errors
    /// The flaw, with the path.
    pub fn check(&self) -> Result<(), Flaw> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<CertifiedKey, Flaw> {
        let of_certificate = |why: &str| flaw(false, &self.certificate, why);
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| of_certificate(&told(&error)))?;
        if chain.is_empty() {
            return Err(of_certificate("holds no certificate in PEM"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| {
            let none = matches!(error, PemError::NoItemsFound);
            flaw(true, &self.key, &if none { "holds no private key in PEM".to_owned() } else { told(&error) })
        })?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => flaw(true, &self.key, "is not the key of the certificate"),
            rustls::Error::InvalidCertificate(_) => of_certificate("holds what is no certificate"),
            _ => flaw(true, &self.key, "holds a key of a kind that cannot be used"),
        })
    }

    /// What tells one state of the files from another.
    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

type Stamp = [Option<(SystemTime, u64)>; 2];

fn flaw(of_key: bool, file: &Path, why: &str) -> Flaw {
    Flaw { of_key, message: format!("'{}' {why}", file.display()) }
}

fn told(error: &PemError) -> String {
    match error {
        PemError::Io(error) => format!("cannot be read: {error}"),
        _ => String::from("is no PEM"),
    }
}

fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// A server's side of TLS. Clones share the certificate.
#[derive(Debug, Clone)]
pub struct Tls {
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

/// The certificate that is shown at present.
#[derive(Debug)]
struct Shown {
    files: Files,
    key: RwLock<Arc<CertifiedKey>>,
    /// Of the files as they were when they were last read, whatever came of it.
    stamp: Mutex<Stamp>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Reads the files. Blocks on them.
    ///
    /// # Errors
    /// The flaw, with the path.
    pub fn open(files: Files) -> Result<Self, Flaw> {
        let stamp = files.stamp();
        let key = RwLock::new(Arc::new(files.read()?));
        let shown = Arc::new(Shown { files, key, stamp: Mutex::new(stamp) });
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .expect("the provider has suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { shown, config: Arc::new(config) })
    }

    /// Reads the files again, and says in the log what came of it. Blocks on them.
    pub fn reload(&self) {
        let Shown { files, key, stamp } = &*self.shown;
        // Taken before, so that what changes meanwhile is seen the next time.
        *stamp.lock().unwrap_or_else(PoisonError::into_inner) = files.stamp();
        match files.read() {
            Ok(read) => {
                *key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
                tracing::info!(certificate = %files.certificate.display(), "the certificate is read again");
            }
            Err(flaw) => tracing::error!(%flaw, "the certificate is left as it was"),
        }
    }

    /// Reads the files again whenever they have changed, looking so often, for as long as it is polled.
    pub async fn watch(&self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let tls = self.clone();
            // If it breaks down, the next look may not.
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    }

    fn look(&self) {
        let known = *self.shown.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shown.files.stamp() != known {
            self.reload();
        }
    }

    /// Does the handshake on `stream`.
    ///
    /// # Errors
    /// The client's failure to do its part.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<tokio_rustls::server::TlsStream<S>>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await
    }
}
