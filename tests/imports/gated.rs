//! A store whose uploads may fail or stand still, and whose data may go bad.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload,
};
use tokio::sync::Semaphore;

/// What becomes of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It is taken and given.
    Open,
    /// None is taken.
    Refuses,
    /// None is taken, nor refused.
    Hangs,
    /// It is given with its first byte changed.
    Corrupts,
}

#[derive(Debug)]
pub(crate) struct Gated {
    inner: Arc<dyn ImageService>,
    gate: Mutex<Gate>,
    waiting: Semaphore,
}

impl Gated {
    pub(crate) fn new(inner: Arc<dyn ImageService>) -> Arc<Self> {
        Arc::new(Self { inner, gate: Mutex::new(Gate::Open), waiting: Semaphore::new(0) })
    }

    pub(crate) fn is_now(&self, gate: Gate) {
        *self.gate.lock().unwrap() = gate;
    }

    /// Waits until an upload stands still.
    pub(crate) async fn hangs(&self) {
        self.waiting.acquire().await.unwrap().forget();
    }

    fn gate(&self) -> Gate {
        *self.gate.lock().unwrap()
    }
}

#[async_trait]
impl ImageService for Gated {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.inner.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.inner.detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.inner.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let mut download = self.inner.get(context, id, range).await?;
        if let Some(data) = download.data.take_if(|_| self.gate() == Gate::Corrupts) {
            let spoil = |(number, piece): (usize, Result<Bytes>)| {
                let mut piece = piece?.to_vec();
                if let Some(first) = piece.first_mut().filter(|_| number == 0) {
                    *first ^= 1;
                }
                Ok(piece.into())
            };
            download.data = Some(data.map(|stream| stream.enumerate().map(spoil).boxed()));
        }
        Ok(download)
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.inner.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        match self.gate() {
            Gate::Refuses if data.is_some() => {
                Err(Error::new(ErrorKind::TooLarge, "the store is full").answered())
            }
            Gate::Hangs if data.is_some() => {
                self.waiting.add_permits(1);
                std::future::pending().await
            }
            _ => self.inner.update(context, id, change, data).await,
        }
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
