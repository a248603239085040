//! The bounds of a catalogue's settings, for options that are read from text.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _};

/// What is wrong with a value, in words that go behind its key.
pub type Check = Result<(), String>;

fn ensure(holds: bool, fault: &str) -> Check {
    if holds { Ok(()) } else { Err(fault.to_owned()) }
}

/// A directory must be named.
///
/// # Errors
/// What is wrong.
pub fn check_path(path: &Path) -> Check {
    ensure(!path.as_os_str().is_empty(), "a directory must be named")
}

/// No more than 64.
///
/// # Errors
/// What is wrong.
pub fn check_readers(readers: &NonZeroUsize) -> Check {
    ensure(readers.get() <= 64, &format!("{readers} is more than 64"))
}

/// An hour at most.
///
/// # Errors
/// What is wrong.
pub fn check_busy_timeout(timeout: &Duration) -> Check {
    ensure(*timeout <= Duration::from_secs(3600), "more than an hour")
}

/// Reads a value and checks it.
///
/// # Errors
/// Those of reading it, and of the check.
pub fn read<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    check: fn(&T) -> Check,
) -> Result<T, D::Error> {
    let value = T::deserialize(deserializer)?;
    check(&value).map_err(D::Error::custom)?;
    Ok(value)
}

/// Reads the path of a directory.
///
/// # Errors
/// If it names none.
pub fn read_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    read(deserializer, |path: &PathBuf| check_path(path))
}

/// Reads how many may read at once.
///
/// # Errors
/// If it is none, or more than 64.
pub fn read_readers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroUsize, D::Error> {
    read(deserializer, check_readers)
}

/// Reads how long to wait for another process.
///
/// # Errors
/// If it is more than an hour.
pub fn read_busy_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let timeout = humantime_serde::deserialize(deserializer)?;
    check_busy_timeout(&timeout).map_err(D::Error::custom)?;
    Ok(timeout)
}

/// How many may read at once, if nothing is said: 4.
#[must_use]
pub const fn readers() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(3)
}

/// How many images there may be in a page, if nothing is said: 1000.
#[must_use]
pub const fn page_limit() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(999)
}

/// How long to wait for another process, if nothing is said: 5 seconds.
#[must_use]
pub const fn busy_timeout() -> Duration {
    Duration::from_secs(5)
}
