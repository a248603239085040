//! Pages: a walk by position gives everything once, whatever happens meanwhile.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use super::fixture::{Fixture, kind_of};
use super::walk::ids_of;
use crate::{
    Direction, ErrorKind, Image, ImageChange, ImageId, Position, Query, Sort, SortKey, SortValue, Timestamp,
};

/// Any limit gives the same images in the same order, and no page is longer.
pub async fn a_walk_with_any_limit_gives_each_image_once(fixture: Fixture) {
    fixture.make_various().await;
    let whole = fixture.ids(&fixture.owner(), fixture.query()).await;
    assert_eq!(whole.len(), 12);
    for limit in (1..=13).chain([1000, usize::MAX]) {
        let query = Query { limit: NonZeroUsize::new(limit), ..fixture.query() };
        assert_eq!(fixture.ids(&fixture.owner(), query).await, whole, "pages of {limit}");
    }
}

/// By every key, both ways, also across unset values and ties.
pub async fn a_walk_in_any_order_gives_each_image_once(fixture: Fixture) {
    fixture.make_various().await;
    for sort in fixture.sorts() {
        let query = Query { sort, ..fixture.query() };
        let whole = fixture.ids(&fixture.owner(), query.clone()).await;
        for limit in [1, 2, 5] {
            let query = Query { limit: NonZeroUsize::new(limit), ..query.clone() };
            let walked = fixture.ids(&fixture.owner(), query.clone()).await;
            assert_eq!(walked, whole, "pages of {limit} by {:?}", query.sort);
        }
    }
}

/// The position of any image is followed by what comes after it in the whole list.
pub async fn a_walk_from_any_image_gives_what_is_behind_it(fixture: Fixture) {
    fixture.make_various().await;
    for sort in fixture.sorts() {
        let query = Query { sort, ..fixture.query() };
        let whole = fixture.all(&fixture.owner(), query.clone()).await;
        for (number, image) in whole.iter().enumerate() {
            let position = Some(query.sort.position_of(image));
            let query = Query { position, ..query.clone() };
            let behind = fixture.ids(&fixture.owner(), query).await;
            assert_eq!(behind, ids_of(&whole[number + 1..]));
        }
    }
}

/// The page behind the last image is empty, and promises no more.
pub async fn nothing_is_behind_the_last_image(fixture: Fixture) {
    let image = fixture.make(fixture.draft()).await;
    let query = fixture.query();
    if query.filters.is_empty() {
        return assert_eq!(fixture.ids(&fixture.owner(), query).await, ids_of([&image]));
    }
    let query = Query { position: Some(query.sort.position_of(&image)), ..query };
    let page = fixture.detail(&fixture.owner(), &query).await.unwrap();
    assert!(page.items.is_empty() && !page.more);
}

/// A position holds by its values, also after the image it was taken from has been deleted.
pub async fn a_position_holds_when_its_image_is_deleted(fixture: Fixture) {
    fixture.make_various().await;
    let query = fixture.query();
    let whole = fixture.all(&fixture.owner(), query.clone()).await;
    let position = Some(query.sort.position_of(&whole[4]));
    fixture.remove(&whole[4]).await;
    fixture.remove(&whole[3]).await;
    fixture.remove(&whole[5]).await;
    let behind = fixture.ids(&fixture.owner(), Query { position, ..query }).await;
    assert_eq!(behind, ids_of(&whole[6..]));
}

/// A position is a place, and stays where it is when its image moves to another.
pub async fn a_position_holds_when_its_image_has_moved(fixture: Fixture) {
    let sort = Sort::by([(SortKey::Name, Direction::Asc)]);
    let mut images = Vec::new();
    for name in ["a", "b", "c", "d"] {
        images.push(fixture.make(fixture.named(name)).await);
    }
    if !fixture.sorts_by(&sort) {
        return assert_eq!(fixture.ids(&fixture.owner(), fixture.query()).await.len(), 4);
    }
    let position = Some(sort.position_of(&images[1]));
    let query = Query { sort, position, ..fixture.query() };
    let rename = |name: &str| ImageChange { name: Some(Some(name.into())), ..ImageChange::default() };
    fixture.change(&images[1], rename("z")).await;
    let behind = fixture.ids(&fixture.owner(), query.clone()).await;
    assert_eq!(behind, ids_of([&images[2], &images[3], &images[1]]));
    fixture.change(&images[1], rename("0")).await;
    assert_eq!(fixture.ids(&fixture.owner(), query).await, ids_of(&images[2..]));
}

/// While images are made and deleted, a walk gives every image that is there throughout exactly once.
pub async fn what_comes_and_goes_during_a_walk_disturbs_no_other_image(fixture: Fixture) {
    let images = fixture.make_various().await;
    let mut query = Query { limit: NonZeroUsize::new(2), ..fixture.query() };
    let whole = fixture.all(&fixture.owner(), query.clone()).await;
    let going: Vec<&Image> = [1, 2, 5, 10].iter().map(|number| &whole[*number]).collect();
    let mut given = Vec::new();
    for step in 0..100 {
        let page = fixture.detail(&fixture.owner(), &query).await.unwrap();
        fixture.check(&page, &query);
        let position = page.items.last().map(|last| query.sort.position_of(last));
        given.extend(ids_of(page.items.iter().filter(|image| image.tags.contains(fixture.tag()))));
        if let Some(image) = going.get(step) {
            fixture.remove(image).await;
            fixture.make(fixture.named("new")).await;
        }
        if !page.more {
            break;
        }
        query.position = position;
    }
    let once: BTreeSet<&String> = given.iter().collect();
    assert_eq!(once.len(), given.len(), "an image was given twice: {given:?}");
    let gone = ids_of(going);
    for id in ids_of(&images).iter().filter(|id| !gone.contains(id)) {
        assert!(once.contains(id), "{id} was there throughout and not given");
    }
}

/// `Invalid` if a position has values of another number or kind than the sort.
pub async fn a_position_of_another_sort_is_invalid(fixture: Fixture) {
    fixture.make(fixture.draft()).await;
    let time = SortValue::Time(Timestamp::now());
    let text = SortValue::Text(String::from("a"));
    for (key, values) in [
        (SortKey::CreatedAt, vec![]),
        (SortKey::CreatedAt, vec![text.clone()]),
        (SortKey::CreatedAt, vec![SortValue::Unset]),
        (SortKey::CreatedAt, vec![time.clone(), text]),
        (SortKey::Name, vec![SortValue::Number(1)]),
        (SortKey::Size, vec![time.clone()]),
        (SortKey::Id, vec![time]),
    ] {
        let sort = Sort::by([(key, Direction::Asc)]);
        if !fixture.sorts_by(&sort) {
            continue;
        }
        let position = Some(Position { values, id: ImageId::random() });
        let query = Query { sort, position, ..fixture.query() };
        let index = fixture.service().index(&fixture.owner(), &query).await;
        assert_eq!(kind_of(index), ErrorKind::Invalid, "{query:?}");
        if fixture.has_detail() {
            let detail = fixture.service().detail(&fixture.owner(), &query).await;
            assert_eq!(kind_of(detail), ErrorKind::Invalid, "{query:?}");
        }
    }
}
