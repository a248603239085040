//! Data into Glance, by the request that takes nothing else.

use image_service::{Context, ImageId, Upload};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tokio_util::sync::CancellationToken;

use super::Glance;
use crate::fault::Asked;
pub(super) use crate::outgoing::Failure;
use crate::outgoing::send as send_body;
use crate::upstream::Reply;

/// Sends an upload to the image, until `gone` says that nobody wants that any more. Gives the number of bytes
/// that the server has taken.
pub(super) async fn send(
    glance: &Glance,
    context: &Context,
    id: &ImageId,
    upload: Upload,
    gone: &CancellationToken,
) -> Result<u64, Failure> {
    let url = glance.image_url(id, &["file"]).map_err(Failure::Refused)?;
    let request = glance.upstream.request(context, Method::PUT, url).await.map_err(Failure::Refused)?;
    let request = request.header(CONTENT_TYPE, "application/octet-stream");
    let refusal = |reply: &Reply| glance.refusal(Asked::Upload, id.as_str(), reply);
    let sent =
        send_body(&glance.upstream, request, upload, gone, glance.bounds.idle_timeout, refusal).await?;
    Ok(sent.1)
}
