//! A directory as a web server lists it: an HTML page with a link to each file, or JSON. Pure.
//!
//! nginx and Apache write pages that differ in all but the links, and so do others. So the links are what is read, of
//! those that lead to a file or a directory directly below the one listed: not to its parent, not to the page itself in
//! another order, not elsewhere. What is shown beside a link is kept as it stands: it changes when the file does. What
//! nginx gives as JSON has sizes and times that are exact.
//!
//! HTML is taken apart by `html5gum`, which reads it by the rules of browsers in one pass and never fails. No tree of
//! the page is needed.

use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use html5gum::{DefaultEmitter, EndTag, HtmlString, StartTag, Token, Tokenizer};
use image_service::{Result, Timestamp};
use serde::Deserialize;
use url::Url;

use crate::published::{http_time, refused};

/// The longest text beside a link that is kept, in characters.
const LONGEST_SAID: usize = 200;

/// The longest name of a file, in bytes. No file system has longer ones.
const LONGEST_NAME: usize = 255;

/// The most directories that are listed, with the one at the top. So a page that has as many is one of too many already.
pub(crate) const MOST_FOLDERS: usize = 256;

/// How the titles begin that web servers give to such pages.
const TITLES: &[&str] = &["index of", "directory listing for"];

/// What there is in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// The files, by their names.
    pub(crate) files: BTreeMap<String, Listed>,
    /// The directories, by their names: all, or [`MOST_FOLDERS`] of them if there are more.
    pub(crate) folders: BTreeSet<String>,
}

/// A file, as far as its directory tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Its bytes and when it last changed, if that is exact.
    pub(crate) exact: Option<(u64, Timestamp)>,
    /// What stands beside it, if there is a time of day in it.
    pub(crate) said: Option<Arc<str>>,
}

impl Page {
    /// Reads the listing `bytes` of the directory at `url`, which ends with a slash.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn read(url: &Url, bytes: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        if text.trim_start().starts_with('[') { json(&text) } else { html(url, &text) }
    }

    fn add_folder(&mut self, name: String) {
        if self.folders.len() < MOST_FOLDERS {
            self.folders.insert(name);
        }
    }
}

/// Whether a file or directory can be called so. A replacement character stands for what is not UTF-8: no URL can be
/// made of that.
pub(crate) fn is_name(name: &str) -> bool {
    let is_strange = |c: char| c.is_control() || matches!(c, '/' | '\\' | char::REPLACEMENT_CHARACTER);
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !matches!(name, "." | "..")
        && !name.contains(is_strange)
}

/// The URL of what is at `path`, of names, below `root`, which ends with a slash.
///
/// # Errors
/// If the URL would be elsewhere, which no names lead to.
pub(crate) fn url_of<'n>(root: &Url, path: impl IntoIterator<Item = &'n str>) -> Result<Url> {
    let elsewhere = || refused("a name in a directory leads out of it");
    let mut url = root.clone();
    for name in path {
        if !is_name(name) {
            return Err(elsewhere());
        }
        url.path_segments_mut().map_err(|()| elsewhere())?.pop_if_empty().push(name);
    }
    let stays = url.origin() == root.origin() && url.path().starts_with(root.path()) && url.query().is_none();
    if stays { Ok(url) } else { Err(elsewhere()) }
}

/// The same URL with a slash at its end, which is that of a directory.
pub(crate) fn as_folder(mut url: Url) -> Url {
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push("");
    }
    url
}

/// One entry of nginx's JSON. Of others, such as Caddy's, nothing is known for sure.
#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    mtime: Option<String>,
    #[serde(default)]
    size: Option<u64>,
}

fn json(text: &str) -> Result<Page> {
    let entries: Vec<Entry> = serde_json::from_str(text).map_err(|source| {
        refused("a directory is not listed in the JSON that it should be").with_source(source)
    })?;
    let mut page = Page::default();
    for Entry { name, kind, mtime, size } in entries.into_iter().filter(|entry| is_name(&entry.name)) {
        match kind.as_str() {
            "file" => {
                let exact = size.zip(mtime.as_deref().and_then(http_time));
                page.files.insert(name, Listed { exact, said: None });
            }
            "directory" => page.add_folder(name),
            _ => {}
        }
    }
    Ok(page)
}

/// A page while it is read.
struct Reading<'u> {
    url: &'u Url,
    page: Page,
    /// Whether anything shows that a web server has made it as the listing of a directory.
    is_listing: bool,
    /// Whether what is read is the text of a title.
    in_title: bool,
    /// Whether what is read is the text of a link.
    in_link: bool,
    /// Whether there has been a link.
    has_links: bool,
    /// The file whose link was last, and what stands behind it.
    last: Option<(String, String)>,
}

fn html(url: &Url, text: &str) -> Result<Page> {
    let mut reading = Reading {
        url,
        page: Page::default(),
        is_listing: false,
        in_title: false,
        in_link: false,
        has_links: false,
        last: None,
    };
    let mut emitter = DefaultEmitter::default();
    // What stands in scripts and styles is no HTML.
    emitter.naively_switch_states(true);
    for Ok(token) in Tokenizer::new_with_emitter(text, emitter) {
        match token {
            Token::StartTag(tag) => reading.open(&tag),
            Token::EndTag(tag) => reading.close(&tag),
            Token::String(text) => reading.text(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    reading.settle();
    if reading.is_listing { Ok(reading.page) } else { Err(refused("a page is no listing of a directory")) }
}

impl Reading<'_> {
    fn open(&mut self, tag: &StartTag<()>) {
        match tag.name.as_slice() {
            b"title" | b"h1" => self.in_title = true,
            b"a" => {
                self.in_link = true;
                self.settle();
                if let Some(href) = tag.attributes.get(&HtmlString(b"href".to_vec())) {
                    self.link(String::from_utf8_lossy(href).trim());
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, tag: &EndTag<()>) {
        match tag.name.as_slice() {
            b"title" | b"h1" => self.in_title = false,
            b"a" => self.in_link = false,
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_title {
            let text = text.trim_start().to_lowercase();
            self.is_listing |= TITLES.iter().any(|title| text.starts_with(title));
        }
        if let Some((_, said)) = self.last.as_mut().filter(|_| !self.in_link) {
            let room = LONGEST_SAID.saturating_sub(said.chars().count());
            said.extend(text.chars().take(room));
        }
    }

    fn link(&mut self, href: &str) {
        // A listing leads to its parent first, or to itself in another order.
        let is_first = !std::mem::replace(&mut self.has_links, true);
        self.is_listing |= (is_first && href == "../") || href.starts_with("?C=");
        let Some(target) = below(self.url, href) else { return };
        match target {
            Target::Folder(name) => self.page.add_folder(name),
            Target::File(name) => self.last = Some((name, String::new())),
        }
    }

    /// Notes the last link with what stands behind it. Of two links to one file, which a page with icons may have, what
    /// stands behind the second counts.
    fn settle(&mut self) {
        let Some((name, said)) = self.last.take() else { return };
        let said: Vec<&str> = said.split_whitespace().collect();
        let said = said.join(" ");
        let said = has_time(&said).then(|| Arc::from(said));
        match self.page.files.entry(name) {
            Place::Vacant(place) => drop(place.insert(Listed { exact: None, said })),
            Place::Occupied(mut place) if said.is_some() => place.get_mut().said = said,
            Place::Occupied(_) => {}
        }
    }
}

/// Where a link of a listing leads.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    File(String),
    Folder(String),
}

/// Where `href` leads from the directory at `url`, if that is directly below.
fn below(url: &Url, href: &str) -> Option<Target> {
    if href.contains(['?', '#', '\\']) {
        return None;
    }
    // A colon before the first slash would make it a URL.
    let relative = match href.strip_prefix("./").or_else(|| href.strip_prefix(url.path())) {
        Some(relative) => relative,
        None if href.split('/').next().is_some_and(|first| first.contains(':')) => return None,
        None => href,
    };
    let (name, is_folder) = match relative.strip_suffix('/') {
        Some(name) => (name, true),
        None => (relative, false),
    };
    if name.contains('/') {
        return None;
    }
    let name = decoded(name)?;
    if !is_name(&name) {
        return None;
    }
    Some(if is_folder { Target::Folder(name) } else { Target::File(name) })
}

/// A name without its percent encoding, or `None` if that is none.
fn decoded(name: &str) -> Option<String> {
    let mut parts = name.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Whether there is a time of day such as `09:48` in a text.
fn has_time(text: &str) -> bool {
    let is_time = |word: &str| {
        let (hours, minutes) = word.split_once(':').unwrap_or_default();
        let two = |digits: &str| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        two(hours) && minutes.split(':').all(two)
    };
    text.split(' ').any(is_time)
}

#[cfg(test)]
mod tests;
