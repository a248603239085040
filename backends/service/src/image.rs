//! The image: what a store knows of one, apart from its bytes.

use crate::words::words;
use crate::{ImageId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Custom properties: what is not an attribute of [`Image`] is a property, kept apart, so a property called
/// `name` can never overwrite the name.
pub type Properties = BTreeMap<String, String>;

/// One image. `None` stands for an attribute that is unset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Unchanged for ever.
    pub id: ImageId,
    /// Not unique, and may be empty or missing.
    pub name: Option<String>,
    /// Where the image is in its life.
    pub status: Status,
    /// Who may see it.
    pub visibility: Visibility,
    /// The project that it belongs to. An image without an owner can be read by all.
    pub owner: Option<String>,
    /// Bytes of data. `None` until the data is there.
    pub size: Option<u64>,
    /// Bytes that a guest would see, if the store knows.
    pub virtual_size: Option<u64>,
    /// `qcow2`, `raw`, …
    pub disk_format: Option<String>,
    /// `bare`, `ovf`, …
    pub container_format: Option<String>,
    /// MD5 of the data in lower-case hex. For today's clients, not for trust.
    pub checksum: Option<String>,
    /// The strong hash of the data.
    pub hash: Option<MultiHash>,
    /// Left out of lists unless they ask for hidden images.
    pub hidden: bool,
    /// Cannot be deleted while this is set.
    pub protected: bool,
    /// Smallest disk, in GiB, that an instance needs.
    pub min_disk: u32,
    /// Smallest memory, in MiB, that an instance needs.
    pub min_ram: u32,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When attributes or data last changed.
    pub updated_at: Timestamp,
    /// Everything else that somebody noted about it.
    pub properties: Properties,
    /// The named stores that hold its data, home first; of an image without data, the one where it waits for a location, if
    /// it is in such a store. Empty for a service that has no named stores.
    pub stores: Vec<String>,
}

impl Image {
    /// Whether its data is there to be read.
    #[must_use]
    pub const fn has_data(&self) -> bool {
        matches!(self.status, Status::Active | Status::Deactivated | Status::PendingDelete)
    }
}

/// The least that tells one image from another: an element of `index`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The image's id.
    pub id: ImageId,
    /// The image's name.
    pub name: Option<String>,
}

impl From<&Image> for Summary {
    fn from(image: &Image) -> Self {
        Self { id: image.id.clone(), name: image.name.clone() }
    }
}

/// A hash and the name of its algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MultiHash {
    /// `sha512`, `sha256`, …
    pub algorithm: String,
    /// Lower-case hex.
    pub value: String,
}

words! {
    /// Where an image is in its life. See [`Status::may_become`].
    Status, "status", {
        /// A record without data.
        Queued = "queued",
        /// Data is being written.
        Saving = "saving",
        /// Data is being staged for an import.
        Uploading = "uploading",
        /// An import is at work.
        Importing = "importing",
        /// Data is there and can be read.
        Active = "active",
        /// Data is there; only an administrator may read it.
        Deactivated = "deactivated",
        /// An old upload failed.
        Killed = "killed",
        /// Deleted, and its data not yet removed.
        PendingDelete = "pending_delete",
        /// Gone. Never shown.
        Deleted = "deleted",
    }
}

words! {
    /// Who may see an image.
    Visibility, "visibility", {
        /// Everyone reads and lists it.
        Public = "public",
        /// Everyone reads it by id; others list it only on request.
        Community = "community",
        /// The owner, and the members that the owner added.
        Shared = "shared",
        /// The owner alone.
        Private = "private",
    }
}

impl Status {
    /// Whether an image may go from this status to `next` in one step.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use Status::{
            Active, Deactivated, Deleted, Importing, Killed, PendingDelete, Queued, Saving, Uploading,
        };
        match self {
            Queued => matches!(next, Saving | Uploading | Importing | Active | Deleted),
            Saving => matches!(next, Active | Killed | Deleted | Queued),
            Uploading => matches!(next, Importing | Queued | Deleted),
            Importing => matches!(next, Active | Deleted | Queued),
            Active => matches!(next, PendingDelete | Deleted | Deactivated),
            Deactivated => matches!(next, Active | Deleted),
            PendingDelete => matches!(next, Deleted | Active),
            Killed => matches!(next, Deleted),
            Deleted => false,
        }
    }
}
