//! Where a new image goes, and which of several copies is the image.
//!
//! Pure. A *home* is the backend that owns an image: of the backends that hold its id, the first in
//! configured order that has data, or just the first while none has.

use image_service::{Error, Image, Result, Support};

/// What placement must know of a backend.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Whether it takes writes.
    pub(super) writes: Support,
    /// Whether it takes image data.
    pub(super) uploads: Support,
}

/// What is to be put in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// The record of an image.
    Record,
    /// Image data.
    Data,
}

/// The sources that hold an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copies {
    /// The home.
    pub(super) home: usize,
    /// All that hold it, in configured order.
    pub(super) sources: Vec<usize>,
    /// Those whose data is known to be the home's data, home first. Empty while the home has none.
    pub(super) with_data: Vec<usize>,
    /// Those whose data is known to be other data under the same id.
    pub(super) conflicting: Vec<usize>,
}

impl Copies {
    /// Whether `source` holds the image beside its home, and not another one under its id.
    pub(super) fn is_copy(&self, source: usize) -> bool {
        source != self.home && !self.conflicting.contains(&source)
    }
}

/// Chooses the store for a new image, or its data: the one asked for, else the default. It is never another one, even if
/// the chosen one then refuses.
///
/// # Errors
/// `Invalid` if no store has that name; `Forbidden` if it takes no writes, or is to take data and takes none. The default
/// itself says so.
pub(super) fn choose(places: &[Place<'_>], asked: Option<&str>, default: usize, load: Load) -> Result<usize> {
    let chosen = match asked {
        None => default,
        Some(name) => places
            .iter()
            .position(|place| place.name == name)
            .ok_or_else(|| Error::invalid(format!("there is no store '{name}'")))?,
    };
    match places.get(chosen) {
        Some(place) if !place.writes.is_yes() => {
            Err(Error::forbidden(format!("store '{}' takes no writes", place.name)))
        }
        Some(place) if asked.is_some() && load == Load::Data && !place.uploads.is_yes() => {
            Err(Error::forbidden(format!(
                "store '{}' takes no data: it keeps images whose data lies elsewhere",
                place.name
            )))
        }
        Some(_) => Ok(chosen),
        None => Err(Error::invalid("there is no store to put the image in")),
    }
}

/// Judges what several sources say of one id. `None` for no copies.
pub(super) fn judge<'a>(found: impl IntoIterator<Item = (usize, &'a Image)>) -> Option<Copies> {
    let mut found: Vec<(usize, &Image)> = found.into_iter().collect();
    found.sort_by_key(|(source, _)| *source);
    let sources: Vec<usize> = found.iter().map(|(source, _)| *source).collect();
    let (home, image) = *found.iter().find(|(_, image)| image.has_data()).or_else(|| found.first())?;
    let (mut with_data, mut conflicting) = (Vec::new(), Vec::new());
    if image.has_data() {
        with_data.push(home);
        for (source, copy) in found.iter().filter(|(source, copy)| *source != home && copy.has_data()) {
            match compare_data(image, copy) {
                Some(true) => with_data.push(*source),
                Some(false) => conflicting.push(*source),
                None => {}
            }
        }
    }
    Some(Copies { home, sources, with_data, conflicting })
}

/// Folds what several sources say of one id into the image as its home has it. `None` for no copies.
pub(super) fn fold(mut found: Vec<(usize, Image)>) -> Option<(Image, Copies)> {
    let copies = judge(found.iter().map(|(source, image)| (*source, image)))?;
    let at = found.iter().position(|(source, _)| *source == copies.home)?;
    Some((found.swap_remove(at).1, copies))
}

/// Whether two records under one id speak of the same bytes: by size and strong hash, or by the checksum where
/// there is no strong hash of the same kind on both sides. `None` if nothing can tell.
fn compare_data(a: &Image, b: &Image) -> Option<bool> {
    if a.size != b.size {
        return Some(false);
    }
    match (&a.hash, &b.hash) {
        (Some(a), Some(b)) if a.algorithm == b.algorithm => Some(a.value == b.value),
        _ => Some(a.checksum.as_ref()? == b.checksum.as_ref()?),
    }
}

#[cfg(test)]
mod tests {
    use image_service::{Caller, Digester, ErrorKind, NewImage, Timestamp};

    use super::*;

    fn queued() -> Image {
        NewImage::default().into_image(&Caller::administrator(), Timestamp::now()).unwrap()
    }

    fn active(data: &[u8]) -> Image {
        let mut image = queued();
        let mut digester = Digester::default();
        digester.update(data);
        image.finish_upload(digester.finish(None).unwrap(), Timestamp::now());
        image
    }

    #[test]
    fn the_home_is_the_first_backend_that_has_the_data() {
        let (_, copies) = fold(vec![(2, active(b"x")), (0, queued()), (1, active(b"x"))]).unwrap();
        assert_eq!(copies.home, 1);
        assert_eq!(copies.sources, [0, 1, 2]);
        assert_eq!(copies.with_data, [1, 2]);
        assert!(copies.conflicting.is_empty());
    }

    #[test]
    fn other_data_under_one_id_is_a_conflict_and_no_copy() {
        let (_, copies) = fold(vec![(0, active(b"x")), (1, active(b"y"))]).unwrap();
        assert_eq!((copies.home, copies.with_data, copies.conflicting), (0, vec![0], vec![1]));
    }

    #[test]
    fn without_a_strong_hash_on_both_sides_the_checksum_tells_and_without_any_nothing_does() {
        let (mut old, new) = (active(b"x"), active(b"x"));
        old.hash = None;
        let (_, copies) = fold(vec![(0, old.clone()), (1, new.clone())]).unwrap();
        assert_eq!((copies.with_data, copies.conflicting), (vec![0, 1], vec![]));
        let (_, copies) = fold(vec![(0, old.clone()), (1, active(b"y"))]).unwrap();
        assert_eq!((copies.with_data, copies.conflicting), (vec![0], vec![1]));
        old.checksum = None;
        let (_, copies) = fold(vec![(0, old.clone()), (1, new)]).unwrap();
        assert_eq!((copies.sources, copies.with_data, copies.conflicting), (vec![0, 1], vec![0], vec![]));
        let (_, copies) = fold(vec![(0, old), (1, active(b"longer"))]).unwrap();
        assert_eq!(copies.conflicting, [1]);
    }

    #[test]
    fn a_write_goes_where_it_was_told_to_or_nowhere() {
        let place = |name, writes, uploads| Place { name, writes, uploads };
        let (yes, no) = (Support::Yes, Support::No);
        let places = [place("a", yes, yes), place("b", no, no), place("records", yes, no)];
        let chosen =
            |asked, default, load| choose(&places, asked, default, load).map_err(|error| error.kind());
        for load in [Load::Record, Load::Data] {
            assert_eq!(chosen(None, 0, load), Ok(0));
            assert_eq!(chosen(Some("a"), 1, load), Ok(0));
            assert_eq!(chosen(Some("b"), 0, load), Err(ErrorKind::Forbidden));
            assert_eq!(chosen(Some("c"), 0, load), Err(ErrorKind::Invalid));
        }
        assert_eq!(chosen(Some("records"), 0, Load::Record), Ok(2));
        assert_eq!(chosen(Some("records"), 0, Load::Data), Err(ErrorKind::Forbidden));
        assert_eq!(chosen(None, 2, Load::Data), Ok(2));
    }
}
