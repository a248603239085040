//! What projects may have by what a Keystone keeps.

use std::sync::Arc;

use image_service::ErrorKind;
use portico::quotas::{LimitSource as _, Limits, Unified};
use serde_json::json;

use super::{Keystone, PASSWORD, address, paper};
use portico_keystone::{Credential, Options, Session};

async fn unified(keystone: &Keystone, otherwise: Limits) -> Unified {
    paper::ready();
    let credential: Credential =
        toml::from_str(&format!("username = 'portico'\npassword = '{PASSWORD}'\nsystem_scope = 'all'"))
            .unwrap();
    let session = Session::open(Options::new(address(keystone.url()), credential)).await.unwrap();
    let (session, region) = (Arc::new(session), Some(String::from("one")));
    Unified { session, service_type: "image".into(), region, otherwise }
}

#[tokio::test]
async fn keystones_limits_go_before_ours_and_less_than_nothing_is_no_limit() {
    let keystone = Keystone::start().await;
    let of = |name: &str, key: &str, limit: i64| json!({"resource_name": name, key: limit, "region_id": "one", "project_id": "red"});
    keystone.ledger().pages = [
        ("/v3/services?type=image", json!({"services": [{"id": "s"}]})),
        (
            "/v3/registered_limits?service_id=s",
            json!({"registered_limits": [
                of("image_count_total", "default_limit", 10), of("image_size_total", "default_limit", -1),
            ]}),
        ),
        (
            "/v3/limits?service_id=s&project_id=red",
            json!({"limits": [of("image_count_total", "resource_limit", 5)]}),
        ),
    ]
    .map(|(path, page)| (path.to_owned(), page))
    .into();
    let ours =
        Limits { size_total: Some(1), count_total: Some(2), stage_total: Some(3), count_uploading: None };
    let limits = unified(&keystone, ours).await.limits("red").await.unwrap();
    let expected =
        Limits { size_total: None, count_total: Some(5), stage_total: Some(3), count_uploading: None };
    assert_eq!(limits, expected);
}

#[tokio::test]
async fn a_keystone_that_does_not_tell_leaves_limits_unknown() {
    let keystone = Keystone::start().await;
    let error = unified(&keystone, Limits::default()).await.limits("red").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!error.message().contains("127.0.0.1"), "{error}");
}
