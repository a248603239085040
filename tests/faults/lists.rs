//! One page while a backend misbehaves: what is there, who is named, and what comes back.

use http::Request;
use image_service::SourceState;

use axum::body::Body;

use crate::case;
use crate::fault::Listed;
use crate::world::{FAULTY, World};

#[tokio::test]
async fn a_list_is_what_the_others_hold_and_names_the_one_that_fails() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        world.fails().await;
        let answer = world.door.get("/v2/images?limit=100").await;
        let page = world.check(&answer, None, 100);
        assert!(case.fault.allows(page.state), "{case}: {}", page.state);
        let is_caught = case.fault.listed() != Listed::Either || page.state == SourceState::Error;
        assert!(is_caught, "{case}: a page that is none was taken for one");
        let answer = world.door.get("/v2/images?limit=3").await;
        let page = world.check(&answer, None, 3);
        assert!(case.fault.allows_later(page.state), "{case}: {}", page.state);
        world.heals().await;
        world.check_nothing_is_lost().await;
    })
    .await;
}

#[tokio::test]
async fn a_list_that_must_be_whole_is_refused_and_names_the_one_that_fails() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        world.fails().await;
        let request = Request::get("/v2/images?limit=100").header("portico-partial", "refuse");
        let answer = world.door.ask(request.body(Body::empty()).unwrap()).await;
        if case.fault.listed() == Listed::Whole {
            assert_eq!(world.check(&answer, None, 100).state, SourceState::Ok);
            return;
        }
        let message = answer.expect(503).message();
        let (_, named) = message.split_once(": ").unwrap();
        let (name, state) = named.split_once(' ').unwrap();
        assert_eq!(name, FAULTY, "{case}: {message}");
        let state: SourceState = state.trim_matches(['(', ')']).parse().unwrap();
        assert!(case.fault.allows(state) && state != SourceState::Ok, "{case}: {message}");
    })
    .await;
}

#[tokio::test]
async fn a_list_by_name_is_as_exact_as_one_by_time() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        world.catalogue.sort_by(|a, b| a.image.name.cmp(&b.image.name));
        world.fails().await;
        let (mut path, mut after) = ("/v2/images?limit=7&sort=name:asc".to_owned(), None);
        let mut walked = Vec::new();
        for _ in 0..world.catalogue.len() {
            let answer = world.door.get(&path).await;
            let page = world.check(&answer, after.as_deref(), 7);
            assert!(case.fault.allows_later(page.state), "{case}: {}", page.state);
            after = page.ids.last().cloned();
            walked.extend(page.ids);
            let Some(next) = page.next else { return world.check_walk(&walked) };
            path = next;
        }
        panic!("{case}: the walk does not end");
    })
    .await;
}
