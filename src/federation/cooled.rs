//! Copies that gave other data than their image's, left out as sources of it for a while.
//!
//! A flipped bit on the way and one on the disk look the same from here. So a copy is not given up, but it is not read
//! again at once either: each vain attempt costs a client a whole download. Bounded in number and age.

use std::time::Duration;

use image_service::ImageId;
use moka::sync::Cache;
use tokio::time::Instant;

/// The copies that are left out. Every method may be called from many tasks.
#[derive(Debug)]
pub(super) struct Cooled {
    until: Cache<(usize, ImageId), Instant>,
    time: Duration,
}

impl Cooled {
    /// Room for `most` copies, each left out for `time`.
    pub(super) fn new(most: u64, time: Duration) -> Self {
        Self { until: Cache::builder().max_capacity(most).time_to_live(time).build(), time }
    }

    /// From now on the data of `id` in `source` is left out.
    pub(super) fn add(&self, source: usize, id: &ImageId) {
        self.until.insert((source, id.clone()), Instant::now() + self.time);
    }

    /// Whether the data of `id` in `source` is left out.
    pub(super) fn has(&self, source: usize, id: &ImageId) -> bool {
        self.until.get(&(source, id.clone())).is_some_and(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_copy_is_left_out_for_a_while_and_no_other_one_is() {
        let (time, id) = (Duration::from_secs(300), ImageId::random());
        let cooled = Cooled::new(10, time);
        cooled.add(1, &id);
        assert!(cooled.has(1, &id));
        assert!(!cooled.has(0, &id) && !cooled.has(1, &ImageId::random()));
        tokio::time::advance(time).await;
        assert!(!cooled.has(1, &id));
    }

    #[tokio::test(start_paused = true)]
    async fn for_no_time_at_all_none_is_left_out() {
        let id = ImageId::random();
        let cooled = Cooled::new(10, Duration::ZERO);
        cooled.add(1, &id);
        assert!(!cooled.has(1, &id));
    }
}
