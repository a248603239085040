//! A service that is spoken to in private: whom it is believed to be, and whom it believes us to be.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

#[path = "../../../tests/tls/authority.rs"]
mod authority;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use authority::{Authority, Pair};
use image_service::{Caller, Context, ErrorKind, ImageId, ImageService};
use portico_http::{Dialect, GlanceV2, Options};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// Starts a service that shows `pair`, lets in who is certified by `clients` if that is given, and has no images.
async fn service(pair: &Pair, clients: Option<&Authority>) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let answer = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
            // Who has gone needs no answer.
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }
}

fn options(name: &str, port: u16, authorities: PathBuf) -> Options {
    let endpoint = Url::parse(&format!("https://{name}:{port}")).unwrap();
    let look = Duration::from_nanos(1);
    Options { ca_file: Some(authorities), look, ..Options::new(Dialect::GlanceV2, endpoint) }
}

/// What comes of asking for an image that is not there: `NotFound` if the service was reached.
async fn outcome(backend: &GlanceV2) -> ErrorKind {
    let context = Context::new(Caller::administrator(), "req-test");
    backend.show(&context, &ImageId::lookup("absent")).await.unwrap_err().kind()
}

#[tokio::test]
async fn only_a_service_whose_certificate_is_good_for_its_name_now_is_spoken_to() {
    let (authority, files) = (Authority::new(), Files::new());
    let trusted = files.write("ca.pem", &authority.pem);
    for (name, pair, expected) in [
        ("127.0.0.1", authority.certify("127.0.0.1"), ErrorKind::NotFound),
        ("localhost", authority.certify("localhost"), ErrorKind::NotFound),
        ("127.0.0.1", authority.certify("localhost"), ErrorKind::Refused),
        ("127.0.0.1", authority.certify_long_ago("127.0.0.1"), ErrorKind::Refused),
        ("127.0.0.1", Authority::new().certify("127.0.0.1"), ErrorKind::Refused),
    ] {
        let port = service(&pair, None).await;
        let backend = GlanceV2::open("test", options(name, port, trusted.clone())).await.unwrap();
        assert_eq!(outcome(&backend).await, expected, "{name}");
    }
}

#[tokio::test]
async fn our_certificate_lets_us_in_and_another_one_is_used_as_soon_as_it_is_there() {
    let (servers, clients, files) = (Authority::new(), Authority::new(), Files::new());
    let port = service(&servers.certify("127.0.0.1"), Some(&clients)).await;
    let plain = options("127.0.0.1", port, files.write("ca.pem", &servers.pem));
    let backend = GlanceV2::open("test", plain.clone()).await.unwrap();
    assert_ne!(outcome(&backend).await, ErrorKind::NotFound, "who shows nothing is not let in");

    let wrong = Authority::new().certify("portico");
    let with_ours = Options {
        client_certificate: Some(files.write("client.pem", &wrong.certificate)),
        client_key: Some(files.write("client-key.pem", &wrong.key)),
        ..plain
    };
    let backend = GlanceV2::open("test", with_ours).await.unwrap();
    assert_ne!(outcome(&backend).await, ErrorKind::NotFound, "whoever is certified by others is not let in");

    let right = clients.certify("portico");
    files.write("client.pem", &right.certificate);
    files.write("client-key.pem", &right.key);
    assert_eq!(outcome(&backend).await, ErrorKind::NotFound);

    // What cannot be used changes nothing.
    files.write("client-key.pem", "nonsense");
    assert_eq!(outcome(&backend).await, ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_told_with_the_option() {
    let (authority, files) = (Authority::new(), Files::new());
    let plain = options("127.0.0.1", 1, files.write("ca.pem", &authority.pem));
    let (one, other) = (authority.certify("a"), authority.certify("a"));
    let certificate = Some(files.write("client.pem", &one.certificate));
    let key = |text: &str| Some(files.write(&format!("key-{}.pem", text.len()), text));
    for (certificate, key, message) in [
        (certificate.clone(), None, "client_certificate: needs client_key beside it"),
        (None, key(&one.key), "client_key: needs client_certificate beside it"),
        (certificate.clone(), Some("/nowhere/key".into()), "client_key: '/nowhere/key' cannot be read"),
        (certificate.clone(), key(&other.key), "is not the key of client_certificate"),
        (certificate.clone(), key("nonsense"), "do not hold a private key"),
    ] {
        let options = Options { client_certificate: certificate, client_key: key, ..plain.clone() };
        let error = GlanceV2::open("test", options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(message), "{error}");
    }
}
