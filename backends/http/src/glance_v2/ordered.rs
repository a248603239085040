//! One list of the server, in our order.
//!
//! Glance orders by microseconds that it does not show, so images of the same second come in an order that
//! nobody else can tell. They are gathered and put in order by id, and come out when the second is over.
//!
//! Some servers order differently altogether: names without regard to case, unset values last. Where that is known
//! (`collation`), a page shows it, or the server is known to lose its place, the list is given up with
//! [`Halt::Disorder`], to be read whole by id and sorted here. That is bounded, as it is kept in memory.

use std::cmp::Ordering;
use std::collections::VecDeque;

use image_service::{Context, Error, ErrorKind, Image, Position, Query, Result, Sort, SortKey, SortValue};

use super::collation::{self, Belief};
use super::params::{self, Order};
use super::walk::{Budget, Halt, Place, Walk};
use super::{Glance, tenancy};

/// Asked for beyond the limit: the image at the position itself, others of its second, and one to see what is
/// behind.
pub(super) const MARGIN: usize = 8;

/// Images of one list that the caller may see listed, in the query's order.
#[derive(Debug)]
pub(super) struct Ordered<'a> {
    glance: &'a Glance,
    context: &'a Context,
    query: &'a Query,
    walk: Walk<'a>,
    /// How often the server has been asked for more.
    rounds: u32,
    ready: VecDeque<Image>,
    /// The rest of a list that was read whole: sorted, and not yet known to be for the caller to see.
    unchecked: VecDeque<Image>,
    /// Images equal in all that is sorted by but the id, of which more may come.
    run: Vec<Image>,
    /// The last image of the last page.
    last: Option<Image>,
    /// Whether the order hangs on a time, whose microseconds we do not see.
    by_time: bool,
    ended: bool,
}

/// Why a list is read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The server orders otherwise, or would lose its place.
    Disorder,
    /// It is not known how the server orders.
    Doubt,
}

/// A list that was to be read whole.
#[derive(Debug)]
pub(super) enum Whole<'a> {
    /// Here it is, sorted.
    Sorted(Box<Ordered<'a>>),
    /// It need not be: the server has turned out to order as we do.
    Needless,
}

impl<'a> Ordered<'a> {
    /// Those images that are hidden, or are not, from `place` on.
    pub(super) fn new(
        glance: &'a Glance,
        context: &'a Context,
        query: &'a Query,
        budget: &'a Budget,
        hidden: bool,
        place: Option<Place>,
    ) -> Self {
        let params = params::of(query, glance.upstream.credentials(), Order::Asked, hidden);
        Self {
            glance,
            context,
            query,
            walk: Walk::new(glance, context, budget, params).from(place),
            rounds: 0,
            ready: VecDeque::new(),
            unchecked: VecDeque::new(),
            run: Vec::new(),
            last: None,
            by_time: is_by_time(&query.sort),
            ended: false,
        }
    }

    /// The same images, read whole and sorted here. In doubt about how the server orders, that is found out on the
    /// way if it can be.
    pub(super) async fn read_whole(
        glance: &'a Glance,
        context: &'a Context,
        query: &'a Query,
        budget: &'a Budget,
        hidden: bool,
        why: Why,
    ) -> Result<Whole<'a>, Halt> {
        let mut list = Self::new(glance, context, query, budget, hidden, None);
        let params = params::of(query, glance.upstream.credentials(), Order::ById, hidden);
        list.walk = Walk::new(glance, context, budget, params);
        let most = glance.bounds.resort_limit.get();
        let (mut count, mut images) = (0, Vec::new());
        while let Some(page) = list.walk.next(usize::MAX).await? {
            count += page.len();
            images.extend(page);
            match why {
                Why::Disorder => images.retain(|image| query.admits(image)),
                Why::Doubt => {
                    if glance.collation.of_text(&query.sort) == Belief::Unknown {
                        collation::learn(glance, context, query, budget, hidden, &images).await?;
                    }
                    if glance.collation.of_text(&query.sort) == Belief::Ours && !list.walk.has_ended() {
                        return Ok(Whole::Needless);
                    }
                }
            }
            if count > most {
                return Err(Halt::Failed(too_many(most, why)));
            }
        }
        images.retain(|image| query.admits(image));
        images.sort_unstable_by(|a, b| query.sort.compare(a, b));
        list.unchecked = images.into();
        list.ended = true;
        Ok(Whole::Sorted(Box::new(list)))
    }

    /// Whether the server must be asked before it is known what comes next.
    pub(super) fn is_about_to_ask(&self) -> bool {
        self.ready.is_empty() && !self.ended && !self.walk.has_ended()
    }

    /// Reads until an image is at hand, or the end. `missing` is how many images are wanted altogether.
    pub(super) async fn fill(&mut self, missing: usize) -> Result<(), Halt> {
        while self.ready.is_empty() && !(self.ended && self.unchecked.is_empty()) {
            let mut done = Vec::new();
            if !self.unchecked.is_empty() {
                let some = missing.saturating_add(1).min(self.unchecked.len());
                done.extend(self.unchecked.drain(..some));
                self.ready.extend(tenancy::listed(self.glance, self.context, self.query, done).await?);
                continue;
            }
            if !self.walk.has_ended() && self.stands_badly() {
                return Err(Halt::Disorder);
            }
            // Whoever needs a second page may need many.
            let wanted = missing.saturating_add(MARGIN).saturating_mul(1 << self.rounds.min(16));
            self.rounds += 1;
            match self.walk.next(wanted).await? {
                None => self.end(&mut done),
                Some(page) => self.sift(page, &mut done)?,
            }
            done.retain(|image| self.query.admits(image));
            self.ready.extend(tenancy::listed(self.glance, self.context, self.query, done).await?);
        }
        Ok(())
    }

    /// The next image, if [`fill`](Self::fill) found one.
    pub(super) fn peek(&self) -> Option<&Image> {
        self.ready.front()
    }

    /// Takes the next image.
    pub(super) fn pop(&mut self) -> Option<Image> {
        self.ready.pop_front()
    }

    fn stands_badly(&self) -> bool {
        let sort = &self.query.sort;
        self.last.as_ref().is_some_and(|last| is_no_place_to_go_on(sort, &sort.position_of(last)))
    }

    fn end(&mut self, done: &mut Vec<Image>) {
        self.ended = true;
        self.close_run(done);
    }

    /// Puts a page's images in order as far as that can be told yet.
    fn sift(&mut self, page: Vec<Image>, done: &mut Vec<Image>) -> Result<(), Halt> {
        for (place, image) in page.into_iter().enumerate() {
            if params::is_beyond(self.query, &image) {
                self.end(done);
                return Ok(());
            }
            let last = if self.by_time { self.run.last() } else { done.last().or(self.last.as_ref()) };
            let compared = last.map_or(Ordering::Less, |last| self.compare_visibly(last, &image));
            if compared.is_gt() {
                // It was made or changed after the walk had passed its place.
                if self.walk.has_begun_again() {
                    continue;
                }
                return Err(self.out_of_order(last, &image, place));
            }
            if let Some(last) = last.filter(|_| place > 0) {
                self.glance.collation.saw(&self.query.sort, last, &image);
            }
            if !self.by_time {
                done.push(image);
                continue;
            }
            if compared.is_ne() {
                self.close_run(done);
            }
            self.run.push(image);
        }
        self.last =
            if self.by_time { self.run.last() } else { done.last() }.cloned().or_else(|| self.last.take());
        Ok(())
    }

    fn close_run(&mut self, done: &mut Vec<Image>) {
        self.run.sort_unstable_by(|a, b| self.query.sort.compare(a, b));
        done.append(&mut self.run);
    }

    /// `image` should have come before `last`. `place` is where it stands on its page: within one page
    /// nothing can have changed meanwhile, so that shows how the server orders.
    fn out_of_order(&self, last: Option<&Image>, image: &Image, place: usize) -> Halt {
        let differs = |key: &SortKey| last.is_some_and(|last| key.value(last) != key.value(image));
        let key = self.query.sort.keys().iter().map(|(key, _)| *key).find(differs);
        if let Some(key) = key
            && place > 0
        {
            self.glance.collation.distrust(&self.glance.name, key);
        }
        Halt::Disorder
    }

    /// Compares by what the server can be held to.
    fn compare_visibly(&self, a: &Image, b: &Image) -> Ordering {
        params::leading(&self.query.sort)
            .iter()
            .map(|(key, direction)| direction.apply(key.value(a).cmp(&key.value(b))))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// Whether a sort has a time in it.
fn is_by_time(sort: &Sort) -> bool {
    sort.keys().iter().any(|(key, _)| matches!(key, SortKey::CreatedAt | SortKey::UpdatedAt))
}

/// Whether `image` stands before the query's position in any order that the server can mean, and where it does
/// not lose its place.
pub(super) fn is_surely_before(query: &Query, image: &Image) -> bool {
    let Some(position) = &query.position else { return false };
    let keys = params::leading(&query.sort).iter();
    let differing = keys.zip(&position.values).find(|((key, _), value)| key.value(image) != **value);
    let before = differing.map_or_else(
        // Images of one second are in no order that we see.
        || !is_by_time(&query.sort) && !query.sort.is_after(image, position),
        |((key, direction), value)| direction.apply(key.value(image).cmp(value)).is_lt(),
    );
    before && !is_no_place_to_go_on(&query.sort, &query.sort.position_of(image))
}

/// Whether Glance loses its place when it is to go on behind an image that stands at `position`.
///
/// It takes an unset name for an empty one, and an unset size for an empty text, which some databases put
/// behind every number. Unset and empty values then come twice or never.
pub(super) fn is_no_place_to_go_on(sort: &Sort, position: &Position) -> bool {
    params::leading(sort).iter().zip(&position.values).any(|((key, _), value)| match (key, value) {
        (SortKey::Size, SortValue::Unset | SortValue::Number(0)) | (SortKey::Name, SortValue::Unset) => true,
        (SortKey::Name, SortValue::Text(name)) => name.is_empty(),
        _ => false,
    })
}

fn too_many(most: usize, why: Why) -> Error {
    let message = match why {
        Why::Disorder => format!(
            "the image service behind cannot list in this order, and has more images than the {most} of resort_limit"
        ),
        Why::Doubt => format!(
            "how the image service behind orders text does not show in the {most} images of resort_limit; \
             text_order can say it"
        ),
    };
    Error::new(ErrorKind::Unavailable, message).answered()
}
