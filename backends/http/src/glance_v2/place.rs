//! Where in the server's list a page may begin, so that it need not be read from its start.
//!
//! A list sorted by time first needs no place: it is asked for from the position's second on. Any other can only
//! be entered behind an image of the server's own. One is known from the page before: the image at the position,
//! or, where that is in another store, the one that the query's resume names. Neither is believed. From it the
//! list is read backwards, a few images, until one is met that we see standing before the position: behind that
//! one everything comes that the page can need. A made-up hint finds no such image, or one too far in front,
//! which costs time and nothing else.

use image_service::{Context, Image, ImageId, Query, Resume};

use super::params::{self, Order};
use super::walk::{Budget, Halt, Place, Walk};
use super::{Glance, ordered};

/// How many images to ask for on the way back: first, and when these were not enough.
const STEPS: [usize; 2] = [4, 64];

/// A place at or before the query's position, in the list of what is hidden or of what is not.
pub(super) async fn before(
    glance: &Glance,
    context: &Context,
    query: &Query,
    budget: &Budget,
    hidden: bool,
) -> Result<Option<Place>, Halt> {
    let Some(position) = &query.position else { return Ok(None) };
    if params::seeks(&query.sort) || ordered::is_no_place_to_go_on(&query.sort, position) {
        return Ok(None);
    }
    let hint = match &query.resume {
        Some(Resume::Behind(id)) if *id != position.id => Some(id),
        _ => None,
    };
    for known in hint.into_iter().chain([&position.id]) {
        if let Some(place) = back_from(glance, context, query, budget, hidden, known).await? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

async fn back_from(
    glance: &Glance,
    context: &Context,
    query: &Query,
    budget: &Budget,
    hidden: bool,
    known: &ImageId,
) -> Result<Option<Place>, Halt> {
    let params = params::of(query, glance.upstream.credentials(), Order::Backwards, hidden);
    let mut back = Walk::new(glance, context, budget, params).only_behind(known.clone());
    let mut nearer: Option<Image> = None;
    for step in STEPS {
        let images = match back.next(step).await {
            Ok(Some(images)) => images,
            // Its start is near, and so is not worth a place.
            Ok(None) | Err(Halt::Lost) => return Ok(None),
            Err(halt) => return Err(halt),
        };
        for image in images {
            if let Some(first) = nearer.replace(image.clone())
                && ordered::is_surely_before(query, &image)
            {
                return Ok(Some(Place { marker: image.id, first: first.id }));
            }
        }
    }
    Ok(None)
}
