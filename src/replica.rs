//! Two backends side by side: what differs between them ([`compare`]), and what is missing in one of them copied from the
//! other ([`copy`]).
//!
//! | part | what it does |
//! |---|---|
//! | `content`, `metadata`, `difference`, `names`, `plan` | pure: what differs, and what is to be done about it |
//! | `walk` | both backends read by id, page by page, as pairs |
//! | `choice` | which images are meant |
//! | `comparing` | [`compare`] |
//! | `copying`, `transfer`, `passing` | [`copy`]: the images, one image, its bytes |
//!
//! Images are paired by their ids. Both backends are read in the one order that all of them have, so that memory is flat
//! but for the images that only one of them has: those are remembered to be paired by name, up to [`MOST_NAMES`].
//!
//! **What is under way is marked.** A copy begins as a record without data, of the image's own id, with the property
//! [`MARK`] and private to its owner. Its data is held to the hash of its image on the way, and to what the target says
//! that it has. Only then it gets its visibility, its protection and its members, and loses the mark. Whatever ends the
//! process, the next one finds the mark and goes on from there.
//!
//! Who calls is an administrator. This module must not know HTTP, the configuration, or how a backend is opened.

mod choice;
mod comparing;
mod content;
mod copying;
mod difference;
mod metadata;
mod names;
mod passing;
mod plan;
mod transfer;
mod walk;

use std::fmt;
use std::sync::Arc;

use image_service::{Caller, Context, Error, ErrorKind, Image, ImageService, Member, Partial, Visibility};
use uuid::Uuid;

pub use choice::Choice;
pub use comparing::{Comparing, Comparison, Counts, Members, OneSided, compare};
pub use content::Verified;
pub use copying::{Copied, Copying, Effect, Moved, Outcome, Progress, Silent, copy};
pub use difference::{Difference, Letter, Sameness};
pub use metadata::{Kept, MARK};
pub use names::MOST_NAMES;
pub use plan::{Refusal, Upkeep};

/// One of the two backends.
#[derive(Debug, Clone)]
pub struct Side {
    /// What the configuration calls it.
    pub name: String,
    /// The backend, which must take every filter and sort key, and believe its caller.
    pub service: Arc<dyn ImageService>,
}

/// A call on one of the two backends that failed.
#[derive(Debug)]
pub struct Failed {
    /// What the configuration calls it.
    pub backend: String,
    /// Why.
    pub error: Error,
}

impl Side {
    fn failed(&self, error: Error) -> Failed {
        Failed { backend: self.name.clone(), error }
    }

    /// The projects that an image is shared with, ordered by their names. A backend that shares nothing has none.
    async fn members(&self, context: &Context, image: &Image) -> Result<Vec<Member>, Failed> {
        let Some(sharing) = self.service.sharing() else { return Ok(Vec::new()) };
        if image.visibility != Visibility::Shared {
            return Ok(Vec::new());
        }
        match sharing.members(context, &image.id).await {
            Err(error) if error.kind() == ErrorKind::NotImplemented => Ok(Vec::new()),
            members => members.map_err(|error| self.failed(error)),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backend '{}': {}", self.backend, self.error.chain())
    }
}

impl std::error::Error for Failed {}

/// What is known when all has been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is no difference, or none any more.
    Equal,
    /// There is.
    Different,
    /// That could not be told, of one image or of all.
    Unknown,
}

impl Verdict {
    fn of(is_unknown: bool, is_different: bool) -> Self {
        match (is_unknown, is_different) {
            (true, _) => Self::Unknown,
            (false, true) => Self::Different,
            (false, false) => Self::Equal,
        }
    }
}

/// All of one run, as an administrator. What cannot be had is an error: half a list is none.
fn context() -> Context {
    let context = Context::new(Caller::administrator(), format!("req-{}", Uuid::new_v4()));
    Context { partial: Partial::Refuse, ..context }
}
