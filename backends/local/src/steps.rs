//! The points of a write between which a process may die.
//!
//! A test that is to kill the process, or to fail the disk, at one of them puts a hook there. In the product
//! nothing is there, and all of this vanishes.

use std::io;

/// What has just been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Opening is about to prove that files can be written.
    Probed,
    /// An upload has been let in, and the catalogue says so.
    Claimed,
    /// A file to write to has been made.
    Created,
    /// A piece of data has been written.
    Written,
    /// All data has been written and is durable.
    Synced,
    /// The file has been moved to its place.
    Placed,
    /// The image has become active.
    Finished,
    /// The image has gone back to queued, or its id is free again.
    Undone,
    /// The record of an image is about to be deleted.
    Deleting,
    /// The record of a deleted image has gone, its data has not.
    Deleted,
}

/// Is told of every [`Step`].
#[derive(Clone, Default)]
pub(crate) struct Watch {
    #[cfg(test)]
    hook: Option<std::sync::Arc<Hook>>,
}

#[cfg(test)]
type Hook = dyn Fn(Step) -> io::Result<()> + Send + Sync;

impl Watch {
    /// Tells of a step. An error stands for a disk that failed in it.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the hook exists in tests alone")]
    pub(crate) const fn reached(&self, _: Step) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn reached(&self, step: Step) -> io::Result<()> {
        self.hook.as_ref().map_or(Ok(()), |hook| hook(step))
    }

    #[cfg(test)]
    pub(crate) fn with(hook: impl Fn(Step) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { hook: Some(std::sync::Arc::new(hook)) }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}
