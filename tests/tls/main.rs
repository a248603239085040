//! Clients that are spoken to in private: real handshakes on real sockets.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

mod authority;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, SystemTime};

use authority::{Authority, Pair};
use axum::Router;
use axum::routing::get;
use portico::server::tls::{Files, Tls};
use portico::server::{Ending, Server, Settings, Stop};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes, and shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    directory: TempDir,
    tls: Tls,
    address: SocketAddr,
    stop: Stop,
    ending: JoinHandle<Ending>,
}

fn files(directory: &Path) -> Files {
    Files { certificate: directory.join("certificate.pem"), key: directory.join("key.pem") }
}

fn write(directory: &Path, pair: &Pair) {
    let files = files(directory);
    std::fs::write(files.certificate, &pair.certificate).unwrap();
    std::fs::write(files.key, &pair.key).unwrap();
}

impl Running {
    fn new(pair: &Pair) -> Self {
        Self::with(pair, PATIENCE)
    }

    fn with(pair: &Pair, head_timeout: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), pair);
        let tls = Tls::open(files(directory.path())).unwrap();
        let settings = Settings {
            connections: NonZeroUsize::new(16).unwrap(),
            head: 8 * 1024,
            headers: 20,
            head_timeout,
            idle: PATIENCE,
            drain: PATIENCE,
        };
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), settings).unwrap();
        let server = server.with_tls(Some(tls.clone()));
        let (address, stop) = (server.address().unwrap(), Stop::default());
        let router = Router::new().route("/", get(async || "in private"));
        let ending = tokio::spawn(server.serve(router, stop.clone()));
        Self { directory, tls, address, stop, ending }
    }

    /// A client that trusts `authority` alone, and finds this server under every name.
    fn client(&self, authority: &Authority) -> reqwest::Client {
        // Somebody else may have chosen it already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let certificate = reqwest::Certificate::from_pem(authority.pem.as_bytes()).unwrap();
        let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE).tls_certs_only([certificate]);
        ["images.test", "other.test"]
            .into_iter()
            .fold(builder, |builder, name| builder.resolve(name, self.address))
            .build()
            .unwrap()
    }

    async fn ask(&self, client: &reqwest::Client, name: &str) -> Result<String, reqwest::Error> {
        let url = format!("https://{name}:{}/", self.address.port());
        client.get(url).send().await?.text().await
    }
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_reaches_the_name_that_is_certified_and_no_other() {
    let authority = Authority::new();
    let running = Running::new(&authority.certify("images.test"));
    let client = running.client(&authority);
    assert_eq!(running.ask(&client, "images.test").await.unwrap(), "in private");
    assert!(running.ask(&client, "other.test").await.is_err(), "the certificate is another host's");
    let stranger = running.client(&Authority::new());
    assert!(running.ask(&stranger, "images.test").await.is_err(), "the authority is not trusted");
    let late = Running::new(&authority.certify_long_ago("images.test"));
    assert!(late.ask(&late.client(&authority), "images.test").await.is_err(), "its time is over");
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_and_open_ones_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let running = Running::new(&old.certify("images.test"));
    let (held, late) = (running.client(&old), running.client(&new));
    assert_eq!(running.ask(&held, "images.test").await.unwrap(), "in private");
    assert!(running.ask(&late, "images.test").await.is_err());

    write(running.directory.path(), &new.certify("images.test"));
    running.tls.reload();
    assert_eq!(running.ask(&late, "images.test").await.unwrap(), "in private");
    // It holds its connection, and a new one would fail.
    assert_eq!(running.ask(&held, "images.test").await.unwrap(), "in private");
    assert!(running.ask(&running.client(&old), "images.test").await.is_err());
}

#[tokio::test]
async fn files_that_have_changed_are_found_by_looking() {
    let (old, new) = (Authority::new(), Authority::new());
    let running = Running::new(&old.certify("images.test"));
    let files = files(running.directory.path());
    write(running.directory.path(), &new.certify("images.test"));
    // Where the clock of files is coarse, both pairs could else be of one time.
    for file in [files.certificate, files.key] {
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    }
    let client = running.client(&new);
    let found = async {
        while running.ask(&client, "images.test").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = running.tls.watch(Duration::from_millis(1)) => unreachable!("it watches for ever"),
        found = timeout(PATIENCE, found) => found.unwrap(),
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing() {
    let authority = Authority::new();
    let running = Running::new(&authority.certify("images.test"));
    let good = authority.certify("images.test");
    for bad in [
        Pair { certificate: String::new(), key: good.key.clone() },
        Pair { certificate: good.certificate.clone(), key: authority.certify("images.test").key },
        Pair { certificate: good.certificate.clone(), key: "nonsense".into() },
    ] {
        write(running.directory.path(), &bad);
        running.tls.reload();
        let client = running.client(&authority);
        assert_eq!(running.ask(&client, "images.test").await.unwrap(), "in private");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_told_with_the_path_of_the_one() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, files) = (Authority::new(), files(directory.path()));
    let good = authority.certify("images.test");
    let long_line = format!("-----BEGIN CERTIFICATE-----\n{}", "!".repeat(80));
    for (certificate, key, of_key, why) in [
        ("", good.key.as_str(), false, "holds no certificate in PEM"),
        (long_line.as_str(), good.key.as_str(), false, "is no PEM"),
        (good.certificate.as_str(), "", true, "holds no private key in PEM"),
        (good.certificate.as_str(), &authority.certify("a").key, true, "is not the key of the certificate"),
    ] {
        write(directory.path(), &Pair { certificate: certificate.into(), key: key.into() });
        let flaw = files.check().unwrap_err();
        assert_eq!(flaw.of_key, of_key, "{flaw}");
        assert!(flaw.to_string().contains(why) && flaw.to_string().contains(".pem'"), "{flaw}");
    }
    std::fs::remove_file(&files.certificate).unwrap();
    assert!(files.check().unwrap_err().to_string().contains("cannot be read"));
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for_and_plain_http_gets_no_answer() {
    let authority = Authority::new();
    let running = Running::with(&authority.certify("images.test"), Duration::from_millis(50));
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    let mut nothing = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut nothing)).await.unwrap().unwrap();
    assert_eq!(nothing, b"");

    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_handshake_under_way_does_not_hold_up_the_end() {
    let running = Running::new(&Authority::new().certify("images.test"));
    let _idle = TcpStream::connect(running.address).await.unwrap();
    // It is accepted before the end is asked for, or never.
    running.stop.drain();
    let ending = timeout(PATIENCE / 2, running.ending).await.unwrap().unwrap();
    assert_eq!(ending, Ending::Drained);
}
