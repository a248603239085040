//! Who sees a namespace, what may be removed, and how much there may be. Pure.

use std::num::NonZeroUsize;
use std::time::Duration;

use image_service::{Caller, Error, ErrorKind, Result};

use super::model::{Namespace, Visibility};

/// Most characters of a name of anything.
pub const LONGEST_NAME: usize = 80;

/// Most characters of a namespace's description.
pub const LONGEST_DESCRIPTION: usize = 500;

/// Most characters of the name of a project.
pub const LONGEST_OWNER: usize = 255;

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most namespaces. Default: 1000.
    pub namespaces: usize,
    /// Most properties of one namespace, those of its objects aside. Default: 1000.
    pub properties: usize,
    /// Most objects of one namespace. Default: 1000.
    pub objects: usize,
    /// Most tags of one namespace. Default: 1000.
    pub tags: usize,
    /// Most types of resources, in all namespaces together. Default: 1000.
    pub resource_types: usize,
    /// Most bytes of all properties and objects of one namespace together. Default: 8 MiB.
    pub contents: usize,
    /// Most bytes of one definition, in a request or in a file. Default: 1 MiB.
    pub document: usize,
    /// How many questions are answered at once. Default: 4.
    pub readers: NonZeroUsize,
    /// How long to wait for another process that writes, such as one that loads files. Default: 5 seconds.
    pub busy_timeout: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            namespaces: 1000,
            properties: 1000,
            objects: 1000,
            tags: 1000,
            resource_types: 1000,
            contents: 8 << 20,
            document: 1 << 20,
            readers: NonZeroUsize::MIN.saturating_add(3),
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// Whether `caller` sees the namespace.
pub(super) fn sees(caller: &Caller, namespace: &Namespace) -> bool {
    caller.is_admin() || namespace.visibility == Visibility::Public || caller.owns(namespace.owner.as_deref())
}

/// Refuses to remove `what` from a namespace that is protected.
pub(super) fn removable(namespace: &Namespace, what: &str) -> Result<()> {
    if namespace.protected {
        return Err(Error::forbidden(format!(
            "{what} cannot be deleted: the metadata namespace '{}' is protected",
            namespace.name
        )));
    }
    Ok(())
}

/// Refuses more than `most` of `what`, of which there are `number`.
pub(super) fn few_enough(number: usize, most: usize, what: &str) -> Result<()> {
    if number > most {
        return Err(Error::new(ErrorKind::TooLarge, format!("there can be at most {most} {what}")));
    }
    Ok(())
}

/// Tags that differ in nothing but case are the same tag.
pub(super) fn folded(tag: &str) -> String {
    tag.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_seen_by_its_owner_and_if_it_is_public_by_everyone() {
        let of = |owner: Option<&str>, visibility| Namespace {
            owner: owner.map(str::to_owned),
            visibility,
            ..Namespace::default()
        };
        let (a, admin) = (Caller::member_of("a"), Caller::administrator());
        for (owner, visibility, to_a) in [
            (Some("a"), Visibility::Private, true),
            (Some("b"), Visibility::Private, false),
            (None, Visibility::Private, false),
            (Some("b"), Visibility::Public, true),
            (None, Visibility::Public, true),
        ] {
            assert_eq!(sees(&a, &of(owner, visibility)), to_a, "{owner:?} {visibility:?}");
            assert!(sees(&admin, &of(owner, visibility)));
            assert_eq!(sees(&Caller::default(), &of(owner, visibility)), visibility == Visibility::Public);
        }
    }

    #[test]
    fn as_many_as_may_be_are_few_enough_and_one_more_is_not() {
        assert!(few_enough(3, 3, "tags").is_ok());
        let error = few_enough(4, 3, "tags").unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::TooLarge, "there can be at most 3 tags"));
    }
}
