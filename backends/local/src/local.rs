//! The seven verbs, async: who waits for what, and on which thread.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Data, Download, FilePart, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload,
};
use portico_catalogue::{Jobs, Wanted, lost};
use tokio_util::sync::CancellationToken;

use crate::claim::Claim;
use crate::intake;
use crate::options::Options;
use crate::outlet;
use crate::steps::Watch;
use crate::store::Store;

/// Opens a directory of images, for this process alone, making it if it is not there.
///
/// What a process that died has left is put right first; that looks at every record and every file once. `name`
/// is what logs call this store.
///
/// # Errors
/// `Invalid` if an option is out of its range, by its name. `Unavailable`, with the path, if the directory cannot
/// be made or written, is in use by another process, holds a catalogue of a newer version, or holds image data
/// and no catalogue.
pub async fn open(name: &str, options: Options) -> Result<Arc<dyn ImageService>> {
    Ok(Arc::new(Local::open(name, options).await?))
}

/// Images in a directory. See [`open`].
///
/// **Durability.** What is answered is kept, as far as [`Options::sync`] says. An upload whose caller goes away is
/// undone, unless all of its data has come: then it is finished.
///
/// **Damage.** `get` of an image whose file is missing or not of its recorded size is `Corrupt`, and so is the end
/// of a stream whose file becomes shorter while it is read.
///
/// **Closing.** [`close`](Self::close) waits for everything that is at work. Dropping the store without that stops
/// the uploads and leaves what has begun to end by itself; the directory is free for others when it has.
pub struct Local {
    name: String,
    jobs: Jobs<Store>,
}

impl Local {
    /// As [`open`], and gives the concrete type.
    ///
    /// # Errors
    /// As [`open`].
    pub async fn open(name: &str, options: Options) -> Result<Self> {
        Self::open_watched(name, options, Watch::default()).await
    }

    pub(crate) async fn open_watched(name: &str, options: Options, watch: Watch) -> Result<Self> {
        let span = tracing::info_span!("open", backend = name);
        let readers = options.readers.get();
        let (store, _) = tokio::task::spawn_blocking(move || span.in_scope(|| Store::open(options, watch)))
            .await
            .map_err(lost)??;
        Ok(Self { name: name.to_owned(), jobs: Jobs::new(store, readers) })
    }

    /// Stops the uploads, waits for everything else that is at work, and answers `Unavailable` from then on.
    ///
    /// Downloads that have been opened can be read on. Once this store is dropped too, the directory is free for
    /// another process.
    pub async fn close(&self) {
        self.jobs.lanes().close().await;
    }

    #[cfg(test)]
    pub(crate) const fn jobs(&self) -> &Jobs<Store> {
        &self.jobs
    }

    async fn list<T: Wanted + Send + 'static>(&self, context: &Context, query: &Query) -> Result<Page<T>> {
        let (store, caller, query) = (Arc::clone(self.jobs.store()), context.caller.clone(), query.clone());
        self.jobs.lanes().read(context.deadline, move |unwanted| store.list(&caller, &query, unwanted)).await
    }

    /// Takes data in for the image that `claim` claims. The whole of it belongs to a task of its own, so that it
    /// is brought to one end or the other when the caller has gone.
    async fn upload(
        &self,
        context: &Context,
        upload: Upload,
        claim: impl FnOnce(&Arc<Store>, CancellationToken) -> Result<Claim> + Send + 'static,
    ) -> Result<Image> {
        intake::check_announced(upload.size, self.jobs.store().max_upload())?;
        let (store, lanes, deadline) =
            (Arc::clone(self.jobs.store()), Arc::clone(self.jobs.lanes()), context.deadline);
        let task = |stop: CancellationToken| async move {
            let (claimed, token) = (Arc::clone(&store), stop.clone());
            let claim = lanes
                .write(deadline, move |turn| {
                    let claim = claim(&claimed, token);
                    drop(turn);
                    claim
                })
                .await?;
            match intake::receive(&store, &lanes, upload, &stop).await {
                Ok(received) => lanes.run(move || claim.finish(received)).await,
                Err(error) => lanes.run(move || Err(claim.abandon(error))).await,
            }
        };
        self.jobs.lanes().own(task).await
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.jobs.lanes().stop();
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl ImageService for Local {
    fn capabilities(&self) -> Capabilities {
        Capabilities { most_per_page: Some(self.jobs.store().page_limit()), ..Capabilities::full() }
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.list(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.list(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        let (store, caller, id) = (Arc::clone(self.jobs.store()), context.caller.clone(), id.clone());
        self.jobs.lanes().read(context.deadline, move |unwanted| store.show(&caller, &id, unwanted)).await
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let (store, caller, id) = (Arc::clone(self.jobs.store()), context.caller.clone(), id.clone());
        let opened = self
            .jobs
            .lanes()
            .read(context.deadline, move |unwanted| store.open_data(&caller, &id, range, &unwanted))
            .await?;
        let data = opened.data.map(|(file, range, total)| {
            let (file, lanes) = (Arc::new(file), Arc::clone(self.jobs.lanes()));
            let part = FilePart::new(Arc::clone(&file), range.start);
            let stream = outlet::stream(lanes, file, range.clone(), self.jobs.store().chunk_len());
            Data::new(range, total, stream).in_file(part)
        });
        Ok(Download { image: opened.image, data })
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        let caller = context.caller.clone();
        if let Some(upload) = data {
            let claim = move |store: &Arc<Store>, stop| Claim::for_new(store, &caller, image, stop);
            return self.upload(context, upload, claim).await;
        }
        let store = Arc::clone(self.jobs.store());
        self.jobs
            .lanes()
            .write(context.deadline, move |turn| {
                let answer = store.create(&caller, image);
                drop(turn);
                answer
            })
            .await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        let (caller, id) = (context.caller.clone(), id.clone());
        if let Some(upload) = data {
            let claim = move |store: &Arc<Store>, stop| Claim::for_change(store, &caller, &id, change, stop);
            return self.upload(context, upload, claim).await;
        }
        let store = Arc::clone(self.jobs.store());
        self.jobs
            .lanes()
            .write(context.deadline, move |turn| {
                let answer = store.change(&caller, &id, change);
                drop(turn);
                answer
            })
            .await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        let (store, caller, id) = (Arc::clone(self.jobs.store()), context.caller.clone(), id.clone());
        self.jobs
            .lanes()
            .write(context.deadline, move |turn| {
                store.delete(&caller, &id)?;
                // Removing a large file takes its time, and is in no other writer's way.
                drop(turn);
                store.discard(&id);
                Ok(())
            })
            .await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        Some(&self.jobs)
    }

    fn stores(&self) -> Option<&dyn Stores> {
        None
    }

    fn locations(&self) -> Option<&dyn Locations> {
        None
    }
}
