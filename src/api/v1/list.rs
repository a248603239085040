//! A page of images. The client goes on from its last one, by `marker`.
//!
//! There is no word for a next page: a page that is not full is the last one to clients. So a page is filled here, however
//! short those are that the service gives.

use axum::response::Response;
use http::StatusCode;
use image_service::{Context, Image, ImageId, Position, Query, Sort, SourceReport, Status};
use serde::Serialize;

use super::super::exchange::Call;
use super::super::fault::Fault;
use super::super::filled::{self, Found};
use super::super::links::Params;
use super::super::{answer, partial};
use super::query::{self, Listing, View};
use super::shown::{Brief, Whole};

/// A page as it is sent.
#[derive(Serialize)]
struct Body<T> {
    images: Vec<T>,
}

/// Lists what tells one image from another.
pub(super) async fn brief(call: &Call) -> Result<Response, Fault> {
    let found = page(call).await?;
    Ok(answered(&Body { images: found.images.iter().map(Brief::from).collect() }, &found.sources))
}

/// Lists images with all their attributes.
pub(super) async fn detail(call: &Call) -> Result<Response, Fault> {
    let found = page(call).await?;
    Ok(answered(&Body { images: found.images.iter().map(Whole::from).collect() }, &found.sources))
}

fn answered(body: &impl Serialize, sources: &[SourceReport]) -> Response {
    let mut response = answer::json(StatusCode::OK, body);
    if let Some(report) = partial::report(sources) {
        response.headers_mut().insert(partial::BACKENDS, report);
    }
    response
}

/// The page that is asked for.
async fn page(call: &Call) -> Result<Found, Fault> {
    call.permit(&call.policy().get_images, "list images")?;
    let params = Params::read(&call.query)?;
    let Listing { query, limit, marker, view } =
        query::read(&params, &call.context.caller, &call.front.settings)?;
    let mut context = call.context.clone();
    if view == View::User {
        context.caller.roles.remove("admin");
    }
    let position = match marker {
        Some(marker) => Some(behind(call, &context, &marker, &query.sort).await?),
        None => None,
    };
    let Some(limit) = limit else { return Ok(Found::default()) };
    // A Glance of old behind us may still have some whose upload failed.
    let shown = |image: &Image| image.status != Status::Killed;
    let found = filled::fill(call, &context, Query { position, ..query }, limit, shown).await?;
    if let Some(last) = found.images.last() {
        call.marks.put(&context.caller, last);
    }
    Ok(found)
}

/// Where the page begins.
async fn behind(call: &Call, context: &Context, marker: &ImageId, sort: &Sort) -> Result<Position, Fault> {
    let position = filled::behind(call, context, marker, sort).await?;
    position.ok_or_else(|| Fault::bad_request("Invalid marker. Image could not be found."))
}
