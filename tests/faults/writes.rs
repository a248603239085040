//! Writes to backends that are well while another misbehaves.

use http::Method;
use image_service::ImageId;
use serde_json::{Value, json};

use crate::case;
use crate::fault::{Fault, Shown};
use crate::world::{FAULTY, World};

const JSON: &str = "application/json";
const PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// All images, once all backends answer again.
async fn images(world: &World) -> Vec<Value> {
    world.get("/v2/images?limit=100").await.expect(200).json()["images"].as_array().unwrap().clone()
}

async fn ids(world: &World) -> Vec<String> {
    let images = images(world).await;
    let mut ids: Vec<String> = images.iter().map(|image| image["id"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}

fn known(world: &World) -> Vec<String> {
    let mut ids: Vec<String> = world.catalogue.iter().map(|entry| entry.id().to_owned()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn an_image_is_made_where_it_should_be_unless_its_id_may_be_taken() {
    case::of(&Fault::ALL, |case| async move {
        let mut world = World::of(case).await;
        world.fails().await;
        let made =
            world.door.send(Method::POST, "/v2/images", JSON, &json!({"name": "new"})).await.expect(201);
        let mut expected = known(&world);
        expected.push(made.json()["id"].as_str().unwrap().to_owned());
        // Of an id that the client chooses, nobody can say that it is free while one is silent.
        let id = ImageId::random().to_string();
        let chosen = world.door.send(Method::POST, "/v2/images", JSON, &json!({"id": id})).await;
        if case.fault.hides_absence() {
            chosen.expect(503);
        } else {
            chosen.expect(201);
            expected.push(id);
        }
        world.heals().await;
        expected.sort_unstable();
        assert_eq!(ids(&world).await, expected, "{case}");
    })
    .await;
}

#[tokio::test]
async fn the_others_images_are_changed_and_deleted_and_stay_so() {
    case::of(&Fault::ALL, |case| async move {
        let mut world = World::of(case).await;
        world.fails().await;
        let mut expected = known(&world);
        for member in world.well() {
            let held: Vec<&str> = world
                .catalogue
                .iter()
                .filter(|entry| entry.member == member)
                .map(|entry| entry.id())
                .collect();
            let changed = format!("/v2/images/{}", held[0]);
            let change = json!([{"op": "replace", "path": "/name", "value": "changed"}]);
            let answer = world.door.send(Method::PATCH, &changed, PATCH, &change).await.expect(200);
            assert_eq!(answer.json()["name"], "changed", "{case}: {member}");
            let deleted = format!("/v2/images/{}", held[1]);
            world.door.delete(&deleted).await.expect(204);
            expected.retain(|id| id != held[1]);
        }
        world.heals().await;
        assert_eq!(ids(&world).await, expected, "{case}");
        for member in world.well() {
            let path = format!("/v2/images/{}", world.image_of(member).id());
            assert_eq!(world.get(&path).await.expect(200).json()["name"], "changed", "{case}: {member}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_write_to_what_may_be_with_the_one_that_fails_goes_nowhere_else() {
    case::of(&Fault::ALL, |case| async move {
        if !matches!(case.fault.shown(), Shown::Silence | Shown::Garbled) {
            return;
        }
        let mut world = World::of(case).await;
        let before: Vec<Value> = images(&world).await;
        world.fails().await;
        let path = format!("/v2/images/{}", world.image_of(FAULTY).id());
        let change = json!([{"op": "replace", "path": "/name", "value": "changed"}]);
        world.door.send(Method::PATCH, &path, PATCH, &change).await.expect(503);
        world.door.delete(&path).await.expect(503);
        world.heals().await;
        assert_eq!(ids(&world).await, known(&world), "{case}");
        assert_eq!(images(&world).await, before, "{case}");
    })
    .await;
}
