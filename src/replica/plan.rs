//! What is to be done about one image that is to be copied. Pure.

use std::fmt;

use image_service::Image;

use super::content::{Likeness, likeness};
use super::metadata::{self, Kept};

/// What becomes of the metadata of images that are in both backends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Upkeep {
    /// It stays as it is.
    #[default]
    Leave,
    /// The copy gets that of the image.
    Update,
}

/// The next step for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// It is copied.
    Copy,
    /// A copy of it that is under way is taken up again.
    TakeUp,
    /// Its copy gets its metadata.
    Update,
    /// It is there.
    Leave,
    /// It cannot be copied.
    Refuse(Refusal),
}

/// Why an image is not copied, as far as the two records tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It has no data.
    NoData,
    /// Its id has other data there, which differs in these.
    OtherContent(Vec<&'static str>),
    /// Its id is there without data, and not by a copy of ours.
    Empty,
    /// Its id is there, and whether the data is the same cannot be told.
    Unknown,
    /// The copy has this format otherwise, which nobody can change.
    Format(&'static str),
}

impl Refusal {
    /// Whether it stands for what could not be told.
    pub(super) const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("it has no data"),
            Self::OtherContent(what) => write!(f, "its id has other data there: {} differ", what.join(", ")),
            Self::Empty => {
                f.write_str("its id is there without data, and not by a copy from here that broke off")
            }
            Self::Unknown => f.write_str("its id is there, and no hash tells whether with the same data"),
            Self::Format(which) => write!(f, "it has another {which} there, which cannot be changed"),
        }
    }
}

/// What is to be done about `image` of the backend called `from`, of which the other one has `there`.
pub(super) fn step(image: &Image, there: Option<&Image>, from: &str, kept: &Kept, upkeep: Upkeep) -> Step {
    if !image.has_data() {
        return Step::Refuse(Refusal::NoData);
    }
    let Some(there) = there else { return Step::Copy };
    if metadata::is_marked(there, from) {
        return Step::TakeUp;
    }
    match likeness(image, there) {
        Likeness::Unknown => Step::Refuse(Refusal::Unknown),
        Likeness::Other(_) if !there.has_data() => Step::Refuse(Refusal::Empty),
        Likeness::Other(what) => Step::Refuse(Refusal::OtherContent(what)),
        Likeness::Same if upkeep == Upkeep::Leave => Step::Leave,
        Likeness::Same if !metadata::change(image, there, kept).is_empty() => Step::Update,
        Likeness::Same => metadata::other_format(image, there)
            .map_or(Step::Leave, |which| Step::Refuse(Refusal::Format(which))),
    }
}

#[cfg(test)]
mod tests {
    use image_service::Status;

    use super::*;
    use crate::replica::metadata::tests::active;
    use crate::replica::metadata::{draft, marked};

    fn of(image: &Image, there: Option<&Image>, upkeep: Upkeep) -> Step {
        step(image, there, "a", &Kept::All, upkeep)
    }

    #[test]
    fn what_is_missing_is_copied_and_what_is_there_is_left() {
        let image = active();
        for upkeep in [Upkeep::Leave, Upkeep::Update] {
            assert_eq!(of(&image, None, upkeep), Step::Copy);
            assert_eq!(of(&image, Some(&image), upkeep), Step::Leave);
        }
        let named = Image { name: Some("n".into()), ..image.clone() };
        assert_eq!(of(&image, Some(&named), Upkeep::Leave), Step::Leave);
        assert_eq!(of(&image, Some(&named), Upkeep::Update), Step::Update);
        let closed = Image { status: Status::Deactivated, ..image.clone() };
        assert_eq!(of(&closed, Some(&image), Upkeep::Update), Step::Update);
    }

    #[test]
    fn a_copy_of_ours_is_taken_up_in_whatever_state_and_nobody_elses() {
        let image = active();
        for status in [Status::Queued, Status::Saving, Status::Active] {
            let there = Image { status, size: Some(1), ..draft(&image, "a", &Kept::All) };
            assert_eq!(of(&image, Some(&there), Upkeep::Leave), Step::TakeUp, "{status}");
        }
        let queued = Image { status: Status::Queued, ..image.clone() };
        for there in [marked(&queued, "elsewhere"), queued] {
            assert_eq!(of(&image, Some(&there), Upkeep::Leave), Step::Refuse(Refusal::Empty));
        }
    }

    #[test]
    fn other_data_no_data_and_unknown_data_are_refused() {
        let image = active();
        let other = Image { size: Some(1), ..image.clone() };
        assert_eq!(
            of(&image, Some(&other), Upkeep::Update),
            Step::Refuse(Refusal::OtherContent(vec!["size"]))
        );
        let queued = Image { status: Status::Queued, ..image.clone() };
        assert_eq!(of(&queued, None, Upkeep::Update), Step::Refuse(Refusal::NoData));
        let bare = Image { hash: None, checksum: None, ..image.clone() };
        assert_eq!(of(&image, Some(&bare), Upkeep::Update), Step::Refuse(Refusal::Unknown));
        let format = Image { disk_format: Some("raw".into()), ..image.clone() };
        assert_eq!(of(&image, Some(&format), Upkeep::Update), Step::Refuse(Refusal::Format("disk_format")));
    }
}
