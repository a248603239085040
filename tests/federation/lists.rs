//! Lists: exact, as quick as the slowest backend, and honest about who is absent.

use std::num::NonZeroUsize;
use std::time::Duration;

use image_service::{
    Direction, ErrorKind, Field, Filter, Image, ImageService, Partial, Query, Sort, SortKey, SourceState,
};
use portico::federation::{Federation, Settings};
use tokio::time::Instant;

use crate::DEADLINE;
use crate::bent::{Bend, bent};
use crate::made_of::{Named, backend, context, federation, holding, image, memory, walk};

fn limit(limit: usize) -> Option<NonZeroUsize> {
    NonZeroUsize::new(limit)
}

fn sorted(mut images: Vec<Image>, sort: &Sort) -> Vec<Image> {
    images.sort_by(|a, b| sort.compare(a, b));
    images
}

#[tokio::test]
async fn a_walk_over_seven_backends_of_awkward_sizes_is_exact_for_every_sort() {
    let mut members: Vec<Named> = Vec::new();
    let (mut next, mut all) = (0, Vec::new());
    let sizes = [("a", 0), ("b", 1), ("c", 24), ("d", 25), ("e", 26), ("f", 99), ("g", 101)];
    for (name, size) in sizes {
        members.push((name, holding(next..next + size)));
        all.extend((next..next + size).map(image));
        next += size;
    }
    let federation = federation(members);
    for direction in [Direction::Asc, Direction::Desc] {
        for key in SortKey::ALL {
            for size in [1, 7, 25, 30] {
                let sort = Sort::by([(*key, direction)]);
                let query = Query { sort: sort.clone(), limit: limit(size), ..Query::default() };
                let walked = walk(federation.as_ref(), &query).await;
                assert_eq!(walked, sorted(all.clone(), &sort), "by {key} {direction}, {size} at a time");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_takes_as_long_as_its_slowest_backend_and_not_their_sum() {
    let delay = Duration::from_millis(200);
    let names: [&'static str; 16] =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
    let members = names
        .iter()
        .zip(0..)
        .map(|(name, number)| (*name, bent(holding([number]), Bend::Slow(delay))))
        .collect();
    let federation = federation(members);
    let start = Instant::now();
    let page = federation.detail(&context(), &Query::default()).await.unwrap();
    assert_eq!(page.items.len(), 16);
    assert_eq!(start.elapsed(), delay);
}

#[tokio::test(start_paused = true)]
async fn a_hung_backend_is_named_and_left_out_at_its_deadline() {
    let hung = bent(holding([1]), Bend::Slow(Duration::from_secs(30)));
    let federation = federation(vec![("hung", hung), ("live", holding([2, 3]))]);
    let start = Instant::now();
    let page = federation.detail(&context(), &Query::default()).await.unwrap();
    assert_eq!(start.elapsed(), DEADLINE);
    assert_eq!(page.items.len(), 2);
    let states: Vec<(&str, SourceState)> =
        page.sources.iter().map(|report| (report.name.as_str(), report.state)).collect();
    assert_eq!(states, [("hung", SourceState::Timeout), ("live", SourceState::Ok)]);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_hangs_in_the_middle_of_a_page_costs_little_more_than_its_deadline() {
    let query = Query { limit: limit(3), ..Query::default() };
    let live = sorted((9..20).map(image).collect(), &query.sort);
    let all = sorted((0..20).map(image).collect(), &query.sort);
    assert_ne!(all[..3], live[..3]);
    // More reads than the page and the looking for copies take, so that it does not hang in the end.
    for (reads, slow) in (0..10).flat_map(|reads| [(reads, 0), (reads, 10)]) {
        let slowly = bent(holding(0..9), Bend::Slow(Duration::from_millis(slow)));
        let hangs = bent(bent(slowly, Bend::HangsAfter(reads)), Bend::ShortPages(3));
        let federation = federation(vec![("hangs", hangs), ("live", holding(9..20))]);
        let start = Instant::now();
        let page = federation.detail(&context(), &query).await.unwrap();
        let took = start.elapsed();
        assert!(took <= DEADLINE + Duration::from_millis(50), "after {reads} reads: {took:?}");
        // What it gave before it hung is there or not, and nothing of the others is missing.
        let hung = page.sources[0].state == SourceState::Timeout;
        let is_exact = page.items == all[..3] || (hung && page.items == live[..3]);
        assert!(is_exact && page.more, "after {reads} reads: {page:?}");
        assert!(hung || page.sources[0].state == SourceState::Ok, "after {reads} reads");
    }
}

#[tokio::test]
async fn each_way_to_fail_has_its_state() {
    for (kind, state) in [
        (ErrorKind::Refused, SourceState::Refused),
        (ErrorKind::Unauthenticated, SourceState::Refused),
        (ErrorKind::Forbidden, SourceState::Refused),
        (ErrorKind::TimedOut, SourceState::Timeout),
        (ErrorKind::Unavailable, SourceState::Error),
        (ErrorKind::Internal, SourceState::Error),
    ] {
        let dead = bent(memory().await, Bend::Dead(kind));
        let federation = federation(vec![("live", holding([1])), ("dead", dead)]);
        let page = federation.detail(&context(), &Query::default()).await.unwrap();
        assert_eq!(page.items.len(), 1);
        assert_eq!(page.sources[1].state, state, "{kind:?}");
    }
}

#[tokio::test]
async fn a_request_that_refuses_partial_answers_gets_none_and_learns_who_is_absent() {
    let dead = bent(memory().await, Bend::Dead(ErrorKind::Refused));
    let federation = federation(vec![("live", holding([1])), ("paris", dead)]);
    let mut context = context();
    context.partial = Partial::Refuse;
    let error = federation.detail(&context, &Query::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("paris (refused)"), "{error}");
}

#[tokio::test]
async fn a_list_that_nobody_answered_is_no_empty_list() {
    let dead = bent(memory().await, Bend::Dead(ErrorKind::TimedOut));
    let error = federation(vec![("dead", dead)]).detail(&context(), &Query::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_backend_inside_a_backend_is_named_through_it() {
    let dead = bent(memory().await, Bend::Dead(ErrorKind::Refused));
    let inner = federation(vec![("x", holding([1])), ("y", dead)]);
    // Ids are not counted, for that would be a second call to the dead one in the same moment.
    let settings = Settings { census_age: Duration::ZERO, ..Settings::default() };
    let members = [("west", inner), ("east", holding([2]))].map(backend).into();
    let outer = Federation::new(members, settings).unwrap();
    let page = outer.detail(&context(), &Query::default()).await.unwrap();
    let names: Vec<String> =
        page.sources.iter().map(|report| format!("{}={}", report.name, report.state)).collect();
    assert_eq!(names, ["west.x=ok", "west.y=refused", "east=ok"]);
}

#[tokio::test]
async fn a_backend_without_filters_and_without_detail_is_filtered_and_sorted_here() {
    let poor = bent(holding(0..40), Bend::IndexOnly);
    let federation = federation(vec![("poor", poor), ("rich", holding(40..60))]);
    let sort = Sort::by([(SortKey::Name, Direction::Desc)]);
    let wanted: Vec<String> = (0..60).step_by(3).map(|number| format!("image {number}")).collect();
    let query = Query {
        filters: vec![Filter::Text { field: Field::Name, any_of: wanted }],
        sort: sort.clone(),
        limit: limit(4),
        ..Query::default()
    };
    let expected = sorted((0..60).step_by(3).map(image).collect(), &sort);
    assert_eq!(walk(federation.as_ref(), &query).await, expected);
}

#[tokio::test]
async fn a_backend_that_collates_otherwise_is_sorted_here() {
    let mixed: Vec<Image> = ["b", "A", "a", "B", "C"]
        .iter()
        .zip(0..)
        .map(|(name, number)| Image { name: Some((*name).to_owned()), ..image(number) })
        .collect();
    let mysql = portico_memory::Memory::new("mysql", portico_memory::Options::default());
    for image in &mixed {
        mysql.seed(image.clone(), None).unwrap();
    }
    let mysql = bent(std::sync::Arc::new(mysql), Bend::IgnoresCase);
    let federation = federation(vec![("mysql", mysql), ("other", holding([10]))]);
    let sort = Sort::by([(SortKey::Name, Direction::Asc)]);
    let expected = sorted(mixed.into_iter().chain([image(10)]).collect(), &sort);
    for size in 1..=7 {
        let query = Query { sort: sort.clone(), limit: limit(size), ..Query::default() };
        assert_eq!(walk(federation.as_ref(), &query).await, expected, "{size} at a time");
    }
}

#[tokio::test]
async fn one_image_on_three_backends_is_listed_once() {
    let federation = federation(vec![("a", holding([1, 2])), ("b", holding([2, 3])), ("c", holding([2]))]);
    let walked = walk(federation.as_ref(), &Query { limit: limit(1), ..Query::default() }).await;
    assert_eq!(walked, sorted(vec![image(1), image(2), image(3)], &Sort::default()));
}
