//! The dialect `glance-v2`: the OpenStack Image API v2, as real Glance services speak it.
//!
//! Lists come in the contract's total order although Glance's differs (`ordered`), from pages of any size and
//! with or without links (`walk`). Data streams through with flat memory, both ways. Writes, once begun, are
//! finished by tasks of their own, so that a caller who goes away leaves nothing half done.
//!
//! As a `none`, `token` or `keystone` service Glance takes everyone for an administrator, and tenancy is enforced here
//! (`tenancy`). A service token that is less than an administrator's works, and hides from everybody here what
//! it may not see there. With `caller` Glance sees the caller's own token and decides by itself.
//!
//! What Glance cannot hold is refused: a property named like one of its own attributes, or under its reserved
//! `os_glance_`, is `Invalid`.

mod collation;
mod download;
mod json;
mod list;
mod meanwhile;
mod ordered;
mod params;
mod patch;
mod place;
mod sharing;
mod tenancy;
mod upload;
mod walk;
mod wire;
mod write;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, Image, ImageChange, ImageId, ImageService, Locations,
    NewImage, Page, Query, Result, Sharing, Status, Stores, Summary, Support, Upload,
};
use reqwest::StatusCode;
use url::Url;

use crate::fault::{self, Asked, Credentials};
use crate::options::Options;
use crate::upstream::{Reply, Upstream};
use crate::writes::{Writes, lasting};

/// A Glance service as a backend.
#[derive(Debug)]
pub struct GlanceV2 {
    glance: Arc<Glance>,
    writes: Writes,
}

impl GlanceV2 {
    /// Gets ready to talk to the Glance at `options.endpoint`. Asks nothing of it yet.
    ///
    /// # Errors
    /// `Invalid` if options contradict each other, or a file or variable that they name cannot be read.
    pub async fn open(name: &str, options: Options) -> Result<Self> {
        let glance = Glance {
            name: name.to_owned(),
            upstream: Upstream::open(&options).await?,
            next_habit: walk::NextHabit::default(),
            collation: collation::Collation::new(options.text_order),
            meanwhile: meanwhile::Meanwhile::default(),
            bounds: Bounds {
                page_size: options.page_size,
                max_pages: options.max_pages,
                resort_limit: options.resort_limit,
                membership_width: options.membership_width,
                skip_limit: options.skip_limit.as_u64(),
                idle_timeout: options.idle_timeout,
                settle_timeout: options.settle_timeout,
            },
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
impl ImageService for GlanceV2 {
    fn capabilities(&self) -> Capabilities {
        let believes_caller = if self.glance.decides() { Support::Yes } else { Support::No };
        let most_per_page = Some(self.glance.bounds.page_size);
        Capabilities { most_per_page, believes_caller, ..Capabilities::full() }
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        // Glance has no shorter list.
        Ok(self.detail(context, query).await?.map(|image| Summary::from(&image)))
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        list::page(&self.glance, context, query).await
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
    next_habit: walk::NextHabit,
    collation: collation::Collation,
    meanwhile: meanwhile::Meanwhile,
    bounds: Bounds,
}

/// Bounds that are no business of the connection. Their defaults are with [`Options`].
#[derive(Debug)]
struct Bounds {
    page_size: NonZeroUsize,
    max_pages: NonZeroUsize,
    resort_limit: NonZeroUsize,
    membership_width: NonZeroUsize,
    skip_limit: u64,
    idle_timeout: Duration,
    settle_timeout: Duration,
}

impl Glance {
    /// Whether tenancy is enforced here, and not by the server.
    fn decides(&self) -> bool {
        self.upstream.credentials() == Credentials::Service
    }

    /// The URL of the list of images.
    fn images_url(&self) -> Result<Url> {
        self.upstream
            .url(&["v2", "images"])
            .ok_or_else(|| Error::invalid("the endpoint cannot have paths under it"))
    }

    /// The URL of an image, or of something about it. `NotFound` if there can be none.
    fn image_url(&self, id: &ImageId, about: &[&str]) -> Result<Url> {
        let segments = [&["v2", "images", id.as_str()], about].concat();
        self.upstream.url(&segments).ok_or_else(|| Error::not_found(id))
    }

    /// The image as the server has it, whoever may see it.
    async fn fetch(&self, context: &Context, id: &ImageId) -> Result<Image> {
        let reply = self.upstream.read(context, self.image_url(id, &[])?).await?;
        if reply.status != StatusCode::OK {
            return Err(self.refusal(Asked::Record, id.as_str(), &reply));
        }
        let image = wire::image(&reply.body)?;
        // Some databases find ids without regard to case. Here it is significant. And for a moment Glance shows
        // images that it has just deleted.
        if image.id == *id && image.status != Status::Deleted { Ok(image) } else { Err(Error::not_found(id)) }
    }

    /// The error that an answer without success stands for.
    fn refusal(&self, asked: Asked, what: &str, reply: &Reply) -> Error {
        fault::refusal(asked, self.upstream.credentials(), what, reply.status, &reply.body)
    }
}
