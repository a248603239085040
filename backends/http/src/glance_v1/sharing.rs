//! Sharing images with other projects, by the server's members.
//!
//! The server knows that a project is a member, and no more: what a member has answered, and since when it is one, is
//! not asked and not kept. It lists what is shared with a project at once, which is what `accepted` means.

use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    Context, Error, ErrorKind, Image, ImageId, Member, MemberStatus, Result, Sharing, Visibility,
};
use reqwest::Method;
use url::Url;

use super::{Glance, GlanceV1, tenancy};
use crate::fault::Asked;
use crate::members::{may_answer, may_know, no_member, only_shared};
use crate::writes::lasting;

/// The body that makes a member. A server takes a member back that it once had only if something of it is said.
const NEW_MEMBER: &[u8] = br#"{"member": {"can_share": false}}"#;

#[async_trait]
impl Sharing for GlanceV1 {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        let glance = &*self.glance;
        let (image, _) = tenancy::visible(glance, context, id).await?;
        only_shared(&image)?;
        let mut members = tenancy::members(glance, context, id).await?;
        members.retain(|member| may_know(glance.upstream.credentials(), &context.caller, &image, member));
        members.sort_unstable();
        Ok(members.into_iter().map(|member| member_of(&image, member)).collect())
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let glance = &*self.glance;
        let (image, _) = tenancy::visible(glance, context, id).await?;
        glance.find_member(context, &image, member).await
    }

    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let (glance, context) = (Arc::clone(&self.glance), lasting(context));
        let (id, member) = (id.clone(), member.to_owned());
        self.writes
            .finish(|_| async move {
                let image = tenancy::changeable(&glance, &context, &id).await?;
                only_shared(&image)?;
                if tenancy::members(&glance, &context, &id).await?.contains(&member) {
                    return Err(Error::new(
                        ErrorKind::AlreadyExists,
                        format!("project {member} is a member of image {id} already"),
                    ));
                }
                let content = Some(("application/json", NEW_MEMBER.to_vec()));
                let url = glance.member_url(&id, &member)?;
                let reply = glance.upstream.write(&context, Method::PUT, url, content).await?;
                if !reply.status.is_success() {
                    return Err(glance.refusal(Asked::Make, id.as_str(), &reply));
                }
                Ok(member_of(&image, member))
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
        let glance = &*self.glance;
        let (image, _) = tenancy::visible(glance, context, id).await?;
        may_answer(&context.caller, &image, member)?;
        let found = glance.find_member(context, &image, member).await?;
        if status == MemberStatus::Accepted {
            return Ok(found);
        }
        Err(Error::not_implemented("a member's answer other than accepted"))
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        let (glance, context) = (Arc::clone(&self.glance), lasting(context));
        let (id, member) = (id.clone(), member.to_owned());
        self.writes
            .finish(|_| async move {
                let image = tenancy::changeable(&glance, &context, &id).await?;
                glance.find_member(&context, &image, &member).await?;
                let url = glance.member_url(&id, &member)?;
                let reply = glance.upstream.write(&context, Method::DELETE, url, None).await?;
                match reply.status {
                    status if status.is_success() => Ok(()),
                    reqwest::StatusCode::NOT_FOUND => Err(no_member(&id, &member)),
                    _ => Err(glance.refusal(Asked::Change, id.as_str(), &reply)),
                }
            })
            .await
    }
}

impl Glance {
    fn member_url(&self, id: &ImageId, member: &str) -> Result<Url> {
        self.image_url(id, &["members", member]).map_err(|_| no_member(id, member))
    }

    /// A member that the caller may know of.
    async fn find_member(&self, context: &Context, image: &Image, member: &str) -> Result<Member> {
        let is_shared = image.visibility == Visibility::Shared;
        if is_shared && may_know(self.upstream.credentials(), &context.caller, image, member) {
            let members = tenancy::members(self, context, &image.id).await?;
            if members.iter().any(|other| other == member) {
                return Ok(member_of(image, member.to_owned()));
            }
        }
        Err(no_member(&image.id, member))
    }
}

fn member_of(image: &Image, member: String) -> Member {
    Member {
        image_id: image.id.clone(),
        member_id: member,
        status: MemberStatus::Accepted,
        created_at: image.created_at,
        updated_at: image.created_at,
    }
}
