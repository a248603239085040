//! Writes that have begun are finished, also when nobody waits for them any more.

use image_service::{Context, Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
