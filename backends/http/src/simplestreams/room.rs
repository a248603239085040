//! How much the images of a catalogue may come to. Pure.
//!
//! What a stream, a product or a version says, each of its images has for itself: so a document of no great size can come
//! to images of any. What an image takes is counted before the image is made.

use image_service::Result;

use super::tree::Branch;
use crate::published::{PublishedOptions, refused};

/// Names and properties may have so many times the bytes that documents may.
const MOST_TIMES: u64 = 8;

/// What a property takes beside its text.
const PER_PROPERTY: usize = size_of::<(String, String)>();

/// What there may be, and what there is already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    most: Taken,
    taken: Taken,
}

/// What some images take.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Taken {
    /// How many they are.
    pub(super) images: usize,
    /// The bytes of their names and properties.
    pub(super) bytes: u64,
}

impl Room {
    /// As much as `options` allow, with nothing in it.
    pub(super) fn new(options: &PublishedOptions) -> Self {
        let bytes = options.max_response.as_u64().saturating_mul(MOST_TIMES);
        Self { most: Taken { images: options.max_images.get(), bytes }, taken: Taken::default() }
    }

    /// Takes some of it.
    ///
    /// # Errors
    /// With what is too much.
    pub(super) fn take(&mut self, more: Taken) -> Result<()> {
        self.taken.add(more);
        let Taken { images, bytes } = self.most;
        if self.taken.images > images {
            return Err(refused(format_args!("it has too many images, and the most is {images}")));
        }
        if self.taken.bytes > bytes {
            return Err(refused(format_args!(
                "its images have over {bytes} bytes of names and properties, {MOST_TIMES} times what its documents may have"
            )));
        }
        Ok(())
    }
}

impl Taken {
    /// Makes it what both take.
    pub(super) fn add(&mut self, more: Self) {
        self.images = self.images.saturating_add(more.images);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// What `level` takes in an image that is in it: what it is called, and all its texts, flags and numbers, whether the image
/// shows them or not.
pub(super) fn bytes_of(called: &str, level: &Branch) -> u64 {
    let all = level.leaves().chain([("", called)]);
    all.map(|(name, value)| (name.len() + value.len() + PER_PROPERTY) as u64).sum()
}
