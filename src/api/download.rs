//! An image's data on its way out.
//!
//! Bytes pass through as the client takes them. If they cannot all be had the connection breaks: the promised length
//! keeps the client from taking a part for the whole.

use axum::body::Body;
use axum::response::Response;
use headers::{ETag, HeaderMapExt as _};
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, StatusCode};
use image_service::{Context, Data, ImageId, MemberStatus, access};

use super::exchange::Call;
use super::fault::Fault;
use super::links::Params;
use super::validators::{self, Verdict};
use super::{answer, ranges};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

pub(super) async fn download(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    let prefer = preferred(call)?;
    call.permit_on(&call.policy().download_image, "read image data", id).await?;
    if !prefer.is_empty() {
        call.permit_on(&call.policy().download_from_store, "choose the store to read from", id).await?;
    }
    let context = Context { prefer, ..call.context.clone() };
    match open(call, &context, id).await {
        Err(fault) if fault.status() == StatusCode::RANGE_NOT_SATISFIABLE => {
            unsatisfied(call, id, fault).await
        }
        outcome => outcome,
    }
}

/// The stores to read from, if the client names any.
fn preferred(call: &Call) -> Result<Vec<String>, Fault> {
    let params = Params::read(&call.query)?;
    let names = params.last("prefer").unwrap_or_default().split(',').map(str::trim);
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let stores = call.stores().ok_or_else(|| Fault::bad_request("prefer: this site has no named stores"))?;
    if names.iter().all(|name| stores.iter().any(|store| store.name == *name)) {
        return Ok(names.into_iter().map(str::to_owned).collect());
    }
    Err(Fault::bad_request("prefer: must name stores of this site"))
}

/// Answers a range that no part of the image is: with the size, so that the client can ask for one that is.
async fn unsatisfied(call: &Call, id: &ImageId, fault: Fault) -> Result<Response, Fault> {
    // Who cannot see the image hears that instead, and without data every range means the same: nothing.
    let image = call.service().show(&call.context, id).await?;
    let Some(size) = image.size else { return Ok(answer::empty(StatusCode::NO_CONTENT)) };
    Err(fault.with_header(CONTENT_RANGE, HeaderValue::from_str(&format!("bytes */{size}")).ok()))
}

async fn open(call: &Call, context: &Context, id: &ImageId) -> Result<Response, Fault> {
    let wanted = match conditions(call, context, id).await? {
        (Verdict::Send, _) => ranges::wanted(&call.headers)?,
        (Verdict::SendWhole, _) => None,
        (Verdict::NotModified, tag) => return Ok(tagged(answer::empty(StatusCode::NOT_MODIFIED), tag)),
        (Verdict::Failed, _) => {
            let message = "If-Match: the image's data is not what is meant";
            return Err(Fault::new(StatusCode::PRECONDITION_FAILED, message));
        }
    };
    let range = wanted.as_ref().map(|wanted| wanted.range);
    let download = call.service().get(context, id, range).await?;
    let Some(data) = download.data else { return Ok(answer::empty(StatusCode::NO_CONTENT)) };
    let status = match &wanted {
        Some(wanted) => {
            wanted.check(data.total)?;
            StatusCode::PARTIAL_CONTENT
        }
        None => StatusCode::OK,
    };
    let mut response = streamed(call, status, data);
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let mut response = tagged(response, validators::etag(&download.image));
    if let Some(checksum) = &download.image.checksum {
        // In hex and of the whole, as Glance has it; clients compare it with the image's checksum.
        answer::set_header(&mut response, CONTENT_MD5, checksum);
    }
    Ok(response)
}

/// What the conditions of the request come to, and the tag of the data if that had to be looked at.
///
/// Whoever asks whether the data is still the same opens none.
async fn conditions(call: &Call, context: &Context, id: &ImageId) -> Result<(Verdict, Option<ETag>), Fault> {
    if !validators::are_in(&call.headers) {
        return Ok((Verdict::Send, None));
    }
    let image = call.service().show(context, id).await?;
    if !image.has_data() {
        return Ok((Verdict::SendWhole, None));
    }
    access::may_read_data(&context.caller, &image, Some(MemberStatus::Accepted))?;
    let tag = validators::etag(&image);
    Ok((validators::judge(&call.headers, tag.as_ref()), tag))
}

fn tagged(mut response: Response, tag: Option<ETag>) -> Response {
    if let Some(tag) = tag {
        response.headers_mut().typed_insert(tag);
    }
    response
}

/// An answer with data, which the system moves from its file if it can.
pub(super) fn streamed(call: &Call, status: StatusCode, data: Data) -> Response {
    let (range, total) = (data.range.clone(), data.total);
    let body = match (data.into_parts(), &call.passage) {
        ((_, Some(file)), Some(passage)) => {
            Body::from_stream(passage.pieces(file, range.end.saturating_sub(range.start)))
        }
        ((stream, _), _) => Body::from_stream(stream),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end.saturating_sub(range.start)));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end.saturating_sub(1);
        answer::set_header(&mut response, CONTENT_RANGE, &format!("bytes {}-{last}/{total}", range.start));
    }
    response
}
