//! Data out of a source: whole, or ending in an error.

use image_service::{ByteRange, Context, Data, Error, ErrorKind, Image, Result};
use reqwest::header::{HeaderMap, RANGE};
use reqwest::{Response, StatusCode};

use super::catalogue::{Item, Packing};
use super::documents::Source;
use super::unpack::unpack;
use crate::body::{self, Limits};
use crate::client;
use crate::fault::{self, Asked};

/// Opens the data of `item`, or a part of it if it is not packed.
///
/// # Errors
/// `RangeNotSatisfiable` if the part is not within the image; silence; `Corrupt` if the file is not as long as the
/// catalogue says; `Unavailable` if it is missing.
pub(crate) async fn open(
    source: &Source,
    limits: Limits,
    context: &Context,
    item: &Item,
    range: Option<ByteRange>,
) -> Result<Data> {
    let size = item.image.size.ok_or_else(|| fault::nonsense("an image with data and no size"))?;
    let wanted = range.map(|range| range.within(size)).transpose()?;
    let patience = client::patience(context, source.answer_timeout);
    let get = |headers| source.get(item.file.url.clone(), headers, patience);
    match &item.file.packing {
        Packing::Plain => {
            let headers = wanted.iter().map(|wanted| (RANGE, body::range_header(wanted))).collect();
            let answer = get(headers).await?;
            match answer.status() {
                StatusCode::OK => body::whole(answer, Some(size), wanted, limits),
                StatusCode::PARTIAL_CONTENT => body::part(answer, Some(size), wanted, limits),
                _ => Err(missing(source, &item.image, answer).await),
            }
        }
        Packing::Xz { seal } => {
            let answer = get(HeaderMap::new()).await?;
            if answer.status() != StatusCode::OK {
                return Err(missing(source, &item.image, answer).await);
            }
            let packed = body::whole(answer, None, None, limits)?;
            Ok(Data::new(0..size, size, unpack(packed.into_stream(), seal.clone(), size)))
        }
    }
}

/// The error for data that the source does not give. The image is in its catalogue, so it is there, whatever the
/// answer.
async fn missing(source: &Source, image: &Image, answer: Response) -> Error {
    let error = source.refusal(Asked::Data, image.id.as_str(), answer).await;
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotImplemented => {
            let message = format!("the data of image {} is missing", image.id);
            Error::new(ErrorKind::Unavailable, message).with_source(error).answered()
        }
        // A part was asked for that is within the image.
        ErrorKind::RangeNotSatisfiable => {
            let message = format!("the data of image {} is shorter than the image", image.id);
            Error::new(ErrorKind::Corrupt, message).with_source(error)
        }
        _ => error,
    }
}
