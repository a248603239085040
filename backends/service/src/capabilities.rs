//! What a store does by itself, so that others can do the rest.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use crate::{Field, SortKey};

/// What a service does exactly and by itself. What is missing here, its caller must do: test the filters
/// again, sort again, skip to a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Filters on these are applied exactly. A query with any other filter must not be sent.
    pub filters: BTreeSet<Field>,
    /// Lists can be sorted by these. A query sorted by any other key must not be sent.
    pub sort_keys: BTreeSet<SortKey>,
    /// Whether a download may start and end anywhere.
    pub ranges: Support,
    /// Whether `create`, `update` and `delete` do anything.
    pub writes: Support,
    /// Whether `create` and `update` take data, in a service with writes. One that does not keeps records whose data
    /// comes in another way; data is `NotImplemented`.
    pub uploads: Support,
    /// Whether an image can begin as a record that its owner alone sees, and takes data again when an upload to it broke
    /// off, in a service with uploads. Where it cannot, an upload that breaks off may use up the image and its id.
    pub drafts: Support,
    /// The most images in one page, if there is such a bound.
    pub most_per_page: Option<NonZeroUsize>,
    /// Whether it believes who the [`Context`](crate::Context) says is asking, so that an administrator is shown every
    /// image there is. A service that does not goes by the caller's own token: what that may not see is hidden from
    /// whoever asks with it, and so is whether an id is in use.
    pub believes_caller: Support,
}

/// Whether a service does something by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Yes,
    /// It does not, and says `NotImplemented` when asked.
    No,
}

impl Support {
    /// Whether it does.
    #[must_use]
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }
}

impl Capabilities {
    /// Everything, in pages of any size.
    #[must_use]
    pub fn full() -> Self {
        Self {
            filters: Field::ALL.iter().copied().collect(),
            sort_keys: SortKey::ALL.iter().copied().collect(),
            ranges: Support::Yes,
            writes: Support::Yes,
            uploads: Support::Yes,
            drafts: Support::Yes,
            most_per_page: None,
            believes_caller: Support::Yes,
        }
    }
}
