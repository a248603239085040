//! Images in memory: the reference backend, and a scratch store.
//!
//! [`Memory`] fulfils the whole contract in the plainest way, so that it can be read as an explanation of it, and
//! stand in for any other store in tests. Everything is gone when the process ends.
//!
//! | file | what it holds |
//! |---|---|
//! | `memory` | the verbs |
//! | `shelf` | the records behind one lock, and who may find them |
//! | `order` | the images in every order that lists begin with |
//! | `saving` | an upload under way, undone unless it ends well |
//! | `pieces` | data, and the room it takes |
//! | `members` | sharing |
//!
//! The lock is held for one step at a time and never across an `await`. Data is cut into pieces of one size that
//! downloads share, so a reader keeps its data alive after the image has gone, and the room for it stays taken
//! until the last reader is done. A page of a list costs what it shows and passes over, however many images there are.
//!
//! This crate must not know any other backend, HTTP, or where its options come from.

mod members;
mod memory;
mod order;
mod pieces;
mod saving;
mod shelf;
#[cfg(test)]
mod walks;

use std::sync::Arc;

use bytesize::ByteSize;
use image_service::{ImageService, Result};
use serde::Deserialize;

pub use memory::Memory;

/// The bounds of a [`Memory`]. What would go beyond one is `TooLarge`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Most images at once. Default: 100 000.
    pub max_images: usize,
    /// Most bytes of data at once, uploads under way included. Default: 1 GiB.
    pub max_bytes: ByteSize,
    /// Most ids in the life of the process, since those of deleted images stay taken. Default: 1 000 000.
    pub max_ids: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_images: 100_000, max_bytes: ByteSize::gib(1), max_ids: 1_000_000 }
    }
}

/// Opens an empty store that errors and logs may call `name`.
///
/// # Errors
/// None: the result is there because every backend is opened in the same way.
#[expect(clippy::unused_async, reason = "every backend is opened in the same way, and others do wait")]
pub async fn open(name: &str, options: Options) -> Result<Arc<dyn ImageService>> {
    Ok(Arc::new(Memory::new(name, options)))
}
