//! Data out of Glance: a stream that is whole or ends in an error.
//!
//! Lengths are checked three times: announced against recorded, the part sent against the part asked for, and
//! bytes come against bytes announced. A server that ignores ranges is put up with while little is in vain.

use std::ops::Range;
use std::time::Duration;

use image_service::{
    ByteRange, Context, Data, Download, Error, ErrorKind, Image, ImageId, Result, Status, access,
};
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Response, StatusCode};

use super::{Glance, tenancy};
use crate::fault::{self, Asked};
use crate::incoming::{exactly, length};

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
    if let Some(wanted) = &wanted
        && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-{}", wanted.start, wanted.end - 1))
    {
        headers.insert(RANGE, range);
    }
    let response = glance.upstream.head_of(context, glance.image_url(id, &["file"])?, headers).await?;
    let data = match response.status() {
        StatusCode::OK => Some(whole(glance, &image, response, wanted)?),
        StatusCode::PARTIAL_CONTENT => Some(part(glance, &image, response, wanted)?),
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

/// What to make of all the data, when all or a part of it is wanted.
fn whole(glance: &Glance, image: &Image, response: Response, wanted: Option<Range<u64>>) -> Result<Data> {
    let announced = length(response.headers())?;
    let total = match (announced, image.size) {
        (Some(announced), Some(size)) if announced != size => {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("the image has {size} bytes, and {announced} would come"),
            ));
        }
        (announced, size) => {
            announced.or(size).ok_or_else(|| fault::nonsense("image data of unknown length"))?
        }
    };
    let range = wanted.unwrap_or(0..total);
    if range.start > glance.bounds.skip_limit {
        return Err(Error::not_implemented("reading from the middle of an image"));
    }
    let stream = exactly(response, range.start, range.end - range.start, glance.bounds.idle_timeout);
    Ok(Data::new(range, total, stream))
}

/// What to make of a part of the data.
fn part(glance: &Glance, image: &Image, response: Response, wanted: Option<Range<u64>>) -> Result<Data> {
    let sent = response.headers().get(CONTENT_RANGE).and_then(|value| content_range(value.to_str().ok()?));
    let (Some((sent, total)), Some(wanted)) = (sent, wanted) else {
        return Err(fault::nonsense("a part of the data that it does not name, or that nobody asked for"));
    };
    let length = length(response.headers())?;
    let right_length = length.is_none_or(|length| length == wanted.end - wanted.start);
    if sent != wanted || Some(total) != image.size || !right_length {
        return Err(fault::nonsense("another part of the data than was asked for"));
    }
    let stream = exactly(response, 0, wanted.end - wanted.start, glance.bounds.idle_timeout);
    Ok(Data::new(wanted, total, stream))
}

/// Reads `bytes 2-4/10`.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let end = last.trim().parse::<u64>().ok()?.checked_add(1)?;
    Some((first.trim().parse().ok()?..end, total.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_or_is_nothing() {
        assert_eq!(content_range("bytes 2-4/10"), Some((2..5, 10)));
        for text in
            ["", "bytes 2-4/*", "bytes */10", "2-4/10x", "bytes 2/10", "bytes 2-18446744073709551615/10"]
        {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
