//! Keeping images in several named stores: an optional power of a service.

use async_trait::async_trait;

use crate::{Context, Image, ImageId, Result, Upload};

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

    /// Puts the data of an image into `store`, under the image's own id, and shows the image.
    ///
    /// If the image has data elsewhere, what comes must be the same, byte for byte as far as its size and hash tell;
    /// otherwise nothing of it stays. The first data makes the image active. Attributes, and the projects that the
    /// image is shared with, go with it. If it fails a record without data may stay in `store`, which is part of the
    /// image, goes with it when it is changed or deleted, and is used by the next attempt.
    ///
    /// # Errors
    /// `NotFound` if the caller may not see the image, `Forbidden` if it is not its own or the store takes no writes;
    /// `Conflict` for an unknown store, one that has the data already or is being given it, and for an image that is
    /// neither queued nor active; `Corrupt` if the data is not the image's; `AlreadyExists` if the store has deleted
    /// the image and cannot take it back; `Invalid`, `Incomplete`, `TooLarge` and `UnsupportedFormat` as for an upload.
    async fn add_copy(&self, context: &Context, id: &ImageId, store: &str, data: Upload) -> Result<Image>;

    /// Takes back what [`add_copy`](Self::add_copy) has put into `store`, for whoever finds that it was not to be. Unlike
    /// [`remove_copy`](Self::remove_copy) it may be the last data of the image, if the record is elsewhere too: then the
    /// image is queued again. Protection does not stand in the way.
    ///
    /// # Errors
    /// `NotFound` if the caller may not see the image or it is not there; `Conflict` for an unknown store; `Forbidden` if
    /// the image is not the caller's, or it is nowhere else.
    async fn withdraw_copy(&self, context: &Context, id: &ImageId, store: &str) -> Result<()>;

    /// Moves the record of an image without data to `store`. If it is there already, nothing happens.
    ///
    /// # Errors
    /// `NotFound` and `Forbidden` as for [`add_copy`](Self::add_copy); `Conflict` for an unknown store, or an image that
    /// is not queued.
    async fn move_record(&self, context: &Context, id: &ImageId, store: &str) -> Result<()>;
}
