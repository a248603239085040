//! Who may see what, where the server takes everybody for an administrator.
//!
//! With a service credential, or none, the server knows only us, and the rules of [`image_service::access`] are
//! applied here. With the caller's own token the server has applied its rules already.

use futures::{StreamExt, TryStreamExt};
use image_service::{Context, Error, Image, ImageId, MemberStatus, Query, Result, Status, access};
use reqwest::StatusCode;

use super::{Glance, wire};
use crate::fault::{Asked, Credentials};
use crate::members::retain_wanted;

/// Those of `images` that a list of the query shows to the caller, in the same order.
pub(super) async fn listed(
    glance: &Glance,
    context: &Context,
    query: &Query,
    mut images: Vec<Image>,
) -> Result<Vec<Image>> {
    let scope = query.scope;
    // For a moment Glance lists images that it has just deleted.
    images.retain(|image| image.status != Status::Deleted);
    if glance.upstream.credentials() == Credentials::Caller {
        retain_wanted(&mut images, scope);
        return Ok(images);
    }
    let checked: Vec<Option<Image>> = futures::stream::iter(images)
        .map(async |image| {
            let membership = membership(glance, context, &image).await?;
            let listed = access::is_listed(&context.caller, &image, membership, scope);
            Ok::<_, Error>(listed.then_some(image))
        })
        .buffered(glance.bounds.membership_width.get())
        .try_collect()
        .await?;
    Ok(checked.into_iter().flatten().collect())
}

/// What the caller's project has said to an image that is shared with it.
///
/// Asked of the server only if anything hangs on it. Says nothing where the server decides.
pub(super) async fn membership(
    glance: &Glance,
    context: &Context,
    image: &Image,
) -> Result<Option<MemberStatus>> {
    let Some(project) = &context.caller.project else { return Ok(None) };
    if glance.upstream.credentials() == Credentials::Caller
        || !access::hangs_on_membership(&context.caller, image)
    {
        return Ok(None);
    }
    let Some(url) = glance.upstream.url(&["v2", "images", image.id.as_str(), "members", project]) else {
        return Ok(None);
    };
    let reply = glance.upstream.read(context, url).await?;
    match reply.status {
        StatusCode::OK => Ok(Some(wire::member(&reply.body)?.status)),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(glance.refusal(Asked::Record, image.id.as_str(), &reply)),
    }
}

/// An image that the caller may see, and its project's membership.
pub(super) async fn visible(
    glance: &Glance,
    context: &Context,
    id: &ImageId,
) -> Result<(Image, Option<MemberStatus>)> {
    let image = glance.fetch(context, id).await?;
    let membership = membership(glance, context, &image).await?;
    if glance.decides() && !access::may_see(&context.caller, &image, membership) {
        return Err(Error::not_found(id));
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
