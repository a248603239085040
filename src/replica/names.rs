//! Images that only one of the two backends has, paired by name. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use image_service::Image;

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
        let contents = Contents::of(&self.b);
        if self.a.iter().all(|image| contents.have(image)) { Sameness::Same } else { Sameness::Other }
    }
}

/// An algorithm, and a hash by it in small letters.
type Hash<'a> = (&'a str, String);

/// What data some images have, so that one more is compared with all of them at once, as
/// [`likeness`](super::content::likeness) would with each.
#[derive(Debug, Default)]
struct Contents<'a> {
    by_hash: HashSet<(Option<u64>, Hash<'a>)>,
    by_both: HashSet<(Option<u64>, Hash<'a>, Option<String>)>,
    /// With the algorithms of the strong hashes beside the MD5.
    by_md5: HashMap<(Option<u64>, String), BTreeSet<Option<&'a str>>>,
}

impl<'a> Contents<'a> {
    fn of(images: &'a [Image]) -> Self {
        let mut contents = Self::default();
        for image in images.iter().filter(|image| image.has_data()) {
            let (hash, md5) = hashes(image);
            if let Some(md5) = md5.clone() {
                let algorithm = hash.as_ref().map(|(algorithm, _)| *algorithm);
                contents.by_md5.entry((image.size, md5)).or_default().insert(algorithm);
            }
            if let Some(hash) = hash {
                contents.by_hash.insert((image.size, hash.clone()));
                contents.by_both.insert((image.size, hash, md5));
            }
        }
        contents
    }

    /// Whether one of them has the data of `image`: the same size, one hash in common, and none that differs.
    fn have(&self, image: &Image) -> bool {
        if !image.has_data() {
            return false;
        }
        let (size, (hash, md5)) = (image.size, hashes(image));
        let algorithm = hash.as_ref().map(|(algorithm, _)| *algorithm);
        let by_hash = hash.is_some_and(|hash| match &md5 {
            None => self.by_hash.contains(&(size, hash)),
            Some(md5) => [None, Some(md5.clone())]
                .into_iter()
                .any(|md5| self.by_both.contains(&(size, hash.clone(), md5))),
        });
        // MD5 alone tells where no two strong hashes are by one algorithm.
        let beside = md5.and_then(|md5| self.by_md5.get(&(size, md5)));
        let differs = |other: &Option<&str>| algorithm.is_none() || *other != algorithm;
        by_hash || beside.is_some_and(|algorithms| algorithms.iter().any(differs))
    }
}

/// The strong hash of an image, and its MD5, both as they are compared.
fn hashes(image: &Image) -> (Option<Hash<'_>>, Option<String>) {
    let hash = image.hash.as_ref().map(|hash| (hash.algorithm.as_str(), hash.value.to_ascii_lowercase()));
    (hash, image.checksum.as_ref().map(|md5| md5.to_ascii_lowercase()))
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
    use image_service::{MultiHash, Status};

    use super::*;
    use crate::replica::content::{Likeness, likeness};
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

    fn with(hash: Option<(&str, &str)>, checksum: Option<&str>, size: u64) -> Image {
        let hash =
            hash.map(|(algorithm, value)| MultiHash { algorithm: algorithm.into(), value: value.into() });
        Image { hash, checksum: checksum.map(str::to_owned), size: Some(size), ..named("n") }
    }

    #[test]
    fn namesakes_have_the_same_data_if_it_is_alike_by_pairs() {
        let strong = [None, Some(("sha512", "ab")), Some(("sha512", "AB")), Some(("sha512", "cd"))];
        let strong = strong.into_iter().chain([Some(("sha256", "ab"))]);
        let weak = [None, Some("ef"), Some("EF"), Some("01")];
        let mut images: Vec<Image> = strong
            .flat_map(|hash| weak.map(|checksum| [4, 5].map(|size| with(hash, checksum, size))))
            .flatten()
            .collect();
        images.push(Image { status: Status::Queued, ..with(Some(("sha512", "ab")), Some("ef"), 4) });
        for a in &images {
            for (first, second) in images.iter().zip(images.iter().cycle().skip(7)) {
                let there = [first, second];
                let alike = |b: &Image| a.has_data() && likeness(a, b) == Likeness::Same;
                let expected = if there.into_iter().any(alike) { Sameness::Same } else { Sameness::Other };
                let namesakes = Namesakes { a: vec![a.clone()], b: there.map(Image::clone).to_vec() };
                assert_eq!(namesakes.sameness(), expected, "{a:?} {there:?}");
            }
        }
    }

    /// Pair by pair these were billions of comparisons, and nobody would wait for the end of this test.
    #[test]
    fn as_many_namesakes_as_are_remembered_are_compared_in_no_time() {
        let images = |letter: &str| -> Vec<Image> {
            let value = |number| format!("{letter}{number}");
            (0..MOST_NAMES / 2).map(|n| with(Some(("sha512", &value(n))), Some("ef"), 4)).collect()
        };
        let (a, other) = (images("a"), images("b"));
        let alike = Namesakes { b: a.iter().rev().cloned().collect(), a };
        assert_eq!(alike.sameness(), Sameness::Same);
        assert_eq!(Namesakes { b: other, ..alike }.sameness(), Sameness::Other);
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
