//! One image by its id while a backend misbehaves: theirs, its own, and one that nobody has.

use image_service::ImageId;

use crate::case;
use crate::fault::{Fault, Shown};
use crate::upstream::Where;
use crate::world::{FAULTY, Neighbours, World};

#[tokio::test]
async fn the_others_images_are_shown_and_downloaded() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        world.fails().await;
        for member in world.well() {
            let entry = world.image_of(member);
            let path = format!("/v2/images/{}", entry.id());
            let image = world.door.get(&path).await.expect(200).json();
            assert_eq!(image["name"].as_str(), entry.image.name.as_deref(), "{case}");
            assert_eq!(image["stores"], member, "{case}");
            let data = world.door.get(&format!("{path}/file")).await.expect(200).body;
            assert_eq!(data.as_ref(), Some(&entry.data), "{case}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_id_that_nobody_has_is_not_found_only_if_everybody_says_so() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        world.fails().await;
        let status = if case.fault.hides_absence() { 503 } else { 404 };
        let path = format!("/v2/images/{}", ImageId::random());
        for path in [path.clone(), format!("{path}/file")] {
            let answer = world.door.get(&path).await.expect(status);
            assert!(status == 404 || answer.message().contains(FAULTY), "{case}: {answer:?}");
        }
        world.heals().await;
        world.check_nothing_is_lost().await;
        world.get(&path).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn an_image_of_the_one_that_fails_is_not_said_to_be_gone() {
    case::every(|case, neighbours| async move {
        let mut world = World::among(neighbours, case).await;
        let entry = world.image_of(FAULTY).clone();
        let path = format!("/v2/images/{}", entry.id());
        // Whether it was seen there before or not.
        for seen in [false, true] {
            if seen {
                world.check_nothing_is_lost().await;
            }
            world.fails().await;
            for path in [path.clone(), format!("{path}/file")] {
                let answer = world.door.get(&path).await;
                match case.fault.shown() {
                    Shown::Silence | Shown::Garbled => assert_eq!(answer.status, 503, "{case}: {answer:?}"),
                    Shown::Denial => assert_eq!(answer.status, 404, "{case}: {answer:?}"),
                    Shown::Truth => assert_eq!(answer.status, 200, "{case}: {answer:?}"),
                }
            }
            world.heals().await;
        }
        world.check_nothing_is_lost().await;
        world.get(&path).await.expect(200);
        let data = world.get(&format!("{path}/file")).await.expect(200).body;
        assert_eq!(data, Some(entry.data), "{case}");
    })
    .await;
}

/// Faults that image data can have, but for silence in small pieces: bytes that come are no silence.
const OF_DATA: [Fault; 15] = [
    Fault::ResetsRequests,
    Fault::ResetsMidBody,
    Fault::EndsMidHead,
    Fault::AnnouncesTooMuch,
    Fault::AnnouncesTooLittle,
    Fault::Answers(401),
    Fault::Answers(403),
    Fault::Answers(404),
    Fault::Answers(429),
    Fault::Answers(500),
    Fault::Answers(503),
    Fault::NoJson,
    Fault::WrongShape,
    Fault::EndlessBody,
    Fault::SilentBehindHead,
];

#[tokio::test]
async fn data_that_cannot_be_had_whole_never_looks_whole() {
    let neighbours = Neighbours::new().await;
    case::of(&OF_DATA, |case| {
        let neighbours = neighbours.clone();
        async move {
            let mut world = World::among(neighbours, case).await;
            let entry = world.image_of(FAULTY).clone();
            world.turns(Some((case.fault, Where::InData))).await;
            let answer = world.door.get(&format!("/v2/images/{}/file", entry.id())).await;
            // The data itself, and then no end: what was asked for is whole.
            let is_whole = case.fault == Fault::EndlessBody;
            if answer.status == 200 {
                let length = answer.headers["content-length"].to_str().unwrap();
                assert_eq!(length, entry.data.len().to_string(), "{case}");
                assert_eq!(answer.body.is_some(), is_whole, "{case}");
                assert!(answer.body.is_none_or(|body| body == entry.data), "{case}");
            } else {
                assert!(answer.status >= 400 && !is_whole, "{case}: {answer:?}");
            }
            // Its records are as well as ever.
            world.check_nothing_is_lost().await;
        }
    })
    .await;
}
