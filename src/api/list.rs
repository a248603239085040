//! A page of images, and the way to the next.
//!
//! A client may name the last image it has seen (`marker`), which is then looked up, or follow `next`, whose cursor
//! needs no looking up. Where the two disagree the marker counts: some clients carry old parameters along.

use axum::response::Response;
use http::StatusCode;
use image_service::{ErrorKind, ImageId, Page, Position, Query, Sort};
use serde::Serialize;

use super::exchange::Call;
use super::fault::Fault;
use super::links::{CURSOR, MARKER, Params};
use super::query::{self, Listing};
use super::{answer, cursor, partial, wire};

/// A page as it is sent.
#[derive(Serialize)]
struct Body<'a> {
    images: Vec<wire::Shown<'a>>,
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    schema: &'static str,
}

pub(super) async fn list(call: &Call) -> Result<Response, Fault> {
    let params = Params::read(&call.query)?;
    let Listing { query, limit } = query::read(&params, &call.front.settings)?;
    let mut body =
        Body { images: Vec::new(), first: params.first(), next: None, schema: "/v2/schemas/images" };
    if limit.is_none() {
        return Ok(answer::json(StatusCode::OK, &body));
    }
    let query = Query { position: position(call, &params, &query.sort).await?, ..query };
    let Page { items, more, sources, .. } = call.service().detail(&call.context, &query).await?;
    if let Some(last) = items.last().filter(|_| more) {
        let cursor = cursor::write(&query.sort.position_of(last), &query.sort);
        body.next = Some(params.next(last.id.as_str(), &cursor, call.front.settings.query_string));
    }
    body.images = items.iter().map(wire::Shown).collect();
    let mut response = answer::json(StatusCode::OK, &body);
    if let Some(report) = partial::report(&sources) {
        response.headers_mut().insert(partial::BACKENDS, report);
    }
    Ok(response)
}

/// Where the page begins.
async fn position(call: &Call, params: &Params, sort: &Sort) -> Result<Option<Position>, Fault> {
    let marker = params.last(MARKER);
    let cursor = params.last(CURSOR).map(|text| cursor::read(text, sort)).transpose()?;
    let Some(marker) = marker else { return Ok(cursor) };
    if let Some(cursor) = cursor.filter(|cursor| cursor.id.as_str() == marker) {
        return Ok(Some(cursor));
    }
    match call.service().show(&call.context, &ImageId::lookup(marker)).await {
        Ok(image) => Ok(Some(sort.position_of(&image))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Fault::bad_request(format!("marker: No image found with ID {marker}")))
        }
        Err(error) => Err(error.into()),
    }
}
