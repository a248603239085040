//! The dialect `directory`: files in a directory, as every distribution publishes images, behind any web server that
//! lists it.
//!
//! The listing is what nginx or Apache make of a directory, an HTML page of whatever look or nginx's JSON. Every file
//! in it whose name ends as one of an image does is one, and so is, if `depth` says so, every such file in the
//! directories below. Its hash comes from checksum files beside it: `SHA256SUMS`, `SHA512SUMS`, `MD5SUMS`, `CHECKSUM`
//! and what is called much like them, in the form of GNU's tools or of BSD's, or `name.sha512` and `name.sha256`, which
//! are asked for only if the others say nothing. Two that contradict each other make the catalogue refused. An image
//! without a SHA-256 or SHA-512 is left out, for nothing could be held to what it should be; `hashes = "optional"`
//! shows it without. With a keyring a checksum file counts if it was signed, in itself or by a file beside it,
//! and for the files that it names. The listing is signed by nobody: that there are no others, or newer ones, it cannot
//! show.
//!
//! # What an id means
//!
//! An id is derived from the path of a file and its hash. Other bytes under the same name, as under `latest`, are
//! another image: whoever goes by an id never gets other data than before. An image without a hash has an id of its
//! path alone, and changes in place.
//!
//! # Lists
//!
//! A page of HTML tells names and nothing exact. Sizes and times come from asking for the head of each file (`heads`),
//! so there is no `detail`: whoever lists makes it of `index`, which costs nothing, and `show` of what is on the page.
//! A list by name thus asks for a page's worth of files, and one by size or time for all of them that are not known
//! yet. JSON has exact sizes and times, and then `detail` is from memory like everything else. What can be sorted and filtered by is the
//! same in both cases, for it must not change: everything but sizes and times.
//!
//! A download is of the file that was listed: its tag, time and length must be the same, and else it is refused before
//! the first byte, and the file asked about anew.

mod download;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod heads;
mod name;
mod page;
mod reading;
mod sums;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, Field, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, SortKey, Stores, Summary, Support, Upload, access,
};

use crate::body::Limits;
use crate::published::{self, Catalogue, Item, Keeper, PublishedOptions, Trust};
use download::{Failure, Wanted};
use heads::{Head, Heads};
use reading::Reading;

/// What only the head of a file tells.
const MEASURED: &[Field] = &[Field::Size, Field::VirtualSize, Field::CreatedAt, Field::UpdatedAt];
const MEASURED_KEYS: &[SortKey] = &[SortKey::Size, SortKey::CreatedAt, SortKey::UpdatedAt];

/// A directory of files as a backend.
#[derive(Debug)]
pub(crate) struct Directory {
    keeper: Keeper<Reading>,
    heads: Heads,
    limits: Limits,
}

impl Directory {
    /// Gets ready to read the directory at `options.endpoint`, for the backend called `name`. Asks nothing of it yet.
    ///
    /// # Errors
    /// `Invalid` if options contradict each other, or a file that they name cannot be used.
    pub(crate) async fn open(name: &str, options: &PublishedOptions, trust: Trust) -> Result<Self> {
        options.check()?;
        let keeper = published::keeper(name, options, Reading::new(name, options, trust)).await?;
        Ok(Self { keeper, heads: Heads::new(published::ages(options)), limits: published::limits(options) })
    }

    /// What the server says of the file of `item`, and the image as it is by that.
    async fn measured(&self, catalogue: &Catalogue, item: &Item) -> Result<(Image, Head)> {
        if let Some(size) = item.image.size {
            return Ok((item.image.clone(), Head::listed(size, item.image.updated_at)));
        }
        let head = self.heads.of(self.keeper.source(), catalogue, item).await?;
        Ok((head.complete(item.image.clone())?, head))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ImageService for Directory {
    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities { writes: Support::No, uploads: Support::No, ..Capabilities::full() };
        can.filters.retain(|field| !MEASURED.contains(field));
        can.sort_keys.retain(|key| !MEASURED_KEYS.contains(key));
        can
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        let catalogue = self.keeper.current(context).await?;
        Ok(catalogue.page(&context.caller, query)?.map(Summary::from))
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        let catalogue = self.keeper.current(context).await?;
        if !catalogue.is_whole() {
            return Err(Error::not_implemented("listing images with all their attributes"));
        }
        Ok(catalogue.page(&context.caller, query)?.map(Image::clone))
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        let catalogue = self.keeper.current(context).await?;
        let item = catalogue.find(&context.caller, id)?;
        Ok(self.measured(&catalogue, item).await?.0)
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let catalogue = self.keeper.current(context).await?;
        let item = catalogue.find(&context.caller, id)?;
        access::may_read_data(&context.caller, &item.image, None)?;
        let (image, head) = self.measured(&catalogue, item).await?;
        let file = Wanted { image: &image, url: item.file.url.clone(), head: &head };
        match download::open(self.keeper.source(), self.limits, context, file, range).await {
            Ok(data) => Ok(Download { image, data: Some(data) }),
            Err(Failure::Changed(error)) => {
                self.heads.forget(id);
                Err(error)
            }
            Err(Failure::Other(error)) => Err(error),
        }
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
