//! Lists, walked page by page, with everything checked that holds for every page.

use super::fixture::Fixture;
use crate::{
    Context, Direction, Filter, Image, Page, Position, Query, Result, Sort, SortKey, SourceState,
    detail_by_show,
};

/// Most pages in one walk.
const MOST_PAGES: usize = 1000;

impl Fixture {
    /// A query for the images of this case, in an order that the service knows.
    pub(super) fn query(&self) -> Query {
        let tag = Filter::Tag(self.tag().to_owned());
        let filters = if self.filters_by(&tag) { vec![tag] } else { Vec::new() };
        let sort = [Sort::default(), Sort::by([(SortKey::Id, Direction::Asc)])]
            .into_iter()
            .find(|sort| self.sorts_by(sort))
            .unwrap_or_default();
        Query { filters, sort, ..Query::default() }
    }

    /// Whether the service applies such a filter by itself.
    pub(super) fn filters_by(&self, filter: &Filter) -> bool {
        self.service().capabilities().filters.contains(&filter.field())
    }

    /// Whether the service sorts so by itself.
    pub(super) fn sorts_by(&self, sort: &Sort) -> bool {
        let known = self.service().capabilities().sort_keys;
        sort.keys().iter().all(|(key, _)| known.contains(key))
    }

    /// One page with details. Where there is no `detail`, it is checked that the service says so.
    pub(super) async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        if self.has_detail() {
            return self.service().detail(context, query).await;
        }
        let answer = self.service().detail(context, query).await;
        assert_eq!(super::fixture::kind_of(answer), crate::ErrorKind::NotImplemented);
        detail_by_show(self.service(), context, query, 4).await
    }

    /// All images of this case that a query admits, in its order, page after page.
    pub(super) async fn all(&self, context: &Context, mut query: Query) -> Vec<Image> {
        let mut images = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.detail(context, &query).await.unwrap();
            self.check(&page, &query);
            let next = page.items.last().map(|last| query.sort.position_of(last));
            images.extend(page.items.into_iter().filter(|image| image.tags.contains(self.tag())));
            match next {
                Some(position) if page.more => query.position = Some(position),
                _ => return images,
            }
        }
        panic!("the list did not end in {MOST_PAGES} pages");
    }

    /// The ids of all images of this case that a query admits.
    pub(super) async fn ids(&self, context: &Context, query: Query) -> Vec<String> {
        ids_of(&self.all(context, query).await)
    }

    /// Checks what holds for every page.
    #[track_caller]
    pub(super) fn check(&self, page: &Page<Image>, query: &Query) {
        let limit = query.limit.map_or(usize::MAX, std::num::NonZeroUsize::get);
        assert!(page.items.len() <= limit, "a page of {} exceeds its limit {limit}", page.items.len());
        assert!(!page.more || !page.items.is_empty(), "an empty page promises more");
        if self.sorts_by(&query.sort) {
            let sorted = page.items.is_sorted_by(|a, b| query.sort.compare(a, b).is_lt());
            assert!(sorted, "out of order by {:?}: {:?}", query.sort, page.items);
            let after =
                |position: &Position| page.items.iter().all(|item| query.sort.is_after(item, position));
            assert!(query.position.as_ref().is_none_or(after), "not behind {:?}", query.position);
        }
        self.check_sources(page);
    }

    /// Checks that a list names its sources, and the silent one if there is one.
    #[track_caller]
    pub(super) fn check_sources<T>(&self, page: &Page<T>) {
        let silent = page.sources.iter().any(|source| source.state != SourceState::Ok);
        assert_eq!(silent, self.has_silent_source(), "how the sources fared: {:?}", page.sources);
    }
}

/// The ids of `images`, in their order.
pub(super) fn ids_of<'a>(images: impl IntoIterator<Item = &'a Image>) -> Vec<String> {
    images.into_iter().map(|image| image.id.to_string()).collect()
}
