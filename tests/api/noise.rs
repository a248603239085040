//! Requests that nobody would send: none is a server's error, and every refusal is told the same way.

use std::sync::Arc;

use portico::api::Settings;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::Config;
use serde_json::json;

use crate::door::{Ask, Door, PATCH, ask, memory};

const ID: &str = "b2173dd3-7ad6-4362-baa6-a68bce3565cb";

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "v2", "v2.1", "v1", "images", ID, "file", "members", "tags", "actions", "deactivate", "reactivate",
            "stage", "import", "locations", "schemas", "image", "info", "stores", "detail", "usage", "cache",
            "tasks", "metadefs", "namespaces", "versions", "shared-images", "",
        ]).prop_map(str::to_owned),
        1 => "(%[0-9a-f]{2}|[a-z~.+;=@-]|%zz){0,6}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let rest = prop::collection::vec(segment().boxed(), 0..5).prop_map(|segments| segments.join("/")).boxed();
    prop_oneof![
        3 => rest.clone().prop_map(|rest| format!("/v2/images/{ID}/{rest}")),
        2 => rest.clone().prop_map(|rest| format!("/v2/{rest}")),
        1 => rest.clone().prop_map(|rest| format!("/v1/images/{ID}/{rest}")),
        1 => "/v1/images(/detail)?",
        1 => Just(format!("/v1/images/{ID}")),
        1 => rest.clone().prop_map(|rest| format!("/v1/{rest}")),
        1 => rest.prop_map(|rest| format!("/{rest}")),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "limit",
        "marker",
        "cursor",
        "sort",
        "sort_key",
        "sort_dir",
        "name",
        "id",
        "status",
        "tag",
        "visibility",
        "created_at",
        "size_min",
        "x_max",
        "os_hidden",
        "is_public",
        "changes-since",
        "property-x",
        "protected",
        "member_status",
        "colour",
        "%",
    ]);
    let value = "([a-z0-9:,%\"+._-]|%[0-9a-f]{2}|in:|eq:|gt:){0,8}".prop_map(|text| text.replace('"', "%22"));
    let pair = (key, value).prop_map(|(key, value)| format!("{key}={value}"));
    prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let key =
        prop::sample::select(vec!["name", "id", "tags", "owner", "min_ram", "member", "status", "x", "op"]);
    let value = prop_oneof![
        any::<i64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(|text| json!(text)),
        prop::sample::select(vec![json!(null), json!([]), json!({}), json!(["a"]), json!(true)]),
    ];
    let operation = (prop::sample::select(vec!["add", "replace", "remove", "x"]), key.clone(), value.clone())
        .prop_map(|(op, key, value)| json!([{"op": op, "path": format!("/{key}"), "value": value}]));
    prop_oneof![
        2 => prop::collection::btree_map(key.prop_map(str::to_owned), value, 0..3)
            .prop_map(|object| json!(object).to_string().into_bytes()),
        2 => operation.prop_map(|operations| operations.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        2 => prop::sample::select(vec![Vec::new()]),
    ]
}

fn header() -> impl Strategy<Value = Option<(&'static str, String)>> {
    let name = prop::sample::select(vec![
        "content-type",
        "range",
        "content-range",
        "content-length",
        "x-openstack-image-size",
        "x-image-meta-store",
        "x-image-meta-size",
        "x-image-meta-checksum",
        "x-image-meta-is_public",
        "x-image-meta-disk_format",
        "x-image-meta-location",
        "x-image-meta-property-x",
        "x-glance-api-copy-from",
        "x-glance-registry-purge-props",
        "x-openstack-request-id",
        "portico-partial",
        "accept",
        "host",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            PATCH,
            "application/octet-stream",
            "bytes=0-1",
            "bytes 0-1/*",
            "3",
            "refuse"
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,80}",
    ];
    prop::option::of((name, value))
}

fn request() -> impl Strategy<Value = Ask> {
    let method = prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
    let caller = prop::sample::select(vec!["a", "b", "a:reader", "x:admin"]);
    let headers = prop::collection::vec(header(), 0..3);
    (method, path(), query(), caller, headers, body()).prop_map(
        |(method, path, query, caller, headers, body)| {
            let path = if query.is_empty() { path } else { format!("{path}?{query}") };
            let mut request = ask(method, path).by(caller).body(body);
            for (name, value) in headers.into_iter().flatten() {
                request = request.header(name, &value);
            }
            request
        },
    )
}

proptest! {
    #![proptest_config(Config { cases: 2_000, ..Config::default() })]

    // `Door::ask` checks of every answer that it has a request id and, if it refuses, the one shape.
    #[test]
    fn no_request_is_a_servers_error(request in request()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let settings = Settings { v1: true, ..Settings::default() };
            let door = Door::with(Arc::new(memory()), settings);
            door.create(json!({"id": ID, "disk_format": "raw", "container_format": "bare"})).await;
            let shown = format!("{request:?}");
            let answer = door.ask(request).await;
            assert!(answer.status < 500, "{} to {shown}", answer.status);
        });
    }
}
