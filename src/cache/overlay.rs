//! The images as clients see them: the service below, with data from the cache.
//!
//! What is changed through here is forgotten before the change is made, so that nobody is shown the image as it was, whatever
//! becomes of the change.

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Location, Locations, Member, MemberStatus, NewImage, NewLocation, Page, Query, Result, Sharing, Store,
    Stores, Summary, Upload,
};

use super::Cache;

/// The service below, with the cache in front of it.
#[derive(Debug, Clone)]
pub(super) struct Shown(pub(super) Cache);

impl Shown {
    fn below(&self) -> &dyn ImageService {
        self.0.service()
    }

    fn sharing_below(&self) -> Result<&dyn Sharing> {
        self.below().sharing().ok_or_else(|| Error::not_implemented("sharing"))
    }

    fn stores_below(&self) -> Result<&dyn Stores> {
        self.below().stores().ok_or_else(|| Error::not_implemented("keeping images in several stores"))
    }

    fn locations_below(&self) -> Result<&dyn Locations> {
        self.below().locations().ok_or_else(|| Error::not_implemented("a location"))
    }

    /// Does what changes an image. `image` says what the image is then, if the answer does.
    async fn change<T: Send>(
        &self,
        context: &Context,
        id: &ImageId,
        work: impl Future<Output = Result<T>> + Send,
        image: impl Fn(&T) -> Option<&Image> + Send,
    ) -> Result<T> {
        let cache = &self.0;
        let _writing = Writing::begin(cache, id);
        let written = cache.note_write(id);
        let known = cache.forget(id).await;
        let answer = work.await;
        let Some(mut known) = known else { return answer };
        let now = cache.now();
        let mut state = cache.state();
        // Another write has come between, so what this one says may be of the past.
        let latest = cache.written(id) == written;
        match &answer {
            Ok(done) if latest => {
                if let Some(image) = image(done) {
                    known.seen_by.clear();
                    state.memory.restore(known);
                    state.memory.shown(&context.caller, image, now);
                }
            }
            Err(error) if latest && !error.kind().is_silence() && error.kind() != ErrorKind::NotFound => {
                state.memory.restore_changed(known);
            }
            _ => {}
        }
        drop(state);
        answer
    }
}

/// A write under way, until this goes, also when nobody waits for its end any more.
struct Writing<'a> {
    cache: &'a Cache,
    id: &'a ImageId,
}

impl<'a> Writing<'a> {
    fn begin(cache: &'a Cache, id: &'a ImageId) -> Self {
        *cache.state().writing.entry(id.clone()).or_default() += 1;
        Self { cache, id }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        // Whoever has looked before or meanwhile may have seen the image as it was.
        self.cache.note_write(self.id);
        if let Some(count) = state.writing.get_mut(self.id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.writing.remove(self.id);
            }
        }
    }
}

#[async_trait]
impl ImageService for Shown {
    fn capabilities(&self) -> Capabilities {
        self.below().capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.below().index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.below().detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        Ok(self.0.look(context, id).await?.image)
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.0.read(context, id, range).await
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.below().create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        self.change(context, id, self.below().update(context, id, change, data), |image| Some(image)).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        let content = self.0.state().memory.get(id).map(|known| known.key.clone());
        let answer = self.change(context, id, self.below().delete(context, id), |()| None).await;
        let gone = match &answer {
            Ok(()) => true,
            Err(error) => error.is_of_deleted_image(),
        };
        if let Some(key) = content.filter(|_| gone) {
            self.0.orphan(&key).await;
        }
        answer
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        self.below().sharing().map(|_| self as &dyn Sharing)
    }

    fn stores(&self) -> Option<&dyn Stores> {
        self.below().stores().map(|_| self as &dyn Stores)
    }

    fn locations(&self) -> Option<&dyn Locations> {
        self.below().locations().map(|_| self as &dyn Locations)
    }
}

#[async_trait]
impl Sharing for Shown {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        self.sharing_below()?.members(context, id).await
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        self.sharing_below()?.member(context, id, member).await
    }

    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        self.sharing_below()?.add_member(context, id, member).await
    }

    async fn set_member_status(
        &self,
        context: &Context,
        id: &ImageId,
        member: &str,
        status: MemberStatus,
    ) -> Result<Member> {
        self.sharing_below()?.set_member_status(context, id, member, status).await
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        let answer = self.sharing_below()?.remove_member(context, id, member).await;
        // Also if it is not known what became of it, or if it was none already.
        let may_be_gone = |error: &Error| error.kind().is_silence() || error.kind() == ErrorKind::NotFound;
        if answer.as_ref().map_or_else(may_be_gone, |()| true) {
            self.0.note_write(id);
            self.0.state().memory.withdrawn(id, member);
            self.0.flush().await;
        }
        answer
    }
}

#[async_trait]
impl Locations for Shown {
    fn check(&self, url: &str) -> Result<()> {
        self.locations_below()?.check(url)
    }

    async fn of(&self, context: &Context, images: &[Image]) -> Result<Vec<Vec<Location>>> {
        self.locations_below()?.of(context, images).await
    }

    async fn prepare(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        self.change(context, id, self.locations_below()?.prepare(context, id, url), |image| Some(image)).await
    }

    async fn open(&self, context: &Context, image: &Image, url: &str) -> Result<Upload> {
        self.locations_below()?.open(context, image, url).await
    }

    async fn add(&self, context: &Context, id: &ImageId, new: NewLocation) -> Result<Image> {
        self.change(context, id, self.locations_below()?.add(context, id, new), |image| Some(image)).await
    }

    async fn arrange(&self, context: &Context, id: &ImageId, locations: Vec<Location>) -> Result<Image> {
        let work = self.locations_below()?.arrange(context, id, locations);
        self.change(context, id, work, |image| Some(image)).await
    }

    async fn remove(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        self.change(context, id, self.locations_below()?.remove(context, id, url), |image| Some(image)).await
    }
}

#[async_trait]
impl Stores for Shown {
    fn list(&self) -> Vec<Store> {
        self.below().stores().map(Stores::list).unwrap_or_default()
    }

    async fn remove_copy(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        self.change(context, id, self.stores_below()?.remove_copy(context, id, store), |()| None).await
    }

    async fn add_copy(&self, context: &Context, id: &ImageId, store: &str, data: Upload) -> Result<Image> {
        let work = self.stores_below()?.add_copy(context, id, store, data);
        self.change(context, id, work, |image| Some(image)).await
    }

    async fn withdraw_copy(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        self.change(context, id, self.stores_below()?.withdraw_copy(context, id, store), |()| None).await
    }

    async fn move_record(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        self.change(context, id, self.stores_below()?.move_record(context, id, store), |()| None).await
    }
}
