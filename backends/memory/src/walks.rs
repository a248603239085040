//! Tests that every list, from any place in any order, is what [`Query::page_of`] picks out of the whole store,
//! whatever has been done to the store meanwhile, by whichever verb.

use std::num::NonZeroUsize;

use futures::{FutureExt as _, stream};
use image_service::{
    Caller, Comparison, Context, Direction, Error, ErrorKind, Field, Filter, Image, ImageChange, ImageId,
    ImageService as _, MemberScope, MemberStatus, NewImage, Query, Result, Scope, Sharing as _, Sort,
    SortKey, Status, Timestamp, Upload, Visibility, VisibilityScope,
};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use crate::{Memory, Options};

const IDS: [&str; 8] = ["", "0", "1", "2", "3", "a", "b", "é"];
const NAMES: [&str; 4] = ["", "B", "a", "b"];
const PROJECTS: [&str; 3] = ["p", "q", "r"];
const FORMATS: [&str; 2] = ["qcow2", "raw"];

/// One thing done to the store.
#[derive(Debug, Clone)]
enum Step {
    Seed(Box<Image>),
    Rename(ImageId, Option<String>),
    Upload(ImageId, Ends),
    Create(ImageId, Ends),
    Delete(ImageId),
    AddMember(ImageId, &'static str),
    Answer(ImageId, &'static str, MemberStatus),
    RemoveMember(ImageId, &'static str),
}

/// How an upload ends.
#[derive(Debug, Clone, Copy)]
enum Ends {
    Well,
    Badly,
}

fn ids() -> impl Strategy<Value = ImageId> {
    select(&IDS[..]).prop_map(ImageId::lookup)
}

fn times() -> impl Strategy<Value = Timestamp> {
    (0_i64..3).prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn text(words: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    prop::option::of(select(words).prop_map(str::to_owned))
}

prop_compose! {
    fn images()(
        id in ids(),
        name in text(&NAMES),
        formats in (text(&FORMATS), text(&["bare"])),
        owner in text(&PROJECTS),
        visibility in select(Visibility::ALL),
        status in select(&[Status::Queued, Status::Active, Status::Deactivated][..]),
        size in prop::option::of(0_u64..2),
        hidden in any::<bool>(),
        times in (times(), times()),
    ) -> Image {
        let new = NewImage {
            id: Some(id), name, owner: Some(owner), visibility: Some(visibility), hidden,
            disk_format: formats.0, container_format: formats.1,
            ..NewImage::default()
        };
        let image = new.into_image(&Caller::administrator(), times.0).unwrap();
        Image { status, size, updated_at: times.1, ..image }
    }
}

fn steps() -> impl Strategy<Value = Step> {
    let ends = || select(&[Ends::Well, Ends::Badly][..]);
    let project = || select(&PROJECTS[..]);
    prop_oneof![
        6 => images().prop_map(|image| Step::Seed(Box::new(image))),
        1 => (ids(), text(&NAMES)).prop_map(|(id, name)| Step::Rename(id, name)),
        1 => (ids(), ends()).prop_map(|(id, ends)| Step::Upload(id, ends)),
        1 => (ids(), ends()).prop_map(|(id, ends)| Step::Create(id, ends)),
        1 => ids().prop_map(Step::Delete),
        1 => (ids(), project()).prop_map(|(id, project)| Step::AddMember(id, project)),
        1 => (ids(), project(), select(MemberStatus::ALL))
            .prop_map(|(id, project, status)| Step::Answer(id, project, status)),
        1 => (ids(), project()).prop_map(|(id, project)| Step::RemoveMember(id, project)),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let names = |field, words: &'static [&'static str]| {
        let any_of = prop::collection::vec(select(words).prop_map(str::to_owned), 0..4);
        any_of.prop_map(move |any_of| Filter::Text { field, any_of })
    };
    prop_oneof![
        2 => any::<bool>().prop_map(Filter::Hidden),
        2 => names(Field::Id, &IDS),
        1 => names(Field::Name, &NAMES),
        1 => (select(Comparison::ALL), 0_u64..2)
            .prop_map(|(comparison, value)| Filter::Number { field: Field::Size, comparison, value }),
    ]
}

fn scopes() -> impl Strategy<Value = Scope> {
    let visibility = prop_oneof![
        Just(VisibilityScope::Usual),
        Just(VisibilityScope::All),
        select(Visibility::ALL).prop_map(VisibilityScope::Only),
    ];
    (visibility, select(MemberScope::ALL))
        .prop_map(|(visibility, member_status)| Scope { visibility, member_status })
}

prop_compose! {
    fn queries()(
        keys in subsequence(SortKey::ALL, 0..=4).prop_shuffle(),
        ways in prop::array::uniform4(select(Direction::ALL)),
        filters in prop::collection::vec(filters(), 0..2),
        scope in scopes(),
        limit in prop::option::of(1_usize..6),
        // The place of an image, which most of the time is not in the store as it is here, or at all.
        behind in prop::option::of(images()),
    ) -> Query {
        let sort = Sort::by(keys.into_iter().zip(ways));
        let position = behind.map(|image| sort.position_of(&image));
        Query { filters, scope, limit: limit.and_then(NonZeroUsize::new), position, resume: None, sort }
    }
}

fn callers() -> impl Strategy<Value = Caller> {
    prop_oneof![
        Just(Caller::administrator()),
        Just(Caller::default()),
        select(&PROJECTS[..]).prop_map(Caller::member_of),
    ]
}

fn upload(ends: Ends) -> Upload {
    let last = match ends {
        Ends::Well => Ok("data".into()),
        Ends::Badly => Err(Error::new(ErrorKind::Incomplete, "it breaks off")),
    };
    Upload::new(Box::pin(stream::iter([Ok("some ".into()), last])))
}

/// Takes one step. Many are refused, as is right: what counts is what the store holds then.
fn take(memory: &Memory, step: Step) -> Result<()> {
    let admin = Context::new(Caller::administrator(), "req-walks");
    let whole = || ImageChange::default();
    let formatted = |id| NewImage {
        id: Some(id),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    };
    let done = async {
        match step {
            Step::Seed(image) => memory.seed(*image, None),
            Step::Rename(id, name) => {
                let change = ImageChange { name: Some(name), ..ImageChange::default() };
                memory.update(&admin, &id, change, None).await.map(drop)
            }
            Step::Upload(id, ends) => memory.update(&admin, &id, whole(), Some(upload(ends))).await.map(drop),
            Step::Create(id, ends) => {
                memory.create(&admin, formatted(id), Some(upload(ends))).await.map(drop)
            }
            Step::Delete(id) => memory.delete(&admin, &id).await,
            Step::AddMember(id, project) => memory.add_member(&admin, &id, project).await.map(drop),
            Step::Answer(id, project, status) => {
                memory.set_member_status(&admin, &id, project, status).await.map(drop)
            }
            Step::RemoveMember(id, project) => memory.remove_member(&admin, &id, project).await,
        }
    };
    done.now_or_never().expect("a store in memory waits for nothing")
}

/// Lists through the store, and out of all that it holds.
fn both(memory: &Memory, caller: &Caller, query: &Query) -> (Vec<Image>, Vec<Image>, bool, bool) {
    let context = Context::new(caller.clone(), "req-walks");
    let page = memory.detail(&context, query).now_or_never().unwrap().unwrap();
    let shelf = memory.read();
    let picked = query.page_of(shelf.listed(caller, query.scope)).map(Image::clone);
    (page.items, picked.items, page.more, picked.more)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_page_is_the_one_picked_out_of_the_whole_store(
        rounds in prop::collection::vec(
            (prop::collection::vec(steps(), 0..12), callers(), queries(), any::<Index>()), 1..8),
    ) {
        let memory = Memory::new("walked", Options::default());
        for (steps, caller, query, which) in rounds {
            for step in steps {
                let _ = take(&memory, step);
            }
            let (page, picked, more, expected_more) = both(&memory, &caller, &query);
            prop_assert_eq!(&page, &picked);
            prop_assert_eq!(more, expected_more);
            // And on from an image that was in the page.
            if !page.is_empty() {
                let position = Some(query.sort.position_of(which.get(&page)));
                let (page, picked, more, expected_more) =
                    both(&memory, &caller, &Query { position, ..query });
                prop_assert_eq!(page, picked);
                prop_assert_eq!(more, expected_more);
            }
        }
    }

    #[test]
    fn many_images_that_tie_are_ordered_by_the_other_keys(
        seeds in prop::collection::vec((0_i64..50, 0_u64..3), 0..300),
        ways in prop::array::uniform4(select(Direction::ALL)),
        limit in 1_usize..30,
    ) {
        let memory = Memory::new("walked", Options::default());
        for (number, (second, size)) in seeds.iter().enumerate() {
            let new = NewImage { id: Some(ImageId::lookup(format!("{number}"))), ..NewImage::default() };
            let image = new.into_image(&Caller::administrator(), Timestamp::from_second(*second).unwrap()).unwrap();
            memory.seed(Image { size: Some(*size), ..image }, None).unwrap();
        }
        let keys = [SortKey::Status, SortKey::Size, SortKey::UpdatedAt, SortKey::Id];
        let sort = Sort::by(keys.into_iter().zip(ways));
        let mut query = Query { sort, limit: NonZeroUsize::new(limit), ..Query::default() };
        for _ in 0..=seeds.len() {
            let (page, picked, more, expected_more) = both(&memory, &Caller::administrator(), &query);
            prop_assert_eq!(&page, &picked);
            prop_assert_eq!(more, expected_more);
            query.position = page.last().map(|last| query.sort.position_of(last));
            if !more {
                break;
            }
        }
    }
}

#[test]
fn a_step_that_ought_to_be_taken_is_taken() {
    let memory = Memory::new("walked", Options::default());
    let id = || ImageId::lookup("1");
    take(&memory, Step::Create(id(), Ends::Well)).unwrap();
    take(&memory, Step::Rename(id(), Some("a".into()))).unwrap();
    take(&memory, Step::AddMember(id(), "p")).unwrap();
    take(&memory, Step::Answer(id(), "p", MemberStatus::Accepted)).unwrap();
    let (page, ..) = both(&memory, &Caller::member_of("p"), &Query::default());
    assert_eq!(page.iter().map(|image| image.name.as_deref()).collect::<Vec<_>>(), [Some("a")]);
    take(&memory, Step::RemoveMember(id(), "p")).unwrap();
    take(&memory, Step::Delete(id())).unwrap();
    let error = take(&memory, Step::Create(ImageId::lookup("2"), Ends::Badly)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    let (page, ..) = both(&memory, &Caller::administrator(), &Query::default());
    assert_eq!(page, []);
}
