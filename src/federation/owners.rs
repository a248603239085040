//! Image id → the backends that were last seen to hold it, and what they have in common.
//!
//! Only ever a hint: it says whom to ask first, never what is or is not there. Bounded in number and age.

use std::sync::Arc;
use std::time::Duration;

use image_service::ImageId;
use moka::sync::Cache;

use super::twins::Twins;

/// The hints. Cheap to share; every method may be called from many tasks.
#[derive(Debug)]
pub(super) struct Owners {
    holders: Cache<ImageId, Vec<usize>>,
    twins: Cache<ImageId, Arc<Twins>>,
}

impl Owners {
    /// Room for `most` ids, each kept for `age` after it was last learnt.
    pub(super) fn new(most: u64, age: Duration) -> Self {
        Self {
            holders: Cache::builder().max_capacity(most).time_to_live(age).build(),
            twins: Cache::builder().max_capacity(most).time_to_live(age).build(),
        }
    }

    /// Who was last seen to hold `id`, in configured order.
    pub(super) fn of(&self, id: &ImageId) -> Option<Vec<usize>> {
        self.holders.get(id)
    }

    /// Learns that `sources` hold `id`, and that no other backend was seen to.
    pub(super) fn learn(&self, id: &ImageId, sources: &[usize]) {
        self.holders.insert(id.clone(), sources.to_vec());
        self.twins.invalidate(id);
    }

    /// Learns that `sources` hold `id`, beside those already known. For answers that cannot tell of others.
    pub(super) fn add(&self, id: &ImageId, sources: &[usize]) {
        let mut known = self.of(id).unwrap_or_default();
        let before = known.len();
        known.extend_from_slice(sources);
        known.sort_unstable();
        known.dedup();
        if known.len() > before {
            self.holders.insert(id.clone(), known);
        }
    }

    /// What was last seen of several copies of the data of `id`.
    pub(super) fn twins(&self, id: &ImageId) -> Option<Arc<Twins>> {
        self.twins.get(id)
    }

    /// Learns of several copies of the data of `id`.
    pub(super) fn learn_twins(&self, id: &ImageId, twins: Twins) {
        self.twins.insert(id.clone(), Arc::new(twins));
    }

    /// Forgets what is known of the copies of `id` beyond where they are, because they are changing.
    pub(super) fn forget_twins(&self, id: &ImageId) {
        self.twins.invalidate(id);
    }

    /// Learns that `source` does not hold `id` any more.
    pub(super) fn leave(&self, id: &ImageId, source: usize) {
        self.twins.invalidate(id);
        let mut known = self.of(id).unwrap_or_default();
        known.retain(|holder| *holder != source);
        if known.is_empty() { self.holders.invalidate(id) } else { self.holders.insert(id.clone(), known) }
    }

    /// Forgets `id`.
    pub(super) fn forget(&self, id: &ImageId) {
        self.holders.invalidate(id);
        self.twins.invalidate(id);
    }
}
