//! Fetching from real servers on this machine, which must be allowed for that.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytesize::ByteSize;
use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use image_service::{ErrorKind, Result};
use portico_fetch::{Fetched, Fetcher, Resolving, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that gives every connection this answer and counts them.
async fn server(answer: impl Into<Vec<u8>>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let (answer, counter) = (answer.into(), Arc::clone(&count));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                // Who has gone needs no answer. An answer without an end leaves the connection open.
                let _ = stream.write_all(&answer).await;
                if answer.is_empty() || answer.ends_with(b"...") {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (port, count)
}

fn found(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn data(length: usize, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Settings that let loopback be reached, at any port.
fn here() -> Settings {
    Settings {
        ports: Vec::new(),
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..Settings::default()
    }
}

async fn fetch(settings: Settings, url: &str) -> Result<Vec<u8>> {
    read(Fetcher::new(settings)?.open(url).await?).await
}

async fn read(fetched: Fetched) -> Result<Vec<u8>> {
    let pieces: Vec<_> = fetched.stream.try_collect().await?;
    Ok(pieces.concat())
}

fn kind(outcome: Result<Vec<u8>>) -> ErrorKind {
    outcome.expect_err("it is not fetched").kind()
}

#[tokio::test]
async fn data_comes_with_its_size_also_behind_redirects() {
    let (port, _) = server(data(5, "bytes")).await;
    let fetched = Fetcher::new(here()).unwrap().open(&format!("http://127.0.0.1:{port}/x")).await.unwrap();
    assert_eq!(fetched.size, Some(5));
    assert_eq!(read(fetched).await.unwrap(), b"bytes");
    let (first, _) = server(found(&format!("http://127.0.0.1:{port}/x"))).await;
    let (second, _) = server(found(&format!("//127.0.0.1:{first}/y"))).await;
    assert_eq!(fetch(here(), &format!("http://localhost:{second}/")).await.unwrap(), b"bytes");
}

#[tokio::test]
async fn by_default_nothing_on_this_machine_is_connected_to() {
    let (port, count) = server(data(5, "bytes")).await;
    let settings = Settings { ports: Vec::new(), ..Settings::default() };
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "[::1]"] {
        let outcome = fetch(settings.clone(), &format!("http://{host}:{port}/")).await;
        assert_eq!(kind(outcome), ErrorKind::Invalid, "{host}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_is_held_to_the_same_rules() {
    let (hidden, count) = server(data(5, "bytes")).await;
    for location in [
        format!("http://127.0.0.2:{hidden}/"),
        format!("http://0x7f000002:{hidden}/"),
        format!("http://user:x@127.0.0.1:{hidden}/"),
        "file:///etc/passwd".into(),
        "http://169.254.169.254/latest/meta-data/".into(),
        "gopher://127.0.0.1/".into(),
    ] {
        let (port, _) = server(found(&location)).await;
        let settings = Settings { allow_networks: vec!["127.0.0.1/32".parse().unwrap()], ..here() };
        let outcome = fetch(settings, &format!("http://127.0.0.1:{port}/")).await;
        assert_eq!(kind(outcome), ErrorKind::Invalid, "{location}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    let (port, count) = server(found("/again")).await;
    let outcome = fetch(here(), &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!((kind(outcome), count.load(Ordering::SeqCst)), (ErrorKind::Invalid, 6));
    let (port, _) = server("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(kind(fetch(here(), &format!("http://127.0.0.1:{port}/")).await), ErrorKind::Invalid);
}

/// Says that a name is one address the first time and another from then on.
struct Changing(AtomicUsize, [Ipv4Addr; 2]);

impl Resolving for Changing {
    fn resolve(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let time = self.0.fetch_add(1, Ordering::SeqCst).min(1);
        let address = IpAddr::from(self.1[time]);
        Box::pin(std::future::ready(Ok(vec![address])))
    }
}

#[tokio::test]
async fn a_name_that_means_another_address_a_moment_later_gains_nothing() {
    let (port, count) = server(data(5, "bytes")).await;
    let settings = || Settings { allow_networks: vec!["127.0.0.1/32".parse().unwrap()], ..here() };
    let changing = Changing(AtomicUsize::new(0), [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)]);
    let fetcher = Fetcher::with_resolver(settings(), changing).unwrap();
    let url = format!("http://images.example:{port}/");
    assert_eq!(read(fetcher.open(&url).await.unwrap()).await.unwrap(), b"bytes");
    assert_eq!(fetcher.open(&url).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(count.load(Ordering::SeqCst), 1, "the second address was never connected to");
}

#[tokio::test]
async fn what_is_not_whole_ends_in_an_error() {
    for (answer, expected) in [
        (data(10, "bytes"), ErrorKind::Incomplete),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbytes\r\n".into(), ErrorKind::Incomplete),
        (data(100, "0123456789"), ErrorKind::TooLarge),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n0123456789abcde\r\n0\r\n\r\n".into(),
            ErrorKind::TooLarge,
        ),
        (data(5, "b..."), ErrorKind::TimedOut),
        (String::new(), ErrorKind::TimedOut),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into(), ErrorKind::Invalid),
        ("HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx".into(), ErrorKind::Invalid),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx".into(),
            ErrorKind::Invalid,
        ),
        ("nonsense\r\n\r\n".into(), ErrorKind::Refused),
    ] {
        let (port, _) = server(answer.clone()).await;
        let mut settings = Settings { most_bytes: ByteSize::b(12), ..here() };
        if expected == ErrorKind::TimedOut {
            settings.answer_timeout = Duration::from_millis(100);
            settings.idle_timeout = settings.answer_timeout;
        }
        assert_eq!(kind(fetch(settings, &format!("http://127.0.0.1:{port}/")).await), expected, "{answer}");
    }
}

#[tokio::test]
async fn all_of_it_may_take_only_so_long() {
    let (port, _) = server(data(5, "b...")).await;
    let settings = Settings { longest: Duration::from_secs(1), ..here() };
    let error = fetch(settings, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::TimedOut, "the transfer took too long"));
}

#[tokio::test]
async fn who_does_not_answer_is_refused_without_a_word_about_the_network() {
    let port = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let error = fetch(here(), &format!("http://127.0.0.1:{port}/secret")).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Refused, "the server cannot be reached"));
    assert!(!error.chain().contains("secret"), "{}", error.chain());
}

fn part(range: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: {range}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

async fn fetch_range(answer: String) -> Result<Vec<u8>> {
    let (port, _) = server(answer).await;
    let url = format!("http://127.0.0.1:{port}/");
    let fetched = Fetcher::new(here())?.open_range(&url, 2..5, 10).await?;
    assert_eq!(fetched.size, Some(3));
    read(fetched).await
}

#[tokio::test]
async fn a_range_comes_from_servers_that_know_ranges_and_from_those_that_do_not() {
    for answer in [
        part("bytes 2-4/10", "cde"),
        part("bytes 2-4/*", "cde"),
        data(10, "abcdefghij"),
        // What comes behind the range is not waited for.
        data(10, "abcdefg..."),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabcdefghij\r\n0\r\n\r\n".into(),
    ] {
        assert_eq!(fetch_range(answer.clone()).await.unwrap(), b"cde", "{answer}");
    }
}

#[tokio::test]
async fn another_range_or_one_of_other_data_is_not_taken() {
    for answer in [
        part("bytes 2-5/10", "cdef"),
        part("bytes 1-4/10", "bcde"),
        part("bytes */10", "cde"),
        part("pages 2-4/10", "cde"),
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\ncde".into(),
        "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n".into(),
        "HTTP/1.1 204 No Content\r\n\r\n".into(),
    ] {
        assert_eq!(kind(fetch_range(answer.clone()).await), ErrorKind::Invalid, "{answer}");
    }
    for answer in [part("bytes 2-4/11", "cde"), data(9, "abcdefghi")] {
        assert_eq!(kind(fetch_range(answer).await), ErrorKind::Corrupt);
    }
    let short = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n";
    for answer in
        ["HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/10\r\n\r\ncd".into(), short.into()]
    {
        assert_eq!(kind(fetch_range(answer).await), ErrorKind::Incomplete);
    }
}

#[tokio::test]
async fn a_size_is_asked_for_with_one_byte() {
    for (answer, size) in [
        (part("bytes 0-0/1000", "x"), Some(1000)),
        (part("bytes 0-0/*", "x"), None),
        (data(1000, "x..."), Some(1000)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), None),
        ("HTTP/1.1 416 No\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n".into(), Some(0)),
    ] {
        let (port, _) = server(answer.clone()).await;
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(Fetcher::new(here()).unwrap().size(&url).await.unwrap(), size, "{answer}");
    }
    let (port, _) = server("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    let error = Fetcher::new(here()).unwrap().size(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
