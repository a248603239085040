//! Sorted pages in, one sequence out, a page at a time.
//!
//! Pure: it knows neither clock nor network nor which backend a page came from, only that sources are numbered by
//! priority. What makes it exact is the *horizon*: behind the last image of a source that has more, that source may
//! hold anything, so nothing from behind it is given out before its next page is there.
//!
//! One id may come from several sources, each time at its own place. Which of them counts is not decided here.

use std::collections::VecDeque;
use std::sync::Arc;

use image_service::{Image, ImageId, Position, Sort};

/// Images of several sources on the way into one order.
#[derive(Debug)]
pub(super) struct Weave<'a> {
    sort: &'a Sort,
    strands: Vec<Strand>,
}

/// What has come from one source.
#[derive(Debug)]
struct Strand {
    /// Images that have not been given out yet, in order.
    pending: VecDeque<Arc<Image>>,
    /// Whether the source may have more behind the last one that came.
    more: bool,
    /// Where its last page ended.
    reached: Option<Position>,
}

/// An image, and the source that it came from.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// The source's number.
    pub(super) source: usize,
    /// The image as this source has it.
    pub(super) image: Arc<Image>,
}

impl<'a> Weave<'a> {
    /// Out of `sources` sources, none of which has been asked yet. All begin at `position`.
    pub(super) fn new(sort: &'a Sort, sources: usize, position: Option<&Position>) -> Self {
        let strand = || Strand { pending: VecDeque::new(), more: true, reached: position.cloned() };
        Self { sort, strands: (0..sources).map(|_| strand()).collect() }
    }

    /// Adds a page of a source: images in order behind all that came before, and whether there may be more.
    pub(super) fn add(&mut self, source: usize, images: Vec<Arc<Image>>, more: bool) {
        let Some(strand) = self.strands.get_mut(source) else { return };
        strand.more = more && !images.is_empty();
        if let Some(last) = images.last() {
            strand.reached = Some(self.sort.position_of(last));
        }
        strand.pending.extend(images);
    }

    /// Nothing more will come from a source. What came stays.
    pub(super) fn end(&mut self, source: usize) {
        if let Some(strand) = self.strands.get_mut(source) {
            strand.more = false;
        }
    }

    /// The sources without which it cannot go on, and from where each is to be asked on.
    pub(super) fn wanting(&self) -> Vec<(usize, Option<Position>)> {
        let wanting = self.strands.iter().enumerate().filter(|(_, strand)| strand.is_dry());
        wanting.map(|(source, strand)| (source, strand.reached.clone())).collect()
    }

    /// Takes the next images in order, at most `most`, as far as the horizon. The same id from two sources at the
    /// same place comes in order of priority.
    pub(super) fn take(&mut self, most: usize) -> Vec<Candidate> {
        let mut taken = Vec::new();
        while taken.len() < most && !self.strands.iter().any(Strand::is_dry) {
            let heads = self.strands.iter().enumerate();
            let heads = heads.filter_map(|(source, strand)| Some((source, strand.pending.front()?)));
            let Some((source, _)) = heads.min_by(|(_, a), (_, b)| self.sort.compare(a, b)) else { break };
            let image = self.strands.get_mut(source).and_then(|strand| strand.pending.pop_front());
            taken.extend(image.map(|image| Candidate { source, image }));
        }
        taken
    }

    /// Whether everything that came from a source has been given out.
    pub(super) fn has_given_all(&self, source: usize) -> bool {
        self.strands.get(source).is_none_or(|strand| strand.pending.is_empty())
    }

    /// What has come and not been given out, with its source.
    pub(super) fn pending(&self) -> impl Iterator<Item = (usize, &Arc<Image>)> {
        let strands = self.strands.iter().enumerate();
        strands.flat_map(|(source, strand)| strand.pending.iter().map(move |image| (source, image)))
    }
}

impl Strand {
    fn is_dry(&self) -> bool {
        self.more && self.pending.is_empty()
    }
}

/// For each source the last image that was passed, given `passed` in order.
pub(super) fn last_passed(passed: &[(usize, ImageId)], sources: usize) -> Vec<Option<ImageId>> {
    let mut last = vec![None; sources];
    for (source, id) in passed {
        if let Some(last) = last.get_mut(*source) {
            *last = Some(id.clone());
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use image_service::{Caller, Direction, NewImage, SortKey, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn image(number: u32, second: i64) -> Arc<Image> {
        let new = NewImage { id: Some(ImageId::lookup(format!("{number:04}"))), ..NewImage::default() };
        Arc::new(new.into_image(&Caller::administrator(), Timestamp::from_second(second).unwrap()).unwrap())
    }

    fn ids(candidates: &[Candidate]) -> Vec<&str> {
        candidates.iter().map(|candidate| candidate.image.id.as_str()).collect()
    }

    fn by_id() -> Sort {
        Sort::by([(SortKey::Id, Direction::Asc)])
    }

    #[test]
    fn nothing_behind_the_last_image_of_a_source_with_more_is_given_out() {
        let sort = by_id();
        let mut weave = Weave::new(&sort, 2, None);
        assert_eq!(weave.wanting(), [(0, None), (1, None)]);
        weave.add(0, vec![image(1, 0), image(3, 0)], true);
        assert!(weave.take(10).is_empty(), "the other source has not been asked");
        weave.add(1, vec![image(2, 0), image(4, 0), image(5, 0)], false);
        assert_eq!(ids(&weave.take(10)), ["0001", "0002", "0003"]);
        let reached = sort.position_of(&image(3, 0));
        assert_eq!(weave.wanting(), [(0, Some(reached))]);
        weave.end(0);
        assert_eq!(ids(&weave.take(10)), ["0004", "0005"]);
        assert!(weave.wanting().is_empty());
    }

    #[test]
    fn one_id_comes_from_each_source_at_its_own_place_and_by_priority_at_the_same() {
        let sort = Sort::by([(SortKey::CreatedAt, Direction::Asc)]);
        let mut weave = Weave::new(&sort, 2, None);
        weave.add(1, vec![image(1, 1), image(3, 6)], false);
        weave.add(0, vec![image(3, 6), image(1, 9)], false);
        let sources: Vec<(usize, String)> =
            weave.take(10).iter().map(|each| (each.source, each.image.id.to_string())).collect();
        let expected = [(1, "0001"), (0, "0003"), (1, "0003"), (0, "0001")];
        assert_eq!(sources, expected.map(|(source, id)| (source, id.to_owned())));
    }

    proptest! {
        #[test]
        fn walking_woven_pages_gives_the_whole_set_in_order(
            spread in prop::collection::vec((0_usize..4, 0_i64..3), 0..60),
            most in 1_usize..8,
            cap in 1_usize..8,
        ) {
            let sort = Sort::default();
            let mut sources: Vec<Vec<Arc<Image>>> = vec![Vec::new(); 4];
            for (number, (source, second)) in (0_u32..).zip(&spread) {
                sources[*source].push(image(number, *second));
            }
            let mut expected = sources.concat();
            expected.sort_by(|a, b| sort.compare(a, b));
            for source in &mut sources {
                source.sort_by(|a, b| sort.compare(a, b));
            }
            let mut weave = Weave::new(&sort, 4, None);
            let mut walked: Vec<Arc<Image>> = Vec::new();
            for _ in 0..=2 * spread.len() + 4 {
                for (source, position) in weave.wanting() {
                    let rest: Vec<Arc<Image>> = sources[source].iter()
                        .filter(|image| position.as_ref().is_none_or(|at| sort.is_after(image, at)))
                        .cloned().collect();
                    let more = rest.len() > cap;
                    weave.add(source, rest.into_iter().take(cap).collect(), more);
                }
                let taken = weave.take(most);
                prop_assert!(taken.len() <= most);
                walked.extend(taken.into_iter().map(|candidate| candidate.image));
            }
            prop_assert_eq!(walked, expected);
        }
    }
}
