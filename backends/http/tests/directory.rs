//! A directory behind a web server: what its files come to, and what is not taken.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mirror;
mod server;
mod site;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use image_service::{
    ByteRange, Direction, ErrorKind, HashAlgorithm, Image, ImageId, ImageService, Query, Sort, SortKey,
    Status, Summary, Visibility, detail_by_show,
};
use mirror::{check_refusals, member, names, pass, read};
use portico_http::{Hashes, PublishedDialect, PublishedOptions, open_published};
use site::{Look, Mood, Site, hash};

const FRESH: Duration = Duration::from_secs(61);
const LOOKS: [Look; 3] = [Look::Plain, Look::Dated, Look::Json];

/// What is newer is waited for, however slow the machine is.
fn options(site: &Site) -> PublishedOptions {
    let patience = Duration::from_secs(60);
    PublishedOptions { patience, ..PublishedOptions::new(PublishedDialect::Directory, site.endpoint()) }
}

async fn open(options: PublishedOptions) -> Arc<dyn ImageService> {
    open_published("mirror", options).await.unwrap()
}

async fn service(site: &Site) -> Arc<dyn ImageService> {
    open(options(site)).await
}

/// All images, as whoever lists them makes them of names.
async fn all(service: &dyn ImageService) -> Vec<Image> {
    let sort = Sort::by([(SortKey::Name, Direction::Asc)]);
    detail_by_show(service, &member(), &Query { sort, ..Query::default() }, 4).await.unwrap().items
}

async fn only(service: &dyn ImageService) -> Image {
    let [image] = <[Image; 1]>::try_from(all(service).await).unwrap();
    image
}

async fn refusal(service: &dyn ImageService) -> String {
    let error = names(service).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the catalogue of the image source cannot be had now");
    error.chain()
}

#[tokio::test]
async fn a_file_is_an_image_with_what_is_certain_of_it() {
    for look in LOOKS {
        let site = Site::start(look).await;
        site.publish(&[("debian-12-generic-amd64.qcow2", "image")]);
        site.put("MD5SUMS", format!("{} *debian-12-generic-amd64.qcow2", hash(HashAlgorithm::Md5, "image")));
        site.put("debian-12-generic-amd64.qcow2.xz", "packed");
        site.put("README.txt", "no image");
        let image =
            only(&*open(PublishedOptions { owner: Some("them".into()), ..options(&site) }).await).await;
        assert_eq!(image.name.as_deref(), Some("debian-12-generic-amd64.qcow2"));
        assert_eq!(
            (image.status, image.visibility, image.owner.as_deref()),
            (Status::Active, Visibility::Public, Some("them"))
        );
        let formats = (image.disk_format.as_deref(), image.container_format.as_deref());
        assert_eq!(formats, (Some("qcow2"), Some("bare")));
        let strong = image.hash.unwrap();
        let sha256 = hash(HashAlgorithm::Sha256, "image");
        assert_eq!((strong.algorithm.as_str(), &strong.value), ("sha256", &sha256));
        assert_eq!((image.size, image.checksum), (Some(5), Some(hash(HashAlgorithm::Md5, "image"))));
        let then = "2024-03-19T09:48:38Z".parse().unwrap();
        assert_eq!((image.created_at, image.updated_at), (then, then));
        let properties: Vec<(&str, &str)> =
            image.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [("architecture", "x86_64"), ("directory_path", "debian-12-generic-amd64.qcow2")];
        assert_eq!(properties, expected);
        let key = format!("[\"debian-12-generic-amd64.qcow2\",\"sha256\",\"{sha256}\"]");
        assert_eq!(image.id, ImageId::derived("mirror", &key));
    }
}

#[tokio::test]
async fn five_hundred_names_are_listed_with_one_fetch_of_each_document_and_sizes_asked_for_once() {
    let images: Vec<(String, String)> =
        (0..500).map(|number| (format!("{number:03}.img"), "x".repeat(1 + number % 7))).collect();
    let images: Vec<(&str, &str)> =
        images.iter().map(|(path, bytes)| (path.as_str(), bytes.as_str())).collect();
    for look in LOOKS {
        let site = Site::start(look).await;
        site.publish(&images);
        let service = service(&site).await;
        assert_eq!(names(&*service).await.unwrap().len(), 500);
        assert_eq!((site.count("/pub/"), site.count("SHA256SUMS"), site.server.calls().len()), (1, 1, 2));
        for _ in 0..2 {
            let all = all(&*service).await;
            assert_eq!(all.iter().map(|image| image.size.unwrap()).sum::<u64>(), 1994);
            assert_eq!(site.heads(""), if look == Look::Json { 0 } else { 500 });
        }
        assert_eq!(site.server.calls().iter().filter(|call| call.method == "GET").count(), 2);
    }
}

#[tokio::test]
async fn only_a_listing_that_is_exact_gives_details_by_itself() {
    for look in LOOKS {
        let site = Site::start(look).await;
        site.publish(&[("a.img", "a"), ("b.img", "bb")]);
        let service = service(&site).await;
        let detail = service.detail(&member(), &Query { sort: Sort::by([]), ..Query::default() }).await;
        match look {
            Look::Json => assert_eq!(detail.unwrap().items.len(), 2),
            _ => assert_eq!(detail.unwrap_err().kind(), ErrorKind::NotImplemented),
        }
    }
}

#[tokio::test]
async fn nothing_is_written_into_a_directory() {
    let site = Site::start(Look::Dated).await;
    site.publish(&[("a.img", "a")]);
    let service = service(&site).await;
    check_refusals(&*service, &only(&*service).await.id).await;
}

#[tokio::test]
async fn lists_are_in_every_order_that_is_promised_and_pages_give_each_image_once() {
    let images: Vec<(String, &str)> = (0..30)
        .map(|number| (format!("{}-{number}.{}", number % 3, ["img", "raw", "iso"][number % 2]), "x"))
        .collect();
    let images: Vec<(&str, &str)> = images.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
    for look in LOOKS {
        let site = Site::start(look).await;
        site.publish(&images);
        let service = service(&site).await;
        let can = service.capabilities();
        assert!(!can.writes.is_yes() && !can.uploads.is_yes() && can.ranges.is_yes());
        let every = all(&*service).await;
        for key in SortKey::ALL {
            assert_eq!(
                can.sort_keys.contains(key),
                !matches!(key.as_str(), "size" | "created_at" | "updated_at")
            );
        }
        for key in &can.sort_keys {
            for way in [Direction::Asc, Direction::Desc] {
                let sort = Sort::by([(*key, way)]);
                let mut expected = every.clone();
                expected.sort_by(|a, b| sort.compare(a, b));
                let expected: Vec<Summary> = expected.iter().map(Summary::from).collect();
                let mut query = Query { sort, limit: NonZeroUsize::new(4), ..Query::default() };
                let mut walked = Vec::new();
                for _ in 0..10 {
                    let page = service.index(&member(), &query).await.unwrap();
                    walked.extend(page.items);
                    let Some(last) = walked.last().filter(|_| page.more) else { break };
                    let last = every.iter().find(|image| image.id == last.id).unwrap();
                    query.position = Some(query.sort.position_of(last));
                }
                assert_eq!(walked, expected, "{query:?}");
            }
        }
    }
}

#[tokio::test]
async fn other_bytes_under_the_same_name_are_another_image_as_soon_as_their_hash_is_published() {
    for look in LOOKS {
        let site = Site::start(look).await;
        site.publish(&[("latest.img", "old")]);
        let service = service(&site).await;
        let old = only(&*service).await;
        site.publish(&[("latest.img", "newer")]);
        pass(FRESH).await;
        let new = only(&*service).await;
        assert_eq!((new.size, new.name.as_deref()), (Some(5), Some("latest.img")));
        assert_ne!(new.id, old.id);
        assert_eq!(service.show(&member(), &old.id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(read(&*service, &new.id, None).await.unwrap(), b"newer");
    }
}

#[tokio::test]
async fn an_image_without_a_hash_is_left_out_or_shown_and_changes_in_place() {
    for look in LOOKS {
        let site = Site::start(look).await;
        site.put("x.img", "old");
        assert!(names(&*service(&site).await).await.unwrap().is_empty());
        let service = open(PublishedOptions { hashes: Hashes::Optional, ..options(&site) }).await;
        let old = only(&*service).await;
        assert_eq!((&old.hash, old.size), (&None, Some(3)));
        assert_eq!(old.id, ImageId::derived("mirror", "[\"x.img\"]"));
        site.put_at("x.img", "newer", "2024-03-20T09:48:38Z");
        pass(FRESH).await;
        let new = service.show(&member(), &old.id).await.unwrap();
        assert_eq!((new.size, new.updated_at), (Some(5), "2024-03-20T09:48:38Z".parse().unwrap()));
        assert_eq!(read(&*service, &old.id, None).await.unwrap(), b"newer");
    }
}

#[tokio::test]
async fn the_head_of_a_file_is_asked_for_again_when_it_may_have_changed() {
    for (look, changed, again) in [
        (Look::Plain, "2024-03-19T09:48:38Z", true),
        (Look::Dated, "2024-03-19T09:48:38Z", false),
        (Look::Dated, "now", true),
    ] {
        let site = Site::start(look).await;
        site.publish(&[("x.img", "old")]);
        site.put_at("x.img", "old", changed);
        let service = open(PublishedOptions { hashes: Hashes::Optional, ..options(&site) }).await;
        let id = only(&*service).await.id;
        pass(FRESH / 2).await;
        only(&*service).await;
        assert_eq!(site.heads("x.img"), 1);
        pass(FRESH).await;
        only(&*service).await;
        assert_eq!(site.heads("x.img"), if again { 2 } else { 1 }, "{look:?} {changed}");
        // The same size, in another minute.
        site.put_at("x.img", "new", "2024-03-19T09:49:00Z");
        pass(FRESH).await;
        let image = service.show(&member(), &id).await.unwrap();
        assert_eq!(image.updated_at, "2024-03-19T09:49:00Z".parse().unwrap(), "{look:?}");
        // However still it is, it is asked for once a day.
        let heads = site.heads("x.img");
        pass(24 * 60 * FRESH).await;
        service.show(&member(), &id).await.unwrap();
        assert_eq!(site.heads("x.img"), heads + 1);
    }
}

#[tokio::test]
async fn however_many_need_the_head_of_a_file_one_asks_for_it() {
    let site = Site::start(Look::Plain).await;
    site.publish(&[("x.img", "x")]);
    let service = service(&site).await;
    let id = ImageId::lookup(service.index(&member(), &by_name()).await.unwrap().items[0].id.as_str());
    for round in 1..=3 {
        let (caller, service) = (member(), &service);
        let shown = join_all((0..50).map(|_| service.show(&caller, &id))).await;
        assert!(shown.into_iter().all(|image| image.unwrap().size == Some(1)));
        assert_eq!(site.heads("x.img"), round);
        pass(FRESH).await;
    }
}

fn by_name() -> Query {
    Query { sort: Sort::by([(SortKey::Name, Direction::Asc)]), ..Query::default() }
}

#[tokio::test]
async fn data_comes_whole_and_in_parts_whether_or_not_the_server_knows_ranges() {
    for look in LOOKS {
        let site = Site::start(look).await;
        site.publish(&[("x.img", "20240423")]);
        let service = open(PublishedOptions { skip_limit: bytesize::ByteSize(2), ..options(&site) }).await;
        let id = only(&*service).await.id;
        for mood in [Mood::Well, Mood::Bare] {
            site.be(mood);
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
        assert!(site.server.calls().iter().all(|call| call.headers["accept-encoding"] == "identity"));
    }
}

#[tokio::test]
async fn a_file_that_was_replaced_since_it_was_listed_is_refused_before_its_first_byte() {
    for (look, mood, changed) in [
        // By its tag, which the server compares.
        (Look::Plain, Mood::Well, "2024-03-19T09:48:38Z"),
        // By its time, which is compared here.
        (Look::Plain, Mood::Bare, "2024-03-19T09:48:39Z"),
        (Look::Json, Mood::Well, "2024-03-19T09:48:39Z"),
    ] {
        for range in [None, Some(ByteRange::Between(0, 1))] {
            let site = Site::start(look).await;
            site.publish(&[("x.img", "old")]);
            let service = service(&site).await;
            let id = only(&*service).await.id;
            site.be(mood);
            site.put_at("x.img", "new", changed);
            let error = service.get(&member(), &id, range).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.speaks_against_store()),
                (ErrorKind::Unavailable, false),
                "{look:?}"
            );
            assert!(error.to_string().contains("has been replaced"), "{error}");
        }
    }
    // Its length alone tells as well.
    let site = Site::start(Look::Json).await;
    site.publish(&[("x.img", "old")]);
    let service = service(&site).await;
    let id = only(&*service).await.id;
    site.put("x.img", "longer");
    assert!(service.get(&member(), &id, None).await.unwrap_err().to_string().contains("replaced"));
}

#[tokio::test]
async fn after_a_refusal_the_file_is_asked_about_anew() {
    let site = Site::start(Look::Plain).await;
    site.put("x.img", "old");
    let service = open(PublishedOptions { hashes: Hashes::Optional, ..options(&site) }).await;
    let id = only(&*service).await.id;
    site.put("x.img", "newer");
    assert!(service.get(&member(), &id, None).await.is_err());
    assert_eq!(read(&*service, &id, None).await.unwrap(), b"newer");
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_found() {
    for look in LOOKS {
        let site = Site::start(look).await;
        site.publish(&[("a.img", "a"), ("b.img", "b")]);
        let service = service(&site).await;
        let gone = all(&*service).await.remove(0);
        site.remove("a.img");
        assert_eq!(service.get(&member(), &gone.id, None).await.unwrap_err().kind(), ErrorKind::NotFound);
        pass(FRESH).await;
        assert_eq!(names(&*service).await.unwrap(), ["b.img"]);
        assert_eq!(service.show(&member(), &gone.id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(service.get(&member(), &gone.id, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn hashes_come_from_whatever_files_have_them_and_the_strongest_is_shown() {
    let (weak, strong) = (hash(HashAlgorithm::Sha256, "x"), hash(HashAlgorithm::Sha512, "x"));
    for (files, algorithm) in [
        (&[("CHECKSUM", format!("# x.img: 1 bytes\nSHA256 (x.img) = {weak}\n"))][..], "sha256"),
        (
            &[("SHA256SUMS", format!("{weak} *./x.img\n")), ("SHA512SUMS", format!("{strong}  x.img\n"))],
            "sha512",
        ),
        (&[("x.img.sha512", format!("{strong}\n"))], "sha512"),
        (&[("x.img.sha256", format!("{weak}  made-elsewhere.img\n"))], "sha256"),
        (
            &[("x.img.SHA256SUM", format!("SHA256 (x.img) = {weak}\nSHA256 (y.img) = {strong:.64}\n"))],
            "sha256",
        ),
    ] {
        let site = Site::start(Look::Plain).await;
        site.put("x.img", "x");
        for (name, text) in files {
            site.put(name, text.clone());
        }
        let image = only(&*service(&site).await).await;
        assert_eq!(image.hash.unwrap().algorithm, algorithm, "{files:?}");
    }
    // What only a weak hash is known of has none.
    let site = Site::start(Look::Plain).await;
    site.put("x.img", "x");
    site.put("MD5SUMS", format!("{}  x.img", hash(HashAlgorithm::Md5, "x")));
    site.put("x.img.sha256", format!("{weak}  a.img\n{weak}  b.img\n"));
    assert!(names(&*service(&site).await).await.unwrap().is_empty());
}

#[tokio::test]
async fn files_of_single_images_are_asked_for_only_if_no_other_says_their_hash() {
    let site = Site::start(Look::Plain).await;
    site.publish(&[("a.img", "a")]);
    for name in ["a.img.sha512", "b.img.sha512", "b.img.sha256"] {
        site.put(name, hash(HashAlgorithm::Sha512, &name[..1]));
    }
    site.put("b.img", "b");
    assert_eq!(names(&*service(&site).await).await.unwrap(), ["a.img", "b.img"]);
    assert_eq!(
        (site.count("a.img.sha512"), site.count("b.img.sha512"), site.count("b.img.sha256")),
        (0, 1, 0)
    );
}

#[tokio::test]
async fn an_id_stays_when_a_stronger_hash_is_published_beside_another() {
    let site = Site::start(Look::Plain).await;
    site.publish(&[("x.img", "x")]);
    let service = service(&site).await;
    let before = only(&*service).await;
    site.put("SHA512SUMS", format!("{}  x.img", hash(HashAlgorithm::Sha512, "x")));
    pass(FRESH).await;
    let after = only(&*service).await;
    assert_eq!((before.id, after.hash.unwrap().algorithm.as_str()), (after.id, "sha512"));
}

#[tokio::test]
async fn a_directory_with_anything_wrong_in_its_checksums_is_refused_whole() {
    let (a, b) = (hash(HashAlgorithm::Sha256, "a"), hash(HashAlgorithm::Sha256, "b"));
    for (name, text, why) in [
        ("CHECKSUM", format!("SHA256 (a.img) = {b}"), "another sha256 of one file"),
        ("SHA256SUMS", format!("{a}  a.img\n{b}  a.img\n"), "another sha256 of one file"),
        ("SHA256SUMS", String::from("<html>not found</html>"), "has a line that is no checksum"),
        ("SHA256SUMS", format!("{}  a.img", &a[1..]), "has a line that is no checksum"),
        ("SHA512SUMS", format!("{a}  a.img"), "of another length"),
        ("CHECKSUM", String::from("-----BEGIN PGP SIGNED MESSAGE-----\n"), "a signed document"),
    ] {
        let site = Site::start(Look::Dated).await;
        site.publish(&[("a.img", "a"), ("b.img", "b")]);
        assert_eq!(names(&*service(&site).await).await.unwrap().len(), 2);
        site.put(name, text);
        let chain = refusal(&*service(&site).await).await;
        assert!(chain.contains(why), "{chain}");
    }
}

#[tokio::test]
async fn a_page_that_is_no_listing_is_told_as_such() {
    let server = server::Server::start(|_| {
        server::reply(200, &[], axum::body::Body::from("<title>Welcome</title><a href='x.img'>x</a>"))
    })
    .await;
    let endpoint = format!("http://{}", server.address).parse().unwrap();
    let service = open(PublishedOptions::new(PublishedDialect::Directory, endpoint)).await;
    assert!(refusal(&*service).await.contains("a page is no listing of a directory"));
    let site = Site::start(Look::Dated).await;
    let nowhere = site.endpoint().join("/elsewhere").unwrap();
    let service = open(PublishedOptions { endpoint: nowhere, ..options(&site) }).await;
    assert!(refusal(&*service).await.contains("HTTP 404"));
}

#[tokio::test]
async fn directories_below_are_read_as_deep_as_is_wished() {
    for look in LOOKS {
        let site = Site::start(look).await;
        site.publish(&[("a.img", "a"), ("12 x/b.img", "b"), ("12 x/deep/c.img", "c")]);
        site.put("13/d.img", "d");
        site.put("13/SHA256SUMS", format!("{}  d.img", hash(HashAlgorithm::Sha256, "d")));
        for (depth, expected) in [
            (0, &["a.img"][..]),
            (1, &["a.img", "b.img", "d.img"]),
            (2, &["a.img", "b.img", "c.img", "d.img"]),
        ] {
            let service = open(PublishedOptions { depth, ..options(&site) }).await;
            assert_eq!(names(&*service).await.unwrap(), expected, "{look:?} {depth}");
            if depth == 2 {
                let all = all(&*service).await;
                assert_eq!(all[2].properties["directory_path"], "12 x/deep/c.img");
                assert_eq!(read(&*service, &all[2].id, None).await.unwrap(), b"c");
            }
        }
    }
}

#[tokio::test]
async fn what_is_beyond_a_bound_is_refused() {
    let site = Site::start(Look::Dated).await;
    site.publish(&[("a.img", "a"), ("b.img", "b")]);
    let few = open(PublishedOptions { max_images: NonZeroUsize::MIN, ..options(&site) }).await;
    assert!(refusal(&*few).await.contains("the most is 1"));
    let small = open(PublishedOptions { max_response: bytesize::ByteSize(200), ..options(&site) }).await;
    assert!(refusal(&*small).await.contains("over 200 bytes"));
    for number in 0..256 {
        site.put(&format!("{number}/x"), "x");
    }
    assert_eq!(names(&*service(&site).await).await.unwrap().len(), 2);
    let deep = open(PublishedOptions { depth: 1, ..options(&site) }).await;
    assert!(refusal(&*deep).await.contains("over 256 directories"));
}

#[tokio::test]
async fn names_of_every_kind_are_listed_and_read() {
    let images = [
        "with space.img",
        "plus+sign.img",
        "hash#tag.img",
        "größe.img",
        "100%.img",
        "a&b<c>\"d'.img",
        "colon:x.img",
        "question?.img",
        "%2e%2e.img",
    ];
    for look in LOOKS {
        let site = Site::start(look).await;
        site.publish(&images.map(|name| (name, name)));
        let service = service(&site).await;
        let all = all(&*service).await;
        assert_eq!(all.len(), images.len());
        for image in all {
            assert_eq!(read(&*service, &image.id, None).await.unwrap(), image.name.unwrap().as_bytes());
        }
    }
}

#[tokio::test]
async fn the_last_answers_go_on_for_a_while_when_there_are_no_newer_ones() {
    for mood in [Mood::Failing, Mood::Headless] {
        let site = Site::start(Look::Plain).await;
        site.publish(&[("x.img", "x")]);
        let service = service(&site).await;
        let good = only(&*service).await;
        site.be(mood);
        pass(FRESH).await;
        for _ in 0..3 {
            assert_eq!(service.show(&member(), &good.id).await.unwrap(), good);
        }
        assert!(site.heads("x.img") <= 2);
        pass(Duration::from_secs(60 * 60)).await;
        assert!(service.show(&member(), &good.id).await.unwrap_err().kind().is_silence());
        site.be(Mood::Well);
        pass(FRESH).await;
        assert_eq!(only(&*service).await, good);
    }
}

#[tokio::test]
async fn documents_that_have_not_changed_are_not_sent_again() {
    let site = Site::start(Look::Dated).await;
    site.publish(&[("x.img", "x")]);
    let service = service(&site).await;
    for _ in 0..2 {
        only(&*service).await;
        pass(FRESH).await;
    }
    let calls = site.server.calls();
    let sums: Vec<bool> = calls
        .iter()
        .filter(|call| call.path.ends_with("SUMS"))
        .map(|call| call.headers.contains_key("if-none-match"))
        .collect();
    assert_eq!(sums, [false, true]);
}

fn signed(file: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/signed/sums").join(file)).unwrap()
}

/// A site with an image and files, each called as the first, made as the second.
async fn signed_site(files: &[(&str, &str)]) -> (Site, Arc<dyn ImageService>) {
    let site = Site::start(Look::Dated).await;
    site.put("signed.img", "signed-image");
    for (name, file) in files {
        site.put(name, signed(file));
    }
    let keyring = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/signed/sums/mirror.asc"));
    let service = open(PublishedOptions { keyring, ..options(&site) }).await;
    (site, service)
}

#[tokio::test]
async fn with_a_keyring_checksums_that_were_signed_are_taken() {
    for files in [
        &[("SHA256SUMS", "SHA256SUMS"), ("SHA256SUMS.gpg", "binary.gpg")][..],
        &[("SHA256SUMS", "SHA256SUMS"), ("SHA256SUMS.gpg", "armoured.asc")],
        &[("SHA256SUMS", "SHA256SUMS"), ("SHA256SUMS.asc", "armoured.asc")],
        &[("SHA256SUMS", "SHA256SUMS"), ("SHA256SUMS.sign", "text.sign")],
        &[("SHA256SUMS", "SHA256SUMS"), ("SHA256SUMS.asc", "SHA256SUMS.signed")],
        &[("Some-1-CHECKSUM", "CHECKSUM.signed")],
        &[("signed.img.sha256", "SHA256SUMS.signed")],
        // What nobody signed is as if it were not there.
        &[("Some-1-CHECKSUM", "CHECKSUM.signed"), ("SHA512SUMS", "CHECKSUM")],
    ] {
        let (site, service) = signed_site(files).await;
        let image = only(&*service).await;
        assert_eq!(image.hash.unwrap().value, hash(HashAlgorithm::Sha256, "signed-image"), "{files:?}");
        drop(site);
    }
}

#[tokio::test]
async fn a_signature_that_comes_or_changes_later_counts_although_what_it_is_of_is_the_same() {
    let (site, service) = signed_site(&[("SHA256SUMS", "SHA256SUMS")]).await;
    assert!(names(&*service).await.unwrap().is_empty());
    site.put("SHA256SUMS.gpg", signed("binary.gpg"));
    pass(FRESH).await;
    assert_eq!(names(&*service).await.unwrap(), ["signed.img"]);
    site.put("SHA256SUMS.gpg", signed("stranger.gpg"));
    pass(FRESH).await;
    assert_eq!(names(&*service).await.unwrap(), ["signed.img"]);
    pass(60 * FRESH).await;
    assert!(refusal(&*service).await.contains("not signed by a key of the keyring"));
    // Without its signature it says nothing again.
    site.remove("SHA256SUMS.gpg");
    pass(FRESH).await;
    assert!(names(&*service).await.unwrap().is_empty());
}

#[tokio::test]
async fn with_a_keyring_nothing_else_is() {
    for (files, why) in [
        (
            &[("SHA256SUMS", "CHECKSUM"), ("SHA256SUMS.gpg", "binary.gpg")][..],
            "not signed by a key of the keyring",
        ),
        (
            &[("SHA256SUMS", "SHA256SUMS"), ("SHA256SUMS.gpg", "stranger.gpg")],
            "not signed by a key of the keyring",
        ),
        (&[("SHA256SUMS", "SHA256SUMS"), ("SHA256SUMS.gpg", "weak.gpg")], "made with a weak hash"),
        (&[("SHA256SUMS", "SHA256SUMS"), ("SHA256SUMS.gpg", "CHECKSUM")], "no signature"),
        (&[("CHECKSUM", "CHECKSUM.stranger")], "not signed by a key of the keyring"),
    ] {
        let (_site, service) = signed_site(files).await;
        assert!(names(&*service).await.is_err(), "{files:?}");
        let chain = refusal(&*service).await;
        assert!(chain.contains(why), "{files:?}: {chain}");
    }
    // What is not signed at all says nothing, so that there are no images, and neither does what was signed of another
    // image, whatever the file with it is called.
    for files in [
        &[("SHA256SUMS", "SHA256SUMS")][..],
        &[],
        &[("other.img", "binary.gpg"), ("other.img.sha256", "SHA256SUMS.signed")],
        &[
            ("other.img", "binary.gpg"),
            ("other.img.sha256", "SHA256SUMS"),
            ("other.img.sha256.gpg", "binary.gpg"),
        ],
        &[
            ("other.img", "binary.gpg"),
            ("other.img.sha256", "SHA256SUMS"),
            ("other.img.sha256.asc", "SHA256SUMS.signed"),
        ],
    ] {
        let (_site, service) = signed_site(files).await;
        assert!(names(&*service).await.unwrap().is_empty(), "{files:?}");
    }
    let (site, _) = signed_site(&[]).await;
    let keyring = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/signed/sums/mirror.asc"));
    let both = PublishedOptions { keyring, hashes: Hashes::Optional, ..options(&site) };
    assert_eq!(open_published("mirror", both).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn without_a_keyring_the_text_that_was_signed_is_read_and_nothing_around_it() {
    let site = Site::start(Look::Plain).await;
    site.put("signed.img", "signed-image");
    site.put("CHECKSUM", signed("CHECKSUM.stranger"));
    let image = only(&*service(&site).await).await;
    assert_eq!(image.hash.unwrap().value, hash(HashAlgorithm::Sha256, "signed-image"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Site::start(Look::Plain).await;
    elsewhere.publish(&[("x.img", "x")]);
    let target = elsewhere.endpoint().to_string() + "/";
    let server = server::Server::start(move |_| {
        server::reply(301, &[("location", target.clone())], axum::body::Body::empty())
    })
    .await;
    let endpoint = format!("http://{}/pub", server.address).parse().unwrap();
    let service = open(PublishedOptions::new(PublishedDialect::Directory, endpoint)).await;
    assert!(refusal(&*service).await.contains("HTTP 301"));
    assert_eq!((server.calls().len(), elsewhere.server.calls().len()), (1, 0));
}
