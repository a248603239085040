//! The dialect `virt-builder`: catalogues such as libguestfs publishes of its templates.
//!
//! `index` below the endpoint, or `index.asc` with a keyring, has one section for each template. Each is an image,
//! called as its section is. Its id is derived from that name, the architecture and the revision: a new revision is
//! other data, so it is another image, and the one before is gone.
//!
//! A file whose name ends in `.xz` is unpacked while it is read. Its image has the unpacked size, and no hash, for the
//! catalogue has none of what is unpacked: what is packed is held to its hash here, and the last bytes of the image are
//! given out only when it is right. So a part of an image cannot be read by itself. The hash of any other file is the
//! image's.
//!
//! `size` is that of the disk, as whoever runs it sees it, and for a raw one it is the length of the data too. The data of
//! another format is as long as its file, which is `compressed_size`; what is packed of it has a length that nobody says.
//! A template whose data has no known length is left out, and the operator told how many are. One without `format` is taken
//! for a raw one. Nothing else is made of `compressed_size`, which may be wrong: what is packed is held to its hash alone.
//!
//! A template without `file`, `size`, `arch` or a SHA-512, or with a number that is none, makes the catalogue refused.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod ini;

use std::sync::Arc;

use async_trait::async_trait;
use image_service::{HashAlgorithm, Image, MultiHash, Properties, Result, Support, Timestamp};
use url::Url;

use crate::published::{
    Dialect, Document, Documents, File, Item, Origin, Packing, PublishedOptions, Told, Trust, below, refused,
};
use ini::Section;

/// Where the document is, and where the signed one.
const INDEX: &str = "index";
const SIGNED_INDEX: &str = "index.asc";

/// What is shown as an attribute, or is said in another way. `sig` is a signature that nobody makes any more.
const SHOWN_OTHERWISE: &[&str] =
    &["arch", "checksum", "compressed_size", "file", "format", "hidden", "revision", "sig", "size"];

/// A source of virt-builder.
#[derive(Debug)]
pub(crate) struct VirtBuilder {
    /// What the operator knows the source by.
    name: String,
    /// How many templates were left out when the operator was last told.
    left_out: Told,
    reading: Arc<Reading>,
}

/// What the index says.
#[derive(Debug)]
pub(crate) struct Index {
    items: Vec<Item>,
    /// How many templates have data of no known length.
    left_out: usize,
}

/// How the index is read.
#[derive(Debug)]
struct Reading {
    trust: Trust,
    origin: Origin,
}

impl VirtBuilder {
    /// A source as `options` say, whose backend is called `name`, and whose index is trusted by `trust`.
    pub(crate) fn new(name: &str, options: &PublishedOptions, trust: Trust) -> Self {
        let reading = Arc::new(Reading { trust, origin: Origin::new(name, options) });
        Self { name: name.to_owned(), left_out: Told::default(), reading }
    }

    /// Tells the operator how many templates are left out, when that changes: whoever looks for one of them will wonder.
    fn tell_left_out(&self, left_out: usize) {
        if self.left_out.is_news(left_out) {
            let name = self.name.as_str();
            tracing::info!(backend = name, left_out, "templates whose data has no known length are left out");
        }
    }
}

#[async_trait]
impl Dialect for VirtBuilder {
    type Document = Index;

    fn ranges(&self) -> Support {
        Support::No
    }

    fn trust(&self) -> &Trust {
        &self.reading.trust
    }

    async fn items(&self, documents: &mut Documents<'_, Index>) -> Result<Vec<Item>> {
        let (reading, root) = (Arc::clone(&self.reading), documents.source().root.clone());
        let name = if reading.trust.wants_signatures() { SIGNED_INDEX } else { INDEX };
        let index = documents.read(name, move |document| reading.index(&root, document)).await?;
        self.tell_left_out(index.left_out);
        Ok(index.items.clone())
    }
}

impl Reading {
    fn index(&self, root: &Url, document: &Document) -> Result<Index> {
        let text = self.trust.text(document)?;
        let text = std::str::from_utf8(&text).map_err(|_| refused("the index is not UTF-8"))?;
        let sections = ini::sections(text)?;
        let mut items = Vec::with_capacity(sections.len());
        for section in &sections {
            items.extend(self.item(root, section, document.modified)?);
        }
        Ok(Index { left_out: sections.len() - items.len(), items })
    }

    /// The image that a template is, unless nobody can know how long its data is.
    fn item(&self, root: &Url, section: &Section<'_>, made: Option<Timestamp>) -> Result<Option<Item>> {
        let missing =
            |field: &str| refused(format_args!("the template {:?} has no {field} that is one", section.name));
        let number = |field: &str| {
            section.get(field, None).map(|text| text.parse::<u64>().map_err(|_| missing(field)))
        };
        let path = section.get("file", None).ok_or_else(|| missing("file"))?;
        let url = below(root, path).map_err(|why| {
            refused(format_args!("the template {:?} has the file {path:?}, which {why}", section.name))
        })?;
        let arch = section.get("arch", None).ok_or_else(|| missing("arch"))?;
        let of_disk = number("size").ok_or_else(|| missing("size"))??;
        let of_file = number("compressed_size").transpose()?;
        let hash = hash(section).ok_or_else(|| missing("checksum[sha512]"))?;
        let (is_packed, disk_format) = (path.ends_with(".xz"), section.get("format", None));
        let unpacked = of_file.filter(|_| !is_packed);
        let Some(size) = length(disk_format, of_disk, unpacked) else { return Ok(None) };
        let (packing, hash) =
            if is_packed { (Packing::Xz { seal: hash }, None) } else { (Packing::Plain, Some(hash)) };
        let image = Image {
            name: Some(section.name.to_owned()),
            size: Some(size),
            virtual_size: Some(of_disk),
            disk_format: disk_format.map(str::to_owned),
            hash,
            hidden: section.get("hidden", None).is_some_and(|hidden| matches!(hidden, "true" | "yes" | "1")),
            properties: properties(section, arch),
            ..self.origin.image(&key(section, arch), made)?
        };
        Ok(Some(Item { image, file: File { url, packing, said: None } }))
    }
}

/// How long the data of a template is, by the size of its disk and that of its file, if its data lies there as it is.
fn length(disk_format: Option<&str>, of_disk: u64, of_file: Option<u64>) -> Option<u64> {
    match disk_format {
        None | Some("raw") => Some(of_disk),
        Some(_) => of_file,
    }
}

/// What no other template has. A new revision is another one.
fn key(section: &Section<'_>, arch: &str) -> String {
    let revision = section.get("revision", None).unwrap_or("1");
    serde_json::json!([section.name, arch, revision]).to_string()
}

/// The SHA-512, which may also be called `checksum` alone.
fn hash(section: &Section<'_>) -> Option<MultiHash> {
    let algorithm = HashAlgorithm::Sha512;
    let value = section.get("checksum", Some("sha512")).or_else(|| section.get("checksum", None))?;
    let is_hash = value.len() == algorithm.digits() && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| MultiHash { algorithm: algorithm.to_string(), value: value.to_ascii_lowercase() })
}

/// `os_distro` and `os_version` by the name of the section, which is `os-version`, and the rest as it stands there.
fn properties(section: &Section<'_>, arch: &str) -> Properties {
    let mut properties = Properties::from([(String::from("architecture"), arch.to_owned())]);
    if let Some((os, version)) = section.name.rsplit_once('-') {
        properties.insert(String::from("os_distro"), os.to_lowercase());
        properties.insert(String::from("os_version"), version.to_owned());
    }
    properties.insert(
        String::from("virt_builder_revision"),
        section.get("revision", None).unwrap_or("1").to_owned(),
    );
    // Texts in other languages say the same.
    for (name, value) in section.plain().filter(|(name, _)| !SHOWN_OTHERWISE.contains(name)) {
        properties.insert(format!("virt_builder_{name}"), value.to_owned());
    }
    properties
}
