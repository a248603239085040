//! The bounds on what is asked of one backend, and on how patient to be with it.

use std::time::Duration;

use super::super::health::Rules;

/// How the calls to a backend are guarded. Every bound has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarding {
    /// Most calls at once, save those that carry image data. Default 64.
    pub calls: usize,
    /// Most downloads and uploads at once. Default 32.
    pub streams: usize,
    /// Most calls that wait until others end, and as many downloads and uploads. Default 256.
    pub queue: usize,
    /// How long a download may stand still because the backend gives nothing. Default 30 seconds.
    pub idle: Duration,
    /// Failures in a row after which the backend is not asked for a pause. Default 5.
    pub failures: u32,
    /// From when on a read is slow. `None`: when it reaches the backend's deadline, which is the default.
    pub slow_call: Option<Duration>,
    /// The share of slow reads, in percent, from which on the backend is not asked for a pause. Default 50.
    pub slow_percent: u32,
    /// Calls below which a share says nothing. Default 10.
    pub slow_least: usize,
    /// How far back calls count for the share. Default 30 seconds.
    pub slow_window: Duration,
    /// The first pause. Each that follows is twice as long. Default 1 second.
    pub pause: Duration,
    /// The longest pause. Default 10 seconds.
    pub longest_pause: Duration,
    /// How often a read is tried again, within its deadline, if its failure may pass. Default 2.
    pub retries: u32,
    /// The pause before a read is tried again the first time; it doubles each time. Default 50 ms.
    pub retry_pause: Duration,
    /// The share of reads, in percent, that may be retries, beyond a few that are always allowed. Default 20.
    pub retry_percent: u32,
    /// The share of reads, in percent, that another copy may be asked as well. 0: none. Default 10.
    pub hedge_percent: u32,
    /// The least time to wait before another copy is asked. Default 20 ms.
    pub hedge_after: Duration,
}

impl Default for Guarding {
    fn default() -> Self {
        Self {
            calls: 64,
            streams: 32,
            queue: 256,
            idle: Duration::from_secs(30),
            failures: 5,
            slow_call: None,
            slow_percent: 50,
            slow_least: 10,
            slow_window: Duration::from_secs(30),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(10),
            retries: 2,
            retry_pause: Duration::from_millis(50),
            retry_percent: 20,
            hedge_percent: 10,
            hedge_after: Duration::from_millis(20),
        }
    }
}

impl Guarding {
    /// The rules for the breaker of a backend with this deadline.
    pub(super) const fn rules(&self, deadline: Duration) -> Rules {
        Rules {
            failures: self.failures,
            slow_percent: self.slow_percent,
            slow_least: self.slow_least,
            slow_window: self.slow_window,
            pause: self.pause,
            longest_pause: self.longest_pause,
            lease: deadline,
        }
    }
}
