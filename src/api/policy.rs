//! Which role may do what: Glance's defaults. Pure.
//!
//! Tenancy — whose image it is — is the service's business. Here are only the rules about roles, and the one
//! question of ownership whose answer must come before another error. Without the `member` role a caller can
//! read metadata and nothing more.

use image_service::{Caller, Image, Visibility};

use super::fault::Fault;

type Verdict = Result<(), Fault>;

/// Lets through a caller whose role allows changes.
pub(super) fn may_write(caller: &Caller) -> Verdict {
    if caller.is_admin() || caller.roles.contains("member") {
        return Ok(());
    }
    Err(Fault::forbidden("your role does not permit changes"))
}

/// Lets through a caller who may change this image, which it can see.
pub(super) fn may_change(caller: &Caller, image: &Image) -> Verdict {
    may_write(caller)?;
    if caller.is_admin() || caller.owns(image.owner.as_deref()) {
        return Ok(());
    }
    Err(Fault::forbidden(format!("you are not permitted to change image {}", image.id)))
}

/// Lets through a caller who may give an image this visibility. Publishing is for administrators.
pub(super) fn may_set_visibility(caller: &Caller, visibility: Option<Visibility>) -> Verdict {
    match visibility {
        Some(Visibility::Public) if !caller.is_admin() => {
            Err(Fault::forbidden("visibility: you are not permitted to make images public"))
        }
        Some(Visibility::Community) => may_write(caller),
        _ => Ok(()),
    }
}

/// Lets through a caller whose role allows reading data.
pub(super) fn may_download(caller: &Caller) -> Verdict {
    may_write(caller).map_err(|_| Fault::forbidden("your role does not permit downloads"))
}

/// Lets through a caller who may see how the stores are made.
pub(super) fn may_see_store_details(caller: &Caller) -> Verdict {
    if caller.is_admin() || caller.roles.contains("service") {
        return Ok(());
    }
    Err(Fault::forbidden("details of stores are for administrators"))
}

/// Lets through a caller who may remove one copy of an image.
pub(super) fn may_remove_copies(caller: &Caller) -> Verdict {
    if caller.is_admin() { Ok(()) } else { Err(Fault::forbidden("removing copies is for administrators")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_role(role: &str) -> Caller {
        Caller { roles: [role.to_owned()].into(), ..Caller::member_of("a") }
    }

    #[test]
    fn a_reader_neither_changes_nor_downloads() {
        for (role, allowed) in [("reader", false), ("service", false), ("member", true), ("admin", true)] {
            let caller = with_role(role);
            assert_eq!(may_write(&caller).is_ok(), allowed, "{role}");
            assert_eq!(may_download(&caller).is_ok(), allowed, "{role}");
            assert_eq!(may_set_visibility(&caller, Some(Visibility::Community)).is_ok(), allowed, "{role}");
        }
    }

    #[test]
    fn only_administrators_publish_and_remove_copies() {
        for (role, allowed) in [("reader", false), ("member", false), ("admin", true)] {
            let caller = with_role(role);
            assert_eq!(may_set_visibility(&caller, Some(Visibility::Public)).is_ok(), allowed, "{role}");
            assert_eq!(may_remove_copies(&caller).is_ok(), allowed, "{role}");
            assert_eq!(may_see_store_details(&caller).is_ok(), allowed, "{role}");
        }
        assert!(may_set_visibility(&with_role("reader"), Some(Visibility::Private)).is_ok());
        assert!(may_see_store_details(&with_role("service")).is_ok());
    }
}
