//! The log: structured lines on standard error.
//!
//! Fields, not templates; one line for each request, one for each change of a backend's state. Tokens and bodies
//! are never logged.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Starts the log of this process. `RUST_LOG` goes before the configured level.
///
/// # Errors
/// If a filter cannot be understood, or the process has a log already.
pub fn start(settings: &Log) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(wanted) if !wanted.is_empty() => EnvFilter::builder().parse(wanted)?,
        _ => EnvFilter::builder().parse(&settings.level)?,
    };
    // A line that cannot be written is lost. To complain of that on standard error would panic, and take down the
    // request that the line was about.
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    match settings.format {
        LogFormat::Text => log.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).finish().try_init()?,
        LogFormat::Json => log.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}
