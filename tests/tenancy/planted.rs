//! Stores that break a rule of tenancy, each in one way: what the play must find.

use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    ByteRange, Caller, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId,
    ImageService, Locations, Member, MemberStatus, NewImage, Page, Query, Result, Sharing, Stores, Summary,
    Upload, Visibility,
};

/// The rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leak {
    /// None, to show that it is the leak that is found.
    None,
    /// Whoever knows the id is shown a private image.
    Shows,
    /// Whoever knows the id reads the data of a private image.
    Reads,
    /// Lists are what an administrator sees.
    Lists,
    /// Whoever sees an image may change it.
    Changes,
    /// Whoever sees an image may delete it.
    Deletes,
    /// What is hidden is forbidden, which tells that it is there.
    Tells,
    /// A member that is removed goes on seeing the image.
    Keeps,
    /// An owner may answer for the members of an image.
    Answers,
}

/// A store with a leak.
#[derive(Debug)]
pub(crate) struct Planted {
    pub(crate) inner: Arc<dyn ImageService>,
    pub(crate) leak: Leak,
}

fn as_administrator(context: &Context) -> Context {
    let mut context = context.clone();
    context.caller.roles.insert("admin".to_owned());
    context
}

impl Planted {
    /// The request as it is believed, where the leak is `leak`.
    fn believed(&self, context: &Context, leak: Leak) -> Context {
        if self.leak == leak { as_administrator(context) } else { context.clone() }
    }

    /// The request as it is believed of an image that is private, where the leak is `leak`.
    async fn believed_of(&self, context: &Context, id: &ImageId, leak: Leak) -> Context {
        let administrator = Context::new(Caller::administrator(), "req-leak");
        match self.inner.show(&administrator, id).await {
            Ok(image) if image.visibility == Visibility::Private => self.believed(context, leak),
            _ => context.clone(),
        }
    }

    /// The request as it is believed of an image that the caller sees.
    async fn believed_of_seen(&self, context: &Context, id: &ImageId, leak: Leak) -> Context {
        match self.inner.show(context, id).await {
            Ok(_) => self.believed(context, leak),
            Err(_) => context.clone(),
        }
    }

    fn power(&self) -> Result<&dyn Sharing> {
        self.inner.sharing().ok_or_else(|| Error::not_implemented("sharing"))
    }
}

#[async_trait]
impl ImageService for Planted {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.inner.index(&self.believed(context, Leak::Lists), query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.inner.detail(&self.believed(context, Leak::Lists), query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        let shown = self.inner.show(&self.believed_of(context, id, Leak::Shows).await, id).await;
        if self.leak == Leak::Tells && shown.is_err() {
            self.inner.show(&as_administrator(context), id).await?;
            return Err(Error::new(ErrorKind::Forbidden, "it is not yours"));
        }
        shown
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.inner.get(&self.believed_of(context, id, Leak::Reads).await, id, range).await
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
        self.inner.update(&self.believed_of_seen(context, id, Leak::Changes).await, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.inner.delete(&self.believed_of_seen(context, id, Leak::Deletes).await, id).await
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
impl Sharing for Planted {
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
        let context = self.believed_of_seen(context, id, Leak::Answers).await;
        self.power()?.set_member_status(&context, id, member, status).await
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        if self.leak == Leak::Keeps {
            return self.power()?.member(context, id, member).await.map(drop);
        }
        self.power()?.remove_member(context, id, member).await
    }
}
