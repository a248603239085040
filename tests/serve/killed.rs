//! Stores that are killed, or stand still, while they give out an image, behind a service that has another copy.
//!
//! The image has as many MiB as `PORTICO_KILLED_MIB` says, else few: what matters is that they do not all lie in buffers.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use super::{Directory, Service};

const ID: &str = "5a0e7d52-7c36-4f0e-8f4e-1c2f1ab7d0aa";

/// The data is made and compared in pieces of this size.
const PIECE: usize = 64 << 10;

fn pieces() -> usize {
    let mebibytes = std::env::var("PORTICO_KILLED_MIB").map_or(64, |text| text.parse().unwrap());
    mebibytes * (1 << 20) / PIECE
}

/// One piece of the image: no two are the same.
struct Pattern(Vec<u8>);

impl Pattern {
    fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let word = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        Self((0..PIECE / 8).flat_map(word).collect())
    }

    fn piece(&mut self, number: usize) -> &[u8] {
        self.0[..8].copy_from_slice(&number.to_le_bytes());
        &self.0
    }
}

/// A store of the image in a directory of its own, as a process.
struct Store(Service);

impl Store {
    fn open() -> Self {
        let directory = Directory::new();
        Self::configure(&directory, SocketAddr::from(([127, 0, 0, 1], 0)));
        let store = Self(Service::start_in(directory));
        Self::configure(&store.0.directory, store.0.address);
        store.fill();
        store
    }

    fn configure(directory: &Directory, listen: SocketAddr) {
        let backend = "[[backend]]\nname = \"disk\"\nkind = \"local\"\noptions = { path = \"./data\" }\n";
        let text = format!("listen = \"{listen}\"\nadmin = {{ listen = \"off\" }}\n{backend}");
        directory.write("portico.toml", &text);
    }

    fn fill(&self) {
        let record = format!(r#"{{"id": "{ID}", "disk_format": "raw", "container_format": "bare"}}"#);
        let head = "POST /v2/images HTTP/1.1\r\nContent-Type: application/json\r\n";
        assert_eq!(self.0.ask(head, record.as_bytes()).0, 201);
        let mut stream = self.0.connect();
        write!(
            stream,
            "PUT /v2/images/{ID}/file HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            pieces() * PIECE
        )
        .unwrap();
        let mut pattern = Pattern::new();
        (0..pieces()).for_each(|number| stream.write_all(pattern.piece(number)).unwrap());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }

    fn kill(&mut self) {
        self.0.child.kill().unwrap();
        self.0.child.wait().unwrap();
    }

    /// Starts it again where it was.
    fn start(&mut self) {
        let directory = std::mem::replace(&mut self.0.directory, Directory::new());
        self.0 = Service::start_in(directory);
    }
}

fn front(stores: &[Store], settings: &str) -> Service {
    let backends: String = (0..stores.len())
        .zip(stores)
        .map(|(number, store)| {
            let endpoint = format!("endpoint = \"http://{}\"", store.0.address);
            let options = format!("dialect = \"glance-v2\", {endpoint}, auth = {{ kind = \"none\" }}");
            format!("[[backend]]\nname = \"s{number}\"\nkind = \"http\"\noptions = {{ {options} }}\n")
        })
        .collect();
    let directory = Directory::new();
    directory.write("portico.toml", &format!("{}{settings}{backends}", super::FREE_PORTS));
    Service::start_in(directory)
}

/// The sum of the samples that begin so.
fn sum(front: &Service, name: &str) -> f64 {
    let (_, text) = front.told("/metrics");
    let values = text.lines().filter(|line| line.starts_with(name));
    values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// The store that gives data now.
fn source(front: &Service) -> usize {
    let gives = |number: &usize| {
        sum(front, &format!("portico_backend_streams_in_flight{{backend=\"s{number}\"}}")) > 0.0
    };
    (0..2).find(gives).unwrap_or(0)
}

/// Downloads the image, which must come whole. Before so many pieces have come, something happens.
fn download(front: &Service, at: usize, happens: impl FnOnce()) {
    let (mut pattern, mut piece) = (Pattern::new(), vec![0; PIECE]);
    let (mut download, mut happens) = (front.begin_download(ID), Some(happens));
    for number in 0..pieces() {
        if number == at
            && let Some(happens) = happens.take()
        {
            happens();
        }
        download.read_exact(&mut piece).unwrap_or_else(|error| panic!("at {number}, after {at}: {error}"));
        assert!(piece == pattern.piece(number), "another piece at {number}, after {at}");
    }
}

#[test]
fn a_store_that_stands_still_is_replaced_and_the_client_gets_it_all() {
    let stores = [Store::open(), Store::open()];
    let front = front(&stores, "guard = { idle = \"1s\" }\n");
    download(&front, pieces() / 10, || stores[source(&front)].0.signal("STOP"));
    let (_, text) = front.told("/metrics");
    assert!(text.contains("portico_backend_resumes_total{backend=\"s0\",resumed=\"elsewhere\"} 1"), "{text}");
}

#[test]
fn a_store_that_is_killed_at_any_tenth_of_an_image_is_replaced_and_the_client_gets_it_all() {
    let mut stores = [Store::open(), Store::open()];
    let front = front(&stores, "");
    for tenth in 0..10 {
        let mut killed = 0;
        download(&front, pieces() * tenth / 10, || {
            killed = source(&front);
            stores[killed].kill();
        });
        stores[killed].start();
    }
    let resumed = sum(&front, "portico_backend_resumes_total{");
    let elsewhere = "resumed=\"elsewhere\"";
    let (_, text) = front.told("/metrics");
    assert!(resumed >= 5.0 && text.contains(elsewhere), "{resumed} went on:\n{text}");
    assert_eq!(sum(&front, "portico_backend_corrupt_downloads_total"), 0.0);
}
