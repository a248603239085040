//! One stream: its products, their versions, and the items that are images. Pure.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use image_service::{HashAlgorithm, Image, MOST_PER_IMAGE, MultiHash, Properties, Result, Timestamp};
use url::Url;

use super::room::{Room, Taken, bytes_of};
use super::tree::Branch;
use super::{Products, Reading, Stream};
use crate::published::{File, Item, Packing, below, http_time, refused};

/// Longer names, of images and of properties, and longer values are left out: no image service takes them.
const LONGEST_NAME: usize = 255;
const LONGEST_VALUE: usize = 65_535;

/// What is shown as an attribute, is said in another way, or changes with every publication.
const SHOWN_OTHERWISE: &[&str] = &[
    "arch", "format", "md5", "os", "path", "sha1", "sha256", "sha384", "sha512", "size", "updated", "version",
];

/// One item, and all that is said of it: by itself, its version, its product and its stream.
struct Described<'a> {
    product: &'a str,
    version: &'a str,
    item: &'a str,
    /// Outermost first.
    levels: [&'a Branch; 4],
}

/// All images of a stream, for which there is still so much `room`. `modified` is when its document last changed.
pub(super) fn items(
    reading: &Reading,
    stream: &Stream,
    root: &Url,
    mut room: Room,
    tree: &Branch,
    modified: Option<Timestamp>,
) -> Result<Products> {
    let missing = |what: &str, of: &str| refused(format_args!("{of:?} has no {what}"));
    let published = tree.leaf("updated").and_then(http_time).or(modified);
    let mut all = Products::default();
    let of_tree = bytes_of(&stream.content_id, tree);
    let products = tree.branches("products").ok_or_else(|| missing("products", &stream.content_id))?;
    for (product, of_product) in products {
        let versions = of_product.branches("versions").ok_or_else(|| missing("versions", product))?;
        let with_product = of_tree + bytes_of(product, of_product);
        let most = reading.versions.map_or(usize::MAX, NonZeroUsize::get);
        // They are in the order of their serials, the newest last.
        for (version, of_version) in versions.into_iter().rev().take(most) {
            let handed_down = with_product + bytes_of(version, of_version);
            for (item, of_item) in of_version.branches("items").ok_or_else(|| missing("items", version))? {
                let levels = [tree, of_product, of_version, of_item];
                let described = Described { product, version, item, levels };
                let disk_format = described.says("ftype").and_then(|ftype| reading.ftypes.get(ftype));
                if let Some(disk_format) = disk_format {
                    let one = Taken { images: 1, bytes: handed_down + bytes_of(item, of_item) };
                    room.take(one)?;
                    all.taken.add(one);
                    let made = serial_time(version).or(published);
                    let image = described.image(reading, stream, disk_format, made)?;
                    all.items.push(Item { image, file: described.file(root)? });
                }
            }
        }
    }
    Ok(all)
}

impl Described<'_> {
    /// What is said as `name`, nearest to the item.
    fn says(&self, name: &str) -> Option<&str> {
        self.levels.iter().rev().find_map(|level| level.leaf(name))
    }

    fn file(&self, root: &Url) -> Result<File> {
        let path = self.says("path").ok_or_else(|| self.refused("has no path"))?;
        let url =
            below(root, path).map_err(|why| self.refused(&format!("has the path {path:?}, which {why}")))?;
        Ok(File { url, packing: Packing::Plain, said: None })
    }

    fn image(
        &self,
        reading: &Reading,
        stream: &Stream,
        disk_format: &str,
        made: Option<Timestamp>,
    ) -> Result<Image> {
        let size = self.says("size").and_then(|size| size.parse().ok());
        let strong = match self.hash(HashAlgorithm::Sha512)? {
            Some(hash) => Some(hash),
            None => self.hash(HashAlgorithm::Sha256)?,
        };
        Ok(Image {
            name: Some(self.name()?),
            size: Some(size.ok_or_else(|| self.refused("has no size"))?),
            disk_format: Some(disk_format.to_owned()),
            checksum: self.hash(HashAlgorithm::Md5)?.map(|hash| hash.value),
            hash: Some(strong.ok_or_else(|| self.refused("has neither a SHA-512 nor a SHA-256"))?),
            properties: self.properties(stream),
            ..reading.origin.image(&self.key(stream), made)?
        })
    }

    fn name(&self) -> Result<String> {
        let fits = |name: &String| name.chars().count() <= LONGEST_NAME;
        let public = self.says("pubname").map(str::to_owned).filter(fits);
        let unnamed = || Some(format!("{} {}", self.product, self.version)).filter(fits);
        let missing = || self.refused(&format!("has no name of at most {LONGEST_NAME} characters"));
        public.or_else(unnamed).ok_or_else(missing)
    }

    /// What no other item of any stream has: the four names, told apart whatever is in them.
    fn key(&self, stream: &Stream) -> String {
        serde_json::json!([stream.content_id, self.product, self.version, self.item]).to_string()
    }

    fn hash(&self, algorithm: HashAlgorithm) -> Result<Option<MultiHash>> {
        let Some(value) = self.says(algorithm.as_str()) else { return Ok(None) };
        if value.len() != algorithm.digits() || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.refused(&format!("has a {algorithm} that is none")));
        }
        Ok(Some(MultiHash { algorithm: algorithm.to_string(), value: value.to_ascii_lowercase() }))
    }

    fn properties(&self, stream: &Stream) -> Properties {
        let said = self.levels.iter().flat_map(|level| level.leaves());
        let said = said.filter(|(name, _)| !SHOWN_OTHERWISE.contains(name));
        let names = [
            ("content_id", stream.content_id.as_str()),
            ("product_name", self.product),
            ("version_name", self.version),
            ("item_name", self.item),
        ];
        // What is said nearer to the item comes later, and counts.
        let rest: BTreeMap<String, &str> =
            said.chain(names).map(|(name, value)| (format!("simplestreams_{name}"), value)).collect();
        let known = [
            ("os_distro", self.says("os").map(str::to_lowercase)),
            ("os_version", self.says("version").map(str::to_owned)),
            ("architecture", self.says("arch").map(|arch| architecture(arch).to_owned())),
        ];
        let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let rest = rest.into_iter().map(|(name, value)| (name, value.to_owned()));
        let fits =
            |(name, value): &(String, String)| name.len() <= LONGEST_NAME && value.len() <= LONGEST_VALUE;
        known.chain(rest).filter(fits).take(MOST_PER_IMAGE).collect()
    }

    fn refused(&self, why: &str) -> image_service::Error {
        refused(format_args!("the item {:?} of {:?} {:?} {why}", self.item, self.product, self.version))
    }
}

/// What OpenStack calls an architecture of Debian's.
fn architecture(arch: &str) -> &str {
    match arch {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "armhf" => "armv7l",
        "i386" => "i686",
        "ppc64el" => "ppc64le",
        other => other,
    }
}

/// The time that a serial such as `20240423`, `20240423.1` or `20240423_07:42` stands for.
fn serial_time(serial: &str) -> Option<Timestamp> {
    let (date, rest) = serial.split_at_checked(8)?;
    if !date.bytes().all(|byte| byte.is_ascii_digit()) || rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let day = format!("{}-{}-{}", date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    let time = rest.strip_prefix('_').filter(|time| time.len() == 5);
    let moment = time.and_then(|time| format!("{day}T{time}:00").parse().ok());
    moment.or_else(|| day.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_tells_the_day_and_maybe_the_minute() {
        for (serial, expected) in [
            ("20240423", Some("2024-04-23T00:00:00Z")),
            ("20240423.1", Some("2024-04-23T00:00:00Z")),
            ("20240423_07:42", Some("2024-04-23T07:42:00Z")),
            ("20240423_7", Some("2024-04-23T00:00:00Z")),
            ("20240423-rc1", Some("2024-04-23T00:00:00Z")),
            ("202404231", None),
            ("20241341", None),
            ("2024", None),
            ("v1.0", None),
            ("", None),
            ("äääää", None),
        ] {
            assert_eq!(serial_time(serial).map(|time| time.to_string()).as_deref(), expected, "{serial}");
        }
    }
}
