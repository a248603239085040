//! A cache whose process is killed, and the one that comes after it.

use std::fs;
use std::time::{Duration, Instant};

use super::{Directory, LARGE, PATIENCE, Service};

fn directory() -> Directory {
    let directory = Directory::new();
    let cache = "[[backend]]\nname = \"cache\"\nkind = \"local\"\nrole = \"cache\"\noptions = { path = \"./cache\" }\n";
    let store =
        "[[backend]]\nname = \"store\"\nkind = \"local\"\ncached = true\noptions = { path = \"./store\" }\n";
    let text = format!("listen = \"127.0.0.1:0\"\nadmin = {{ listen = \"127.0.0.1:0\" }}\n{store}{cache}");
    directory.write("portico.toml", &text);
    directory
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

impl Service {
    /// Kills it as nobody can be prepared for, and starts it anew.
    fn begun_again(mut self) -> Self {
        self.signal("KILL");
        self.ended();
        let directory = std::mem::replace(&mut self.directory, Directory::new());
        Self::start_in(directory)
    }

    fn counts(&self, line: &str) -> bool {
        self.told("/metrics").1.lines().any(|told| told == line)
    }

    fn cached_files(&self, part: &str) -> usize {
        fs::read_dir(self.directory.0.path().join("cache").join(part)).unwrap().count()
    }

    /// Reads an image of nothing but `x`.
    fn reads(&self, id: &str, bytes: usize) {
        let (status, answer) = self.ask(&format!("GET /v2/images/{id}/file HTTP/1.1\r\n"), b"");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert!(status == 200 && body.len() == bytes && body.bytes().all(|byte| byte == b'x'), "{status}");
    }
}

#[test]
fn after_a_kill_what_was_whole_is_there_and_what_was_not_is_gone() {
    let service = Service::start_in(directory());
    let (whole, half) = (service.image(1_000_000), service.image(LARGE));
    service.reads(&whole, 1_000_000);
    until("the fill", || service.counts("portico_cache_fills_total 1"));
    let reader = service.begin_download(&half);
    let service = service.begun_again();
    drop(reader);
    assert_eq!(service.cached_files("incomplete"), 0);
    let there = service.cached_files("data");
    assert!((1..=2).contains(&there), "{there}");
    assert!(service.counts(&format!("portico_cache_contents {there}")));
    service.reads(&whole, 1_000_000);
    service.reads(&half, LARGE);
    assert!(service.counts(&format!("portico_cache_reads_total{{outcome=\"hit\"}} {there}")));
    until("the other fill", || service.cached_files("data") == 2);
    let stores = service.ask("GET /v2/info/stores HTTP/1.1\r\n", b"").1;
    assert!(stores.contains("store") && !stores.contains("cache"), "{stores}");
}
