//! What is known of tokens: whom each stands for, or that it stands for nobody, and until when that is believed.
//!
//! Tokens themselves are nowhere here, only their SHA-256. What is known is bounded in number, and good tokens apart
//! from others, so that no flood of bad ones drives out the good. Of all who ask at once about one token, one finds
//! out. It must not know how that is found out, or what it is good for.

use std::sync::Arc;
use std::time::Duration;

use image_service::Secret;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use portico_keystone::{Identity, Late};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// What a token turned out to be.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// It stands for somebody.
    Good(Arc<Identity>),
    /// It stands for nobody.
    Worthless,
    /// Whoever knows did not say.
    Silent,
}

/// A verdict, and until when to believe it.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) until: Instant,
}

/// A token, in one way or the other of looking at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    sha256: [u8; 32],
    late: Late,
}

impl Key {
    pub(super) fn of(token: &Secret, late: Late) -> Self {
        Self { sha256: Sha256::digest(token.expose().as_bytes()).into(), late }
    }
}

/// What is known. Cheap to share; every method may be called from many tasks.
#[derive(Debug)]
pub(super) struct Known {
    good: Cache<Key, Finding>,
    /// What is being found out, and how it ended.
    asked: Cache<Key, Arc<OnceCell<Finding>>>,
}

impl Known {
    /// Room for `good` tokens and for as many others as `others`. Nothing is kept for longer than `age`.
    pub(super) fn new(good: u64, others: u64, age: Duration) -> Self {
        Self { good: cache(good, age), asked: cache(others, age) }
    }

    /// The verdict on a token, found by awaiting `find` if there is none that is still believed. If whoever finds it
    /// out goes away, somebody else who waits does it.
    pub(super) async fn verdict(&self, key: Key, find: impl Future<Output = Finding>) -> Verdict {
        let now = Instant::now();
        if let Some(finding) = self.good.get(&key)
            && now < finding.until
        {
            return finding.verdict;
        }
        let is_over = |cell: &Arc<OnceCell<Finding>>| cell.get().is_some_and(|finding| finding.until <= now);
        let cell = self.asked.entry(key).or_insert_with_if(Arc::default, is_over).into_value();
        let finding = cell.get_or_init(|| find).await;
        if matches!(finding.verdict, Verdict::Good(_)) {
            self.good.insert(key, finding.clone());
        }
        finding.verdict.clone()
    }
}

/// Room for `most`. The latest always has a place, or those who ask at once could not share an answer.
fn cache<V: Clone + Send + Sync + 'static>(most: u64, age: Duration) -> Cache<Key, V> {
    Cache::builder().max_capacity(most).eviction_policy(EvictionPolicy::lru()).time_to_live(age).build()
}
