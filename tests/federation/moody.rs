//! A service whose mood changes while it is being asked.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload,
};
use tokio::sync::Semaphore;

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    Well,
    /// It is down.
    Fails(ErrorKind),
    /// It is down for so many calls more, and well then.
    FailsFor(usize, ErrorKind),
    /// It is up and refuses.
    Refuses(ErrorKind),
    /// It is well, and every call takes so long.
    Takes(Duration),
    /// It never answers.
    Hangs,
    /// Of image data it gives the first byte and no more.
    Stalls,
}

/// A service and its mood.
#[derive(Debug)]
pub(crate) struct Moody {
    inner: Arc<dyn ImageService>,
    mood: Mutex<Mood>,
    asked: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    /// One for each call that came.
    arrived: Semaphore,
    /// One for each call that was dropped before its end, and for each stream that would have stalled for ever.
    dropped: Arc<Semaphore>,
}

/// Tells that it is gone.
struct Gone(Arc<Semaphore>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// A call under way.
struct Under<'a>(&'a Moody, bool);

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        if !self.1 {
            self.0.dropped.add_permits(1);
        }
    }
}

impl Moody {
    pub(crate) fn new(inner: Arc<dyn ImageService>, mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            inner,
            mood: Mutex::new(mood),
            asked: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            arrived: Semaphore::new(0),
            dropped: Arc::new(Semaphore::new(0)),
        })
    }

    pub(crate) fn is_now(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// How many calls have come since this was last asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }

    /// How many calls were under way at once at most.
    pub(crate) fn most_under_way(&self) -> usize {
        self.most_under_way.load(Ordering::SeqCst)
    }

    /// Waits until a call has come.
    pub(crate) async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Waits until a call, or a stream that stalls, has been dropped.
    pub(crate) async fn dropped(&self) {
        self.dropped.acquire().await.unwrap().forget();
    }

    async fn bear(&self) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.arrived.add_permits(1);
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        let mut under = Under(self, false);
        let mood = {
            let mut mood = self.mood.lock().unwrap();
            let now = *mood;
            match now {
                Mood::FailsFor(0, _) => *mood = Mood::Well,
                Mood::FailsFor(left, kind) => *mood = Mood::FailsFor(left - 1, kind),
                _ => {}
            }
            now
        };
        match mood {
            Mood::Takes(time) => tokio::time::sleep(time).await,
            Mood::Hangs => std::future::pending().await,
            _ => {}
        }
        under.1 = true;
        match mood {
            Mood::Fails(kind) => Err(Error::new(kind, "it is down")),
            Mood::FailsFor(left, kind) if left > 0 => Err(Error::new(kind, "it is down")),
            Mood::Refuses(kind) => Err(Error::new(kind, "it does not want to").answered()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ImageService for Moody {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    /// In no mood, for this is what the federation asks aside, to count ids.
    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.inner.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.bear().await?;
        self.inner.detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.bear().await?;
        self.inner.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.bear().await?;
        let mut download = self.inner.get(context, id, range).await?;
        if matches!(*self.mood.lock().unwrap(), Mood::Stalls)
            && let Some(data) = download.data.take()
        {
            let first = futures::stream::iter([Ok(Bytes::from_static(b"x"))]);
            let gone = Gone(Arc::clone(&self.dropped));
            let stalled = first.chain(futures::stream::pending());
            download.data = Some(data.map(|_| stalled.inspect(move |_| _ = &gone).boxed()));
        }
        Ok(download)
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.bear().await?;
        self.inner.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        self.bear().await?;
        self.inner.update(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.bear().await?;
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
