//! Simplestreams from a mirror: what its items come to, and what is not taken.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mirror;
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Method;
use futures::future::join_all;
use image_service::{
    ByteRange, ErrorKind, HashAlgorithm, Hasher, Image, ImageId, ImageService, Query, Status, Visibility,
};
use mirror::{Mirror, Mood, admin, check_reading, member, names, pass, read};
use portico_http::{PublishedDialect, PublishedOptions, open_published};
use serde_json::{Value, json};
use server::{Server, reply};

const INDEX: &str = "streams/v1/index.json";
const PRODUCTS: &str = "streams/v1/com.example:released:download.json";
const STREAM: &str = "com.example:released:download";
const NOBLE: &str = "com.example:server:24.04:amd64";
const FRESH: Duration = Duration::from_secs(61);

fn hash(algorithm: HashAlgorithm, bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish().value
}

fn index() -> Value {
    json!({
        "format": "index:1.0",
        "updated": "Tue, 19 Mar 2024 09:48:38 +0000",
        "index": {
            STREAM: {"datatype": "image-downloads", "format": "products:1.0", "path": PRODUCTS, "products": [NOBLE]},
            "com.example:released:ids": {"datatype": "image-ids", "format": "products:1.0", "path": "../../etc/passwd"},
            "com.example:other": {"datatype": "image-downloads", "format": "products:2.0", "path": "no"},
        },
    })
}

fn item(path: &str, bytes: &[u8]) -> Value {
    json!({
        "ftype": "disk1.img", "path": path, "size": bytes.len(),
        "md5": hash(HashAlgorithm::Md5, bytes), "sha256": hash(HashAlgorithm::Sha256, bytes),
    })
}

fn products(versions: &[&str]) -> Value {
    let version = |serial: &str| {
        let path = format!("server/{serial}/disk.img");
        let mut tarball = item(&path, b"tar");
        tarball["ftype"] = json!("root.tar.xz");
        let pubname = format!("example-24.04-{serial}");
        let items = json!({"disk1.img": item(&path, serial.as_bytes()), "root": tarball});
        json!({"pubname": pubname, "label": "release", "items": items})
    };
    let versions: serde_json::Map<String, Value> =
        versions.iter().map(|serial| ((*serial).to_owned(), version(serial))).collect();
    json!({
        "format": "products:1.0", "content_id": STREAM, "datatype": "image-downloads",
        "license": "http://example/license",
        "updated": "Tue, 19 Mar 2024 09:48:38 +0000",
        "products": {NOBLE: {
            "os": "Example", "version": "24.04", "arch": "amd64", "release": "noble", "supported": true,
            "aliases": "24.04,n",
            "versions": versions,
        }},
    })
}

/// A mirror with these versions of a product.
async fn mirror(versions: &[&str]) -> Mirror {
    let mirror = Mirror::start().await;
    mirror.put(INDEX, index().to_string());
    publish(&mirror, versions);
    mirror
}

fn publish(mirror: &Mirror, versions: &[&str]) {
    mirror.put(PRODUCTS, products(versions).to_string());
    for serial in versions {
        mirror.put(&format!("server/{serial}/disk.img"), (*serial).to_owned());
    }
}

/// What is newer is waited for, however slow the machine is.
fn options(mirror: &Mirror) -> PublishedOptions {
    let patience = Duration::from_secs(60);
    PublishedOptions { patience, ..PublishedOptions::new(PublishedDialect::Simplestreams, mirror.endpoint()) }
}

async fn open(options: PublishedOptions) -> Arc<dyn ImageService> {
    open_published("mirror", options).await.unwrap()
}

async fn service(mirror: &Mirror) -> Arc<dyn ImageService> {
    open(options(mirror)).await
}

async fn only(service: &dyn ImageService) -> Image {
    let page = service.detail(&member(), &Query::default()).await.unwrap();
    let [image] = <[Image; 1]>::try_from(page.items).unwrap();
    image
}

/// Why there is no catalogue.
async fn refusal(service: &dyn ImageService) -> String {
    let error = service.detail(&member(), &Query::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the catalogue of the image source cannot be had now");
    error.chain()
}

#[tokio::test]
async fn an_item_is_an_image_with_all_that_is_said_of_it() {
    let mirror = mirror(&["20240423"]).await;
    let service = open(PublishedOptions { owner: Some("them".into()), ..options(&mirror) }).await;
    let image = only(&*service).await;
    assert_eq!(image.name.as_deref(), Some("example-24.04-20240423"));
    assert_eq!(
        (image.status, image.visibility, image.owner.as_deref()),
        (Status::Active, Visibility::Public, Some("them"))
    );
    assert_eq!(
        (image.disk_format.as_deref(), image.container_format.as_deref()),
        (Some("qcow2"), Some("bare"))
    );
    assert_eq!((image.size, image.checksum), (Some(8), Some(hash(HashAlgorithm::Md5, b"20240423"))));
    let strong = image.hash.unwrap();
    assert_eq!(
        (strong.algorithm.as_str(), strong.value),
        ("sha256", hash(HashAlgorithm::Sha256, b"20240423"))
    );
    assert_eq!(
        (image.created_at, image.updated_at),
        ("2024-04-23".parse().unwrap(), "2024-04-23".parse().unwrap())
    );
    let properties: Vec<(&str, &str)> =
        image.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("architecture", "x86_64"),
        ("os_distro", "example"),
        ("os_version", "24.04"),
        ("simplestreams_aliases", "24.04,n"),
        ("simplestreams_content_id", STREAM),
        ("simplestreams_datatype", "image-downloads"),
        ("simplestreams_ftype", "disk1.img"),
        ("simplestreams_item_name", "disk1.img"),
        ("simplestreams_label", "release"),
        ("simplestreams_license", "http://example/license"),
        ("simplestreams_product_name", NOBLE),
        ("simplestreams_pubname", "example-24.04-20240423"),
        ("simplestreams_release", "noble"),
        ("simplestreams_supported", "true"),
        ("simplestreams_version_name", "20240423"),
    ];
    assert_eq!(properties, expected);
}

#[tokio::test]
async fn an_id_hangs_on_namespace_and_names_alone() {
    let mirror = mirror(&["20240423", "20240424"]).await;
    let id = ImageId::derived("mirror", &format!("[\"{STREAM}\",\"{NOBLE}\",\"20240423\",\"disk1.img\"]"));
    assert!(service(&mirror).await.show(&member(), &id).await.is_ok());
    let again =
        open_published("other", PublishedOptions { namespace: Some("mirror".into()), ..options(&mirror) });
    assert!(again.await.unwrap().show(&member(), &id).await.is_ok());
    let other = open_published("other", options(&mirror)).await.unwrap();
    assert_eq!(other.show(&member(), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn five_hundred_items_are_listed_with_one_fetch_of_each_document() {
    let serials: Vec<String> =
        (0..500).map(|number| format!("2024{:02}{:02}.{number}", 1 + number % 12, 1 + number % 28)).collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    let mirror = mirror(&serials).await;
    let service = service(&mirror).await;
    check_reading(&*service, 500).await;
    assert_eq!((mirror.count(INDEX), mirror.count(PRODUCTS)), (1, 1));
    assert_eq!(mirror.server.calls().len(), 2);
}

#[tokio::test]
async fn only_the_newest_versions_are_taken_if_that_is_wished() {
    let mirror = mirror(&["20240425", "20240423", "20240424"]).await;
    let service =
        open(PublishedOptions { versions: std::num::NonZeroUsize::new(2), ..options(&mirror) }).await;
    assert_eq!(names(&*service).await.unwrap(), ["example-24.04-20240424", "example-24.04-20240425"]);
}

#[tokio::test]
async fn kinds_of_files_are_chosen_and_say_what_they_are() {
    let mirror = mirror(&["20240423"]).await;
    let ftypes = [(String::from("root.tar.xz"), String::from("root-tar"))].into();
    let image = only(&*open(PublishedOptions { ftypes, ..options(&mirror) }).await).await;
    assert_eq!((image.disk_format.as_deref(), image.size), (Some("root-tar"), Some(3)));
    let datatypes = vec![String::from("image-ids")];
    assert!(
        refusal(&*open(PublishedOptions { datatypes, ..options(&mirror) }).await).await.contains("the path")
    );
}

#[tokio::test]
async fn data_comes_whole_and_in_parts_whether_or_not_the_server_knows_ranges() {
    let mirror = mirror(&["20240423"]).await;
    let service = open(PublishedOptions { skip_limit: bytesize::ByteSize(2), ..options(&mirror) }).await;
    let id = only(&*service).await.id;
    for mood in [Mood::Well, Mood::Plain] {
        mirror.be(mood);
        assert_eq!(read(&*service, &id, None).await.unwrap(), b"20240423");
        assert_eq!(read(&*service, &id, Some(ByteRange::Between(1, 3))).await.unwrap(), b"024");
        let last = read(&*service, &id, Some(ByteRange::Last(3))).await;
        match mood {
            Mood::Well => assert_eq!(last.unwrap(), b"423"),
            _ => assert_eq!(last.unwrap_err().kind(), ErrorKind::NotImplemented),
        }
        let outside = read(&*service, &id, Some(ByteRange::From(8))).await;
        assert_eq!(outside.unwrap_err().kind(), ErrorKind::RangeNotSatisfiable);
    }
    let calls = mirror.server.calls();
    assert!(calls.iter().all(|call| call.headers["accept-encoding"] == "identity"));
}

#[tokio::test]
async fn data_that_is_not_as_the_catalogue_says_is_an_error() {
    let mirror = mirror(&["20240423"]).await;
    let service = service(&mirror).await;
    let id = only(&*service).await.id;
    mirror.put("server/20240423/disk.img", "longer than it was");
    assert_eq!(read(&*service, &id, None).await.unwrap_err().kind(), ErrorKind::Corrupt);
    mirror.put("server/20240423/disk.img", "short");
    for (range, kind) in [
        (None, ErrorKind::Corrupt),
        (Some(ByteRange::From(5)), ErrorKind::Corrupt),
        (Some(ByteRange::From(8)), ErrorKind::RangeNotSatisfiable),
    ] {
        assert_eq!(read(&*service, &id, range).await.unwrap_err().kind(), kind, "{range:?}");
    }
    mirror.remove("server/20240423/disk.img");
    let missing = read(&*service, &id, None).await.unwrap_err();
    assert_eq!((missing.kind(), missing.speaks_against_store()), (ErrorKind::Unavailable, false));
    mirror.be(Mood::Failing);
    assert!(read(&*service, &id, None).await.unwrap_err().kind().is_silence());
}

#[tokio::test]
async fn a_catalogue_with_anything_wrong_in_it_is_refused_whole() {
    let mirror = mirror(&["20240423", "20240424"]).await;
    let good = (index().to_string(), products(&["20240423", "20240424"]).to_string());
    let sha256 = hash(HashAlgorithm::Sha256, b"20240423");
    let no_version = good.1.replace("\"versions\"", "\"no\"");
    let cases = [
        (INDEX, good.0.replace("index:1.0", "index:2.0"), "has the format"),
        (INDEX, good.0.replace("\"index\":", "\"x\":"), "names no streams"),
        (INDEX, good.0.replace("\"path\":\"streams", "\"x\":\"streams"), "has no path"),
        (INDEX, good.0.replace(PRODUCTS, "../elsewhere.json"), "the path"),
        (INDEX, good.0.replace(PRODUCTS, "http://elsewhere/x.json"), "the path"),
        (INDEX, good.0.replace(PRODUCTS, "//elsewhere/x.json"), "the path"),
        (INDEX, good.0.replace(PRODUCTS, "%2e%2e/x.json"), "the path"),
        (INDEX, good.0.replace(PRODUCTS, INDEX), "two streams"),
        (INDEX, String::from("<html>"), "not the JSON"),
        (PRODUCTS, good.1.replace("products:1.0", "x"), "has the format"),
        (PRODUCTS, good.1.replace("\"content_id\":\"com", "\"content_id\":\"org"), "is that of"),
        (PRODUCTS, no_version, "has no versions"),
        (PRODUCTS, good.1.replace("\"size\":8", "\"size\":-8"), "has no size"),
        (PRODUCTS, good.1.replace("\"size\":8", "\"x\":8"), "has no size"),
        (PRODUCTS, good.1.replace("\"sha256\"", "\"x\""), "has neither"),
        (PRODUCTS, good.1.replace(&sha256, &sha256[1..]), "has a sha256 that is none"),
        (
            PRODUCTS,
            good.1.replace(&sha256, &sha256.replace(|c: char| c.is_ascii_digit(), "g")),
            "has a sha256 that is none",
        ),
        (PRODUCTS, good.1.replace("server/20240423", "../20240423"), "has an empty segment, or one of dots"),
        (PRODUCTS, good.1.replace("server/20240423", "http://elsewhere"), "is not relative"),
        (PRODUCTS, good.1.replace("server/20240423", "/server"), "is not relative"),
        (PRODUCTS, good.1.replace("server/20240423", "server\\\\20240423"), "no path has"),
        (PRODUCTS, good.1.replace("\"20240424\":", "\"20240423\":"), "stands there twice"),
        (PRODUCTS, good.1[..good.1.len() - 1].to_owned(), "not the JSON"),
    ];
    for (path, text, why) in cases {
        mirror.put(INDEX, good.0.clone());
        mirror.put(PRODUCTS, good.1.clone());
        mirror.put(path, text.clone());
        let chain = refusal(&*service(&mirror).await).await;
        assert!(chain.contains(why), "{why}: {chain}\n{text}");
    }
    assert!(!mirror.server.calls().iter().any(|call| call.path.contains("elsewhere")));
    mirror.put(PRODUCTS, good.1);
    mirror.put(INDEX, good.0);
    assert_eq!(names(&*service(&mirror).await).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_catalogue_beyond_a_bound_is_refused() {
    let mirror = mirror(&["20240423", "20240424"]).await;
    let max_images = std::num::NonZeroUsize::new(1).unwrap();
    let few = open(PublishedOptions { max_images, ..options(&mirror) }).await;
    assert!(refusal(&*few).await.contains("the most is 1"));
    let all = index().to_string().len() + products(&["20240423", "20240424"]).to_string().len();
    for (most, fits) in [(all, true), (all - 1, false), (10, false)] {
        for mood in [Mood::Well, Mood::Plain] {
            mirror.be(mood);
            let max_response = bytesize::ByteSize(most as u64);
            let small = open(PublishedOptions { max_response, ..options(&mirror) }).await;
            if fits {
                assert!(names(&*small).await.is_ok());
            } else {
                assert!(refusal(&*small).await.contains(&format!("over {most} bytes")));
            }
        }
    }
}

/// A mirror of two streams, each with these many images to which a long text and a few short ones are handed down.
async fn mirror_of_heirs(versions: usize) -> Mirror {
    let mirror = Mirror::start().await;
    let other = "com.example:other";
    let streams = [(STREAM, PRODUCTS), (other, "streams/v1/other.json")];
    let entry = |path: &str| json!({"datatype": "image-downloads", "format": "products:1.0", "path": path});
    let entries: serde_json::Map<String, Value> =
        streams.iter().map(|(stream, path)| ((*stream).to_owned(), entry(path))).collect();
    mirror.put(INDEX, json!({"format": "index:1.0", "index": entries}).to_string());
    let serials: Vec<String> = (0..versions).map(|number| format!("20240423.{number}")).collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    for (stream, path) in streams {
        let mut products = products(&serials);
        products["content_id"] = json!(stream);
        products["license"] = json!("x".repeat(60_000));
        mirror.put(path, products.to_string());
    }
    mirror
}

#[tokio::test]
async fn what_images_have_by_their_products_and_streams_is_bounded_in_all_of_them_together() {
    let mirror = mirror_of_heirs(50).await;
    // Of each stream it is over 3 MB, in a document of less than 150 kB.
    for (most, fits) in [(1 << 20, true), (600_000, false), (300_000, false)] {
        let max_response = bytesize::ByteSize(most);
        let service = open(PublishedOptions { max_response, ..options(&mirror) }).await;
        if fits {
            assert_eq!(names(&*service).await.unwrap().len(), 100);
        } else {
            let chain = refusal(&*service).await;
            assert!(chain.contains(&format!("over {} bytes of names and properties", most * 8)), "{chain}");
        }
    }
    for (most, fits) in [(100, true), (99, false), (50, false), (49, false)] {
        let max_images = std::num::NonZeroUsize::new(most).unwrap();
        let service = open(PublishedOptions { max_images, ..options(&mirror) }).await;
        if fits {
            assert!(names(&*service).await.is_ok());
        } else {
            assert!(refusal(&*service).await.contains(&format!("the most is {most}")));
        }
    }
}

#[tokio::test]
async fn what_a_stream_has_already_counts_when_another_one_changes() {
    let mirror = mirror_of_heirs(5).await;
    let max_images = std::num::NonZeroUsize::new(11).unwrap();
    let service = open(PublishedOptions { max_images, ..options(&mirror) }).await;
    assert_eq!(names(&*service).await.unwrap().len(), 10);
    let serials: Vec<String> = (0..7).map(|number| format!("20240424.{number}")).collect();
    mirror.put(PRODUCTS, products(&serials.iter().map(String::as_str).collect::<Vec<_>>()).to_string());
    pass(FRESH + Duration::from_secs(60 * 60)).await;
    assert!(refusal(&*service).await.contains("the most is 11"));
}

#[tokio::test]
async fn a_name_is_no_longer_than_any_image_may_have() {
    let mirror = mirror(&["20240423"]).await;
    let good = products(&["20240423"]).to_string();
    for (length, named) in [(255, true), (256, false)] {
        let name = "é".repeat(length);
        mirror.put(PRODUCTS, good.replace("example-24.04-20240423", &name));
        let expected = if named { name } else { format!("{NOBLE} 20240423") };
        assert_eq!(names(&*service(&mirror).await).await.unwrap(), [expected]);
        mirror.put(PRODUCTS, good.replace("pubname", "x").replace(NOBLE, &"p".repeat(length)));
        assert!(refusal(&*service(&mirror).await).await.contains("has no name of at most 255 characters"));
    }
}

#[tokio::test]
async fn a_catalogue_is_used_without_asking_and_then_asked_for_again() {
    let mirror = mirror(&["20240423"]).await;
    let service = service(&mirror).await;
    let first = only(&*service).await;
    pass(FRESH / 2).await;
    only(&*service).await;
    assert_eq!(mirror.count(INDEX), 1);
    pass(FRESH).await;
    only(&*service).await;
    assert_eq!((mirror.count(INDEX), mirror.count(PRODUCTS)), (2, 2));
    let conditional = |path: &str| {
        let calls = mirror.server.calls();
        calls
            .iter()
            .filter(|call| call.path.ends_with(path) && call.headers.contains_key("if-none-match"))
            .count()
    };
    assert_eq!((conditional(INDEX), conditional(PRODUCTS)), (1, 1));
    publish(&mirror, &["20240424"]);
    assert_eq!(service.show(&member(), &first.id).await.unwrap(), first);
    pass(FRESH).await;
    assert_eq!(service.show(&member(), &first.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(service.get(&admin(), &first.id, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(names(&*service).await.unwrap(), ["example-24.04-20240424"]);
}

#[tokio::test]
async fn once_a_day_the_source_is_not_believed_that_nothing_has_changed() {
    let mirror = mirror(&["20240423"]).await;
    let service = service(&mirror).await;
    for (time, conditional) in [(FRESH, 2), (24 * 60 * FRESH, 2), (FRESH, 4)] {
        only(&*service).await;
        pass(time).await;
        only(&*service).await;
        let calls = mirror.server.calls();
        let found = calls.iter().filter(|call| call.headers.contains_key("if-none-match")).count();
        assert_eq!(found, conditional, "{time:?}");
    }
}

#[tokio::test]
async fn the_last_good_catalogue_goes_on_for_a_while_when_there_is_no_newer_one() {
    let mirror = mirror(&["20240423"]).await;
    let good = products(&["20240423"]).to_string();
    let service = service(&mirror).await;
    let expected = names(&*service).await.unwrap();
    for (mood, text) in [(Mood::Failing, good.clone()), (Mood::Well, good.replace("sha256", "x"))] {
        mirror.be(mood);
        mirror.put(PRODUCTS, text);
        pass(FRESH).await;
        for _ in 0..3 {
            assert_eq!(names(&*service).await.unwrap(), expected);
        }
        pass(Duration::from_secs(60 * 60)).await;
        refusal(&*service).await;
        mirror.be(Mood::Well);
        mirror.put(PRODUCTS, good.clone());
        pass(FRESH).await;
        assert_eq!(names(&*service).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_source_that_fails_is_not_asked_by_everybody() {
    let mirror = mirror(&["20240423"]).await;
    mirror.be(Mood::Failing);
    let service = service(&mirror).await;
    for _ in 0..20 {
        refusal(&*service).await;
    }
    assert_eq!(mirror.count(INDEX), 1);
    mirror.be(Mood::Well);
    pass(Duration::from_secs(6)).await;
    assert!(names(&*service).await.is_ok());
}

#[tokio::test]
async fn however_many_need_a_catalogue_one_fetches_it() {
    let mirror = mirror(&["20240423"]).await;
    let service = service(&mirror).await;
    for round in 1..=3 {
        let all = join_all((0..50).map(|_| names(&*service))).await;
        assert!(all.iter().all(|names| names.as_ref().unwrap().len() == 1));
        assert_eq!((mirror.count(INDEX), mirror.count(PRODUCTS)), (round, round));
        pass(FRESH).await;
    }
}

#[tokio::test]
async fn whoever_goes_away_does_not_end_the_fetch_for_others() {
    let mirror = mirror(&["20240423"]).await;
    let service = service(&mirror).await;
    // Polled once, and dropped: the fetch has begun.
    let query = Query::default();
    let begun = {
        let (member, query) = (member(), query.clone());
        let service = Arc::clone(&service);
        futures::poll!(Box::pin(async move { service.detail(&member, &query).await }))
    };
    assert!(begun.is_pending());
    assert!(names(&*service).await.is_ok());
    assert_eq!(mirror.count(INDEX), 1);
}

#[tokio::test]
async fn a_source_that_hangs_costs_no_more_than_patience_while_there_is_a_catalogue() {
    let mirror = mirror(&["20240423"]).await;
    let patience = Duration::from_millis(100);
    let service = open(PublishedOptions { patience, ..options(&mirror) }).await;
    let expected = names(&*service).await.unwrap();
    mirror.be(Mood::Silent);
    pass(FRESH).await;
    let start = Instant::now();
    assert_eq!(names(&*service).await.unwrap(), expected);
    assert!(start.elapsed() >= patience);
    let arrived = async {
        while mirror.count(INDEX) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived).await.unwrap();
    // The fetch still hangs, so nobody waits for it any more.
    assert_eq!(names(&*service).await.unwrap(), expected);
    assert_eq!(mirror.count(INDEX), 2);
}

#[tokio::test]
async fn without_a_catalogue_a_hanging_source_is_waited_for_until_the_deadline() {
    let mirror = mirror(&["20240423"]).await;
    mirror.be(Mood::Silent);
    let service = service(&mirror).await;
    let mut context = member();
    context.deadline = Some(Instant::now() + Duration::from_millis(100));
    let error = service.detail(&context, &Query::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(|_| reply(200, &[], Body::from(index().to_string()))).await;
    for target in [format!("http://{}/mirror/{INDEX}", elsewhere.address), String::from("/mirror/here")] {
        let server = Server::start(move |_| reply(302, &[("location", target.clone())], Body::empty())).await;
        let endpoint = format!("http://{}/mirror", server.address).parse().unwrap();
        let service = open(PublishedOptions::new(PublishedDialect::Simplestreams, endpoint)).await;
        assert!(refusal(&*service).await.contains("HTTP 302"));
        assert_eq!(server.calls().len(), 1);
    }
    assert_eq!(elsewhere.calls().len(), 0);
}

#[tokio::test]
async fn an_answer_that_is_packed_although_none_may_be_is_not_taken() {
    let server = Server::start(|_| reply(200, &[("content-encoding", "gzip".into())], Body::from("x"))).await;
    let endpoint = format!("http://{}", server.address).parse().unwrap();
    let service = open(PublishedOptions::new(PublishedDialect::Simplestreams, endpoint)).await;
    assert!(refusal(&*service).await.contains("encoded"));
    assert_eq!(server.count(&Method::GET, INDEX), 1);
}
