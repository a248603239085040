//! What was last seen of an image whose data stands in several backends, so that one copy may answer for another.
//!
//! Only ever a hint, and checked against every answer: data is the image's if its strong hash is the one that the
//! home had, and that never changes in an image's life. A record may stand for the home's only if the two were the
//! same in every attribute when they were last seen together, and this one still is as it was then; replicas of one
//! store are like that. A copy with other times or names never speaks for its home.

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hasher};

use image_service::{Image, MultiHash, Status};

use super::placement::Copies;

/// Copies with the same data.
#[derive(Debug)]
pub(super) struct Twins {
    /// Where they are.
    pub(super) copies: Copies,
    hash: MultiHash,
    home: Print,
    alike: Vec<usize>,
}

impl Twins {
    /// What can be learnt from `image`, as its home has it, its copies, and the prints of all their records. `None`
    /// if there is no other copy of its data.
    pub(super) fn of(image: &Image, copies: &Copies, prints: &[(usize, Print)]) -> Option<Self> {
        let others = copies.with_data.iter().any(|source| *source != copies.home);
        let hash = image.hash.clone().filter(|_| others)?;
        let print = |wanted| prints.iter().find(|(source, _)| *source == wanted).map(|(_, print)| *print);
        let home = print(copies.home)?;
        let others = copies.with_data.iter().copied().filter(|source| *source != copies.home);
        let alike = others.filter(|source| print(*source) == Some(home)).collect();
        Some(Self { copies: copies.clone(), hash, home, alike })
    }

    /// The copies of the data beside the home's.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> {
        self.copies.with_data.iter().copied().filter(|source| *source != self.copies.home)
    }

    /// The copies that may speak for the home.
    pub(super) fn alike(&self) -> impl Iterator<Item = usize> {
        self.alike.iter().copied()
    }

    /// Whether `image` has the data that the home had.
    pub(super) fn has_data(&self, image: &Image) -> bool {
        image.hash.as_ref() == Some(&self.hash)
    }

    /// Whether `image` has that data and gives it to everybody who may see it.
    pub(super) fn gives_data(&self, image: &Image) -> bool {
        image.status == Status::Active && self.has_data(image)
    }

    /// Whether `image`, of a copy that may speak for the home, is still as the home was.
    pub(super) fn speaks_for_home(&self, image: &Image) -> bool {
        Print::of(image) == self.home
    }
}

/// Two records with the same print are the same in every attribute, save for the stores that hold the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print(u64);

impl Print {
    pub(super) fn of(image: &Image) -> Self {
        struct Text(DefaultHasher);
        impl fmt::Write for Text {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.write(text.as_bytes());
                Ok(())
            }
        }
        let record = Image { stores: Vec::new(), ..image.clone() };
        let mut text = Text(DefaultHasher::new());
        // Hashing cannot fail.
        let _ = write!(text, "{record:?}");
        Self(text.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use image_service::{Caller, Digester, NewImage, Timestamp};

    use super::*;

    fn active() -> Image {
        let mut image = NewImage::default().into_image(&Caller::administrator(), Timestamp::now()).unwrap();
        let mut digester = Digester::default();
        digester.update(b"data");
        image.finish_upload(digester.finish(None).unwrap(), Timestamp::now());
        image
    }

    fn copies() -> Copies {
        Copies { home: 1, sources: vec![0, 1, 2], with_data: vec![1, 2], conflicting: Vec::new() }
    }

    #[test]
    fn a_copy_speaks_for_its_home_only_while_both_are_as_they_were_when_they_were_the_same() {
        let home = active();
        let named = Image { name: Some("other".into()), ..home.clone() };
        let stored = Image { stores: vec!["x".into()], ..home.clone() };
        let prints = |copy: &Image| [(1, Print::of(&home)), (2, Print::of(copy))];
        let twins = |copy: &Image| Twins::of(&home, &copies(), &prints(copy)).unwrap();
        assert_eq!(twins(&named).alike().count(), 0);
        assert_eq!(twins(&stored).alike().collect::<Vec<_>>(), [2]);
        assert!(twins(&stored).speaks_for_home(&home));
        assert!(!twins(&stored).speaks_for_home(&named));
    }

    #[test]
    fn data_is_known_by_its_hash_and_a_deactivated_copy_gives_none() {
        let home = active();
        let twins = Twins::of(&home, &copies(), &[(1, Print::of(&home))]).unwrap();
        assert_eq!(twins.others().collect::<Vec<_>>(), [2]);
        assert!(twins.gives_data(&home));
        let deactivated = Image { status: Status::Deactivated, ..home.clone() };
        assert!(twins.has_data(&deactivated) && !twins.gives_data(&deactivated));
        assert!(!twins.has_data(&Image { hash: None, ..home }));
    }

    #[test]
    fn an_image_in_one_place_has_no_twins() {
        let home = active();
        let alone = Copies { with_data: vec![1], ..copies() };
        assert!(Twins::of(&home, &alone, &[(1, Print::of(&home))]).is_none());
    }
}
