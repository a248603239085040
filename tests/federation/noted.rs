//! A service that notes what it is asked, and one that can be silenced.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Resume, Sharing, Stores, Summary, Upload,
};

/// A read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Index,
    Detail,
    Show,
    Get,
}

/// What a service was asked.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    asked: Mutex<Vec<Asked>>,
    resumes: Mutex<Vec<Option<Resume>>>,
}

impl Notes {
    pub(crate) fn count(&self, wanted: Asked) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| **asked == wanted).count()
    }

    /// What each `detail` had as its resume point.
    pub(crate) fn resumes(&self) -> Vec<Option<Resume>> {
        self.resumes.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.asked.lock().unwrap().clear();
        self.resumes.lock().unwrap().clear();
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }
}

/// Makes a service silent, or slow.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    silent: AtomicBool,
    /// How long the first list takes, and each behind it.
    slow: Mutex<Option<(Duration, Duration)>>,
    lists: AtomicUsize,
}

impl Switch {
    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// From now on one list takes so long, and each behind it so long.
    pub(crate) fn slow_down(&self, first: Duration, later: Duration) {
        self.lists.store(0, Ordering::SeqCst);
        *self.slow.lock().unwrap() = Some((first, later));
    }

    fn check(&self) -> Result<()> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "switched off"));
        }
        Ok(())
    }

    async fn list(&self) {
        let slow = *self.slow.lock().unwrap();
        if let Some((first, later)) = slow {
            let is_first = self.lists.fetch_add(1, Ordering::SeqCst) == 0;
            tokio::time::sleep(if is_first { first } else { later }).await;
        }
    }
}

#[derive(Debug)]
struct Noted {
    inner: Arc<dyn ImageService>,
    notes: Arc<Notes>,
    switch: Arc<Switch>,
}

pub(crate) fn noted(inner: Arc<dyn ImageService>) -> (Arc<Notes>, Arc<dyn ImageService>) {
    let notes = Arc::new(Notes::default());
    (Arc::clone(&notes), Arc::new(Noted { inner, notes, switch: Arc::default() }))
}

pub(crate) fn switched(inner: Arc<dyn ImageService>) -> (Arc<dyn ImageService>, Arc<Switch>) {
    let switch = Arc::new(Switch::default());
    (Arc::new(Noted { inner, notes: Arc::default(), switch: Arc::clone(&switch) }), switch)
}

#[async_trait]
impl ImageService for Noted {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.switch.check()?;
        self.notes.note(Asked::Index);
        self.inner.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.switch.check()?;
        self.switch.list().await;
        self.notes.note(Asked::Detail);
        self.notes.resumes.lock().unwrap().push(query.resume.clone());
        self.inner.detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.switch.check()?;
        self.notes.note(Asked::Show);
        self.inner.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.switch.check()?;
        self.notes.note(Asked::Get);
        self.inner.get(context, id, range).await
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.switch.check()?;
        self.inner.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        self.switch.check()?;
        self.inner.update(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.switch.check()?;
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
