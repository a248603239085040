//! One list of the server, page after page, whatever its pages are like.
//!
//! Servers cut pages as they like, and say that there are more by a `next` link, or not at all. A walk goes on
//! by `marker`, the id of the last image, and never by the link. It gives each image once, notices a server that
//! ignores the marker, begins again if the marker's image has gone, and stops asking at a bound.
//!
//! It must not know what the query is about: parameters come ready made, images go out as they came.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image_service::{Context, Error, ErrorKind, Image, ImageId, Result};
use reqwest::StatusCode;

use super::Glance;
use super::params::Params;
use super::wire::{self, ListPage};
use crate::fault::{self, Asked};

/// How often a walk begins again because the image that it stood at has gone. Each time takes a deletion at the
/// very image in the moment between two pages.
const RESTARTS: usize = 3;

/// What is known of a server's `next` links. What was seen once stays true.
#[derive(Debug, Default)]
pub(super) struct NextHabit {
    gives: AtomicBool,
    does_not: AtomicBool,
}

/// The requests that one page of ours may still cost. Shared by the walks that it is made of.
#[derive(Debug)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    pub(super) const fn new(requests: usize) -> Self {
        Self(AtomicUsize::new(requests))
    }

    /// Takes one request out of what is left.
    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// Where in a list a walk may begin.
///
/// An image can change its place between two requests, and what lies behind it is then no longer what was meant.
/// If the image that was seen right behind the marker still comes first, everything behind it comes too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The image to go on behind.
    pub(super) marker: ImageId,
    /// The image right behind it.
    pub(super) first: ImageId,
}

/// Why a walk went no further.
#[derive(Debug)]
pub(super) enum Halt {
    /// The budget is spent.
    Spent,
    /// The list cannot be had in the order asked for.
    Disorder,
    /// The image to begin behind is not there, or is no place to begin at.
    Lost,
    /// A request failed, or its answer made no sense.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A list of the server on the way.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    glance: &'a Glance,
    context: &'a Context,
    budget: &'a Budget,
    params: Params,
    marker: Option<ImageId>,
    /// Whether there is nothing to walk but what is behind the first marker.
    only_behind: bool,
    /// What must come first. If it does not, the marker has moved, and the walk begins at the beginning.
    first: Option<ImageId>,
    seen: HashSet<ImageId>,
    restarts: usize,
    /// How many images may still come that have come before, since the walk began again.
    repeats: usize,
    ended: bool,
}

impl<'a> Walk<'a> {
    /// A walk through the list that `params` ask for, from its beginning.
    pub(super) fn new(glance: &'a Glance, context: &'a Context, budget: &'a Budget, params: Params) -> Self {
        Self {
            glance,
            context,
            budget,
            params,
            marker: None,
            only_behind: false,
            first: None,
            seen: HashSet::new(),
            restarts: 0,
            repeats: 0,
            ended: false,
        }
    }

    /// The same walk from `place` on, or from the beginning if that is not as it was.
    pub(super) fn from(self, place: Option<Place>) -> Self {
        match place {
            Some(Place { marker, first }) => Self { marker: Some(marker), first: Some(first), ..self },
            None => self,
        }
    }

    /// The same walk behind `marker`. It halts with [`Halt::Lost`] if that image is not there, or the server does
    /// not go on behind it.
    pub(super) fn only_behind(self, marker: ImageId) -> Self {
        Self { marker: Some(marker), only_behind: true, ..self }
    }

    /// The next images, about `wanted` of them, none of which has come before. `None` at the end.
    pub(super) async fn next(&mut self, wanted: usize) -> Result<Option<Vec<Image>>, Halt> {
        let wanted = wanted.clamp(1, self.glance.bounds.page_size.get());
        while !self.ended {
            let Some(page) = self.ask(wanted, self.marker.as_ref()).await? else {
                self.begin_again()?;
                continue;
            };
            if let Some(first) = self.first.take()
                && page.images.first().is_none_or(|image| image.id != first)
            {
                self.marker = None;
                continue;
            }
            let fresh = self.take(page, wanted).await?;
            if !fresh.is_empty() {
                return Ok(Some(fresh));
            }
        }
        Ok(None)
    }

    /// Whether there is nothing behind what has come.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the walk has lost its place once, so that images may come that belong before others.
    pub(super) const fn has_begun_again(&self) -> bool {
        self.restarts > 0
    }

    /// Checks a page against the walk so far, and keeps what is new.
    async fn take(&mut self, page: ListPage, wanted: usize) -> Result<Vec<Image>, Halt> {
        let Some(last) = page.images.last().map(|image| image.id.clone()) else {
            self.ended = true;
            return Ok(Vec::new());
        };
        if page.images.iter().any(|image| Some(&image.id) == self.marker.as_ref()) {
            // A server can lose its place behind an image with unset values, which nobody has seen yet.
            let astray = || fault::nonsense("its list does not go on behind the marker").into();
            return Err(if self.only_behind { Halt::Lost } else { astray() });
        }
        self.ended = !page.next && page.images.len() < wanted && self.short_page_is_the_last().await?;
        self.marker = Some(last);
        let count = page.images.len();
        let fresh: Vec<Image> =
            page.images.into_iter().filter(|image| self.seen.insert(image.id.clone())).collect();
        if fresh.is_empty() {
            self.go_over_known_ground(count)?;
        }
        Ok(fresh)
    }

    /// Accounts for a page of images all of which have come before.
    ///
    /// That is to be expected once the walk has begun again, until it is back where it was. Otherwise the image
    /// at the marker has moved up since, and everything behind its new place comes again; or the server goes
    /// round in circles.
    fn go_over_known_ground(&mut self, count: usize) -> Result<(), Halt> {
        if self.ended {
            return Ok(());
        }
        match self.repeats.checked_sub(count) {
            Some(left) => self.repeats = left,
            None if self.restarts == 0 => self.begin_again()?,
            None => return Err(fault::nonsense("its list goes round in circles").into()),
        }
        Ok(())
    }

    /// Whether a page shorter than asked for and without `next` is the last one.
    ///
    /// It is if the server is one that gives `next` at all. Glance shows that on any list that has an image, cut
    /// after the first one. Of another server, the page behind must be asked for.
    async fn short_page_is_the_last(&self) -> Result<bool, Halt> {
        let habit = &self.glance.next_habit;
        if !habit.gives.load(Ordering::Relaxed) && !habit.does_not.load(Ordering::Relaxed) {
            let cut = self.ask(1, None).await?;
            let tells = cut.is_some_and(|page| !page.next && !page.images.is_empty());
            habit.does_not.fetch_or(tells, Ordering::Relaxed);
        }
        Ok(habit.gives.load(Ordering::Relaxed))
    }

    /// Goes back to the beginning, for the image at the marker has gone.
    fn begin_again(&mut self) -> Result<(), Halt> {
        if self.only_behind {
            return Err(Halt::Lost);
        }
        self.restarts += 1;
        if self.restarts > RESTARTS {
            return Err(fault::nonsense("its list cannot go on from its own images").into());
        }
        self.marker = None;
        self.first = None;
        self.repeats = self.seen.len();
        Ok(())
    }

    /// One request. `None` if the server does not know the marker any more.
    async fn ask(&self, limit: usize, marker: Option<&ImageId>) -> Result<Option<ListPage>, Halt> {
        ask(self.glance, self.context, self.budget, &self.params, limit, marker).await
    }
}

/// One page of a list. `None` if the server does not know the marker.
pub(super) async fn ask(
    glance: &Glance,
    context: &Context,
    budget: &Budget,
    params: &Params,
    limit: usize,
    marker: Option<&ImageId>,
) -> Result<Option<ListPage>, Halt> {
    if !budget.take() {
        return Err(Halt::Spent);
    }
    let mut url = glance.images_url()?;
    url.query_pairs_mut()
        .extend_pairs(params)
        .append_pair("limit", &limit.to_string())
        .extend_pairs(marker.map(|marker| ("marker", marker.as_str())));
    let reply = glance.upstream.read(context, url).await?;
    match reply.status {
        StatusCode::OK => {
            let page = wire::page(&reply.body)?;
            if page.next {
                glance.next_habit.gives.store(true, Ordering::Relaxed);
            }
            Ok(Some(page))
        }
        // Without a marker the same request was understood, or will be.
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if marker.is_some() => {
            Ok(None)
        }
        _ => Err(glance.refusal(Asked::List, "the list", &reply).into()),
    }
}

/// The error for a list that costs more requests than are allowed.
pub(super) fn spent() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the image service behind does not come to the images asked for within max_pages requests",
    )
    .answered()
}
