//! The rules of members that hold whichever version of the API a Glance speaks: who may know of one and answer for it,
//! where we decide that. Pure.

use image_service::{Caller, Error, ErrorKind, Image, ImageId, Result, Scope, Visibility, VisibilityScope};

use crate::fault::Credentials;

/// Keeps those of `images` that a list of `scope` wants, of all that a server shows to the caller itself.
pub(crate) fn retain_wanted(images: &mut Vec<Image>, scope: Scope) {
    if let VisibilityScope::Only(visibility) = scope.visibility {
        images.retain(|image| image.visibility == visibility);
    }
}

/// Lets through an image that can have members.
///
/// # Errors
/// `Forbidden` if it is not shared.
pub(crate) fn only_shared(image: &Image) -> Result<()> {
    if image.visibility == Visibility::Shared {
        return Ok(());
    }
    Err(Error::forbidden("only shared images have members"))
}

/// The error for a project that is no member, or of which the caller may not know that it is one.
pub(crate) fn no_member(id: &ImageId, member: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("project {member} is not a member of image {id}"))
}

/// Whether the caller may know that `member` is one.
pub(crate) fn may_know(credentials: Credentials, caller: &Caller, image: &Image, member: &str) -> bool {
    credentials == Credentials::Caller
        || caller.is_admin()
        || caller.owns(image.owner.as_deref())
        || caller.owns(Some(member))
}

/// Lets through a caller who may answer for `member`, if that is for us to decide.
///
/// # Errors
/// `Forbidden` for the image's owner; `NotFound` for another project, or if the image is not shared.
pub(crate) fn may_answer(caller: &Caller, image: &Image, member: &str) -> Result<()> {
    if !caller.is_admin() && caller.owns(image.owner.as_deref()) {
        return Err(Error::forbidden("an image's owner cannot answer for its members"));
    }
    let is_theirs = caller.is_admin() || caller.owns(Some(member));
    if image.visibility == Visibility::Shared && is_theirs {
        return Ok(());
    }
    Err(no_member(&image.id, member))
}
