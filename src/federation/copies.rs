//! Who else holds the images of a page.
//!
//! The pages of a list show a copy only where its own attributes put it, which may be on another page, or on none.
//! So every image of a page is also looked for by its id in the other backends, with one call for each backend and
//! page, but for those backends that are known not to hold it ([`census`](super::census)).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use image_service::{
    Context, Direction, Error, ErrorKind, Field, Filter, Image, ImageId, MemberScope, Page, Query, Result,
    Scope, Sort, SortKey, SourceState, VisibilityScope,
};

use super::Federation;
use super::census::Viewer;
use super::guard::Guard;
use super::merge::{Candidate, Weave};
use super::placement::{self, Copies};
use super::source::{self, Bounds};

/// Most ids in one call: as many as fit a request that any server takes.
const IDS: usize = 64;

/// How many calls for ids go to one backend at a time.
const WIDTH: usize = 4;

/// How long a count of ids that is under way may hold up a list.
const GRACE: Duration = Duration::from_millis(20);

/// Everything that came to light of some ids in the course of one list.
#[derive(Debug, Default)]
pub(super) struct Found {
    records: HashMap<ImageId, Vec<(usize, Arc<Image>)>>,
    asked: BTreeSet<(usize, ImageId)>,
}

impl Found {
    /// Learns what the sources gave of the candidates' ids.
    pub(super) fn note(&mut self, candidates: &[Candidate], weave: &Weave<'_>) {
        for candidate in candidates {
            self.add(candidate.source, &candidate.image);
        }
        for (source, image) in weave.pending() {
            if self.records.contains_key(&image.id) {
                self.add(source, image);
            }
        }
    }

    fn add(&mut self, source: usize, image: &Arc<Image>) {
        let records = self.records.entry(image.id.clone()).or_default();
        if records.iter().all(|(seen, _)| *seen != source) {
            records.push((source, Arc::clone(image)));
        }
    }

    fn knows(&self, source: usize, id: &ImageId) -> bool {
        self.records.get(id).is_some_and(|records| records.iter().any(|(seen, _)| *seen == source))
            || self.asked.contains(&(source, id.clone()))
    }

    /// The copies of an id, as far as they are known.
    pub(super) fn copies(&self, id: &ImageId) -> Option<Copies> {
        let records = self.records.get(id)?;
        placement::judge(records.iter().map(|(source, image)| (*source, image.as_ref())))
    }
}

impl Federation {
    /// Finds the other copies of the candidates in the `present` sources, each in its own circumstances. Gives the
    /// sources that did not answer, each with its error.
    pub(super) async fn find_copies(
        &self,
        candidates: &[Candidate],
        present: &[(usize, Context)],
        found: &mut Found,
    ) -> Vec<(usize, Error)> {
        if self.guards.len() < 2 {
            return Vec::new();
        }
        let counted = join_all(present.iter().map(|(source, _)| self.census.settled(*source)));
        // Who is not counted by then is asked.
        let _ = tokio::time::timeout(GRACE, counted).await;
        let Some(viewer) = present.first().map(|(_, context)| Viewer::of(&context.caller)) else {
            return Vec::new();
        };
        let ids: BTreeSet<&ImageId> = candidates.iter().map(|candidate| &candidate.image.id).collect();
        let ids: Vec<(&ImageId, Vec<usize>)> =
            ids.into_iter().map(|id| (id, self.census.vain(&viewer, id))).collect();
        let mut asks = Vec::new();
        for (source, context) in present {
            let unknown = ids.iter().filter(|(id, vain)| {
                !vain.contains(source) && !found.knows(*source, id) && !self.census.lacks(*source, id)
            });
            let unknown: Vec<ImageId> = unknown.map(|(id, _)| ImageId::clone(id)).collect();
            if let Some(guard) = self.guards.get(*source).filter(|_| !unknown.is_empty()) {
                asks.push((*source, guard, context, unknown));
            }
        }
        let bounds = self.bounds;
        let answers = join_all(asks.into_iter().map(async |(source, guard, context, ids)| {
            (source, holds(guard, context, &ids, bounds).await, ids)
        }));
        let mut failures = Vec::new();
        let mut vain: BTreeMap<ImageId, Vec<usize>> = BTreeMap::new();
        for (source, answer, ids) in answers.await {
            match answer {
                Ok(Held { images, answered }) => {
                    let held: BTreeSet<ImageId> = images.iter().map(|image| image.id.clone()).collect();
                    for image in images {
                        found.add(source, &Arc::new(image));
                    }
                    // What a silent part of a source may hold was not asked for in vain.
                    for id in ids.iter().filter(|id| answered == Answered::Wholly && !held.contains(id)) {
                        vain.entry(id.clone()).or_default().push(source);
                    }
                }
                Err(error) => failures.push((source, error)),
            }
            found.asked.extend(ids.into_iter().map(|id| (source, id)));
        }
        for (id, sources) in vain {
            self.census.note_vain(&viewer, &id, &sources);
        }
        failures
    }
}

/// What a backend holds of some ids.
struct Held {
    images: Vec<Image>,
    answered: Answered,
}

/// Whether all of a backend has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    /// It has.
    Wholly,
    /// A backend within it was silent.
    Partly,
}

/// Those of `ids` that a backend holds, as the caller may see them.
async fn holds(guard: &Guard, context: &Context, ids: &[ImageId], bounds: Bounds) -> Result<Held> {
    if !guard.service().capabilities().filters.contains(&Field::Id) {
        let shown: Vec<_> = ids.iter().map(|id| shown(guard, context, id).boxed()).collect();
        let shown: Vec<Option<Image>> = stream::iter(shown).buffered(bounds.width).try_collect().await?;
        return Ok(Held { images: shown.into_iter().flatten().collect(), answered: Answered::Wholly });
    }
    let pages: Vec<_> = ids.chunks(IDS).map(|ids| page_of(guard, context, ids, bounds).boxed()).collect();
    let pages: Vec<Page<Image>> = stream::iter(pages).buffered(WIDTH).try_collect().await?;
    let mut reports = pages.iter().flat_map(|page| &page.sources);
    let whole = reports.all(|report| report.state == SourceState::Ok);
    let answered = if whole { Answered::Wholly } else { Answered::Partly };
    Ok(Held { images: pages.into_iter().flat_map(|page| page.items).collect(), answered })
}

async fn shown(guard: &Guard, context: &Context, id: &ImageId) -> Result<Option<Image>> {
    match guard.read(context, "show", || guard.service().show(context, id)).await {
        Ok(image) => Ok(Some(image)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn page_of(guard: &Guard, context: &Context, ids: &[ImageId], bounds: Bounds) -> Result<Page<Image>> {
    let any_of = ids.iter().map(|id| id.as_str().to_owned()).collect();
    let limit = NonZeroUsize::new(ids.len()).unwrap_or(NonZeroUsize::MIN);
    let query = Query {
        filters: vec![Filter::Text { field: Field::Id, any_of }],
        scope: Scope { visibility: VisibilityScope::All, member_status: MemberScope::All },
        sort: Sort::by([(SortKey::Id, Direction::Asc)]),
        limit: Some(limit),
        ..Query::default()
    };
    let page = || source::page(guard.service().as_ref(), context, &query, limit, bounds);
    guard.read(context, "detail", page).await
}
