//! The dialect `glance-v1`: the Images API v1, as Glance spoke it from 2011 to 2018.
//!
//! A record travels in headers, so that there is much that it cannot hold: tags, hidden images, visibilities but public
//! and shared, property names with capital letters or dashes, values with line breaks or blanks around them. On a write
//! all that is `Invalid`, and never another value than was asked for. What another API has put into such an image is
//! shown as the headers have it: property names in small letters, and nothing of what they leave out. There is no
//! strong hash, and no deactivation.
//!
//! * **Lists** come by time or by id as the server has them; any other order is made here, from the whole list.
//! * **Data** has no ranges. A part of it is read from the start, and `skip_limit` says how much may be in vain.
//! * **An upload that breaks off** takes its image to `killed` in the server, which has no way back to `queued`: such an
//!   image can only be deleted. An image that was to be made with that data is deleted at once.
//! * **Members** see an image at once and in every list: the API knows no answer of theirs, so each is `accepted`, with
//!   the times of the image. An answer other than that is `NotImplemented`.
//! * **Properties** stay when others are changed. To remove one, all that are to stay are sent, and the server is told to
//!   drop the rest: what somebody else adds in that moment is lost. So none can be removed (`Invalid`) from an image that
//!   has one which headers do not bring back as it is. That is asked for first, by a write that changes nothing but `updated_at`.
//!
//! As a `none`, `token` or `keystone` service the server takes everyone for an administrator, and tenancy is enforced
//! here (`tenancy`). With `caller` it sees the caller's own token and decides by itself. Ids are UUIDs, as they are since
//! 2012; a server with numbers for ids is not understood.

mod download;
mod list;
mod meta;
mod sharing;
mod tenancy;
mod wire;
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, Image, ImageChange, ImageId, ImageService, Locations,
    NewImage, Page, Query, Result, Sharing, Status, Stores, Summary, Support, Upload,
};
use reqwest::StatusCode;
use url::Url;

use crate::fault::{self, Asked, Credentials};
use crate::listing;
use crate::options::Options;
use crate::upstream::{Reply, Upstream};
use crate::writes::{Writes, lasting};

/// A Glance service of that time as a backend.
#[derive(Debug)]
pub struct GlanceV1 {
    glance: Arc<Glance>,
    writes: Writes,
}

impl GlanceV1 {
    /// Gets ready to talk to the Glance at `options.endpoint`. Asks nothing of it yet.
    ///
    /// # Errors
    /// `Invalid` if options contradict each other, or a file or variable that they name cannot be read.
    pub async fn open(name: &str, options: Options) -> Result<Self> {
        let glance = Glance {
            name: name.to_owned(),
            upstream: Upstream::open(&options).await?,
            largest_page: AtomicUsize::new(0),
            bounds: listing::Bounds::of(&options),
            skip_limit: options.skip_limit.as_u64(),
            idle_timeout: options.idle_timeout,
            settle_timeout: options.settle_timeout,
        };
        Ok(Self { glance: Arc::new(glance), writes: Writes::default() })
    }

    /// Waits until every write that has begun is finished, also those whose callers have gone. To be called when
    /// no more requests come.
    pub async fn drain(&self) {
        self.writes.drain().await;
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ImageService for GlanceV1 {
    fn capabilities(&self) -> Capabilities {
        let believes_caller = if self.glance.decides() { Support::Yes } else { Support::No };
        let most_per_page = Some(self.glance.bounds.page_size);
        Capabilities { drafts: Support::No, most_per_page, believes_caller, ..Capabilities::full() }
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        // The server's shorter list has no times, by which lists are sorted.
        Ok(self.detail(context, query).await?.map(|image| Summary::from(&image)))
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        listing::page(&*self.glance, self.glance.bounds, context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        Ok(tenancy::visible(&self.glance, context, id).await?.0)
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        download::open(&self.glance, context, id, range).await
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        let (glance, context) = (Arc::clone(&self.glance), lasting(context));
        self.writes.finish(|gone| write::create(glance, context, image, data, gone)).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        let (glance, context, id) = (Arc::clone(&self.glance), lasting(context), id.clone());
        self.writes.finish(|gone| write::update(glance, context, id, change, data, gone)).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        let (glance, context, id) = (Arc::clone(&self.glance), lasting(context), id.clone());
        self.writes.finish(|_| write::delete(glance, context, id)).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        Some(self)
    }

    fn stores(&self) -> Option<&dyn Stores> {
        None
    }

    fn locations(&self) -> Option<&dyn Locations> {
        None
    }
}

/// What all requests share.
#[derive(Debug)]
struct Glance {
    /// What the backend is called, for the operator's logs.
    name: String,
    upstream: Upstream,
    /// The most images that the server has given in one page so far.
    largest_page: AtomicUsize,
    bounds: listing::Bounds,
    // Their defaults are with [`Options`].
    skip_limit: u64,
    idle_timeout: Duration,
    settle_timeout: Duration,
}

impl Glance {
    /// Whether tenancy is enforced here, and not by the server.
    fn decides(&self) -> bool {
        self.upstream.credentials() == Credentials::Service
    }

    /// The URL of the list of images, or of something else that has no id.
    fn url(&self, segments: &[&str]) -> Result<Url> {
        self.upstream
            .url(&[&["v1"], segments].concat())
            .ok_or_else(|| Error::invalid("the endpoint cannot have such a path under it"))
    }

    /// The URL of an image, or of something about it. `NotFound` if there can be none.
    fn image_url(&self, id: &ImageId, about: &[&str]) -> Result<Url> {
        let segments = [&["v1", "images", id.as_str()], about].concat();
        // Ids are ASCII, and servers fail on any other.
        let url = self.upstream.url(&segments).filter(|_| id.as_str().is_ascii());
        url.ok_or_else(|| Error::not_found(id))
    }

    /// The image as the server has it, whoever may see it.
    async fn fetch(&self, context: &Context, id: &ImageId) -> Result<Image> {
        let (status, headers) = self.upstream.head(context, self.image_url(id, &[])?).await?;
        if status != StatusCode::OK {
            let reply = Reply { status, body: bytes::Bytes::new() };
            return Err(self.refusal(Asked::Record, id.as_str(), &reply));
        }
        let image = wire::image_in_headers(&headers)?;
        // Some databases find ids without regard to case. Here it is significant.
        if image.id == *id && image.status != Status::Deleted { Ok(image) } else { Err(Error::not_found(id)) }
    }

    /// The error that an answer without success stands for.
    fn refusal(&self, asked: Asked, what: &str, reply: &Reply) -> Error {
        fault::refusal(asked, self.upstream.credentials(), what, reply.status, &reply.body)
    }
}
