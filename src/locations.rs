//! Locations that are looked at before they are added: what lies there is read once, so that the image says what it is.
//!
//! Reading takes as long as it takes, so it is done behind the back of whoever asked for it: so many at once, so many that
//! wait, and one for each image. While it goes on the image stays queued, as it does if it comes to nothing. When the
//! service ends, what is being read is given up.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use image_service::{
    Context, Digester, Error, ErrorKind, HashAlgorithm, Image, ImageId, ImageService, Known, Locations,
    MultiHash, NewLocation, Result, Status,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How much is looked at. Every bound has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many locations are looked at at once. Default 4.
    pub at_once: usize,
    /// How many wait until others have been looked at. Default 64.
    pub waiting: usize,
    /// How often to look, while data is read, whether the image is still to have it. Default 10 seconds.
    pub look: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { at_once: 4, waiting: 64, look: Duration::from_secs(10) }
    }
}

/// Looks at locations and adds them, behind the back of whoever asks.
#[derive(Debug)]
pub struct Examinations {
    settings: Settings,
    permits: Arc<Semaphore>,
    under_way: Arc<UnderWay>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// The images whose locations are being looked at.
#[derive(Debug, Default)]
struct UnderWay(Mutex<HashSet<ImageId>>);

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, HashSet<ImageId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one location of one image looked at. It is given back when this goes.
pub struct Slot {
    under_way: Arc<UnderWay>,
    id: ImageId,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.id).finish()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.id);
    }
}

impl Examinations {
    /// Looks at nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(settings.at_once)),
            under_way: Arc::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            settings,
        }
    }

    /// Lets one more in, for this image.
    ///
    /// # Errors
    /// `Conflict` if there is one for the image already; `Unavailable` if there are too many, or the service ends.
    pub fn admit(&self, id: &ImageId) -> Result<Slot> {
        let most = self.settings.at_once.saturating_add(self.settings.waiting);
        let mut under_way = self.under_way.lock();
        if under_way.contains(id) {
            return Err(Error::conflict(format!("a location of image {id} is being looked at already")));
        }
        if under_way.len() >= most || self.closing.is_cancelled() {
            return Err(
                Error::new(ErrorKind::Unavailable, "too many locations are being looked at").answered()
            );
        }
        under_way.insert(id.clone());
        drop(under_way);
        Ok(Slot { under_way: Arc::clone(&self.under_way), id: id.clone() })
    }

    /// Starts to look at what lies at `url`, and adds it to the image that `slot` was given for if it is what is
    /// `expected`. What comes of it shows in the image, and if it is nothing, in the log.
    pub fn start(
        &self,
        slot: Slot,
        service: Arc<dyn ImageService>,
        context: Context,
        url: String,
        expected: Option<MultiHash>,
    ) {
        // Nobody waits for it any more.
        let context = Context { deadline: None, ..context };
        let (permits, closing, look) = (Arc::clone(&self.permits), self.closing.clone(), self.settings.look);
        self.tasks.spawn(async move {
            let examined = async {
                let _permit = permits.acquire_owned().await;
                examine(service.as_ref(), &context, &slot.id, &url, expected, look).await
            };
            // Only reading is given up. What has been begun at a store is ended.
            let outcome = match closing.run_until_cancelled(examined).await {
                Some(Ok(known)) => add(service.as_ref(), &context, &slot.id, &url, known).await,
                Some(Err(error)) => Err(error),
                None => Err(Error::new(ErrorKind::Unavailable, "the service ends")),
            };
            match outcome {
                Ok(_) => tracing::info!(image = %slot.id, "a location was added"),
                Err(error) => {
                    tracing::warn!(image = %slot.id, kind = ?error.kind(), error = %error.chain(), "a location was not added");
                }
            }
        });
    }

    /// Lets nothing new in, gives up what is being read, and waits until nothing is at work.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Reads what lies at `url` once, as a location of a queued image: with the strong hash of the kind that is `expected`, or
/// else of the kind that stores compute. Looks now and then, as often as `look` says, whether the image is still to have it.
///
/// # Errors
/// `Invalid` if what lies there is not what is expected, or cannot be had; `UnsupportedFormat` if it is not what the image
/// declares; `Conflict` if the image has got data meanwhile; `NotFound` if it has gone.
pub async fn examine(
    service: &dyn ImageService,
    context: &Context,
    id: &ImageId,
    url: &str,
    expected: Option<MultiHash>,
    look: Duration,
) -> Result<Known> {
    let image = service.show(context, id).await?;
    let mut upload = power(service)?.open(context, &image, url).await?;
    let algorithm = match &expected {
        Some(expected) => expected.algorithm.parse()?,
        None => HashAlgorithm::Sha512,
    };
    let mut digester = Digester::with(algorithm);
    let mut looked = Instant::now();
    while let Some(bytes) = upload.stream.next().await {
        digester.update(&bytes?);
        if looked.elapsed() >= look {
            require_wanted(service, context, id).await?;
            looked = Instant::now();
        }
    }
    let digests = digester.finish(upload.size)?;
    match expected {
        Some(expected) if !expected.value.eq_ignore_ascii_case(&digests.hash.value) => Err(Error::invalid(
            format!("os_hash_value: the data has not the {} that it should have", expected.algorithm),
        )),
        _ => Ok(digests.into()),
    }
}

/// Adds a location that has been examined.
///
/// # Errors
/// Those of [`Locations::add`].
pub async fn add(
    service: &dyn ImageService,
    context: &Context,
    id: &ImageId,
    url: &str,
    known: Known,
) -> Result<Image> {
    power(service)?.add(context, id, NewLocation { known, ..NewLocation::at_url(url) }).await
}

fn power(service: &dyn ImageService) -> Result<&dyn Locations> {
    service.locations().ok_or_else(|| Error::not_implemented("a location"))
}

/// Lets through an image that still waits for data. That it cannot be told now is no reason to give up.
async fn require_wanted(service: &dyn ImageService, context: &Context, id: &ImageId) -> Result<()> {
    match service.show(context, id).await {
        Ok(image) if image.status != Status::Queued => {
            Err(Error::conflict(format!("the image is {} and waits for no data", image.status)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
