//! Lists by SQL against the contract's pure rules: the same images in the same order, whatever is asked.

use std::num::NonZeroUsize;
use std::sync::Arc;

use image_service::{
    Caller, Comparison, Direction, Field, Filter, Image, ImageId, MemberScope, MemberStatus, MultiHash,
    NewImage, Page, Position, Query, Result, Scope, Sort, SortKey, SortValue, Status, Summary, Timestamp,
    Visibility, VisibilityScope, access,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tempfile::TempDir;

use super::settings;
use crate::{Catalogue, Durability, IMAGES, Select, Wanted, add_member, insert_image, set_member_status};

fn lookup(id: &str) -> ImageId {
    ImageId::lookup(id)
}

/// The most images in a page.
const MOST: usize = 1000;

fn list<T: Wanted>(catalogue: &Catalogue, caller: &Caller, query: &Query) -> Result<Page<T>> {
    let select = Select::new(query, caller, MOST)?;
    catalogue.read(Arc::default(), |snapshot| select.page(snapshot))
}

/// Few enough to meet each other often, and each awkward in its way.
const WORDS: &[&str] = &["", "a", "A", "b", "ab", "é", "z\0", "z", "%", "_", "'", "\u{10ffff}"];
const SIZES: &[u64] = &[0, 1, 2, 1 << 40, i64::MAX as u64 - 1];
const BOUNDS: &[u64] =
    &[0, 1, 2, 1 << 40, i64::MAX as u64 - 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX];
const PROJECTS: &[&str] = &["p", "q", "r"];

fn word() -> impl Strategy<Value = String> {
    select(WORDS).prop_map(str::to_owned)
}

fn time() -> impl Strategy<Value = Timestamp> {
    select(&[-1_i64, 0, 1, 1_700_000_000][..]).prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn project() -> impl Strategy<Value = String> {
    select(PROJECTS).prop_map(str::to_owned)
}

/// An image, and its members.
type Shared = (Image, std::collections::BTreeMap<String, MemberStatus>);

fn image() -> impl Strategy<Value = Shared> {
    let places = (of(project()), select(Visibility::ALL), select(Status::ALL), any::<[bool; 2]>());
    let words = (of(word()), of(word()), of(word()), of(word()), of((word(), word())));
    let numbers = (of(select(SIZES)), of(select(SIZES)), 0..3_u32, 0..3_u32, time(), time());
    let lists = (btree_set(word(), 0..4), btree_map(word(), word(), 0..4));
    let members = btree_map(project(), select(MemberStatus::ALL), 0..3);
    (places, words, numbers, lists, members, any::<u128>()).prop_map(|parts| {
        let (
            (owner, visibility, status, [hidden, protected]),
            words,
            numbers,
            (tags, properties),
            members,
            id,
        ) = parts;
        let (name, disk_format, container_format, checksum, hash) = words;
        let (size, virtual_size, min_disk, min_ram, created_at, updated_at) = numbers;
        let image = Image {
            id: lookup(&uuid::Uuid::from_u128(id).to_string()),
            hash: hash.map(|(algorithm, value)| MultiHash { algorithm, value }),
            stores: Vec::new(),
            name,
            status,
            visibility,
            owner,
            size,
            virtual_size,
            disk_format,
            container_format,
            checksum,
            hidden,
            protected,
            min_disk,
            min_ram,
            tags,
            created_at,
            updated_at,
            properties,
        };
        (image, members)
    })
}

fn caller() -> impl Strategy<Value = Caller> {
    (of(project()), prop::bool::weighted(0.3)).prop_map(|(project, admin)| {
        let mut caller = if admin { Caller::administrator() } else { Caller::default() };
        caller.project = project;
        caller
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let field = || select(Field::ALL);
    let comparison = || select(Comparison::ALL);
    prop_oneof![
        4 => (field(), vec(any_text(), 0..3)).prop_map(|(field, any_of)| Filter::Text { field, any_of }),
        3 => (field(), comparison(), select(BOUNDS))
            .prop_map(|(field, comparison, value)| Filter::Number { field, comparison, value }),
        3 => (field(), comparison(), time())
            .prop_map(|(field, comparison, value)| Filter::Time { field, comparison, value }),
        1 => any::<bool>().prop_map(Filter::Hidden),
        1 => any::<bool>().prop_map(Filter::Protected),
        2 => word().prop_map(Filter::Tag),
        2 => (word(), word()).prop_map(|(key, value)| Filter::Property { key, value }),
        2 => any_text().prop_map(Filter::NameContains),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    let status = select(Status::ALL).prop_map(|status| status.to_string());
    let visibility = select(Visibility::ALL).prop_map(|visibility| visibility.to_string());
    prop_oneof![word(), project(), status, visibility]
}

fn scope() -> impl Strategy<Value = Scope> {
    let visibility = prop_oneof![
        Just(VisibilityScope::Usual),
        Just(VisibilityScope::All),
        select(Visibility::ALL).prop_map(VisibilityScope::Only),
    ];
    (visibility, select(MemberScope::ALL))
        .prop_map(|(visibility, member_status)| Scope { visibility, member_status })
}

fn sort() -> impl Strategy<Value = Sort> {
    vec((select(SortKey::ALL), select(Direction::ALL)), 0..4).prop_map(Sort::by)
}

/// A query whose position, if any, is still to be taken from an image, or from between them.
fn query() -> impl Strategy<Value = (Query, Option<(Index, bool)>)> {
    let limit = of((1..8_usize).prop_map(|limit| NonZeroUsize::new(limit).unwrap()));
    (vec(filter(), 0..3), scope(), sort(), limit, of(any::<(Index, bool)>())).prop_map(
        |(filters, scope, sort, limit, place)| {
            (Query { filters, scope, sort, limit, position: None, resume: None }, place)
        },
    )
}

/// The place of one of `images`, or with `gone` a place that it shares its values with, but where no image is.
fn position(sort: &Sort, images: &[Shared], (index, gone): (Index, bool)) -> Position {
    let mut position = sort.position_of(&index.get(images).0);
    if gone {
        position.id = lookup("7fffffff");
        for value in &mut position.values {
            if let SortValue::Number(number) = value {
                *number = u64::MAX;
            }
        }
    }
    position
}

/// A catalogue that holds `images` as they are, which no client could make.
fn holding(directory: &TempDir, images: &[Shared]) -> Catalogue {
    let path = directory.path().join("catalogue");
    let catalogue = Catalogue::open(&path, settings(Durability::Process), &[IMAGES], || Ok(true)).unwrap();
    let now = Timestamp::now();
    catalogue
        .write(|transaction| {
            for (image, members) in images {
                insert_image(transaction, image)?;
                for (member, status) in members {
                    let mut member = add_member(transaction, &image.id, member, now)?;
                    member.status = *status;
                    set_member_status(transaction, &member)?;
                }
            }
            Ok(())
        })
        .unwrap();
    catalogue
}

fn expected(images: &[Shared], caller: &Caller, query: &Query) -> Page<Image> {
    let listed = images.iter().filter(|(image, members)| {
        let membership = caller.project.as_ref().and_then(|project| members.get(project).copied());
        access::is_listed(caller, image, membership, query.scope)
    });
    query.page_of(listed.map(|(image, _)| image)).map(Image::clone)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_query_gives_what_the_pure_rules_give(
        images in vec(image(), 1..40),
        asked in vec((caller(), query()), 24),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let catalogue = holding(&directory, &images);
        for (caller, (mut query, place)) in asked {
            query.position = place.map(|place| position(&query.sort, &images, place));
            let wanted = expected(&images, &caller, &query);
            let detail = list::<Image>(&catalogue, &caller, &query).unwrap();
            prop_assert_eq!(&detail, &wanted, "{:?} {:?}", caller, query);
            let index = list::<Summary>(&catalogue, &caller, &query).unwrap();
            prop_assert_eq!(index, wanted.map(|image| Summary::from(&image)));
        }
    }

    #[test]
    fn a_walk_in_pages_gives_every_image_once_in_order(
        images in vec(image(), 1..40),
        sort in sort(),
        limit in 1..5_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let catalogue = holding(&directory, &images);
        let caller = Caller::administrator();
        let scope = Scope { visibility: VisibilityScope::All, member_status: MemberScope::All };
        let whole = Query { scope, sort, ..Query::default() };
        let mut query = Query { limit: NonZeroUsize::new(limit), ..whole.clone() };
        let mut walked = Vec::new();
        for _ in 0..=images.len() {
            let page = list::<Image>(&catalogue, &caller, &query).unwrap();
            query.position = page.items.last().map(|last| query.sort.position_of(last));
            walked.extend(page.items);
            if !page.more {
                break;
            }
        }
        prop_assert_eq!(walked, expected(&images, &caller, &whole).items);
    }
}

#[test]
fn a_page_has_no_more_than_the_store_allows_and_says_that_there_is_more() {
    let directory = tempfile::tempdir().unwrap();
    let catalogue = holding(&directory, &[]);
    let caller = Caller::administrator();
    for _ in 0..3 {
        let image = NewImage::default().into_image(&caller, Timestamp::now()).unwrap();
        catalogue.write(|transaction| insert_image(transaction, &image)).unwrap();
    }
    for limit in [None, NonZeroUsize::new(3), NonZeroUsize::new(usize::MAX)] {
        let select = Select::new(&Query { limit, ..Query::default() }, &caller, 2).unwrap();
        let page = catalogue.read(Arc::default(), |snapshot| select.page::<Summary>(snapshot)).unwrap();
        assert_eq!((page.items.len(), page.more), (2, true));
    }
}

#[test]
fn a_query_with_more_conditions_than_sqlite_takes_is_refused_and_one_with_as_many_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let catalogue = holding(&directory, &[]);
    let asked = |filters| {
        let query = Query { filters, ..Query::default() };
        list::<Summary>(&catalogue, &Caller::member_of("p"), &query).map(|page| page.items.len())
    };
    let tags = |count: usize| (0..count).map(|n| Filter::Tag(n.to_string())).collect::<Vec<_>>();
    let values = |count: usize| vec![Filter::Text { field: Field::Name, any_of: vec![String::new(); count] }];
    assert_eq!(asked(tags(500)).unwrap(), 0);
    assert_eq!(asked(values(31_000)).unwrap(), 0);
    for too_many in [tags(501), values(40_000)] {
        assert_eq!(asked(too_many).unwrap_err().kind(), image_service::ErrorKind::TooLarge);
    }
}

#[test]
fn a_position_that_does_not_fit_the_sort_is_invalid() {
    let directory = tempfile::tempdir().unwrap();
    let catalogue = holding(&directory, &[]);
    let position = Some(Position { values: vec![SortValue::Text("x".into())], id: ImageId::random() });
    let query = Query { position, ..Query::default() };
    let error = list::<Image>(&catalogue, &Caller::administrator(), &query).unwrap_err();
    assert_eq!(error.kind(), image_service::ErrorKind::Invalid);
}

#[test]
fn a_list_by_a_time_or_by_name_goes_to_its_place_in_an_index_and_sorts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let catalogue = holding(&directory, &[]);
    let (time, text) = (SortValue::Time(Timestamp::now()), SortValue::Text("x".into()));
    for (key, direction, value, plan) in [
        (SortKey::CreatedAt, Direction::Desc, &time, "INDEX images_by_creation ((created_at,id)<(?,?))"),
        (SortKey::CreatedAt, Direction::Asc, &time, "INDEX images_by_creation ((created_at,id)>(?,?))"),
        (SortKey::UpdatedAt, Direction::Desc, &time, "INDEX images_by_update ((updated_at,id)<(?,?))"),
        (SortKey::Name, Direction::Asc, &text, "INDEX images_by_name ((name,id)>(?,?))"),
        (SortKey::Name, Direction::Desc, &text, "INDEX images_by_name"),
    ] {
        let position = Some(Position { values: vec![value.clone()], id: ImageId::random() });
        for caller in [Caller::administrator(), Caller::member_of("p")] {
            let sort = Sort::by([(key, direction)]);
            let query = Query { sort, position: position.clone(), ..Query::default() };
            let asked = Select::new(&query, &caller, 25).unwrap();
            let explained = catalogue.read(Arc::default(), |snapshot| asked.explain::<Image>(snapshot));
            let explained = explained.unwrap();
            assert!(explained.contains(plan), "{explained}");
            assert!(!explained.contains("TEMP B-TREE"), "{explained}");
        }
    }
}
