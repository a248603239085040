//! Data out of the server: a stream that is whole or ends in an error.
//!
//! The server has no ranges. A part is cut out of the whole, as long as little is read in vain.

use image_service::{
    ByteRange, Context, Data, Download, Error, ErrorKind, Image, ImageId, Result, Status, access,
};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use super::{Glance, tenancy};
use crate::body::{exactly, length};
use crate::fault::{self, Asked};

/// Opens an image's data, or a part of it.
pub(super) async fn open(
    glance: &Glance,
    context: &Context,
    id: &ImageId,
    range: Option<ByteRange>,
) -> Result<Download> {
    let (image, membership) = tenancy::visible(glance, context, id).await?;
    if glance.decides() {
        access::may_read_data(&context.caller, &image, membership)?;
    }
    match image.status {
        Status::Active => {}
        // The server gives such data to nobody, administrators included.
        Status::Deactivated | Status::PendingDelete => {
            return Err(Error::forbidden(format!("the image data of {id} is not given out by its store")));
        }
        _ => return Ok(Download { image, data: None }),
    }
    let Some(total) = image.size else { return Err(fault::nonsense("an image with data and no size")) };
    let wanted = range.map_or(Ok(0..total), |range| range.within(total))?;
    if wanted.start > glance.skip_limit {
        return Err(Error::not_implemented("reading from the middle of an image"));
    }
    let response = glance.upstream.head_of(context, glance.image_url(id, &[])?, HeaderMap::new()).await?;
    match response.status() {
        StatusCode::OK => check(&image, &response, total)?,
        // An image that is not active any more is not there for this request.
        StatusCode::NOT_FOUND => return gone(glance, context, id).await,
        _ => {
            let reply = glance.upstream.rest_of(response).await?;
            return Err(glance.refusal(Asked::Data, id.as_str(), &reply));
        }
    }
    let stream = exactly(response, wanted.start, wanted.end - wanted.start, glance.idle_timeout);
    Ok(Download { image, data: Some(Data::new(wanted, total, stream)) })
}

/// Holds the answer to the record: the same image, and as many bytes.
fn check(image: &Image, response: &Response, total: u64) -> Result<()> {
    let now = super::wire::image_in_headers(response.headers())?;
    if now.id != image.id || now.checksum != image.checksum {
        return Err(fault::nonsense("the data of another image than was asked for"));
    }
    match length(response.headers())? {
        Some(announced) if announced != total => Err(Error::new(
            ErrorKind::Corrupt,
            format!("the image has {total} bytes, and {announced} would come"),
        )),
        _ => Ok(()),
    }
}

/// What to make of an image that had data a moment ago, and is not there for its data now.
async fn gone(glance: &Glance, context: &Context, id: &ImageId) -> Result<Download> {
    let image = glance.fetch(context, id).await?;
    if !image.has_data() {
        return Ok(Download { image, data: None });
    }
    Err(Error::new(ErrorKind::Unavailable, format!("the data of image {id} is missing")).answered())
}
