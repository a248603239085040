//! Sharing images with other projects, by Glance's members.

use async_trait::async_trait;
use image_service::{Context, Error, ErrorKind, ImageId, Member, MemberStatus, Result, Sharing, Visibility};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

use super::{Glance, GlanceV2, tenancy, wire};
use crate::fault::Asked;
use crate::members::{may_answer, may_know, no_member, only_shared};
use crate::writes::lasting;

#[async_trait]
impl Sharing for GlanceV2 {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        let glance = &*self.glance;
        let (image, _) = tenancy::visible(glance, context, id).await?;
        only_shared(&image)?;
        let reply = glance.upstream.read(context, glance.image_url(id, &["members"])?).await?;
        if reply.status != StatusCode::OK {
            return Err(glance.refusal(Asked::Record, id.as_str(), &reply));
        }
        let (mut members, credentials) = (wire::members(&reply.body)?, glance.upstream.credentials());
        members.retain(|member| may_know(credentials, &context.caller, &image, &member.member_id));
        members.sort_unstable_by(|a, b| a.member_id.cmp(&b.member_id));
        Ok(members)
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let glance = &*self.glance;
        let (image, _) = tenancy::visible(glance, context, id).await?;
        let may_know = may_know(glance.upstream.credentials(), &context.caller, &image, member);
        if image.visibility != Visibility::Shared || !may_know {
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
                only_shared(&image)?;
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
                if glance.decides() {
                    may_answer(&context.caller, &image, &member)?;
                }
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
}

fn json(body: &Value) -> Option<(&'static str, Vec<u8>)> {
    Some(("application/json", body.to_string().into_bytes()))
}
