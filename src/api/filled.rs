//! Full pages, for clients to whom a page that is not full is the last one.
//!
//! The pages that a service gives may be shorter than asked, so it is asked until a page is full, or there is no more.

use std::num::NonZeroUsize;

use image_service::{Context, ErrorKind, Image, ImageId, Page, Position, Query, Result, Sort, SourceReport};

use super::exchange::Call;

/// Images that were found, and how those fared who were asked.
#[derive(Default)]
pub(super) struct Found {
    pub(super) images: Vec<Image>,
    pub(super) sources: Vec<SourceReport>,
}

/// Asks until there are `limit` images that are `shown`, or no more. Each answer that promises more has one at least, so
/// this ends; and the request has its deadline.
pub(super) async fn fill(
    call: &Call,
    context: &Context,
    mut query: Query,
    limit: NonZeroUsize,
    shown: fn(&Image) -> bool,
) -> Result<Found> {
    let mut found = Found::default();
    loop {
        query.limit = NonZeroUsize::new(limit.get().saturating_sub(found.images.len()));
        if query.limit.is_none() {
            return Ok(found);
        }
        let Page { items, more, sources, resume } = call.service().detail(context, &query).await?;
        SourceReport::note(&mut found.sources, sources);
        let Some(last) = items.last() else { return Ok(found) };
        (query.position, query.resume) = (Some(query.sort.position_of(last)), resume);
        found.images.extend(items.into_iter().filter(shown));
        if !more {
            return Ok(found);
        }
    }
}

/// Where the page behind `marker` begins; nothing if the caller sees no such image, nor was ever given a page that ended
/// with it.
pub(super) async fn behind(
    call: &Call,
    context: &Context,
    marker: &ImageId,
    sort: &Sort,
) -> Result<Option<Position>> {
    if let Some(image) = call.marks.get(&context.caller, marker) {
        return Ok(Some(sort.position_of(&image)));
    }
    match call.service().show(&call.context, marker).await {
        Ok(image) => Ok(Some(sort.position_of(&image))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
