//! Whether one backend is to be asked: what became of calls in; closed, open or probing out.
//!
//! A breaker is *closed* while its backend is asked. It *opens* when too many calls in a row fail, or too many of
//! the latest are slow; then the backend is not asked for a pause. After the pause it is *probing*: one call is let
//! through. A good answer closes it; anything else opens it again, with a pause twice as long, up to a bound.
//!
//! Each breaker stands alone. There is no rule for when most backends are down at once: their calls fail at once
//! then, each still probed in its turn, and what they would have answered is reported as missing.
//!
//! Pure: time and chance are passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    /// Failures in a row that open it.
    pub(super) failures: u32,
    /// The share of slow calls, in percent, that opens it.
    pub(super) slow_percent: u32,
    /// Fewer calls than these say nothing about a share.
    pub(super) slow_least: usize,
    /// How far back calls count for the share.
    pub(super) slow_window: Duration,
    /// The first pause.
    pub(super) pause: Duration,
    /// The longest pause.
    pub(super) longest_pause: Duration,
    /// How long a probe is waited for before another call may be one.
    pub(super) lease: Duration,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// It was answered, be it with a refusal.
    Good,
    /// It was answered, but it took long.
    Slow,
    /// It failed.
    Failed,
    /// It failed because it took too long.
    Late,
}

impl Finding {
    const fn is_slow(self) -> bool {
        matches!(self, Self::Slow | Self::Late)
    }

    const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Late)
    }
}

/// Leave to make a call. To be given back with what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    /// Findings of an earlier spell say nothing of this one.
    spell: u64,
    probe: Option<u64>,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// All calls pass.
    Closed,
    /// None does until then.
    Open {
        /// When the next call is a probe.
        until: Instant,
    },
    /// One call is under way as a probe.
    Probing {
        /// When it began.
        since: Instant,
    },
}

/// The calls of late, within bounds of number and age.
#[derive(Debug, Default)]
struct Recent {
    calls: VecDeque<(Instant, bool)>,
    slow: usize,
}

impl Recent {
    /// More calls than these tell nothing more.
    const MOST: usize = 100;

    fn add(&mut self, now: Instant, slow: bool, window: Duration) {
        self.calls.push_back((now, slow));
        self.slow += usize::from(slow);
        while let Some((at, slow)) = self.calls.front().copied()
            && (self.calls.len() > Self::MOST || now.saturating_duration_since(at) > window)
        {
            self.calls.pop_front();
            self.slow -= usize::from(slow);
        }
    }

    fn is_slow(&self, rules: &Rules) -> bool {
        let share = rules.slow_percent as usize * self.calls.len();
        self.calls.len() >= rules.slow_least && self.slow * 100 >= share
    }
}

/// The breaker of one backend.
#[derive(Debug)]
pub(super) struct Breaker {
    rules: Rules,
    phase: Phase,
    /// Counts openings and closings.
    spell: u64,
    /// Counts probes.
    probes: u64,
    /// Failures in a row.
    failures: u32,
    recent: Recent,
    pause: Duration,
}

impl Breaker {
    pub(super) fn new(rules: Rules) -> Self {
        let pause = rules.pause;
        let recent = Recent::default();
        Self { rules, phase: Phase::Closed, spell: 0, probes: 0, failures: 0, recent, pause }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether a call would pass now.
    pub(super) fn would_admit(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Closed => true,
            Phase::Open { until } => now >= until,
            Phase::Probing { since } => now.saturating_duration_since(since) > self.rules.lease,
        }
    }

    /// Gives leave to make a call, as a probe unless the breaker is closed.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Pass> {
        if !self.would_admit(now) {
            return None;
        }
        if self.phase == Phase::Closed {
            return Some(Pass { spell: self.spell, probe: None });
        }
        self.probes += 1;
        self.phase = Phase::Probing { since: now };
        Some(Pass { spell: self.spell, probe: Some(self.probes) })
    }

    /// Learns what became of a call. `chance` is any number from 0 to 1: it shortens the pause by up to a quarter,
    /// so that not all breakers of a backend, in many processes, probe it at once.
    pub(super) fn settle(&mut self, now: Instant, pass: Pass, finding: Finding, chance: f64) {
        if pass.spell != self.spell {
            return;
        }
        match (pass.probe, finding) {
            (Some(_), Finding::Good) => self.close(),
            (Some(probe), _) if probe == self.probes => self.open_again(now, chance),
            (Some(_), _) => {}
            (None, _) => {
                self.failures = if finding.is_failure() { self.failures.saturating_add(1) } else { 0 };
                self.recent.add(now, finding.is_slow(), self.rules.slow_window);
                let slow = finding.is_slow() && self.recent.is_slow(&self.rules);
                if self.failures >= self.rules.failures || slow {
                    self.open(now, chance);
                }
            }
        }
    }

    /// Takes back leave for a call that came to nothing, such as one whose caller went away. The next call may be
    /// the probe that this one was.
    pub(super) fn withdraw(&mut self, now: Instant, pass: Pass) {
        if pass.spell == self.spell && pass.probe == Some(self.probes) {
            self.phase = Phase::Open { until: now };
        }
    }

    fn close(&mut self) {
        self.spell += 1;
        self.failures = 0;
        self.recent = Recent::default();
        self.pause = self.rules.pause;
        self.phase = Phase::Closed;
    }

    fn open(&mut self, now: Instant, chance: f64) {
        self.spell += 1;
        self.phase = Phase::Open { until: now + shortened(self.pause, chance) };
    }

    /// Opens after a probe. The pause counts from the probe's beginning, so that the time a probe hangs does not
    /// come on top, but is at least the first pause from now on.
    fn open_again(&mut self, now: Instant, chance: f64) {
        let Phase::Probing { since } = self.phase else { return };
        self.pause = (self.pause * 2).min(self.rules.longest_pause);
        let first = now + shortened(self.rules.pause, chance);
        self.phase = Phase::Open { until: first.max(since + shortened(self.pause, chance)) };
    }
}

fn shortened(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(0.75 + 0.25 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
