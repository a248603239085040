//! The reading part of the conformance suite on published catalogues: what a case makes is published at once, on a mirror
//! or a site on loopback, and read from there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod carried;
mod mirror;
mod server;
mod site;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_compression::tokio::write::XzEncoder;
use async_trait::async_trait;
use bytes::Bytes;
use carried::publisher::{Entry, Publication, Publisher};
use carried::{Reader, Shown, in_name};
use image_service::conformance::Fixture;
use image_service::{HashAlgorithm, ImageId};
use mirror::Mirror;
use portico_http::{PublishedDialect, PublishedOptions, open_published};
use serde_json::{Map, Value, json};
use site::{Look, Site, hash};
use tokio::io::AsyncWriteExt;

/// Cases that no catalogue can be held to, each with the reason.
const NOWHERE: &[(&str, &str)] = &[
    ("an_image_without_data_gives_none_whatever_the_range", "every image of a catalogue has data"),
    ("a_deactivated_image_is_read_by_administrators_alone", "a catalogue deactivates nothing"),
    ("flags_are_compared", "a catalogue protects nothing"),
];

/// Cases that the index of virt-builder alone cannot be held to.
const NOT_OF_TEMPLATES: &[(&str, &str)] = &[
    ("text_is_compared_byte_for_byte", "it has no MD5, and of a packed file no hash"),
    ("a_position_holds_when_its_image_has_moved", "a template with another name has another id"),
];

/// Cases that a directory alone cannot be held to.
const NOT_OF_FILES: &[(&str, &str)] =
    &[("a_position_holds_when_its_image_has_moved", "a file with another name has another id")];

/// One test for each case about reading that holds for every catalogue, and for those that are named.
macro_rules! published_cases {
    ($fixture:ident, filters: [$($filter:ident,)*], paging: [$($page:ident,)*]) => {
        super::carried::reading_cases!([] $fixture,
            paging: [$($page,)*],
            cancellation: [a_read_that_is_dropped_changes_nothing,],
            data: [
                the_data_comes_whole_with_the_image_as_shown,
                data_of_no_bytes_is_data,
                a_range_gives_exactly_its_bytes,
                a_range_without_a_byte_in_it_is_not_satisfiable,
                a_download_that_is_dropped_harms_nobody,
                several_readers_get_the_same_bytes,
                a_download_ends_whole_or_in_an_error_when_its_image_is_deleted,
            ],
            filters: [
                $($filter,)*
                any_of_several_texts_will_do,
                numbers_are_compared,
                times_are_compared_in_whole_seconds,
                tags_and_properties_are_compared,
                a_part_of_a_name_is_found_where_it_stands,
                all_filters_must_hold,
                an_id_that_is_not_there_filters_all_out,
                filtered_lists_are_paged_like_others,
            ],
        );
    };
}
use published_cases;

/// What is read each time that anything is asked, and is never older than that.
fn options(dialect: PublishedDialect, endpoint: url::Url) -> PublishedOptions {
    let far = Duration::from_secs(60);
    PublishedOptions { fresh: Duration::ZERO, patience: far, ..PublishedOptions::new(dialect, endpoint) }
}

async fn fixture<P: Publication + 'static>(
    options: PublishedOptions,
    shown: Shown,
    publication: P,
) -> Fixture {
    let service = open_published("mirror", options).await.unwrap();
    let seen = Arc::new(Reader::of(service, shown));
    let writer = Arc::new(Publisher::new(publication, Arc::clone(&seen)));
    Fixture::new(seen).read_only(writer).without_sharing()
}

/// Simplestreams: one stream, with a product for each image.
#[derive(Debug)]
struct Streams(Mirror);

const STREAM: &str = "com.example:case";
const PRODUCTS: &str = "streams/v1/com.example:case.json";

impl Streams {
    /// Some versions are of the same minute.
    fn serial(entry: &Entry) -> String {
        format!("20240423_07:{:02}", entry.number / 2)
    }

    fn product(entry: &Entry) -> Value {
        let mut item = json!({
            "ftype": entry.disk_format.as_deref().unwrap_or("raw"),
            "path": format!("data/{}", entry.number),
            "size": entry.stored.len(),
            "md5": hash(HashAlgorithm::Md5, &entry.stored),
            "sha256": hash(HashAlgorithm::Sha256, &entry.stored),
        });
        for (key, value) in &entry.properties {
            item[format!("case_{key}")] = json!(value);
        }
        if let Some(name) = &entry.name {
            item["pubname"] = json!(name);
        }
        json!({"arch": "amd64", "versions": {Self::serial(entry): {"items": {"disk": item}}}})
    }
}

#[async_trait]
impl Publication for Streams {
    async fn stored(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    fn publish(&self, entries: &[Entry]) {
        let products: Map<String, Value> =
            entries.iter().map(|entry| (entry.number.to_string(), Self::product(entry))).collect();
        let products = json!({"format": "products:1.0", "content_id": STREAM, "products": products});
        let stream = json!({"datatype": "image-downloads", "format": "products:1.0", "path": PRODUCTS});
        let index = json!({"format": "index:1.0", "index": {STREAM: stream}});
        let documents = [("streams/v1/index.json", index), (PRODUCTS, products)];
        self.0.hold(files(entries, documents.map(|(path, document)| (path, document.to_string()))));
    }

    fn id_of(&self, entry: &Entry) -> ImageId {
        let (product, serial) = (entry.number.to_string(), Self::serial(entry));
        ImageId::derived("mirror", &json!([STREAM, product, serial, "disk"]).to_string())
    }
}

/// The index of virt-builder, with a revision for each image.
#[derive(Debug)]
struct Templates {
    mirror: Mirror,
    packing: Packing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Xz,
}

impl Templates {
    /// The name of its section, which is a word.
    fn section(entry: &Entry) -> String {
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '+' };
        let name: String = entry.name.as_deref().unwrap_or("").chars().map(word).collect();
        if name.is_empty() { String::from("unnamed") } else { name }
    }

    fn template(&self, entry: &Entry) -> String {
        // What is packed has no known length unless it is raw, so it always is.
        let (ending, format) = match self.packing {
            Packing::Plain => ("", entry.disk_format.as_deref().unwrap_or("raw")),
            Packing::Xz => (".xz", "raw"),
        };
        let of_disk = if format == "raw" { entry.bytes.len() } else { 1 << 30 };
        let mut text = format!(
            "[{}]\nrevision={}\narch=x86_64\nfile=data/{}{ending}\nformat={format}\nsize={of_disk}\n\
             compressed_size={}\nchecksum[sha512]={}\n",
            Self::section(entry),
            entry.number,
            entry.number,
            entry.stored.len(),
            hash(HashAlgorithm::Sha512, &entry.stored),
        );
        for (key, value) in &entry.properties {
            writeln!(text, "case_{key}={value}").unwrap();
        }
        text
    }
}

#[async_trait]
impl Publication for Templates {
    async fn stored(&self, bytes: Bytes) -> Bytes {
        if self.packing == Packing::Plain {
            return bytes;
        }
        let mut encoder = XzEncoder::new(Vec::new());
        encoder.write_all(&bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner().into()
    }

    fn publish(&self, entries: &[Entry]) {
        let index: String = entries.iter().map(|entry| self.template(entry)).collect();
        let mut files = files(entries, [("index", index)]);
        if self.packing == Packing::Xz {
            for entry in entries {
                let path = format!("data/{}", entry.number);
                let file = files.remove(&path).unwrap();
                files.insert(format!("{path}.xz"), file);
            }
        }
        self.mirror.hold(files);
    }

    fn id_of(&self, entry: &Entry) -> ImageId {
        let key = json!([Self::section(entry), "x86_64", entry.number.to_string()]);
        ImageId::derived("mirror", &key.to_string())
    }
}

/// The files of a mirror: documents, and the data of all entries.
fn files<const N: usize>(entries: &[Entry], documents: [(&str, String); N]) -> BTreeMap<String, Bytes> {
    let data = entries.iter().map(|entry| (format!("data/{}", entry.number), entry.stored.clone()));
    documents.map(|(path, text)| (path.to_owned(), Bytes::from(text))).into_iter().chain(data).collect()
}

/// A directory, with a file for each image.
#[derive(Debug)]
struct Files(Site);

impl Files {
    fn name(entry: &Entry) -> String {
        let (name, ending) = (entry.name.as_deref(), entry.disk_format.as_deref());
        let words: String = entry.properties.iter().map(|(key, value)| in_name(key, value)).collect();
        format!("{}{words}{}.{}", name.unwrap_or_default(), entry.number, ending.unwrap_or("raw"))
    }
}

#[async_trait]
impl Publication for Files {
    async fn stored(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    fn publish(&self, entries: &[Entry]) {
        let mut files: BTreeMap<String, Bytes> =
            entries.iter().map(|entry| (Self::name(entry), entry.stored.clone())).collect();
        // Of no files a page tells all there is, and `detail` would give an empty list: so there is always another one.
        files.insert(String::from("another.raw"), Bytes::new());
        let sums = [("SHA256SUMS", HashAlgorithm::Sha256), ("MD5SUMS", HashAlgorithm::Md5)];
        let sums = sums.map(|(sums, algorithm)| {
            let lines = files.iter().map(|(name, bytes)| format!("{}  {name}\n", hash(algorithm, bytes)));
            (sums.to_owned(), Bytes::from(lines.collect::<String>()))
        });
        self.0.hold(files.into_iter().chain(sums));
    }

    fn id_of(&self, entry: &Entry) -> ImageId {
        let key = json!([Self::name(entry), "sha256", hash(HashAlgorithm::Sha256, &entry.stored)]);
        ImageId::derived("mirror", &key.to_string())
    }
}

async fn simplestreams() -> Fixture {
    let mirror = Mirror::start().await;
    let formats = ["raw", "qcow2", "iso"].map(|format| (format.to_owned(), format.to_owned()));
    let options = PublishedOptions {
        ftypes: formats.into(),
        ..options(PublishedDialect::Simplestreams, mirror.endpoint())
    };
    fixture(options, Shown::Behind("simplestreams_case_"), Streams(mirror)).await
}

async fn templates(packing: Packing) -> Fixture {
    let mirror = Mirror::start().await;
    let options = options(PublishedDialect::VirtBuilder, mirror.endpoint());
    fixture(options, Shown::Behind("virt_builder_case_"), Templates { mirror, packing }).await
}

async fn plain_templates() -> Fixture {
    templates(Packing::Plain).await
}

async fn packed_templates() -> Fixture {
    templates(Packing::Xz).await
}

async fn files_as(look: Look) -> Fixture {
    let site = Site::start(look).await;
    let options = options(PublishedDialect::Directory, site.endpoint());
    fixture(options, Shown::InNames, Files(site)).await
}

async fn files_on_a_page() -> Fixture {
    files_as(Look::Dated).await.without_detail()
}

async fn files_in_json() -> Fixture {
    files_as(Look::Json).await
}

mod of_simplestreams {
    use super::simplestreams;

    super::published_cases!(simplestreams,
        filters: [text_is_compared_byte_for_byte,],
        paging: [a_position_holds_when_its_image_has_moved,]
    );
}

mod of_templates {
    use super::plain_templates;

    super::published_cases!(plain_templates, filters: [], paging: []);
}

mod of_packed_templates {
    use super::packed_templates;

    super::published_cases!(packed_templates, filters: [], paging: []);
}

mod of_files_on_a_page {
    use super::files_on_a_page;

    super::published_cases!(files_on_a_page, filters: [text_is_compared_byte_for_byte,], paging: []);
}

mod of_files_in_json {
    use super::files_in_json;

    super::published_cases!(files_in_json, filters: [text_is_compared_byte_for_byte,], paging: []);
}

/// The cases that a file of the suite has.
fn cases(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| Some(line.strip_prefix("pub async fn ")?.split_once('(')?.0))
}

#[test]
fn every_case_about_reading_is_run_or_left_out_for_a_reason() {
    let about_reading = [
        include_str!("../../service/src/conformance/data.rs"),
        include_str!("../../service/src/conformance/filters.rs"),
        include_str!("../../service/src/conformance/list.rs"),
        include_str!("../../service/src/conformance/paging.rs"),
        include_str!("../../service/src/conformance/show.rs"),
    ];
    let wanted: Vec<&str> = about_reading.into_iter().flat_map(cases).collect();
    assert!(wanted.len() > 35, "{wanted:?}");
    for (run, of_these) in [
        (of_simplestreams::RUN, &[][..]),
        (of_templates::RUN, NOT_OF_TEMPLATES),
        (of_packed_templates::RUN, NOT_OF_TEMPLATES),
        (of_files_on_a_page::RUN, NOT_OF_FILES),
        (of_files_in_json::RUN, NOT_OF_FILES),
    ] {
        let left_out: Vec<&str> = NOWHERE.iter().chain(of_these).map(|(case, _)| *case).collect();
        for case in &wanted {
            let (run, left_out) = (run.contains(case), left_out.contains(case));
            assert!(run != left_out, "{case} is run: {run}, and left out: {left_out}");
        }
        assert!(left_out.iter().all(|case| wanted.contains(case)), "there is no such case: {left_out:?}");
    }
}
