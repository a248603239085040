//! One case: a fault, and the place of the backend that has it.

use std::fmt;
use std::future::Future;

use futures::StreamExt as _;

use crate::fault::Fault;
use crate::world::Neighbours;

/// How many backends there are, and so how many places.
const PLACES: usize = 4;

/// How many cases are tried side by side. Most of their time is spent waiting for what does not come.
const WIDTH: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) fault: Fault,
    /// The place of the misbehaving backend among the others.
    pub(crate) position: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at place {}", self.fault, self.position)
    }
}

/// Tries every fault at every place, among neighbours that all cases share.
pub(crate) async fn every<F: Future<Output = ()> + Send>(
    check: impl Fn(Case, Neighbours) -> F + Send + Sync,
) {
    let neighbours = Neighbours::new().await;
    of(&Fault::ALL, |case| check(case, neighbours.clone())).await;
}

/// Tries each of `faults` at every place.
pub(crate) async fn of<F: Future<Output = ()> + Send>(
    faults: &[Fault],
    check: impl Fn(Case) -> F + Send + Sync,
) {
    let cases = faults.iter().flat_map(|fault| (0..PLACES).map(|position| Case { fault: *fault, position }));
    futures::stream::iter(cases).for_each_concurrent(WIDTH, check).await;
}
