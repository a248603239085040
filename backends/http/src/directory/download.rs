//! Data of a file in a directory: of the very file that was listed, or none.

use image_service::{ByteRange, Context, Data, Error, ErrorKind, Image, Result};
use reqwest::header::{HeaderMap, IF_MATCH, RANGE};
use reqwest::{Response, StatusCode};
use url::Url;

use super::heads::Head;
use crate::body::{self, Limits};
use crate::client;
use crate::fault::{self, Asked};
use crate::published::Source;

/// What is known of a file that is to be read.
#[derive(Debug)]
pub(super) struct Wanted<'w> {
    /// The image, with its size.
    pub(super) image: &'w Image,
    /// Where the file is.
    pub(super) url: Url,
    /// What the server said of it.
    pub(super) head: &'w Head,
}

/// Why there is no data.
#[derive(Debug)]
pub(super) enum Failure {
    /// The file is another one than was listed, or is gone.
    Changed(Error),
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Opens the data of a file, or a part of it.
///
/// # Errors
/// `RangeNotSatisfiable`; silence; `NotFound` if the file is gone; `Unavailable` if it is another one than was listed.
pub(super) async fn open(
    source: &Source,
    limits: Limits,
    context: &Context,
    file: Wanted<'_>,
    range: Option<ByteRange>,
) -> Result<Data, Failure> {
    let Wanted { image, url, head } = file;
    let size = image.size.ok_or_else(|| fault::nonsense("an image with data and no size"))?;
    let wanted = range.map(|range| range.within(size)).transpose()?;
    let mut headers: HeaderMap = wanted.iter().map(|wanted| (RANGE, body::range_header(wanted))).collect();
    headers.extend(head.strong_tag().map(|tag| (IF_MATCH, tag.clone())));
    let answer = source.get(url, headers, client::patience(context, source.answer_timeout)).await?;
    match answer.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT if !head.is_of(answer.headers()) => Err(changed(image)),
        StatusCode::OK if body::length(answer.headers())?.is_some_and(|length| length != size) => {
            Err(changed(image))
        }
        StatusCode::OK => Ok(body::whole(answer, Some(size), wanted, limits)?),
        StatusCode::PARTIAL_CONTENT => Ok(body::part(answer, Some(size), wanted, limits)?),
        StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => Err(changed(image)),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Failure::Changed(Error::not_found(&image.id))),
        _ => Err(Failure::Other(refusal(source, image, answer).await)),
    }
}

fn changed(image: &Image) -> Failure {
    let message = format!("the data of image {} has been replaced since it was listed", image.id);
    Failure::Changed(Error::new(ErrorKind::Unavailable, message).answered())
}

async fn refusal(source: &Source, image: &Image, answer: Response) -> Error {
    let error = source.refusal(Asked::Data, image.id.as_str(), answer).await;
    if error.kind() == ErrorKind::NotImplemented {
        let message = format!("the data of image {} is not given", image.id);
        return Error::new(ErrorKind::Unavailable, message).with_source(error).answered();
    }
    error
}
