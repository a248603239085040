//! Sharing images with other projects.

use async_trait::async_trait;
use image_service::{
    Caller, Context, Error, ErrorKind, Image, ImageId, Member, MemberStatus, Result, Sharing, Timestamp,
    Visibility,
};
use rusqlite::Connection;

use crate::fault::Fault;
use crate::jobs::{Jobs, Keeper};
use crate::members;
use crate::tenancy::{changeable, visible};

#[async_trait]
impl<S: Keeper> Sharing for Jobs<S> {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        let (caller, id) = (context.caller.clone(), id.clone());
        self.read(context, move |snapshot| {
            let (image, _) = visible(snapshot, &caller, &id)?;
            if image.visibility != Visibility::Shared {
                return Err(not_shared(&id).into());
            }
            match &caller.project {
                _ if is_master(&caller, &image) => members::members_of(snapshot, &id),
                Some(project) => Ok(members::find_member(snapshot, &id, project)?.into_iter().collect()),
                None => Ok(Vec::new()),
            }
        })
        .await
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let (caller, id, member) = (context.caller.clone(), id.clone(), member.to_owned());
        self.read(context, move |snapshot| {
            let (image, _) = visible(snapshot, &caller, &id)?;
            if !is_master(&caller, &image) && !caller.owns(Some(&member)) {
                return Err(no_member(&id, &member).into());
            }
            shown(snapshot, &image, &member)
        })
        .await
    }

    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let (caller, id, member) = (context.caller.clone(), id.clone(), member.to_owned());
        self.write(context, move |transaction| {
            let image = changeable(transaction, &caller, &id)?;
            if image.visibility != Visibility::Shared {
                return Err(not_shared(&id).into());
            }
            members::add_member(transaction, &id, &member, Timestamp::now())
        })
        .await
    }

    async fn set_member_status(
        &self,
        context: &Context,
        id: &ImageId,
        member: &str,
        status: MemberStatus,
    ) -> Result<Member> {
        let (caller, id, member) = (context.caller.clone(), id.clone(), member.to_owned());
        self.write(context, move |transaction| {
            let (image, _) = visible(transaction, &caller, &id)?;
            if !caller.is_admin() && caller.owns(image.owner.as_deref()) {
                return Err(Error::forbidden("only the member itself can answer for it").into());
            }
            if !caller.is_admin() && !caller.owns(Some(&member)) {
                return Err(no_member(&id, &member).into());
            }
            let mut member = shown(transaction, &image, &member)?;
            if member.status != status {
                member.status = status;
                member.updated_at = Timestamp::now().max(member.updated_at);
                members::set_member_status(transaction, &member)?;
            }
            Ok(member)
        })
        .await
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        let (caller, id, member) = (context.caller.clone(), id.clone(), member.to_owned());
        self.write(context, move |transaction| {
            let image = changeable(transaction, &caller, &id)?;
            shown(transaction, &image, &member)?;
            members::remove_member(transaction, &id, &member)
        })
        .await
    }
}

/// Whether the caller may know and decide who the members are.
fn is_master(caller: &Caller, image: &Image) -> bool {
    caller.is_admin() || caller.owns(image.owner.as_deref())
}

/// The member of an image that has members to show.
fn shown(connection: &Connection, image: &Image, member: &str) -> Result<Member, Fault> {
    if image.visibility != Visibility::Shared {
        return Err(no_member(&image.id, member).into());
    }
    members::find_member(connection, &image.id, member)?.ok_or_else(|| no_member(&image.id, member).into())
}

fn not_shared(id: &ImageId) -> Error {
    Error::forbidden(format!("only shared images have members, and image {id} is not shared"))
}

fn no_member(id: &ImageId, member: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("'{member}' is not a member of image {id}"))
}
