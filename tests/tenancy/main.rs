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
mod play;
mod rounds;
mod rules;
mod seeds;
mod switch;
mod world;

use rounds::{Round, check};
use world::{Kind, Memories, Plan};

const STEPS: usize = 350;

fn bare(kind: Kind) -> Round {
    Round::on(Plan::Bare(kind), STEPS)
}

#[test]
fn in_memory_alone() {
    check(&bare(Kind::Memory).with_images(12).times(5));
}

#[test]
fn in_a_local_directory_alone() {
    check(&bare(Kind::Local));
}

#[test]
fn behind_a_remote_service_that_asks_nobody() {
    check(&Round::on(Plan::Joined(vec![("only", Kind::OfNobody)]), STEPS).with_images(12).times(5));
}

#[test]
fn behind_a_remote_service_that_knows_only_us() {
    check(&Round::on(Plan::Joined(vec![("only", Kind::OfToken)]), STEPS).with_images(12).times(5));
}

#[test]
fn behind_a_remote_service_that_knows_the_caller() {
    check(&Round::on(Plan::Joined(vec![("only", Kind::OfCaller)]), STEPS).with_images(12).times(5));
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

#[test]
fn in_a_federation_with_copies() {
    check(&joined());
}

#[test]
fn in_a_federation_that_remembers_little() {
    check(&joined().with_memories(Memories::Few));
}

#[test]
fn in_a_federation_of_federations() {
    check(&nested());
}

#[test]
fn while_stores_fall_silent_and_return() {
    check(&joined().with_silences().times(6));
}

#[test]
fn while_stores_within_a_federation_of_federations_fall_silent_and_return() {
    check(&nested().with_silences());
}

#[test]
fn where_each_store_knows_the_caller() {
    let members = vec![("near", Kind::OfCaller), ("far", Kind::OfCaller), ("mine", Kind::Memory)];
    check(&Round::on(Plan::Joined(members), STEPS).with_images(24));
}
