//! A store that can be made to say nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, Member, MemberStatus, NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload,
};

/// A store, and whether it answers.
#[derive(Debug)]
pub(crate) struct Switch {
    inner: Arc<dyn ImageService>,
    silent: AtomicBool,
}

impl Switch {
    pub(crate) fn on(inner: Arc<dyn ImageService>) -> Arc<Self> {
        Arc::new(Self { inner, silent: AtomicBool::new(false) })
    }

    pub(crate) fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    fn answering(&self) -> Result<&dyn ImageService> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Refused, "the connection was refused"));
        }
        Ok(self.inner.as_ref())
    }

    fn power(&self) -> Result<&dyn Sharing> {
        self.answering()?.sharing().ok_or_else(|| Error::not_implemented("sharing"))
    }
}

#[async_trait]
impl ImageService for Switch {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.answering()?.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.answering()?.detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.answering()?.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.answering()?.get(context, id, range).await
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.answering()?.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        self.answering()?.update(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.answering()?.delete(context, id).await
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

#[async_trait]
impl Sharing for Switch {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        self.power()?.members(context, id).await
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        self.power()?.member(context, id, member).await
    }

    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        self.power()?.add_member(context, id, member).await
    }

    async fn set_member_status(
        &self,
        context: &Context,
        id: &ImageId,
        member: &str,
        status: MemberStatus,
    ) -> Result<Member> {
        self.power()?.set_member_status(context, id, member, status).await
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        self.power()?.remove_member(context, id, member).await
    }
}
