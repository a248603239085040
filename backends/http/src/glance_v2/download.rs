//! Data out of Glance: what may be read, and what its answers mean. The bytes are for `body`.

use std::time::Duration;

use image_service::{
    ByteRange, Context, Data, Download, Error, ErrorKind, Image, ImageId, Result, Status, access,
};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RANGE};

use super::{Glance, tenancy};
use crate::body::{self, Limits};
use crate::fault::{self, Asked};

/// How often to look whether an image without data is going, and the first pause, which doubles each time.
const LOOKS: usize = 6;
const PAUSE: Duration = Duration::from_millis(20);

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
    if !image.has_data() {
        // Glance would fail on a range of nothing.
        return Ok(Download { image, data: None });
    }
    let wanted = match (range, image.size) {
        (Some(range), Some(total)) => match range.within(total) {
            Ok(wanted) => Some(wanted),
            Err(error) => return Err(refused(glance, context, &image).await?.unwrap_or(error)),
        },
        (Some(_), None) => return Err(fault::nonsense("an image with data and no size")),
        (None, _) => None,
    };
    let mut headers = HeaderMap::new();
    if let Some(wanted) = &wanted {
        headers.insert(RANGE, body::range_header(wanted));
    }
    let response = glance.upstream.head_of(context, glance.image_url(id, &["file"])?, headers).await?;
    let limits = Limits { skip: glance.bounds.skip_limit, patience: glance.bounds.idle_timeout };
    let data = match response.status() {
        StatusCode::OK => Some(body::whole(response, image.size, wanted, limits)?),
        StatusCode::PARTIAL_CONTENT => Some(body::part(response, image.size, wanted, limits)?),
        StatusCode::NO_CONTENT if image.size == Some(0) => {
            Some(Data::new(0..0, 0, Box::pin(futures::stream::empty())))
        }
        StatusCode::NO_CONTENT => return without_data(glance, context, id).await,
        _ => {
            let reply = glance.upstream.rest_of(response).await?;
            return Err(glance.refusal(Asked::Data, id.as_str(), &reply));
        }
    };
    Ok(Download { image, data })
}

/// The server's refusal to give the data of a deactivated image, where that is its to say: it goes before what is wrong
/// with a range.
async fn refused(glance: &Glance, context: &Context, image: &Image) -> Result<Option<Error>> {
    if glance.decides() || image.status != Status::Deactivated {
        return Ok(None);
    }
    let url = glance.image_url(&image.id, &["file"])?;
    let response = glance.upstream.head_of(context, url, HeaderMap::new()).await?;
    if response.status().is_success() {
        return Ok(None);
    }
    let reply = glance.upstream.rest_of(response).await?;
    Ok(Some(glance.refusal(Asked::Data, image.id.as_str(), &reply)))
}

/// What to make of an image that is said to have data, and has none when that is asked for.
///
/// Glance removes the data of an image first and its record then, so the image is most likely just going.
async fn without_data(glance: &Glance, context: &Context, id: &ImageId) -> Result<Download> {
    let mut pause = PAUSE;
    for _ in 0..LOOKS {
        let image = glance.fetch(context, id).await?;
        if !image.has_data() {
            return Ok(Download { image, data: None });
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Err(Error::new(ErrorKind::Unavailable, format!("the data of image {id} is missing")).answered())
}
