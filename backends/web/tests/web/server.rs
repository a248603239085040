//! A server of bytes on this machine, which may change, fall silent, or go.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What is found at a path.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// These bytes, or a range of them.
    Bytes(Bytes),
    /// These bytes, whatever range is asked for.
    Whole(Bytes),
    /// These bytes, of which nobody says how many they are.
    Unmeasured(Bytes),
    /// The answer does not come.
    Silence,
}

#[derive(Debug, Default)]
struct Shelf {
    items: Mutex<HashMap<String, Found>>,
    asked: Mutex<Vec<String>>,
}

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shelf = Arc::<Shelf>::default();
        let served = Arc::clone(&shelf);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&served)));
            }
        });
        Self { address, shelf, task: task.abort_handle() }
    }

    /// Puts something at a path of its own, and gives its URL.
    pub(crate) fn put(&self, found: Found) -> String {
        let mut items = self.shelf.items.lock().expect("nobody panics with it");
        let path = format!("/{}", items.len());
        items.insert(path.clone(), found);
        format!("http://{}{path}", self.address)
    }

    /// Puts something else where something was.
    pub(crate) fn change(&self, url: &str, found: Option<Found>) {
        let path = format!("/{}", url.rsplit_once('/').expect("a URL of ours").1);
        let mut items = self.shelf.items.lock().expect("nobody panics with it");
        match found {
            Some(found) => items.insert(path, found),
            None => items.remove(&path),
        };
    }

    /// How often the URL has been asked for.
    pub(crate) fn asked(&self, url: &str) -> usize {
        let asked = self.shelf.asked.lock().expect("nobody panics with it");
        asked.iter().filter(|path| url.ends_with(path.as_str())).count()
    }
}

async fn answer(mut stream: TcpStream, shelf: Arc<Shelf>) {
    let (mut path, mut range) = (String::new(), None);
    let mut lines = BufReader::new(&mut stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            range = value.split_once('-').and_then(|(first, last)| {
                Some(first.parse::<usize>().ok()?..last.parse::<usize>().ok()?.checked_add(1)?)
            });
        } else if line.is_empty() {
            break;
        }
    }
    shelf.asked.lock().expect("nobody panics with it").push(path.clone());
    let found = shelf.items.lock().expect("nobody panics with it").get(&path).cloned();
    let answer = match found {
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        Some(Found::Silence) => return std::future::pending().await,
        Some(Found::Unmeasured(bytes)) => {
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".as_slice(), &bytes].concat()
        }
        Some(Found::Whole(bytes)) => whole(&bytes),
        Some(Found::Bytes(bytes)) => range.map_or_else(|| whole(&bytes), |range| part(&bytes, range)),
    };
    // Who has gone needs no answer.
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

fn whole(bytes: &Bytes) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
    [head.as_bytes(), bytes].concat()
}

fn part(bytes: &Bytes, range: Range<usize>) -> Vec<u8> {
    let total = bytes.len();
    let Some(part) = bytes.get(range.start..range.end.min(total)).filter(|part| !part.is_empty()) else {
        let head = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nContent-Range: bytes */";
        return format!("{head}{total}\r\n\r\n").into_bytes();
    };
    let last = range.start + part.len() - 1;
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {}-{last}/{total}\r\nContent-Length: {}\r\n\r\n",
        range.start,
        part.len(),
    );
    [head.as_bytes(), part].concat()
}
