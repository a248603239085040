//! The rules of tenancy, told once more, as the Image API has them: who sees, lists, changes and downloads what.
//!
//! Written from what real services do and not from the product, whose own rules are what is put to the test. Words
//! are plain text here, as they are on the wire.

use std::collections::{BTreeMap, BTreeSet};

use crate::deeds::{Scope, VISIBILITIES};
use crate::people::{Person, Role};

/// An image as it must be.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: Option<String>,
    pub(crate) visibility: &'static str,
    pub(crate) hidden: bool,
    pub(crate) protected: bool,
    pub(crate) status: &'static str,
    pub(crate) data: Vec<u8>,
    pub(crate) tags: BTreeSet<String>,
    /// Project → what it has said. Rows stay while the image is not shared, and say nothing then.
    pub(crate) members: BTreeMap<String, &'static str>,
    /// The numbers of the stores that hold it, home first.
    pub(crate) stores: Vec<usize>,
    /// A copy may not have taken some change that grants more.
    pub(crate) drifted: bool,
    /// The widest visibility that its store shows anything with.
    pub(crate) ceiling: &'static str,
    /// It is wider behind the ceiling, where it has no members.
    pub(crate) above: bool,
}

/// Whether a visibility is wider than another.
pub(crate) fn is_wider(visibility: &str, than: &str) -> bool {
    let width = |visibility: &str| VISIBILITIES.iter().position(|known| *known == visibility).unwrap();
    width(visibility) < width(than)
}

/// Whether a list shows an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    Yes,
    No,
    /// It may be read by all, and no rule says whether it is listed.
    Either,
}

/// Whether a person's project is a member of an image that is shared.
pub(crate) fn membership(person: Person, image: &Image) -> Option<&'static str> {
    if image.visibility != "shared" || image.above {
        return None;
    }
    image.members.get(person.project?).copied()
}

/// Whether a person may know of an image, and read its record.
pub(crate) fn sees(person: Person, image: &Image) -> bool {
    // One without an owner is everybody's, but where nothing may be.
    let nobodys = image.owner.is_none() && matches!(image.ceiling, "public" | "community");
    let open = matches!(image.visibility, "public" | "community") || nobodys;
    open || person.is_admin() || person.owns(image.owner.as_deref()) || membership(person, image).is_some()
}

/// Whether an image is a person's to change.
pub(crate) fn governs(person: Person, image: &Image) -> bool {
    person.is_admin() || person.owns(image.owner.as_deref())
}

/// Whether a person's role allows more than to look.
pub(crate) fn acts(person: Person) -> bool {
    matches!(person.role, Role::Member | Role::Admin)
}

/// Whether a list shows an image to a person.
pub(crate) fn lists(person: Person, image: &Image, scope: &Scope) -> Listed {
    let own = person.owns(image.owner.as_deref());
    let wanted = image.hidden == scope.hidden
        && scope.owner.is_none_or(|owner| image.owner.as_deref() == Some(owner))
        && scope.protected.is_none_or(|protected| image.protected == protected)
        && match scope.visibility {
            None => own || image.visibility != "community",
            Some("all") => true,
            Some(visibility) => image.visibility == visibility,
        };
    if !wanted || !sees(person, image) {
        return Listed::No;
    }
    if own || person.is_admin() || matches!(image.visibility, "public" | "community") {
        return Listed::Yes;
    }
    match membership(person, image) {
        Some(said) => match scope.member_status.unwrap_or("accepted") {
            "all" => Listed::Yes,
            status if status == said => Listed::Yes,
            _ => Listed::No,
        },
        // It is nobody's.
        None => Listed::Either,
    }
}

/// Whether a person may know that a project is a member of an image.
pub(crate) fn knows_member(person: Person, image: &Image, member: &str) -> bool {
    !image.above && (governs(person, image) || person.project == Some(member))
}
