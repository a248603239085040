//! What the cases of the conformance suite need of a service that tells less of an image than the contract knows.
//!
//! Each case knows its images by a tag. A service that has no tags is seen through [`Reader`], which finds them among
//! the properties or in the names, and images are made through [`Writer`], in another service that shares its store, which
//! puts them there and then says what the reader shows; or by a [`publisher`], which writes them into a catalogue. A service
//! without tags that takes writes is seen through [`tagged::Tagged`].

#![allow(dead_code, unused_imports, unused_macros, reason = "each test file uses its own part")]

pub(crate) mod publisher;
pub(crate) mod standins;
pub(crate) mod tagged;

/// One test for each case about reading that holds for every service, for those about paging that are named, and for those
/// of more groups; and the names of all of them.
///
/// What a dialect of old cannot tell of an image, such as a strong hash, the cases about it would ask for in vain: they
/// are in no list.
macro_rules! reading_cases {
    (@named $attributes:tt $fixture:ident, $($group:ident: [$($case:ident,)+],)+) => {
        #[allow(dead_code, reason = "not every test file asks what is run")]
        pub(crate) const RUN: &[&str] = &[$($(stringify!($case),)+)+];

        image_service::conformance!(@groups $attributes $fixture, $($group: [$($case,)+],)+);
    };
    ($attributes:tt $fixture:ident, paging: [$($page:ident,)*], $($more:tt)*) => {
        crate::carried::reading_cases!(@named $attributes $fixture,
            list: [
                an_image_is_listed_just_as_it_is_shown,
                index_gives_id_and_name_of_what_detail_gives,
                a_list_of_nothing_is_an_empty_page,
                the_newest_come_first_if_nothing_else_is_said,
                every_key_sorts_both_ways,
                keys_decide_in_their_order,
                a_list_tells_how_its_sources_fared,
                a_list_with_a_part_missing_is_refused_on_request,
                detail_can_be_made_of_index_and_show,
                what_a_service_can_do_does_not_change,
            ],
            paging: [
                $($page,)*
                a_walk_with_any_limit_gives_each_image_once,
                a_walk_in_any_order_gives_each_image_once,
                a_walk_from_any_image_gives_what_is_behind_it,
                nothing_is_behind_the_last_image,
                a_position_holds_when_its_image_is_deleted,
                what_comes_and_goes_during_a_walk_disturbs_no_other_image,
                a_position_of_another_sort_is_invalid,
            ],
            show: [
                any_unknown_id_is_missing_in_every_verb,
                the_case_of_an_id_is_significant,
                what_writes_answer_is_what_is_shown,
            ],
            $($more)*
        );
    };
}
pub(crate) use reading_cases;

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    ByteRange, Caller, Capabilities, Context, Download, Error, Filter, Image, ImageChange, ImageId,
    ImageService, Locations, NewImage, Page, Query, Result, Scope, Sharing, Stores, Summary, Support, Upload,
    VisibilityScope,
};

/// What the names of the properties begin with that tags are in, one in each. The rest is the tag in hex, which no
/// dialect takes for something else.
const TAG: &str = "case_tag_";

fn property_of(tag: &str) -> String {
    tag.bytes().fold(TAG.to_owned(), |mut key, byte| {
        write!(key, "{byte:02x}").unwrap();
        key
    })
}

/// A property as it stands in the name of an image.
pub(crate) fn in_name(key: &str, value: &str) -> String {
    format!("[{key}={value}]")
}

/// Where a service shows the properties that a case chose.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown {
    /// Among its own, with this in front of their names.
    Behind(&'static str),
    /// In the name of the image, each as [`in_name`] writes it.
    InNames,
}

/// A service that is only read, with the tags that its images carry.
#[derive(Debug)]
pub(crate) struct Reader {
    service: Arc<dyn ImageService>,
    shown: Shown,
}

impl Reader {
    /// Reads a service that gives properties the names that they were given.
    pub(crate) fn new(service: Arc<dyn ImageService>) -> Self {
        Self::of(service, Shown::Behind(""))
    }

    /// Reads a service that shows them so.
    pub(crate) fn of(service: Arc<dyn ImageService>, shown: Shown) -> Self {
        Self { service, shown }
    }

    /// The image as the case made it: its properties by their own names, and the tags that some of them are.
    fn image(&self, mut image: Image) -> Image {
        match self.shown {
            Shown::Behind(prefix) => {
                let all = std::mem::take(&mut image.properties).into_iter();
                let own = |key: String| key.strip_prefix(prefix).map_or_else(|| key.clone(), str::to_owned);
                image.properties = all.map(|(key, value)| (own(key), value)).collect();
            }
            Shown::InNames => {
                let words = image.name.iter().flat_map(|name| name.split('[').skip(1));
                let words = words.filter_map(|word| word.split_once(']')?.0.split_once('='));
                image.properties.extend(words.map(|(key, value)| (key.to_owned(), value.to_owned())));
            }
        }
        with_tags(image)
    }

    /// The same query, to a service that has tags and properties where it shows them.
    fn query(&self, query: &Query) -> Query {
        let mut query = without_tags(query);
        for filter in &mut query.filters {
            if let Filter::Property { key, value } = filter {
                match self.shown {
                    Shown::Behind(prefix) => key.insert_str(0, prefix),
                    Shown::InNames => *filter = Filter::NameContains(in_name(key, value)),
                }
            }
        }
        query
    }
}

/// Takes away what cases have left behind, that others need not read past it: those that `list` shows.
///
/// No other case may be at work.
pub(crate) async fn clear(list: &dyn ImageService, store: &dyn ImageService) {
    let admin = Context::new(Caller::administrator(), "req-clear");
    let scope = Scope { visibility: VisibilityScope::All, ..Scope::default() };
    let images = list.detail(&admin, &Query { scope, ..Query::default() }).await.unwrap().items;
    for image in images.iter().filter(|image| image.properties.keys().any(|key| key.starts_with(TAG))) {
        if image.protected {
            let change = ImageChange { protected: Some(false), ..ImageChange::default() };
            store.update(&admin, &image.id, change, None).await.unwrap();
        }
        store.delete(&admin, &image.id).await.unwrap();
    }
}

fn with_tags(mut image: Image) -> Image {
    let (tags, properties) = image.properties.into_iter().partition(|(key, _)| key.starts_with(TAG));
    image.properties = properties;
    let tags: image_service::Properties = tags;
    image.tags = tags.into_values().collect();
    image
}

/// The same query, to a service that has its tags in properties.
fn without_tags(query: &Query) -> Query {
    let carried = |filter: &Filter| match filter {
        Filter::Tag(tag) => Filter::Property { key: property_of(tag), value: tag.clone() },
        other => other.clone(),
    };
    Query { filters: query.filters.iter().map(carried).collect(), ..query.clone() }
}

#[async_trait]
impl ImageService for Reader {
    fn capabilities(&self) -> Capabilities {
        Capabilities { writes: Support::No, uploads: Support::No, ..self.service.capabilities() }
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.service.index(context, &self.query(query)).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        let page = self.service.detail(context, &self.query(query)).await?;
        Ok(page.map(|image| self.image(image)))
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.service.show(context, id).await.map(|image| self.image(image))
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let Download { image, data } = self.service.get(context, id, range).await?;
        Ok(Download { image: self.image(image), data })
    }

    async fn create(&self, _: &Context, _: NewImage, _: Option<Upload>) -> Result<Image> {
        Err(Error::not_implemented("create"))
    }

    async fn update(&self, _: &Context, _: &ImageId, _: ImageChange, _: Option<Upload>) -> Result<Image> {
        Err(Error::not_implemented("update"))
    }

    async fn delete(&self, _: &Context, _: &ImageId) -> Result<()> {
        Err(Error::not_implemented("delete"))
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

/// A service whose images are seen in another one.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) store: Arc<dyn ImageService>,
    pub(crate) seen: Arc<Reader>,
}

#[async_trait]
impl ImageService for Writer {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.store.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.store.detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.seen.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.store.get(context, id, range).await
    }

    async fn create(&self, context: &Context, mut image: NewImage, data: Option<Upload>) -> Result<Image> {
        let tags = std::mem::take(&mut image.tags);
        image.properties.extend(tags.into_iter().map(|tag| (property_of(&tag), tag)));
        let made = self.store.create(context, image, data).await?;
        self.seen.show(context, &made.id).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        assert_eq!(change.tags, None, "a case about reading changes no tags");
        self.store.update(context, id, change, data).await?;
        self.seen.show(context, id).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.store.delete(context, id).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        self.store.sharing()
    }

    fn stores(&self) -> Option<&dyn Stores> {
        None
    }

    fn locations(&self) -> Option<&dyn Locations> {
        None
    }
}
