//! What one task does, from the image as it is to the image as it was asked for, or back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use image_service::{
    ByteStream, Context, Error, ErrorKind, Image, ImageChange, ImageId, Known, MultiHash, Result, Status,
    Stores, Upload,
};

use tokio_util::sync::CancellationToken;

use super::Imports;
use super::journal::Entry;
use super::model::Source;
use crate::locations;

/// How often to look, while what lies at a URL is read, whether the image is still to have it.
const LOOK: Duration = Duration::from_secs(10);

/// What becomes of data on its way: it is counted, and ends when its image has gone.
struct Flow {
    bytes: Arc<AtomicU64>,
    gone: CancellationToken,
}

impl Flow {
    fn through(&self, stream: ByteStream) -> ByteStream {
        let (bytes, gone) = (Arc::clone(&self.bytes), self.gone.clone());
        let counted = stream.inspect_ok(move |piece| {
            bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
        });
        let start = Some((counted.boxed(), gone));
        let flow = futures::stream::unfold(start, async |state: Option<(ByteStream, CancellationToken)>| {
            let (mut stream, gone) = state?;
            match gone.run_until_cancelled(stream.next()).await {
                Some(piece) => piece.map(|piece| (piece, Some((stream, gone)))),
                None => Some((Err(super::deleted()), None)),
            }
        });
        flow.boxed()
    }
}

/// On whose behalf a task acts: whoever may ask for copies may ask for those of others' images.
fn acting(entry: &Entry, context: &Context) -> Context {
    let mut context = context.clone();
    if entry.order.source == Source::Copy {
        context.caller.roles.insert(String::from("admin"));
    }
    context
}

impl Imports {
    /// Does the work of a task. What it can be repeated from is written down as it goes.
    ///
    /// # Errors
    /// What kept the data from coming; then the image is as it was before.
    pub(super) async fn work(
        &self,
        entry: &mut Entry,
        context: &Context,
        bytes: &Arc<AtomicU64>,
        gone: &CancellationToken,
    ) -> Result<()> {
        let (context, flow) = (acting(entry, context), Flow { bytes: Arc::clone(bytes), gone: gone.clone() });
        let id = entry.task.image.clone();
        if let Source::Location { url, expected } = &entry.order.source {
            return self.look_at(&context, &id, url, expected.clone()).await;
        }
        let undo = match self.take_over(entry, &context).await {
            Ok(undo) => undo,
            Err(error) => {
                entry.failed = entry.order.stores.iter().cloned().collect();
                return Err(error);
            }
        };
        let filled = match self.service().stores().filter(|_| !entry.order.stores.is_empty()) {
            Some(stores) => self.fill(stores, entry, &context, &flow).await,
            None => self.fill_plainly(entry, &context, &flow).await,
        };
        if filled.is_err()
            && let Some(undo) = undo
            && let Err(error) = self.service().update(&context, &id, undo, None).await
        {
            tracing::warn!(image = %id, %error, "what was taken over from another image stays");
        }
        filled
    }

    /// Reads what lies at a URL, and makes that a location of the image.
    async fn look_at(
        &self,
        context: &Context,
        id: &ImageId,
        url: &str,
        expected: Option<(String, String)>,
    ) -> Result<()> {
        if self.service().show(context, id).await?.has_data() {
            return Ok(());
        }
        let expected = expected.map(|(algorithm, value)| MultiHash { algorithm, value });
        let known = if self.0.settings.hash_locations {
            locations::examine(self.service(), context, id, url, expected, LOOK).await?
        } else {
            Known { hash: expected, ..Known::default() }
        };
        locations::add(self.service(), context, id, url, known).await.map(drop)
    }

    /// Gives data to an image in a service without named stores.
    async fn fill_plainly(&self, entry: &Entry, context: &Context, flow: &Flow) -> Result<()> {
        let id = &entry.task.image;
        if self.service().show(context, id).await?.has_data() {
            return Ok(());
        }
        let data = self.open_source(entry, context, flow).await?;
        self.service().update(context, id, ImageChange::default(), Some(data)).await.map(drop)
    }

    /// Gives data to an image in each of its stores that has none yet.
    async fn fill(
        &self,
        stores: &dyn Stores,
        entry: &mut Entry,
        context: &Context,
        flow: &Flow,
    ) -> Result<()> {
        let id = entry.task.image.clone();
        let image = self.service().show(context, &id).await?;
        let mut left: Vec<String> = entry.order.stores.clone();
        let home = left.first().cloned().unwrap_or_default();
        if entry.order.source != Source::Copy
            && image.status == Status::Queued
            && let Err(error) = stores.move_record(context, &id, &home).await
        {
            entry.failed = entry.order.stores.iter().cloned().collect();
            return Err(error);
        }
        if entry.order.source != Source::Copy && entry.order.all_must_succeed && left.len() > 1 {
            // As long as the record's own store has no data, all else can be taken back.
            left.rotate_left(1);
        }
        left.retain(|store| !image.stores.contains(store));
        let mut last = None;
        for store in &left {
            entry.order.given.insert(store.clone());
            self.save(entry).await;
            let outcome = self.fill_one(stores, entry, context, store, flow).await;
            if let Err(error) = outcome {
                entry.failed.insert(store.clone());
                // By contract nothing of the data has stayed.
                entry.order.given.remove(store);
                if entry.order.all_must_succeed {
                    self.take_back(entry, context).await;
                    return Err(error);
                }
                tracing::warn!(image = %id, %store, %error, "an import goes on without a store that failed");
                last = Some(error);
            } else {
                entry.failed.remove(store);
            }
            entry.importing.remove(store);
            self.save(entry).await;
        }
        match last {
            Some(error) if entry.order.stores.iter().all(|store| entry.failed.contains(store)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn fill_one(
        &self,
        stores: &dyn Stores,
        entry: &mut Entry,
        context: &Context,
        store: &str,
        flow: &Flow,
    ) -> Result<()> {
        let data = match self.open_source(entry, context, flow).await {
            Ok(data) => data,
            Err(error) => {
                // Then it is no store's fault, and those that have it keep it.
                let lacking = entry.order.stores.iter().filter(|store| !entry.order.given.contains(*store));
                entry.failed = lacking.cloned().collect();
                return Err(error);
            }
        };
        stores.add_copy(context, &entry.task.image, store, data).await.map(drop)
    }

    /// Takes back what the task has given to stores.
    pub(super) async fn take_back(&self, entry: &Entry, context: &Context) {
        let (Some(stores), id) = (self.service().stores(), &entry.task.image) else { return };
        let context = acting(entry, context);
        let has = match self.service().show(&context, id).await {
            Ok(image) => image.stores,
            Err(error) => {
                tracing::warn!(image = %id, %error, "what stores were given is not taken back");
                return;
            }
        };
        for store in entry.order.given.iter().filter(|store| has.contains(store)) {
            if let Err(error) = stores.withdraw_copy(&context, id, store).await {
                tracing::warn!(image = %id, %store, %error, "a copy stays that was to be taken back");
            }
        }
    }

    /// Opens the data: where the image has it already, else where it comes from.
    async fn open_source(&self, entry: &Entry, context: &Context, flow: &Flow) -> Result<Upload> {
        let id = &entry.task.image;
        let image = self.service().show(context, id).await?;
        let (stream, size) = if image.status == Status::Active {
            self.data_of(context, id, "the image").await?
        } else {
            match &entry.order.source {
                Source::Staged => self.staged(id).await?,
                Source::Web { uri } => {
                    let fetched = self.0.fetcher.open(uri).await?;
                    (fetched.stream, fetched.size)
                }
                Source::Copy | Source::Location { .. } => {
                    return Err(Error::conflict("the image is no longer active"));
                }
                Source::Image { id, region } => {
                    let context = Context { prefer: self.preferred(region), ..context.clone() };
                    self.data_of(&context, &ImageId::lookup(id.as_str()), "the other image").await?
                }
            }
        };
        Ok(Upload { stream: flow.through(stream), size, store: None })
    }

    async fn staged(&self, id: &ImageId) -> Result<(ByteStream, Option<u64>)> {
        let staged = self.marks().of(id).staged;
        let Some(staged) = staged else { return Err(Error::conflict("nothing is staged for the image")) };
        Ok((self.0.staging.read(&staged.file).await?, staged.size))
    }

    async fn data_of(
        &self,
        context: &Context,
        id: &ImageId,
        what: &str,
    ) -> Result<(ByteStream, Option<u64>)> {
        let download = self.service().get(context, id, None).await?;
        let Some(data) = download.data else {
            return Err(Error::conflict(format!("{what} has no data")));
        };
        let total = data.total;
        Ok((data.into_stream(), Some(total)))
    }

    /// The store that a region stands for, if it is not all of them.
    fn preferred(&self, region: &str) -> Vec<String> {
        if self.0.settings.region.as_deref() == Some(region) { Vec::new() } else { vec![region.to_owned()] }
    }

    /// Takes over formats and properties of the image that the data comes from, if it comes from one. Gives what undoes
    /// that.
    async fn take_over(&self, entry: &Entry, context: &Context) -> Result<Option<ImageChange>> {
        let Source::Image { id, region } = &entry.order.source else { return Ok(None) };
        let from = self.source_image(context, &ImageId::lookup(id.as_str()), region).await?;
        let image = self.service().show(context, &entry.task.image).await?;
        if image.has_data() {
            return Ok(None);
        }
        let wanted = |key: &str| {
            let prefixes = &self.0.settings.copied_properties;
            prefixes.iter().any(|prefix| key.starts_with(prefix.as_str())) && !key.starts_with("os_glance")
        };
        let taken = from.properties.into_iter().filter(|(key, _)| wanted(key));
        let change = ImageChange {
            disk_format: Some(from.disk_format),
            container_format: Some(from.container_format),
            properties: taken.map(|(key, value)| (key, Some(value))).collect(),
            ..ImageChange::default()
        };
        let old = |key: &String| (key.clone(), image.properties.get(key).cloned());
        let undo = ImageChange {
            properties: change.properties.keys().map(old).collect(),
            disk_format: Some(image.disk_format.clone()),
            container_format: Some(image.container_format.clone()),
            ..ImageChange::default()
        };
        self.service().update(context, &entry.task.image, change, None).await?;
        Ok(Some(undo))
    }

    async fn source_image(&self, context: &Context, id: &ImageId, region: &str) -> Result<Image> {
        let preferred = self.preferred(region);
        let known = self.service().stores().map(|stores| stores.list()).unwrap_or_default();
        if let Some(unknown) = preferred.iter().find(|name| known.iter().all(|store| store.name != **name)) {
            return Err(Error::invalid(format!("there is no region or store '{unknown}'")));
        }
        let from = self.marks().on(self.service().show(context, id).await?);
        if from.status != Status::Active {
            return Err(Error::conflict(format!("the other image is {} and not active", from.status)));
        }
        if let Some(missing) = preferred.iter().find(|name| !from.stores.contains(name)) {
            return Err(Error::new(ErrorKind::NotFound, format!("image {id} is not in store '{missing}'")));
        }
        Ok(from)
    }
}
