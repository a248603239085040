//! Asking a second copy when the first is slow.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use image_service::Result;

/// Awaits `first`. If it has not answered after `patience`, and `may` agrees, awaits `second` too: the first good
/// answer is given, and the other call is dropped. A second one that comes to nothing gives `None`.
///
/// # Errors
/// Those of `first`.
pub(super) async fn hedged<T: Send>(
    first: impl Future<Output = Result<T>> + Send,
    patience: Duration,
    may: impl FnOnce() -> bool + Send,
    second: impl Future<Output = Option<T>> + Send,
) -> Result<T> {
    let mut first = pin!(first);
    if let Ok(answer) = tokio::time::timeout(patience, &mut first).await {
        return answer;
    }
    if !may() {
        return first.await;
    }
    match select(first, pin!(second)).await {
        Either::Left((Ok(answer), _)) | Either::Right((Some(answer), _)) => Ok(answer),
        Either::Left((Err(error), second)) => second.await.ok_or(error),
        Either::Right((None, first)) => first.await,
    }
}

#[cfg(test)]
mod tests {
    use image_service::{Error, ErrorKind};
    use tokio::time::{Instant, sleep};

    use super::*;

    const AFTER: Duration = Duration::from_millis(20);

    async fn after<T>(millis: u64, value: T) -> T {
        sleep(Duration::from_millis(millis)).await;
        value
    }

    fn bad() -> Error {
        Error::new(ErrorKind::Unavailable, "x")
    }

    /// What came, and after how many milliseconds.
    async fn of(first: (u64, Result<u8>), second: (u64, Option<u8>)) -> (Result<u8, ErrorKind>, u128) {
        let start = Instant::now();
        let answer = hedged(after(first.0, first.1), AFTER, || true, after(second.0, second.1)).await;
        (answer.map_err(|error| error.kind()), start.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_good_answer_counts_and_a_bad_one_waits_for_the_other() {
        assert_eq!(of((10, Ok(1)), (0, Some(2))).await, (Ok(1), 10), "the second is not asked");
        assert_eq!(of((10, Err(bad())), (0, Some(2))).await, (Err(ErrorKind::Unavailable), 10));
        assert_eq!(of((100, Ok(1)), (50, Some(2))).await, (Ok(2), 70));
        assert_eq!(of((30, Ok(1)), (50, Some(2))).await, (Ok(1), 30));
        assert_eq!(of((30, Err(bad())), (50, Some(2))).await, (Ok(2), 70));
        assert_eq!(of((100, Ok(1)), (50, None)).await, (Ok(1), 100));
        assert_eq!(of((30, Err(bad())), (50, None)).await, (Err(ErrorKind::Unavailable), 70));
    }

    #[tokio::test(start_paused = true)]
    async fn without_leave_the_second_is_not_asked() {
        let second = async { panic!("it was asked") };
        assert_eq!(hedged(after(100, Ok(1)), AFTER, || false, second).await.unwrap(), 1);
    }
}
