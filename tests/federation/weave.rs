//! Random backends woven into one list, against "sort of all".
//!
//! The oracle knows nothing of merging: it puts all images that live backends hold into one heap, keeps what the
//! caller may see and the query admits, and sorts. Each page must be the beginning of that, as it is at that moment
//! behind the position, as far as the page goes; and a page that promises no more must be all of it. While images
//! come, go and change between the pages, those that stay must each be met exactly once, whether the walk goes on with
//! what the last page said of resuming or by position alone.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use image_service::{
    Caller, Context, ErrorKind, Image, ImageId, ImageService, Page, Query, SortKey, SourceState, access,
};
use portico::federation::{Federation, Settings};
use portico_memory::{Memory, Options};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::bent::{Bend, bent};
use crate::drawn::{self, Event, Member, Shape};
use crate::made_of;

pub(crate) const NAMES: [&str; 5] = ["b0", "b1", "b2", "b3", "b4"];

/// Backends, and what each of them holds.
struct World {
    memories: Vec<Arc<Memory>>,
    held: Vec<BTreeMap<ImageId, Image>>,
    alive: Vec<bool>,
    made: usize,
}

impl World {
    fn of(members: &[Member]) -> Self {
        let mut world = Self { memories: Vec::new(), held: Vec::new(), alive: Vec::new(), made: 0 };
        for (number, member) in members.iter().enumerate() {
            world.memories.push(Arc::new(Memory::new("memory", Options::default())));
            world.held.push(BTreeMap::new());
            world.alive.push(!matches!(member.shape, Shape::Dead(_)));
            for image in &member.images {
                world.create(number, image);
            }
        }
        world
    }

    fn federation(&self, members: &[Member]) -> Federation {
        let bent = self.memories.iter().zip(members).zip(NAMES).map(|((memory, member), name)| {
            let memory: Arc<dyn ImageService> = Arc::<Memory>::clone(memory);
            (name, shaped(memory, member))
        });
        made_of::concrete(bent.collect())
    }

    fn create(&mut self, member: usize, image: &Image) {
        self.made += 1;
        let id = ImageId::derived("weave", &self.made.to_string());
        self.put(member, Image { id, ..image.clone() });
    }

    fn put(&mut self, member: usize, image: Image) {
        self.memories[member].seed(image.clone(), None).unwrap();
        self.held[member].insert(image.id.clone(), image);
    }

    async fn delete(&mut self, member: usize, id: &ImageId) {
        let image = self.held[member].remove(id).unwrap();
        let memory = &self.memories[member];
        memory.seed(Image { protected: false, ..image }, None).unwrap();
        memory.delete(&made_of::context(), id).await.unwrap();
    }

    /// The holder and the id of one of all images.
    fn pick(&self, index: &prop::sample::Index) -> Option<(usize, ImageId)> {
        let all: Vec<(usize, ImageId)> = self.holdings().map(|(member, id)| (member, id.clone())).collect();
        (!all.is_empty()).then(|| index.get(&all).clone())
    }

    fn holdings(&self) -> impl Iterator<Item = (usize, &ImageId)> {
        self.held.iter().enumerate().flat_map(|(member, held)| held.keys().map(move |id| (member, id)))
    }

    async fn happen(&mut self, event: &Event, query: &Query) {
        match event {
            Event::Created(index, image) => self.create(index.index(self.held.len()), image),
            Event::Deleted(index) => {
                if let Some((member, id)) = self.pick(index) {
                    self.delete(member, &id).await;
                }
            }
            Event::DeletedAtPosition => {
                let id = query.position.as_ref().map(|position| position.id.clone());
                let holder = self.holdings().find(|(_, held)| Some(*held) == id.as_ref());
                if let Some((member, id)) = holder.map(|(member, id)| (member, id.clone())) {
                    self.delete(member, &id).await;
                }
            }
            Event::Changed(index, drawn) => {
                if let Some((member, id)) = self.pick(index) {
                    let before = self.held[member][&id].clone();
                    self.put(member, keeping_place(&before, drawn, query));
                }
            }
        }
    }

    /// What the list must be: of all that live backends hold, what the caller may see and the query admits.
    fn sorted(&self, caller: &Caller, query: &Query) -> Vec<Image> {
        let live = self.held.iter().zip(&self.alive).zip(NAMES).filter(|((_, alive), _)| **alive);
        let mut all: Vec<Image> = live
            .flat_map(|((held, _), name)| held.values().map(move |image| at_store(image, name)))
            .filter(|image| access::is_listed(caller, image, None, query.scope) && query.admits(image))
            .collect();
        all.sort_by(|a, b| query.sort.compare(a, b));
        all
    }

    fn check_states(&self, page: &Page<Image>) -> TestCaseResult {
        let told: Vec<(&str, bool)> =
            page.sources.iter().map(|told| (told.name.as_str(), told.state == SourceState::Ok)).collect();
        let expected: Vec<(&str, bool)> = NAMES.into_iter().zip(self.alive.iter().copied()).collect();
        prop_assert_eq!(told, expected);
        Ok(())
    }
}

fn shaped(memory: Arc<dyn ImageService>, member: &Member) -> Arc<dyn ImageService> {
    let shaped = match member.shape {
        Shape::Straight => memory,
        Shape::Short(most) => bent(memory, Bend::ShortPages(most)),
        Shape::Ragged(most) => bent(memory, Bend::RaggedPages(most)),
        Shape::NoFilters => bent(memory, Bend::NoFilters),
        Shape::IndexOnly => bent(memory, Bend::IndexOnly),
        Shape::NoOrder => bent(memory, Bend::NoOrder),
        Shape::IgnoresCase => bent(memory, Bend::IgnoresCase),
        Shape::Dead(kind) => bent(memory, Bend::Dead(kind)),
    };
    match member.cap {
        Some(most) => bent(shaped, Bend::ShortPages(most)),
        None => shaped,
    }
}

/// The image as a list shows it: with the store that has its data.
fn at_store(image: &Image, name: &str) -> Image {
    let stores = if image.has_data() { vec![name.to_owned()] } else { Vec::new() };
    Image { stores, ..image.clone() }
}

/// `before`, changed in everything that the query does not sort by.
fn keeping_place(before: &Image, drawn: &Image, query: &Query) -> Image {
    let mut after = Image { id: before.id.clone(), ..drawn.clone() };
    for (key, _) in query.sort.keys() {
        match key {
            SortKey::Name => after.name.clone_from(&before.name),
            SortKey::Status => after.status = before.status,
            SortKey::ContainerFormat => after.container_format.clone_from(&before.container_format),
            SortKey::DiskFormat => after.disk_format.clone_from(&before.disk_format),
            SortKey::Size => after.size = before.size,
            SortKey::CreatedAt => after.created_at = before.created_at,
            SortKey::UpdatedAt => after.updated_at = before.updated_at,
            SortKey::Id => {}
        }
    }
    after
}

/// Walks by position while `events` happen, each batch before the page of its number. What is checked is told in
/// the head of this file.
async fn walk(
    members: &[Member],
    caller: Caller,
    first: Query,
    resumes: bool,
    events: &[Vec<Event>],
) -> Result<(), TestCaseError> {
    let mut world = World::of(members);
    let federation = world.federation(members);
    let context = Context::new(caller, "req-weave");
    let mut query = first.clone();
    let mut walked: Vec<Image> = Vec::new();
    let mut steady: BTreeSet<ImageId> = ids(&world.sorted(&context.caller, &first));
    let most = 2 + world.made + events.iter().map(Vec::len).sum::<usize>();
    let mut events = events.iter();
    for _ in 0..most {
        let answer = federation.detail(&context, &query).await;
        if !world.alive.contains(&true) {
            prop_assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable);
            return Ok(());
        }
        let page = answer.unwrap();
        world.check_states(&page)?;
        let expected = world.sorted(&context.caller, &query);
        prop_assert!(query.limit.is_none_or(|limit| page.items.len() <= limit.get()));
        prop_assert!(page.items.len() <= expected.len(), "{:?} is more than {expected:?}", page.items);
        prop_assert_eq!(&page.items[..], &expected[..page.items.len()]);
        prop_assert!(!page.items.is_empty() || expected.is_empty(), "an empty page before {expected:?}");
        prop_assert!(page.more || page.items.len() == expected.len(), "an early end before {expected:?}");
        walked.extend(page.items);
        if !page.more {
            return check_whole(&walked, &steady, &first);
        }
        query.position = walked.last().map(|last| query.sort.position_of(last));
        query.resume = page.resume.filter(|_| resumes);
        for event in events.next().into_iter().flatten() {
            world.happen(event, &query).await;
            let there = ids(&world.sorted(&context.caller, &first));
            steady.retain(|id| there.contains(id));
        }
    }
    Err(TestCaseError::fail("the walk does not end"))
}

fn ids(images: &[Image]) -> BTreeSet<ImageId> {
    images.iter().map(|image| image.id.clone()).collect()
}

fn check_whole(walked: &[Image], steady: &BTreeSet<ImageId>, query: &Query) -> TestCaseResult {
    let in_order = walked.is_sorted_by(|a, b| query.sort.compare(a, b) == Ordering::Less);
    prop_assert!(in_order, "out of order, or twice: {walked:?}");
    let met = ids(walked);
    let missed: Vec<&ImageId> = steady.difference(&met).collect();
    prop_assert!(missed.is_empty(), "never met: {missed:?}");
    Ok(())
}

pub(crate) fn at_once(walk: impl Future<Output = TestCaseResult>) -> TestCaseResult {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(walk)
}

#[test]
fn there_is_no_federation_of_nobody() {
    let error = Federation::new(Vec::new(), Settings::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn a_walk_over_any_backends_by_any_query_is_the_sort_of_all(
        members in prop::collection::vec(drawn::member(), 1..=5),
        caller in drawn::caller(),
        query in drawn::query(),
        resumes in any::<bool>(),
    ) {
        at_once(walk(&members, caller, query, resumes, &[]))?;
    }

    #[test]
    fn what_stays_is_met_once_whatever_else_comes_goes_and_changes(
        members in prop::collection::vec(drawn::member(), 1..=5),
        caller in drawn::caller(),
        mut query in drawn::query(),
        limit in 1_usize..5,
        resumes in any::<bool>(),
        events in drawn::events(),
    ) {
        // Small pages, so that something can happen between them.
        query.limit = std::num::NonZeroUsize::new(limit);
        at_once(walk(&members, caller, query, resumes, &events))?;
    }
}
