//! A directory of files behind a web server that lists it, as nginx or Apache does.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, Bytes};
use axum::http::Method;
use axum::response::Response;
use image_service::{HashAlgorithm, Result};
use jiff::Timestamp;

use crate::server::{Call, Server, reply};

/// How the directory is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Names alone, as Apache does it without `FancyIndexing`.
    Plain,
    /// With times and sizes, as nginx does it.
    Dated,
    /// As nginx does it with `autoindex_format json`.
    Json,
}

/// What the server is like at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It gives what there is, and ranges of it.
    Well,
    /// It knows of no ranges and no tags, and asks for no conditions.
    Bare,
    /// It answers every question for a head with an error.
    Headless,
    /// It fails.
    Failing,
    /// It answers nothing.
    Silent,
}

#[derive(Debug)]
struct State {
    files: BTreeMap<String, (Bytes, Timestamp)>,
    look: Look,
    mood: Mood,
}

/// A site on loopback, below `/pub/`.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) server: Server,
    state: Arc<Mutex<State>>,
}

/// When files were last changed if nobody says.
const THEN: &str = "2024-03-19T09:48:38Z";

impl Site {
    pub(crate) async fn start(look: Look) -> Self {
        let state = Arc::new(Mutex::new(State { files: BTreeMap::new(), look, mood: Mood::Well }));
        let held = Arc::clone(&state);
        let server = Server::start(move |call| answer(&held.lock().unwrap(), call)).await;
        Self { server, state }
    }

    pub(crate) fn endpoint(&self) -> url::Url {
        format!("http://{}/pub", self.server.address).parse().unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.put_at(path, bytes, THEN);
    }

    pub(crate) fn put_at(&self, path: &str, bytes: impl Into<Bytes>, changed: &str) {
        let changed = if changed == "now" { Timestamp::now() } else { changed.parse().unwrap() };
        self.state().files.insert(path.to_owned(), (bytes.into(), changed));
    }

    /// Holds these files and no others, from one moment to the next.
    pub(crate) fn hold(&self, files: impl IntoIterator<Item = (String, Bytes)>) {
        let then = THEN.parse().unwrap();
        self.state().files = files.into_iter().map(|(path, bytes)| (path, (bytes, then))).collect();
    }

    /// Puts images there, and `SHA256SUMS` of all of them.
    pub(crate) fn publish(&self, images: &[(&str, &str)]) {
        let mut sums = String::new();
        for (path, bytes) in images {
            self.put(path, (*bytes).to_owned());
            writeln!(sums, "{}  {path}", hash(HashAlgorithm::Sha256, bytes)).unwrap();
        }
        self.put("SHA256SUMS", sums);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.state().files.remove(path).unwrap();
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// How often the head of a file was asked for, or of all with an empty name.
    pub(crate) fn heads(&self, path: &str) -> usize {
        self.server.count(&Method::HEAD, path)
    }

    /// How often a file or directory was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.server.count(&Method::GET, path)
    }
}

pub(crate) fn hash(algorithm: HashAlgorithm, bytes: impl AsRef<[u8]>) -> String {
    let mut hasher = image_service::Hasher::new(algorithm);
    hasher.update(bytes.as_ref());
    hasher.finish().value
}

fn decoded(path: &str) -> String {
    let query = format!("path={}", path.replace('+', "%2B").replace('&', "%26"));
    let url = url::Url::parse(&format!("http://h/?{query}")).unwrap();
    url.query_pairs().next().unwrap().1.into_owned()
}

fn answer(state: &State, call: &Call) -> Response {
    match state.mood {
        Mood::Failing => return reply(500, &[], Body::from("broken")),
        Mood::Silent => {
            return reply(200, &[], Body::from_stream(futures::stream::pending::<Result<Bytes>>()));
        }
        Mood::Headless if call.method == Method::HEAD => return reply(503, &[], Body::empty()),
        _ => {}
    }
    let path = decoded(call.path.strip_prefix("/pub/").unwrap_or("outside"));
    if path.is_empty() || path.ends_with('/') {
        return listing(state, &path);
    }
    match state.files.get(&path) {
        Some((bytes, changed)) => file(state.mood, call, bytes, *changed),
        None => reply(404, &[], Body::from("nothing here")),
    }
}

fn listing(state: &State, folder: &str) -> Response {
    let below = state.files.iter().filter_map(|(path, file)| Some((path.strip_prefix(folder)?, file)));
    let folders: BTreeSet<&str> =
        below.clone().filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
    let files = below.filter(|(path, _)| !path.contains('/'));
    let mut page = String::new();
    if state.look == Look::Json {
        let folders = folders.iter().map(|name| serde_json::json!({"name": name, "type": "directory"}));
        let files = files.map(|(name, (bytes, changed))| {
            serde_json::json!({"name": name, "type": "file", "mtime": http_time(*changed), "size": bytes.len()})
        });
        page = serde_json::Value::from_iter(folders.chain(files)).to_string();
    } else {
        writeln!(page, "<title>Index of /{folder}</title><pre><a href=\"../\">../</a>").unwrap();
        for name in folders {
            writeln!(page, "<a href=\"{0}/\">{0}/</a>", encoded(name)).unwrap();
        }
        for (name, (bytes, changed)) in files {
            write!(page, "<a href=\"{}\">a name</a>", encoded(name)).unwrap();
            if state.look == Look::Dated {
                write!(page, " {} {}", changed.strftime("%d-%b-%Y %H:%M"), bytes.len()).unwrap();
            }
            page.push('\n');
        }
    }
    reply(200, &[], Body::from(page))
}

fn http_time(time: Timestamp) -> String {
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
}

fn encoded(name: &str) -> String {
    let mut url = url::Url::parse("http://h/").unwrap();
    url.path_segments_mut().unwrap().push(name);
    // Before a colon there must be a slash.
    format!(".{}", url.path().replace('&', "&amp;"))
}

fn file(mood: Mood, call: &Call, bytes: &Bytes, changed: Timestamp) -> Response {
    let mut hasher = DefaultHasher::new();
    (bytes, changed).hash(&mut hasher);
    let tag = format!("\"{:x}\"", hasher.finish());
    let time = http_time(changed);
    let said = |name: &str| call.headers.get(name).map(|value| value.to_str().unwrap());
    if mood == Mood::Bare {
        return reply(200, &[("last-modified", time)], Body::from(bytes.clone()));
    }
    let mut headers = vec![("etag", tag.clone()), ("last-modified", time)];
    if said("if-match").is_some_and(|wanted| wanted != tag) {
        return reply(412, &headers, Body::empty());
    }
    if said("if-none-match").is_some_and(|known| known == tag) {
        return reply(304, &headers, Body::empty());
    }
    let range = said("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = range else { return reply(200, &headers, Body::from(bytes.clone())) };
    let (first, last) = (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap());
    headers.push(("content-range", format!("bytes {first}-{last}/{}", bytes.len())));
    reply(206, &headers, Body::from(bytes.slice(first..=last)))
}
