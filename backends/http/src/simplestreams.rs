//! The dialect `simplestreams`: catalogues such as Ubuntu publishes of its cloud images, and MAAS, LXD and Incus of
//! theirs.
//!
//! `streams/v1/index.json` below the endpoint names streams, each a document of products, which have versions, which
//! have items. Every item of a chosen kind (`ftypes`) is an image. With a keyring it is `index.sjson`, and what it
//! names as `….json` is read as `….sjson`: the text that is used is the one whose signature was verified, and no other.
//! A stream must be what the index calls it, so that one signed document cannot stand in for another. An index may also name
//! other indexes (`index:1.0`): they are not read, and the operator is told how many there are.
//!
//! An item's id is derived from its stream, product, version and name, which together are unique and never change their
//! meaning. What a product or a version says holds for all of its items. `os`, `version` and `arch` are the properties
//! `os_distro`, `os_version` and `architecture`, in the words that OpenStack has for them; everything else that is a
//! text, a flag or a number is `simplestreams_` and its name.
//!
//! What is said of many items is counted once for each: a catalogue whose images have over eight times the bytes of names
//! and properties that its documents may have is refused, as is one with over `max_images`, before more are made.
//!
//! An item is called by its `pubname`, or, where that is missing or over 255 characters long, by its product and version.
//! One whose name is too long even so makes the catalogue refused. So does one without a size, or without a SHA-256 or
//! SHA-512: nothing could be held to what it says.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod products;
mod room;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use image_service::{Error, Result, Support};
use url::Url;

use crate::published::{Dialect, Document, Documents, Item, Origin, PublishedOptions, Told, Trust, refused};
use room::{Room, Taken};
use tree::Branch;

/// Where the first document is.
const INDEX: &str = "streams/v1/index.json";

/// What documents say that they are.
const INDEX_FORMAT: &str = "index:1.0";
const PRODUCTS_FORMAT: &str = "products:1.0";

/// A source of simplestreams.
#[derive(Debug)]
pub(crate) struct Simplestreams {
    /// What the operator knows the source by.
    name: String,
    /// How many indexes were passed over when the operator was last told.
    passed_over: Told,
    reading: Arc<Reading>,
}

/// How documents are read.
#[derive(Debug)]
struct Reading {
    trust: Trust,
    origin: Origin,
    ftypes: BTreeMap<String, String>,
    datatypes: BTreeSet<String>,
    versions: Option<NonZeroUsize>,
    room: Room,
}

/// What a document says.
#[derive(Debug)]
pub(crate) enum Read {
    /// Which streams there are.
    Index(Index),
    /// What is in one.
    Products(Products),
}

/// The streams that an index names.
#[derive(Debug)]
pub(crate) struct Index {
    streams: Vec<Stream>,
    /// How many other indexes it names.
    passed_over: usize,
}

/// The images of a stream.
#[derive(Debug, Default)]
pub(crate) struct Products {
    items: Vec<Item>,
    taken: Taken,
}

/// A stream that the index names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    content_id: String,
    path: String,
}

impl Simplestreams {
    /// A source as `options` say, whose backend is called `name`, and whose documents are trusted by `trust`.
    pub(crate) fn new(name: &str, options: &PublishedOptions, trust: Trust) -> Self {
        let reading = Reading {
            trust,
            origin: Origin::new(name, options),
            ftypes: options.ftypes.clone(),
            datatypes: options.datatypes.iter().cloned().collect(),
            versions: options.versions,
            room: Room::new(options),
        };
        Self { name: name.to_owned(), passed_over: Told::default(), reading: Arc::new(reading) }
    }

    /// Tells the operator how many indexes are passed over, when that changes: whoever looks for what they name will wonder.
    fn tell_passed_over(&self, passed_over: usize) {
        if self.passed_over.is_news(passed_over) {
            let name = self.name.as_str();
            tracing::info!(backend = name, passed_over, "indexes that an index names are not read");
        }
    }
}

#[async_trait]
impl Dialect for Simplestreams {
    type Document = Read;

    fn ranges(&self) -> Support {
        Support::Yes
    }

    fn trust(&self) -> &Trust {
        &self.reading.trust
    }

    async fn items(&self, documents: &mut Documents<'_, Read>) -> Result<Vec<Item>> {
        let reading = Arc::clone(&self.reading);
        let index =
            documents.read(&self.reading.name(INDEX), move |document| reading.index(document)).await?;
        let Read::Index(index) = &*index else { return Err(of_another_kind()) };
        self.tell_passed_over(index.passed_over);
        let (mut items, mut room) = (Vec::new(), self.reading.room);
        for stream in &index.streams {
            let (reading, root, stream) =
                (Arc::clone(&self.reading), documents.source().root.clone(), stream.clone());
            let name = self.reading.name(&stream.path);
            let read = move |document: &Document| reading.products(&stream, &root, room, document);
            let products = documents.read(&name, read).await?;
            let Read::Products(more) = &*products else { return Err(of_another_kind()) };
            room.take(more.taken)?;
            items.extend_from_slice(&more.items);
        }
        Ok(items)
    }
}

impl Reading {
    /// What the document at `path` is called where it is signed, or is not, as this source wants it.
    fn name(&self, path: &str) -> String {
        let stem = path.strip_suffix(".sjson").or_else(|| path.strip_suffix(".json"));
        match (stem, self.trust.wants_signatures()) {
            (Some(stem), true) => format!("{stem}.sjson"),
            (Some(stem), false) => format!("{stem}.json"),
            (None, _) => path.to_owned(),
        }
    }

    /// The tree of a document of some format.
    fn tree(&self, document: &Document, format: &str) -> Result<Branch> {
        let text = self.trust.text(document)?;
        let tree: Branch = serde_json::from_slice(&text)
            .map_err(|source| refused("a document is not the JSON that it should be").with_source(source))?;
        match tree.leaf("format") {
            Some(said) if said == format => Ok(tree),
            said => Err(refused(format_args!("a document has the format {said:?} instead of {format}"))),
        }
    }

    fn index(&self, document: &Document) -> Result<Read> {
        let tree = self.tree(document, INDEX_FORMAT)?;
        let entries = tree.branches("index").ok_or_else(|| refused("the index names no streams"))?;
        let is_index = |entry: &Branch| entry.leaf("format") == Some(INDEX_FORMAT);
        let is_wanted = |entry: &Branch| {
            entry.leaf("format") == Some(PRODUCTS_FORMAT)
                && entry.leaf("datatype").is_some_and(|datatype| self.datatypes.contains(datatype))
        };
        let passed_over = entries.iter().filter(|(_, entry)| is_index(entry)).count();
        let streams = entries.into_iter().filter(|(_, entry)| is_wanted(entry)).map(|(content_id, entry)| {
            let path = entry
                .leaf("path")
                .ok_or_else(|| refused(format_args!("the stream {content_id:?} has no path")))?;
            Ok(Stream { content_id: content_id.to_owned(), path: path.to_owned() })
        });
        Ok(Read::Index(Index { streams: streams.collect::<Result<_>>()?, passed_over }))
    }

    fn products(&self, stream: &Stream, root: &Url, room: Room, document: &Document) -> Result<Read> {
        let tree = self.tree(document, PRODUCTS_FORMAT)?;
        match tree.leaf("content_id") {
            Some(said) if said == stream.content_id => {}
            said => {
                let wanted = &stream.content_id;
                return Err(refused(format_args!(
                    "the document of the stream {wanted:?} is that of {said:?}"
                )));
            }
        }
        products::items(self, stream, root, room, &tree, document.modified).map(Read::Products)
    }
}

/// The error for a document that one part of the index calls one thing, and another part another.
fn of_another_kind() -> Error {
    refused("one document is to be the index and a stream, or two streams")
}
