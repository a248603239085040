//! Whether Keystone answers, told in the log once for each change.

use std::sync::atomic::{AtomicBool, Ordering};

use portico_keystone::Failure;

/// Whether the last question got an answer.
#[derive(Debug, Default)]
pub(super) struct Mood {
    fails: AtomicBool,
}

impl Mood {
    /// Notes how a question ended.
    pub(super) fn note(&self, failure: Option<&Failure>) {
        let failed = self.fails.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(Failure::Silent(why)) if !failed => {
                tracing::warn!(why, "keystone does not say who callers are; they are answered with 503");
            }
            Some(Failure::Refused(why)) if !failed => {
                tracing::error!(
                    why,
                    "keystone refuses us, so nobody is let in; see auth.keystone.credential"
                );
            }
            None if failed => tracing::info!("keystone says again who callers are"),
            _ => {}
        }
    }
}
