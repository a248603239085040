//! What is to be done about one image that is to be copied. Pure.

use std::fmt;

use image_service::Image;

use super::content::{Likeness, likeness, telling};
use super::metadata::{self, Kept, Others};

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
    /// A copy of it that is under way is taken up again, which has this.
    TakeUp(Remains),
    /// Its copy gets its metadata.
    Update,
    /// It is there.
    Leave,
    /// Its id is there, and no hash tells whether with the same data, but the data there can be read and held to a hash of
    /// the image. If it is the same, this is the step.
    Look(Box<Self>),
    /// It cannot be copied.
    Refuse(Refusal),
}

impl Step {
    /// Whether it changes something. To look does not, unless the copy may then get its metadata.
    pub(super) fn changes(&self) -> bool {
        match self {
            Self::Copy | Self::TakeUp(_) | Self::Update => true,
            Self::Look(then) => then.changes(),
            Self::Leave | Self::Refuse(_) => false,
        }
    }
}

/// What a copy that broke off has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remains {
    /// No data yet.
    Record,
    /// The data, as far as the records tell.
    Whole,
    /// Other data, with which it is removed.
    Other,
}

impl Remains {
    /// What `there` is, a copy of `image` that is under way.
    pub(super) fn of(image: &Image, there: &Image) -> Self {
        match likeness(image, there) {
            _ if !there.has_data() => Self::Record,
            Likeness::Other(_) => Self::Other,
            Likeness::Same | Likeness::Unknown => Self::Whole,
        }
    }
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
    /// The same, without reading the data there, which is not done where nothing is to be done.
    Unread,
    /// A copy of it that broke off has other data, and would be removed.
    Remains,
    /// The copy has this format otherwise, which nobody can change.
    Format(&'static str),
}

impl Refusal {
    /// Whether it stands for what could not be told.
    pub(super) const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Unread)
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
            Self::Unread => f.write_str(
                "its id is there, and its data would be read there to tell whether it is the same",
            ),
            Self::Remains => {
                f.write_str("a copy that broke off has left other data there, and would be removed")
            }
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
        return Step::TakeUp(Remains::of(image, there));
    }
    match likeness(image, there) {
        Likeness::Unknown if telling(image).is_some() => {
            Step::Look(Box::new(kept_up(image, there, kept, upkeep)))
        }
        Likeness::Unknown => Step::Refuse(Refusal::Unknown),
        Likeness::Other(_) if !there.has_data() => Step::Refuse(Refusal::Empty),
        Likeness::Other(what) => Step::Refuse(Refusal::OtherContent(what)),
        Likeness::Same => kept_up(image, there, kept, upkeep),
    }
}

/// What is to be done about `image` if `there` has the same data.
fn kept_up(image: &Image, there: &Image, kept: &Kept, upkeep: Upkeep) -> Step {
    if upkeep == Upkeep::Leave {
        return Step::Leave;
    }
    if !metadata::change(image, there, kept, Others::Stay).is_empty() {
        return Step::Update;
    }
    metadata::other_format(image, there).map_or(Step::Leave, |which| Step::Refuse(Refusal::Format(which)))
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
        for (status, size, remains) in [
            (Status::Queued, None, Remains::Record),
            (Status::Saving, None, Remains::Record),
            (Status::Active, image.size, Remains::Whole),
            (Status::Active, Some(1), Remains::Other),
        ] {
            let there = Image { status, size, ..draft(&image, "a", &Kept::All) };
            assert_eq!(of(&image, Some(&there), Upkeep::Leave), Step::TakeUp(remains), "{status}");
        }
        let queued = Image { status: Status::Queued, ..image.clone() };
        for there in [marked(&queued, "elsewhere"), queued] {
            assert_eq!(of(&image, Some(&there), Upkeep::Leave), Step::Refuse(Refusal::Empty));
        }
    }

    #[test]
    fn what_no_hash_in_common_tells_is_looked_at_and_then_left_updated_or_refused() {
        let image = active();
        let bare = Image { hash: None, checksum: None, ..image.clone() };
        let named = Image { name: Some("n".into()), ..bare.clone() };
        let format = Image { disk_format: Some("raw".into()), ..bare.clone() };
        let refused = Step::Refuse(Refusal::Format("disk_format"));
        for (there, upkeep, then) in [
            (&bare, Upkeep::Update, Step::Leave),
            (&named, Upkeep::Leave, Step::Leave),
            (&named, Upkeep::Update, Step::Update),
            (&format, Upkeep::Update, refused),
        ] {
            assert_eq!(of(&image, Some(there), upkeep), Step::Look(Box::new(then)));
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
        assert_eq!(of(&bare, Some(&image), Upkeep::Update), Step::Refuse(Refusal::Unknown));
        let format = Image { disk_format: Some("raw".into()), ..image.clone() };
        assert_eq!(of(&image, Some(&format), Upkeep::Update), Step::Refuse(Refusal::Format("disk_format")));
    }
}
