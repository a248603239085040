//! Random copies: one id on several backends, with the same data and other times, names and visibility.
//!
//! The oracle folds first and lists then: of each id the home's record is the image (the home is the first backend in
//! order that has data, else the first that holds it, among those where the caller may see it), and what is listed,
//! filtered and sorted is that record alone. However the pages are cut, an image is met once, at its home's place.
//! Whether ids are counted beforehand or asked for with each page, and whether a walk goes on with what the last page
//! said of resuming or by position alone, makes no difference.

use std::collections::BTreeMap;
use std::sync::Arc;

use image_service::{Caller, Context, Image, ImageId, ImageService, MultiHash, Query, Status, access};
use portico::federation::{Backend, Federation, Settings};
use portico_memory::{Memory, Options};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::DEADLINE;
use crate::bent::{Bend, bent};
use crate::{drawn, weave};

/// A copy of the image of this number, as one backend has it.
#[derive(Debug, Clone)]
struct Copied {
    number: usize,
    image: Image,
}

/// How many different images there are at most: few, so that most of them are on several backends.
const IMAGES: usize = 6;

fn copied() -> impl Strategy<Value = Copied> {
    (0..IMAGES, drawn::image(), prop::bool::weighted(0.7)).prop_map(|(number, drawn, has_data)| {
        let id = ImageId::derived("copies", &number.to_string());
        let hash = MultiHash { algorithm: "sha512".to_owned(), value: number.to_string() };
        let image = if has_data {
            Image { id, status: Status::Active, size: Some(number as u64), hash: Some(hash), ..drawn }
        } else {
            Image { id, status: Status::Queued, size: None, hash: None, ..drawn }
        };
        Copied { number, image }
    })
}

/// What a backend holds: no image twice.
fn holdings() -> impl Strategy<Value = Vec<Image>> {
    vec(copied(), 0..IMAGES).prop_map(|copies| {
        let one_each: BTreeMap<usize, Image> = copies.into_iter().map(|it| (it.number, it.image)).collect();
        one_each.into_values().collect()
    })
}

/// What a backend holds, and how it is bent.
type Held = (Vec<Image>, Option<Bent>);

/// How a walk is made.
#[derive(Debug, Clone, Copy)]
struct Ways {
    counts: bool,
    resumes: bool,
}

#[derive(Debug, Clone, Copy)]
enum Bent {
    Short(usize),
    IndexOnly,
    NoFilters,
}

fn shape() -> impl Strategy<Value = Option<Bent>> {
    let bent = prop_oneof![
        2 => (1_usize..4).prop_map(Bent::Short),
        1 => Just(Bent::IndexOnly),
        1 => Just(Bent::NoFilters),
    ];
    prop::option::weighted(0.4, bent)
}

fn expected(members: &[Held], caller: &Caller, query: &Query) -> Vec<Image> {
    let mut homes: BTreeMap<&ImageId, &Image> = BTreeMap::new();
    let visible =
        members.iter().flat_map(|(images, _)| images).filter(|image| access::may_see(caller, image, None));
    for image in visible {
        let home = homes.entry(&image.id).or_insert(image);
        if !home.has_data() && image.has_data() {
            *home = image;
        }
    }
    let listed = |image: &&Image| access::is_listed(caller, image, None, query.scope) && query.admits(image);
    let mut images: Vec<Image> = homes.into_values().filter(listed).cloned().collect();
    images.sort_by(|a, b| query.sort.compare(a, b));
    images
}

async fn walk(members: &[Held], caller: Caller, first: Query, ways: Ways) -> TestCaseResult {
    let backends = members.iter().zip(weave::NAMES).map(|((images, shape), name)| {
        let memory = Memory::new("memory", Options::default());
        for image in images {
            memory.seed(image.clone(), None).unwrap();
        }
        let memory: Arc<dyn ImageService> = Arc::new(memory);
        let service = match shape {
            None => memory,
            Some(Bent::Short(most)) => bent(memory, Bend::ShortPages(*most)),
            Some(Bent::IndexOnly) => bent(memory, Bend::IndexOnly),
            Some(Bent::NoFilters) => bent(memory, Bend::NoFilters),
        };
        Backend { name: name.into(), kind: "memory".into(), description: None, service, deadline: DEADLINE }
    });
    let settings = Settings::default();
    let census = if ways.counts { settings.census } else { 0 };
    let federation = Federation::new(backends.collect(), Settings { census, ..settings }).unwrap();
    let context = Context::new(caller, "req-copies");
    let expected = expected(members, &context.caller, &first);
    let mut query = first;
    let mut walked: Vec<Image> = Vec::new();
    for _ in 0..=expected.len() + IMAGES {
        let page = federation.detail(&context, &query).await.unwrap();
        prop_assert!(!(page.more && page.items.is_empty()), "an empty page that promises more");
        walked.extend(page.items.into_iter().map(|image| Image { stores: Vec::new(), ..image }));
        if !page.more {
            prop_assert_eq!(walked, expected);
            return Ok(());
        }
        query.position = walked.last().map(|last| query.sort.position_of(last));
        query.resume = page.resume.filter(|_| ways.resumes);
    }
    Err(TestCaseError::fail("the walk does not end"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn copies_are_one_image_at_its_homes_place_for_every_sort_and_page_size(
        members in vec((holdings(), shape()), 1..=4),
        caller in drawn::caller(),
        query in drawn::query(),
        limit in 1_usize..5,
        (counts, resumes) in any::<(bool, bool)>(),
    ) {
        let ways = Ways { counts, resumes };
        for limit in [query.limit, std::num::NonZeroUsize::new(limit)] {
            weave::at_once(walk(&members, caller.clone(), Query { limit, ..query.clone() }, ways))?;
        }
    }
}
