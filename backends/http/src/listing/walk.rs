//! One list of a server, page after page, whatever its pages are like.
//!
//! A walk goes on by the id of the last image. It gives each image once, notices a server that ignores the marker,
//! begins again if the marker's image has gone, and spends no more requests than it is given.

use std::collections::HashSet;

use image_service::{Context, Error, Image, ImageId, Query};

use super::{Lister, Order};
use crate::fault;

/// How often a walk begins again because the image that it stood at has gone. Each time takes a deletion at the
/// very image in the moment between two pages.
const RESTARTS: usize = 3;

/// Where in a list a walk may begin.
///
/// An image can change its place between two requests, and what lies behind it is then no longer what was meant.
/// If the image that was seen right behind the marker still comes first, everything behind it comes too.
#[derive(Debug)]
pub(super) struct Place {
    /// The image to go on behind.
    pub(super) marker: ImageId,
    /// The image right behind it.
    pub(super) first: ImageId,
}

/// Why a walk went no further.
#[derive(Debug)]
pub(super) enum Halt {
    /// The requests are spent.
    Spent,
    /// The list does not come in the order asked for.
    Disorder,
    /// The image to begin behind is not there.
    Lost,
    /// A request failed, or its answer made no sense.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A list on the way.
pub(super) struct Walk<'a> {
    lister: &'a dyn Lister,
    context: &'a Context,
    query: &'a Query,
    order: Order,
    most: usize,
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
    /// A walk through the whole list in this order, with at most `most` images to a request.
    pub(super) fn new(
        lister: &'a dyn Lister,
        context: &'a Context,
        query: &'a Query,
        order: Order,
        most: usize,
    ) -> Self {
        Self {
            lister,
            context,
            query,
            order,
            most,
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

    /// The same walk behind `marker`. It halts with [`Halt::Lost`] if that image is not there.
    pub(super) fn only_behind(self, marker: ImageId) -> Self {
        Self { marker: Some(marker), only_behind: true, ..self }
    }

    /// The next images, about `wanted` of them, none of which has come before. `None` at the end.
    pub(super) async fn next(
        &mut self,
        wanted: usize,
        budget: &mut usize,
    ) -> Result<Option<Vec<Image>>, Halt> {
        let wanted = wanted.clamp(1, self.most);
        while !self.ended {
            *budget = budget.checked_sub(1).ok_or(Halt::Spent)?;
            let asked = self.lister.ask(self.context, self.query, self.order, wanted, self.marker.as_ref());
            let Some(page) = asked.await? else {
                self.begin_again()?;
                continue;
            };
            if let Some(first) = self.first.take()
                && page.first().is_none_or(|image| image.id != first)
            {
                self.marker = None;
                continue;
            }
            let fresh = self.take(page, wanted)?;
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
    fn take(&mut self, page: Vec<Image>, wanted: usize) -> Result<Vec<Image>, Halt> {
        let Some(last) = page.last().map(|image| image.id.clone()) else {
            self.ended = true;
            return Ok(Vec::new());
        };
        if page.iter().any(|image| Some(&image.id) == self.marker.as_ref()) {
            return Err(fault::nonsense("its list does not go on behind the marker").into());
        }
        let count = page.len();
        self.ended = self.lister.is_last(count, wanted);
        self.marker = Some(last);
        let fresh: Vec<Image> = page.into_iter().filter(|image| self.seen.insert(image.id.clone())).collect();
        if fresh.is_empty() && !self.ended {
            self.go_over_known_ground(count)?;
        }
        Ok(fresh)
    }

    /// Accounts for a page of images all of which have come before.
    ///
    /// That is to be expected once the walk has begun again, until it is back where it was. Otherwise the image at the
    /// marker has moved up since, and everything behind its new place comes again; or the server goes round in circles.
    fn go_over_known_ground(&mut self, count: usize) -> Result<(), Halt> {
        match self.repeats.checked_sub(count) {
            Some(left) => self.repeats = left,
            None if self.restarts == 0 => self.begin_again()?,
            None => return Err(fault::nonsense("its list goes round in circles").into()),
        }
        Ok(())
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
}
