//! How many calls may be made beyond those that were asked for: a share of these, and a few.
//!
//! Without it an outage would be made worse by those who try again. Every call asked for earns a part of one more;
//! every one more spends a whole.

use std::sync::atomic::{AtomicU32, Ordering};

/// What is left of the calls beyond those asked for.
#[derive(Debug)]
pub(super) struct Budget {
    percent: u32,
    /// In hundredths of a call.
    left: AtomicU32,
}

impl Budget {
    /// A whole call.
    const CALL: u32 = 100;
    /// Never more is saved up.
    const MOST: u32 = 10 * Self::CALL;

    /// A budget of `percent` of all calls, and ten. Of no percent it is nothing.
    pub(super) const fn new(percent: u32) -> Self {
        Self { percent, left: AtomicU32::new(if percent == 0 { 0 } else { Self::MOST }) }
    }

    /// Counts a call that was asked for.
    pub(super) fn earn(&self) {
        let more = |left: u32| Some(left.saturating_add(self.percent).min(Self::MOST));
        // It always changes.
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Takes leave to make one more, if any is left.
    pub(super) fn spend(&self) -> bool {
        let less = |left: u32| left.checked_sub(Self::CALL);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_calls_no_more_than_the_share_and_ten_are_made_once_more() {
        let budget = Budget::new(20);
        let spent = (0..1000)
            .filter(|_| {
                budget.earn();
                budget.spend()
            })
            .count();
        assert!((200..=210).contains(&spent), "{spent}");
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing() {
        let budget = Budget::new(0);
        budget.earn();
        assert!(!budget.spend());
    }
}
