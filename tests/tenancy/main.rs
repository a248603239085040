//! Nobody lists, reads, changes, downloads or learns of what the rules of tenancy keep from them, and everybody gets
//! what the rules grant: whatever is done by whom in which order, on stores of every kind, through federations, from
//! warm caches and while stores fall silent.
//!
//! People of several projects do at random what the API allows to ask for. Each answer is held against a small model
//! of the rules ([`rules`]), which knows nothing of the product. An image that somebody may not see must look just
//! like one that is not there, in every answer, word for word. There is one exception, which real services have too:
//! who wants to make an image under an id that is taken hears so, also if the image is hidden from them.
//!
//! What is drawn hangs on the seed alone. On a failure the steps are cut down to the least that fail, and printed with
//! the seed. `PORTICO_TENANCY_ROUNDS` multiplies the steps, `PORTICO_TENANCY_SEED` draws others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::future_not_send, reason = "each round runs on a thread of its own")]

mod asking;
mod deeds;
mod expected;
mod judge;
mod people;
mod planted;
mod play;
mod rounds;
mod rules;
mod seeds;
mod switch;
mod world;

use planted::Leak;
use rounds::{Round, check};
use world::{Kind, Memories, Plan};

const STEPS: usize = 350;

fn bare(kind: Kind) -> Round {
    Round::on(Plan::Bare(kind), STEPS)
}

fn alone(kind: Kind) -> Round {
    Round::on(Plan::Joined(vec![("only", kind)]), STEPS).with_images(12)
}

/// Stores of every kind that one can put copies into, and one that one cannot.
fn joined() -> Round {
    let members = vec![
        ("near", Kind::Memory),
        ("far", Kind::OfNobody),
        ("disk", Kind::Local),
        ("paris", Kind::OfToken),
    ];
    Round::on(Plan::Joined(members), STEPS).with_images(24)
}

/// A federation in a federation.
fn nested() -> Round {
    let inner = vec![("a", Kind::Memory), ("b", Kind::OfNobody)];
    let outer = vec![("c", Kind::Memory), ("d", Kind::Memory)];
    Round::on(Plan::Nested("inner", inner, outer), STEPS).with_images(24)
}

/// Stores that know the caller, and one that believes us.
fn of_callers() -> Round {
    let members = vec![("near", Kind::OfCaller), ("far", Kind::OfCaller), ("mine", Kind::Memory)];
    Round::on(Plan::Joined(members), STEPS).with_images(24)
}

/// Stores below several ceilings, and one below none.
fn capped() -> Round {
    let members = vec![
        ("near", Kind::Memory),
        ("paris", Kind::Below("shared")),
        ("lyon", Kind::OfNobodyBelow("private")),
        ("nice", Kind::OfNobodyBelow("community")),
    ];
    Round::on(Plan::Joined(members), STEPS).with_images(24)
}

/// Stores of several kinds behind one cache.
fn cached() -> Round {
    let members = vec![("near", Kind::Memory), ("far", Kind::OfNobody), ("paris", Kind::Below("shared"))];
    Round::on(Plan::Cached(members), STEPS).with_images(24)
}

/// What the tests beside it play, in their order.
fn all() -> Vec<Round> {
    let below = |ceiling| bare(Kind::Below(ceiling)).with_images(24).times(2);
    vec![
        bare(Kind::Memory).with_images(12).times(5),
        bare(Kind::Local),
        alone(Kind::OfNobody),
        alone(Kind::OfToken),
        alone(Kind::OfCaller),
        joined(),
        joined().with_memories(Memories::Few),
        nested(),
        joined().with_silences().times(4),
        nested().with_silences(),
        of_callers(),
        below("community"),
        below("shared"),
        below("private"),
        capped(),
        capped().with_silences(),
        cached().times(4),
        cached().with_silences(),
    ]
}

#[test]
fn in_memory_alone() {
    check(&all()[0]);
}

#[test]
fn in_a_local_directory_alone() {
    check(&all()[1]);
}

#[test]
fn behind_a_remote_service_that_asks_nobody() {
    check(&all()[2]);
}

#[test]
fn behind_a_remote_service_that_knows_only_us() {
    check(&all()[3]);
}

#[test]
fn behind_a_remote_service_that_knows_the_caller() {
    check(&all()[4]);
}

#[test]
fn in_a_federation_with_copies() {
    check(&all()[5]);
}

#[test]
fn in_a_federation_that_remembers_little() {
    check(&all()[6]);
}

#[test]
fn in_a_federation_of_federations() {
    check(&all()[7]);
}

#[test]
fn while_stores_fall_silent_and_return() {
    check(&all()[8]);
}

#[test]
fn while_stores_within_a_federation_of_federations_fall_silent_and_return() {
    check(&all()[9]);
}

#[test]
fn where_each_store_knows_the_caller() {
    check(&all()[10]);
}

#[test]
fn below_a_ceiling_alone() {
    all()[11..14].iter().for_each(check);
}

#[test]
fn below_ceilings_in_a_federation() {
    check(&all()[14]);
}

#[test]
fn below_ceilings_while_stores_fall_silent_and_return() {
    check(&all()[15]);
}

#[test]
fn behind_a_cache() {
    check(&all()[16]);
}

#[test]
fn behind_a_cache_while_stores_fall_silent_and_return() {
    check(&all()[17]);
}

#[test]
fn all_of_this_is_ten_thousand_steps_or_more() {
    let steps: u64 = all().iter().map(Round::total).sum();
    assert!(steps >= 10_000, "only {steps}");
}

fn block_on<T>(play: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(play)
}

/// A test that nothing fails says nothing.
#[test]
fn a_store_that_breaks_a_rule_is_found_out() {
    let of = |kind| block_on(bare(kind).with_images(12).failures());
    assert_eq!(of(Kind::Planted(Leak::None)), 0, "it is not the leak that is found");
    for leak in [
        Leak::Shows,
        Leak::Reads,
        Leak::Lists,
        Leak::Changes,
        Leak::Deletes,
        Leak::Tells,
        Leak::Keeps,
        Leak::Answers,
    ] {
        assert_ne!(of(Kind::Planted(leak)), 0, "{leak:?} is not found within {STEPS} steps of a few seeds");
    }
    assert_ne!(of(Kind::Uncapped("shared")), 0, "a store is not below its ceiling, and nothing is found");
}

/// Behind other stores and a federation too.
#[test]
fn a_store_that_breaks_a_rule_is_found_out_among_others() {
    for leak in [Leak::Shows, Leak::Lists, Leak::Changes] {
        let members = vec![("near", Kind::Memory), ("far", Kind::Planted(leak))];
        let round = Round::on(Plan::Joined(members), STEPS).with_images(12);
        assert_ne!(block_on(round.failures()), 0, "{leak:?} is not found");
    }
}

#[test]
fn what_is_found_is_cut_down_to_what_shows_it() {
    let failure = block_on(bare(Kind::Planted(Leak::Lists)).with_images(12).find(1)).unwrap_err();
    assert!(failure.steps.len() <= 2, "{failure:?}");
    assert!(failure.violation.starts_with("the answer tells of image"), "{failure:?}");
}
