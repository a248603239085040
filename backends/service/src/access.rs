//! Who may see, list and change an image: the rules of tenancy, pure.
//!
//! A store that keeps members itself applies these rules to what it holds. What a caller may not see is
//! `NotFound`; what it may see but not change is `Forbidden`.

use crate::{Caller, Error, Image, MemberScope, MemberStatus, Result, Scope, Visibility, VisibilityScope};

/// Whether `caller` may see `image`. `membership` is the caller's project's answer, if it is a member.
#[must_use]
pub fn may_see(caller: &Caller, image: &Image, membership: Option<MemberStatus>) -> bool {
    caller.is_admin()
        || image.owner.is_none()
        || caller.owns(image.owner.as_deref())
        || match image.visibility {
            Visibility::Public | Visibility::Community => true,
            Visibility::Shared => membership.is_some(),
            Visibility::Private => false,
        }
}

/// Whether a list of `scope` shows `image` to `caller`.
///
/// A community image without an owner is nobody's own, so that it is usual in no list, as in Glance.
#[must_use]
pub fn is_listed(caller: &Caller, image: &Image, membership: Option<MemberStatus>, scope: Scope) -> bool {
    let own = caller.owns(image.owner.as_deref());
    let chosen = match scope.visibility {
        VisibilityScope::All => true,
        VisibilityScope::Usual => own || image.visibility != Visibility::Community,
        VisibilityScope::Only(visibility) => image.visibility == visibility,
    };
    let answered = own
        || caller.is_admin()
        || image.visibility != Visibility::Shared
        || membership.is_none_or(|status| scope.member_status.includes(status));
    chosen && answered && may_see(caller, image, membership)
}

/// Whether whether `caller` sees or lists `image` hangs on its project's membership, so that a store must look
/// that up first.
#[must_use]
pub fn hangs_on_membership(caller: &Caller, image: &Image) -> bool {
    image.visibility == Visibility::Shared
        && !caller.is_admin()
        && caller.project.is_some()
        && !caller.owns(image.owner.as_deref())
}

/// Lets through a caller who may change `image`.
///
/// # Errors
/// `NotFound` if it may not see it, `Forbidden` if it is not its own.
pub fn may_change(caller: &Caller, image: &Image, membership: Option<MemberStatus>) -> Result<()> {
    if !may_see(caller, image, membership) {
        return Err(Error::not_found(&image.id));
    }
    if caller.is_admin() || caller.owns(image.owner.as_deref()) {
        return Ok(());
    }
    Err(Error::forbidden(format!("you are not permitted to change image {}", image.id)))
}

/// Lets through a caller who may delete `image`.
///
/// # Errors
/// As [`may_change`], and `Forbidden` if the image is protected.
pub fn may_delete(caller: &Caller, image: &Image, membership: Option<MemberStatus>) -> Result<()> {
    may_change(caller, image, membership)?;
    if image.protected {
        return Err(Error::forbidden(format!("image {} is protected and cannot be deleted", image.id)));
    }
    Ok(())
}

/// Lets through a caller who may read the data of `image`.
///
/// # Errors
/// `NotFound` if it may not see it, `Forbidden` if it is deactivated and the caller is no administrator.
pub fn may_read_data(caller: &Caller, image: &Image, membership: Option<MemberStatus>) -> Result<()> {
    if !may_see(caller, image, membership) {
        return Err(Error::not_found(&image.id));
    }
    if image.status == crate::Status::Deactivated && !caller.is_admin() {
        return Err(Error::forbidden(format!("the image data of {} is deactivated", image.id)));
    }
    Ok(())
}

impl MemberScope {
    /// Whether an image that the caller's project answered with `status` is in this scope.
    #[must_use]
    pub const fn includes(self, status: MemberStatus) -> bool {
        matches!(
            (self, status),
            (Self::All, _)
                | (Self::Accepted, MemberStatus::Accepted)
                | (Self::Pending, MemberStatus::Pending)
                | (Self::Rejected, MemberStatus::Rejected)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewImage, Timestamp};

    #[test]
    fn a_community_image_without_an_owner_is_usual_to_nobody() {
        let new = NewImage { visibility: Some(Visibility::Community), ..NewImage::default() };
        let image = new.into_image(&Caller::administrator(), Timestamp::now()).unwrap();
        for caller in [Caller::administrator(), Caller::member_of("a"), Caller::default()] {
            assert!(!is_listed(&caller, &image, None, Scope::default()));
            let all = Scope { visibility: VisibilityScope::All, ..Scope::default() };
            assert!(is_listed(&caller, &image, None, all));
        }
    }
}
