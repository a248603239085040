//! What the system asks of the process: to end, to end now, to read files again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Stop;

/// The signals that are listened for: SIGTERM, SIGINT and SIGHUP.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over. From here on none of them kills the process.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn take_over() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Passes signals on for as long as it is polled: the first SIGTERM or SIGINT drains, the second cuts, and
    /// each SIGHUP calls `reload`.
    pub async fn pass_on(mut self, stop: Stop, reload: impl AsyncFn()) {
        loop {
            tokio::select! {
                Some(()) = self.terminate.recv() => end(&stop),
                Some(()) = self.interrupt.recv() => end(&stop),
                Some(()) = self.hang_up.recv() => reload().await,
                else => return,
            }
        }
    }
}

fn end(stop: &Stop) {
    if stop.is_asked() {
        tracing::warn!("asked to end again: cutting what is under way");
        stop.cut();
    } else {
        stop.drain();
    }
}
