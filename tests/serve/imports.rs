//! Imports of a process that is killed, and of the one that comes after it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::{Directory, PATIENCE, Service};

const SIZE: usize = 3_000_000;

fn data() -> Vec<u8> {
    (0..SIZE).map(|number| u8::try_from(number % 251).unwrap()).collect()
}

fn directory(settings: &str) -> Directory {
    let directory = Directory::new();
    let backend = |name| {
        format!("[[backend]]\nname = \"{name}\"\nkind = \"local\"\noptions = {{ path = \"./{name}\" }}\n")
    };
    let web = "[imports.web]\nports = []\nallow_networks = [\"127.0.0.0/8\"]\n";
    let text = format!(
        "listen = \"127.0.0.1:0\"\nadmin = {{ listen = \"off\" }}\n[imports]\n{settings}\n{web}{}{}",
        backend("one"),
        backend("two")
    );
    directory.write("portico.toml", &text);
    directory
}

/// A web server that gives half of the data, and when it `may`, all of it.
struct Web {
    url: String,
    may: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Web {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/image", listener.local_addr().unwrap());
        let (may, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (all, count) = (Arc::clone(&may), Arc::clone(&asked));
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                    head.extend(byte);
                }
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").unwrap();
                let whole = all.load(Ordering::SeqCst);
                // Who has been killed takes no more.
                let _ = stream.write_all(&data()[..if whole { SIZE } else { SIZE / 2 }]);
                count.fetch_add(1, Ordering::SeqCst);
                held.push(stream);
            }
        });
        Self { url, may, asked }
    }
}

pub(super) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
}

impl Service {
    pub(super) fn queued(&self) -> String {
        let record = br#"{"disk_format": "raw", "container_format": "bare"}"#;
        let (status, answer) =
            self.ask("POST /v2/images HTTP/1.1\r\nContent-Type: application/json\r\n", record);
        assert_eq!(status, 201, "{answer}");
        body_of(&answer)["id"].as_str().unwrap().to_owned()
    }

    fn import(&self, id: &str, body: &Value) {
        let head = format!("POST /v2/images/{id}/import HTTP/1.1\r\n");
        let (status, answer) = self.ask(&head, body.to_string().as_bytes());
        assert_eq!(status, 202, "{answer}");
    }

    pub(super) fn shown(&self, path: &str) -> Value {
        let (status, answer) = self.ask(&format!("GET {path} HTTP/1.1\r\n"), b"");
        assert_eq!(status, 200, "{answer}");
        body_of(&answer)
    }

    /// Kills it as nobody can be prepared for, and starts it anew.
    pub(super) fn killed_and_started(mut self) -> Self {
        self.signal("KILL");
        self.ended();
        let directory = std::mem::replace(&mut self.directory, Directory::new());
        Self::start_in(directory)
    }

    pub(super) fn files(&self, directory: &str) -> usize {
        fs::read_dir(self.directory.0.path().join(directory)).unwrap().count()
    }
}

fn body_of(answer: &str) -> Value {
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[test]
fn after_a_kill_what_was_at_work_goes_on_and_what_was_half_staged_is_gone() {
    let web = Web::start();
    let service = Service::start_in(directory(""));
    let (fetched, staged, half) = (service.queued(), service.queued(), service.queued());
    let head = |id: &str| {
        format!("PUT /v2/images/{id}/stage HTTP/1.1\r\nContent-Type: application/octet-stream\r\n")
    };
    assert_eq!(service.ask(&head(&staged), &data()).0, 204);
    let download = json!({"method": {"name": "web-download", "uri": web.url}, "all_stores": true});
    service.import(&fetched, &download);
    let mut broken = service.connect();
    write!(broken, "{}Host: a\r\nContent-Length: {SIZE}\r\n\r\n", head(&half)).unwrap();
    broken.write_all(&data()[..SIZE / 2]).unwrap();
    until("the second file", || (service.files("state/staging") == 2).then_some(()));
    until("half of the download", || (web.asked.load(Ordering::SeqCst) == 1).then_some(()));
    assert_eq!(service.shown(&format!("/v2/images/{fetched}"))["status"], "importing");

    web.may.store(true, Ordering::SeqCst);
    let service = service.killed_and_started();
    let image = until("the end of the import", || {
        let image = service.shown(&format!("/v2/images/{fetched}"));
        image.get("os_glance_import_task").is_none().then_some(image)
    });
    assert_eq!(
        (&image["status"], &image["stores"], &image["size"]),
        (&json!("active"), &json!("one,two"), &json!(SIZE))
    );
    let tasks = service.shown(&format!("/v2/images/{fetched}/tasks"));
    assert_eq!(
        (tasks["tasks"].as_array().unwrap().len(), &tasks["tasks"][0]["status"]),
        (1, &json!("success"))
    );
    for store in ["one", "two"] {
        let found = fs::read_dir(service.directory.0.path().join(store).join("data"));
        let files: Vec<_> = found.unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(fs::read(&files[0]).unwrap() == data(), "{store} has other bytes");
    }
    assert_eq!(service.shown(&format!("/v2/images/{half}"))["status"], "queued");
    assert_eq!(service.shown(&format!("/v2/images/{staged}"))["status"], "uploading");
    assert_eq!(service.files("state/staging"), 1);
    service.import(&staged, &json!({"method": {"name": "glance-direct"}}));
    until("the second import", || {
        (service.shown(&format!("/v2/images/{staged}"))["status"] == "active").then_some(())
    });
    until("the end of what was staged", || (service.files("state/staging") == 0).then_some(()));
}

#[test]
fn what_was_begun_often_enough_in_vain_fails_and_says_so() {
    let web = Web::start();
    let mut service = Service::start_in(directory("attempts = 2"));
    let id = service.queued();
    service.import(&id, &json!({"method": {"name": "web-download", "uri": web.url}}));
    for attempt in 1..=2 {
        until("half of the download", || (web.asked.load(Ordering::SeqCst) == attempt).then_some(()));
        service = service.killed_and_started();
    }
    let image = until("the end of the import", || {
        let image = service.shown(&format!("/v2/images/{id}"));
        image.get("os_glance_import_task").is_none().then_some(image)
    });
    assert_eq!((&image["status"], &image["size"]), (&json!("queued"), &Value::Null));
    let tasks = service.shown(&format!("/v2/images/{id}/tasks"));
    let task = &tasks["tasks"][0];
    assert_eq!(
        (&task["status"], &task["message"]),
        (&json!("failure"), &json!("the service has ended 2 times in the middle of it"))
    );
    assert_eq!(web.asked.load(Ordering::SeqCst), 2);
}
