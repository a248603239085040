//! How long the latest answers of one backend took.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::status::Latency;

/// The latest few hundred times, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Latencies(VecDeque<Duration>);

impl Latencies {
    const MOST: usize = 256;

    pub(super) fn add(&mut self, time: Duration) {
        if self.0.len() == Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back(time);
    }

    /// The time within which `percent` of a hundred answers came. `None` while there were fewer than `least`.
    pub(super) fn within(&self, percent: usize, least: usize) -> Option<Duration> {
        if self.0.len() < least {
            return None;
        }
        quantile(&self.sorted(), percent)
    }

    /// The usual quantiles.
    pub(super) fn quantiles(&self) -> Latency {
        let sorted = self.sorted();
        Latency { p50: quantile(&sorted, 50), p90: quantile(&sorted, 90), p99: quantile(&sorted, 99) }
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        sorted
    }
}

fn quantile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        millis.into_iter().for_each(|millis| latencies.add(Duration::from_millis(millis)));
        latencies
    }

    #[test]
    fn quantiles_are_times_that_were_seen() {
        let latency = of((1..=100).rev()).quantiles();
        let millis = |time: Option<Duration>| time.unwrap().as_millis();
        assert_eq!((millis(latency.p50), millis(latency.p90), millis(latency.p99)), (50, 90, 99));
        assert_eq!(of([7]).quantiles().p50, Some(Duration::from_millis(7)));
        assert_eq!(of([]).quantiles(), Latency::default());
    }

    #[test]
    fn the_oldest_times_are_forgotten_and_a_few_say_nothing() {
        let latencies = of(std::iter::repeat_n(1000, 256).chain(std::iter::repeat_n(1, 256)));
        assert_eq!(latencies.within(99, 10), Some(Duration::from_millis(1)));
        assert_eq!(of(0..9).within(95, 10), None);
    }
}
