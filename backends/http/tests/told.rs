//! What the operator is told about a published catalogue: each change once, however often somebody asks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mirror;
mod server;

use std::io;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use image_service::ImageService;
use mirror::{Mirror, Mood, names, pass};
use portico_http::{PublishedDialect, PublishedOptions, open_published};
use serde_json::{Value, json};

/// What all tests of this process have logged: some of it comes from threads that are no test's own.
static SHEET: Mutex<Vec<u8>> = Mutex::new(Vec::new());

#[derive(Clone, Copy)]
struct Pen;

impl io::Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SHEET.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listen() {
    static READY: Once = Once::new();
    READY.call_once(|| tracing_subscriber::fmt().json().with_writer(|| Pen).init());
}

/// What has been said about `what`, which no other test speaks of: levels and messages.
fn said(what: &str) -> Vec<String> {
    let text = String::from_utf8(SHEET.lock().unwrap().clone()).unwrap();
    let about = text.lines().filter(|line| line.contains(what));
    let lines = about.map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| {
            format!("{} {}", line["level"].as_str().unwrap(), line["fields"]["message"].as_str().unwrap())
        })
        .collect()
}

const NEW: &str = "INFO there is a new catalogue";
const NONE: &str = "WARN there is no newer catalogue";
const AGAIN: &str = "INFO the catalogue is to be had again";

const LATER: Duration = Duration::from_secs(61);

/// The catalogue as it is read a few times, each time when it is to be asked for anew.
async fn ask(service: &dyn ImageService) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..3 {
        pass(LATER).await;
        found = names(service).await.unwrap();
    }
    found
}

fn index(name: &str) -> String {
    let hash = "0".repeat(128);
    format!("[{name}]\nfile={name}.img\nsize=1\narch=x86_64\nchecksum={hash}\n")
}

#[tokio::test]
async fn why_there_is_no_newer_catalogue_is_told_once_for_each_reason() {
    listen();
    let mirror = Mirror::start().await;
    mirror.put("index", index("one"));
    let name = "a-mirror-that-changes";
    let options = PublishedOptions::new(PublishedDialect::VirtBuilder, mirror.endpoint());
    let service = open_published(name, options).await.unwrap();
    assert_eq!(ask(&*service).await, ["one"]);
    assert_eq!(said(name), [NEW]);

    mirror.put("index", index("one").replace("size=1", "size=x"));
    assert_eq!(ask(&*service).await, ["one"]);
    assert_eq!(said(name), [NEW, NONE]);
    mirror.put("index", index("one").replace("arch", "march"));
    assert_eq!(ask(&*service).await, ["one"]);
    assert_eq!(said(name), [NEW, NONE, NONE], "another reason is told");
    mirror.be(Mood::Failing);
    ask(&*service).await;
    assert_eq!(said(name), [NEW, NONE, NONE, NONE]);

    mirror.be(Mood::Well);
    mirror.put("index", index("two"));
    assert_eq!(ask(&*service).await, ["two"]);
    assert_eq!(said(name), [NEW, NONE, NONE, NONE, NEW, AGAIN]);
    // The same reason again is a change.
    mirror.be(Mood::Failing);
    ask(&*service).await;
    assert_eq!(said(name)[6..], [NONE]);
}

#[tokio::test]
async fn how_many_templates_are_left_out_is_told_when_it_changes() {
    listen();
    let mirror = Mirror::start().await;
    let packed = |name: &str| index(name).replace(".img", ".xz") + "format=qcow2\n";
    mirror.put("index", index("one") + &packed("two"));
    let name = "a-mirror-of-packed-disks";
    let options = PublishedOptions::new(PublishedDialect::VirtBuilder, mirror.endpoint());
    let service = open_published(name, options).await.unwrap();
    let left_out = "INFO templates whose data has no known length are left out";
    assert_eq!(ask(&*service).await, ["one"]);
    assert_eq!(said(name), [left_out, NEW]);
    mirror.put("index", index("one") + &packed("two") + &packed("three"));
    assert_eq!(ask(&*service).await, ["one"]);
    assert_eq!(said(name)[2..], [left_out, NEW]);
    mirror.put("index", index("one"));
    assert_eq!(ask(&*service).await, ["one"]);
    assert_eq!(said(name)[4..], [left_out, NEW]);
}

#[tokio::test]
async fn how_many_indexes_in_an_index_are_not_read_is_told_when_it_changes() {
    listen();
    let mirror = Mirror::start().await;
    let nested = json!({"format": "index:1.0", "path": "streams/v1/more.json"});
    let index = |index: Value| json!({"format": "index:1.0", "index": index}).to_string();
    mirror.put("streams/v1/index.json", index(json!({"more": nested})));
    let name = "a-mirror-of-mirrors";
    let options = PublishedOptions::new(PublishedDialect::Simplestreams, mirror.endpoint());
    let service = open_published(name, options).await.unwrap();
    let passed_over = "INFO indexes that an index names are not read";
    assert!(ask(&*service).await.is_empty());
    assert_eq!(said(name), [passed_over, NEW]);
    mirror.put("streams/v1/index.json", index(json!({"more": nested, "most": nested})));
    ask(&*service).await;
    assert_eq!(said(name)[2..], [passed_over, NEW]);
    assert_eq!(mirror.count("streams/v1/more.json"), 0);
}

#[tokio::test]
async fn what_is_wrong_with_a_keyring_is_told_once_and_the_last_good_one_goes_on() {
    listen();
    let signed = |file: &str| std::fs::read(format!("tests/signed/{file}")).unwrap();
    let mirror = Mirror::start().await;
    mirror.put("index.asc", signed("virt-builder.asc"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ring.asc");
    std::fs::write(&file, signed("good.asc")).unwrap();
    let options = PublishedOptions {
        keyring: Some(file.clone()),
        ..PublishedOptions::new(PublishedDialect::VirtBuilder, mirror.endpoint())
    };
    let service: Arc<dyn ImageService> = open_published("mirror", options).await.unwrap();
    let file_name = file.to_str().unwrap();
    assert_eq!(ask(&*service).await, ["signed-1"]);
    assert!(said(file_name).is_empty());

    let left = "ERROR the keyring is left as it was";
    std::fs::remove_file(&file).unwrap();
    assert_eq!(ask(&*service).await, ["signed-1"]);
    assert_eq!(said(file_name), [left]);
    std::fs::write(&file, "nonsense").unwrap();
    assert_eq!(ask(&*service).await, ["signed-1"]);
    assert_eq!(said(file_name), [left, left]);
    // All is verified anew, and by the keys that there were.
    pass(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(ask(&*service).await, ["signed-1"]);

    std::fs::write(&file, signed("good.gpg")).unwrap();
    assert_eq!(ask(&*service).await, ["signed-1"]);
    assert_eq!(said(file_name), [left, left, "INFO the keyring has been read again"]);
}
