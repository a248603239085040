//! What a breaker makes of a backend that misbehaves for long: it is not asked, and comes back when it is well.

use std::time::Duration;

use image_service::SourceState;
use portico::federation::Guarding;

use crate::case;
use crate::fault::{Fault, Listed};
use crate::world::{Neighbours, World};

/// More failures in a row than a breaker takes.
const MANY: usize = 12;

/// Longer than any of these tests takes.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A breaker that opens and stays so.
fn lasting() -> Guarding {
    Guarding { pause: FOR_EVER, longest_pause: FOR_EVER, ..Guarding::default() }
}

/// Lists until the breaker is open, which must be soon.
async fn open(world: &World) {
    for _ in 0..MANY {
        let answer = world.door.get("/v2/images?limit=100").await;
        if world.check(&answer, None, 100).state == SourceState::Open {
            return;
        }
    }
    panic!("{}: the breaker does not open", world.case);
}

/// Whether a fault is one of a backend that is down or broken, and not a refusal.
fn is_failure(fault: Fault) -> bool {
    matches!(fault.listed(), Listed::Absent(_)) && !matches!(fault, Fault::Answers(400..500))
}

fn failures() -> Vec<Fault> {
    Fault::ALL.into_iter().filter(|fault| is_failure(*fault)).collect()
}

#[tokio::test]
async fn a_backend_whose_breaker_is_open_is_not_asked_and_named_open() {
    let neighbours = Neighbours::new().await;
    case::of(&failures(), |case| {
        let neighbours = neighbours.clone();
        async move {
            let mut world = World::guarded(neighbours, case, lasting()).await;
            world.fails().await;
            open(&world).await;
            let before = world.taken();
            let answer = world.door.get("/v2/images?limit=3").await;
            assert_eq!(world.check(&answer, None, 3).state, SourceState::Open, "{case}");
            for member in world.well() {
                world.door.get(&format!("/v2/images/{}", world.image_of(member).id())).await.expect(200);
            }
            // That it is not asked does not make it hold nothing.
            world.door.get("/v2/images/00000000-0000-4000-8000-000000000000").await.expect(503);
            assert_eq!(world.taken(), before, "{case}: it was asked all the same");
        }
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_is_well_again_is_let_back_in() {
    case::every(|case, neighbours| async move {
        if !is_failure(case.fault) {
            return;
        }
        // Long enough for the next list to find it open, also on a busy machine.
        let pause = Duration::from_secs(1);
        let guarding = Guarding { pause, longest_pause: pause, ..Guarding::default() };
        let mut world = World::guarded(neighbours, case, guarding).await;
        world.fails().await;
        open(&world).await;
        world.heals().await;
        world.check_nothing_is_lost().await;
    })
    .await;
}

#[tokio::test]
async fn no_number_of_refusals_opens_a_breaker() {
    let refusals = [401, 403, 404, 429].map(Fault::Answers);
    let neighbours = Neighbours::new().await;
    case::of(&refusals, |case| {
        let neighbours = neighbours.clone();
        async move {
            let mut world = World::guarded(neighbours, case, lasting()).await;
            world.fails().await;
            for _ in 0..MANY {
                let answer = world.door.get("/v2/images?limit=3").await;
                assert!(case.fault.allows(world.check(&answer, None, 3).state), "{case}: {answer:?}");
            }
            world.heals().await;
            world.check_nothing_is_lost().await;
        }
    })
    .await;
}
