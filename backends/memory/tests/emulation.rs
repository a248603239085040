//! `detail` made of `index` and `show`, on a service that has none.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use image_service::{
    ByteRange, Caller, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId,
    ImageService, Locations, NewImage, Page, Query, Result, Sharing, SourceReport, SourceState, Stores,
    Summary, Timestamp, Upload, detail_by_show,
};
use portico_memory::{Memory, Options};

/// A store without `detail`, in which things happen between `index` and `show`.
#[derive(Debug)]
struct Undetailed {
    store: Memory,
    /// Deleted as soon as they have been listed.
    vanish: BTreeSet<ImageId>,
    /// Whether every list is followed by the end of all that it named.
    all_vanish: bool,
    /// Whether `show` is silent.
    silent: AtomicBool,
    shows: AtomicUsize,
    most_shows: AtomicUsize,
    lists: AtomicUsize,
}

impl Undetailed {
    /// Holds images 1 to `count`, which lists give last to first.
    fn holding(count: u32) -> Self {
        let store = Memory::new("store", Options::default());
        for number in 1..=count {
            let new = NewImage { name: Some(number.to_string()), ..NewImage::default() };
            let time = Timestamp::from_second(number.into()).unwrap();
            store.seed(new.into_image(&Caller::administrator(), time).unwrap(), None).unwrap();
        }
        Self {
            store,
            vanish: BTreeSet::new(),
            all_vanish: false,
            silent: AtomicBool::new(false),
            shows: AtomicUsize::new(0),
            most_shows: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
        }
    }

    async fn with_vanishing(mut self, names: &[&str]) -> Self {
        let all = self.store.index(&admin(), &Query::default()).await.unwrap();
        let named = |summary: &Summary| names.contains(&summary.name.as_deref().unwrap());
        self.vanish = all.items.into_iter().filter(named).map(|summary| summary.id).collect();
        self
    }

    async fn detail_of(&self, limit: usize, width: usize) -> Result<Page<Image>> {
        let query = Query { limit: NonZeroUsize::new(limit), ..Query::default() };
        detail_by_show(self, &admin(), &query, width).await
    }
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-test")
}

fn names(page: &Page<Image>) -> Vec<&str> {
    page.items.iter().map(|image| image.name.as_deref().unwrap()).collect()
}

#[async_trait]
impl ImageService for Undetailed {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let mut page = self.store.index(context, query).await?;
        page.sources = vec![SourceReport { name: "elsewhere".into(), state: SourceState::Timeout }];
        for summary in &page.items {
            if self.all_vanish || self.vanish.contains(&summary.id) {
                self.store.delete(context, &summary.id).await?;
            }
        }
        Ok(page)
    }

    async fn detail(&self, _: &Context, _: &Query) -> Result<Page<Image>> {
        Err(Error::not_implemented("detail"))
    }

    /// The later an image was made, the longer it takes, so that the first of a page is shown last.
    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        let running = self.shows.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_shows.fetch_max(running, Ordering::Relaxed);
        let image = self.store.show(context, id).await;
        for _ in 0..image.as_ref().map_or(0, |image| image.created_at.as_second()) {
            tokio::task::yield_now().await;
        }
        self.shows.fetch_sub(1, Ordering::Relaxed);
        if self.silent.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::TimedOut, "no answer"));
        }
        image
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.store.get(context, id, range).await
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.store.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        self.store.update(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.store.delete(context, id).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        None
    }

    fn stores(&self) -> Option<&dyn Stores> {
        None
    }

    fn locations(&self) -> Option<&dyn Locations> {
        None
    }
}

#[tokio::test]
async fn the_order_is_that_of_index_whatever_is_shown_first() {
    let service = Undetailed::holding(6);
    let page = service.detail_of(100, 6).await.unwrap();
    assert_eq!(names(&page), ["6", "5", "4", "3", "2", "1"]);
    assert!(!page.more);
    assert_eq!(page.items, service.store.detail(&admin(), &Query::default()).await.unwrap().items);
}

#[tokio::test]
async fn no_more_are_shown_at_a_time_than_allowed_and_as_many() {
    for (width, at_once) in [(0, 1), (1, 1), (3, 3), (50, 6)] {
        let service = Undetailed::holding(6);
        service.detail_of(100, width).await.unwrap();
        assert_eq!(service.most_shows.load(Ordering::Relaxed), at_once, "width {width}");
    }
}

#[tokio::test]
async fn limit_and_promise_of_more_are_those_of_index() {
    let service = Undetailed::holding(6);
    let page = service.detail_of(4, 2).await.unwrap();
    assert_eq!((names(&page), page.more), (vec!["6", "5", "4", "3"], true));
    let page = service.detail_of(6, 2).await.unwrap();
    assert_eq!((page.items.len(), page.more), (6, false));
}

#[tokio::test]
async fn the_sources_are_those_of_index() {
    let page = Undetailed::holding(1).detail_of(1, 1).await.unwrap();
    assert_eq!(page.sources, [SourceReport { name: "elsewhere".into(), state: SourceState::Timeout }]);
}

#[tokio::test]
async fn an_image_that_vanishes_is_left_out_and_shortens_the_page() {
    let service = Undetailed::holding(6).with_vanishing(&["6", "4"]).await;
    let page = service.detail_of(4, 2).await.unwrap();
    assert_eq!((names(&page), page.more), (vec!["5", "3"], true));
    assert_eq!(service.lists.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_page_that_vanishes_as_a_whole_is_no_end_of_the_list() {
    let service = Undetailed::holding(6).with_vanishing(&["6", "5", "4", "3"]).await;
    let page = service.detail_of(2, 2).await.unwrap();
    assert_eq!((names(&page), page.more), (vec!["2", "1"], false));
    assert_eq!(service.lists.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_last_page_that_vanishes_is_the_end() {
    let service = Undetailed::holding(2).with_vanishing(&["2", "1"]).await;
    let page = service.detail_of(2, 2).await.unwrap();
    assert!(page.items.is_empty() && !page.more);
}

#[tokio::test]
async fn a_list_that_vanishes_for_ever_is_given_up() {
    let service = Undetailed { all_vanish: true, ..Undetailed::holding(100) };
    let error = service.detail_of(1, 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(service.lists.load(Ordering::Relaxed) < 100);
}

#[tokio::test]
async fn silence_about_one_image_is_no_absence_of_it() {
    let service = Undetailed::holding(3);
    service.silent.store(true, Ordering::Relaxed);
    assert_eq!(service.detail_of(3, 2).await.unwrap_err().kind(), ErrorKind::TimedOut);
}
