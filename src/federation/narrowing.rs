//! What a change takes from those who see an image, so that it can be taken from them everywhere.
//!
//! Pure. A copy stands for the image while its home is silent, and is the image to those whom the home does not show
//! it to. So what is closed in one place only is not closed: such a part of a change is made in the copies first and
//! at the home last, and not at all while a store that is known to hold a copy says nothing. Whatever fails on the way,
//! nobody sees more than before, but for a new owner, who may see a copy sooner than the image.
//!
//! Whether an image is hidden in lists is no part of this: it can be shown all the same.

use std::mem;

use image_service::{Edit, Image, ImageChange, Status, Visibility};

/// What of a record decides who sees the image and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) visibility: Visibility,
    pub(super) owner: Option<String>,
    pub(super) status: Status,
}

impl Standing {
    pub(super) fn of(image: &Image) -> Self {
        Self { visibility: image.visibility, owner: image.owner.clone(), status: image.status }
    }
}

/// A change in two parts, for a record that stands in some way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// What takes the image or its data from somebody.
    pub(super) narrowing: ImageChange,
    /// All the rest.
    pub(super) rest: ImageChange,
}

impl Parts {
    /// What `change` comes to for a record that stands so.
    pub(super) fn of(change: &ImageChange, record: &Standing) -> Self {
        let mut rest = change.clone();
        let visibility: Option<Visibility> = take_if(&mut rest.visibility, |new| *new > record.visibility);
        let owner: Edit<String> = take_if(&mut rest.owner, |new| *new != record.owner);
        let deactivates = |new: &Status| *new == Status::Deactivated && record.status == Status::Active;
        let status = take_if(&mut rest.status, deactivates);
        Self { narrowing: ImageChange { visibility, owner, status, ..ImageChange::default() }, rest }
    }
}

/// Whether `change` may take the image from somebody who sees it by a record that nobody can look at, while the home's
/// stands so.
pub(super) fn may_narrow_unseen(change: &ImageChange, home: &Standing) -> bool {
    let visibility = change.visibility;
    visibility.is_some_and(|new| new != Visibility::Public && new >= home.visibility)
        || change.owner.is_some()
        || change.status == Some(Status::Deactivated)
}

fn take_if<T>(value: &mut Option<T>, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
    if value.as_ref().is_some_and(wanted) { mem::take(value) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Visibility::{Community, Private, Public, Shared};

    fn record(visibility: Visibility) -> Standing {
        Standing { visibility, owner: Some("a".into()), status: Status::Active }
    }

    fn to(visibility: Visibility) -> ImageChange {
        ImageChange { visibility: Some(visibility), ..ImageChange::default() }
    }

    #[test]
    fn a_visibility_narrows_if_it_is_further_from_public() {
        let order = [Public, Community, Shared, Private];
        for (wide, was) in order.into_iter().enumerate() {
            for (narrow, new) in order.into_iter().enumerate() {
                let Parts { narrowing, rest } = Parts::of(&to(new), &record(was));
                assert_eq!(narrowing.visibility.is_some(), narrow > wide, "{was} to {new}");
                assert_eq!(rest.visibility.is_some(), narrow <= wide, "{was} to {new}");
            }
        }
    }

    #[test]
    fn another_owner_and_deactivation_narrow_and_nothing_else_does() {
        let change = ImageChange {
            name: Some(None),
            owner: Some(Some("b".into())),
            status: Some(Status::Deactivated),
            hidden: Some(true),
            ..to(Public)
        };
        let Parts { narrowing, rest } = Parts::of(&change, &record(Private));
        assert_eq!((narrowing.owner, narrowing.status), (change.owner.clone(), change.status));
        assert_eq!(rest, ImageChange { name: Some(None), hidden: Some(true), ..to(Public) });
        let done = Standing { owner: Some("b".into()), status: Status::Deactivated, ..record(Public) };
        assert_eq!(Parts::of(&change, &done), Parts { rest: change.clone(), ..Parts::default() });
        let queued = Standing { status: Status::Queued, ..record(Private) };
        assert_eq!(Parts::of(&change, &queued).narrowing.status, None);
        let again = ImageChange { status: Some(Status::Active), ..ImageChange::default() };
        assert!(Parts::of(&again, &done).narrowing.is_empty());
    }

    #[test]
    fn what_nobody_can_look_at_is_not_narrowed_by_what_opens() {
        assert!(may_narrow_unseen(&to(Shared), &record(Public)));
        assert!(may_narrow_unseen(&to(Private), &record(Private)));
        assert!(!may_narrow_unseen(&to(Shared), &record(Private)));
        assert!(!may_narrow_unseen(&to(Public), &record(Public)));
        let hide = ImageChange { hidden: Some(true), name: Some(None), ..ImageChange::default() };
        assert!(!may_narrow_unseen(&hide, &record(Public)));
    }
}
