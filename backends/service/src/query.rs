//! What a list is asked for, and what it answers.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use crate::words::words;
use crate::{Filter, Image, ImageId, Position, Result, Sort, Visibility};

/// One page of a list, asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Conditions, all of which an image must satisfy.
    pub filters: Vec<Filter>,
    /// Which images the caller means among those it may see.
    pub scope: Scope,
    /// The order.
    pub sort: Sort,
    /// How many images at most. `None` leaves it to the service.
    pub limit: Option<NonZeroUsize>,
    /// Only images strictly after this place.
    pub position: Option<Position>,
    /// How to get there quickly: what the page before gave as [`Page::resume`]. What is listed hangs on the
    /// position alone, so this may be missing, stale or made up.
    pub resume: Option<Resume>,
}

impl Query {
    /// Whether `image` satisfies every filter and lies after the position. Tenancy is another matter: see
    /// [`crate::access`].
    #[must_use]
    pub fn admits(&self, image: &Image) -> bool {
        self.filters.iter().all(|filter| filter.matches(image))
            && self.position.as_ref().is_none_or(|position| self.sort.is_after(image, position))
    }

    /// Checks what a type cannot say.
    ///
    /// # Errors
    /// `Invalid` if the position was not made by the sort.
    pub fn check(&self) -> Result<()> {
        self.position.as_ref().map_or(Ok(()), |position| self.sort.check(position))
    }

    /// Picks the page that was asked for out of `images`, all of which are visible to the caller. For services
    /// that hold their whole catalogue. References will do: then only the page has to be copied.
    #[must_use]
    pub fn page_of<T: Borrow<Image>>(&self, images: impl IntoIterator<Item = T>) -> Page<T> {
        let order = |a: &T, b: &T| self.sort.compare(a.borrow(), b.borrow());
        let mut admitted: Vec<T> = images.into_iter().filter(|image| self.admits(image.borrow())).collect();
        let limit = self.limit.map_or(usize::MAX, NonZeroUsize::get);
        let more = admitted.len() > limit;
        if more {
            admitted.select_nth_unstable_by(limit, order);
            admitted.truncate(limit);
        }
        admitted.sort_unstable_by(order);
        Page::new(admitted, more)
    }
}

/// Which of the images that a caller may see a list is to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    /// By visibility.
    pub visibility: VisibilityScope,
    /// By what the caller, as a member, has said to images shared with it.
    pub member_status: MemberScope,
}

/// Which visibilities a list shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VisibilityScope {
    /// Public images, the caller's own of any kind, and those shared with it. Not others' community images.
    #[default]
    Usual,
    /// The usual ones and others' community images.
    All,
    /// Only images of this visibility.
    Only(Visibility),
}

words! {
    /// A member's answer, as a list may ask for it. Bears on shared images only.
    MemberScope, "member_status", {
        /// Accepted.
        Accepted = "accepted",
        /// Not answered yet.
        Pending = "pending",
        /// Rejected.
        Rejected = "rejected",
        /// Whatever the answer.
        All = "all",
    }
}

impl Default for MemberScope {
    /// A list shows what the caller has accepted.
    fn default() -> Self {
        Self::Accepted
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order of the query, none twice. May be fewer than asked for.
    pub items: Vec<T>,
    /// Whether there may be more behind the last item. Never set on an empty page.
    pub more: bool,
    /// For a service that draws on several sources: how each of them fared, by name, in their configured
    /// order. Empty for a plain store.
    pub sources: Vec<SourceReport>,
    /// For a service that draws on several sources: what to ask on with, as [`Query::resume`], behind the last
    /// item. `None` for a plain store, whose last item says it all.
    pub resume: Option<Resume>,
}

/// How far the images of a store have been read in a walk: only ever a hint.
///
/// A position says where a walk stands by value. A store that cannot begin anywhere, but behind an image of its own,
/// gets there by reading from its start; this spares it that, for the position's image may be in another store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// A plain store: the last image of its own that was given, or passed over, at or before the position.
    Behind(ImageId),
    /// A service of several sources: each source's own, by name. A source that is not named has given nothing yet.
    Sources(BTreeMap<String, Self>),
}

impl<T> Page<T> {
    /// A page of a plain store. `more` is dropped if there are no items to go on from.
    #[must_use]
    pub fn new(items: Vec<T>, more: bool) -> Self {
        Self { more: more && !items.is_empty(), items, sources: Vec::new(), resume: None }
    }

    /// The same page with other items in their places.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        let Self { items, more, sources, resume } = self;
        Page { items: items.into_iter().map(each).collect(), more, sources, resume }
    }
}

/// How one source fared in one list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceReport {
    /// The source's configured name. A source inside a source is `outer.inner`.
    pub name: String,
    /// How it fared.
    pub state: SourceState,
}

impl SourceReport {
    /// Adds to `known` how sources fared when they were asked once more: one that failed once has failed.
    pub fn note(known: &mut Vec<Self>, new: Vec<Self>) {
        for report in new {
            match known.iter_mut().find(|one| one.name == report.name) {
                Some(one) if one.state == SourceState::Ok => one.state = report.state,
                Some(_) => {}
                None => known.push(report),
            }
        }
    }
}

words! {
    /// How a source fared.
    SourceState, "source state", {
        /// It answered, and its images are in the page.
        Ok = "ok",
        /// It did not answer in time.
        Timeout = "timeout",
        /// It refused the connection or our credentials.
        Refused = "refused",
        /// It answered with an error, or with nonsense.
        Error = "error",
        /// It was not asked, because it has failed too often of late.
        Open = "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_failed_once_has_failed() {
        let mut known = Vec::new();
        let report = |name: &str, state| SourceReport { name: name.to_owned(), state };
        for state in [SourceState::Ok, SourceState::Timeout, SourceState::Ok, SourceState::Refused] {
            SourceReport::note(&mut known, vec![report("a", state), report("b", SourceState::Ok)]);
        }
        assert_eq!(known, [report("a", SourceState::Timeout), report("b", SourceState::Ok)]);
    }
}
