//! The seven verbs.

use std::fmt;

use async_trait::async_trait;

use crate::{
    ByteRange, Capabilities, Context, Download, Image, ImageChange, ImageId, Locations, NewImage, Page,
    Query, Result, Sharing, Stores, Summary, Upload,
};

/// A store of virtual-machine images.
///
/// The contract goes back to the `BaseImageService` of OpenStack Nova (2011). A store, a remote service and a
/// federation of others all fulfil it, and one suite of cases (feature `conformance`) checks each promise.
///
/// **Tenancy.** Every method takes the [`Context`] of the request and shows or changes only what
/// [`crate::access`] allows its caller. An image that the caller may not see is `NotFound`, never `Forbidden`.
///
/// **Silence is not absence.** `NotFound` means that the image is not there. A service that could not find out
/// says so with an error whose kind [is silence](crate::ErrorKind::is_silence).
///
/// **Cancellation.** Dropping the future of `index`, `detail`, `show` or `get` stops the work and changes
/// nothing. `create`, `update` and `delete`, once begun, take effect wholly or not at all, also when their
/// future is dropped. With data that means: the whole image, or a queued image without data.
///
/// **Concurrency.** Every method may be called from many tasks at once. The last write wins, except that of
/// several uploads to one image exactly one is let in.
#[async_trait]
pub trait ImageService: Send + Sync + fmt::Debug {
    /// Tells what this service does by itself. At hand and unchanging while the service lives.
    fn capabilities(&self) -> Capabilities;

    /// Lists id and name of the images that the query admits.
    ///
    /// The same images, order, paging and errors as [`detail`](Self::detail) for the same query.
    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>>;

    /// Lists the images that the query admits, with all their attributes.
    ///
    /// *Order:* that of [`Query::sort`], which is total. *Paging:* only images strictly after
    /// [`Query::position`], whether or not the image that it was taken from still exists; at most
    /// [`Query::limit`] of them. A page may be shorter than the limit. While [`Page::more`] is set there may be
    /// images behind the last one, and asking on from its position finds them; an empty page never sets it.
    /// Every image that exists throughout a walk of pages, and whose sort values do not change, is given exactly
    /// once. *Tenancy:* only what [`crate::access::is_listed`] allows under [`Query::scope`].
    ///
    /// # Errors
    /// `Invalid` if the position does not fit the sort. `NotImplemented` if this service can only tell
    /// [`index`](Self::index) and [`show`](Self::show); its caller can make up for that with
    /// [`crate::detail_by_show`].
    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>>;

    /// Shows one image, just as `detail` would list it.
    ///
    /// # Errors
    /// `NotFound` if there is none of this id that the caller may see. Any string is a valid id to ask for. A
    /// service that remembers the ids of deleted images tells administrators of them with [`crate::Error::deleted`].
    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image>;

    /// Opens an image's data, or a part of it, and gives the image with it.
    ///
    /// The stream gives exactly the bytes of [`crate::Data::range`], or ends in an error. An image without data
    /// gives no [`Download::data`], whatever the range. Data that is being read stays whole when the image is
    /// deleted meanwhile, or the stream ends in an error.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if the image is deactivated and the caller is no administrator;
    /// `RangeNotSatisfiable` if no byte lies in the range; `NotImplemented` for a range if
    /// [`Capabilities::ranges`] says so.
    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download>;

    /// Makes an image, with data if an upload comes with it, and shows it.
    ///
    /// Without data the image is `queued`, with data `active`. Sizes and hashes are the service's own findings.
    /// If anything fails, also the upload, there is no image.
    ///
    /// # Errors
    /// `AlreadyExists` if the id is or ever was in use, and the image that has it is untouched. `Forbidden` if
    /// the caller may not make images of this owner. `Invalid` if data comes and a format is unset. `Incomplete`
    /// if the upload breaks off or is not of its announced size. `TooLarge` beyond a quota. `NotImplemented` in
    /// a store without writes, and of data in one without [`Capabilities::uploads`].
    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image>;

    /// Changes an image, gives it data if an upload comes with it, and shows it.
    ///
    /// All of the change is made or none. An empty change without data leaves even `updated_at` as it was. Data
    /// goes to a queued image with both formats set, after the change has been applied; while it is on its way
    /// the image is `saving`, and if it does not arrive whole the image is `queued` again, without size or
    /// hashes, and can be uploaded to anew.
    ///
    /// # Errors
    /// `NotFound` if the caller may not see the image, `Forbidden` if it sees but does not own it, or the change
    /// is one of those that [`ImageChange::apply_to`] forbids. `Conflict` if data comes and the image is not
    /// queued. `Invalid`, `Incomplete`, `TooLarge` and `NotImplemented` as in [`create`](Self::create).
    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image>;

    /// Deletes an image and its data, in whatever status.
    ///
    /// Its id is not used again. An upload under way fails.
    ///
    /// # Errors
    /// `NotFound` if the caller may not see the image; `Forbidden` if it is protected, or not the caller's.
    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()>;

    /// The power to share images with other projects, if this service has it.
    fn sharing(&self) -> Option<&dyn Sharing>;

    /// The power to keep images in several named stores, if this service has it.
    fn stores(&self) -> Option<&dyn Stores>;

    /// The power to keep images whose data lies at URLs, if this service has it.
    fn locations(&self) -> Option<&dyn Locations>;
}
