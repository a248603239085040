//! Images that a case makes, written into a catalogue that others read.
//!
//! What the form of the catalogue cannot hold is not in it: an image without data is published as one of no bytes, and
//! whatever else is missing is missing in what the reader shows, which is what every write answers with.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, Image, ImageChange, ImageId, ImageService, Locations,
    NewImage, Page, Properties, Query, Result, Sharing, Stores, Summary, Upload,
};
use tokio::sync::Mutex;

use super::{Reader, property_of};

/// An image as its publisher has it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Which no other entry has, also of those that are not published any more.
    pub(crate) number: usize,
    pub(crate) name: Option<String>,
    pub(crate) disk_format: Option<String>,
    /// The data of the image.
    pub(crate) bytes: Bytes,
    /// The file that it is published as.
    pub(crate) stored: Bytes,
    /// Tags are among them.
    pub(crate) properties: Properties,
}

/// A form of catalogue, and where it is published.
#[async_trait]
pub(crate) trait Publication: fmt::Debug + Send + Sync {
    /// The file that is published for an image of these bytes.
    async fn stored(&self, bytes: Bytes) -> Bytes;

    /// Makes these entries what is published, all at once, and nothing else.
    fn publish(&self, entries: &[Entry]);

    /// The id that the image of an entry has where the catalogue is read.
    fn id_of(&self, entry: &Entry) -> ImageId;
}

/// Makes images by publishing them, to be seen in a reader.
#[derive(Debug)]
pub(crate) struct Publisher<P> {
    publication: P,
    seen: Arc<Reader>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    entries: Vec<Entry>,
    made: usize,
}

impl<P: Publication> Publisher<P> {
    /// Publishes a catalogue of nothing.
    pub(crate) fn new(publication: P, seen: Arc<Reader>) -> Self {
        publication.publish(&[]);
        Self { publication, seen, held: Mutex::default() }
    }

    fn place(&self, held: &Held, id: &ImageId) -> Result<usize> {
        let place = held.entries.iter().position(|entry| self.publication.id_of(entry) == *id);
        place.ok_or_else(|| Error::not_found(id))
    }
}

#[async_trait]
impl<P: Publication + 'static> ImageService for Publisher<P> {
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
        let bytes = match data {
            Some(data) => Bytes::from(data.stream.try_collect::<Vec<Bytes>>().await?.concat()),
            None => Bytes::new(),
        };
        let mut held = self.held.lock().await;
        let mut properties = image.properties;
        properties.extend(image.tags.into_iter().map(|tag| (property_of(&tag), tag)));
        let entry = Entry {
            number: held.made,
            name: image.name,
            disk_format: image.disk_format,
            stored: self.publication.stored(bytes.clone()).await,
            bytes,
            properties,
        };
        let id = self.publication.id_of(&entry);
        held.made += 1;
        held.entries.push(entry);
        self.publication.publish(&held.entries);
        self.seen.show(context, &id).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        assert!(data.is_none() && change.tags.is_none(), "a case about reading changes neither");
        let mut held = self.held.lock().await;
        let place = self.place(&held, id)?;
        if let Some(name) = change.name {
            held.entries[place].name = name;
        }
        self.publication.publish(&held.entries);
        self.seen.show(context, id).await
    }

    async fn delete(&self, _: &Context, id: &ImageId) -> Result<()> {
        let mut held = self.held.lock().await;
        let place = self.place(&held, id)?;
        held.entries.remove(place);
        self.publication.publish(&held.entries);
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
