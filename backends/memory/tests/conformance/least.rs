//! The least that still is an image service.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, Image, ImageChange, ImageId, ImageService, Locations,
    NewImage, Page, Query, Result, Sharing, SortKey, Stores, Summary, Support, Upload,
};
use portico_memory::Memory;

/// A view of a store that reads, sorts by age alone, and gives two images to a page. It panics when it is asked
/// for what it says it cannot do.
#[derive(Debug)]
pub(crate) struct Least {
    store: Arc<Memory>,
}

const PAGE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

impl Least {
    pub(crate) const fn new(store: Arc<Memory>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl ImageService for Least {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            filters: BTreeSet::new(),
            sort_keys: BTreeSet::from([SortKey::CreatedAt, SortKey::Id]),
            ranges: Support::No,
            writes: Support::No,
            uploads: Support::No,
            drafts: Support::No,
            most_per_page: Some(PAGE),
            believes_caller: Support::Yes,
        }
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        let can = self.capabilities();
        assert!(query.filters.is_empty(), "a filter was sent that this service does not know");
        for (key, _) in query.sort.keys() {
            assert!(can.sort_keys.contains(key), "a sort key was sent that this service does not know");
        }
        let limit = Some(query.limit.map_or(PAGE, |limit| limit.min(PAGE)));
        self.store.index(context, &Query { limit, ..query.clone() }).await
    }

    async fn detail(&self, _: &Context, _: &Query) -> Result<Page<Image>> {
        Err(Error::not_implemented("detail"))
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.store.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        if range.is_some() {
            return Err(Error::not_implemented("a range"));
        }
        self.store.get(context, id, None).await
    }

    async fn create(&self, _: &Context, _: NewImage, _: Option<Upload>) -> Result<Image> {
        Err(Error::not_implemented("create"))
    }

    async fn update(&self, _: &Context, _: &ImageId, _: ImageChange, _: Option<Upload>) -> Result<Image> {
        Err(Error::not_implemented("update"))
    }

    async fn delete(&self, _: &Context, _: &ImageId) -> Result<()> {
        Err(Error::not_implemented("delete"))
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
