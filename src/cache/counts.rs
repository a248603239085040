//! What the cache counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn count(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Since the process began.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: Count,
    pub(super) followed: Count,
    pub(super) misses: Count,
    pub(super) passed: Count,
    pub(super) fills: Count,
    pub(super) evicted: Count,
    pub(super) stale: Count,
    pub(super) bytes: Count,
}

/// How the cache is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Reads from files that were whole.
    pub hits: u64,
    /// Reads that joined a fill which another had begun.
    pub followed: u64,
    /// Reads that began a fill.
    pub misses: u64,
    /// Reads of cacheable images that had to be passed through.
    pub passed: u64,
    /// Fills that came to a good end.
    pub fills: u64,
    /// Contents that went to make room.
    pub evicted: u64,
    /// Answers from memory while a store was silent.
    pub stale: u64,
    /// Bytes given from whole files.
    pub bytes: u64,
    /// Contents that are kept now.
    pub contents: u64,
    /// Bytes that they have.
    pub size: u64,
}

impl Counts {
    /// What was counted, and how much is kept.
    pub(super) fn status(&self, contents: usize, size: u64) -> CacheStatus {
        CacheStatus {
            hits: self.hits.now(),
            followed: self.followed.now(),
            misses: self.misses.now(),
            passed: self.passed.now(),
            fills: self.fills.now(),
            evicted: self.evicted.now(),
            stale: self.stale.now(),
            bytes: self.bytes.now(),
            contents: contents as u64,
            size,
        }
    }
}
