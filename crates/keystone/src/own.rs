//! A token of our own: got once for all who wait, renewed before it ends, dropped when it is refused.
//!
//! While a token that is good still is renewed nobody waits but whoever began with that, and if that fails it serves on
//! until its end. It must not know how a token is got.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::sync::OnceCell;
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

type Outcome = Result<Own, Failure>;
type Flight = OnceCell<Outcome>;

/// Keeps the token.
#[derive(Debug)]
pub(crate) struct Keeper {
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Own>,
    /// The renewal under way. It is gone when nobody waits for it any more.
    flight: Weak<Flight>,
    /// Why the last one failed, and until when not to try again.
    failed: Option<(Failure, Instant)>,
}

/// What is to be done for a token.
enum Step {
    Take(Own),
    GiveUp(Failure),
    Join(Arc<Flight>),
}

impl State {
    fn step(&mut self, now: Instant) -> Step {
        let failed = self.failed.as_ref().filter(|(_, until)| now < *until).map(|(failure, _)| failure);
        let flight = self.flight.upgrade();
        match (&self.current, failed) {
            (Some(own), _) if now < own.due => return Step::Take(own.clone()),
            (Some(own), failed) if now < own.end && (failed.is_some() || flight.is_some()) => {
                return Step::Take(own.clone());
            }
            (Some(own), _) if now < own.end => {}
            (_, Some(failure)) => return Step::GiveUp(failure.clone()),
            (_, None) => {}
        }
        let flight = flight.unwrap_or_default();
        self.flight = Arc::downgrade(&flight);
        Step::Join(flight)
    }

    /// Learns how `flight` ended, unless that is known already or something newer has begun.
    fn learn(&mut self, flight: &Arc<Flight>, outcome: &Outcome, retry_at: Instant) {
        if !std::ptr::eq(self.flight.as_ptr(), Arc::as_ptr(flight)) {
            return;
        }
        self.flight = Weak::new();
        match outcome {
            Ok(own) => (self.current, self.failed) = (Some(own.clone()), None),
            Err(failure) => self.failed = Some((failure.clone(), retry_at)),
        }
    }

    /// The token that is there, if it is still good.
    fn left(&self, now: Instant) -> Option<Own> {
        self.current.clone().filter(|own| now < own.end)
    }
}

impl Keeper {
    /// Keeps no token yet. After a failure nobody tries again for `pause`.
    pub(crate) fn new(pause: Duration) -> Self {
        Self { pause, state: Mutex::default() }
    }

    // The lock is held for a few assignments, which cannot panic half way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token, got by awaiting `fetch` if there is none that is good for a while. If whoever fetches goes away, somebody else
    /// who waits does it.
    pub(crate) async fn token(&self, fetch: impl Future<Output = Outcome>) -> Result<HeaderValue, Failure> {
        let step = self.state().step(Instant::now());
        let flight = match step {
            Step::Take(own) => return Ok(own.token),
            Step::GiveUp(failure) => return Err(failure),
            Step::Join(flight) => flight,
        };
        let outcome = flight.get_or_init(|| fetch).await.clone();
        let now = Instant::now();
        let mut state = self.state();
        state.learn(&flight, &outcome, now + self.pause);
        let left = state.left(now);
        drop(state);
        match (outcome, left) {
            (Ok(own), _) | (Err(_), Some(own)) => Ok(own.token),
            (Err(failure), None) => Err(failure),
        }
    }

    /// Drops `token`, which a server has refused, if it is still the one that is kept.
    pub(crate) fn drop_token(&self, token: &HeaderValue) {
        let mut state = self.state();
        if state.current.as_ref().is_some_and(|own| own.token == *token) {
            state.current = None;
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
        let (keeper, fetched, go) = (Keeper::new(PAUSE), AtomicUsize::new(0), Notify::new());
        let one = || {
            keeper.token(async {
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
        assert_eq!(keeper.token(async { Ok(own("a", 80, 100)) }).await.unwrap(), "a");
        advance(79).await;
        assert_eq!(keeper.token(never()).await.unwrap(), "a");
        advance(2).await;
        assert_eq!(keeper.token(async { Ok(own("b", 80, 100)) }).await.unwrap(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_is_renewed_others_go_on_with_the_old_one_until_its_end() {
        let keeper = Keeper::new(PAUSE);
        keeper.token(async { Ok(own("a", 80, 100)) }).await.unwrap();
        advance(81).await;
        let mut renewing = Box::pin(keeper.token(std::future::pending()));
        assert!(is_pending(renewing.as_mut()).await);
        assert_eq!(keeper.token(never()).await.unwrap(), "a");
        advance(20).await;
        let mut waiting = Box::pin(keeper.token(never()));
        assert!(is_pending(waiting.as_mut()).await, "the token has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn if_renewing_fails_the_old_one_serves_and_it_is_tried_again_after_a_pause() {
        let keeper = Keeper::new(PAUSE);
        keeper.token(async { Ok(own("a", 80, 100)) }).await.unwrap();
        advance(81).await;
        assert_eq!(keeper.token(async { silent() }).await.unwrap(), "a");
        assert_eq!(keeper.token(never()).await.unwrap(), "a");
        advance(1).await;
        assert_eq!(keeper.token(async { Ok(own("b", 80, 100)) }).await.unwrap(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_all_for_a_pause_and_then_tried_again() {
        let keeper = Keeper::new(PAUSE);
        assert!(keeper.token(async { silent() }).await.is_err());
        assert!(keeper.token(never()).await.is_err());
        advance(1).await;
        assert_eq!(keeper.token(async { Ok(own("a", 80, 100)) }).await.unwrap(), "a");
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_token_that_is_kept_is_dropped() {
        let keeper = Keeper::new(PAUSE);
        keeper.token(async { Ok(own("a", 80, 100)) }).await.unwrap();
        keeper.drop_token(&HeaderValue::from_static("older"));
        assert_eq!(keeper.token(never()).await.unwrap(), "a");
        keeper.drop_token(&HeaderValue::from_static("a"));
        assert_eq!(keeper.token(async { Ok(own("b", 80, 100)) }).await.unwrap(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn if_whoever_fetches_goes_away_somebody_else_does_it() {
        let keeper = Keeper::new(PAUSE);
        let mut first = Box::pin(keeper.token(std::future::pending()));
        assert!(is_pending(first.as_mut()).await);
        let mut second = Box::pin(keeper.token(async { Ok(own("a", 80, 100)) }));
        assert!(is_pending(second.as_mut()).await);
        drop(first);
        assert_eq!(second.await.unwrap(), "a");
    }
}
