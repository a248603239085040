//! One backend's part of a list, made exact: what the backend does not do by itself is done here.
//!
//! Filters it lacks are tested here, and so are those it has. A page that is shorter than asked is filled up. A
//! backend that cannot sort as asked, or is caught out of order, is read whole, within a bound, and sorted here;
//! one without `detail` is asked for `index` and `show`.

use std::num::NonZeroUsize;

use image_service::{
    Capabilities, Context, Direction, Error, ErrorKind, Image, ImageService, Page, Position, Query, Result,
    Resume, Sort, SortKey, SourceReport, detail_by_show,
};

/// The bounds on reading one source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most images read from a source in order to sort them here.
    pub(super) resort: usize,
    /// How many images are shown at a time where `detail` is made of `index` and `show`.
    pub(super) width: usize,
}

/// What part of a page may be missing for it to be taken as full: none of a page of fewer images.
const NEARLY: usize = 64;

/// Whether `images` of `limit` are a page that is not worth another call for the rest: a few that are missing on a
/// large page. A short page is a page too.
pub(super) const fn is_nearly_full(images: usize, limit: usize) -> bool {
    images.saturating_add(limit / NEARLY) >= limit
}

/// Reads the page that `query` asks for, with a limit, from `service`.
///
/// # Errors
/// The backend's; `Unavailable` if it would have to be sorted here and holds more than the bound.
pub(super) async fn page(
    service: &dyn ImageService,
    context: &Context,
    query: &Query,
    limit: NonZeroUsize,
    bounds: Bounds,
) -> Result<Page<Image>> {
    let reader = Reader { can: service.capabilities(), service, context, bounds };
    if query.sort.keys().iter().all(|(key, _)| reader.can.sort_keys.contains(key))
        && let Some(page) = reader.in_order(query, limit).await?
    {
        return Ok(page);
    }
    reader.sorted_here(query, limit).await
}

struct Reader<'a> {
    can: Capabilities,
    service: &'a dyn ImageService,
    context: &'a Context,
    bounds: Bounds,
}

impl Reader<'_> {
    /// Reads on until there are `limit` images or no more. `None` if they come out of order.
    async fn in_order(&self, query: &Query, limit: NonZeroUsize) -> Result<Option<Page<Image>>> {
        let mut asked = self.pushed_down(query);
        let tested_here = asked.filters.len() < query.filters.len();
        let mut images: Vec<Image> = Vec::new();
        loop {
            // Where most of a page may be thrown away here, pages of the backend's own size get on faster.
            asked.limit = NonZeroUsize::new(limit.get() - images.len()).filter(|_| !tested_here);
            let page = self.detail(&asked).await?;
            let Some(last) = advance(&asked, &page.items) else {
                return Ok(page.items.is_empty().then(|| finished(images, false, page.sources, None)));
            };
            asked.position = Some(last);
            asked.resume.clone_from(&page.resume);
            images.extend(page.items.into_iter().filter(|image| query.admits(image)));
            if is_nearly_full(images.len(), limit.get()) || !page.more {
                let cut = images.len() > limit.get();
                let more = page.more || cut;
                images.truncate(limit.get());
                let resume = page.resume.filter(|_| !cut);
                return Ok(Some(finished(images, more, page.sources, resume)));
            }
        }
    }

    /// Reads the whole source in whatever order it has, and sorts here.
    async fn sorted_here(&self, query: &Query, limit: NonZeroUsize) -> Result<Page<Image>> {
        let key = [SortKey::Id, SortKey::CreatedAt].into_iter().find(|key| self.can.sort_keys.contains(key));
        let sort = Sort::by(key.map(|key| (key, Direction::Asc)));
        let mut asked = Query { sort, position: None, resume: None, limit: None, ..self.pushed_down(query) };
        let mut images: Vec<Image> = Vec::new();
        let mut read = 0;
        let sources = loop {
            let page = self.detail(&asked).await?;
            read += page.items.len();
            let last = page.items.last().map(|last| asked.sort.position_of(last));
            images.extend(page.items.into_iter().filter(|image| query.admits(image)));
            if read > self.bounds.resort {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("more than {} images would have to be sorted here", self.bounds.resort),
                )
                .answered());
            }
            if !page.more {
                break page.sources;
            }
            if last == asked.position {
                return Err(stuck());
            }
            asked.position = last;
        };
        Ok(Page { sources, ..Query { limit: Some(limit), ..query.clone() }.page_of(images) })
    }

    fn pushed_down(&self, query: &Query) -> Query {
        let filters = query.filters.iter().filter(|filter| self.can.filters.contains(&filter.field()));
        Query { filters: filters.cloned().collect(), ..query.clone() }
    }

    async fn detail(&self, query: &Query) -> Result<Page<Image>> {
        match self.service.detail(self.context, query).await {
            Err(error) if error.kind() == ErrorKind::NotImplemented => {
                detail_by_show(self.service, self.context, query, self.bounds.width).await
            }
            answer => answer,
        }
    }
}

/// The place behind the last of `images`, if all of them stand in order behind the place asked from.
fn advance(query: &Query, images: &[Image]) -> Option<Position> {
    let starts = images.first()?;
    let after = query.position.as_ref().is_none_or(|position| query.sort.is_after(starts, position));
    let sorted = images.is_sorted_by(|a, b| query.sort.compare(a, b).is_lt());
    if !after || !sorted {
        return None;
    }
    images.last().map(|last| query.sort.position_of(last))
}

fn finished(
    images: Vec<Image>,
    more: bool,
    sources: Vec<SourceReport>,
    resume: Option<Resume>,
) -> Page<Image> {
    Page { sources, resume, ..Page::new(images, more) }
}

fn stuck() -> Error {
    Error::new(ErrorKind::Internal, "the list does not move on")
}
