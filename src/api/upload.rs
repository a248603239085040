//! An image's data on its way in.
//!
//! Bytes are passed on as the service takes them. The stream ends in an error if the client breaks off, pauses for
//! too long, or sends more than an image may have, and then nothing of it stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, BodyDataStream};
use axum::response::Response;
use futures::StreamExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, StatusCode};
use image_service::{ByteStream, Error, ErrorKind, ImageChange, ImageId, Upload};

use super::exchange::Call;
use super::fault::Fault;
use super::{Settings, answer, images};
use crate::quotas::Purpose;

const IMAGE_SIZE: HeaderName = HeaderName::from_static("x-openstack-image-size");

pub(super) async fn upload(call: &Call, id: &ImageId, body: Body) -> Result<Response, Fault> {
    let settings = &call.front.settings;
    check_type(&call.headers)?;
    let size = announced(&call.headers)?;
    if size.is_some_and(|size| size > settings.image_size) {
        return Err(too_large(settings));
    }
    let store = images::wanted_store(&call.headers, call.stores().as_deref())?;
    call.permit_on(&call.policy().upload_image, "upload image data", id).await?;
    call.admit(Purpose::Upload).await?;
    let overflow = Arc::new(AtomicBool::new(false));
    let stream = bytes(body, settings, Arc::clone(&overflow));
    let upload = Upload { stream, size, store };
    let outcome = call.service().update(&call.context, id, ImageChange::default(), Some(upload)).await;
    match outcome {
        Ok(_) => Ok(answer::empty(StatusCode::NO_CONTENT)),
        // A service may tell any failure of the stream as one that broke off.
        Err(_) if overflow.load(Ordering::Relaxed) => Err(too_large(settings)),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn too_large(settings: &Settings) -> Fault {
    let message = format!("an image may have at most {} bytes", settings.image_size);
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Fault> {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/octet-stream") => Ok(()),
        _ => Err(Fault::unsupported_type("Content-Type: must be application/octet-stream")),
    }
}

/// How many bytes the client says will come.
pub(super) fn announced(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let length = number(headers, &CONTENT_LENGTH)?;
    let size = number(headers, &IMAGE_SIZE)?;
    match (length, size) {
        (Some(length), Some(size)) if length != size => {
            Err(Fault::bad_request("x-openstack-image-size: is not the length of the body"))
        }
        _ => Ok(size.or(length)),
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(Fault::bad_request(format!("{name}: must be an integer, not negative"))),
    }
}

struct Incoming {
    body: BodyDataStream,
    left: u64,
    overflow: Arc<AtomicBool>,
}

/// The body as a bounded stream. `overflow` is set if it turns out to be too long.
pub(super) fn bytes(body: Body, settings: &Settings, overflow: Arc<AtomicBool>) -> ByteStream {
    let pause = settings.body_pause;
    let incoming = Incoming { body: body.into_data_stream(), left: settings.image_size, overflow };
    let stream = futures::stream::unfold(Some(incoming), move |incoming| async move {
        let mut incoming = incoming?;
        let bytes = match tokio::time::timeout(pause, incoming.body.next()).await {
            Ok(None) => return None,
            Ok(Some(Ok(bytes))) => bytes,
            Ok(Some(Err(source))) => {
                let error = Error::new(ErrorKind::Incomplete, "the upload broke off").with_source(source);
                return Some((Err(error), None));
            }
            Err(_) => {
                let error = Error::new(ErrorKind::Incomplete, "no data came for too long");
                return Some((Err(error), None));
            }
        };
        match incoming.left.checked_sub(bytes.len() as u64) {
            Some(left) => {
                incoming.left = left;
                Some((Ok(bytes), Some(incoming)))
            }
            None => {
                incoming.overflow.store(true, Ordering::Relaxed);
                Some((Err(Error::new(ErrorKind::TooLarge, "the image is too large")), None))
            }
        }
    });
    Box::pin(stream)
}
