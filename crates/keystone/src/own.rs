//! A token of our own: got once for all who wait, renewed before it ends, dropped when it is refused.
//!
//! Getting one goes on though whoever asked first has gone: who has less time than it takes would otherwise never have
//! one. It ends with the keeper. While a token that is good still is renewed nobody waits but whoever began with that,
//! and if that fails it serves on until its end. It must not know how a token is got.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use reqwest::header::HeaderValue;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::Failure;

/// A token, and how long it is good for.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    /// The token, marked as sensitive.
    pub(crate) token: HeaderValue,
    /// From when on it should be renewed.
    pub(crate) due: Instant,
    /// When it ends.
    pub(crate) end: Instant,
}

pub(crate) type Outcome = Result<Own, Failure>;

/// Keeps the token.
#[derive(Debug)]
pub(crate) struct Keeper {
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Own>,
    flight: Option<Flight>,
    /// Why the last one failed, and until when not to try again.
    failed: Option<(Failure, Instant)>,
}

/// A renewal under way.
#[derive(Debug)]
struct Flight {
    outcome: Shared<BoxFuture<'static, Outcome>>,
    task: AbortHandle,
}

/// What is to be done for a token.
enum Step {
    Take(Own),
    GiveUp(Failure),
    Fetch,
}

impl State {
    fn step(&self, now: Instant) -> Step {
        let failed = self.failed.as_ref().filter(|(_, until)| now < *until).map(|(failure, _)| failure);
        match (self.left(now), failed) {
            (Some(own), _) if now < own.due => Step::Take(own),
            (Some(own), Some(_)) => Step::Take(own),
            (Some(own), None) if self.flight.is_some() => Step::Take(own),
            (None, Some(failure)) => Step::GiveUp(failure.clone()),
            (_, None) => Step::Fetch,
        }
    }

    /// The token that is there, if it is still good.
    fn left(&self, now: Instant) -> Option<Own> {
        self.current.clone().filter(|own| now < own.end)
    }
}

impl Keeper {
    /// Keeps no token yet. After a failure nobody tries again for `pause`.
    pub(crate) fn new(pause: Duration) -> Arc<Self> {
        Arc::new(Self { pause, state: Mutex::default() })
    }

    // The lock is held for a few assignments, which cannot panic half way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token, got by `fetch` if there is none that is good for a while.
    pub(crate) async fn token<F>(self: &Arc<Self>, fetch: impl FnOnce() -> F) -> Result<HeaderValue, Failure>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let outcome = {
            let mut state = self.state();
            match state.step(Instant::now()) {
                Step::Take(own) => return Ok(own.token),
                Step::GiveUp(failure) => return Err(failure),
                Step::Fetch => {
                    let flight = state.flight.get_or_insert_with(|| self.begin(fetch()));
                    flight.outcome.clone()
                }
            }
        };
        match outcome.await {
            Ok(own) => Ok(own.token),
            Err(failure) => self.state().left(Instant::now()).map(|own| own.token).ok_or(failure),
        }
    }

    /// Has `fetch` run to its end, and what comes of it learnt.
    fn begin(self: &Arc<Self>, fetch: impl Future<Output = Outcome> + Send + 'static) -> Flight {
        let keeper = Arc::downgrade(self);
        let work = async move {
            let outcome = fetch.await;
            if let Some(keeper) = keeper.upgrade() {
                keeper.learn(&outcome);
            }
            outcome
        };
        let outcome = work.boxed().shared();
        let task = tokio::spawn(outcome.clone()).abort_handle();
        Flight { outcome, task }
    }

    fn learn(&self, outcome: &Outcome) {
        let retry_at = Instant::now() + self.pause;
        let mut state = self.state();
        match outcome {
            Ok(own) => (state.current, state.failed) = (Some(own.clone()), None),
            Err(failure) => state.failed = Some((failure.clone(), retry_at)),
        }
        // Dropped when the lock is free again: with it goes what it was made of.
        let flight = state.flight.take();
        drop(state);
        drop(flight);
    }

    /// Drops `token`, which a server has refused, if it is still the one that is kept.
    pub(crate) fn drop_token(&self, token: &HeaderValue) {
        let mut state = self.state();
        if state.current.as_ref().is_some_and(|own| own.token == *token) {
            state.current = None;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(flight) = &self.state().flight {
            flight.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    fn own(token: &'static str, due: u64, end: u64) -> Own {
        let (now, token) = (Instant::now(), HeaderValue::from_static(token));
        Own { token, due: now + Duration::from_secs(due), end: now + Duration::from_secs(end) }
    }

    fn silent() -> Outcome {
        Err(Failure::Silent("down".into()))
    }

    async fn advance(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    fn never() -> impl Future<Output = Outcome> {
        std::future::poll_fn(|_| panic!("nothing was to be fetched"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_who_wait_have_it_fetched_once() {
        let (keeper, fetched) = (Keeper::new(PAUSE), Arc::new(AtomicUsize::new(0)));
        let go = Arc::new(Notify::new());
        let one = || {
            let (fetched, go) = (Arc::clone(&fetched), Arc::clone(&go));
            keeper.token(|| async move {
                fetched.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                Ok(own("a", 80, 100))
            })
        };
        let all = async {
            let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(one())).collect();
            let mut tokens = Vec::new();
            for waiting in &mut waiting {
                // Each has begun before any can end.
                assert!(is_pending(waiting.as_mut()).await);
            }
            go.notify_one();
            for waiting in waiting {
                tokens.push(waiting.await.unwrap());
            }
            tokens
        };
        let tokens = all.await;
        assert!(tokens.iter().all(|token| token == "a"));
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
    }

    /// Polls a future once, and says whether it is still pending.
    async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_when_due_and_not_before() {
        let keeper = Keeper::new(PAUSE);
        assert_eq!(keeper.token(|| async { Ok(own("a", 80, 100)) }).await.unwrap(), "a");
        advance(79).await;
        assert_eq!(keeper.token(never).await.unwrap(), "a");
        advance(2).await;
        assert_eq!(keeper.token(|| async { Ok(own("b", 80, 100)) }).await.unwrap(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_is_renewed_others_go_on_with_the_old_one_until_its_end() {
        let keeper = Keeper::new(PAUSE);
        keeper.token(|| async { Ok(own("a", 80, 100)) }).await.unwrap();
        advance(81).await;
        let mut renewing = Box::pin(keeper.token(std::future::pending));
        assert!(is_pending(renewing.as_mut()).await);
        assert_eq!(keeper.token(never).await.unwrap(), "a");
        advance(20).await;
        let mut waiting = Box::pin(keeper.token(never));
        assert!(is_pending(waiting.as_mut()).await, "the token has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn if_renewing_fails_the_old_one_serves_and_it_is_tried_again_after_a_pause() {
        let keeper = Keeper::new(PAUSE);
        keeper.token(|| async { Ok(own("a", 80, 100)) }).await.unwrap();
        advance(81).await;
        assert_eq!(keeper.token(|| async { silent() }).await.unwrap(), "a");
        assert_eq!(keeper.token(never).await.unwrap(), "a");
        advance(1).await;
        assert_eq!(keeper.token(|| async { Ok(own("b", 80, 100)) }).await.unwrap(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_all_for_a_pause_and_then_tried_again() {
        let keeper = Keeper::new(PAUSE);
        assert!(keeper.token(|| async { silent() }).await.is_err());
        assert!(keeper.token(never).await.is_err());
        advance(1).await;
        assert_eq!(keeper.token(|| async { Ok(own("a", 80, 100)) }).await.unwrap(), "a");
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_token_that_is_kept_is_dropped() {
        let keeper = Keeper::new(PAUSE);
        keeper.token(|| async { Ok(own("a", 80, 100)) }).await.unwrap();
        keeper.drop_token(&HeaderValue::from_static("older"));
        assert_eq!(keeper.token(never).await.unwrap(), "a");
        keeper.drop_token(&HeaderValue::from_static("a"));
        assert_eq!(keeper.token(|| async { Ok(own("b", 80, 100)) }).await.unwrap(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_got_though_whoever_asked_first_has_gone() {
        let (keeper, go) = (Keeper::new(PAUSE), Arc::new(Notify::new()));
        let fetch = {
            let go = Arc::clone(&go);
            || async move {
                go.notified().await;
                Ok(own("a", 80, 100))
            }
        };
        let mut first = Box::pin(keeper.token(fetch));
        assert!(is_pending(first.as_mut()).await);
        drop(first);
        go.notify_one();
        let second = Box::pin(keeper.token(never));
        assert_eq!(second.await.unwrap(), "a");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_goes_on_when_the_keeper_has_gone() {
        let (keeper, alive) = (Keeper::new(PAUSE), Arc::new(()));
        let held = Arc::clone(&alive);
        let mut first = Box::pin(keeper.token(|| async move {
            let _held = held;
            std::future::pending().await
        }));
        assert!(is_pending(first.as_mut()).await);
        drop(first);
        drop(keeper);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
