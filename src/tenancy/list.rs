//! Lists of a store behind a ceiling.
//!
//! What is asked for is turned into what the store must be asked for so that nothing is left out, exactly where that can
//! be: filters on owners and visibilities become those of the store. What the ceiling makes of the rest is tested here on
//! what comes, and the store is read on until a page is full.

use std::num::NonZeroUsize;

use image_service::{
    Caller, Context, Error, ErrorKind, Field, Filter, Image, Page, Query, Result, Scope, Summary, Visibility,
    VisibilityScope, detail_by_show,
};

use super::Tenancy;

/// How many images are shown at a time for a store that lists only names.
const WIDTH: usize = 8;

/// How many images are asked for at a time where many are left out, unless a page is larger.
const STEP: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

impl Tenancy {
    /// A page of images.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn list(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        query.check()?;
        let behind = self.behind(context);
        let Some(asked) = self.asked(&behind.caller, query) else { return Ok(Page::new(Vec::new(), false)) };
        if !self.must_test(&behind.caller, query.scope) {
            return Ok(self.images(&behind, &asked).await?.map(|image| self.shown(image)));
        }
        self.tested(&behind, query, asked).await
    }

    /// A page of ids and names.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn list_names(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        let behind = self.behind(context);
        if self.must_test(&behind.caller, query.scope) {
            return Ok(self.list(context, query).await?.map(|image| Summary::from(&image)));
        }
        match self.asked(&behind.caller, query) {
            Some(asked) => self.inner.index(&behind, &asked).await,
            None => query.check().map(|()| Page::new(Vec::new(), false)),
        }
    }

    /// Reads the store on until there are as many images as are wanted, or no more.
    async fn tested(&self, behind: &Context, query: &Query, mut asked: Query) -> Result<Page<Image>> {
        let mut images: Vec<Image> = Vec::new();
        loop {
            let page = self.images(behind, &asked).await?;
            let last = page.items.last().map(|last| asked.sort.position_of(last));
            let admitted = page.items.into_iter().filter_map(|image| self.listed(behind, query.scope, image));
            images.extend(admitted);
            let limit = query.limit.map_or(usize::MAX, NonZeroUsize::get);
            // Without a limit any page will do that has something in it.
            let is_enough = images.len() >= limit || (query.limit.is_none() && !images.is_empty());
            if is_enough || !page.more {
                let cut = images.len() > limit;
                images.truncate(limit);
                let resume = page.resume.filter(|_| !cut);
                return Ok(Page { sources: page.sources, resume, ..Page::new(images, page.more || cut) });
            }
            if last.is_none() || last == asked.position {
                return Err(Error::new(ErrorKind::Internal, "the list does not move on"));
            }
            let wanted = NonZeroUsize::new(limit.saturating_sub(images.len()));
            asked.limit = query.limit.and(wanted).map(|wanted| wanted.max(STEP));
            asked.position = last;
            asked.resume = page.resume;
        }
    }

    /// An image of the store as a list of the scope shows it here, if it does.
    fn listed(&self, behind: &Context, scope: Scope, image: Image) -> Option<Image> {
        let is_own = behind.caller.owns(image.owner.as_deref());
        let is_admitted = self.admits(&behind.caller, &image);
        let shown = self.shown(image);
        let is_chosen = match scope.visibility {
            VisibilityScope::All => true,
            VisibilityScope::Usual => is_own || shown.visibility != Visibility::Community,
            VisibilityScope::Only(visibility) => shown.visibility == visibility,
        };
        (is_admitted && is_chosen).then_some(shown)
    }

    async fn images(&self, behind: &Context, asked: &Query) -> Result<Page<Image>> {
        match self.inner.detail(behind, asked).await {
            Err(error) if error.kind() == ErrorKind::NotImplemented => {
                detail_by_show(self.inner.as_ref(), behind, asked, WIDTH).await
            }
            answer => answer,
        }
    }

    /// Whether the store gives more than a list shows here.
    fn must_test(&self, caller: &Caller, scope: Scope) -> bool {
        let is_all = scope.visibility == VisibilityScope::All;
        self.ceiling != Visibility::Public && (!is_all || self.hides_from(caller))
    }

    /// What the store is to be asked for. `None` if nothing here can be such.
    fn asked(&self, caller: &Caller, query: &Query) -> Option<Query> {
        let visibility = match query.scope.visibility {
            VisibilityScope::Only(visibility) if visibility < self.ceiling => return None,
            // All that is above it is this here.
            VisibilityScope::Only(visibility)
                if visibility == self.ceiling && visibility != Visibility::Public =>
            {
                VisibilityScope::All
            }
            // Community images of others are none here.
            VisibilityScope::Usual if self.ceiling >= Visibility::Shared && caller.is_admin() => {
                VisibilityScope::All
            }
            scope => scope,
        };
        let filters: Option<Vec<Filter>> = query.filters.iter().map(|filter| self.filter(filter)).collect();
        let scope = Scope { visibility, ..query.scope };
        Some(Query { filters: filters?, scope, ..query.clone() })
    }

    /// The store's filter for the same images. `None` if there can be none.
    fn filter(&self, filter: &Filter) -> Option<Filter> {
        let Filter::Text { field, any_of } = filter else { return Some(filter.clone()) };
        let any_of: Vec<String> = match field {
            Field::Owner => any_of.iter().filter_map(|owner| self.names.of_project(owner)).collect(),
            Field::Visibility => {
                let shown = |behind: &&Visibility| {
                    let shown = (**behind).max(self.ceiling);
                    any_of.iter().any(|wanted| wanted == shown.as_str())
                };
                Visibility::ALL.iter().filter(shown).map(|behind| behind.as_str().to_owned()).collect()
            }
            _ => return Some(filter.clone()),
        };
        (!any_of.is_empty()).then_some(Filter::Text { field: *field, any_of })
    }
}
