//! Threads that connections are served on, each connection on one of them for as long as it lasts.
//!
//! A proxied download is read by one task and written by another. On one thread they take turns at it, and a piece is
//! written where it has just been read. Where threads take work from each other the two end up on different ones, which
//! wake each other for every piece: that took half as much processor time again and gave less (`tests/bench`, one
//! download, two processors). So the work of a connection stays where it began, and connections are spread as they come.
//! A connection that keeps its thread busy slows down those that share it, and others do not help. Nothing here is
//! busy for long: what takes its time, files and hashes, is done on threads for blocking work.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Running threads. They end when this is dropped, with all that still runs on them.
#[derive(Debug)]
pub struct Threads {
    seats: Seats,
    end: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts so many threads. Blocking work that they have begun may take `last` to finish when they end.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn start(count: NonZeroUsize, last: Duration) -> io::Result<Self> {
        let mut threads =
            Self { seats: Seats::default(), end: CancellationToken::new(), running: Vec::new() };
        let mut seats = Vec::new();
        for number in 0..count.get() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            seats.push(Seat { handle: runtime.handle().clone(), taken: TaskTracker::new() });
            let end = threads.end.clone();
            let serve = move || {
                runtime.block_on(end.cancelled());
                runtime.shutdown_timeout(last);
            };
            let thread = std::thread::Builder::new().name(format!("serve-{number}"));
            threads.running.push(thread.spawn(serve)?);
        }
        threads.seats = Seats(seats.into());
        Ok(threads)
    }

    /// Room for connections on these threads.
    #[must_use]
    pub fn seats(&self) -> Seats {
        self.seats.clone()
    }

    /// Has the threads end, and does not wait for it.
    pub fn stop(&self) {
        self.end.cancel();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
        for thread in self.running.drain(..) {
            // It has panicked, and has said so.
            thread.join().ok();
        }
    }
}

/// Room for connections on threads. Clones are the same room. The default has no threads: connections are served where
/// their server is.
#[derive(Debug, Clone, Default)]
pub struct Seats(Arc<[Seat]>);

#[derive(Debug)]
struct Seat {
    handle: Handle,
    /// The connections on it.
    taken: TaskTracker,
}

impl Seats {
    /// Has `serve` serve `stream` on the thread that has the fewest connections, as one of `tasks`.
    pub(super) fn give<F>(
        &self,
        tasks: &mut JoinSet<()>,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(seat) = self.0.iter().min_by_key(|seat| seat.taken.len()) else {
            tasks.spawn(serve(stream));
            return;
        };
        let taken = seat.taken.token();
        let moved = stream.into_std();
        let task = async move {
            match moved.and_then(TcpStream::from_std) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(error = %error, "a connection was lost before it began"),
            }
            drop(taken);
        };
        tasks.spawn_on(task, &seat.handle);
    }
}
