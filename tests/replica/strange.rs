//! A service that does one thing otherwise.

use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, MultiHash, NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload,
};

/// What is strange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// It tells another hash of data that it has been given.
    OtherHash,
    /// It tells no hash at all.
    NoHash,
    /// Its lists break off behind the first page, and pages hold so many images.
    BreaksAfter(usize),
    /// Its lists come in the wrong order.
    Disorder,
    /// It takes back no id, also of an image that lives on elsewhere.
    NeverForgets,
    /// Downloads break off after the first piece.
    Dies,
}

#[derive(Debug)]
struct Strange {
    inner: Arc<dyn ImageService>,
    quirk: Quirk,
}

pub(crate) fn strange(inner: Arc<dyn ImageService>, quirk: Quirk) -> Arc<dyn ImageService> {
    Arc::new(Strange { inner, quirk })
}

impl Strange {
    fn shown(&self, image: Image) -> Image {
        match self.quirk {
            Quirk::OtherHash if image.has_data() => {
                let hash = Some(MultiHash { algorithm: "sha512".into(), value: "ab".repeat(64) });
                Image { hash, ..image }
            }
            Quirk::NoHash => Image { hash: None, checksum: None, ..image },
            _ => image,
        }
    }
}

#[async_trait]
impl ImageService for Strange {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.inner.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        let mut query = query.clone();
        if let Quirk::BreaksAfter(images) = self.quirk {
            if query.position.is_some() {
                return Err(Error::new(ErrorKind::Unavailable, "it has gone"));
            }
            query.limit = images.try_into().ok();
        }
        let mut page = self.inner.detail(context, &query).await?;
        if self.quirk == Quirk::Disorder {
            page.items.reverse();
        }
        Ok(page.map(|image| self.shown(image)))
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        Ok(self.shown(self.inner.show(context, id).await?))
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        use futures::StreamExt as _;
        let Download { image, data } = self.inner.get(context, id, range).await?;
        let dead = || futures::stream::iter([Err(Error::new(ErrorKind::Unavailable, "the line is dead"))]);
        let data = match self.quirk {
            Quirk::Dies => data.map(|data| data.map(|stream| stream.take(1).chain(dead()).boxed())),
            _ => data,
        };
        Ok(Download { image: self.shown(image), data })
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        let returning = image.returning && self.quirk != Quirk::NeverForgets;
        let image = NewImage { returning, ..image };
        Ok(self.shown(self.inner.create(context, image, data).await?))
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        Ok(self.shown(self.inner.update(context, id, change, data).await?))
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
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
