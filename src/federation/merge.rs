//! Sorted pages in, one page out.
//!
//! Pure: it knows neither clock nor network nor which backend a page came from, only that pages come in order
//! of priority. Two things make it exact. The *horizon*: behind the last image of a source that has more, that
//! source may hold anything, so nothing from behind it is given out yet. And *folding*: one id in several pages
//! is one image, shown as its home has it, at its home's place.

use std::collections::HashMap;

use image_service::{Image, ImageId, Sort};

use super::placement::{self, Copies};

/// What one source gave: images in the order of the sort, none twice.
#[derive(Debug)]
pub(super) struct SourcePage {
    /// The source's number, which is its priority.
    pub(super) source: usize,
    /// Its images.
    pub(super) images: Vec<Image>,
    /// Whether it may have more behind the last one.
    pub(super) more: bool,
}

/// The merged page.
#[derive(Debug)]
pub(super) struct Merged {
    /// Images in order, each with the sources that were seen to hold it.
    pub(super) images: Vec<(Image, Copies)>,
    /// Whether there may be more behind the last one.
    pub(super) more: bool,
}

/// Weaves `pages` into one of at most `limit` images.
pub(super) fn merge(pages: Vec<SourcePage>, sort: &Sort, limit: usize) -> Merged {
    let horizon = pages
        .iter()
        .filter(|page| page.more)
        .filter_map(|page| page.images.last())
        .min_by(|a, b| sort.compare(a, b))
        .map(|last| sort.position_of(last));
    let mut more = horizon.is_some();

    let mut by_id: HashMap<ImageId, Vec<(usize, Image)>> = HashMap::new();
    for page in pages {
        for image in page.images {
            by_id.entry(image.id.clone()).or_default().push((page.source, image));
        }
    }
    let mut images: Vec<(Image, Copies)> = by_id.into_values().filter_map(placement::fold).collect();
    images.sort_unstable_by(|(a, _), (b, _)| sort.compare(a, b));

    if let Some(horizon) = horizon {
        let within = images.partition_point(|(image, _)| !sort.is_after(image, &horizon));
        images.truncate(within);
    }
    more |= images.len() > limit;
    images.truncate(limit);
    Merged { more: more && !images.is_empty(), images }
}

#[cfg(test)]
mod tests {
    use image_service::{Caller, Direction, NewImage, SortKey, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn image(number: u32, second: i64) -> Image {
        let new = NewImage { id: Some(ImageId::lookup(format!("{number:04}"))), ..NewImage::default() };
        new.into_image(&Caller::administrator(), Timestamp::from_second(second).unwrap()).unwrap()
    }

    fn page(source: usize, more: bool, images: Vec<Image>) -> SourcePage {
        SourcePage { source, images, more }
    }

    fn ids(merged: &Merged) -> Vec<&str> {
        merged.images.iter().map(|(image, _)| image.id.as_str()).collect()
    }

    fn by_id() -> Sort {
        Sort::by([(SortKey::Id, Direction::Asc)])
    }

    #[test]
    fn nothing_behind_the_last_image_of_a_short_page_is_given_out() {
        let pages = vec![
            page(0, true, vec![image(1, 0), image(3, 0)]),
            page(1, false, vec![image(2, 0), image(4, 0), image(5, 0)]),
        ];
        let merged = merge(pages, &by_id(), 10);
        assert_eq!(ids(&merged), ["0001", "0002", "0003"]);
        assert!(merged.more);
    }

    #[test]
    fn an_exactly_full_last_page_promises_nothing() {
        let pages = vec![page(0, false, vec![image(1, 0)]), page(1, false, vec![image(2, 0)])];
        assert!(!merge(pages, &by_id(), 2).more);
    }

    #[test]
    fn an_image_on_two_sources_is_given_once_and_says_so() {
        let pages = vec![
            page(0, false, vec![image(1, 0), image(2, 0)]),
            page(1, false, vec![image(1, 0), image(3, 0)]),
        ];
        let merged = merge(pages, &by_id(), 10);
        assert_eq!(ids(&merged), ["0001", "0002", "0003"]);
        assert_eq!(merged.images[0].1.sources, [0, 1]);
    }

    #[test]
    fn a_copy_stands_where_its_home_has_it() {
        let sort = Sort::by([(SortKey::CreatedAt, Direction::Asc)]);
        let pages = vec![
            page(0, false, vec![image(2, 5), image(1, 9)]),
            page(1, false, vec![image(1, 1), image(3, 6)]),
        ];
        assert_eq!(ids(&merge(pages, &sort, 10)), ["0002", "0003", "0001"]);
    }

    proptest! {
        #[test]
        fn walking_merged_pages_gives_the_whole_set_in_order(
            spread in prop::collection::vec((0_usize..4, 0_i64..3), 0..60),
            limit in 1_usize..8,
            cap in 1_usize..8,
        ) {
            let sort = Sort::default();
            let mut sources: Vec<Vec<Image>> = vec![Vec::new(); 4];
            for (number, (source, second)) in (0_u32..).zip(&spread) {
                sources[*source].push(image(number, *second));
            }
            let mut expected: Vec<Image> = sources.concat();
            expected.sort_by(|a, b| sort.compare(a, b));
            for source in &mut sources {
                source.sort_by(|a, b| sort.compare(a, b));
            }
            let mut walked: Vec<Image> = Vec::new();
            for _ in 0..=spread.len() {
                let position = walked.last().map(|last| sort.position_of(last));
                let pages = sources.iter().enumerate().map(|(number, images)| {
                    let rest: Vec<Image> = images.iter()
                        .filter(|image| position.as_ref().is_none_or(|at| sort.is_after(image, at)))
                        .cloned().collect();
                    let size = limit.min(cap);
                    page(number, rest.len() > size, rest.into_iter().take(size).collect())
                }).collect();
                let merged = merge(pages, &sort, limit);
                prop_assert!(merged.images.len() <= limit);
                walked.extend(merged.images.into_iter().map(|(image, _)| image));
                if !merged.more {
                    break;
                }
            }
            prop_assert_eq!(walked, expected);
        }
    }
}
