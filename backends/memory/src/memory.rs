//! The verbs over the shelf.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use bytes::Bytes;
use image_service::{
    ByteRange, Capabilities, Context, Data, Download, Image, ImageChange, ImageId, ImageService, Locations,
    NewImage, Page, Query, Result, Sharing, Stores, Summary, Timestamp, Upload, access,
};

use crate::Options;
use crate::pieces::{Budget, Pieces};
use crate::saving::{Saving, Undo};
use crate::shelf::{Record, Shelf};

/// A store in memory that does everything the contract knows, but for named stores.
///
/// An image whose data comes with `create` is there while its data is on the way, as `saving`.
pub struct Memory {
    name: String,
    options: Options,
    shelf: RwLock<Shelf>,
    budget: Arc<Budget>,
}

impl Memory {
    /// An empty store within the bounds of `options`.
    pub fn new(name: impl Into<String>, options: Options) -> Self {
        let budget = Arc::new(Budget::new(options.max_bytes.as_u64()));
        Self { name: name.into(), options, shelf: RwLock::default(), budget }
    }

    /// Puts `image` in as it stands, with any id, times, status, size and hashes, in the place of an image that
    /// has its id, or had it. For fixtures: nothing is checked but the bounds, so an image can also claim what is
    /// not so.
    ///
    /// # Errors
    /// `TooLarge` beyond a bound.
    pub fn seed(&self, image: Image, data: Option<Bytes>) -> Result<()> {
        let data = data.map(|bytes| self.pieces().holding(&bytes)).transpose()?.map(Arc::new);
        self.write().put(Record::new(image, data), &self.options)
    }

    // No code that holds the lock can panic half way through a change, so a poisoned shelf is a sound one.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn pieces(&self) -> Pieces {
        Pieces::within(Arc::clone(&self.budget))
    }

    fn list<T>(&self, context: &Context, query: &Query, each: impl FnMut(&Image) -> T) -> Result<Page<T>> {
        query.check()?;
        let shelf = self.read();
        Ok(shelf.page(&context.caller, query).map(each))
    }

    async fn receive(&self, saving: Saving<'_>, upload: Upload) -> Result<Image> {
        let (data, digests) = self.pieces().receive(upload, || saving.check()).await?;
        saving.finish(data, digests)
    }

    /// Makes the change, and takes the image to `saving` if data is to follow: both or neither.
    fn change(&self, context: &Context, id: &ImageId, change: ImageChange, upload: Follows) -> Result<Image> {
        let mut shelf = self.write();
        let record = shelf.find_to_change(&context.caller, id)?;
        access::may_change(&context.caller, record.image(), record.membership(&context.caller))?;
        shelf.change(id, |image| {
            change.apply_to(image, &context.caller, Timestamp::now())?;
            if upload == Follows::Data {
                image.begin_upload(Timestamp::now())?;
            }
            Ok(())
        })
    }
}

/// What comes after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Data,
    Nothing,
}

#[async_trait]
impl ImageService for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities::full()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.list(context, query, |image| Summary::from(image))
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.list(context, query, Image::clone)
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        Ok(self.read().find(&context.caller, id)?.image().clone())
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let shelf = self.read();
        let record = shelf.find(&context.caller, id)?;
        access::may_read_data(&context.caller, record.image(), record.membership(&context.caller))?;
        let image = record.image().clone();
        let Some(pieces) = record.data().cloned().filter(|_| image.has_data()) else {
            return Ok(Download { image, data: None });
        };
        let total = pieces.len();
        let range = range.map_or(Ok(0..total), |range| range.within(total))?;
        let stream = pieces.stream(range.clone());
        Ok(Download { image, data: Some(Data::new(range, total, stream)) })
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        let now = Timestamp::now();
        let returning = image.returning && data.is_none();
        let mut image = image.into_image(&context.caller, now)?;
        if data.is_some() {
            image.begin_upload(now)?;
        }
        self.write().add(Record::new(image.clone(), None), returning, &self.options)?;
        let Some(upload) = data else { return Ok(image) };
        self.receive(Saving::new(self, image.id, Undo::Forget), upload).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        let Some(upload) = data else { return self.change(context, id, change, Follows::Nothing) };
        let image = self.change(context, id, change, Follows::Data)?;
        self.receive(Saving::new(self, image.id, Undo::Requeue), upload).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        let mut shelf = self.write();
        let record = shelf.find(&context.caller, id)?;
        access::may_delete(&context.caller, record.image(), record.membership(&context.caller))?;
        shelf.remove(id);
        Ok(())
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

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("name", &self.name)
            .field("images", &self.read().len())
            .field("bytes", &self.budget.held())
            .finish_non_exhaustive()
    }
}
