//! Published catalogues: sources whose whole catalogue is a few documents, fetched, verified, kept and served from
//! memory.
//!
//! All of their dialects are one service, [`Published`], which reads and nothing else. A [`Dialect`] says which
//! documents there are and what images they come to; how a catalogue is fetched (`documents`), kept (`keeper`), listed
//! (`catalogue`) and read from (`download`, `unpack`) is the same for all. A dialect may ask more of its source than
//! documents: all it needs is [`documents::Source`].
//!
//! A catalogue is taken whole or not at all. One that is malformed, not signed by whom it should be, or that names a
//! place outside of its source, is refused with all that is in it, and the last good one goes on for as long as it may.
//! The listing of a directory is no such naming: what in it leads elsewhere is passed over. Redirects are not followed,
//! to wherever.

mod catalogue;
mod clearsigned;
mod documents;
mod download;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod keeper;
mod keyring;
mod options;
mod origin;
mod path;
#[cfg(test)]
mod tests;
pub(crate) mod times;
mod trust;
mod unpack;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Support, Upload, access,
};

pub(crate) use catalogue::{Catalogue, File, Item, Packing};
pub(crate) use documents::{Document, Documents, Source, Wanted};
pub(crate) use keeper::{Ages, Keeper};
pub use options::{Hashes, PublishedDialect, PublishedOptions};
pub(crate) use origin::Origin;
pub(crate) use path::below;
pub(crate) use times::http_time;
pub(crate) use trust::{Trust, is_clearsigned};

use crate::body::Limits;
use crate::client::Client;

/// A number of things that are not shown, as the operator was last told it.
#[derive(Debug, Default)]
pub(crate) struct Told(AtomicUsize);

impl Told {
    /// Whether it is another number now. The next time it is told already.
    pub(crate) fn is_news(&self, number: usize) -> bool {
        self.0.swap(number, Ordering::Relaxed) != number
    }
}

/// What the documents of a source are, and what images they come to.
#[async_trait]
pub(crate) trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// What is read out of one document.
    type Document: Send + Sync + 'static;

    /// Whether a part of an image can be read by itself.
    fn ranges(&self) -> Support;

    /// Whose documents are taken.
    fn trust(&self) -> &Trust;

    /// All images of the source, by its documents as they are now.
    ///
    /// # Errors
    /// Silence, or why the catalogue is [`refused`].
    async fn items(&self, documents: &mut Documents<'_, Self::Document>) -> Result<Vec<Item>>;
}

/// The error for a catalogue that is not taken; `why` says what is wrong with it. Upstream text in it is for the
/// operator: it never is an answer by itself.
pub(crate) fn refused(why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("the catalogue is refused: {why}"))
}

/// A published catalogue as a backend.
pub(crate) struct Published<D: Dialect> {
    keeper: Keeper<D>,
    limits: Limits,
}

impl<D: Dialect> Published<D> {
    /// Gets ready to read the catalogue at `options.endpoint`. Asks nothing of it yet.
    ///
    /// # Errors
    /// `Invalid` if a file that the options name cannot be used.
    pub(crate) async fn open(name: &str, options: &PublishedOptions, dialect: D) -> Result<Self> {
        Ok(Self { keeper: keeper(name, options, dialect).await?, limits: limits(options) })
    }
}

/// Gets ready to keep the catalogue at `options.endpoint`, as `dialect` reads it. Asks nothing of it yet.
///
/// # Errors
/// `Invalid` if a file that the options name cannot be used.
pub(crate) async fn keeper<D: Dialect>(
    name: &str,
    options: &PublishedOptions,
    dialect: D,
) -> Result<Keeper<D>> {
    let source = Source {
        client: Client::make(options.connection()).await?,
        root: path::root(&options.endpoint),
        answer_timeout: options.answer_timeout,
        max_response: options.max_response.as_u64(),
    };
    Ok(Keeper::new(name, dialect, source, ages(options), options.max_images.get()))
}

/// How old may be what is kept.
pub(crate) const fn ages(options: &PublishedOptions) -> Ages {
    Ages { fresh: options.fresh, stale: options.stale, patience: options.patience }
}

/// What is put up with while data is read.
pub(crate) const fn limits(options: &PublishedOptions) -> Limits {
    Limits { skip: options.skip_limit.0, patience: options.idle_timeout }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<D: Dialect> ImageService for Published<D> {
    fn capabilities(&self) -> Capabilities {
        let ranges = self.keeper.dialect().ranges();
        Capabilities { ranges, writes: Support::No, uploads: Support::No, ..Capabilities::full() }
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        let catalogue = self.keeper.current(context).await?;
        Ok(catalogue.page(&context.caller, query)?.map(Summary::from))
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        let catalogue = self.keeper.current(context).await?;
        Ok(catalogue.page(&context.caller, query)?.map(Image::clone))
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        let catalogue = self.keeper.current(context).await?;
        Ok(catalogue.find(&context.caller, id)?.image.clone())
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let catalogue = self.keeper.current(context).await?;
        let item = catalogue.find(&context.caller, id)?;
        access::may_read_data(&context.caller, &item.image, None)?;
        if range.is_some() && !self.capabilities().ranges.is_yes() {
            return Err(Error::not_implemented("reading a part of an image"));
        }
        let image = item.image.clone();
        if !image.has_data() {
            return Ok(Download { image, data: None });
        }
        let data = download::open(self.keeper.source(), self.limits, context, item, range).await?;
        Ok(Download { image, data: Some(data) })
    }

    async fn create(&self, _: &Context, _: NewImage, _: Option<Upload>) -> Result<Image> {
        Err(Error::not_implemented("making an image"))
    }

    async fn update(&self, _: &Context, _: &ImageId, _: ImageChange, _: Option<Upload>) -> Result<Image> {
        Err(Error::not_implemented("changing an image"))
    }

    async fn delete(&self, _: &Context, _: &ImageId) -> Result<()> {
        Err(Error::not_implemented("deleting an image"))
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        None
    }

    fn stores(&self) -> Option<&dyn Stores> {
        None
    }

    fn locations(&self) -> Option<&dyn Locations> {
        None
    }
}

impl<D: Dialect> fmt::Debug for Published<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&self.keeper).finish()
    }
}
