//! A service that fails in one chosen way, and is otherwise the one behind it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Every verb fails so.
    Fails(ErrorKind),
    /// `show` fails so, and nothing else.
    ShowFails(ErrorKind),
    /// `update` fails so, and nothing else.
    UpdateFails(ErrorKind),
    /// `show` panics.
    Panics,
    /// No read ever answers.
    Hangs,
    /// Downloads end in an error after their first bytes.
    BreaksOff,
    /// Before each update somebody else gives the image the name `other` and the property `other`.
    IsOvertaken,
    /// No page has more images than this, however many are asked for.
    GivesPagesOf(NonZeroUsize),
}

/// How many bytes come before a download breaks off: too many to wait in a buffer for more.
pub(crate) const FIRST: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Flawed {
    pub(crate) inner: Arc<dyn ImageService>,
    pub(crate) flaw: Flaw,
}

impl Flawed {
    async fn stumble(&self) -> Result<()> {
        match self.flaw {
            Flaw::Fails(kind) => Err(Error::new(kind, "told in our words")
                .with_source(Error::new(ErrorKind::Internal, "told in the words of upstream"))),
            Flaw::Hangs => std::future::pending().await,
            Flaw::ShowFails(_)
            | Flaw::UpdateFails(_)
            | Flaw::Panics
            | Flaw::BreaksOff
            | Flaw::IsOvertaken
            | Flaw::GivesPagesOf(_) => Ok(()),
        }
    }
}

#[async_trait]
impl ImageService for Flawed {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.stumble().await?;
        self.inner.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.stumble().await?;
        match self.flaw {
            Flaw::GivesPagesOf(most) => {
                let limit = Some(query.limit.map_or(most, |limit| limit.min(most)));
                self.inner.detail(context, &Query { limit, ..query.clone() }).await
            }
            _ => self.inner.detail(context, query).await,
        }
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        assert_ne!(self.flaw, Flaw::Panics, "this panic is part of a test");
        if let Flaw::ShowFails(kind) = self.flaw {
            return Err(Error::new(kind, "told in our words"));
        }
        self.stumble().await?;
        self.inner.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.stumble().await?;
        let mut download = self.inner.get(context, id, range).await?;
        if let Some(data) = download.data.take_if(|_| self.flaw == Flaw::BreaksOff) {
            let first = Bytes::from(vec![0; FIRST]);
            let broken = [Ok(first), Err(Error::new(ErrorKind::Corrupt, "broken"))];
            download.data = Some(data.map(|_| Box::pin(futures::stream::iter(broken))));
        }
        Ok(download)
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.stumble().await?;
        self.inner.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        if let Flaw::UpdateFails(kind) = self.flaw {
            return Err(Error::new(kind, "told in our words"));
        }
        self.stumble().await?;
        if self.flaw == Flaw::IsOvertaken {
            let properties = [("other".to_owned(), Some("other".to_owned()))].into();
            let name = Some(Some("other".to_owned()));
            let before = ImageChange { name, properties, ..ImageChange::default() };
            self.inner.update(context, id, before, None).await?;
        }
        self.inner.update(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.stumble().await?;
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
