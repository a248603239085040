//! Sharing images with other projects, by Glance's members.

use async_trait::async_trait;
use image_service::{
    Context, Error, ErrorKind, Image, ImageId, Member, MemberStatus, Result, Sharing, Visibility,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

use super::{Glance, GlanceV2, tenancy, wire};
use crate::fault::Asked;
use crate::writes::lasting;

#[async_trait]
impl Sharing for GlanceV2 {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        let glance = &*self.glance;
        let (image, _) = tenancy::visible(glance, context, id).await?;
        if image.visibility != Visibility::Shared {
            return Err(only_shared());
        }
        let reply = glance.upstream.read(context, glance.image_url(id, &["members"])?).await?;
        if reply.status != StatusCode::OK {
            return Err(glance.refusal(Asked::Record, id.as_str(), &reply));
        }
        let mut members = wire::members(&reply.body)?;
        members.retain(|member| glance.may_know(context, &image, &member.member_id));
        members.sort_unstable_by(|a, b| a.member_id.cmp(&b.member_id));
        Ok(members)
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let glance = &*self.glance;
        let (image, _) = tenancy::visible(glance, context, id).await?;
        if image.visibility != Visibility::Shared || !glance.may_know(context, &image, member) {
            return Err(no_member(id, member));
        }
        let reply = glance.upstream.read(context, glance.member_url(id, member)?).await?;
        match reply.status {
            StatusCode::OK => wire::member(&reply.body),
            StatusCode::NOT_FOUND => Err(no_member(id, member)),
            _ => Err(glance.refusal(Asked::Record, id.as_str(), &reply)),
        }
    }

    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let (glance, context) = (Arc::clone(&self.glance), lasting(context));
        let (id, member) = (id.clone(), member.to_owned());
        self.writes
            .finish(|_| async move {
                let image = tenancy::changeable(&glance, &context, &id).await?;
                if image.visibility != Visibility::Shared {
                    return Err(only_shared());
                }
                let url = glance.image_url(&id, &["members"])?;
                let reply = glance
                    .upstream
                    .write(&context, Method::POST, url, json(&json!({"member": member})))
                    .await?;
                match reply.status {
                    StatusCode::OK | StatusCode::CREATED => wire::member(&reply.body),
                    StatusCode::CONFLICT => Err(Error::new(
                        ErrorKind::AlreadyExists,
                        format!("project {member} is a member of image {id} already"),
                    )),
                    _ => Err(glance.refusal(Asked::Make, id.as_str(), &reply)),
                }
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
        let (glance, context) = (Arc::clone(&self.glance), lasting(context));
        let (id, member) = (id.clone(), member.to_owned());
        self.writes
            .finish(move |_| async move {
                let (image, _) = tenancy::visible(&glance, &context, &id).await?;
                glance.may_answer(&context, &image, &member)?;
                let body = json(&json!({"status": status.as_str()}));
                let url = glance.member_url(&id, &member)?;
                let reply = glance.upstream.write(&context, Method::PUT, url, body).await?;
                match reply.status {
                    StatusCode::OK => wire::member(&reply.body),
                    StatusCode::NOT_FOUND => Err(no_member(&id, &member)),
                    _ => Err(glance.refusal(Asked::Change, id.as_str(), &reply)),
                }
            })
            .await
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        let (glance, context) = (Arc::clone(&self.glance), lasting(context));
        let (id, member) = (id.clone(), member.to_owned());
        self.writes
            .finish(|_| async move {
                let image = tenancy::changeable(&glance, &context, &id).await?;
                if image.visibility != Visibility::Shared {
                    return Err(no_member(&id, &member));
                }
                let url = glance.member_url(&id, &member)?;
                let reply = glance.upstream.write(&context, Method::DELETE, url, None).await?;
                match reply.status {
                    StatusCode::NO_CONTENT | StatusCode::OK => Ok(()),
                    StatusCode::NOT_FOUND => Err(no_member(&id, &member)),
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

    /// Whether the caller may know that `member` is one.
    fn may_know(&self, context: &Context, image: &Image, member: &str) -> bool {
        let caller = &context.caller;
        !self.decides()
            || caller.is_admin()
            || caller.owns(image.owner.as_deref())
            || caller.owns(Some(member))
    }

    /// Lets through a caller who may answer for `member`.
    fn may_answer(&self, context: &Context, image: &Image, member: &str) -> Result<()> {
        let caller = &context.caller;
        if !self.decides() {
            return Ok(());
        }
        if !caller.is_admin() && caller.owns(image.owner.as_deref()) {
            return Err(Error::forbidden("an image's owner cannot answer for its members"));
        }
        let is_theirs = caller.is_admin() || caller.owns(Some(member));
        if image.visibility == Visibility::Shared && is_theirs {
            return Ok(());
        }
        Err(no_member(&image.id, member))
    }
}

fn json(body: &Value) -> Option<(&'static str, Vec<u8>)> {
    Some(("application/json", body.to_string().into_bytes()))
}

fn only_shared() -> Error {
    Error::forbidden("only shared images have members")
}

fn no_member(id: &ImageId, member: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("project {member} is not a member of image {id}"))
}
