//! The order of lists, and pages cut from it, over arbitrary images.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cmp::Ordering;
use std::num::NonZeroUsize;

use image_service::{
    Caller, Direction, Field, Filter, Image, ImageId, NewImage, Query, Sort, SortKey, Status, Timestamp,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Images that differ little, so that they tie often.
fn image() -> impl Strategy<Value = Image> {
    let text = || prop::option::of(select(vec!["", "a", "B", "b", "ä"]).prop_map(str::to_owned));
    let size = prop::option::of(0..3_u64);
    let status = select(Status::ALL.to_vec());
    let parts = (any::<u128>(), text(), status, text(), text(), size, 0..3_i64, 0..3_i64);
    parts.prop_map(|(id, name, status, disk_format, container_format, size, created, updated)| {
        let new = NewImage { id: Some(ImageId::lookup(format!("{id:032x}"))), ..NewImage::default() };
        let at = |second| Timestamp::from_second(second).unwrap();
        Image {
            name,
            status,
            disk_format,
            container_format,
            size,
            updated_at: at(updated),
            ..new.into_image(&Caller::administrator(), at(created)).unwrap()
        }
    })
}

fn images() -> impl Strategy<Value = Vec<Image>> {
    prop::collection::vec(image(), 1..20)
}

fn sort() -> impl Strategy<Value = Sort> {
    let directions = vec![Direction::Asc, Direction::Desc];
    let keys = prop::collection::vec((select(SortKey::ALL.to_vec()), select(directions)), 0..6);
    keys.prop_map(Sort::by)
}

fn sorted(mut images: Vec<Image>, sort: &Sort) -> Vec<Image> {
    images.sort_by(|a, b| sort.compare(a, b));
    images
}

proptest! {
    #[test]
    fn a_sort_ends_in_the_only_id_and_repeats_no_key(sort in sort()) {
        let keys: Vec<SortKey> = sort.keys().iter().map(|(key, _)| *key).collect();
        prop_assert_eq!(keys.last(), Some(&SortKey::Id));
        for (number, key) in keys.iter().enumerate() {
            prop_assert!(!keys[number + 1..].contains(key));
        }
        prop_assert_eq!(Sort::by(sort.keys().iter().copied()), sort);
    }

    #[test]
    fn the_order_is_total_and_ties_only_an_image_with_itself(sort in sort(), images in images()) {
        for a in &images {
            for b in &images {
                let order = sort.compare(a, b);
                prop_assert_eq!(order, sort.compare(b, a).reverse());
                prop_assert_eq!(order == Ordering::Equal, a.id == b.id);
            }
        }
        let sorted = sorted(images, &sort);
        for (number, a) in sorted.iter().enumerate() {
            for b in &sorted[number + 1..] {
                prop_assert!(sort.compare(a, b).is_lt());
            }
        }
    }

    #[test]
    fn the_opposite_order_is_the_order_backwards(sort in sort(), images in images()) {
        let turn = |direction| match direction {
            Direction::Asc => Direction::Desc,
            Direction::Desc => Direction::Asc,
        };
        let opposite = Sort::by(sort.keys().iter().map(|(key, direction)| (*key, turn(*direction))));
        let mut backwards = sorted(images.clone(), &opposite);
        backwards.reverse();
        prop_assert_eq!(backwards, sorted(images, &sort));
    }

    #[test]
    fn what_is_after_a_position_is_what_comes_after_its_image(sort in sort(), a in image(), b in image()) {
        let position = sort.position_of(&a);
        prop_assert!(sort.check(&position).is_ok());
        prop_assert_eq!(sort.is_after(&b, &position), sort.compare(&a, &b).is_lt());
        prop_assert!(!sort.is_after(&a, &position));
    }

    #[test]
    fn a_position_of_more_or_fewer_values_fits_no_sort(sort in sort(), image in image()) {
        let position = sort.position_of(&image);
        let mut longer = position.clone();
        longer.values.push(SortKey::Name.value(&image));
        prop_assert!(sort.check(&longer).is_err());
        let mut shorter = position;
        if shorter.values.pop().is_some() {
            prop_assert!(sort.check(&shorter).is_err());
        }
    }

    #[test]
    fn a_page_is_the_start_of_what_is_admitted(
        sort in sort(),
        images in images(),
        from in prop::option::of(image()),
        name in prop::option::of(select(vec!["a", "b", "none"])),
        limit in prop::option::of(1..25_usize),
    ) {
        let query = Query {
            filters: name.map(|name| Filter::text(Field::Name, name)).into_iter().collect(),
            position: from.as_ref().map(|image| sort.position_of(image)),
            limit: limit.and_then(NonZeroUsize::new),
            sort: sort.clone(),
            ..Query::default()
        };
        let mut expected = sorted(images.clone(), &sort);
        expected.retain(|image| {
            name.is_none_or(|name| image.name.as_deref() == Some(name))
                && from.as_ref().is_none_or(|from| sort.compare(from, image).is_lt())
        });
        let cut = limit.unwrap_or(usize::MAX).min(expected.len());
        let page = query.page_of(images.iter());
        prop_assert_eq!(page.items, expected[..cut].iter().collect::<Vec<_>>());
        prop_assert_eq!(page.more, cut < expected.len());
        prop_assert_eq!(query.page_of(images).items, &expected[..cut]);
    }

    #[test]
    fn a_walk_gives_all_that_stays_once_though_others_go(
        sort in sort(),
        images in images(),
        limit in 1..5_usize,
        goes in any::<Index>(),
    ) {
        let gone = goes.get(&images).id.clone();
        let mut query = Query { sort, limit: NonZeroUsize::new(limit), ..Query::default() };
        let mut there = images.clone();
        let mut walked: Vec<Image> = Vec::new();
        for _ in 0..=images.len() {
            let page = query.page_of(there.clone());
            walked.extend(page.items);
            there.retain(|image| image.id != gone);
            query.position = walked.last().map(|last| query.sort.position_of(last));
            if !page.more {
                break;
            }
        }
        walked.retain(|image| image.id != gone);
        prop_assert_eq!(walked, sorted(there, &query.sort));
    }
}
