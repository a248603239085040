//! Images whose data lies elsewhere, at URLs: an optional power of a service.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use crate::{Context, Digests, Image, ImageId, MultiHash, Result, Upload};

/// Most locations of one image.
pub const MOST_LOCATIONS: usize = 10;

/// Where the data of an image lies.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    /// The URL. A fragment tells it from others and does not change what lies there. It may hold what opens the door,
    /// such as a signature, so it is not printed.
    pub url: String,
    /// What somebody noted about it.
    pub metadata: BTreeMap<String, String>,
    /// The named store that it belongs to, if the service has named stores.
    pub store: Option<String>,
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Location")
            .field("metadata", &self.metadata)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// What is known of data before anybody has read it here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its number of bytes.
    pub size: Option<u64>,
    /// Bytes of the disk in it.
    pub virtual_size: Option<u64>,
    /// Its MD5 in lower-case hex.
    pub checksum: Option<String>,
    /// Its strong hash.
    pub hash: Option<MultiHash>,
}

impl From<Digests> for Known {
    fn from(digests: Digests) -> Self {
        Self {
            size: Some(digests.size),
            virtual_size: digests.virtual_size,
            checksum: Some(digests.checksum),
            hash: Some(digests.hash),
        }
    }
}

/// A location to be added to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLocation {
    /// Where the data lies, and what to note about it. The store is the service's choice.
    pub location: Location,
    /// Its place among the image's locations in its store, from 0. `None`, and any that is beyond them: the end.
    pub at: Option<usize>,
    /// What the caller says of the data. The caller is believed, as nobody else can know; but what reads the data is
    /// held to it.
    pub known: Known,
}

impl NewLocation {
    /// A location at the end, of which nothing is known but its URL.
    pub fn at_url(url: impl Into<String>) -> Self {
        let location = Location { url: url.into(), metadata: BTreeMap::new(), store: None };
        Self { location, at: None, known: Known::default() }
    }
}

/// Keeps images whose data lies at URLs. Reached through [`crate::ImageService::locations`].
///
/// All locations of an image have the same data. They are tried in their order when it is read, which ends in an error
/// if the data has not the size and the hashes of the image. An image that the caller may not see is `NotFound` in every
/// method; `Forbidden` if it sees but does not own it.
#[async_trait]
pub trait Locations: Send + Sync {
    /// Lets through a URL that a location may have, as far as that can be said without asking anybody. At hand.
    ///
    /// # Errors
    /// `Invalid`, with what is not allowed about it.
    fn check(&self, url: &str) -> Result<()>;

    /// The locations of some images, which this service has just shown to the caller: one list for each, in its order.
    /// An image that has gone since, or has no data, has none.
    ///
    /// # Errors
    /// Silence of a source that holds one of them.
    async fn of(&self, context: &Context, images: &[Image]) -> Result<Vec<Vec<Location>>>;

    /// Gets a queued image ready for data at `url`, which is not asked for: from then on its record is where the
    /// location will be. What [`add`](Self::add) would refuse before it asks for anything, this refuses too.
    ///
    /// # Errors
    /// Those of [`add`](Self::add), and `Conflict` if the image is not queued.
    async fn prepare(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image>;

    /// Opens what lies at `url`, as data for `image`, to be looked at before it is added.
    ///
    /// # Errors
    /// `Invalid` if the URL is not allowed or gives no data. The stream ends in an error if the data cannot be had
    /// whole, or in `UnsupportedFormat` if a service that looks at formats does not take it for this image.
    async fn open(&self, context: &Context, image: &Image, url: &str) -> Result<Upload>;

    /// Adds a location. A queued image becomes active, with what is known of its data; the size, if it is not known, is
    /// asked for. An active one gets one more location of the same data.
    ///
    /// # Errors
    /// `Invalid` if the URL is not allowed, does not give data or its size, or is one of the image's already, and while
    /// a format of the image is unset. `Conflict` if the image is neither queued nor active, or what is known of the
    /// data is not what the image says of its own. `TooLarge` beyond [`MOST_LOCATIONS`].
    async fn add(&self, context: &Context, id: &ImageId, new: NewLocation) -> Result<Image>;

    /// Puts the locations of an active image into another order, with other notes.
    ///
    /// # Errors
    /// `Invalid` if the URLs are not those that the image has, each once. `Conflict` if it is not active.
    async fn arrange(&self, context: &Context, id: &ImageId, locations: Vec<Location>) -> Result<Image>;

    /// Removes a location of an active image. What lies there stays.
    ///
    /// # Errors
    /// `NotFound` if there is none of this URL; `Forbidden` for the last one; `Conflict` if the image is not active.
    async fn remove(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image>;
}

impl Image {
    /// Takes a queued image to `active`, with what is known of its data.
    ///
    /// # Errors
    /// `Conflict` in any other status; `Invalid` while a format is unset.
    pub fn activate(&mut self, size: u64, known: Known, now: crate::Timestamp) -> Result<()> {
        self.begin_upload(now)?;
        self.status = crate::Status::Active;
        self.size = Some(size);
        self.virtual_size = known.virtual_size;
        self.checksum = known.checksum;
        self.hash = known.hash;
        Ok(())
    }

    /// Lets through data of which this is known, if the image has data: only the same.
    ///
    /// # Errors
    /// `Conflict`, with the attribute that differs.
    pub fn must_have(&self, known: &Known) -> Result<()> {
        let differs =
            |what: &str| Err(crate::Error::conflict(format!("{what} is already set with a different value")));
        if known.size.is_some_and(|size| self.size != Some(size)) {
            return differs("size");
        }
        if known.checksum.is_some() && known.checksum != self.checksum {
            return differs("checksum");
        }
        match (&known.hash, &self.hash) {
            (Some(known), Some(own)) if known.algorithm != own.algorithm => differs("os_hash_algo"),
            (Some(known), Some(own)) if known.value != own.value => differs("os_hash_value"),
            (Some(_), None) => {
                Err(crate::Error::conflict("os_hash_value can be given only to a queued image"))
            }
            _ => Ok(()),
        }
    }
}
