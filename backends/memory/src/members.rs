//! Sharing images with other projects.

use async_trait::async_trait;
use image_service::{
    Caller, Context, Error, ErrorKind, Image, ImageId, MOST_PER_IMAGE, Member, MemberStatus, Result, Sharing,
    Timestamp, Visibility, access,
};

use crate::Memory;

#[async_trait]
impl Sharing for Memory {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        let caller = &context.caller;
        let shelf = self.read();
        let record = shelf.find(caller, id)?;
        must_be_shared(record.image())?;
        Ok(record
            .members()
            .values()
            .filter(|member| may_know(caller, record.image(), member))
            .cloned()
            .collect())
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let caller = &context.caller;
        let shelf = self.read();
        let record = shelf.find(caller, id)?;
        record
            .members()
            .get(member)
            .filter(|member| is_shared(record.image()) && may_know(caller, record.image(), member))
            .cloned()
            .ok_or_else(|| no_member(id, member))
    }

    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let caller = &context.caller;
        let mut shelf = self.write();
        let record = shelf.find_to_change(caller, id)?;
        access::may_change(caller, record.image(), record.membership(caller))?;
        must_be_shared(record.image())?;
        if record.members().contains_key(member) {
            let message = format!("project {member} is a member of image {id} already");
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        if record.members().len() >= MOST_PER_IMAGE {
            let message = format!("the limit on members of an image is {MOST_PER_IMAGE}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let now = Timestamp::now();
        let added = Member {
            image_id: id.clone(),
            member_id: member.to_owned(),
            status: MemberStatus::Pending,
            created_at: now,
            updated_at: now,
        };
        shelf.members_mut(id)?.insert(member.to_owned(), added.clone());
        Ok(added)
    }

    async fn set_member_status(
        &self,
        context: &Context,
        id: &ImageId,
        member: &str,
        status: MemberStatus,
    ) -> Result<Member> {
        let caller = &context.caller;
        let mut shelf = self.write();
        let record = shelf.find_to_change(caller, id)?;
        if !caller.is_admin() && caller.owns(record.image().owner.as_deref()) {
            return Err(Error::forbidden("an image's owner cannot answer for its members"));
        }
        let shared = is_shared(record.image());
        let answered = shelf
            .members_mut(id)?
            .get_mut(member)
            .filter(|member| shared && (caller.is_admin() || caller.owns(Some(&member.member_id))))
            .ok_or_else(|| no_member(id, member))?;
        if answered.status != status {
            answered.status = status;
            answered.updated_at = Timestamp::now().max(answered.updated_at);
        }
        Ok(answered.clone())
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        let caller = &context.caller;
        let mut shelf = self.write();
        let record = shelf.find_to_change(caller, id)?;
        access::may_change(caller, record.image(), record.membership(caller))?;
        if !is_shared(record.image()) {
            return Err(no_member(id, member));
        }
        shelf.members_mut(id)?.remove(member).map(drop).ok_or_else(|| no_member(id, member))
    }
}

fn is_shared(image: &Image) -> bool {
    image.visibility == Visibility::Shared
}

fn must_be_shared(image: &Image) -> Result<()> {
    if is_shared(image) { Ok(()) } else { Err(Error::forbidden("only shared images have members")) }
}

/// Whether `caller` may know of this member of `image`.
fn may_know(caller: &Caller, image: &Image, member: &Member) -> bool {
    caller.is_admin() || caller.owns(image.owner.as_deref()) || caller.owns(Some(&member.member_id))
}

fn no_member(id: &ImageId, member: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("project {member} is not a member of image {id}"))
}
