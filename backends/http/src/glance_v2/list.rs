//! A page of a list: of what is hidden and what is not, woven into one.
//!
//! Glance lists either hidden images or the others. A query that does not care takes two lists.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use futures::future::try_join_all;
use image_service::{Context, Filter, Image, Page, Query, Result};

use super::collation::{self, Belief};
use super::ordered::{MARGIN, Ordered, Whole, Why};
use super::walk::{self, Budget, Halt};
use super::{Glance, place};

/// How to read one of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// In the server's order, as far as that is ours.
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
    let mut lists: Vec<(bool, Reading)> =
        halves(&query).iter().map(|hidden| (*hidden, Reading::InOrder)).collect();
    // Each round gives up the order of at least one of the two lists.
    loop {
        match weave(glance, context, &query, &budget, &lists).await {
            Ok(page) => return Ok(page),
            Err((_, Halt::Failed(error))) => return Err(error),
            Err((_, Halt::Spent)) => return Err(walk::spent()),
            Err((which, Halt::Disorder | Halt::Lost)) => match lists.get_mut(which) {
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

/// Begins to read one of the lists, in the order of the server if that is ours.
async fn open<'a>(
    glance: &'a Glance,
    context: &'a Context,
    query: &'a Query,
    budget: &'a Budget,
    hidden: bool,
    reading: Reading,
) -> Result<Ordered<'a>, Halt> {
    let belief = match reading {
        Reading::InOrder => glance.collation.of_text(&query.sort),
        Reading::Whole => Belief::Other,
    };
    let whole = async |why| Ordered::read_whole(glance, context, query, budget, hidden, why).await;
    let believed = match belief {
        Belief::Ours => true,
        Belief::Other => false,
        Belief::Unknown => match whole(Why::Doubt).await? {
            Whole::Sorted(list) => return Ok(*list),
            Whole::Needless => true,
        },
    };
    if believed && collation::of_unset(glance, context, query, budget, hidden).await? != Belief::Other {
        let place = place::before(glance, context, query, budget, hidden).await?;
        return Ok(Ordered::new(glance, context, query, budget, hidden, place));
    }
    match whole(Why::Disorder).await? {
        Whole::Sorted(list) => Ok(*list),
        Whole::Needless => Err(Halt::Disorder),
    }
}

/// Weaves the lists into a page. A failure says in which list it arose.
async fn weave(
    glance: &Glance,
    context: &Context,
    query: &Query,
    budget: &Budget,
    lists: &[(bool, Reading)],
) -> Result<Page<Image>, (usize, Halt)> {
    let open = lists.iter().enumerate().map(async |(which, (hidden, reading))| {
        open(glance, context, query, budget, *hidden, *reading).await.map_err(|halt| (which, halt))
    });
    let mut sources = try_join_all(open).await?;
    let limit = query.limit.map_or(usize::MAX, NonZeroUsize::get);
    let mut items: Vec<Image> = Vec::new();
    let mut given = HashSet::new();
    let enough = enough(limit, glance.bounds.page_size.get());
    loop {
        // What is not known without asking may be told by the next page.
        if items.len() >= enough && sources.iter().any(Ordered::is_about_to_ask) {
            return Ok(Page::new(items, true));
        }
        let missing = limit - items.len();
        let filled = try_join_all(
            sources
                .iter_mut()
                .enumerate()
                .map(async |(which, source)| source.fill(missing).await.map_err(|halt| (which, halt))),
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

/// How many images make a page that is not worth another request to be filled up.
///
/// Where as many are asked for as the server gives at once, some of what it gives has come before, or may not be
/// the next yet. Asking again for the few that are missing costs more than it brings.
const fn enough(limit: usize, page_size: usize) -> usize {
    if limit.saturating_add(MARGIN) > page_size { limit - limit / 16 } else { limit }
}
