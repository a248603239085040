//! One page of the merged list.
//!
//! Every backend is asked at once for images behind the position. What comes is woven by the total order
//! ([`merge`]); each image that could be given out next is looked for in the other backends
//! ([`copies`](super::copies)) and given out if this is its home's place, or under a derived id if its data is not
//! the home's. A copy elsewhere is passed over: its image has come, or will come, at its home's place. So an image
//! appears once, whatever the sort and the size of the page.
//!
//! A backend that runs dry is asked on, and one that falls silent on the way is left out from there, and named.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::future::join_all;
use image_service::{
    Context, Error, ErrorKind, Field, Filter, Image, ImageId, MemberStatus, Page, Partial, Position, Query,
    Result, Resume, SourceReport, SourceState, access,
};
use tokio::time::Instant;

use super::copies::Found;
use super::merge::{self, Candidate, Weave};
use super::{Federation, guard, source};

/// A page on the way.
struct Reading<'a> {
    federation: &'a Federation,
    context: &'a Context,
    /// What the caller wants.
    query: &'a Query,
    /// What the backends are asked for.
    asked: Query,
    limit: usize,
    sources: Vec<Source>,
    failures: Vec<Error>,
    items: Vec<Image>,
    /// When the backends were last asked for a page.
    round: Instant,
}

/// What is known of one backend in the course of a page.
#[derive(Default)]
struct Source {
    /// How it fared, and those behind it. Empty until it has been asked.
    reports: Vec<SourceReport>,
    /// It did not answer, or not always.
    absent: bool,
    /// What it says of going on behind its last page.
    resume: Option<Resume>,
}

impl Federation {
    /// The page of at most `limit` images that `query` asks for.
    ///
    /// # Errors
    /// `Unavailable` if nobody answered, or not everybody did and the request wants all or nothing.
    pub(super) async fn list(
        &self,
        context: &Context,
        query: &Query,
        limit: NonZeroUsize,
    ) -> Result<Page<Image>> {
        let sources = self.guards.iter().map(|_| Source::default()).collect();
        let asked = self.in_native_ids(query);
        let sort = query.sort.clone();
        let weave = Weave::new(&sort, self.guards.len(), asked.position.as_ref());
        let limit = limit.get();
        let mut reading = Reading {
            federation: self,
            context,
            query,
            asked,
            limit,
            sources,
            failures: Vec::new(),
            items: Vec::new(),
            round: Instant::now(),
        };
        reading.begin_at_the_same_place().await;
        reading.page(weave).await
    }

    /// The query as backends understand it, which do not know derived ids.
    fn in_native_ids(&self, query: &Query) -> Query {
        let mut asked = query.clone();
        if let Some(position) = &mut asked.position
            && let Some((_, native)) = self.known_alias(&position.id)
        {
            position.id = native;
        }
        for filter in &mut asked.filters {
            if let Filter::Text { field: Field::Id, any_of } = filter {
                let ids = any_of.iter().map(|id| ImageId::lookup(id.as_str()));
                let natives: Vec<String> =
                    ids.filter_map(|id| Some(self.known_alias(&id)?.1.as_str().to_owned())).collect();
                any_of.extend(natives);
            }
        }
        asked
    }
}

impl Reading<'_> {
    /// Gives out the images with derived ids that stand at the very position, behind the owner of the id, as far as
    /// such are known: no backend gives them when it is asked for what is behind.
    async fn begin_at_the_same_place(&mut self) {
        let Some(position) = &self.query.position else { return };
        let federation = self.federation;
        let (native, sources) = federation.aliases_behind(&position.id);
        let shown = sources.into_iter().filter_map(|source| {
            let (guard, context) = (federation.guards.get(source)?, self.in_time(source));
            let native = &native;
            Some(async move {
                let image =
                    guard.read(&context, "show", || guard.service().show(&context, native)).await.ok()?;
                Some((source, image))
            })
        });
        for (source, image) in join_all(shown).await.into_iter().flatten() {
            let at_the_same_place =
                self.asked.position.as_ref() == Some(&self.query.sort.position_of(&image));
            let accepted = Some(MemberStatus::Accepted);
            if at_the_same_place
                && self.items.len() < self.limit
                && access::is_listed(&self.context.caller, &image, accepted, self.query.scope)
            {
                let image = federation.aliased(source, image);
                self.items.extend(Some(image).filter(|image| passes(self.query, image)));
            }
        }
    }

    /// The request as one source is to see it: all calls of one round share the backend's deadline.
    fn in_time(&self, source: usize) -> Context {
        let own = self.federation.guards.get(source).map(|guard| self.round + guard.backend().deadline);
        let own = own.map(Instant::into_std);
        let deadline = match (self.context.deadline, own) {
            (Some(given), Some(own)) => Some(given.min(own)),
            (given, own) => given.or(own),
        };
        Context { deadline, ..self.context.clone() }
    }

    async fn page(mut self, mut weave: Weave<'_>) -> Result<Page<Image>> {
        let mut found = Found::default();
        let mut items = std::mem::take(&mut self.items);
        let mut passed: Vec<(usize, ImageId)> = Vec::new();
        let mut passed_in_page = None;
        let mut size = self.limit;
        let more = loop {
            // One more than is wanted shows whether there is more.
            let taken = weave.take(self.limit.saturating_add(1) - items.len());
            if taken.is_empty() {
                let wanting = weave.wanting();
                if wanting.is_empty() || source::is_nearly_full(items.len(), self.limit) {
                    break !wanting.is_empty();
                }
                self.fetch(&mut weave, wanting, size).await?;
                // Whoever passes over a page of copies may have to pass over many.
                size = size.saturating_mul(2).min(self.federation.page_size.get()).max(self.limit);
                continue;
            }
            found.note(&taken, &weave);
            self.find_copies(&mut weave, &taken, &mut found).await?;
            for Candidate { source, image } in taken {
                let id = image.id.clone();
                items.extend(self.shown(source, &image, &found));
                if items.len() > self.limit {
                    break;
                }
                passed.push((source, id));
                if items.len() == self.limit {
                    passed_in_page.get_or_insert(passed.len());
                }
            }
            if items.len() > self.limit {
                items.truncate(self.limit);
                break true;
            }
        };
        passed.truncate(passed_in_page.unwrap_or(passed.len()));
        let resume = more.then(|| self.resume(&weave, &passed)).flatten();
        let sources = self.sources.into_iter().flat_map(|source| source.reports).collect();
        Ok(Page { sources, resume, ..Page::new(items, more) })
    }

    /// Asks sources on from where they are.
    async fn fetch(
        &mut self,
        weave: &mut Weave<'_>,
        wanting: Vec<(usize, Option<Position>)>,
        size: usize,
    ) -> Result<()> {
        let federation = self.federation;
        let limit = NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN);
        self.round = Instant::now();
        let first = self.sources.iter().all(|source| source.reports.is_empty());
        let asks = wanting.into_iter().filter_map(|(source, position)| {
            let resume =
                if first { self.given_resume(source) } else { self.sources.get(source)?.resume.clone() };
            let query = Query { position, resume, ..self.asked.clone() };
            Some((source, query, federation.guards.get(source)?, self.in_time(source)))
        });
        let answers = join_all(asks.map(async |(source, query, guard, context)| {
            if federation.guards.len() > 1 {
                federation.census.begin(source, guard);
            }
            let page = || source::page(guard.service().as_ref(), &context, &query, limit, federation.bounds);
            (source, guard.read(&context, "detail", page).await)
        }));
        for (source, answer) in answers.await {
            match answer {
                Ok(page) => self.add(weave, source, page),
                Err(error) => self.lose(weave, source, error),
            }
        }
        self.check(first)
    }

    fn add(&mut self, weave: &mut Weave<'_>, number: usize, page: Page<Image>) {
        let federation = self.federation;
        federation.census.add(number, page.items.iter().map(|image| &image.id));
        weave.add(number, page.items.into_iter().map(Arc::new).collect(), page.more);
        let name = federation.name_of(number).unwrap_or_default();
        let Some(source) = self.sources.get_mut(number) else { return };
        source.resume = page.resume;
        source.reports = if page.sources.is_empty() {
            vec![SourceReport { name: name.to_owned(), state: SourceState::Ok }]
        } else {
            let inner = page.sources.into_iter();
            inner
                .map(|inner| SourceReport { name: format!("{name}.{}", inner.name), state: inner.state })
                .collect()
        };
    }

    /// Leaves a source out from here on.
    fn lose(&mut self, weave: &mut Weave<'_>, number: usize, error: Error) {
        weave.end(number);
        let name = self.federation.name_of(number).unwrap_or_default().to_owned();
        if let Some(source) = self.sources.get_mut(number) {
            source.absent = true;
            source.reports = vec![SourceReport { name, state: guard::state_of(&error) }];
        }
        self.failures.push(error);
    }

    async fn find_copies(
        &mut self,
        weave: &mut Weave<'_>,
        taken: &[Candidate],
        found: &mut Found,
    ) -> Result<()> {
        let numbered = self.sources.iter().enumerate();
        let present = numbered.filter(|(_, source)| !source.absent);
        let present: Vec<(usize, Context)> =
            present.map(|(source, _)| (source, self.in_time(source))).collect();
        for (source, error) in self.federation.find_copies(taken, &present, found).await {
            self.lose(weave, source, error);
        }
        self.check(false)
    }

    /// Whether it may go on with those that are still there.
    fn check(&mut self, first: bool) -> Result<()> {
        let incomplete = self
            .sources
            .iter()
            .flat_map(|source| &source.reports)
            .any(|report| report.state != SourceState::Ok);
        let nobody = first && self.sources.iter().all(|source| source.absent);
        if nobody || (incomplete && self.context.partial == Partial::Refuse) {
            let reports = self.sources.iter().flat_map(|source| &source.reports);
            return Err(refusal(reports, self.failures.pop()));
        }
        Ok(())
    }

    /// The image as it is listed at this place, if it is.
    fn shown(&self, source: usize, image: &Arc<Image>, found: &Found) -> Option<Image> {
        let federation = self.federation;
        let copies = found.copies(&image.id)?;
        // While the owner of the id is silent, what is known to be another image does not take its place.
        let owner_is_silent = || {
            self.sources.iter().take(source).any(|earlier| earlier.absent)
                && federation.is_aliased(source, &image.id)
        };
        let image = Image::clone(image);
        for conflicting in &copies.conflicting {
            federation.note_alias(*conflicting, &image.id);
        }
        let shown = if copies.conflicting.contains(&source) || (copies.home == source && owner_is_silent()) {
            federation.owners.add(&image.id, &copies.sources);
            federation.aliased(source, image)
        } else if copies.home == source {
            federation.owners.add(&image.id, &copies.sources);
            federation.named(image, copies, Vec::new()).image
        } else {
            return None;
        };
        let by_alias = self.asked.filters != self.query.filters;
        (!by_alias || passes(self.query, &shown)).then_some(shown)
    }

    /// What the request said of going on in a source.
    fn given_resume(&self, source: usize) -> Option<Resume> {
        let Some(Resume::Sources(given)) = &self.query.resume else { return None };
        given.get(self.federation.name_of(source)?).cloned()
    }

    /// What to ask on with behind the page, of which `passed` were passed in order.
    fn resume(&self, weave: &Weave<'_>, passed: &[(usize, ImageId)]) -> Option<Resume> {
        let last = merge::last_passed(passed, self.sources.len());
        let behind =
            last.into_iter().zip(&self.sources).enumerate().filter_map(|(number, (last, source))| {
                let behind = match (&source.resume, last) {
                    (Some(inner), Some(_)) if weave.has_given_all(number) => inner.clone(),
                    (None, Some(id)) => Resume::Behind(id),
                    _ => self.given_resume(number)?,
                };
                Some((self.federation.name_of(number)?.to_owned(), behind))
            });
        Some(Resume::Sources(behind.collect()))
    }
}

/// Whether an image satisfies every filter of a query.
fn passes(query: &Query, image: &Image) -> bool {
    query.filters.iter().all(|filter| filter.matches(image))
}

/// Why a list is not served: nobody answered, or not all did and the request wants all or nothing.
fn refusal<'a>(reports: impl Iterator<Item = &'a SourceReport>, cause: Option<Error>) -> Error {
    let absent: Vec<String> = reports
        .filter(|report| report.state != SourceState::Ok)
        .map(|report| format!("{} ({})", report.name, report.state))
        .collect();
    let error = Error::new(ErrorKind::Unavailable, format!("the list is incomplete: {}", absent.join(", ")))
        .answered();
    match cause {
        Some(source) => error.with_source(source),
        None => error,
    }
}
