//! A page of images. A page that is full has a link to the next.

use axum::response::Response;
use http::StatusCode;
use image_service::{Image, Query};
use serde::Serialize;

use super::super::exchange::Call;
use super::super::fault::Fault;
use super::super::filled::{self, Found};
use super::super::links::{self, Params};
use super::super::{answer, partial};
use super::place::{Link, Links, Place};
use super::query::{self, Listing};
use super::shown::{Brief, Whole};

/// A page as it is sent.
#[derive(Serialize)]
struct Body<T> {
    images: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images_links: Option<[Link; 1]>,
}

/// Lists what tells one image from another.
pub(super) async fn brief(call: &Call, place: &Place) -> Result<Response, Fault> {
    let page = page(call, place, "images").await?;
    Ok(page.answered(Brief::new))
}

/// Lists images with all that is shown of them.
pub(super) async fn detail(call: &Call, place: &Place) -> Result<Response, Fault> {
    let page = page(call, place, "images/detail").await?;
    Ok(page.answered(Whole::new))
}

/// What was found, and the links that go with it.
struct Page {
    found: Found,
    links: Links,
    next: Option<[Link; 1]>,
}

impl Page {
    fn answered<'a, T: Serialize + 'a>(&'a self, show: impl Fn(&'a Image, &Links) -> T) -> Response {
        let images = self.found.images.iter().map(|image| show(image, &self.links)).collect();
        let mut response = answer::json(StatusCode::OK, &Body { images, images_links: self.next.clone() });
        if let Some(report) = partial::report(&self.found.sources) {
            response.headers_mut().insert(partial::BACKENDS, report);
        }
        response
    }
}

/// The page that is asked for, of the list of this name.
async fn page(call: &Call, place: &Place, list: &str) -> Result<Page, Fault> {
    call.permit(&call.policy().get_images, "list images")?;
    let settings = &call.front.settings;
    let params = Params::read(&call.query)?;
    let Listing { query, limit, marker } = query::read(&params, settings)?;
    let position = match marker {
        Some(marker) => {
            let position = filled::behind(call, &call.context, &marker, &query.sort).await?;
            let unknown = || Fault::bad_request(format!("No image found with ID {marker}"));
            Some(position.ok_or_else(unknown)?)
        }
        None => None,
    };
    let found = filled::fill(call, &call.context, Query { position, ..query }, limit, |_| true).await?;
    let links = Links::new(links::base(settings, &call.headers), place);
    let mut next = None;
    if let Some(last) = found.images.last() {
        call.marks.put(&call.context.caller, last);
        let is_full = found.images.len() >= limit.get();
        next = is_full.then(|| links.next(list, &query::next(&params, &last.id)));
    }
    Ok(Page { found, links, next })
}
