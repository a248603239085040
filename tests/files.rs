//! Files that the kernel moves to clients, on real sockets: every byte where it belongs, and no failure beyond its own
//! response.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path};
use axum::routing::get;
use futures::StreamExt as _;
use image_service::FilePart;
use portico::passage::Passage;
use portico::server::{Server, Settings, Stop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;
/// More than two pieces, and no round number.
const SIZE: u64 = 9 * MIB + 12_345;

/// Bytes of which no part is like another.
fn pattern(range: Range<u64>) -> Vec<u8> {
    range.map(|offset| (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

struct Site {
    address: SocketAddr,
    stop: Stop,
    file: Arc<File>,
    moved: Arc<AtomicU64>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cut();
    }
}

impl Site {
    /// A server of one file: `/{start}/{length}` is a part of it, `/broken` cannot be read, and `/words` is no file.
    fn new() -> Self {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&pattern(0..SIZE)).unwrap();
        let (file, moved) = (Arc::new(file), Arc::new(AtomicU64::new(0)));
        let (served, counted) = (Arc::clone(&file), Arc::clone(&moved));
        let part = move |Extension(passage): Extension<Passage>, Path((start, length)): Path<(u64, u64)>| {
            let counted = Arc::clone(&counted);
            let part = FilePart::new(Arc::clone(&served), start).observed(move |bytes| {
                counted.fetch_add(bytes, Ordering::SeqCst);
            });
            let body = Body::from_stream(passage.pieces(part, length));
            async move { ([("content-length", length.to_string())], body) }
        };
        // A file of which the system says that it cannot be read, as it does of one on a failing disk.
        let broken = async |Extension(passage): Extension<Passage>| {
            let file = Arc::new(File::open("/proc/self/mem").unwrap());
            assert_eq!(file.read_at(&mut [0], 0).unwrap_err().raw_os_error(), Some(5), "not EIO");
            let body = Body::from_stream(passage.pieces(FilePart::new(file, 0), 1000));
            ([("content-length", "1000")], body)
        };
        let router = Router::new()
            .route("/{start}/{length}", get(part))
            .route("/broken", get(broken))
            .route("/words", get(async || "some words"));
        let settings = Settings {
            connections: NonZeroUsize::new(64).unwrap(),
            head: 8 * 1024,
            headers: 20,
            head_timeout: PATIENCE,
            idle: PATIENCE,
            drain: PATIENCE,
        };
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), settings).unwrap();
        let (address, stop) = (server.address().unwrap(), Stop::default());
        tokio::spawn(server.serve(router, stop.clone()));
        Self { address, stop, file, moved }
    }

    async fn ask(&self, paths: &[String]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        for path in paths {
            let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
        }
        stream
    }
}

/// The body of the next answer, as far as it comes.
async fn body(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = Vec::new();
    let mut taken = stream.take(length.parse().unwrap());
    // A reset is an end as well.
    let _ = timeout(PATIENCE, taken.read_to_end(&mut body)).await.unwrap();
    body
}

#[tokio::test]
async fn every_part_is_exactly_its_bytes_and_each_that_goes_is_told_of() {
    let site = Site::new();
    let mut asked = 0;
    for (start, length) in
        [(0, SIZE), (0, 1), (SIZE - 1, 1), (4 * MIB - 1, 2), (1, 8 * MIB), (12_345, 9 * MIB), (7, 0)]
    {
        let mut stream = site.ask(&[format!("/{start}/{length}")]).await;
        assert!(body(&mut stream).await == pattern(start..start + length), "{length} from {start}");
        asked += length;
        assert_eq!(site.moved.load(Ordering::SeqCst), asked);
    }
}

#[tokio::test]
async fn answers_to_requests_that_were_sent_at_once_do_not_mix() {
    let site = Site::new();
    let parts = [(5, 10), (100, 5 * MIB), (0, 0), (SIZE - 7, 7), (3, 1)];
    let paths = parts.iter().flat_map(|(start, length)| [format!("/{start}/{length}"), "/words".to_owned()]);
    let mut stream = site.ask(&paths.collect::<Vec<String>>()).await;
    for (start, length) in parts {
        assert!(body(&mut stream).await == pattern(start..start + length), "{length} from {start}");
        assert_eq!(body(&mut stream).await, b"some words");
    }
}

#[tokio::test]
async fn many_clients_each_get_their_own_bytes_also_the_slow_ones() {
    let site = Site::new();
    let clients = (0..32_u64).map(|number| {
        let (site, start) = (&site, number * 1_001);
        async move {
            let length = 5 * MIB + number;
            let mut stream = site.ask(&[format!("/{start}/{length}")]).await;
            if number % 4 == 0 {
                // Not before the others have come a good way.
                while site.moved.load(Ordering::SeqCst) < 64 * MIB {
                    tokio::task::yield_now().await;
                }
            }
            assert!(body(&mut stream).await == pattern(start..start + length), "client {number}");
        }
    });
    futures::stream::iter(clients).for_each_concurrent(None, |client| client).await;
}

#[tokio::test]
async fn a_file_that_becomes_shorter_breaks_its_own_response_and_no_other() {
    let site = Site::new();
    let mut stream = site.ask(&[format!("/0/{SIZE}"), "/words".to_owned()]).await;
    site.file.set_len(5 * MIB).unwrap();
    let got = body(&mut stream).await;
    assert!(got.len() as u64 <= 5 * MIB && got == pattern(0..got.len() as u64), "{} bytes", got.len());
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"", "nothing comes behind a part that broke off");
    let mut stream = site.ask(&["/3/50".to_owned(), "/words".to_owned()]).await;
    assert_eq!(body(&mut stream).await, pattern(3..53));
    assert_eq!(body(&mut stream).await, b"some words");
}

#[tokio::test]
async fn a_disk_that_fails_breaks_its_own_response_and_no_other() {
    let site = Site::new();
    let mut other = site.ask(&[format!("/0/{SIZE}")]).await;
    let mut stream = site.ask(&["/broken".to_owned()]).await;
    assert_eq!(body(&mut stream).await, b"");
    assert!(body(&mut other).await == pattern(0..SIZE));
    let mut stream = site.ask(&["/words".to_owned()]).await;
    assert_eq!(body(&mut stream).await, b"some words");
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing_open() {
    let site = Site::new();
    let mut stream = site.ask(&[format!("/0/{SIZE}")]).await;
    stream.read_u8().await.unwrap();
    assert!(Arc::strong_count(&site.file) > 2, "the file is being read");
    drop(stream);
    let gone = async {
        while Arc::strong_count(&site.file) > 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_file_still_comes_when_the_server_ends_and_the_client_is_slow() {
    // So much that the sockets do not take all of it, and so little that it is all handed over at once.
    let length = 4 * MIB - 5;
    let mut cut = Vec::new();
    for connection in ["close", "keep-alive"] {
        let site = Site::new();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut stream = socket.connect(site.address).await.unwrap();
        let head = format!("GET /5/{length} HTTP/1.1\r\nhost: a\r\nconnection: {connection}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Nothing is moved any more: whatever is left waits for the client.
        let mut before = 0;
        let settled = async {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let now = site.moved.load(Ordering::SeqCst);
                if now > 0 && now == before {
                    return now;
                }
                before = now;
            }
        };
        cut.push(timeout(PATIENCE, settled).await.unwrap() < length);
        site.stop.drain();
        assert!(body(&mut stream).await == pattern(5..5 + length), "{connection}");
    }
    assert_eq!(cut, [true, true], "the sockets took all of it at once, so that nothing was tried");
}
