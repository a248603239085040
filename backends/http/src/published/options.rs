//! What can be set about a published catalogue, with every bound and its default.
//!
//! Every time is longer than nothing and no longer than a day. A key that the dialect has no use for is a fault as one
//! that nobody knows.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use image_service::Error;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::client::Connection;
use crate::keys::Keys;
use crate::options::{
    endpoint, five_seconds, one_minute, sixteen_mebibytes, sixty_four_mebibytes, some_bytes, ten_seconds,
    thirty_seconds, thirty_two, time,
};

/// Where a catalogue is published, how much of it to take, and how long to believe it.
// Not what serde makes is the way to read this, but what refuses useless keys on top of that.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct PublishedOptions {
    /// What the catalogue is written in.
    pub dialect: PublishedDialect,
    /// Where it is: the `http` or `https` URL of the directory that its paths start from.
    #[serde(deserialize_with = "endpoint")]
    pub endpoint: Url,
    /// The OpenPGP public keys of which one must have signed every document, in a file, armoured or not. With it only
    /// signed documents are taken, and none that was signed before one of the same path that was taken since the process
    /// began or the file changed; without it, those that are not signed. Default: none.
    ///
    /// Of `directory` the documents that must be signed are the checksum files. One that is not says nothing, and one that is
    /// says something of the files alone that it names. The listing cannot be signed: whoever makes it chooses which files are
    /// seen, and may show what was signed earlier in a checksum file of another name.
    #[serde(default)]
    pub keyring: Option<PathBuf>,
    /// What the ids of the images are derived from, beside their names in the catalogue. Default: the backend's name.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The project that the images belong to. They are public in any case. Default: none.
    #[serde(default)]
    pub owner: Option<String>,
    /// How long the catalogue is used without asking whether it has changed. Default: 1 min.
    #[serde(default = "one_minute", deserialize_with = "time")]
    pub fresh: Duration,
    /// How long after that it is used while no newer one is to be had. Default: 1 h.
    #[serde(default = "one_hour", deserialize_with = "time")]
    pub stale: Duration,
    /// How long a request waits for a newer catalogue when there is one that may be used. Default: 1 s.
    #[serde(default = "one_second", deserialize_with = "time")]
    pub patience: Duration,
    /// Of `simplestreams`: the kinds of file that become images, each with its disk format. Default: `disk.img`,
    /// `disk1.img`, `disk-kvm.img` and `uefi1.img`, which are all qcow2.
    #[serde(default = "disk_images")]
    pub ftypes: BTreeMap<String, String>,
    /// Of `simplestreams`: the kinds of stream that are read. Default: `image-downloads`.
    #[serde(default = "image_downloads")]
    pub datatypes: Vec<String>,
    /// Of `simplestreams`: how many versions of each product there are, the newest ones. Default: all.
    #[serde(default)]
    pub versions: Option<NonZeroUsize>,
    /// Of `directory`: how the names of images end, and their disk formats. If several fit, the longest counts. Default:
    /// `.qcow2`, `.raw`, `.vmdk`, `.vhd`, `.vhdx`, `.vdi` and `.iso`, which are what they say, and `.img`, which is qcow2.
    #[serde(default = "image_endings", deserialize_with = "endings")]
    pub images: BTreeMap<String, String>,
    /// Of `directory`: how many levels of directories below the endpoint are read too. At most 8. Default: 0.
    #[serde(default, deserialize_with = "depth")]
    pub depth: usize,
    /// Of `directory`: whether a checksum file must have a SHA-256 or SHA-512 of an image, which is left out otherwise. With
    /// a keyring it must. Default: it must.
    #[serde(default)]
    pub hashes: Hashes,
    /// The most images in the catalogue. One with more is refused. Default: 100 000.
    #[serde(default = "hundred_thousand")]
    pub max_images: NonZeroUsize,
    /// The most bytes of all documents of the catalogue together. Of `simplestreams`, where much that is said once holds for
    /// many images, the names and properties of all images together may have eight times as many. Default: 64 MiB.
    #[serde(default = "sixty_four_mebibytes", deserialize_with = "some_bytes")]
    pub max_response: ByteSize,
    /// The certificate authorities to trust, in PEM, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The certificate to show, with those that lead from it to an authority, in PEM. Default: none.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// How often to look, before a request, whether these three files have changed, and before documents are fetched,
    /// whether `keyring` has. Default: 10 s.
    #[serde(default = "ten_seconds", deserialize_with = "time")]
    pub look: Duration,
    /// How long a connection may take to be made. Default: 5 s.
    #[serde(default = "five_seconds", deserialize_with = "time")]
    pub connect_timeout: Duration,
    /// How long one document may take, or the head of a download. Default: 30 s.
    #[serde(default = "thirty_seconds", deserialize_with = "time")]
    pub answer_timeout: Duration,
    /// How long no byte may come in the middle of image data. Default: 60 s.
    #[serde(default = "one_minute", deserialize_with = "time")]
    pub idle_timeout: Duration,
    /// The most bytes to read and throw away for a range that the server ignores. Not for `virt-builder`, of whose images
    /// no parts are read. Default: 16 MiB.
    #[serde(default = "sixteen_mebibytes")]
    pub skip_limit: ByteSize,
    /// The most idle connections to keep. Default: 32.
    #[serde(default = "thirty_two")]
    pub pool_size: usize,
    /// How long to keep an idle connection. Default: 30 s.
    #[serde(default = "thirty_seconds", deserialize_with = "time")]
    pub pool_idle_timeout: Duration,
}

/// What a published catalogue is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishedDialect {
    /// The format of Ubuntu's cloud images, MAAS, LXD and Incus.
    Simplestreams,
    /// The format of libguestfs.
    VirtBuilder,
    /// No format: files in a directory, as web servers list it, and checksums beside them.
    Directory,
}

/// Whether an image must have a strong hash: what becomes of those that no checksum file has one of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hashes {
    /// They are left out.
    #[default]
    Required,
    /// They are shown, without a hash. Nothing can tell whether their data is what it should be.
    Optional,
}

impl PublishedDialect {
    /// Whether a dialect of this name is one of a published catalogue.
    #[must_use]
    pub fn is_named(name: &str) -> bool {
        matches!(name, "simplestreams" | "virt-builder" | "directory")
    }

    /// What the configuration calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Simplestreams => "simplestreams",
            Self::VirtBuilder => "virt-builder",
            Self::Directory => "directory",
        }
    }

    /// The options that it has no use for.
    const fn useless(self) -> &'static [&'static str] {
        match self {
            Self::Simplestreams => &["images", "depth", "hashes"],
            Self::VirtBuilder => {
                &["ftypes", "datatypes", "versions", "images", "depth", "hashes", "skip_limit"]
            }
            Self::Directory => &["ftypes", "datatypes", "versions"],
        }
    }
}

impl<'de> Deserialize<'de> for PublishedOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = Keys::default();
        let options = Self::deserialize(keys.noting(deserializer))?;
        keys.refuse(options.dialect.useless(), options.dialect.name())?;
        Ok(options)
    }
}

impl PublishedOptions {
    /// The options for a catalogue that is published at `endpoint`, unsigned, with every default.
    #[must_use]
    pub fn new(dialect: PublishedDialect, endpoint: Url) -> Self {
        Self {
            dialect,
            endpoint,
            keyring: None,
            namespace: None,
            owner: None,
            fresh: one_minute(),
            stale: one_hour(),
            patience: one_second(),
            ftypes: disk_images(),
            datatypes: image_downloads(),
            versions: None,
            images: image_endings(),
            depth: 0,
            hashes: Hashes::default(),
            max_images: hundred_thousand(),
            max_response: sixty_four_mebibytes(),
            ca_file: None,
            client_certificate: None,
            client_key: None,
            look: ten_seconds(),
            connect_timeout: five_seconds(),
            answer_timeout: thirty_seconds(),
            idle_timeout: one_minute(),
            skip_limit: sixteen_mebibytes(),
            pool_size: thirty_two(),
            pool_idle_timeout: thirty_seconds(),
        }
    }

    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// `Invalid`, with the option.
    pub(crate) fn check(&self) -> image_service::Result<()> {
        if self.hashes == Hashes::Optional && self.keyring.is_some() {
            return Err(Error::invalid("hashes: are required with a keyring"));
        }
        Ok(())
    }

    /// How connections to the source are made.
    pub(crate) fn connection(&self) -> Connection {
        Connection {
            ca_file: self.ca_file.clone(),
            client_certificate: self.client_certificate.clone(),
            client_key: self.client_key.clone(),
            look: self.look,
            is_plain: self.endpoint.scheme() == "http",
            most_headers: None,
            connect_timeout: self.connect_timeout,
            pool_size: self.pool_size,
            pool_idle_timeout: self.pool_idle_timeout,
        }
    }
}

fn disk_images() -> BTreeMap<String, String> {
    let kinds = ["disk.img", "disk1.img", "disk-kvm.img", "uefi1.img"];
    kinds.into_iter().map(|kind| (kind.to_owned(), String::from("qcow2"))).collect()
}

fn image_endings() -> BTreeMap<String, String> {
    let endings = [
        (".qcow2", "qcow2"),
        (".img", "qcow2"),
        (".raw", "raw"),
        (".vmdk", "vmdk"),
        (".vhd", "vhd"),
        (".vhdx", "vhdx"),
        (".vdi", "vdi"),
        (".iso", "iso"),
    ];
    endings.into_iter().map(|(ending, format)| (ending.to_owned(), format.to_owned())).collect()
}

fn endings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let endings = BTreeMap::<String, String>::deserialize(deserializer)?;
    if endings.iter().any(|(ending, format)| ending.is_empty() || format.is_empty()) {
        return Err(D::Error::custom("neither an ending nor a disk format may be empty"));
    }
    Ok(endings)
}

/// Deeper trees are no directories of images.
const DEEPEST: usize = 8;

fn depth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let depth = usize::deserialize(deserializer)?;
    if depth > DEEPEST { Err(D::Error::custom("must not be over 8")) } else { Ok(depth) }
}

fn image_downloads() -> Vec<String> {
    vec![String::from("image-downloads")]
}

const fn one_second() -> Duration {
    Duration::from_secs(1)
}
const fn one_hour() -> Duration {
    Duration::from_secs(60 * 60)
}
const fn hundred_thousand() -> NonZeroUsize {
    NonZeroUsize::new(100_000).expect("a hundred thousand is not zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(dialect: &str, more: &str) -> Result<PublishedOptions, toml::de::Error> {
        toml::from_str(&format!("dialect = '{dialect}'\nendpoint = 'http://127.0.0.1/mirror'\n{more}"))
    }

    #[test]
    fn what_is_left_out_is_what_new_gives() {
        for (name, dialect) in [
            ("simplestreams", PublishedDialect::Simplestreams),
            ("virt-builder", PublishedDialect::VirtBuilder),
            ("directory", PublishedDialect::Directory),
        ] {
            assert!(PublishedDialect::is_named(name));
            let made = PublishedOptions::new(dialect, Url::parse("http://127.0.0.1/mirror").unwrap());
            assert_eq!(format!("{:?}", parse(name, "").unwrap()), format!("{made:?}"));
        }
        assert!(!PublishedDialect::is_named("glance-v2"));
    }

    #[test]
    fn what_cannot_be_is_a_fault() {
        for more in [
            "page_size = 1",
            "auth = { kind = 'none' }",
            "fresh = '0s'",
            "stale = '25h'",
            "patience = 1",
            "versions = 0",
            "max_images = 0",
            "max_response = 0",
            "ftypes = ['disk.img']",
        ] {
            assert!(parse("simplestreams", more).is_err(), "{more}");
        }
        assert!(parse("glance-v2", "").is_err());
    }

    #[test]
    fn a_key_that_the_dialect_has_no_use_for_is_a_fault_also_at_its_default() {
        for (key, value) in [
            ("ftypes", "{ 'root.tar.xz' = 'root-tar' }"),
            ("datatypes", "['image-downloads']"),
            ("versions", "2"),
            ("skip_limit", "'16 MiB'"),
        ] {
            let more = format!("{key} = {value}");
            assert!(parse("simplestreams", &more).is_ok());
            let error = parse("virt-builder", &more).unwrap_err();
            assert!(error.message().contains(&format!("`{key}`, the dialect virt-builder ")), "{error}");
        }
    }

    #[test]
    fn what_is_for_directories_is_refused_elsewhere_and_where_it_contradicts() {
        for (key, value) in [("images", "{ '.x' = 'raw' }"), ("depth", "0"), ("hashes", "'optional'")] {
            let more = format!("{key} = {value}");
            assert!(parse("directory", &more).unwrap().check().is_ok());
            for other in ["simplestreams", "virt-builder"] {
                let error = parse(other, &more).unwrap_err();
                assert!(error.message().contains(&format!("`{key}`, the dialect {other} ")), "{error}");
            }
        }
        assert!(parse("directory", "versions = 2").is_err());
        let both = parse("directory", "hashes = 'optional'\nkeyring = 'k'").unwrap().check().unwrap_err();
        assert!(both.to_string().starts_with("hashes: "), "{both}");
        for more in
            ["depth = 9", "depth = -1", "images = { '' = 'raw' }", "images = { '.x' = '' }", "hashes = 'x'"]
        {
            assert!(parse("directory", more).is_err(), "{more}");
        }
    }
}
