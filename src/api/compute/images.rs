//! One image: shown, deleted.

use axum::response::Response;
use http::StatusCode;
use image_service::ImageId;
use serde::Serialize;

use super::super::exchange::Call;
use super::super::fault::Fault;
use super::super::{answer, links};
use super::place::{Links, Place};
use super::shown::Whole;
use super::{absent, visible};

/// An image as it is sent.
#[derive(Serialize)]
struct Body<'a> {
    image: Whole<'a>,
}

/// Shows an image.
pub(super) async fn show(call: &Call, id: &ImageId, place: &Place) -> Result<Response, Fault> {
    let image = visible(call, id).await?;
    let links = Links::new(links::base(&call.front.settings, &call.headers), place);
    Ok(answer::json(StatusCode::OK, &Body { image: Whole::new(&image, &links) }))
}

/// Deletes an image.
pub(super) async fn delete(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    let refused = |fault: Fault| match fault.status() {
        StatusCode::FORBIDDEN => fault.with_message("You are not allowed to delete the image."),
        _ => absent(fault),
    };
    call.permit_on(&call.policy().delete_image, "delete images", id).await.map_err(refused)?;
    call.service().delete(&call.context, id).await.map_err(|error| refused(error.into()))?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
