//! Which role may do what: Glance's defaults, and what an operator makes of them. Pure.
//!
//! Tenancy, that is whose image it is, is the service's business. Here are only the rules about roles, and the one
//! question of ownership whose answer must come before another error. The rules have the names that Glance's policy
//! has for them (`oslopolicy-sample-generator --namespace glance` lists them); what Glance writes beside roles into
//! its rules, that an image must be one's own, or public, always holds and cannot be written away.

use image_service::{Caller, Image, Visibility};
use serde::{Deserialize, Deserializer};

use super::fault::Fault;

/// The rules, each with the roles of which a caller needs one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Listing images, and finding out what there is besides. Default: `reader`, `member`.
    pub get_images: Roles,
    /// Showing an image that one can see; without it there is no image. Default: `reader`, `member`.
    pub get_image: Roles,
    /// Making images. Default: `member`.
    pub add_image: Roles,
    /// Changing images, their tags too, and staging and importing. Default: `member`.
    pub modify_image: Roles,
    /// Deleting images. Default: `member`.
    pub delete_image: Roles,
    /// Making images public. Default: administrators alone.
    pub publicize_image: Roles,
    /// Making images community images. Default: `member`.
    pub communitize_image: Roles,
    /// Reading data. Default: `member`.
    pub download_image: Roles,
    /// Choosing the store to read data from, which takes `download_image` too. Default: `member`.
    pub download_from_store: Roles,
    /// Giving images their data. Default: `member`.
    pub upload_image: Roles,
    /// Listing the members of an image. Default: `reader`, `member`.
    pub get_members: Roles,
    /// Showing one. Default: `reader`, `member`.
    pub get_member: Roles,
    /// Adding one. Default: `member`.
    pub add_member: Roles,
    /// Answering as one. Default: `member`.
    pub modify_member: Roles,
    /// Removing one. Default: `member`.
    pub delete_member: Roles,
    /// Keeping others from reading an image's data. Default: `member`.
    pub deactivate: Roles,
    /// Letting them read it again. Default: `member`.
    pub reactivate: Roles,
    /// Seeing where the data of one's own images lies, if that is shown. Default: `reader`, `member`.
    pub get_image_location: Roles,
    /// Saying where the data of images lies, and being believed. Default: `member`.
    pub set_image_location: Roles,
    /// Saying so, and being believed when it has been looked at. Default: `service`, `member`.
    pub add_image_location: Roles,
    /// Seeing where the data of any image lies, as other services want to. Default: `service`.
    pub fetch_image_location: Roles,
    /// Removing a location, or the copy in one store, which Glance keeps under the same name. Default: administrators
    /// alone.
    pub delete_image_location: Roles,
    /// Copying an image to other stores, whosever it is. Default: administrators alone.
    pub copy_image: Roles,
    /// Seeing what is cached. Default: administrators alone.
    pub cache_list: Roles,
    /// Having images cached. Default: administrators alone.
    pub cache_image: Roles,
    /// Removing images from the cache, and tidying it up. Default: administrators alone.
    pub cache_delete: Roles,
    /// All of these by the older paths, `/v2/cached_images` and `/v2/queued_images`. Default: administrators alone.
    pub manage_image_cache: Roles,
    /// Listing, showing and making tasks. Default: administrators alone.
    pub tasks_api_access: Roles,
    /// Seeing how the stores are made. Default: `service`.
    pub stores_info_detail: Roles,
    /// Reading metadata definitions; without it there are none. Default: `reader`, `member`.
    pub metadef_default: Roles,
    /// Writing metadata definitions. Default: administrators alone.
    pub metadef_admin: Roles,
}

impl Default for Policy {
    fn default() -> Self {
        let (readers, members) = (|| Roles::of(&["reader", "member"]), || Roles::of(&["member"]));
        Self {
            get_images: readers(),
            get_image: readers(),
            add_image: members(),
            modify_image: members(),
            delete_image: members(),
            publicize_image: Roles::of(&[]),
            communitize_image: members(),
            download_image: members(),
            download_from_store: members(),
            upload_image: members(),
            get_members: readers(),
            get_member: readers(),
            add_member: members(),
            modify_member: members(),
            delete_member: members(),
            deactivate: members(),
            reactivate: members(),
            get_image_location: readers(),
            set_image_location: members(),
            add_image_location: Roles::of(&["service", "member"]),
            fetch_image_location: Roles::of(&["service"]),
            delete_image_location: Roles::of(&[]),
            copy_image: Roles::of(&[]),
            cache_list: Roles::of(&[]),
            cache_image: Roles::of(&[]),
            cache_delete: Roles::of(&[]),
            manage_image_cache: Roles::of(&[]),
            tasks_api_access: Roles::of(&[]),
            stores_info_detail: Roles::of(&["service"]),
            metadef_default: readers(),
            metadef_admin: Roles::of(&[]),
        }
    }
}

/// Roles, one of which is enough. Administrators need none of them, and `*` is everyone, with or without a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<String>);

impl Roles {
    /// These roles, in lower case.
    #[must_use]
    pub fn of(roles: &[&str]) -> Self {
        Self(roles.iter().map(|role| role.to_lowercase()).collect())
    }

    /// Whether `caller` has one of them.
    #[must_use]
    pub fn admit(&self, caller: &Caller) -> bool {
        caller.is_admin() || self.0.iter().any(|role| role == "*" || caller.roles.contains(role))
    }
}

impl<'de> Deserialize<'de> for Roles {
    /// Names are compared without regard to case, as Keystone does.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let roles = Vec::<String>::deserialize(deserializer)?;
        if roles.iter().any(|role| role.trim().is_empty()) {
            return Err(serde::de::Error::custom("a role must have a name"));
        }
        Ok(Self(roles.iter().map(|role| role.trim().to_lowercase()).collect()))
    }
}

type Verdict = Result<(), Fault>;

/// Lets through a caller whose role allows `what`, such as "create images".
pub(super) fn permit(roles: &Roles, caller: &Caller, what: &str) -> Verdict {
    if roles.admit(caller) {
        Ok(())
    } else {
        Err(Fault::forbidden(format!("your role does not permit you to {what}")))
    }
}

/// Lets through a caller whose own image this is. That it can see it is known.
pub(super) fn must_own(caller: &Caller, image: &Image) -> Verdict {
    if caller.is_admin() || caller.owns(image.owner.as_deref()) {
        return Ok(());
    }
    Err(Fault::forbidden(format!("you are not permitted to change image {}", image.id)))
}

impl Policy {
    /// Lets through a caller who may give an image this visibility.
    pub(super) fn may_set_visibility(&self, caller: &Caller, visibility: Option<Visibility>) -> Verdict {
        let (roles, what) = match visibility {
            Some(Visibility::Public) => (&self.publicize_image, "make images public"),
            Some(Visibility::Community) => (&self.communitize_image, "make images community images"),
            Some(Visibility::Shared | Visibility::Private) | None => return Ok(()),
        };
        permit(roles, caller, what)
    }

    /// Lets through a caller for whom there are metadata definitions.
    pub(super) fn may_read_metadefs(&self, caller: &Caller) -> Verdict {
        if self.metadef_default.admit(caller) {
            return Ok(());
        }
        Err(Fault::not_found("there are no metadata definitions for your role"))
    }

    /// Lets through a caller who may change them.
    pub(super) fn may_write_metadefs(&self, caller: &Caller) -> Verdict {
        permit(&self.metadef_admin, caller, "change metadata definitions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_role(role: &str) -> Caller {
        Caller { roles: [role.to_owned()].into(), ..Caller::member_of("a") }
    }

    #[test]
    fn by_default_a_reader_neither_changes_nor_downloads() {
        let policy = Policy::default();
        for (role, allowed) in [("reader", false), ("service", false), ("member", true), ("admin", true)] {
            let caller = with_role(role);
            for roles in [&policy.modify_image, &policy.add_image, &policy.download_image, &policy.add_member]
            {
                assert_eq!(permit(roles, &caller, "do so").is_ok(), allowed, "{role}");
            }
            let community = policy.may_set_visibility(&caller, Some(Visibility::Community));
            assert_eq!(community.is_ok(), allowed, "{role}");
        }
        assert!(
            policy.get_images.admit(&with_role("reader")) && policy.get_images.admit(&with_role("member"))
        );
        assert!(!policy.get_images.admit(&Caller::default()));
    }

    #[test]
    fn by_default_only_administrators_publish_and_remove_copies() {
        let policy = Policy::default();
        for (role, allowed) in [("reader", false), ("member", false), ("manager", false), ("admin", true)] {
            let caller = with_role(role);
            assert_eq!(
                policy.may_set_visibility(&caller, Some(Visibility::Public)).is_ok(),
                allowed,
                "{role}"
            );
            assert_eq!(policy.delete_image_location.admit(&caller), allowed, "{role}");
            assert_eq!(policy.stores_info_detail.admit(&caller), allowed, "{role}");
        }
        assert!(policy.may_set_visibility(&with_role("reader"), Some(Visibility::Private)).is_ok());
        assert!(policy.stores_info_detail.admit(&with_role("service")));
    }

    #[test]
    fn a_rule_is_what_the_operator_makes_of_it() {
        let text = "publicize_image = ['Publisher']\nget_images = ['*']\ndownload_image = []";
        let policy: Policy = toml::from_str(text).unwrap();
        assert!(policy.may_set_visibility(&with_role("publisher"), Some(Visibility::Public)).is_ok());
        assert!(policy.get_images.admit(&Caller::default()));
        assert!(!policy.download_image.admit(&with_role("member")));
        assert!(policy.download_image.admit(&with_role("admin")), "an administrator needs no role");
        assert_eq!(policy.add_image, Policy::default().add_image);
        assert!(toml::from_str::<Policy>("get_image = ['']").is_err());
        assert!(toml::from_str::<Policy>("fly = ['member']").is_err());
    }
}
