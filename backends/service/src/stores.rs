//! Keeping images in several named stores: an optional power of a service.

use async_trait::async_trait;

use crate::{Context, ImageId, Result};

/// A store as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// What it is called in [`crate::Image::stores`], [`crate::NewImage::store`] and
    /// [`crate::Upload::store`].
    pub name: String,
    /// Which kind of store it is.
    pub kind: String,
    /// One sentence for a person, if there is one.
    pub description: Option<String>,
    /// Whether new images go here if nothing else is said.
    pub is_default: bool,
    /// Whether it takes no image data.
    pub read_only: bool,
}

/// Tells of the named stores. Reached through [`crate::ImageService::stores`].
#[async_trait]
pub trait Stores: Send + Sync {
    /// The stores, in their configured order. The answer is at hand: nothing is asked.
    fn list(&self) -> Vec<Store>;

    /// Removes the copy of an image that `store` holds; the other copies stay.
    ///
    /// # Errors
    /// `NotFound` if the caller may not see the image or it has no copy there; `Conflict` for an unknown store,
    /// or an image that is not active; `Forbidden` for the last copy, a protected image, or a caller who may
    /// not delete it.
    async fn remove_copy(&self, context: &Context, id: &ImageId, store: &str) -> Result<()>;
}
