//! What goes over the wire to a server of the Images API v1, and what its answers come to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use futures::TryStreamExt;
use image_service::{
    ByteRange, Caller, Context, Error, ErrorKind, ImageChange, ImageId, ImageService, MemberStatus, NewImage,
    Status, Upload, Visibility,
};
use portico_http::{Dialect, GlanceV1, Options};
use serde_json::{Value, json};
use server::{Call, Ended, Server, answer, chunks, id, reply};

fn options(server: &Server) -> Options {
    let endpoint = format!("http://{}", server.address).parse().unwrap();
    Options {
        answer_timeout: Duration::from_secs(10),
        settle_timeout: Duration::from_millis(1),
        ..Options::new(Dialect::GlanceV1, endpoint)
    }
}

async fn glance(server: &Server) -> GlanceV1 {
    GlanceV1::open("there", options(server)).await.unwrap()
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-v1")
}

fn member() -> Context {
    Context::new(Caller::member_of("theirs"), "req-v1")
}

/// A record as this API has it.
fn record(number: usize) -> Value {
    json!({
        "id": id(number), "name": "debian", "status": "active", "is_public": true, "owner": "ours", "size": 6,
        "disk_format": "raw", "container_format": "bare", "checksum": "e80b5017098950fc58aad83c8c14978e",
        "protected": false, "min_disk": 0, "min_ram": 0, "created_at": "2012-03-04T05:06:07.890000",
        "updated_at": "2012-03-04T05:06:08.000000", "deleted": false, "deleted_at": null,
        "properties": {"kernel_id": "k", "os_distro": "debian"},
    })
}

/// The same in headers.
fn headers(record: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => if *flag { "True" } else { "False" }.to_owned(),
        other => other.to_string(),
    };
    let attributes = record.as_object().unwrap().iter().filter(|(name, _)| *name != "properties");
    let attributes = attributes.map(|(name, value)| (format!("x-image-meta-{name}"), value));
    let properties = record["properties"].as_object().unwrap().iter();
    let properties = properties.map(|(name, value)| (format!("x-image-meta-property-{name}"), value));
    let all = attributes.chain(properties).filter(|(_, value)| !value.is_null());
    all.map(|(name, value)| (name, text(value))).collect()
}

fn shown(record: &Value, body: Body) -> Response {
    let mut response = reply(200, &[], body);
    // What cannot stand in a header is not in one.
    for (name, value) in headers(record) {
        let name = name.parse::<axum::http::HeaderName>();
        if let (Ok(name), Ok(value)) = (name, value.trim().parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What headers of this API there are in a request.
fn meta(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
    let ours = headers.iter().filter(|(name, _)| {
        name.as_str().starts_with("x-image-meta-") || name.as_str().starts_with("x-glance-")
    });
    ours.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// A server of one image, which answers writes as if it had made them.
async fn of_one(record: Value) -> Server {
    let held = Mutex::new(record);
    Server::start(move |call| {
        let mut held = held.lock().unwrap();
        match call.method {
            Method::HEAD => shown(&held, Body::empty()),
            Method::PUT | Method::POST if !call.path.contains("members") => {
                write(&mut held, call);
                let status = if call.method == Method::POST { 201 } else { 200 };
                answer(status, &json!({"image": *held}))
            }
            Method::DELETE => reply(200, &[], Body::empty()),
            _ => reply(404, &[], Body::empty()),
        }
    })
    .await
}

fn write(record: &mut Value, call: &Call) {
    let sent = meta(&call.headers);
    if sent.get("x-glance-registry-purge-props").is_none_or(|purge| purge == "true") {
        record["properties"] = json!({});
    }
    for (name, value) in sent {
        let Some(field) = name.strip_prefix("x-image-meta-") else { continue };
        match field.strip_prefix("property-") {
            Some(key) => record["properties"][key.replace('-', "_")] = json!(value),
            None => match field.replace('-', "_").as_str() {
                "is_public" => record["is_public"] = json!(value == "True"),
                "protected" => record["protected"] = json!(value == "True"),
                number @ ("min_disk" | "min_ram" | "size") => {
                    record[number] = json!(value.parse::<u64>().unwrap());
                }
                text => record[text] = if value.is_empty() { Value::Null } else { json!(value) },
            },
        }
    }
    if !call.body.0.is_empty() {
        record["size"] = json!(call.body.0.len());
        record["status"] = json!("active");
    }
}

fn draft() -> NewImage {
    NewImage {
        name: Some("ä b".into()),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        visibility: Some(Visibility::Public),
        protected: true,
        min_disk: 3,
        properties: [("os_distro".to_owned(), "debian".to_owned())].into(),
        ..NewImage::default()
    }
}

fn queued() -> Value {
    let mut record = record(1);
    record["status"] = json!("queued");
    record["size"] = json!(0);
    record["checksum"] = Value::Null;
    record["properties"] = json!({});
    record
}

fn property(key: &str, value: Option<&str>) -> ImageChange {
    ImageChange { properties: [(key.to_owned(), value.map(str::to_owned))].into(), ..ImageChange::default() }
}

#[tokio::test]
async fn a_new_image_goes_out_in_headers_and_comes_back_as_it_was_sent() {
    let server = of_one(queued()).await;
    let made = glance(&server).await.create(&admin(), draft(), None).await.unwrap();
    assert_eq!((made.name.as_deref(), made.status, made.size), (Some("ä b"), Status::Queued, None));
    let call = server.calls().pop().unwrap();
    assert_eq!((call.method, call.path.as_str()), (Method::POST, "/v1/images"));
    let expected = [
        ("x-image-meta-container-format", "bare"),
        ("x-image-meta-disk-format", "raw"),
        ("x-image-meta-id", made.id.as_str()),
        ("x-image-meta-is-public", "True"),
        ("x-image-meta-min-disk", "3"),
        ("x-image-meta-min-ram", "0"),
        ("x-image-meta-name", "ä b"),
        ("x-image-meta-owner", ""),
        ("x-image-meta-property-os-distro", "debian"),
        ("x-image-meta-protected", "True"),
    ];
    let sent = meta(&call.headers);
    assert!(sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected), "{sent:?}");
}

#[tokio::test]
async fn what_would_become_something_else_is_invalid_and_nothing_is_sent() {
    let server = of_one(queued()).await;
    let glance = glance(&server).await;
    let with = |key: &str, value: &str| NewImage {
        properties: [(key.to_owned(), value.to_owned())].into(),
        ..draft()
    };
    for (new, what) in [
        (NewImage { tags: ["a".to_owned()].into(), ..draft() }, "tags"),
        (NewImage { hidden: true, ..draft() }, "os_hidden"),
        (NewImage { visibility: Some(Visibility::Private), ..draft() }, "visibility"),
        (NewImage { visibility: Some(Visibility::Community), ..draft() }, "visibility"),
        (NewImage { name: Some(String::new()), ..draft() }, "name"),
        (NewImage { name: Some(" a".into()), ..draft() }, "name"),
        (NewImage { name: Some("a\nb".into()), ..draft() }, "name"),
        (NewImage { disk_format: Some("ami".into()), ..draft() }, "disk_format"),
        (NewImage { container_format: Some("aki".into()), disk_format: None, ..draft() }, "container_format"),
        (with("Os", "a"), "'Os'"),
        (with("os-distro", "a"), "'os-distro'"),
        (with("hw:cpu", "a"), "'hw:cpu'"),
        (with("", "a"), "''"),
        (with("os", ""), "property-os"),
        (with("os", "a "), "property-os"),
        (with("os", &"a".repeat(9000)), "property-os"),
    ] {
        let error = glance.create(&admin(), new, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}");
        assert!(error.message().contains(what), "{what}: {error}");
    }
    assert_eq!(server.calls().len(), 0);
}

#[tokio::test]
async fn a_property_that_is_set_leaves_the_others_and_one_that_goes_takes_none_with_it() {
    let server = of_one(record(1)).await;
    let (glance, one) = (glance(&server).await, ImageId::lookup(id(1)));
    let expected = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let changed = glance.update(&admin(), &one, property("arch", Some("x86")), None).await.unwrap();
    let all = [("arch", "x86"), ("kernel_id", "k"), ("os_distro", "debian")];
    assert_eq!(changed.properties, expected(&all));
    let sent = meta(&server.calls().pop().unwrap().headers);
    let all = [("x-glance-registry-purge-props", "false"), ("x-image-meta-property-arch", "x86")];
    assert_eq!(sent, expected(&all));

    let changed = glance.update(&admin(), &one, property("kernel_id", None), None).await.unwrap();
    assert_eq!(changed.properties, expected(&[("arch", "x86"), ("os_distro", "debian")]));

    let rename = ImageChange { name: Some(None), ..ImageChange::default() };
    let changed = glance.update(&admin(), &one, rename, None).await.unwrap();
    assert_eq!((changed.name, changed.properties.len()), (None, 2));
}

#[tokio::test]
async fn no_property_goes_while_another_would_be_lost_or_become_something_else_by_it() {
    for (key, value, what) in [
        ("trait:HW_CPU", "required", "'trait:HW_CPU'"),
        ("OS_Type", "linux", "'OS_Type'"),
        ("os-type", "linux", "'os-type'"),
        ("blank", " a", "property-blank"),
        ("lines", "a\nb", "property-lines"),
    ] {
        let mut image = record(1);
        image["properties"] = json!({"kernel_id": "k", key: value});
        let server = of_one(image.clone()).await;
        let (glance, one) = (glance(&server).await, ImageId::lookup(id(1)));
        let error = glance.update(&admin(), &one, property("kernel_id", None), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{key}");
        assert!(error.message().contains(what), "{key}: {error}");
        let changes = server.calls().into_iter().filter(|call| call.method == Method::PUT);
        for call in changes {
            assert_eq!(
                meta(&call.headers),
                [("x-glance-registry-purge-props".into(), "false".into())].into()
            );
        }
    }
}

#[tokio::test]
async fn a_property_goes_by_the_name_that_it_is_shown_under() {
    let mut image = record(1);
    image["properties"] = json!({"OS_Type": "linux", "arch": "x86"});
    let server = of_one(image).await;
    let (glance, one) = (glance(&server).await, ImageId::lookup(id(1)));
    let changed = glance.update(&admin(), &one, property("os_type", None), None).await.unwrap();
    assert_eq!(changed.properties, [("arch".to_owned(), "x86".to_owned())].into());
}

#[tokio::test]
async fn a_change_of_nothing_is_not_sent() {
    let server = of_one(record(1)).await;
    let glance = glance(&server).await;
    let nothing = ImageChange { hidden: Some(false), tags: Some([].into()), ..property("none", None) };
    for change in [ImageChange::default(), nothing] {
        glance.update(&admin(), &ImageId::lookup(id(1)), change, None).await.unwrap();
    }
    assert_eq!(server.count(&Method::PUT, ""), 0);
}

#[tokio::test]
async fn a_server_that_keeps_something_else_than_was_sent_is_not_believed() {
    let server = Server::start(|call| match call.method {
        Method::POST => {
            let mut made = queued();
            made["id"] = json!(call.headers["x-image-meta-id"].to_str().unwrap());
            made["properties"] = json!({"os_distro": "Debian"});
            answer(201, &json!({"image": made}))
        }
        _ => reply(200, &[], Body::empty()),
    })
    .await;
    let new = NewImage { protected: false, ..draft() };
    let error = glance(&server).await.create(&admin(), new, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(server.count(&Method::DELETE, ""), 1);
}

#[tokio::test]
async fn data_goes_out_with_its_size_and_without_touching_properties() {
    let server = of_one(queued()).await;
    let new = NewImage { visibility: None, protected: false, ..draft() };
    let made = glance(&server).await.create(&admin(), new, Some(Upload::from_bytes("abcdef"))).await.unwrap();
    assert_eq!((made.status, made.size), (Status::Active, Some(6)));
    let call = server.calls().pop().unwrap();
    assert_eq!((&call.method, &call.body), (&Method::PUT, &("abcdef".into(), Ended::Whole)));
    let expected = [("x-glance-registry-purge-props", "false"), ("x-image-meta-size", "6")];
    assert!(meta(&call.headers).iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected));
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_no_image() {
    let killed = {
        let mut record = queued();
        record["status"] = json!("killed");
        record
    };
    let made = Mutex::new(queued());
    let server = Server::start(move |call| match call.method {
        Method::POST => {
            let mut made = made.lock().unwrap();
            write(&mut made, call);
            answer(201, &json!({"image": *made}))
        }
        Method::HEAD => {
            let mut killed = killed.clone();
            killed["id"] = json!(call.path.rsplit('/').next().unwrap());
            shown(&killed, Body::empty())
        }
        Method::DELETE => reply(200, &[], Body::empty()),
        _ => reply(400, &[], Body::empty()),
    })
    .await;
    let breaks = futures::stream::iter([
        Ok("abc".into()),
        Ok("def".into()),
        Err(Error::new(ErrorKind::Incomplete, "the client went away")),
    ]);
    let upload = Upload { stream: Box::pin(breaks), size: Some(9), store: None };
    let new = NewImage { protected: false, ..draft() };
    let error = glance(&server).await.create(&admin(), new, Some(upload)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert_eq!(server.count(&Method::DELETE, ""), 1);
}

#[tokio::test]
async fn what_this_api_has_no_word_for_is_not_implemented() {
    let server = of_one(record(1)).await;
    let off = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    let answer = glance(&server).await.update(&admin(), &ImageId::lookup(id(1)), off, None).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotImplemented);
}

#[tokio::test]
async fn a_part_is_cut_out_of_the_whole_while_little_is_read_in_vain() {
    let server = Server::start(|_| shown(&record(1), chunks(&["ab", "cd", "ef"]))).await;
    let one = ImageId::lookup(id(1));
    let patient = glance(&server).await;
    let bytes = |download: image_service::Download| async {
        let parts: Vec<_> = download.data.unwrap().into_stream().try_collect().await?;
        Ok::<_, Error>(parts.concat())
    };
    let range = Some(ByteRange::Between(3, 4));
    let part = bytes(patient.get(&admin(), &one, range).await.unwrap()).await.unwrap();
    assert_eq!(part, b"de");
    let strict = Options { skip_limit: bytesize::ByteSize::b(2), ..options(&server) };
    let strict = GlanceV1::open("there", strict).await.unwrap();
    assert_eq!(strict.get(&admin(), &one, range).await.unwrap_err().kind(), ErrorKind::NotImplemented);
}

#[tokio::test]
async fn data_that_ends_early_or_is_of_another_size_is_never_whole() {
    for (length, expected) in [(None, ErrorKind::Unavailable), (Some("5"), ErrorKind::Corrupt)] {
        let server = Server::start(move |call| {
            let body = if call.method == Method::HEAD { Body::empty() } else { chunks(&["abcde"]) };
            let mut response = shown(&record(1), body);
            if let Some(length) = length.filter(|_| call.method == Method::GET) {
                response.headers_mut().insert("content-length", length.parse().unwrap());
            }
            response
        })
        .await;
        let kind = match glance(&server).await.get(&admin(), &ImageId::lookup(id(1)), None).await {
            Ok(download) => {
                let read: Result<Vec<_>, _> = download.data.unwrap().into_stream().try_collect().await;
                read.unwrap_err().kind()
            }
            Err(error) => error.kind(),
        };
        assert_eq!(kind, expected);
    }
}

#[tokio::test]
async fn data_of_another_image_or_another_checksum_is_refused_before_a_byte_of_it() {
    for (field, value) in [("id", json!(id(2))), ("checksum", json!("00000000000000000000000000000000"))] {
        let mut other = record(1);
        other[field] = value;
        let server = Server::start(move |call| match call.method {
            Method::HEAD => shown(&record(1), Body::empty()),
            _ => shown(&other, chunks(&["abcdef"])),
        })
        .await;
        let error = glance(&server).await.get(&admin(), &ImageId::lookup(id(1)), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{field}");
        assert!(error.chain().contains("the data of another image than was asked for"), "{}", error.chain());
    }
}

#[tokio::test]
async fn a_member_sees_what_is_shared_with_it_and_nobody_else_does() {
    let mut private = record(1);
    private["is_public"] = json!(false);
    let members = Arc::new(Mutex::new(Vec::<String>::new()));
    let (held, record) = (Arc::clone(&members), private.clone());
    let server = Server::start(move |call| {
        let mut members = held.lock().unwrap();
        let path: Vec<&str> = call.path.trim_start_matches("/v1/").split('/').collect();
        match (&call.method, path.as_slice()) {
            (&Method::HEAD, _) => shown(&record, Body::empty()),
            (&Method::GET, ["images", "detail"]) if call.query.contains_key("marker") => {
                answer(200, &json!({"images": []}))
            }
            (&Method::GET, ["images", "detail"]) => answer(200, &json!({"images": [record]})),
            (&Method::GET, ["images", _, "members"]) => {
                let all: Vec<Value> = members.iter().map(|member| json!({"member_id": member})).collect();
                answer(200, &json!({"members": all}))
            }
            (&Method::GET, ["shared-images", project]) => {
                let is_one = members.iter().any(|member| member == project);
                let shared = is_one.then(|| json!({"image_id": record["id"], "can_share": false}));
                answer(200, &json!({"shared_images": shared.into_iter().collect::<Vec<_>>()}))
            }
            (&Method::PUT, ["images", _, "members", member]) => {
                // One that was a member before is not taken back without it.
                assert_eq!(call.body.0, r#"{"member": {"can_share": false}}"#);
                members.push((*member).to_owned());
                reply(204, &[], Body::empty())
            }
            (&Method::DELETE, ["images", _, "members", member]) => {
                members.retain(|other| other != member);
                reply(204, &[], Body::empty())
            }
            other => panic!("an unknown request: {other:?}"),
        }
    })
    .await;
    let (glance, one) = (glance(&server).await, ImageId::lookup(id(1)));
    let lists =
        async |context: &Context| glance.detail(context, &Default::default()).await.unwrap().items.len();
    let sharing = glance.sharing().unwrap();
    assert_eq!(glance.show(&member(), &one).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!((lists(&member()).await, lists(&admin()).await), (0, 1));

    let added = sharing.add_member(&admin(), &one, "theirs").await.unwrap();
    assert_eq!((added.member_id.as_str(), added.status), ("theirs", MemberStatus::Accepted));
    let again = sharing.add_member(&admin(), &one, "theirs").await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    assert_eq!(glance.show(&member(), &one).await.unwrap().visibility, Visibility::Shared);
    assert_eq!(lists(&member()).await, 1);
    let rename = ImageChange { name: Some(None), ..ImageChange::default() };
    let refused = glance.update(&member(), &one, rename, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    let answered = sharing.set_member_status(&member(), &one, "theirs", MemberStatus::Rejected).await;
    assert_eq!(answered.unwrap_err().kind(), ErrorKind::NotImplemented);

    sharing.remove_member(&admin(), &one, "theirs").await.unwrap();
    assert_eq!(glance.show(&member(), &one).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(sharing.members(&admin(), &one).await.unwrap(), []);
}

#[tokio::test]
async fn a_record_of_two_hundred_headers_is_read() {
    let mut record = record(1);
    for number in 0..128 {
        record["properties"][format!("key_{number}")] = json!("value");
    }
    let server = of_one(record).await;
    let shown = glance(&server).await.show(&admin(), &ImageId::lookup(id(1))).await.unwrap();
    assert_eq!(shown.properties.len(), 130);
}
