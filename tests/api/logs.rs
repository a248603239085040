//! What the operator reads of a request, and what must never be written down.

use std::sync::Arc;

use image_service::ErrorKind;
use serde_json::{Value, json};

use crate::door::{Ask, Door, get, memory, post};
use crate::flawed::{Flaw, Flawed};
use crate::paper;

/// The lines that asking leaves in the log, the most talkative level included.
async fn logged(door: &Door, ask: Ask) -> Vec<Value> {
    let sheet = paper::lay();
    door.ask(ask).await;
    sheet.lines()
}

#[tokio::test]
async fn each_request_is_one_line_by_its_template() {
    let door = Door::to_memory();
    let ask = get("/v2.7/images/some-id/file").header("x-openstack-request-id", "req-1");
    let lines = logged(&door, ask).await;
    let told: Vec<&Value> = lines.iter().filter(|line| line["level"] == "INFO").collect();
    let [line] = told.as_slice() else { panic!("not one line: {told:?}") };
    assert_eq!(line["fields"]["status"], 404);
    assert!(line["fields"]["duration_ms"].is_number());
    assert_eq!(line["span"]["request_id"], "req-1");
    assert_eq!(line["span"]["method"], "GET");
    assert_eq!(line["span"]["route"], "/v2/images/{id}/file");
}

#[tokio::test]
async fn neither_tokens_nor_names_are_written_down() {
    let door = Door::to_memory();
    for ask in [
        post("/v2/images").json(&json!({"name": "hush", "hush": "hush", "tags": ["hush"]})),
        post("/v2/images").json(&json!({"name": ["hush"]})),
        get("/v2/images?name=hush&hush=hush"),
        get("/hush/hush"),
    ] {
        let ask = ask.header("x-auth-token", "hush");
        let lines = logged(&door, ask).await;
        assert!(!lines.is_empty());
        assert!(!json!(lines).to_string().contains("hush"), "{lines:?}");
    }
}

#[tokio::test]
async fn the_operator_gets_the_chain_that_the_client_does_not() {
    let flaw = Flaw::Fails(ErrorKind::Unavailable);
    let door = Door::to(Arc::new(Flawed { inner: Arc::new(memory()), flaw }));
    let lines = logged(&door, get("/v2/images/x")).await;
    let warning = lines.iter().find(|line| line["level"] == "WARN").unwrap();
    let chain = warning["fields"]["chain"].as_str().unwrap();
    assert_eq!(chain, "told in our words: told in the words of upstream");
    assert!(warning["span"]["request_id"].is_string());
}
