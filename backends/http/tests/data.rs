//! Data and writes through servers that fail at the worst moment.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Method;
use axum::response::Response;
use futures::{StreamExt, TryStreamExt};
use image_service::{
    ByteRange, Caller, Context, Error, ErrorKind, Image, ImageChange, ImageId, ImageService, NewImage,
    Result, Upload,
};
use portico_http::{Dialect, GlanceV2, Options};
use serde_json::{Value, json};
use server::{Call, Ended, Server, answer, chunks, id, image, reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn options(server: &Server) -> Options {
    let endpoint = format!("http://{}", server.address).parse().unwrap();
    Options {
        answer_timeout: Duration::from_secs(10),
        settle_timeout: Duration::from_millis(200),
        ..Options::new(Dialect::GlanceV2, endpoint)
    }
}

async fn glance(server: &Server) -> GlanceV2 {
    GlanceV2::open("there", options(server)).await.unwrap()
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-data")
}

fn one() -> ImageId {
    ImageId::lookup(id(1))
}

/// An image with ten bytes of data.
fn active() -> Value {
    let mut image = image(1, 0);
    image["status"] = json!("active");
    image["size"] = json!(10);
    image
}

/// A server whose one image has ten bytes of data, and that answers so when they are asked for.
async fn giving(file: impl Fn(&Call) -> Response + Send + Sync + 'static) -> Server {
    Server::start(move |call| if call.path.ends_with("/file") { file(call) } else { answer(200, &active()) })
        .await
}

async fn read(server: &Server, range: Option<ByteRange>) -> Result<Option<Vec<u8>>> {
    let download = glance(server).await.get(&admin(), &one(), range).await?;
    let Some(data) = download.data else { return Ok(None) };
    let length = data.range.end - data.range.start;
    let parts: Vec<Bytes> = data.into_stream().try_collect().await?;
    let bytes = parts.concat();
    assert_eq!(bytes.len() as u64, length, "a stream that ended well has the length it announced");
    Ok(Some(bytes))
}

fn length(length: u64) -> (&'static str, String) {
    ("content-length", length.to_string())
}

#[tokio::test]
async fn data_comes_whole() {
    let server = giving(|_| reply(200, &[length(10)], chunks(&["01234", "56789"]))).await;
    assert_eq!(read(&server, None).await.unwrap().unwrap(), b"0123456789");
}

#[tokio::test]
async fn data_that_ends_before_its_length_ends_in_an_error() {
    for headers in [vec![length(10)], vec![]] {
        let server = giving(move |_| reply(200, &headers, chunks(&["01234"]))).await;
        assert_eq!(read(&server, None).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn data_of_another_length_than_recorded_is_not_given_at_all() {
    let server = giving(|_| reply(200, &[length(5)], chunks(&["01234"]))).await;
    assert_eq!(read(&server, None).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_part_is_what_the_server_says_that_it_is() {
    let range = || ("content-range", "bytes 2-4/10".to_owned());
    let server = giving(move |call| {
        assert_eq!(call.headers["range"], "bytes=2-4");
        reply(206, &[length(3), range()], chunks(&["234"]))
    })
    .await;
    assert_eq!(read(&server, Some(ByteRange::Between(2, 4))).await.unwrap().unwrap(), b"234");
}

#[tokio::test]
async fn another_part_than_was_asked_for_is_an_error() {
    for (range, announced) in
        [("bytes 0-2/10", 3), ("bytes 2-4/11", 3), ("bytes 2-5/10", 4), ("garbage", 3), ("bytes 2-4/10", 4)]
    {
        let server = giving(move |_| {
            reply(206, &[length(announced), ("content-range", range.to_owned())], chunks(&["2345"]))
        })
        .await;
        let error = read(&server, Some(ByteRange::Between(2, 4))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{range} {announced}");
    }
}

#[tokio::test]
async fn a_range_that_the_server_ignores_is_cut_out_here_while_little_is_in_vain() {
    let server = giving(|_| reply(200, &[length(10)], chunks(&["0123", "456789"]))).await;
    for (range, expected) in [
        (ByteRange::Between(2, 4), &b"234"[..]),
        (ByteRange::Last(3), b"789"),
        (ByteRange::From(0), b"0123456789"),
    ] {
        assert_eq!(read(&server, Some(range)).await.unwrap().unwrap(), expected, "{range:?}");
    }
    let options = Options { skip_limit: bytesize::ByteSize::b(4), ..options(&server) };
    let glance = GlanceV2::open("there", options).await.unwrap();
    assert!(glance.get(&admin(), &one(), Some(ByteRange::From(4))).await.is_ok());
    let error = glance.get(&admin(), &one(), Some(ByteRange::From(5))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotImplemented);
}

#[tokio::test]
async fn an_image_without_data_gives_none_and_a_range_of_nothing_is_never_asked_for() {
    let queued = Server::start(|_| answer(200, &image(1, 0))).await;
    assert_eq!(read(&queued, Some(ByteRange::From(0))).await.unwrap(), None);
    assert_eq!(queued.count(&Method::GET, "/file"), 0);
}

#[tokio::test]
async fn an_image_whose_data_goes_before_its_record_is_not_called_one_without_data() {
    let server = giving(|_| reply(204, &[], Body::empty())).await;
    assert_eq!(read(&server, None).await.unwrap_err().kind(), ErrorKind::Unavailable);

    let gone = AtomicBool::new(false);
    let server = Server::start(move |call| {
        if call.path.ends_with("/file") {
            gone.store(true, Ordering::Relaxed);
            return reply(204, &[], Body::empty());
        }
        if gone.load(Ordering::Relaxed) { answer(404, &json!({})) } else { answer(200, &active()) }
    })
    .await;
    assert_eq!(read(&server, None).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn refusals_of_data_keep_their_meaning() {
    for (status, expected) in [
        (403, ErrorKind::Refused),
        (404, ErrorKind::NotFound),
        (416, ErrorKind::RangeNotSatisfiable),
        (503, ErrorKind::Unavailable),
    ] {
        let server = giving(move |_| answer(status, &json!({}))).await;
        assert_eq!(read(&server, None).await.unwrap_err().kind(), expected, "{status}");
    }
}

/// A Glance with a memory: it makes images, takes data and deletes, and can be told to fail.
#[derive(Debug, Default)]
struct Memory {
    images: Mutex<Vec<Value>>,
    /// What to answer to data that comes whole, once it has been kept.
    refuses_data: Option<u16>,
    /// What to answer to a new image once it has been made.
    fails_on_post: Option<u16>,
}

impl Memory {
    fn answer(&self, call: &Call) -> Response {
        let mut images = self.images.lock().unwrap();
        let path: Vec<&str> = call.path.trim_start_matches("/v2/images").split('/').skip(1).collect();
        let at = path.first().and_then(|id| images.iter().position(|image| image["id"] == json!(id)));
        match (&call.method, path.get(1), at) {
            (&Method::POST, None, _) => {
                let mut image = image(1, 0);
                image["name"] = Value::Null;
                let sent: Value = serde_json::from_slice(&call.body.0).unwrap();
                image.as_object_mut().unwrap().extend(sent.as_object().unwrap().clone());
                images.push(image.clone());
                self.fails_on_post.map_or_else(|| answer(201, &image), |status| answer(status, &image))
            }
            (_, _, None) => answer(404, &json!({})),
            (&Method::GET, None, Some(at)) => answer(200, &images[at]),
            (&Method::PATCH, None, Some(at)) => {
                let ops: Value = serde_json::from_slice(&call.body.0).unwrap();
                for op in ops.as_array().unwrap() {
                    let key = op["path"].as_str().unwrap().trim_start_matches('/').to_owned();
                    images[at][key] = op["value"].clone();
                }
                answer(200, &images[at])
            }
            (&Method::PUT, Some(&"file"), Some(at)) => {
                if call.body.1 == Ended::Whole && self.refuses_data.is_none() {
                    images[at]["status"] = json!("active");
                    images[at]["size"] = json!(call.body.0.len());
                }
                reply(self.refuses_data.unwrap_or(204), &[], Body::empty())
            }
            (&Method::DELETE, None, Some(at)) if images[at]["protected"] == json!(true) => {
                answer(403, &json!({}))
            }
            (&Method::DELETE, None, Some(at)) => {
                images.remove(at);
                reply(204, &[], Body::empty())
            }
            _ => answer(405, &json!({})),
        }
    }

    async fn serve(self) -> (Arc<Self>, Server) {
        let memory = Arc::new(self);
        let script = Arc::clone(&memory);
        (memory, Server::start(move |call| script.answer(call)).await)
    }

    fn statuses(&self) -> Vec<String> {
        let images = self.images.lock().unwrap();
        images.iter().map(|image| image["status"].as_str().unwrap().to_owned()).collect()
    }
}

fn draft() -> NewImage {
    NewImage { disk_format: Some("raw".into()), container_format: Some("bare".into()), ..NewImage::default() }
}

fn breaking_off() -> Upload {
    let parts = [Ok(Bytes::from_static(b"0123")), Ok(Bytes::from_static(b"4567"))];
    let end = [Err(Error::new(ErrorKind::Incomplete, "the client went away"))];
    Upload::new(Box::pin(futures::stream::iter(parts.into_iter().chain(end))))
}

async fn create(server: &Server, new: NewImage, data: Upload) -> Result<Image> {
    glance(server).await.create(&admin(), new, Some(data)).await
}

#[tokio::test]
async fn data_is_sent_with_its_length_if_that_is_known_and_in_chunks_if_not() {
    let (_, server) = Memory::default().serve().await;
    let stream = || {
        futures::stream::iter([Ok(Bytes::from_static(b"01234")), Ok(Bytes::from_static(b"56789"))]).boxed()
    };
    for size in [Some(10), None] {
        let made = create(&server, draft(), Upload { stream: stream(), size, store: None }).await.unwrap();
        assert_eq!(made.size, Some(10));
        let calls = server.calls();
        let put = calls.iter().rfind(|call| call.method == Method::PUT).unwrap();
        assert_eq!(put.body, (Bytes::from_static(b"0123456789"), Ended::Whole));
        assert_eq!(put.headers["content-type"], "application/octet-stream");
        let length = put.headers.get("content-length").map(|length| length.to_str().unwrap().to_owned());
        assert_eq!(length, size.map(|size: u64| size.to_string()));
    }
}

#[tokio::test]
async fn data_of_no_bytes_is_data_and_data_announced_as_none_is_looked_at() {
    let (_, server) = Memory::default().serve().await;
    for size in [Some(0), None] {
        let made = create(&server, draft(), Upload { size, ..Upload::from_bytes("") }).await.unwrap();
        assert_eq!(made.size, Some(0));
    }
    let surplus = Upload { size: Some(0), ..Upload::from_bytes("0") };
    assert_eq!(create(&server, draft(), surplus).await.unwrap_err().kind(), ErrorKind::Incomplete);
}

#[tokio::test]
async fn an_upload_that_breaks_off_reaches_the_server_as_broken_and_leaves_no_image() {
    for size in [None, Some(8), Some(12)] {
        for protected in [false, true] {
            let (memory, server) = Memory::default().serve().await;
            let new = NewImage { protected, ..draft() };
            let error = create(&server, new, Upload { size, ..breaking_off() }).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incomplete);
            assert!(memory.statuses().is_empty(), "{size:?} {protected}: {:?}", memory.statuses());
            let puts: Vec<_> = server.calls().into_iter().filter(|call| call.method == Method::PUT).collect();
            assert!(puts.iter().all(|put| put.body.1 == Ended::BrokenOff), "{puts:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_begins_with_a_broken_upload_only_later_is_waited_for() {
    let looks = AtomicUsize::new(0);
    let server = Server::start(move |call| {
        let mut image = image(1, 0);
        image["disk_format"] = json!("raw");
        image["container_format"] = json!("bare");
        // Looked at once before the upload. Then still queued, saving, and queued when it has failed there too.
        let look = if call.method == Method::GET { looks.fetch_add(1, Ordering::SeqCst) } else { 0 };
        image["status"] = json!(if look == 2 { "saving" } else { "queued" });
        answer(200, &image)
    })
    .await;
    let patient = Options { settle_timeout: Duration::from_secs(10), ..options(&server) };
    let glance = GlanceV2::open("there", patient).await.unwrap();
    let update = glance.update(&admin(), &one(), ImageChange::default(), Some(breaking_off())).await;
    assert_eq!(update.unwrap_err().kind(), ErrorKind::Incomplete);
    assert_eq!(server.count(&Method::GET, id(1).as_str()), 4, "it is over when the server has ended it");
}

#[tokio::test]
async fn data_of_another_length_than_announced_leaves_no_image() {
    for size in [3, 5] {
        let (memory, server) = Memory::default().serve().await;
        let error = create(&server, draft(), Upload { size: Some(size), ..Upload::from_bytes("0123") })
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incomplete);
        assert!(memory.statuses().is_empty());
    }
}

#[tokio::test]
async fn data_that_the_server_refuses_leaves_no_image_and_the_refusal_is_told() {
    for (status, expected) in [
        (409, ErrorKind::Conflict),
        (413, ErrorKind::TooLarge),
        (415, ErrorKind::UnsupportedFormat),
        (400, ErrorKind::Invalid),
        (503, ErrorKind::Unavailable),
    ] {
        let (memory, server) = Memory { refuses_data: Some(status), ..Memory::default() }.serve().await;
        let error = create(&server, draft(), Upload::from_bytes("0123")).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{status}");
        assert!(memory.statuses().is_empty());
    }
}

#[tokio::test]
async fn a_refusal_before_the_data_has_come_is_told_and_not_called_a_broken_pipe() {
    let mut queued = image(1, 0);
    queued["disk_format"] = json!("raw");
    queued["container_format"] = json!("bare");
    let server = Server::hasty(move |call| match call.method {
        Method::PUT => answer(413, &json!({})),
        _ => answer(200, &queued),
    })
    .await;
    // Far more than fits between the two.
    let much = vec![Bytes::from(vec![0; 1 << 16]); 1 << 12];
    for size in [None, Some(1 << 28)] {
        let upload =
            Upload { size, ..Upload::new(futures::stream::iter(much.clone().into_iter().map(Ok)).boxed()) };
        let sent = glance(&server).await.update(&admin(), &one(), ImageChange::default(), Some(upload)).await;
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::TooLarge, "{size:?}");
    }
}

#[tokio::test]
async fn a_create_that_is_dropped_leaves_no_image_and_its_server_no_whole_body() {
    let (memory, server) = Memory::default().serve().await;
    let glance = glance(&server).await;
    let (sender, receiver) = futures::channel::mpsc::unbounded();
    sender.unbounded_send(Ok(Bytes::from_static(b"0123"))).unwrap();
    let context = admin();
    let upload = Upload::new(receiver.boxed());
    let mut create = glance.create(&context, draft(), Some(upload));
    // Until the record is made and its data on the way.
    while memory.statuses().is_empty() {
        assert!(futures::poll!(&mut create).is_pending());
        tokio::task::yield_now().await;
    }
    drop(create);
    glance.drain().await;
    assert!(memory.statuses().is_empty());
    assert!(server.calls().iter().all(|call| call.method != Method::PUT || call.body.1 == Ended::BrokenOff));
    drop(sender);
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_leaves_no_image() {
    let (memory, server) = Memory { fails_on_post: Some(200), ..Memory::default() }.serve().await;
    let made = glance(&server).await.create(&admin(), draft(), None).await;
    // 200 is not what a Glance that makes an image says.
    assert_eq!(made.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(memory.statuses().len(), 1, "what a server says no to is not taken away");

    // Behind this address the answer to a POST is cut off.
    let (memory, server) = Memory::default().serve().await;
    let cut = cutting("POST", server.address).await;
    let glance = GlanceV2::open("there", Options { endpoint: cut, ..options(&server) }).await.unwrap();
    assert!(glance.create(&admin(), draft(), None).await.is_err());
    assert_eq!(server.count(&Method::POST, "/images"), 1);
    assert!(memory.statuses().is_empty(), "{:?}", memory.statuses());
}

#[tokio::test]
async fn an_upload_whose_answer_is_lost_is_found_to_have_succeeded() {
    let (memory, server) = Memory::default().serve().await;
    let cut = cutting("PUT", server.address).await;
    let glance = GlanceV2::open("there", Options { endpoint: cut, ..options(&server) }).await.unwrap();
    let made = glance.create(&admin(), draft(), Some(Upload::from_bytes("0123"))).await.unwrap();
    assert_eq!((made.size, memory.statuses()), (Some(4), vec!["active".to_owned()]));
}

/// A way to `server` on which the answer to the first request of a method is lost.
async fn cutting(method: &'static str, server: std::net::SocketAddr) -> url::Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                let upstream = tokio::net::TcpStream::connect(server).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = upstream.into_split();
                let cuts = Arc::new(AtomicBool::new(false));
                let watch = Arc::clone(&cuts);
                let forth = tokio::spawn(async move {
                    let mut buffer = vec![0; 1 << 16];
                    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                        if buffer.starts_with(method.as_bytes()) && !done.swap(true, Ordering::Relaxed) {
                            watch.store(true, Ordering::Relaxed);
                        }
                        if to_server.write_all(&buffer[..count]).await.is_err() {
                            break;
                        }
                    }
                });
                let mut buffer = vec![0; 1 << 16];
                while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
                    if cuts.load(Ordering::Relaxed) || to_client.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
                forth.abort();
            });
        }
    });
    format!("http://{address}").parse().unwrap()
}

#[tokio::test]
async fn a_server_that_miscounts_what_it_was_sent_is_not_believed() {
    let server = Server::start(|call| match call.method {
        Method::PUT => reply(204, &[], Body::empty()),
        Method::DELETE => reply(204, &[], Body::empty()),
        _ => {
            let mut image = active();
            if call.method == Method::POST {
                let sent: Value = serde_json::from_slice(&call.body.0).unwrap();
                image["id"] = sent["id"].clone();
            } else {
                image["id"] = json!(call.path.rsplit('/').next());
            }
            answer(if call.method == Method::POST { 201 } else { 200 }, &image)
        }
    })
    .await;
    let error = create(&server, draft(), Upload::from_bytes("0123")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(server.calls().iter().filter(|call| call.method == Method::DELETE).count(), 1);
}

#[tokio::test]
async fn what_tenancy_forbids_is_never_sent() {
    let server = Server::start(|_| answer(200, &active())).await;
    let glance = glance(&server).await;
    let stranger = Context::new(Caller::member_of("stranger"), "r");
    let owner = Context::new(Caller::member_of("them"), "r");
    let rename = ImageChange { name: Some(None), ..ImageChange::default() };
    let give = ImageChange { owner: Some(None), ..ImageChange::default() };
    for (context, change) in [(&stranger, rename), (&owner, give)] {
        let error = glance.update(context, &one(), change, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
    }
    assert_eq!(glance.delete(&stranger, &one()).await.unwrap_err().kind(), ErrorKind::Forbidden);
    let foreign = NewImage { owner: Some(Some("them".into())), ..draft() };
    assert_eq!(glance.create(&stranger, foreign, None).await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert!(server.calls().iter().all(|call| call.method == Method::GET));
}

#[tokio::test]
async fn a_created_image_belongs_to_the_callers_project_and_not_to_ours() {
    let (memory, server) = Memory::default().serve().await;
    let context = Context::new(Caller::member_of("them-too"), "r");
    let made = glance(&server).await.create(&context, draft(), None).await.unwrap();
    assert_eq!(made.owner.as_deref(), Some("them-too"));
    assert_eq!(memory.images.lock().unwrap()[0]["owner"], json!("them-too"));
}
