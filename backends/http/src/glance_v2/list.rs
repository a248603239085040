//! A page of a list: of what is hidden and what is not, woven into one.
//!
//! Glance lists either hidden images or the others. A query that does not care takes two lists.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use futures::future::try_join_all;
use image_service::{Context, Filter, Image, ImageId, Page, Query, Result};

use super::Glance;
use super::ordered::{self, Ordered};
use super::walk::{self, Budget, Halt};

/// How to read one of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// In the server's order.
    InOrder,
    /// Whole, to be sorted here.
    Whole,
}

/// The page that `query` asks for.
pub(super) async fn page(glance: &Glance, context: &Context, query: &Query) -> Result<Page<Image>> {
    query.check()?;
    let most = glance.bounds.page_size;
    let query = Query { limit: Some(query.limit.map_or(most, |limit| limit.min(most))), ..query.clone() };
    let budget = Budget::new(glance.bounds.max_pages.get());
    let marker = marker(glance, context, &query).await?;
    let reading = if glance.distrust.concerns(&query.sort) { Reading::Whole } else { Reading::InOrder };
    let mut lists: Vec<(bool, Reading)> = halves(&query).iter().map(|hidden| (*hidden, reading)).collect();
    // Each round gives up the order of at least one of the two lists.
    loop {
        match weave(glance, context, &query, &budget, &marker, &lists).await {
            Ok(page) => return Ok(page),
            Err((_, Halt::Failed(error))) => return Err(error),
            Err((_, Halt::Spent)) => return Err(walk::spent()),
            Err((which, Halt::Disorder)) => match lists.get_mut(which) {
                Some((_, reading @ Reading::InOrder)) => *reading = Reading::Whole,
                _ => return Err(crate::fault::nonsense("its list has no order")),
            },
        }
    }
}

/// Which halves of the images the query is about.
fn halves(query: &Query) -> &'static [bool] {
    let wanted = query.filters.iter().find_map(|filter| match filter {
        Filter::Hidden(wanted) => Some(*wanted),
        _ => None,
    });
    match wanted {
        Some(true) => &[true],
        Some(false) => &[false],
        None => &[false, true],
    }
}

/// The image at the position, if the server can go on behind it in the query's order.
///
/// It can if the image is still where it was, and no time is sorted by: behind an image of some microsecond lie
/// not all the images that we put behind its second. Without a marker, a list sorted by time first begins at the
/// position's second, and any other list is read from its start.
async fn marker(glance: &Glance, context: &Context, query: &Query) -> Result<Option<ImageId>> {
    let Some(position) = &query.position else { return Ok(None) };
    let sort = &query.sort;
    if ordered::is_by_time(sort)
        || glance.distrust.concerns(sort)
        || ordered::is_no_place_to_go_on(sort, position)
    {
        return Ok(None);
    }
    match glance.fetch(context, &position.id).await {
        Ok(image) => Ok((sort.position_of(&image) == *position).then_some(image.id)),
        Err(error) if error.kind().is_silence() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Weaves the lists into a page. A failure says in which list it arose.
async fn weave(
    glance: &Glance,
    context: &Context,
    query: &Query,
    budget: &Budget,
    marker: &Option<ImageId>,
    lists: &[(bool, Reading)],
) -> Result<Page<Image>, (usize, Halt)> {
    let open = lists.iter().enumerate().map(async |(which, (hidden, reading))| match reading {
        Reading::InOrder => Ok(Ordered::new(glance, context, query, budget, *hidden, marker.clone())),
        Reading::Whole => {
            let whole = Ordered::read_whole(glance, context, query, budget, *hidden).await;
            whole.map_err(|halt| (which, halt))
        }
    });
    let mut sources = try_join_all(open).await?;
    let limit = query.limit.map_or(usize::MAX, NonZeroUsize::get);
    let mut items: Vec<Image> = Vec::new();
    let mut given = HashSet::new();
    loop {
        let filled = try_join_all(
            sources
                .iter_mut()
                .enumerate()
                .map(async |(which, source)| source.fill().await.map_err(|halt| (which, halt))),
        );
        match filled.await {
            Ok(_) => {}
            // A short page is a page too, and its reader comes back for more.
            Err((_, Halt::Spent)) if !items.is_empty() => return Ok(Page::new(items, true)),
            Err(halt) => return Err(halt),
        }
        let heads = sources.iter_mut().filter(|source| source.peek().is_some());
        let Some(image) = heads
            .min_by(|a, b| match (a.peek(), b.peek()) {
                (Some(a), Some(b)) => query.sort.compare(a, b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            })
            .and_then(Ordered::pop)
        else {
            return Ok(Page::new(items, false));
        };
        if items.len() >= limit {
            return Ok(Page::new(items, true));
        }
        // An image that is hidden between two requests is in both lists.
        if given.insert(image.id.clone()) {
            items.push(image);
        }
    }
}
