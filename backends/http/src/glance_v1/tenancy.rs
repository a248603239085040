//! Who may see what, where the server takes everybody for an administrator.
//!
//! With a service credential, or none, the server knows only us, and the rules of [`image_service::access`] are
//! applied here. With the caller's own token the server has applied its rules already.

use std::collections::HashSet;

use image_service::{Context, Image, ImageId, MemberStatus, Query, Result, access};
use reqwest::StatusCode;

use super::{Glance, wire};
use crate::fault::Asked;
use crate::members::retain_wanted;

/// Those of `images` that a list of the query shows to the caller, in the same order.
pub(super) async fn listed(
    glance: &Glance,
    context: &Context,
    query: &Query,
    mut images: Vec<Image>,
) -> Result<Vec<Image>> {
    let scope = query.scope;
    if !glance.decides() {
        retain_wanted(&mut images, scope);
        return Ok(images);
    }
    let caller = &context.caller;
    let shared = match &caller.project {
        Some(project) if images.iter().any(|image| access::hangs_on_membership(caller, image)) => {
            shared_with(glance, context, project).await?
        }
        _ => HashSet::new(),
    };
    images.retain(|image| {
        let membership = shared.contains(image.id.as_str()).then_some(MemberStatus::Accepted);
        access::is_listed(caller, image, membership, scope)
    });
    Ok(images)
}

/// The ids of the images that are shared with a project.
async fn shared_with(glance: &Glance, context: &Context, project: &str) -> Result<HashSet<String>> {
    // A project that no path can name has no member's rights either.
    let Ok(url) = glance.url(&["shared-images", project]) else { return Ok(HashSet::new()) };
    let reply = glance.upstream.read(context, url).await?;
    match reply.status {
        StatusCode::OK => Ok(wire::shared_images(&reply.body)?.into_iter().collect()),
        StatusCode::NOT_FOUND => Ok(HashSet::new()),
        _ => Err(glance.refusal(Asked::Record, project, &reply)),
    }
}

/// The projects that an image is shared with.
pub(super) async fn members(glance: &Glance, context: &Context, id: &ImageId) -> Result<Vec<String>> {
    let reply = glance.upstream.read(context, glance.image_url(id, &["members"])?).await?;
    match reply.status {
        StatusCode::OK => wire::members(&reply.body),
        _ => Err(glance.refusal(Asked::Record, id.as_str(), &reply)),
    }
}

/// An image that the caller may see, and its project's membership, if that matters.
pub(super) async fn visible(
    glance: &Glance,
    context: &Context,
    id: &ImageId,
) -> Result<(Image, Option<MemberStatus>)> {
    let image = glance.fetch(context, id).await?;
    if !glance.decides() {
        return Ok((image, None));
    }
    let caller = &context.caller;
    let membership = match &caller.project {
        Some(project) if access::hangs_on_membership(caller, &image) => {
            let members = members(glance, context, id).await?;
            members.contains(project).then_some(MemberStatus::Accepted)
        }
        _ => None,
    };
    if !access::may_see(caller, &image, membership) {
        return Err(image_service::Error::not_found(id));
    }
    Ok((image, membership))
}

/// An image that the caller may change.
pub(super) async fn changeable(glance: &Glance, context: &Context, id: &ImageId) -> Result<Image> {
    let (image, membership) = visible(glance, context, id).await?;
    if glance.decides() {
        access::may_change(&context.caller, &image, membership)?;
    }
    Ok(image)
}
