//! An image's data, with the image in the headers of the answer.
//!
//! Only whole images are given out: v1 knows no ranges, and no conditions.

use axum::response::Response;
use http::StatusCode;
use image_service::{ByteStream, Data, Error, ErrorKind, Image, ImageId, Status};

use super::super::download::streamed;
use super::super::exchange::Call;
use super::super::fault::Fault;
use super::{absent, shown};

pub(super) async fn download(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    let permitted = call.permit_on(&call.policy().download_image, "read image data", id).await;
    permitted.map_err(|fault| absent(fault, id))?;
    if !call.policy().get_image.admit(&call.context.caller) {
        return Err(absent(Error::not_found(id).into(), id));
    }
    let download = call.service().get(&call.context, id, None).await.map_err(|error| match error.kind() {
        ErrorKind::Forbidden => Fault::from(error).with_message(deactivated(id)),
        _ => absent(error.into(), id),
    })?;
    check_active(&download.image)?;
    let data = download.data.unwrap_or_else(empty);
    let mut response = streamed(call, StatusCode::OK, data);
    shown::put(&download.image, response.headers_mut());
    Ok(response)
}

fn empty() -> Data {
    let nothing: ByteStream = Box::pin(futures::stream::empty());
    Data::new(0..0, 0, nothing)
}

/// Only active images are read, also by administrators.
fn check_active(image: &Image) -> Result<(), Fault> {
    match image.status {
        Status::Active => Ok(()),
        Status::Deactivated => Err(Fault::forbidden(deactivated(&image.id))),
        _ => Err(Fault::not_found(format!("Image {} is not active", image.id))),
    }
}

fn deactivated(id: &ImageId) -> String {
    format!("Image {id} is deactivated")
}
