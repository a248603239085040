//! One tag of an image, added or removed.
//!
//! The service knows only all tags at once, so of two tags that are added to one image at the same moment the last
//! wins, as of two patches.

use std::collections::BTreeSet;

use axum::response::Response;
use http::StatusCode;
use image_service::{Image, ImageChange, ImageId};

use super::exchange::Call;
use super::fault::Fault;
use super::{answer, attribute, policy};

pub(super) async fn add(call: &Call, id: &ImageId, tag: &str) -> Result<Response, Fault> {
    attribute::check_tag(tag)?;
    let image = changeable(call, id).await?;
    let mut tags = image.tags;
    if tags.insert(tag.to_owned()) {
        set(call, id, tags).await?;
    }
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn remove(call: &Call, id: &ImageId, tag: &str) -> Result<Response, Fault> {
    let image = changeable(call, id).await?;
    let mut tags = image.tags;
    if !tags.remove(tag) {
        return Err(Fault::not_found("the image has no such tag"));
    }
    set(call, id, tags).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// The image, for a caller who may change it.
async fn changeable(call: &Call, id: &ImageId) -> Result<Image, Fault> {
    let image = call.visible(id).await?;
    call.permit(&call.policy().modify_image, "change images")?;
    policy::must_own(&call.context.caller, &image)?;
    Ok(image)
}

async fn set(call: &Call, id: &ImageId, tags: BTreeSet<String>) -> Result<(), Fault> {
    let change = ImageChange { tags: Some(tags), ..ImageChange::default() };
    call.service().update(&call.context, id, change, None).await?;
    Ok(())
}
