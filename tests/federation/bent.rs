//! A service bent out of shape in one way, as real backends are.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, SortKey, Stores, Summary, Support, Upload,
};

/// What is bent.
#[derive(Debug)]
pub(crate) enum Bend {
    /// Pages hold at most this many images.
    ShortPages(usize),
    /// Pages hold one image, then two, and so on up to this many, and one again.
    RaggedPages(usize),
    /// It filters by nothing.
    NoFilters,
    /// It sorts by nothing: the last ids come first, and all images at once.
    NoOrder,
    /// There is no `detail`, no filter, and only the id to sort by.
    IndexOnly,
    /// Downloads start at the beginning or not at all.
    NoRanges,
    /// Every read takes this long.
    Slow(Duration),
    /// Every read but the first this many never ends.
    HangsAfter(usize),
    /// Every call fails so.
    Dead(ErrorKind),
    /// New images are put into these stores in turn.
    Spread(Vec<String>),
    /// It takes no writes.
    ReadOnly,
    /// It goes by the caller's token, which is that of an ordinary member unless the caller is one of no project.
    ByToken,
    /// Lists come in the order of the names without regard to case, whatever was asked.
    IgnoresCase,
}

/// A service and its bend.
#[derive(Debug)]
struct Bent {
    inner: Arc<dyn ImageService>,
    bend: Bend,
    turn: AtomicUsize,
}

/// Bends a service.
pub(crate) fn bent(inner: Arc<dyn ImageService>, bend: Bend) -> Arc<dyn ImageService> {
    Arc::new(Bent { inner, bend, turn: AtomicUsize::new(0) })
}

impl Bent {
    async fn bear(&self) -> Result<()> {
        match &self.bend {
            Bend::Slow(delay) => {
                tokio::time::sleep(*delay).await;
                Ok(())
            }
            Bend::HangsAfter(reads) if self.turn.fetch_add(1, Ordering::Relaxed) >= *reads => {
                std::future::pending().await
            }
            Bend::Dead(kind) => Err(Error::new(*kind, "this backend is dead")),
            _ => Ok(()),
        }
    }

    fn writable(&self) -> Result<()> {
        match &self.bend {
            Bend::Dead(kind) => Err(Error::new(*kind, "this backend is dead")),
            Bend::ReadOnly => Err(Error::not_implemented("writing")),
            _ => Ok(()),
        }
    }

    fn shortened(&self, query: &Query) -> Query {
        let mut query = query.clone();
        let most = match self.bend {
            Bend::ShortPages(most) => most,
            Bend::RaggedPages(most) => self.turn.fetch_add(1, Ordering::Relaxed) % most + 1,
            _ => return query,
        };
        let most = NonZeroUsize::new(most).unwrap();
        query.limit = Some(query.limit.map_or(most, |limit| limit.min(most)));
        query
    }
}

#[async_trait]
impl ImageService for Bent {
    fn capabilities(&self) -> Capabilities {
        let mut can = self.inner.capabilities();
        match self.bend {
            Bend::IndexOnly => {
                can.filters.clear();
                can.sort_keys.retain(|key| *key == SortKey::Id);
            }
            Bend::NoFilters => can.filters.clear(),
            Bend::NoOrder => can.sort_keys.clear(),
            Bend::NoRanges => can.ranges = Support::No,
            Bend::ReadOnly => can.writes = Support::No,
            Bend::ByToken => can.believes_caller = Support::No,
            _ => {}
        }
        can
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.bear().await?;
        self.inner.index(context, &self.shortened(query)).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.bear().await?;
        match self.bend {
            Bend::IndexOnly => Err(Error::not_implemented("detail")),
            Bend::IgnoresCase => {
                let all = Query { limit: None, ..query.clone() };
                let mut page = self.inner.detail(context, &all).await?;
                page.items.sort_by_key(|image| image.name.as_deref().map(str::to_lowercase));
                Ok(page)
            }
            Bend::NoOrder => {
                let all = Query { limit: None, ..query.clone() };
                let mut page = self.inner.detail(context, &all).await?;
                page.items.sort_by(|a, b| b.id.cmp(&a.id));
                Ok(page)
            }
            _ => self.inner.detail(context, &self.shortened(query)).await,
        }
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.bear().await?;
        let mut context = context.clone();
        if matches!(self.bend, Bend::ByToken) && context.caller.project.is_some() {
            context.caller.roles.remove("admin");
        }
        let context = &context;
        self.inner.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.bear().await?;
        if range.is_some() && matches!(self.bend, Bend::NoRanges) {
            return Err(Error::not_implemented("a range"));
        }
        self.inner.get(context, id, range).await
    }

    async fn create(&self, context: &Context, mut image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.writable()?;
        if let Bend::Spread(stores) = &self.bend
            && image.store.is_none()
        {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            image.store = Some(stores[turn % stores.len()].clone());
        }
        self.inner.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        self.writable()?;
        self.inner.update(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.writable()?;
        self.inner.delete(context, id).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        self.inner.sharing()
    }

    fn stores(&self) -> Option<&dyn Stores> {
        self.inner.stores()
    }

    fn locations(&self) -> Option<&dyn Locations> {
        self.inner.locations()
    }
}
