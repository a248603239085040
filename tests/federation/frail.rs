//! A service whose image data has a flaw.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use image_service::{
    ByteRange, Capabilities, Context, Data, Download, Error, ErrorKind, FilePart, Image, ImageChange,
    ImageId, ImageService, Locations, MultiHash, NewImage, Page, Query, Result, Sharing, Stores, Summary,
    Upload,
};
use tokio::time::Instant;

/// What is wrong with the data. Offsets are those in the whole image.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flaw {
    None,
    /// It breaks off before this byte.
    DiesAt(u64),
    /// It breaks off before this byte, and every call fails for so long then.
    DiesFor(u64, Duration),
    /// It breaks off when it has given one piece.
    GivesFew,
    /// It breaks off before this byte, unless it begins with it.
    DiesOnceAt(u64),
    /// It stands still before this byte.
    StallsAt(u64),
    /// It ends before this byte as if all were well.
    EndsAt(u64),
    /// It does not end where it should.
    GoesOn,
    /// This byte is another one.
    Flips(u64),
    /// A part is the one behind that which was asked for, and says so.
    OtherPart,
    /// A part is refused.
    NoParts,
    /// The image has another hash.
    OtherHash,
    /// All calls fail.
    Down,
}

/// A service and its flaw.
#[derive(Debug)]
pub(crate) struct Frail {
    inner: Arc<dyn ImageService>,
    flaw: Mutex<Flaw>,
    down_until: Arc<Mutex<Option<Instant>>>,
    opened: AtomicUsize,
    file: Option<Arc<File>>,
}

/// So many bytes come at once.
const PIECE: usize = 7;

impl Frail {
    pub(crate) fn new(inner: Arc<dyn ImageService>, flaw: Flaw) -> Arc<Self> {
        Arc::new(Self::with(inner, flaw, None))
    }

    /// One whose data also lies in a file.
    pub(crate) fn in_file(inner: Arc<dyn ImageService>, file: File) -> Arc<Self> {
        Arc::new(Self::with(inner, Flaw::None, Some(Arc::new(file))))
    }

    fn with(inner: Arc<dyn ImageService>, flaw: Flaw, file: Option<Arc<File>>) -> Self {
        let (down_until, opened) = (Arc::default(), AtomicUsize::new(0));
        Self { inner, flaw: Mutex::new(flaw), down_until, opened, file }
    }

    pub(crate) fn is_now(&self, flaw: Flaw) {
        *self.flaw.lock().unwrap() = flaw;
    }

    /// How often data was asked for since this was last asked.
    pub(crate) fn opened(&self) -> usize {
        self.opened.swap(0, Ordering::SeqCst)
    }

    fn flaw(&self) -> Flaw {
        *self.flaw.lock().unwrap()
    }

    fn bear(&self) -> Result<()> {
        let until = *self.down_until.lock().unwrap();
        if matches!(self.flaw(), Flaw::Down) || until.is_some_and(|until| Instant::now() < until) {
            return Err(Error::new(ErrorKind::Refused, "it is down"));
        }
        Ok(())
    }

    fn disguised(&self, image: Image) -> Image {
        match self.flaw() {
            Flaw::OtherHash => {
                let hash = Some(MultiHash { algorithm: "sha512".into(), value: "ab".repeat(64) });
                Image { hash, ..image }
            }
            _ => image,
        }
    }

    async fn flawed(&self, data: Data) -> Data {
        let (range, total) = (data.range.clone(), data.total);
        let bytes: Vec<Bytes> = data.into_stream().try_collect().await.unwrap();
        let mut bytes = bytes.concat();
        let flaw = self.flaw();
        if let Flaw::Flips(at) = flaw
            && range.contains(&at)
        {
            bytes[usize::try_from(at - range.start).unwrap()] ^= 1;
        }
        if matches!(flaw, Flaw::GoesOn) {
            bytes.extend_from_slice(b"and more");
        }
        let cut = match flaw {
            Flaw::GivesFew => {
                bytes.truncate(PIECE);
                true
            }
            Flaw::DiesOnceAt(at) if range.contains(&at) && range.start != at => {
                bytes.truncate(usize::try_from(at - range.start).unwrap());
                true
            }
            Flaw::DiesAt(at) | Flaw::DiesFor(at, _) | Flaw::StallsAt(at) | Flaw::EndsAt(at)
                if range.contains(&at) =>
            {
                bytes.truncate(usize::try_from(at - range.start).unwrap());
                true
            }
            _ => false,
        };
        let pieces: Vec<Result<Bytes>> =
            bytes.chunks(PIECE).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let stream = futures::stream::iter(pieces);
        let dead = || Error::new(ErrorKind::Unavailable, "the line is dead");
        let stream = match flaw {
            Flaw::DiesAt(_) | Flaw::DiesOnceAt(_) | Flaw::GivesFew if cut => {
                stream.chain(futures::stream::iter([Err(dead())])).boxed()
            }
            Flaw::DiesFor(_, time) if cut => {
                let down = Arc::clone(&self.down_until);
                let die = async move {
                    *down.lock().unwrap() = Some(Instant::now() + time);
                    Err(dead())
                };
                stream.chain(futures::stream::once(die)).boxed()
            }
            Flaw::StallsAt(_) if cut => stream.chain(futures::stream::pending()).boxed(),
            _ => stream.boxed(),
        };
        Data::new(range, total, stream)
    }
}

#[async_trait]
impl ImageService for Frail {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.inner.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.inner.detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.bear()?;
        Ok(self.disguised(self.inner.show(context, id).await?))
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.bear()?;
        let range = match (range, self.flaw()) {
            (Some(_), Flaw::NoParts) => return Err(Error::not_implemented("a part")),
            (Some(ByteRange::From(from)), Flaw::OtherPart) => Some(ByteRange::From(from + 1)),
            (range, _) => range,
        };
        let Download { image, data } = self.inner.get(context, id, range).await?;
        let data = match data {
            Some(data) => {
                let start = data.range.start;
                let data = self.flawed(data).await;
                Some(match &self.file {
                    Some(file) => data.in_file(FilePart::new(Arc::clone(file), start)),
                    None => data,
                })
            }
            None => None,
        };
        Ok(Download { image: self.disguised(image), data })
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.inner.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        self.inner.update(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.inner.delete(context, id).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        self.inner.sharing()
    }

    fn stores(&self) -> Option<&dyn Stores> {
        self.inner.stores()
    }

    fn locations(&self) -> Option<&dyn Locations> {
        self.inner.locations()
    }
}
