//! The part of the conformance suite about reading that a directory can be held to: its images have no attributes but
//! what a file has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use futures::TryStreamExt;
use image_service::conformance::Fixture;
use image_service::{
    ByteRange, Capabilities, Context, Download, Filter, HashAlgorithm, Hasher, Image, ImageChange, ImageId,
    ImageService, Locations, NewImage, Page, Query, Result, Sharing, Sort, Stores, Summary, Upload,
};
use portico_http::{PublishedDialect, PublishedOptions, open_published};
use site::{Look, Site};

/// A directory as it is read. Cases find their images by a tag, which a file has not: all in it are those of one case, and
/// are shown with its tag.
#[derive(Debug)]
struct Reader(Arc<dyn ImageService>, Mutex<BTreeSet<String>>);

impl Reader {
    fn tagged(&self, mut image: Image) -> Image {
        image.tags.clone_from(&self.1.lock().unwrap());
        image
    }
}

fn without_tag(query: &Query) -> Query {
    let is_of_case = |filter: &Filter| matches!(filter, Filter::Tag(tag) if tag.starts_with("case-"));
    let filters = query.filters.iter().filter(|filter| !is_of_case(filter));
    Query { filters: filters.cloned().collect(), ..query.clone() }
}

#[async_trait]
impl ImageService for Reader {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.0.index(context, &without_tag(query)).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        Ok(self.0.detail(context, &without_tag(query)).await?.map(|image| self.tagged(image)))
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        Ok(self.tagged(self.0.show(context, id).await?))
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let Download { image, data } = self.0.get(context, id, range).await?;
        Ok(Download { image: self.tagged(image), data })
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.0.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        to: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        self.0.update(context, id, to, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.0.delete(context, id).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        self.0.sharing()
    }

    fn stores(&self) -> Option<&dyn Stores> {
        self.0.stores()
    }

    fn locations(&self) -> Option<&dyn Locations> {
        self.0.locations()
    }
}

/// Whoever puts files into the directory, each with a name of its own, and says what is shown of it.
struct Writer {
    site: Site,
    seen: Arc<Reader>,
    hashes: Mutex<BTreeMap<String, String>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Changes what is published, and writes the checksum file anew.
    fn publish(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let mut hashes = self.hashes.lock().unwrap();
        change(&mut hashes);
        let mut sums = String::new();
        hashes.iter().for_each(|(name, hash)| writeln!(sums, "{hash}  {name}").unwrap());
        self.site.put("SHA256SUMS", sums);
    }

    async fn name(&self, context: &Context, id: &ImageId) -> Result<String> {
        Ok(self.seen.show(context, id).await?.name.unwrap())
    }
}

#[async_trait]
impl ImageService for Writer {
    fn capabilities(&self) -> Capabilities {
        Capabilities::full()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.seen.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.seen.detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.seen.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.seen.get(context, id, range).await
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        *self.seen.1.lock().unwrap() = image.tags.clone();
        let parts: Vec<Bytes> = match data {
            Some(data) => data.stream.try_collect().await?,
            None => Vec::new(),
        };
        let bytes = parts.concat();
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        hasher.update(&bytes);
        let ending = if image.disk_format.as_deref() == Some("raw") { "raw" } else { "qcow2" };
        let name = format!("{} {}.{ending}", image.name.unwrap_or_default(), ImageId::random());
        self.site.put(&name, bytes);
        self.publish(|hashes| drop(hashes.insert(name.clone(), hasher.finish().value)));
        let all = self.seen.index(context, &Query { sort: Sort::by([]), ..Query::default() }).await?;
        let id = all.items.into_iter().find(|image| image.name.as_ref() == Some(&name)).unwrap().id;
        self.seen.show(context, &id).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        _: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        assert!(data.is_none(), "no case about reading gives an image other data");
        self.seen.show(context, id).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        let name = self.name(context, id).await?;
        self.site.remove(&name);
        self.publish(|hashes| drop(hashes.remove(&name)));
        Ok(())
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

async fn fixture(look: Look) -> Fixture {
    let site = Site::start(look).await;
    site.put("SHA256SUMS", "");
    // Nothing is believed to be fresh, and nothing that is not is used.
    let options = PublishedOptions {
        fresh: Duration::ZERO,
        patience: Duration::from_secs(60),
        ..PublishedOptions::new(PublishedDialect::Directory, site.endpoint())
    };
    let seen = open_published("directory", options).await.unwrap();
    let seen = Arc::new(Reader(seen, Mutex::default()));
    let writer = Writer { site, seen: Arc::clone(&seen), hashes: Mutex::default() };
    Fixture::new(seen).read_only(Arc::new(writer)).without_sharing()
}

async fn as_page() -> Fixture {
    fixture(Look::Dated).await.without_detail()
}

async fn as_json() -> Fixture {
    fixture(Look::Json).await
}

macro_rules! cases {
    ($fixture:ident, $($list:ident),*) => {
        image_service::conformance!(@groups [] $fixture,
            cancellation: [a_read_that_is_dropped_changes_nothing,],
            data: [
                the_data_comes_whole_with_the_image_as_shown,
                data_of_no_bytes_is_data,
                a_range_gives_exactly_its_bytes,
                a_range_without_a_byte_in_it_is_not_satisfiable,
                a_download_that_is_dropped_harms_nobody,
                several_readers_get_the_same_bytes,
                a_download_ends_whole_or_in_an_error_when_its_image_is_deleted,
            ],
            filters: [
                an_id_that_is_not_there_filters_all_out,
            ],
            list: [
                an_image_is_listed_just_as_it_is_shown,
                index_gives_id_and_name_of_what_detail_gives,
                $($list,)*
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
                what_comes_and_goes_during_a_walk_disturbs_no_other_image,
                a_position_of_another_sort_is_invalid,
            ],
            show: [
                any_unknown_id_is_missing_in_every_verb,
                the_case_of_an_id_is_significant,
                what_writes_answer_is_what_is_shown,
            ],
        );
    };
}

mod of_a_page {
    use super::as_page;

    // Of no files there is nothing that a page does not tell, so that `detail` gives an empty list.
    cases!(as_page,);
}

mod of_json {
    use super::as_json;

    cases!(as_json, a_list_of_nothing_is_an_empty_page);
}
