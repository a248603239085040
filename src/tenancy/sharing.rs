//! Members of images of a store behind a ceiling.
//!
//! Above the ceiling an image has no members, though it may be shown as shared: the store knows of none until it is
//! shared there. Below it members are the store's, by their names here.

use async_trait::async_trait;
use image_service::{
    Context, Error, ErrorKind, Image, ImageId, Member, MemberStatus, Result, Sharing, Visibility, access,
};

use super::Tenancy;

/// Where a member of an image is to be looked for.
enum Place {
    /// In the store, by this name.
    Behind(String),
    /// It is none, of the image as it is shown here.
    Nowhere(Box<Image>),
}

impl Tenancy {
    fn power(&self) -> Result<&dyn Sharing> {
        self.inner.sharing().ok_or_else(|| Error::not_implemented("sharing images"))
    }

    /// The image as it is shown here, if it lies above the ceiling so that it has no members.
    async fn above_ceiling(&self, behind: &Context, id: &ImageId) -> Result<Option<Image>> {
        if self.ceiling < Visibility::Shared {
            return Ok(None);
        }
        let image = self.visible(behind, id).await?;
        let is_above = image.visibility < self.ceiling;
        Ok(is_above.then(|| self.shown(image)))
    }

    async fn place(&self, behind: &Context, id: &ImageId, member: &str) -> Result<Place> {
        if let Some(image) = self.above_ceiling(behind, id).await? {
            return Ok(Place::Nowhere(Box::new(image)));
        }
        match self.names.of_project(member) {
            Some(theirs) => Ok(Place::Behind(theirs)),
            None => Ok(Place::Nowhere(Box::new(self.shown(self.visible(behind, id).await?)))),
        }
    }

    /// The same member by the name that it has here.
    fn member_here(&self, member: Member) -> Member {
        Member { member_id: self.names.shown(&member.member_id), ..member }
    }

    /// What the store says of a member, by the name that it has here.
    fn told(&self, answer: Result<Member>, id: &ImageId, member: &str) -> Result<Member> {
        answer.map(|member| self.member_here(member)).map_err(|error| in_our_words(error, id, member))
    }
}

#[async_trait]
impl Sharing for Tenancy {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        let behind = self.behind(context);
        match self.above_ceiling(&behind, id).await? {
            Some(image) if image.visibility == Visibility::Shared => Ok(Vec::new()),
            Some(_) => Err(only_shared()),
            None => {
                let members = self.power()?.members(&behind, id).await?;
                let mut members: Vec<Member> =
                    members.into_iter().map(|member| self.member_here(member)).collect();
                members.sort_unstable_by(|a, b| a.member_id.cmp(&b.member_id));
                Ok(members)
            }
        }
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let behind = self.behind(context);
        match self.place(&behind, id, member).await? {
            Place::Behind(theirs) => self.told(self.power()?.member(&behind, id, &theirs).await, id, member),
            Place::Nowhere(_) => Err(no_member(id, member)),
        }
    }

    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let behind = self.behind(context);
        let image = match self.place(&behind, id, member).await? {
            Place::Behind(theirs) => {
                return self.told(self.power()?.add_member(&behind, id, &theirs).await, id, member);
            }
            Place::Nowhere(image) => image,
        };
        access::may_change(&context.caller, &image, Some(MemberStatus::Accepted))?;
        self.named(member)?;
        if image.visibility != Visibility::Shared {
            return Err(only_shared());
        }
        Err(Error::forbidden(format!(
            "the image is wider than shared in store '{}': set its visibility before it gets members",
            self.store
        )))
    }

    async fn set_member_status(
        &self,
        context: &Context,
        id: &ImageId,
        member: &str,
        status: MemberStatus,
    ) -> Result<Member> {
        let behind = self.behind(context);
        let image = match self.place(&behind, id, member).await? {
            Place::Behind(theirs) => {
                let set = self.power()?.set_member_status(&behind, id, &theirs, status).await;
                return self.told(set, id, member);
            }
            Place::Nowhere(image) => image,
        };
        if !context.caller.is_admin() && context.caller.owns(image.owner.as_deref()) {
            return Err(Error::forbidden("an image's owner cannot answer for its members"));
        }
        Err(no_member(id, member))
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        let behind = self.behind(context);
        let image = match self.place(&behind, id, member).await? {
            Place::Behind(theirs) => {
                let removed = self.power()?.remove_member(&behind, id, &theirs).await;
                return removed.map_err(|error| in_our_words(error, id, member));
            }
            Place::Nowhere(image) => image,
        };
        access::may_change(&context.caller, &image, Some(MemberStatus::Accepted))?;
        Err(no_member(id, member))
    }
}

/// The store's error, which may name a member as it is called there.
fn in_our_words(error: Error, id: &ImageId, member: &str) -> Error {
    match error.kind() {
        ErrorKind::NotFound if error.message() != Error::not_found(id).message() => no_member(id, member),
        ErrorKind::AlreadyExists => {
            let message = format!("project {member} is a member of image {id} already");
            Error::new(ErrorKind::AlreadyExists, message).with_source(error)
        }
        _ => error,
    }
}

fn only_shared() -> Error {
    Error::forbidden("only shared images have members")
}

fn no_member(id: &ImageId, member: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("project {member} is not a member of image {id}"))
}
