//! Who may block, and when: turns for the one writer, seats for the readers.
//!
//! Those who wait do so here, without a thread, so that neither many writes nor many lists use up the threads
//! for blocking work, and no list waits behind a write. What waits can be given up; what has begun runs to its
//! end, and is waited for when the store closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use image_service::{Error, ErrorKind, Result};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fault;

/// The right to write. Letting go of it lets the next one in.
pub type Turn = OwnedSemaphorePermit;

/// Turns and seats, and the tasks that are at work.
#[derive(Debug)]
pub struct Lanes {
    writers: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Lanes {
    /// With one turn and so many seats.
    #[must_use]
    pub fn new(readers: usize) -> Self {
        Self {
            writers: Arc::new(Semaphore::new(1)),
            readers: Arc::new(Semaphore::new(readers)),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Blocks a thread with `job` once there is a seat. When the answer is no longer awaited, or comes too
    /// late, the flag that `job` has been given is set.
    ///
    /// # Errors
    /// The job's; `TimedOut` at the deadline; `Unavailable` if the store is closing.
    pub async fn read<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        job: impl FnOnce(Arc<AtomicBool>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let answer = async {
            let seat = self.admit(&self.readers).await?;
            let unwanted = SetOnDrop(Arc::new(AtomicBool::new(false)));
            let flag = Arc::clone(&unwanted.0);
            self.run(move || {
                let answer = job(flag);
                drop(seat);
                answer
            })
            .await
        };
        by(deadline, answer).await
    }

    /// Blocks a thread with `job` once it is its turn. From then on it runs to its end, awaited or not.
    ///
    /// # Errors
    /// The job's; `TimedOut` at the deadline; `Unavailable` if the store is closing.
    pub async fn write<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        job: impl FnOnce(Turn) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = by(deadline, self.admit(&self.writers)).await?;
        self.run(move || job(turn)).await
    }

    /// Blocks a thread with `job`: file work, which stands in nobody's way.
    ///
    /// # Errors
    /// The job's.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.start(job).end().await
    }

    /// Starts to [`run`](Self::run) `job` and does not wait for it.
    pub fn start<T: Send + 'static>(&self, job: impl FnOnce() -> Result<T> + Send + 'static) -> Running<T> {
        Running(self.tasks.spawn_blocking(job))
    }

    /// Runs `task` to its end, awaited or not. It is to stop when the token says so: that is when its caller
    /// has gone, or the store closes.
    ///
    /// # Errors
    /// The task's.
    pub async fn own<T, F>(&self, task: impl FnOnce(CancellationToken) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let stop = self.closing.child_token();
        let gone = stop.clone().drop_guard();
        let done = self.tasks.spawn(task(stop)).await;
        drop(gone);
        done.map_err(fault::lost)?
    }

    /// Lets nothing new in, stops what can be stopped, and waits for the rest.
    pub async fn close(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Lets nothing new in, and stops what can be stopped.
    pub fn stop(&self) {
        self.closing.cancel();
    }

    async fn admit(&self, lane: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(lane).acquire_owned().await.map_err(|_: AcquireError| fault::closed())?;
        if self.closing.is_cancelled() {
            return Err(fault::closed());
        }
        Ok(permit)
    }
}

/// A job at work. It runs to its end, waited for or not.
#[derive(Debug)]
pub struct Running<T>(JoinHandle<Result<T>>);

impl<T> Running<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// The job's.
    pub async fn end(self) -> Result<T> {
        self.0.await.map_err(fault::lost)?
    }
}

async fn by<T>(deadline: Option<Instant>, answer: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(deadline) = deadline else {
        return answer.await;
    };
    tokio::time::timeout_at(deadline.into(), answer).await.unwrap_or_else(|elapsed| {
        Err(Error::new(ErrorKind::TimedOut, "the answer did not come in time").with_source(elapsed))
    })
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
