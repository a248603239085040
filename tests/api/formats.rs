//! Data that is not what its image declares, or that refers to other files.

use serde_json::json;
use std::sync::Arc;

use crate::door::{Door, get, id_of, memory, post, put};
use portico::federation::{Backend, Federation, Formats, Settings};

fn door(formats: Formats) -> Door {
    let backend = Backend {
        name: "local".into(),
        kind: "memory".into(),
        description: None,
        service: Arc::new(memory()),
        deadline: std::time::Duration::from_secs(10),
    };
    let settings = Settings { formats, ..Settings::default() };
    Door::to(Arc::new(Federation::new(vec![backend], settings).unwrap()))
}

fn qcow2(backing: u64) -> Vec<u8> {
    let mut image = vec![0; 100_000];
    image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
    image[8..16].copy_from_slice(&backing.to_be_bytes());
    image[24..32].copy_from_slice(&(1_u64 << 30).to_be_bytes());
    image
}

async fn queued(door: &Door, disk: &str, container: &str) -> String {
    let record = json!({"disk_format": disk, "container_format": container});
    id_of(&door.ask(post("/v2/images").json(&record)).await.expect(201).json())
}

#[tokio::test]
async fn what_does_not_fit_is_415_and_the_image_can_be_given_what_does() {
    let door = door(Formats::Checked);
    let id = queued(&door, "qcow2", "bare").await;
    let file = format!("/v2/images/{id}/file");
    for (data, why) in [
        (b"plain".to_vec(), "disk_format: the image is said to be qcow2 and its data is raw"),
        (qcow2(4096), "the image refers to a backing file"),
    ] {
        let answer = door.ask(put(&file).octets(data)).await.expect(415);
        assert_eq!(answer.message(), why);
        let shown = door.show(&id).await;
        assert_eq!((&shown["status"], &shown["size"]), (&json!("queued"), &json!(null)));
    }
    door.ask(put(&file).octets(qcow2(0))).await.expect(204);
    let shown = door.show(&id).await;
    assert_eq!((&shown["size"], &shown["virtual_size"]), (&json!(100_000), &json!(1_u64 << 30)));
    assert_eq!(door.ask(get(&file)).await.expect(200).body, qcow2(0));
}

#[tokio::test]
async fn what_is_wrapped_is_not_looked_into_and_nothing_is_where_nobody_wants_it() {
    let checked = door(Formats::Checked);
    let id = queued(&checked, "qcow2", "ova").await;
    checked.ask(put(format!("/v2/images/{id}/file")).octets("plain")).await.expect(204);
    let unchecked = door(Formats::Unchecked);
    let id = queued(&unchecked, "qcow2", "bare").await;
    unchecked.ask(put(format!("/v2/images/{id}/file")).octets("plain")).await.expect(204);
    assert_eq!(unchecked.show(&id).await["virtual_size"], 5);
}
