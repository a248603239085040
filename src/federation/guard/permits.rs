//! How many calls to one backend are under way at once, and how many may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::Instant;

/// Leave to be under way. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _slot: OwnedSemaphorePermit,
}

/// A gate with room for so many behind it, and a queue before it. Who waits longest is let in first.
#[derive(Debug)]
pub(super) struct Gate {
    room: usize,
    slots: Arc<Semaphore>,
    queue: usize,
    waiting: AtomicUsize,
}

impl Gate {
    pub(super) fn new(room: usize, queue: usize) -> Self {
        let room = room.min(Semaphore::MAX_PERMITS);
        Self { room, slots: Arc::new(Semaphore::new(room)), queue, waiting: AtomicUsize::new(0) }
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.room.saturating_sub(self.slots.available_permits())
    }

    /// Waits for a place until `end`. `None` if none came free, or too many wait already.
    pub(super) async fn enter(&self, end: Instant) -> Option<Permit> {
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => return Some(Permit { _slot: slot }),
            Err(TryAcquireError::NoPermits) => {}
            Err(TryAcquireError::Closed) => return None,
        }
        let _waiting = Waiting::join(self)?;
        let slot = Arc::clone(&self.slots).acquire_owned();
        let slot = tokio::time::timeout_at(end, slot).await.ok()?.ok()?;
        Some(Permit { _slot: slot })
    }
}

/// A place in the queue. Given up when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(gate: &'a Gate) -> Option<Self> {
        let place = Self(&gate.waiting);
        // The place is given up again if there is none.
        (gate.waiting.fetch_add(1, Ordering::Relaxed) < gate.queue).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_until_there_is_some_or_the_time_is_up() {
        let gate = Gate::new(1, 10);
        let first = gate.enter(soon()).await.unwrap();
        let start = Instant::now();
        assert!(gate.enter(soon()).await.is_none());
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        assert_eq!(gate.under_way(), 1);

        let mut second = Box::pin(gate.enter(soon()));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!(second.now_or_never().unwrap().is_some());
        assert_eq!(gate.under_way(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_the_queue_full_is_turned_away_at_once() {
        let gate = Gate::new(1, 1);
        let _first = gate.enter(soon()).await.unwrap();
        let mut second = Box::pin(gate.enter(soon()));
        assert!((&mut second).now_or_never().is_none());
        assert!(gate.enter(soon()).now_or_never().unwrap().is_none());
        drop(second);
        assert!(gate.enter(soon()).now_or_never().is_none(), "there is a place in the queue again");
    }
}
