//! What is drawn at random: images full of ties, backends of every shape, callers, and queries of every form.
//!
//! Plain strategies throughout, so that a failure shrinks to the least that fails: fewer backends, fewer images,
//! plainer shapes.

use std::num::NonZeroUsize;

use image_service::{
    Caller, Comparison, Direction, ErrorKind, Field, Filter, Image, ImageId, MemberScope, NewImage, Query,
    Scope, Sort, SortKey, Status, Timestamp, Visibility, VisibilityScope,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// How a backend is bent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Straight,
    Short(usize),
    Ragged(usize),
    NoFilters,
    IndexOnly,
    NoOrder,
    IgnoresCase,
    Dead(ErrorKind),
}

/// A backend: its shape, whether its pages are cut beside, and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) shape: Shape,
    pub(crate) cap: Option<usize>,
    pub(crate) images: Vec<Image>,
}

/// Something that happens between two pages.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// One of the backends gets a new image.
    Created(Index, Image),
    /// One of all images goes.
    Deleted(Index),
    /// The image that the last page ended with goes.
    DeletedAtPosition,
    /// One of all images becomes as this one, save for what is sorted by.
    Changed(Index, Image),
}

pub(crate) fn member() -> impl Strategy<Value = Member> {
    let shape = prop_oneof![
        4 => Just(Shape::Straight),
        2 => (1_usize..4).prop_map(Shape::Short),
        2 => (1_usize..4).prop_map(Shape::Ragged),
        2 => Just(Shape::NoFilters),
        2 => Just(Shape::IndexOnly),
        1 => Just(Shape::NoOrder),
        1 => Just(Shape::IgnoresCase),
        1 => select(vec![ErrorKind::Refused, ErrorKind::TimedOut, ErrorKind::Unavailable, ErrorKind::Internal])
            .prop_map(Shape::Dead),
    ];
    (shape, option::weighted(0.3, 1_usize..5), vec(image(), 0..12)).prop_map(|(shape, cap, images)| Member {
        shape,
        cap,
        images,
    })
}

/// An image that still needs an id. Few values of each attribute, so that most are met more than once.
pub(crate) fn image() -> impl Strategy<Value = Image> {
    let words = (name(), word(&["raw", "qcow2"]), word(&["bare", "ovf"]), word(&["a", "b"]));
    let numbers = (option::of(select(vec![0, 1, 2, u64::MAX])), 0_u32..3, 0_i64..3, 0_i64..3);
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let rest = (
        status(),
        visibility(),
        prop::collection::btree_set(select(vec!["x", "y"]), 0..2),
        option::of(0_u8..2),
    );
    (words, numbers, flags, rest).prop_map(|(words, numbers, flags, rest)| {
        let (name, disk_format, container_format, owner) = words;
        let (size, min_disk, created, updated) = numbers;
        let (status, visibility, tags, colour) = rest;
        Image {
            name,
            status,
            visibility,
            owner,
            size,
            disk_format,
            container_format,
            hidden: flags.0,
            protected: flags.1,
            min_disk,
            tags: tags.into_iter().map(str::to_owned).collect(),
            created_at: second(created),
            updated_at: second(updated),
            properties: colour
                .map(|colour: u8| ("colour".to_owned(), colour.to_string()))
                .into_iter()
                .collect(),
            ..blank()
        }
    })
}

/// An image with nothing set.
pub(crate) fn blank() -> Image {
    let new = NewImage { id: Some(ImageId::lookup("")), ..NewImage::default() };
    new.into_image(&Caller::administrator(), second(0)).unwrap()
}

pub(crate) fn second(offset: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000 + offset).unwrap()
}

fn name() -> impl Strategy<Value = Option<String>> {
    word(&["", "a", "A", "b", "B", "ab", "\u{e4}", "in:a,b"])
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    option::weighted(0.8, select(words)).prop_map(|word| word.map(str::to_owned))
}

fn status() -> impl Strategy<Value = Status> {
    select(vec![Status::Queued, Status::Saving, Status::Active, Status::Deactivated, Status::Killed])
}

pub(crate) fn visibility() -> impl Strategy<Value = Visibility> {
    select(vec![Visibility::Public, Visibility::Community, Visibility::Shared, Visibility::Private])
}

pub(crate) fn caller() -> impl Strategy<Value = Caller> {
    prop_oneof![
        3 => Just(Caller::administrator()),
        2 => Just(Caller::member_of("a")),
        1 => Just(Caller::default()),
    ]
}

/// A query for a first page, of 1 to 30 images.
pub(crate) fn query() -> impl Strategy<Value = Query> {
    let key = (select(SortKey::ALL), select(Direction::ALL));
    let sort = prop_oneof![1 => Just(Sort::default()), 3 => vec(key, 0..4).prop_map(Sort::by)];
    let filters = prop_oneof![1 => Just(Vec::new()), 2 => vec(filter(), 1..3)];
    let visibility = prop_oneof![
        2 => Just(VisibilityScope::Usual),
        2 => Just(VisibilityScope::All),
        1 => visibility().prop_map(VisibilityScope::Only),
    ];
    let scope = (visibility, select(MemberScope::ALL));
    (sort, filters, scope, 1_usize..=30).prop_map(|(sort, filters, (visibility, member_status), limit)| {
        Query {
            sort,
            filters,
            scope: Scope { visibility, member_status },
            limit: NonZeroUsize::new(limit),
            ..Query::default()
        }
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let names = vec(name(), 1..3).prop_map(|names| names.into_iter().flatten().collect());
    let formats = vec(select(vec!["raw", "qcow2"]), 1..2);
    let time = (select(vec![Field::CreatedAt, Field::UpdatedAt]), select(Comparison::ALL), 0_i64..3);
    let number = (select(vec![Field::Size, Field::MinDisk]), select(Comparison::ALL), 0_u64..3);
    prop_oneof![
        Just(Filter::Hidden(false)),
        any::<bool>().prop_map(Filter::Protected),
        names.prop_map(|any_of| Filter::Text { field: Field::Name, any_of }),
        formats.prop_map(|formats| Filter::Text {
            field: Field::DiskFormat,
            any_of: formats.into_iter().map(str::to_owned).collect(),
        }),
        status().prop_map(|status| Filter::text(Field::Status, status.as_str())),
        time.prop_map(|(field, comparison, offset)| Filter::Time {
            field,
            comparison,
            value: second(offset)
        }),
        number.prop_map(|(field, comparison, value)| Filter::Number { field, comparison, value }),
        select(vec!["", "a", "b", "B"]).prop_map(|part| Filter::NameContains(part.to_owned())),
        select(vec!["x", "y"]).prop_map(|tag| Filter::Tag(tag.to_owned())),
        Just(Filter::Property { key: "colour".to_owned(), value: "1".to_owned() }),
    ]
}

/// What happens before each page but the first.
pub(crate) fn events() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let event = prop_oneof![
        (any::<Index>(), image()).prop_map(|(index, image)| Event::Created(index, image)),
        any::<Index>().prop_map(Event::Deleted),
        Just(Event::DeletedAtPosition),
        (any::<Index>(), image()).prop_map(|(index, image)| Event::Changed(index, image)),
    ];
    vec(vec(event, 0..4), 0..6)
}
