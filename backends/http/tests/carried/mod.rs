//! What the cases of the conformance suite need of a service that tells less of an image than the contract knows.
//!
//! Each case knows its images by a tag. A service that has no tags is seen through [`Reader`], which finds them in a
//! property, and images are made through [`Writer`], in another service that shares its store, which puts them there
//! and then says what the reader shows.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod standins;

/// One test for each case about reading that holds for every service, and for those of more groups.
///
/// What a dialect of old cannot tell of an image, such as a strong hash, the cases about it would ask for in vain: they
/// are in no list.
macro_rules! reading_cases {
    ([$($attribute:tt)*] $fixture:ident, $($more:tt)*) => {
        image_service::conformance!(@groups [$($attribute)*] $fixture,
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
                a_walk_with_any_limit_gives_each_image_once,
                a_walk_in_any_order_gives_each_image_once,
                a_walk_from_any_image_gives_what_is_behind_it,
                nothing_is_behind_the_last_image,
                a_position_holds_when_its_image_is_deleted,
                a_position_holds_when_its_image_has_moved,
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

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, Field, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Support, Upload,
};

/// The property that tags are in.
const TAGS: &str = "case_tags";

/// A service that is only read, with the tags that its images carry.
#[derive(Debug)]
pub(crate) struct Reader(pub(crate) Arc<dyn ImageService>);

fn with_tags(mut image: Image) -> Image {
    if let Some(tags) = image.properties.remove(TAGS) {
        image.tags = tags.split(',').map(str::to_owned).collect();
    }
    image
}

#[async_trait]
impl ImageService for Reader {
    fn capabilities(&self) -> Capabilities {
        let mut can = self.0.capabilities();
        // It would be asked for what is in no tag of its own.
        can.filters.remove(&Field::Tag);
        Capabilities { writes: Support::No, uploads: Support::No, ..can }
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.0.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        Ok(self.0.detail(context, query).await?.map(with_tags))
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.0.show(context, id).await.map(with_tags)
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let Download { image, data } = self.0.get(context, id, range).await?;
        Ok(Download { image: with_tags(image), data })
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

fn text(tags: &BTreeSet<String>) -> String {
    tags.iter().map(String::as_str).collect::<Vec<_>>().join(",")
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
        image.properties.insert(TAGS.to_owned(), text(&image.tags));
        let made = self.store.create(context, image, data).await?;
        self.seen.show(context, &made.id).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        mut change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        if let Some(tags) = &change.tags {
            change.properties.insert(TAGS.to_owned(), Some(text(tags)));
        }
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
