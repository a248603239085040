//! The dialect `compute-images`: the images that an OpenStack Compute service shows, metadata only.
//!
//! Nova has shown images since before there was an image service of its own, and shows them still, at `/v2.1/images`. It
//! tells name, times, status, size and properties, so that what there is can be seen in one list with all else; formats,
//! hashes, owner and visibility it does not tell. No microversion is asked for, for the newer ones have no images.
//!
//! * **Data** is not to be had: `get` is `NotImplemented`, as are all writes.
//! * **Who may see what** is Nova's to say. With the caller's token it shows what that caller may see, here as `private`,
//!   for of others it says nothing. With a credential of ours, or none, and an `owner`, that project is shown what the
//!   credential is shown, as its own and `private`, and nobody else is. Without an `owner` everyone is, as `public`: use a
//!   credential of a project that may see no more than everyone should.
//!   In any case it is not known what is hidden there, an id in use among it.
//! * **Lists** are newest first and can be gone on with only behind an image that is known, so that each page is read
//!   from the beginning, as far as needed. Any other order is made here, from the whole list, within `resort_limit`.
//! * **Status**: `UNKNOWN` is what Nova makes of all that it has no word for; here it is `deactivated`, the one such
//!   status that lasts.

mod wire;

use std::collections::BTreeMap;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Direction, Download, Error, Field, Filter, Image, ImageChange, ImageId,
    ImageService, Locations, NewImage, Page, Query, Result, Sharing, SortKey, Stores, Summary, Support,
    Upload, Visibility, access,
};
use reqwest::StatusCode;
use url::Url;

use crate::fault::{self, Asked, Credentials};
use crate::listing::{self, Bounds, Lister, Order};
use crate::options::Options;
use crate::upstream::{Reply, Upstream};
use wire::Tenancy;

/// No filter that is longer is asked for. Servers refuse lines of four thousand bytes.
const LONGEST_FILTER: usize = 800;

/// The order that Nova lists in.
const NEWEST_FIRST: Order = (SortKey::CreatedAt, Direction::Desc);

/// The images of a Nova service as a backend.
#[derive(Debug)]
pub struct ComputeImages {
    upstream: Upstream,
    bounds: Bounds,
    owner: Option<String>,
}

impl ComputeImages {
    /// Gets ready to talk to the Nova at `options.endpoint`. Asks nothing of it yet.
    ///
    /// # Errors
    /// `Invalid` if options contradict each other, or a file or variable that they name cannot be read.
    pub async fn open(options: Options) -> Result<Self> {
        let (upstream, bounds) = (Upstream::open(&options).await?, Bounds::of(&options));
        Ok(Self { upstream, bounds, owner: options.owner })
    }

    /// Whose all images are, as far as that is known, and what they are to others.
    fn tenancy(&self) -> Tenancy<'_> {
        let is_public = self.upstream.credentials() == Credentials::Service && self.owner.is_none();
        let visibility = if is_public { Visibility::Public } else { Visibility::Private };
        Tenancy { owner: self.owner.as_deref(), visibility }
    }

    fn list_url(&self) -> Result<Url> {
        self.upstream
            .url(&["images", "detail"])
            .ok_or_else(|| Error::invalid("the endpoint cannot have paths under it"))
    }

    fn refusal(&self, asked: Asked, what: &str, reply: &Reply) -> Error {
        fault::refusal(asked, self.upstream.credentials(), what, reply.status, &reply.body)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ImageService for ComputeImages {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ranges: Support::No,
            writes: Support::No,
            uploads: Support::No,
            most_per_page: Some(self.bounds.page_size),
            // Nova shows what the token may see, whoever is said to ask.
            believes_caller: Support::No,
            ..Capabilities::full()
        }
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        // Nova's shorter list has no times, by which lists are sorted.
        Ok(self.detail(context, query).await?.map(|image| Summary::from(&image)))
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        let caller = &context.caller;
        if self.owner.is_some() && !caller.is_admin() && !caller.owns(self.owner.as_deref()) {
            // All of it would be read to find nothing.
            query.check()?;
            return Ok(query.page_of(std::iter::empty()));
        }
        listing::page(self, self.bounds, context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        let url = self.upstream.url(&["images", id.as_str()]).ok_or_else(|| Error::not_found(id))?;
        let reply = self.upstream.read(context, url).await?;
        if reply.status != StatusCode::OK {
            return Err(self.refusal(Asked::Record, id.as_str(), &reply));
        }
        let image = wire::image(&reply.body, self.tenancy())?;
        // Some databases find ids without regard to case. Here it is significant.
        image
            .filter(|image| image.id == *id && access::may_see(&context.caller, image, None))
            .ok_or_else(|| Error::not_found(id))
    }

    async fn get(&self, context: &Context, id: &ImageId, _: Option<ByteRange>) -> Result<Download> {
        self.show(context, id).await?;
        Err(Error::not_implemented("reading the data of an image that a compute service shows"))
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

#[async_trait]
impl Lister for ComputeImages {
    fn steady(&self) -> Order {
        NEWEST_FIRST
    }

    fn lists_by(&self, order: Order) -> bool {
        order == NEWEST_FIRST
    }

    async fn ask(
        &self,
        context: &Context,
        query: &Query,
        _: Order,
        limit: usize,
        marker: Option<&ImageId>,
    ) -> Result<Option<Vec<Image>>> {
        let mut url = self.list_url()?;
        let count = limit.to_string();
        url.query_pairs_mut()
            .append_pair("limit", &count)
            // Nova asks the image service for pages of twenty, unless it is told otherwise.
            .append_pair("page_size", &count)
            .extend_pairs(filters(query))
            .extend_pairs(marker.map(|marker| ("marker", marker.as_str())));
        let reply = self.upstream.read(context, url).await?;
        match reply.status {
            StatusCode::OK => wire::images(&reply.body, self.tenancy()).map(Some),
            // Without a marker the same request was understood, or will be.
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND if marker.is_some() => Ok(None),
            _ => Err(self.refusal(Asked::List, "the list", &reply)),
        }
    }

    /// Nova can leave images out of a page that is short for it, so that only an empty one is surely the last.
    fn is_last(&self, count: usize, _: usize) -> bool {
        count == 0
    }

    async fn listed(&self, context: &Context, query: &Query, mut images: Vec<Image>) -> Result<Vec<Image>> {
        images.retain(|image| access::is_listed(&context.caller, image, None, query.scope));
        Ok(images)
    }
}

/// The parameters that ask for what the query admits, and for no less. Nova hands them on to the image service, which
/// reads operators in a text with a colon, a comma or a quote, and properties of some names Nova itself mistakes for
/// others: so a plain name is all that is asked for.
fn filters(query: &Query) -> BTreeMap<&'static str, String> {
    let name = query.filters.iter().find_map(|filter| match filter {
        Filter::Text { field: Field::Name, any_of } => any_of.first().filter(|_| any_of.len() == 1),
        _ => None,
    });
    let is_plain = |name: &&String| {
        let is_safe = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-');
        !name.is_empty() && name.trim() == *name && name.len() <= LONGEST_FILTER && name.chars().all(is_safe)
    };
    name.filter(is_plain).map(|name| ("name", name.clone())).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_nobody_reads_as_something_else_is_asked_for() {
        let asked = |filter| filters(&Query { filters: vec![filter], ..Query::default() }).remove("name");
        assert_eq!(asked(Filter::text(Field::Name, "Debian 12.5")).as_deref(), Some("Debian 12.5"));
        for name in ["", "in:a,b", "\"a\"", " a", "a&b"] {
            assert_eq!(asked(Filter::text(Field::Name, name)), None, "{name}");
        }
        assert_eq!(asked(Filter::Text { field: Field::Name, any_of: vec!["a".into(), "b".into()] }), None);
        assert_eq!(asked(Filter::Property { key: "os_distro".into(), value: "debian".into() }), None);
    }
}
