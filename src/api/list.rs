//! A page of images, and the way to the next.
//!
//! A client may name the last image it has seen (`marker`), which is remembered for a while or else looked up, or
//! follow `next`, whose cursor needs neither. Where the two disagree the marker counts: some clients carry old
//! parameters along. A cursor that is not ours is refused in any case.

use axum::response::Response;
use http::StatusCode;
use image_service::{ErrorKind, Image, ImageId, Page, Query, Sort};
use serde::Serialize;

use super::cursor::{self, Mark};
use super::exchange::Call;
use super::fault::Fault;
use super::links::{CURSOR, MARKER, Params};
use super::query::{self, Listing};
use super::{answer, locations, partial, wire};

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
    call.permit(&call.policy().get_images, "list images")?;
    let params = Params::read(&call.query)?;
    let Listing { query, limit } = query::read(&params, &call.front.settings)?;
    let mut body =
        Body { images: Vec::new(), first: params.first(), next: None, schema: "/v2/schemas/images" };
    if limit.is_none() {
        return Ok(answer::json(StatusCode::OK, &body));
    }
    let begin = begin(call, &params, &query.sort).await?;
    let (position, resume) = begin.map_or((None, None), |mark| (Some(mark.position), mark.resume));
    let query = Query { position, resume, ..query };
    let Page { items, more, sources, resume } = call.service().detail(&call.context, &query).await?;
    if let Some(last) = items.last().filter(|_| more) {
        let settings = &call.front.settings;
        let position = query.sort.position_of(last);
        let cursor = |resume| {
            cursor::write(&Mark { position: position.clone(), resume }, &query.sort, &settings.cursor_key)
        };
        // How far each backend has been read is only good for speed, so it is what is left out first.
        let cursors = [cursor(resume), cursor(None)];
        body.next = Some(params.next(last.id.as_str(), &cursors, settings.query_string));
    }
    // The last page too: clients that do not look at `next` ask on from it until a page is empty.
    if let Some(last) = items.last() {
        call.marks.put(&call.context.caller, last);
    }
    let places = locations::places_of(call, &items).await?;
    body.images = items.iter().zip(&places).map(|(image, places)| wire::Shown(image, places)).collect();
    let mut response = answer::json(StatusCode::OK, &body);
    if let Some(report) = partial::report(&sources) {
        response.headers_mut().insert(partial::BACKENDS, report);
    }
    Ok(response)
}

/// Where the page begins.
async fn begin(call: &Call, params: &Params, sort: &Sort) -> Result<Option<Mark>, Fault> {
    let key = &call.front.settings.cursor_key;
    let cursor = params.last(CURSOR).map(|text| cursor::read(text, sort, key)).transpose()?;
    let Some(marker) = params.last(MARKER).map(ImageId::lookup) else { return Ok(cursor) };
    if let Some(cursor) = cursor.filter(|cursor| cursor.position.id == marker) {
        return Ok(Some(cursor));
    }
    let here = |image: &Image| Ok(Some(Mark { position: sort.position_of(image), resume: None }));
    if let Some(image) = call.marks.get(&call.context.caller, &marker) {
        return here(&image);
    }
    match call.service().show(&call.context, &marker).await {
        Ok(image) => here(&image),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Fault::bad_request(format!("marker: No image found with ID {marker}")))
        }
        Err(error) => Err(error.into()),
    }
}
