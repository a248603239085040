//! What a project may have, and what it is told of it.

use std::sync::Arc;

use image_service::ImageService;
use portico::api::{Front, Settings};
use portico::quotas::{Limits, Quotas};
use serde_json::{Value, json};

use crate::door::{Answer, Door, delete, get, id_of, memory, post, put};

const MEBIBYTE: usize = 1 << 20;

fn door(limits: Limits) -> Door {
    let service: Arc<dyn ImageService> = Arc::new(memory());
    Door::before(service, Settings::default(), |front: Front| {
        front.with_quotas(Some(Quotas::new(Arc::new(limits))))
    })
}

async fn create(door: &Door, caller: &str) -> Answer {
    let record = json!({"disk_format": "raw", "container_format": "bare", "visibility": "private"});
    door.ask(post("/v2/images").json(&record).by(caller)).await
}

async fn queued(door: &Door, caller: &str) -> String {
    let answer = create(door, caller).await.expect(201);
    id_of(&answer.json())
}

async fn upload(door: &Door, id: &str, bytes: usize) -> Answer {
    door.ask(put(format!("/v2/images/{id}/file")).octets(vec![7; bytes]).by("a")).await
}

async fn usage(door: &Door) -> Value {
    door.ask(get("/v2/info/usage").by("a")).await.expect(200).json()["usage"].clone()
}

#[tokio::test]
async fn a_project_makes_as_many_images_as_it_may_and_room_comes_back() {
    let door = door(Limits { count_total: Some(2), ..Limits::default() });
    let first = queued(&door, "a").await;
    queued(&door, "a").await;
    let answer = create(&door, "a").await.expect(413);
    assert!(answer.message().contains("image_count_total"), "{}", answer.message());
    // Nobody else's images count, and theirs is another quota.
    queued(&door, "b").await;
    door.ask(delete(format!("/v2/images/{first}")).by("a")).await.expect(204);
    queued(&door, "a").await;
}

#[tokio::test]
async fn bytes_may_go_over_once_and_no_further() {
    let door = door(Limits { size_total: Some(1), ..Limits::default() });
    let (one, two, three) = (queued(&door, "a").await, queued(&door, "a").await, queued(&door, "a").await);
    upload(&door, &one, MEBIBYTE).await.expect(204);
    upload(&door, &two, MEBIBYTE).await.expect(204);
    upload(&door, &three, 1).await.expect(413);
    // Nothing of what was refused has come.
    let shown = door.ask(get(format!("/v2/images/{three}")).by("a")).await.expect(200);
    assert_eq!(shown.json()["status"], "queued");
    door.ask(delete(format!("/v2/images/{one}")).by("a")).await.expect(204);
    upload(&door, &three, 1).await.expect(204);
}

#[tokio::test]
async fn usage_tells_what_there_is_of_each_and_how_much_there_may_be() {
    let door = door(Limits { size_total: Some(5), count_total: Some(7), ..Limits::default() });
    let id = queued(&door, "a").await;
    queued(&door, "b").await;
    upload(&door, &id, 2 * MEBIBYTE + 5).await.expect(204);
    assert_eq!(
        usage(&door).await,
        json!({
            "image_size_total": {"usage": 2, "limit": 5},
            "image_stage_total": {"usage": 0, "limit": -1},
            "image_count_total": {"usage": 1, "limit": 7},
            "image_count_uploading": {"usage": 0, "limit": -1},
        })
    );
}

#[tokio::test]
async fn without_quotas_there_is_no_usage_to_tell() {
    let door = Door::to_memory();
    queued(&door, "a").await;
    assert_eq!(usage(&door).await, json!({}));
}
