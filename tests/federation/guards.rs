//! What stands around every call to a backend, and what is told of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_service::{ErrorKind, ImageService, Query};
use portico::federation::status::{Flow, Observer, Outcome, State};

use crate::bent::{Bend, bent};
use crate::made_of::{concrete, context, holding, image, memory};

/// Keeps what it is told.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    /// What it was told since it was last asked.
    fn all(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Told {
    fn call(&self, backend: &str, operation: &'static str, outcome: Outcome, _: Duration) {
        self.note(format!("{backend} {operation} {outcome:?}"));
    }
    fn bytes(&self, backend: &str, flow: Flow, bytes: u64) {
        self.note(format!("{backend} {flow:?} {bytes}"));
    }
    fn state(&self, backend: &str, state: State) {
        self.note(format!("{backend} is {state}"));
    }
    fn retry(&self, backend: &str, operation: &'static str) {
        self.note(format!("{backend} {operation} again"));
    }
    fn hedge(&self, backend: &str, operation: &'static str) {
        self.note(format!("{backend} {operation} elsewhere"));
    }
}

#[tokio::test]
async fn every_call_is_told_with_its_outcome_and_the_status_says_what_failed() {
    let told = Arc::new(Told::default());
    let dead = bent(memory().await, Bend::Dead(ErrorKind::Internal));
    let federation = concrete(vec![("live", holding([1])), ("dead", dead)]).observed(told.clone());
    federation.detail(&context(), &Query::default()).await.unwrap();
    assert_eq!(told.all(), ["live detail Ok", "dead is failing", "dead detail Failure(Internal)"]);
    federation.show(&context(), &image(2).id).await.unwrap_err();
    assert!(told.all().contains(&"live show Refusal(NotFound)".to_owned()));

    let status = federation.status();
    assert_eq!((status[0].state, status[1].state), (State::Ok, State::Failing));
    assert_eq!(status[0].last_error, None);
    let last = status[1].last_error.clone().unwrap();
    assert_eq!((last.operation, last.kind), ("show", ErrorKind::Internal));
    assert_eq!(last.message, "this backend is dead");
    assert_eq!(status[1].calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_goes_away_is_cancelled_and_counts_no_more() {
    let told = Arc::new(Told::default());
    let slow = bent(holding([1]), Bend::Slow(Duration::from_secs(30)));
    let federation = concrete(vec![("slow", slow)]).observed(told.clone());
    let (context, query) = (context(), Query::default());
    let list = federation.detail(&context, &query);
    assert!(tokio::time::timeout(Duration::from_millis(10), list).await.is_err());
    assert_eq!(told.all(), ["slow detail Cancelled"]);
    assert_eq!((federation.status()[0].calls, federation.status()[0].state), (0, State::Ok));
}
