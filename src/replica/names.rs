//! Images that only one of the two backends has, paired by name. Pure.

use std::collections::BTreeMap;

use image_service::Image;

use super::content::{Likeness, likeness};
use super::difference::{Difference, Letter, Sameness};

/// Most images that are remembered to be paired by name. Beyond them names are not compared, which
/// [`Counts::unnamed`](super::Counts::unnamed) tells.
pub const MOST_NAMES: usize = 100_000;

/// The images of one name that only one backend has.
#[derive(Debug, Default)]
struct Namesakes {
    a: Vec<Image>,
    b: Vec<Image>,
}

/// What is remembered.
#[derive(Debug)]
pub(super) struct Names {
    most: usize,
    held: usize,
    by_name: BTreeMap<String, Namesakes>,
}

impl Names {
    /// Remembers so many images.
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: 0, by_name: BTreeMap::new() }
    }

    /// Remembers an image that only this backend has. `false` if there is no more room; what has no name needs none.
    pub(super) fn note(&mut self, letter: Letter, image: &Image) -> bool {
        let Some(name) = image.name.as_ref().filter(|name| !name.is_empty()) else { return true };
        if self.held >= self.most {
            return false;
        }
        self.held += 1;
        let namesakes = self.by_name.entry(name.clone()).or_default();
        match letter {
            Letter::A => namesakes.a.push(core(image)),
            Letter::B => namesakes.b.push(core(image)),
        }
        true
    }

    /// The names that both backends have, in their order.
    pub(super) fn differences(self) -> impl Iterator<Item = Difference> {
        let both = self.by_name.into_iter().filter(|(_, both)| !both.a.is_empty() && !both.b.is_empty());
        both.map(|(name, both)| Difference::Name {
            name,
            content: both.sameness(),
            a: ids(&both.a),
            b: ids(&both.b),
        })
    }
}

impl Namesakes {
    fn sameness(&self) -> Sameness {
        let is_there = |a: &Image| self.b.iter().any(|b| a.has_data() && likeness(a, b) == Likeness::Same);
        if self.a.iter().all(is_there) { Sameness::Same } else { Sameness::Other }
    }
}

/// What is needed of an image, and not its properties and tags, which may be many.
fn core(image: &Image) -> Image {
    Image {
        id: image.id.clone(),
        name: None,
        status: image.status,
        visibility: image.visibility,
        owner: None,
        size: image.size,
        virtual_size: None,
        disk_format: None,
        container_format: None,
        checksum: image.checksum.clone(),
        hash: image.hash.clone(),
        hidden: image.hidden,
        protected: image.protected,
        min_disk: 0,
        min_ram: 0,
        tags: std::collections::BTreeSet::new(),
        created_at: image.created_at,
        updated_at: image.updated_at,
        properties: BTreeMap::new(),
        stores: Vec::new(),
    }
}

fn ids(images: &[Image]) -> Vec<String> {
    images.iter().map(|image| image.id.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::metadata::tests::active;

    fn named(name: &str) -> Image {
        Image { name: Some(name.into()), ..active() }
    }

    #[test]
    fn names_that_both_have_are_told_with_their_ids_and_whether_the_data_is_the_same() {
        let mut names = Names::new(10);
        let (same, other) = (named("same"), named("other"));
        let twin = named("same");
        let altered = Image { size: Some(9), ..named("other") };
        for (letter, image) in
            [(Letter::A, &same), (Letter::B, &twin), (Letter::A, &other), (Letter::B, &altered)]
        {
            assert!(names.note(letter, image));
        }
        assert!(names.note(Letter::A, &named("alone")));
        for letter in [Letter::A, Letter::B] {
            assert!(names.note(letter, &Image { name: None, ..active() }));
            assert!(names.note(letter, &named("")));
        }
        let told = |name: &str, content, a: &Image, b: &Image| Difference::Name {
            name: name.into(),
            content,
            a: vec![a.id.to_string()],
            b: vec![b.id.to_string()],
        };
        let expected =
            [told("other", Sameness::Other, &other, &altered), told("same", Sameness::Same, &same, &twin)];
        assert_eq!(names.differences().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut names = Names::new(2);
        assert!(names.note(Letter::A, &named("a")) && names.note(Letter::A, &named("b")));
        assert!(!names.note(Letter::B, &named("a")));
        assert!(names.note(Letter::B, &Image { name: None, ..active() }));
        assert_eq!(names.differences().count(), 0);
    }
}
