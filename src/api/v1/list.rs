//! A page of images. The client goes on from its last one, by `marker`.
//!
//! There is no word for a next page: a page that is not full is the last one to clients. So a page is filled here, however
//! short those are that the service gives.

use std::num::NonZeroUsize;

use axum::response::Response;
use http::StatusCode;
use image_service::{
    Context, ErrorKind, Image, ImageId, Page, Position, Query, Sort, SourceReport, SourceState, Status,
};
use serde::Serialize;

use super::super::exchange::Call;
use super::super::fault::Fault;
use super::super::links::Params;
use super::super::{answer, partial};
use super::query::{self, Listing, View};
use super::shown::{Brief, Whole};

/// A page as it is sent.
#[derive(Serialize)]
struct Body<T> {
    images: Vec<T>,
}

/// Images that were found, and how those fared who were asked.
#[derive(Default)]
struct Found {
    images: Vec<Image>,
    sources: Vec<SourceReport>,
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
    let found = fill(call, &context, Query { position, ..query }, limit.get()).await?;
    if let Some(last) = found.images.last() {
        call.marks.put(&context.caller, last);
    }
    Ok(found)
}

/// Asks until there are so many images, or no more. Each answer that promises more has one at least, so this ends; and
/// the request has its deadline.
async fn fill(call: &Call, context: &Context, mut query: Query, limit: usize) -> Result<Found, Fault> {
    let mut found = Found::default();
    loop {
        query.limit = NonZeroUsize::new(limit.saturating_sub(found.images.len()));
        if query.limit.is_none() {
            return Ok(found);
        }
        let Page { items, more, sources, resume } = call.service().detail(context, &query).await?;
        note(&mut found.sources, sources);
        let Some(last) = items.last() else { return Ok(found) };
        (query.position, query.resume) = (Some(query.sort.position_of(last)), resume);
        // A Glance of old behind us may still have some.
        found.images.extend(items.into_iter().filter(|image| image.status != Status::Killed));
        if !more {
            return Ok(found);
        }
    }
}

/// Adds how sources fared to what is known of them: one that failed once has failed.
fn note(known: &mut Vec<SourceReport>, new: Vec<SourceReport>) {
    for report in new {
        match known.iter_mut().find(|one| one.name == report.name) {
            Some(one) if one.state == SourceState::Ok => one.state = report.state,
            Some(_) => {}
            None => known.push(report),
        }
    }
}

/// Where the page begins.
async fn behind(call: &Call, context: &Context, marker: &ImageId, sort: &Sort) -> Result<Position, Fault> {
    if let Some(image) = call.marks.get(&context.caller, marker) {
        return Ok(sort.position_of(&image));
    }
    match call.service().show(&call.context, marker).await {
        Ok(image) => Ok(sort.position_of(&image)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Fault::bad_request("Invalid marker. Image could not be found."))
        }
        Err(error) => Err(error.into()),
    }
}
