//! Two stores that hold one image, each with a flaw, and a federation of them.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{
    ByteRange, Caller, Context, Digester, Download, Error, Image, ImageId, ImageService as _, NewImage,
    Timestamp, Visibility,
};
use portico::federation::{Federation, Guarding, Settings};
use portico_memory::{Memory, Options};

use crate::frail::{Flaw, Frail};
use crate::guards::Told;
use crate::made_of::{backend, context};

/// Two stores that hold one image, or the second may, and a federation of them.
pub(crate) struct Stage {
    pub(crate) home: Arc<Frail>,
    pub(crate) copy: Arc<Frail>,
    pub(crate) copies: Arc<Memory>,
    pub(crate) id: ImageId,
    pub(crate) told: Arc<Told>,
    pub(crate) federation: Federation,
}

/// The data of every image here: a thousand bytes.
pub(crate) fn data() -> Vec<u8> {
    (0..1000_u32).map(|number| u8::try_from(number * 7 % 251).unwrap()).collect()
}

/// The image with that data.
pub(crate) fn active(id: &ImageId) -> Image {
    let new = NewImage {
        id: Some(id.clone()),
        visibility: Some(Visibility::Public),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    };
    let mut image = new.into_image(&Caller::administrator(), Timestamp::now()).unwrap();
    let mut digester = Digester::default();
    digester.update(&data());
    image.finish_upload(digester.finish(None).unwrap(), Timestamp::now());
    image
}

/// A store with one image.
pub(crate) fn holding(image: Image) -> Arc<Memory> {
    let memory = Arc::new(Memory::new("memory", Options::default()));
    memory.seed(image, Some(Bytes::from(data()))).unwrap();
    memory
}

/// Without retries, which are another matter.
pub(crate) fn settings() -> Settings {
    let guarding = Guarding { retries: 0, hedge_percent: 0, ..Guarding::default() };
    Settings { guarding, ..Settings::default() }
}

impl Stage {
    pub(crate) fn new(home: Flaw, copy: Flaw) -> Self {
        Self::with(home, copy, settings(), |image| image, Some)
    }

    /// One where the records in both stores are changed, or the second has none.
    pub(crate) fn with(
        home: Flaw,
        copy: Flaw,
        settings: Settings,
        at_home: fn(Image) -> Image,
        in_copy: fn(Image) -> Option<Image>,
    ) -> Self {
        let id = ImageId::random();
        let image = active(&id);
        let home = Frail::new(holding(at_home(image.clone())), home);
        let copies = match in_copy(image) {
            Some(image) => holding(image),
            None => Arc::new(Memory::new("memory", Options::default())),
        };
        let copy = Frail::new(copies.clone(), copy);
        let told = Arc::new(Told::default());
        let backends = vec![backend(("home", home.clone())), backend(("copy", copy.clone()))];
        let federation = Federation::new(backends, settings).unwrap().observed(told.clone());
        Self { home, copy, copies, id, told, federation }
    }

    pub(crate) async fn open(&self, range: Option<ByteRange>) -> Result<Download, Error> {
        self.open_as(&context(), range).await
    }

    pub(crate) async fn open_as(
        &self,
        context: &Context,
        range: Option<ByteRange>,
    ) -> Result<Download, Error> {
        self.federation.get(context, &self.id, range).await
    }

    /// All that comes of the data, and how it ends.
    pub(crate) async fn read(&self, range: Option<ByteRange>) -> (Vec<u8>, Result<(), Error>) {
        match self.open(range).await {
            Ok(download) => drained(download).await,
            Err(error) => (Vec::new(), Err(error)),
        }
    }

    /// Reads all of the data, which must be right.
    pub(crate) async fn read_well(&self) {
        let (bytes, end) = self.read(None).await;
        end.unwrap();
        assert_eq!(bytes, data());
    }

    /// What was told of resumed and damaged downloads since this was last asked.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut lines = self.told.all();
        lines.retain(|line| line.contains("resumed") || line.contains("corrupt"));
        lines
    }
}

/// All that comes of a download, and how it ends.
pub(crate) async fn drained(download: Download) -> (Vec<u8>, Result<(), Error>) {
    let (mut bytes, mut stream) = (Vec::new(), download.data.unwrap().into_stream());
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => {
                assert!(stream.next().await.is_none(), "an error is the end");
                return (bytes, Err(error));
            }
        }
    }
    (bytes, Ok(()))
}
