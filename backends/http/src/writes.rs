//! Writes that have begun are finished, also when nobody waits for them any more.

use std::time::Duration;

use image_service::{Context, Error, ErrorKind, Image, Result, Status};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The first pause before looking again how an upload ended, which doubles each time, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How late a server may begin with an upload that has broken off already.
const LATE_BEGINNING: Duration = Duration::from_secs(3);

/// The writes under way to one server. They outlive the futures that began them.
#[derive(Debug, Default)]
pub(crate) struct Writes(TaskTracker);

impl Writes {
    /// Runs a write to its end, whether or not anybody waits for it. The write is told when nobody does.
    pub(crate) async fn finish<T, F>(&self, write: impl FnOnce(CancellationToken) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let gone = CancellationToken::new();
        let task = self.0.spawn(write(gone.clone()));
        let _tell = gone.drop_guard();
        let broken = |source| Error::new(ErrorKind::Internal, "a write broke down").with_source(source);
        task.await.map_err(broken)?
    }

    /// Waits until every write that has begun is finished. To be called when no more requests come.
    pub(crate) async fn drain(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

/// The context of a write: what has begun is finished, also when nobody waits for the answer any more.
pub(crate) fn lasting(context: &Context) -> Context {
    Context { deadline: None, ..context.clone() }
}

/// The image that `show` gives once the server has noticed how its upload ended, or when we have waited for that as long
/// as `patience` says.
///
/// A server with much to do begins with an upload only after it has broken off. Until it is seen to save, an image that
/// is queued may thus be one that will be saving in a moment, and would refuse the next upload.
pub(crate) async fn settled<F>(patience: Duration, show: impl Fn() -> F) -> Result<Image>
where
    F: Future<Output = Result<Image>>,
{
    let deadline = Instant::now() + patience;
    let begins = Instant::now() + patience.min(LATE_BEGINNING);
    let mut pause = PAUSE;
    let mut was_saving = false;
    loop {
        let image = show().await?;
        was_saving |= image.status == Status::Saving;
        let may_begin = image.status == Status::Queued && !was_saving && Instant::now() + pause <= begins;
        let goes_on = image.status == Status::Saving && Instant::now() + pause <= deadline;
        if !may_begin && !goes_on {
            return Ok(image);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The fault of an `image` that has not as many bytes as were sent.
pub(crate) fn miscounted(sent: u64, image: &Image) -> Error {
    let has = image.size.map_or_else(|| "an unknown number of".to_owned(), |size| size.to_string());
    Error::new(
        ErrorKind::Corrupt,
        format!("{sent} bytes of image data were sent, and the image has {has} bytes"),
    )
}
