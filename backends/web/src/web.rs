//! The seven verbs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Data, Download, Error, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Support, Upload,
};
use portico_catalogue::{Jobs, Wanted, lost, visible};
use rusqlite::Connection;

use crate::options::Options;
use crate::outlet;
use crate::store::{self, Store};

/// Opens a store of images whose data lies at URLs, making its directory if it is not there. `name` is what logs call
/// it.
///
/// # Errors
/// `Invalid` if an option is out of its range, by its name. `Unavailable`, with the path, if the directory cannot be made
/// or written, or holds a catalogue of a newer version.
pub async fn open(name: &str, options: Options) -> Result<Arc<dyn ImageService>> {
    Ok(Arc::new(Web::open(name, options).await?))
}

/// Images whose data lies at URLs. See [`open`].
///
/// **Data.** `get` gives what the first location gives that answers, as far as it is what the image says of it: another
/// length, or at the end of the whole another hash, is `Corrupt`. A location that does not answer soon is waited for
/// while the download has begun already, so that no server elsewhere holds up this store.
///
/// **Faults of locations** never speak against the store.
pub struct Web {
    name: String,
    pub(crate) jobs: Jobs<Store>,
}

impl Web {
    /// As [`open`], and gives the concrete type.
    ///
    /// # Errors
    /// As [`open`].
    pub async fn open(name: &str, options: Options) -> Result<Self> {
        let readers = options.readers.get();
        let store = tokio::task::spawn_blocking(move || Store::open(options)).await.map_err(lost)??;
        Ok(Self { name: name.to_owned(), jobs: Jobs::new(store, readers) })
    }

    async fn list<T: Wanted + Send + 'static>(&self, context: &Context, query: &Query) -> Result<Page<T>> {
        let (caller, query, most) =
            (context.caller.clone(), query.clone(), self.jobs.store().page_limit.get());
        self.jobs.read(context, move |snapshot| store::page(snapshot, &caller, &query, most)).await
    }
}

/// What is said to whoever brings data.
fn takes_no_data() -> Error {
    Error::not_implemented("taking image data, rather than being told where it lies,")
}

impl Drop for Web {
    fn drop(&mut self) {
        self.jobs.lanes().stop();
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl ImageService for Web {
    fn capabilities(&self) -> Capabilities {
        let most_per_page = Some(self.jobs.store().page_limit);
        Capabilities { uploads: Support::No, most_per_page, ..Capabilities::full() }
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.list(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.list(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        let (caller, id) = (context.caller.clone(), id.clone());
        self.jobs.read(context, move |snapshot| Ok(visible(snapshot, &caller, &id)?.0)).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let (caller, id) = (context.caller.clone(), id.clone());
        let (image, locations) =
            self.jobs.read(context, move |snapshot| store::readable(snapshot, &caller, &id)).await?;
        let Some(total) = image.size.filter(|_| image.has_data()) else {
            return Ok(Download { image, data: None });
        };
        let range = range.map_or(Ok(0..total), |range| range.within(total))?;
        let stream = outlet::open(self.jobs.store(), &image, locations, range.clone(), total).await?;
        Ok(Download { image, data: Some(Data::new(range, total, stream)) })
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        let caller = context.caller.clone();
        if data.is_some() {
            // Who would be refused anyhow hears why.
            self.jobs.read(context, move |snapshot| store::describe(snapshot, &caller, image)).await?;
            return Err(takes_no_data());
        }
        self.jobs.write(context, move |transaction| store::create(transaction, &caller, image)).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        let (caller, id) = (context.caller.clone(), id.clone());
        if data.is_some() {
            // Who would be refused anyhow hears why.
            let refused = move |snapshot: &Connection| store::upload(snapshot, &caller, &id, change);
            self.jobs.read(context, refused).await?;
            return Err(takes_no_data());
        }
        self.jobs.write(context, move |transaction| store::change(transaction, &caller, &id, change)).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        let (caller, id) = (context.caller.clone(), id.clone());
        self.jobs.write(context, move |transaction| store::delete(transaction, &caller, &id)).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        Some(&self.jobs)
    }

    fn stores(&self) -> Option<&dyn Stores> {
        None
    }

    fn locations(&self) -> Option<&dyn Locations> {
        Some(self)
    }
}
