//! The images as clients see them: with what imports have to say of them.
//!
//! A store has no word for data that is on its way by another path than itself: to it such an image is queued, or for a
//! moment active already. So status, size and the properties of imports are put on the images here. Lists that filter or
//! sort by these are asked of the service below as it knows the images, and those with a mark are put where they belong.

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Field, Filter, Image, ImageChange, ImageId,
    ImageService, Location, Locations, NewImage, NewLocation, Page, Query, Result, Sharing, Sort, SortKey,
    SourceReport, Status, Store, Stores, Summary, Upload,
};

use super::Imports;
use super::marks::Mark;

/// Most ids in one question.
const IDS: usize = 64;

/// Images in a page when the query sets no limit.
const PAGE: usize = 1000;

/// The service below, with the marks of imports on its images.
#[derive(Debug, Clone)]
pub(super) struct Overlaid(pub(super) Imports);

impl Overlaid {
    fn below(&self) -> &dyn ImageService {
        self.0.service()
    }

    fn mark(&self, id: &ImageId) -> Mark {
        self.0.marks().of(id)
    }

    fn marked(&self, image: Image) -> Image {
        self.0.marks().on(image)
    }

    /// A page of a list that turns on what marks change.
    async fn woven(&self, context: &Context, query: &Query, apart: Vec<ImageId>) -> Result<Page<Image>> {
        let limit = query.limit.map_or(PAGE, std::num::NonZeroUsize::get);
        let mut sources = Vec::new();
        let mut with_marks = self.shown(context, query, &apart, &mut sources).await?;
        let mut asked = Query { limit: query.limit.or(std::num::NonZeroUsize::new(PAGE)), ..query.clone() };
        let mut images: Vec<Image> = Vec::new();
        let (more, resume) = loop {
            let page = self.below().detail(context, &asked).await?;
            SourceReport::note(&mut sources, page.sources);
            let end = page.items.last().map(|last| query.sort.position_of(last));
            images.extend(page.items.into_iter().filter(|image| !apart.contains(&image.id)));
            if !page.more || images.len() >= limit {
                if let Some(end) = end.filter(|_| page.more) {
                    // What lies beyond is for another page, where its neighbours are.
                    with_marks.retain(|image| !query.sort.is_after(image, &end));
                }
                break (page.more, page.resume);
            }
            (asked.position, asked.resume) = (end.or(asked.position), page.resume);
        };
        self.0.marks().on_all(&mut images);
        images.append(&mut with_marks);
        images.sort_unstable_by(|a, b| query.sort.compare(a, b));
        let cut = images.len() > limit;
        images.truncate(limit);
        let more = (more || cut) && !images.is_empty();
        Ok(Page { items: images, more, sources, resume: resume.filter(|_| !cut) })
    }

    /// Those of the images `apart` that the query means, as they are shown.
    async fn shown(
        &self,
        context: &Context,
        query: &Query,
        apart: &[ImageId],
        sources: &mut Vec<SourceReport>,
    ) -> Result<Vec<Image>> {
        let mut shown = Vec::new();
        for ids in apart.chunks(IDS) {
            let ids = ids.iter().map(|id| id.as_str().to_owned()).collect();
            let mut filters = vec![Filter::Text { field: Field::Id, any_of: ids }];
            filters.extend(query.filters.iter().filter(|filter| !hangs_on_marks(filter)).cloned());
            let mut asked = Query {
                filters,
                scope: query.scope,
                sort: Sort::by([(SortKey::Id, image_service::Direction::Asc)]),
                limit: std::num::NonZeroUsize::new(IDS),
                ..Query::default()
            };
            loop {
                let page = self.below().detail(context, &asked).await?;
                SourceReport::note(sources, page.sources);
                let last = page.items.last().map(|last| asked.sort.position_of(last));
                shown.extend(page.items.into_iter().map(|image| self.marked(image)));
                // Each page begins behind the one before, so this comes to an end.
                let Some(last) = last.filter(|_| page.more) else { break };
                (asked.position, asked.resume) = (Some(last), page.resume);
            }
        }
        shown.retain(|image| query.admits(image));
        Ok(shown)
    }

    /// The images that stand elsewhere in such a list than their stores say.
    fn apart(&self, query: &Query) -> Vec<ImageId> {
        let by_property =
            query.filters.iter().any(|filter| filter.field() == Field::Property && hangs_on_marks(filter));
        let by_status = query.filters.iter().any(hangs_on_marks)
            || query.sort.keys().iter().any(|(key, _)| matches!(key, SortKey::Status | SortKey::Size));
        if !by_status {
            return Vec::new();
        }
        self.0.marks().where_it(|mark| mark.status().is_some() || by_property && may_match(mark, query))
    }

    /// Lets a change through to an image on which no import is at work, or one that does not get into its way.
    fn check(&self, id: &ImageId, change: &ImageChange, data: Option<&Upload>) -> Result<()> {
        let mark = self.mark(id);
        let Some(status) = mark.status() else {
            if data.is_some() && mark.task.is_some() {
                return Err(Error::conflict("an import is at work on the image"));
            }
            return Ok(());
        };
        if data.is_some() {
            return Err(Error::conflict(format!(
                "image status transition from {status} to saving is not allowed"
            )));
        }
        if change.disk_format.is_some() || change.container_format.is_some() {
            let which = if change.disk_format.is_some() { "disk_format" } else { "container_format" };
            return Err(Error::forbidden(format!(
                "attribute {which} can be only replaced for a queued image"
            )));
        }
        if let Some(wanted) = change.status {
            let verb = if wanted == Status::Active { "reactivate" } else { "deactivate" };
            return Err(Error::forbidden(format!("not allowed to {verb} image in status '{status}'")));
        }
        Ok(())
    }

    fn stores_below(&self) -> Result<&dyn Stores> {
        self.below().stores().ok_or_else(|| Error::not_implemented("keeping images in several stores"))
    }

    fn locations_below(&self) -> Result<&dyn Locations> {
        self.below().locations().ok_or_else(|| Error::not_implemented("a location"))
    }

    /// Lets through an image on which no import is at work. Who cannot see it hears that instead.
    async fn require_idle(&self, context: &Context, id: &ImageId) -> Result<()> {
        let mark = self.mark(id);
        if mark.task.is_none() && mark.staged.is_none() {
            return Ok(());
        }
        self.below().show(context, id).await?;
        Err(Error::conflict("an import is at work on the image"))
    }
}

/// Whether an image with this mark, and no such properties of its own, has what the query asks of properties of imports.
fn may_match(mark: &Mark, query: &Query) -> bool {
    let told = mark.properties();
    let asked = query.filters.iter().filter(|filter| hangs_on_marks(filter));
    asked.into_iter().all(|filter| match filter {
        Filter::Property { key, value } => told.iter().any(|(name, told)| name == key && told == value),
        _ => true,
    })
}

/// Whether marks may change what the filter says of an image.
fn hangs_on_marks(filter: &Filter) -> bool {
    match filter {
        Filter::Property { key, .. } => key.starts_with("os_glance_"),
        other => matches!(other.field(), Field::Status | Field::Size),
    }
}

#[async_trait]
impl ImageService for Overlaid {
    fn capabilities(&self) -> Capabilities {
        self.below().capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        if self.apart(query).is_empty() {
            return self.below().index(context, query).await;
        }
        Ok(self.detail(context, query).await?.map(|image| Summary::from(&image)))
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        let apart = self.apart(query);
        if !apart.is_empty() {
            query.check()?;
            return self.woven(context, query, apart).await;
        }
        let mut page = self.below().detail(context, query).await?;
        self.0.marks().on_all(&mut page.items);
        Ok(page)
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        Ok(self.marked(self.below().show(context, id).await?))
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        if self.mark(id).status() == Some(Status::Importing) {
            return Ok(Download { image: self.show(context, id).await?, data: None });
        }
        let mut download = self.below().get(context, id, range).await?;
        download.image = self.marked(download.image);
        Ok(download)
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.below().create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        if let Err(error) = self.check(id, &change, data.as_ref()) {
            // Who cannot see the image hears that instead.
            self.below().show(context, id).await?;
            return Err(error);
        }
        Ok(self.marked(self.below().update(context, id, change, data).await?))
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        let answer = self.below().delete(context, id).await;
        match &answer {
            Ok(()) => self.0.forget(id).await,
            Err(error) if error.kind() == ErrorKind::NotFound && error.is_of_deleted_image() => {
                self.0.forget(id).await;
            }
            Err(_) => {}
        }
        answer
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        self.below().sharing()
    }

    fn stores(&self) -> Option<&dyn Stores> {
        self.below().stores().map(|_| self as &dyn Stores)
    }

    fn locations(&self) -> Option<&dyn Locations> {
        self.below().locations().map(|_| self as &dyn Locations)
    }
}

#[async_trait]
impl Locations for Overlaid {
    fn check(&self, url: &str) -> Result<()> {
        self.locations_below()?.check(url)
    }

    async fn of(&self, context: &Context, images: &[Image]) -> Result<Vec<Vec<Location>>> {
        self.locations_below()?.of(context, images).await
    }

    async fn prepare(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        self.require_idle(context, id).await?;
        Ok(self.marked(self.locations_below()?.prepare(context, id, url).await?))
    }

    async fn open(&self, context: &Context, image: &Image, url: &str) -> Result<Upload> {
        self.locations_below()?.open(context, image, url).await
    }

    async fn add(&self, context: &Context, id: &ImageId, new: NewLocation) -> Result<Image> {
        self.require_idle(context, id).await?;
        Ok(self.marked(self.locations_below()?.add(context, id, new).await?))
    }

    async fn arrange(&self, context: &Context, id: &ImageId, locations: Vec<Location>) -> Result<Image> {
        self.require_idle(context, id).await?;
        Ok(self.marked(self.locations_below()?.arrange(context, id, locations).await?))
    }

    async fn remove(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        self.require_idle(context, id).await?;
        Ok(self.marked(self.locations_below()?.remove(context, id, url).await?))
    }
}

#[async_trait]
impl Stores for Overlaid {
    fn list(&self) -> Vec<Store> {
        self.below().stores().map(Stores::list).unwrap_or_default()
    }

    async fn remove_copy(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        self.require_idle(context, id).await?;
        self.stores_below()?.remove_copy(context, id, store).await
    }

    async fn add_copy(&self, context: &Context, id: &ImageId, store: &str, data: Upload) -> Result<Image> {
        self.require_idle(context, id).await?;
        Ok(self.marked(self.stores_below()?.add_copy(context, id, store, data).await?))
    }

    async fn withdraw_copy(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        self.require_idle(context, id).await?;
        self.stores_below()?.withdraw_copy(context, id, store).await
    }

    async fn move_record(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        self.require_idle(context, id).await?;
        self.stores_below()?.move_record(context, id, store).await
    }
}
