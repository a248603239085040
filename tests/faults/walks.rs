//! Walks while a backend misbehaves all the time, or from some page on, or until some page.

use crate::case;
use crate::world::World;

/// Small enough for several pages, so that something can happen between them.
const LIMIT: usize = 6;

/// The state of the backend for each page, as far as it changes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Fails(usize),
    Heals(usize),
}

/// How a client asks for the page behind an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Next,
    Marker,
}

/// Walks while `turns` happen, each before the page of its number, and checks each page and the whole.
async fn walk(world: &mut World, by: By, turns: &[Turn]) -> Vec<String> {
    let case = world.case;
    let (mut path, mut after) = (format!("/v2/images?limit={LIMIT}"), None);
    let mut walked: Vec<String> = Vec::new();
    for number in 0..=world.catalogue.len() {
        for turn in turns {
            match turn {
                Turn::Fails(at) if *at == number => world.fails().await,
                Turn::Heals(at) if *at == number => world.heals().await,
                _ => {}
            }
        }
        let page = world.page(&path, after.as_deref(), LIMIT).await;
        let Some(last) = page.ids.last().cloned() else { break };
        walked.extend(page.ids);
        path = match (by, page.next) {
            (By::Next, None) => break,
            (By::Next, Some(next)) => next,
            // Until a page is empty.
            (By::Marker, _) => format!("/v2/images?limit={LIMIT}&marker={last}"),
        };
        assert!(walked.len() <= world.catalogue.len(), "{case}: the walk goes round in circles");
        after = Some(last);
    }
    world.check_walk(&walked);
    walked
}

#[tokio::test]
async fn a_walk_by_next_without_one_backend_is_exact() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        walk(&mut world, By::Next, &[Turn::Fails(0)]).await;
        world.heals().await;
        world.check_nothing_is_lost().await;
    })
    .await;
}

#[tokio::test]
async fn a_walk_by_marker_without_one_backend_is_exact() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        walk(&mut world, By::Marker, &[Turn::Fails(0)]).await;
        world.heals().await;
        world.check_nothing_is_lost().await;
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_fails_between_two_pages_does_not_end_the_walk() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        let walked = walk(&mut world, By::Next, &[Turn::Fails(1)]).await;
        // The page before was whole.
        let before: Vec<&str> = world.catalogue[..LIMIT].iter().map(|entry| entry.id()).collect();
        assert_eq!(walked[..LIMIT], before, "{case}");
        world.heals().await;
        world.check_nothing_is_lost().await;
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_comes_and_goes_joins_the_walk_and_loses_no_image_of_the_others() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        // The marker's image may be with the one that has just gone.
        let by = if case.position.is_multiple_of(2) { By::Next } else { By::Marker };
        walk(&mut world, by, &[Turn::Fails(0), Turn::Heals(1), Turn::Fails(2)]).await;
    })
    .await;
}
