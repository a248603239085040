//! A page in our order, out of a server's list that has one of its own.
//!
//! For servers that sort by one key, or by none that can be chosen. Where the server's order is the query's first key,
//! images that are equal in it are gathered and put in order here, for what decides between them there does not show.
//! Where it is not, or turns out not to be what it is said to be, the list is read whole and sorted here, within a
//! bound, as it is kept in memory.
//!
//! This module must not know what a request looks like, nor who may see what: a [`Lister`] says that.

mod walk;

use std::cmp::Ordering;
use std::num::NonZeroUsize;

use async_trait::async_trait;
use image_service::{
    Context, Direction, Error, ErrorKind, Image, ImageId, Page, Query, Result, Resume, SortKey,
};

use crate::fault;
use crate::options::Options;
use walk::{Halt, Place, Walk};

/// How many images to ask for beyond those that are wanted: others of the same value, and one to see what is behind.
const MARGIN: usize = 8;

/// How many images to ask for on the way back from the position: first, and when these were not enough.
const STEPS: [usize; 2] = [4, 64];

/// An order that a server may have.
pub(crate) type Order = (SortKey, Direction);

/// How much of a server's time and of our memory one page may take. The defaults are with [`crate::Options`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The most images in one request, and in one page of ours.
    pub(crate) page_size: NonZeroUsize,
    /// The most requests for one page of ours.
    pub(crate) max_pages: NonZeroUsize,
    /// The most images to keep in memory to put them in order.
    pub(crate) resort_limit: NonZeroUsize,
}

impl Bounds {
    /// The bounds that `options` set.
    pub(crate) const fn of(options: &Options) -> Self {
        Self {
            page_size: options.page_size,
            max_pages: options.max_pages,
            resort_limit: options.resort_limit,
        }
    }
}

/// One server's list.
#[async_trait]
pub(crate) trait Lister: Send + Sync {
    /// The order to read the whole list in. No image may change its place in it.
    fn steady(&self) -> Order;

    /// Whether it lists in this order just as we do, so that values need not be compared across pages.
    fn lists_by(&self, order: Order) -> bool;

    /// Asks for about `limit` images in this order behind `marker`: at least those that the query admits. `None` if the
    /// server does not know the marker.
    async fn ask(
        &self,
        context: &Context,
        query: &Query,
        order: Order,
        limit: usize,
        marker: Option<&ImageId>,
    ) -> Result<Option<Vec<Image>>>;

    /// Whether a page of so many images, where `limit` were asked for, is the last one.
    fn is_last(&self, count: usize, limit: usize) -> bool;

    /// Those of `images` that a list of the query shows to the caller, in the same order.
    async fn listed(&self, context: &Context, query: &Query, images: Vec<Image>) -> Result<Vec<Image>>;
}

/// The page that `query` asks for.
pub(crate) async fn page(
    lister: &dyn Lister,
    bounds: Bounds,
    context: &Context,
    query: &Query,
) -> Result<Page<Image>> {
    query.check()?;
    let limit = query.limit.map_or(bounds.page_size, |limit| limit.min(bounds.page_size));
    let reader = Reader { lister, bounds, context, query, limit: limit.get() };
    let mut budget = bounds.max_pages.get();
    let first = query.sort.keys().first().copied();
    if let Some(order) = first.filter(|order| lister.lists_by(*order)) {
        match reader.in_order(order, &mut budget).await {
            Ok(page) => return Ok(page),
            Err(Halt::Disorder | Halt::Lost) => {}
            Err(halt) => return Err(failure(halt)),
        }
    }
    reader.sorted_here(&mut budget).await.map_err(failure)
}

fn failure(halt: Halt) -> Error {
    match halt {
        Halt::Failed(error) => error,
        Halt::Spent => Error::new(
            ErrorKind::Unavailable,
            "the image service behind does not come to the images asked for within max_pages requests",
        )
        .answered(),
        Halt::Disorder | Halt::Lost => fault::nonsense("its list has no order"),
    }
}

struct Reader<'a> {
    lister: &'a dyn Lister,
    bounds: Bounds,
    context: &'a Context,
    query: &'a Query,
    limit: usize,
}

impl Reader<'_> {
    fn walk(&self, order: Order) -> Walk<'_> {
        Walk::new(self.lister, self.context, self.query, order, self.bounds.page_size.get())
    }

    /// Reads in the server's order, as far as needed.
    async fn in_order(&self, order: Order, budget: &mut usize) -> Result<Page<Image>, Halt> {
        let place = self.place(order, budget).await?;
        let mut walk = self.walk(order).from(place);
        let (mut run, mut items) = (Vec::new(), Vec::new());
        let mut wanted = self.limit.saturating_add(MARGIN);
        loop {
            let read = match walk.next(wanted, budget).await {
                // A short page is a page too, and its reader comes back for more.
                Err(Halt::Spent) if !items.is_empty() => return Ok(Page::new(items, true)),
                read => read?,
            };
            let (mut done, ended) = match read {
                Some(images) => (self.sift(order, images, &mut run, &walk)?, walk.has_ended()),
                None => (Vec::new(), true),
            };
            if ended {
                self.close(&mut run, &mut done);
            }
            done.retain(|image| self.query.admits(image));
            items.extend(self.lister.listed(self.context, self.query, done).await?);
            if ended || items.len() >= self.limit {
                let more = !ended || items.len() > self.limit;
                items.truncate(self.limit);
                return Ok(Page::new(items, more));
            }
            // Whoever needs a second page may need many.
            wanted = wanted.saturating_mul(2);
        }
    }

    /// Puts a page's images in order as far as that can be told yet, and gives those.
    fn sift(
        &self,
        (key, direction): Order,
        images: Vec<Image>,
        run: &mut Vec<Image>,
        walk: &Walk<'_>,
    ) -> Result<Vec<Image>, Halt> {
        let mut done = Vec::new();
        for image in images {
            let last = run.last().map_or(Ordering::Less, |last| direction.apply(key.compare(last, &image)));
            match last {
                // It was made or changed after the walk had passed its place.
                Ordering::Greater if walk.has_begun_again() => continue,
                Ordering::Greater => return Err(Halt::Disorder),
                Ordering::Less => self.close(run, &mut done),
                Ordering::Equal => {}
            }
            run.push(image);
            if run.len() > self.bounds.resort_limit.get() {
                return Err(Halt::Failed(self.too_many()));
            }
        }
        Ok(done)
    }

    fn close(&self, run: &mut Vec<Image>, done: &mut Vec<Image>) {
        run.sort_unstable_by(|a, b| self.query.sort.compare(a, b));
        done.append(run);
    }

    /// Reads everything that the query may admit, and sorts it here.
    async fn sorted_here(&self, budget: &mut usize) -> Result<Page<Image>, Halt> {
        let mut walk = self.walk(self.lister.steady());
        let mut images = Vec::new();
        while let Some(page) = walk.next(usize::MAX, budget).await? {
            images.extend(page.into_iter().filter(|image| self.query.admits(image)));
            if images.len() > self.bounds.resort_limit.get() {
                return Err(Halt::Failed(self.too_many()));
            }
        }
        images.sort_unstable_by(|a, b| self.query.sort.compare(a, b));
        let (mut items, mut rest) = (Vec::new(), images.into_iter().peekable());
        while items.len() < self.limit && rest.peek().is_some() {
            let some = rest.by_ref().take(self.limit).collect();
            items.extend(self.lister.listed(self.context, self.query, some).await?);
        }
        let more = rest.peek().is_some() || items.len() > self.limit;
        items.truncate(self.limit);
        Ok(Page::new(items, more))
    }

    fn too_many(&self) -> Error {
        let most = self.bounds.resort_limit;
        let message = format!(
            "the image service behind cannot list in this order, and has more images than the {most} of resort_limit"
        );
        Error::new(ErrorKind::Unavailable, message).answered()
    }

    /// Where in the server's list the page may begin, so that it need not be read from its start.
    ///
    /// The image at the position is known from the page before, or one that the query's resume names. Neither is
    /// believed: from it the list is read backwards, a few images, until one is met that we see standing before the
    /// position. Behind that one everything comes that the page can need.
    async fn place(&self, order: Order, budget: &mut usize) -> Result<Option<Place>, Halt> {
        let Some(position) = &self.query.position else { return Ok(None) };
        let back = (order.0, opposite(order.1));
        if !self.lister.lists_by(back) {
            return Ok(None);
        }
        let hint = match &self.query.resume {
            Some(Resume::Behind(id)) if *id != position.id => Some(id),
            _ => None,
        };
        for known in hint.into_iter().chain([&position.id]) {
            if let Some(place) = self.back_from(order, back, known, budget).await? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    async fn back_from(
        &self,
        order: Order,
        back: Order,
        known: &ImageId,
        budget: &mut usize,
    ) -> Result<Option<Place>, Halt> {
        let mut walk = self.walk(back).only_behind(known.clone());
        let mut nearer: Option<ImageId> = None;
        for step in STEPS {
            let images = match walk.next(step, budget).await {
                Ok(Some(images)) => images,
                // Its start is near, and so is not worth a place.
                Ok(None) | Err(Halt::Lost) => return Ok(None),
                Err(halt) => return Err(halt),
            };
            for image in images {
                let marker = image.id.clone();
                if let Some(first) = nearer.replace(marker.clone())
                    && self.is_before(order, &image)
                {
                    return Ok(Some(Place { marker, first }));
                }
            }
        }
        Ok(None)
    }

    /// Whether `image` stands before the query's position in the server's order, as far as that shows.
    fn is_before(&self, (key, direction): Order, image: &Image) -> bool {
        let Some(position) = &self.query.position else { return false };
        match position.values.first() {
            Some(value) => direction.apply(key.compare_value(image, value)).is_lt(),
            // A sort by id alone has no other values.
            None => !self.query.sort.is_after(image, position) && image.id != position.id,
        }
    }
}

const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Asc => Direction::Desc,
        Direction::Desc => Direction::Asc,
    }
}

/// The parameters that name an order to servers that take one key, and its values.
pub(crate) fn sort_params((key, direction): Order) -> [(&'static str, &'static str); 2] {
    [("sort_key", key.as_str()), ("sort_dir", direction.as_str())]
}

#[cfg(test)]
mod tests;
