//! A service far away: it counts what it is asked, and can be slow, silent, or wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload,
};
use tokio::sync::Semaphore;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Every answer is this error.
    Failing(ErrorKind),
    /// It never answers.
    Hanging,
    /// The last byte of data is another one.
    Corrupting,
    /// Data breaks off in its middle.
    Breaking,
}

#[derive(Debug)]
pub(crate) struct Upstream {
    inner: Arc<dyn ImageService>,
    mood: Mutex<Mood>,
    /// Data has a piece for each permit, if it is held.
    pieces: Option<Arc<Semaphore>>,
    /// Data that has been opened is given through here.
    gate: Semaphore,
    wholes: AtomicUsize,
    parts: AtomicUsize,
}

/// More than are ever asked for at once.
const OPEN: usize = 10_000;

/// How many bytes a piece has.
pub(crate) const PIECE: usize = 1000;

impl Upstream {
    pub(crate) fn new(inner: Arc<dyn ImageService>) -> Self {
        let (wholes, parts) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (mood, gate) = (Mutex::new(Mood::Well), Semaphore::new(OPEN));
        Self { inner, mood, pieces: None, gate, wholes, parts }
    }

    /// One whose data comes only when [`Upstream::give`] lets it.
    pub(crate) fn held(inner: Arc<dyn ImageService>) -> Self {
        Self { pieces: Some(Arc::new(Semaphore::new(0))), ..Self::new(inner) }
    }

    pub(crate) fn is_now(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Lets so many pieces of data come.
    pub(crate) fn give(&self, pieces: usize) {
        self.pieces.as_ref().unwrap().add_permits(pieces);
    }

    /// Lets no data be given, though it may be opened, until it [goes on](Upstream::goes_on).
    pub(crate) fn is_awaited(&self) {
        assert_eq!(self.gate.forget_permits(OPEN), OPEN);
    }

    pub(crate) fn goes_on(&self) {
        self.gate.add_permits(OPEN);
    }

    /// How often all of an image, and a part of one, was asked for.
    pub(crate) fn reads(&self) -> (usize, usize) {
        (self.wholes.load(Ordering::SeqCst), self.parts.load(Ordering::SeqCst))
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    async fn answers(&self) -> Result<()> {
        match self.mood() {
            Mood::Failing(kind) => Err(Error::new(kind, "the store is as it is")),
            Mood::Hanging => std::future::pending().await,
            Mood::Well | Mood::Corrupting | Mood::Breaking => Ok(()),
        }
    }
}

#[async_trait]
impl ImageService for Upstream {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.answers().await?;
        self.inner.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.answers().await?;
        self.inner.detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.answers().await?;
        self.inner.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.answers().await?;
        let mut download = self.inner.get(context, id, range).await?;
        if range.is_some() { &self.parts } else { &self.wholes }.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.acquire().await.unwrap());
        let Some(data) = download.data.take() else { return Ok(download) };
        let (range, total) = (data.range.clone(), data.total);
        let mut bytes: Vec<u8> = data
            .into_stream()
            .try_fold(Vec::new(), |mut all, piece| {
                all.extend_from_slice(&piece);
                std::future::ready(Ok(all))
            })
            .await?;
        if self.mood() == Mood::Corrupting {
            *bytes.last_mut().unwrap() ^= 1;
        }
        let mut pieces: Vec<Result<Bytes>> =
            bytes.chunks(PIECE).map(|piece| Ok(piece.to_vec().into())).collect();
        if self.mood() == Mood::Breaking {
            pieces.truncate(pieces.len() / 2);
            pieces.push(Err(Error::new(ErrorKind::Unavailable, "the store broke off")));
        }
        let held = self.pieces.clone();
        let stream = futures::stream::iter(pieces).then(move |piece| {
            let held = held.clone();
            async move {
                if let Some(held) = held {
                    held.acquire().await.unwrap().forget();
                }
                piece
            }
        });
        download.data = Some(image_service::Data::new(range, total, stream.boxed()));
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
        self.answers().await?;
        self.inner.update(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.answers().await?;
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
