//! Image id → the backends that were last seen to hold it.
//!
//! Only ever a hint: it says whom to ask first, never what is or is not there. Bounded in number and age.

use std::time::Duration;

use image_service::ImageId;
use moka::sync::Cache;

/// The hints. Cheap to share; every method may be called from many tasks.
#[derive(Debug)]
pub(super) struct Owners(Cache<ImageId, Vec<usize>>);

impl Owners {
    /// Room for `most` ids, each kept for `age` after it was last learnt.
    pub(super) fn new(most: u64, age: Duration) -> Self {
        Self(Cache::builder().max_capacity(most).time_to_live(age).build())
    }

    /// Who was last seen to hold `id`, in configured order.
    pub(super) fn of(&self, id: &ImageId) -> Option<Vec<usize>> {
        self.0.get(id)
    }

    /// Learns that `sources` hold `id`, and that no other backend was seen to.
    pub(super) fn learn(&self, id: &ImageId, sources: &[usize]) {
        self.0.insert(id.clone(), sources.to_vec());
    }

    /// Learns that `sources` hold `id`, beside those already known. For answers that cannot tell of others.
    pub(super) fn add(&self, id: &ImageId, sources: &[usize]) {
        let mut known = self.of(id).unwrap_or_default();
        let before = known.len();
        known.extend_from_slice(sources);
        known.sort_unstable();
        known.dedup();
        if known.len() > before {
            self.0.insert(id.clone(), known);
        }
    }

    /// Forgets `id`.
    pub(super) fn forget(&self, id: &ImageId) {
        self.0.invalidate(id);
    }
}
