//! The index of virt-builder from a mirror: what its templates come to, and data that is unpacked on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mirror;
mod server;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_compression::tokio::write::XzEncoder;
use axum::body::Body;
use image_service::{
    ByteRange, Error, ErrorKind, HashAlgorithm, Hasher, ImageId, ImageService, Query, Result, Status,
};
use mirror::{Mirror, Mood, admin, check_reading, member, names, pass, read};
use portico_http::{PublishedDialect, PublishedOptions, open_published};
use server::{Server, reply};
use tokio::io::AsyncWriteExt;

fn sha512(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(HashAlgorithm::Sha512);
    hasher.update(bytes);
    hasher.finish().value
}

/// Bytes that do not pack to nothing.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * at / 7 + at / 251) % 251).unwrap()).collect()
}

async fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = XzEncoder::new(Vec::new());
    encoder.write_all(bytes).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

/// A template in a file called `file`, which holds `stored` and is an image of `size` bytes.
fn template(name: &str, file: &str, stored: &[u8], size: usize) -> String {
    format!(
        "[{name}]\nname=A template®\narch=x86_64\nfile={file}\nchecksum[sha512]={}\nformat=raw\nsize={size}\n\
         compressed_size={}\nexpand=/dev/sda3\nrevision=4\nnotes=It goes\n on.\nnotes[de]=Weiter.\n\n",
        sha512(stored),
        stored.len()
    )
}

async fn open(mirror: &Mirror) -> Arc<dyn ImageService> {
    // What is newer is waited for, however slow the machine is.
    let patience = Duration::from_secs(60);
    let options = PublishedOptions::new(PublishedDialect::VirtBuilder, mirror.endpoint());
    open_published("mirror", PublishedOptions { patience, ..options }).await.unwrap()
}

/// A mirror with one packed template, and its id.
async fn one(bytes: &[u8]) -> (Mirror, ImageId) {
    let (mirror, stored) = (Mirror::start().await, packed(bytes).await);
    mirror.put("index", template("fedora-39", "fedora-39.xz", &stored, bytes.len()));
    mirror.put("fedora-39.xz", stored);
    (mirror, ImageId::derived("mirror", r#"["fedora-39","x86_64","4"]"#))
}

async fn refusal(mirror: &Mirror) -> String {
    let error = open(mirror).await.detail(&member(), &Query::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    error.chain()
}

#[tokio::test]
async fn a_template_is_an_image_with_all_that_is_said_of_it() {
    let (mirror, id) = one(&pattern(1000)).await;
    let image = open(&mirror).await.show(&member(), &id).await.unwrap();
    assert_eq!(image.name.as_deref(), Some("fedora-39"));
    assert_eq!((image.status, image.size, image.virtual_size), (Status::Active, Some(1000), Some(1000)));
    assert_eq!((image.disk_format.as_deref(), image.hidden), (Some("raw"), false));
    // What is known is the hash of what is packed.
    assert_eq!((image.checksum, image.hash), (None, None));
    assert_eq!(image.created_at, "2024-03-19T09:48:38Z".parse().unwrap());
    let properties: Vec<(&str, &str)> =
        image.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("architecture", "x86_64"),
        ("os_distro", "fedora"),
        ("os_version", "39"),
        ("virt_builder_expand", "/dev/sda3"),
        ("virt_builder_name", "A template®"),
        ("virt_builder_notes", "It goes\non."),
        ("virt_builder_revision", "4"),
    ];
    assert_eq!(properties, expected);
}

#[tokio::test]
async fn templates_are_listed_and_hidden_ones_say_so() {
    let mirror = Mirror::start().await;
    let mut index: String = (0..20)
        .map(|number| template(&format!("os-{number}"), &format!("{number}.img"), b"x", number))
        .collect();
    index.push_str(&template("old-1", "old.img", b"x", 1));
    index.push_str("hidden=true\n");
    mirror.put("index", index);
    let service = open(&mirror).await;
    check_reading(&*service, 21).await;
    assert_eq!(mirror.server.calls().len(), 1);
    let hidden = Query { filters: vec![image_service::Filter::Hidden(true)], ..Query::default() };
    let page = service.index(&admin(), &hidden).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].name.as_deref(), Some("old-1"));
}

#[tokio::test]
async fn five_hundred_templates_are_listed_with_one_fetch_of_the_index() {
    let mirror = Mirror::start().await;
    let template = |number| template(&format!("os-{number}"), &format!("{number}.img"), b"x", number);
    mirror.put("index", (0..500).map(template).collect::<String>());
    check_reading(&*open(&mirror).await, 500).await;
    assert_eq!((mirror.count("index"), mirror.server.calls().len()), (1, 1));
}

#[tokio::test]
async fn what_has_changed_in_the_index_shows_when_it_is_no_longer_fresh() {
    let (mirror, id) = one(b"data").await;
    let service = open(&mirror).await;
    let before = service.show(&member(), &id).await.unwrap();
    let old = template("debian-12", "d.img", b"x", 1);
    mirror.put("index", template("fedora-39", "fedora-39.xz", b"x", 7) + &old);
    assert_eq!(service.show(&member(), &id).await.unwrap(), before);
    pass(Duration::from_secs(61)).await;
    assert_eq!(service.show(&member(), &id).await.unwrap().size, Some(7));
    assert_eq!(names(&*service).await.unwrap(), ["debian-12", "fedora-39"]);
    mirror.put("index", old);
    pass(Duration::from_secs(61)).await;
    assert_eq!(service.show(&member(), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(service.get(&member(), &id, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!((mirror.count("index"), mirror.server.calls().len()), (3, 3));
}

/// A server of an index, which it knows by its size and the second of its last change, as nginx does.
struct Second {
    server: Server,
    /// The index, when the server says that it last changed, and what time it says that it is.
    state: Arc<Mutex<(String, Option<&'static str>, &'static str)>>,
}

impl Second {
    async fn start(index: String, changed: Option<&'static str>, now: &'static str) -> Self {
        let state = Arc::new(Mutex::new((index, changed, now)));
        let held = Arc::clone(&state);
        let server = Server::start(move |call| {
            let (index, changed, now) = held.lock().unwrap().clone();
            let tag = format!("\"{}-{}\"", changed.unwrap_or_default(), index.len());
            let is_known = call.headers.get("if-none-match").is_some_and(|known| *known == tag);
            let mut headers = vec![("etag", tag), ("date", now.to_owned())];
            headers.extend(changed.map(|changed| ("last-modified", changed.to_owned())));
            if is_known {
                reply(304, &headers, Body::empty())
            } else {
                reply(200, &headers, Body::from(index))
            }
        })
        .await;
        Self { server, state }
    }

    async fn open(&self) -> Arc<dyn ImageService> {
        let endpoint = format!("http://{}", self.server.address).parse().unwrap();
        open_published("mirror", PublishedOptions::new(PublishedDialect::VirtBuilder, endpoint))
            .await
            .unwrap()
    }

    /// Which requests had a condition.
    fn conditions(&self) -> Vec<bool> {
        self.server.calls().iter().map(|call| call.headers.contains_key("if-none-match")).collect()
    }
}

#[tokio::test]
async fn a_change_in_the_second_of_the_last_one_is_seen_although_the_server_knows_it_by_nothing_else() {
    let index = |name| template(name, "x.img", b"x", 1);
    for (changed, is_seen) in [
        (Some("Tue, 19 Mar 2024 09:50:00 GMT"), true),
        (Some("Tue, 19 Mar 2024 09:48:01 GMT"), true),
        (Some("lately"), true),
        (Some("Tue, 19 Mar 2024 09:48:00 GMT"), false),
        // Who says no time has another way to tell.
        (None, false),
    ] {
        let second = Second::start(index("old-1"), changed, "Tue, 19 Mar 2024 09:50:00 GMT").await;
        let service = second.open().await;
        assert_eq!(names(&*service).await.unwrap(), ["old-1"]);
        second.state.lock().unwrap().0 = index("new-1");
        pass(Duration::from_secs(61)).await;
        let expected = if is_seen { "new-1" } else { "old-1" };
        assert_eq!(names(&*service).await.unwrap(), [expected], "{changed:?}");
        assert_eq!(second.conditions(), [false, !is_seen], "{changed:?}");
    }
}

#[tokio::test]
async fn a_document_is_not_sent_again_once_it_has_not_changed_for_a_while() {
    let changed = "Tue, 19 Mar 2024 09:48:38 GMT";
    let second = Second::start(template("os-1", "x.img", b"x", 1), Some(changed), changed).await;
    let service = second.open().await;
    for now in
        ["Tue, 19 Mar 2024 09:49:38 GMT", "Tue, 19 Mar 2024 09:50:38 GMT", "Tue, 19 Mar 2024 09:51:38 GMT"]
    {
        assert_eq!(names(&*service).await.unwrap(), ["os-1"]);
        second.state.lock().unwrap().2 = now;
        pass(Duration::from_secs(61)).await;
    }
    assert_eq!(names(&*service).await.unwrap(), ["os-1"]);
    assert_eq!(second.conditions(), [false, false, false, true]);
}

#[tokio::test]
async fn a_new_revision_is_another_image() {
    let (mirror, id) = one(b"data").await;
    let index = template("fedora-39", "fedora-39.xz", b"x", 1).replace("revision=4", "revision=5");
    mirror.put("index", index);
    let service = open(&mirror).await;
    assert_eq!(service.show(&member(), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(names(&*service).await.unwrap(), ["fedora-39"]);
}

#[tokio::test]
async fn packed_data_is_unpacked_on_the_way() {
    for length in [0, 1, 65_536, 65_537, 3_000_000] {
        let bytes = pattern(length);
        let (mirror, id) = one(&bytes).await;
        for mood in [Mood::Well, Mood::Plain] {
            mirror.be(mood);
            assert_eq!(read(&*open(&mirror).await, &id, None).await.unwrap(), bytes, "{length}");
        }
    }
}

#[tokio::test]
async fn a_part_of_packed_data_cannot_be_read() {
    let (mirror, id) = one(&pattern(1000)).await;
    let service = open(&mirror).await;
    assert!(!service.capabilities().ranges.is_yes());
    let part = service.get(&member(), &id, Some(ByteRange::From(1))).await;
    assert_eq!(part.unwrap_err().kind(), ErrorKind::NotImplemented);
}

#[tokio::test]
async fn data_that_is_not_packed_has_the_hash_of_the_catalogue() {
    let mirror = Mirror::start().await;
    mirror.put("index", template("cirros-0.6", "cirros.img", b"0123456789", 10));
    mirror.put("cirros.img", "0123456789");
    let service = open(&mirror).await;
    let id = ImageId::derived("mirror", r#"["cirros-0.6","x86_64","4"]"#);
    let image = service.show(&member(), &id).await.unwrap();
    assert_eq!(image.hash.unwrap().value, sha512(b"0123456789"));
    assert_eq!(read(&*service, &id, None).await.unwrap(), b"0123456789");
}

#[tokio::test]
async fn the_size_of_a_template_that_is_not_raw_is_that_of_its_file_and_not_of_its_disk() {
    let mirror = Mirror::start().await;
    let of_disk = template("cirros-0.6", "cirros.img", b"0123456789", 1 << 30).replace("=raw", "=qcow2");
    mirror.put("index", of_disk);
    mirror.put("cirros.img", "0123456789");
    let service = open(&mirror).await;
    let id = ImageId::derived("mirror", r#"["cirros-0.6","x86_64","4"]"#);
    let image = service.show(&member(), &id).await.unwrap();
    assert_eq!((image.size, image.virtual_size), (Some(10), Some(1 << 30)));
    assert_eq!(read(&*service, &id, None).await.unwrap(), b"0123456789");
}

#[tokio::test]
async fn a_template_whose_data_has_no_known_length_is_left_out() {
    let mirror = Mirror::start().await;
    let qcow2 = |name: &str, file: &str| template(name, file, b"x", 9).replace("=raw", "=qcow2");
    let unsaid = qcow2("unsaid-1", "u.img").replace("compressed_size", "compressed");
    let unknown = [qcow2("packed-1", "p.xz"), unsaid].concat();
    let index = unknown.clone() + &template("good-1", "good.img", b"x", 1);
    mirror.put("index", index);
    assert_eq!(names(&*open(&mirror).await).await.unwrap(), ["good-1"]);
    // What is wrong with one is wrong with the index all the same.
    mirror.put("index", unknown.replace("arch=", "x="));
    assert!(refusal(&mirror).await.contains("no arch"));
}

#[tokio::test]
async fn what_is_said_of_the_length_of_packed_data_is_not_held_against_it() {
    let bytes = pattern(1000);
    let (mirror, id) = one(&bytes).await;
    let stored = packed(&bytes).await;
    let wrong = format!("compressed_size={}", stored.len() + 1);
    let index = template("fedora-39", "fedora-39.xz", &stored, bytes.len());
    mirror.put("index", index.replace(&format!("compressed_size={}", stored.len()), &wrong));
    assert_eq!(read(&*open(&mirror).await, &id, None).await.unwrap(), bytes);
}

/// What is read before the error, and the error.
async fn broken(mirror: &Mirror, id: &ImageId) -> (Vec<u8>, Error) {
    use futures::StreamExt;
    let data = match open(mirror).await.get(&member(), id, None).await {
        Ok(download) => download.data.unwrap(),
        Err(error) => return (Vec::new(), error),
    };
    let (mut stream, mut bytes) = (data.into_stream(), Vec::new());
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => {
                assert!(stream.next().await.is_none());
                return (bytes, error);
            }
        }
    }
    panic!("{} bytes, and no error", bytes.len());
}

#[tokio::test]
async fn packed_data_that_is_not_what_the_catalogue_says_ends_in_an_error_before_its_end() -> Result<()> {
    let bytes = pattern(300_000);
    let (mirror, id) = one(&bytes).await;
    let stored = packed(&bytes).await;
    // Of the same image, packed as well, and not what the catalogue has the hash of.
    let mut other = template("fedora-39", "fedora-39.xz", &stored, bytes.len());
    other = other.replace(&sha512(&stored), &sha512(b"other"));
    // What is behind the packed data counts too.
    let longer = [&stored[..], b"\0\0\0\0"].concat();
    let without_size = |text: String| {
        text.lines()
            .filter(|line| !line.starts_with("compressed_size"))
            .fold(String::new(), |all, line| all + line + "\n")
    };
    let good = template("fedora-39", "fedora-39.xz", &stored, bytes.len());
    let mut flipped = stored.clone();
    flipped[stored.len() / 2] ^= 1;
    for (index, file) in [
        (other, stored.clone()),
        (without_size(good.clone()), longer),
        (good.clone(), flipped),
        (without_size(good.clone()), stored[..stored.len() - 10].to_vec()),
        (template("fedora-39", "fedora-39.xz", &stored, bytes.len() - 1), stored.clone()),
        (template("fedora-39", "fedora-39.xz", &stored, bytes.len() + 1), stored.clone()),
        (template("fedora-39", "fedora-39.xz", b"not packed", 10), b"not packed".to_vec()),
        (good.clone(), [&stored[..], b"x"].concat()),
    ] {
        mirror.put("index", index);
        mirror.put("fedora-39.xz", file);
        let (read, error) = broken(&mirror, &id).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        assert!(read.len() < bytes.len() && bytes.starts_with(&read), "{}", read.len());
    }
    Ok(())
}

#[tokio::test]
async fn an_index_with_anything_wrong_in_it_is_refused_whole() {
    let (mirror, _) = one(b"data").await;
    let good = template("good-1", "good.img", b"x", 1) + &template("fedora-39", "f.xz", b"x", 1);
    let sum = sha512(b"x");
    for (text, why) in [
        (good.replace("file=f.xz", "file=../f.xz"), "which has an empty segment, or one of dots"),
        (good.replace("file=f.xz", "file=http://elsewhere/f.xz"), "which is not relative"),
        (good.replace("file=f.xz", "file=//elsewhere/f.xz"), "which is not relative"),
        (good.replace("file=f.xz", "file=%2e%2e/f.xz"), "which has an encoded dot"),
        (good.replace("file=f.xz", "x=f.xz"), "no file"),
        (good.replace("size=1\ncompressed", "size=-1\ncompressed"), "no size"),
        (good.replace("compressed_size=1", "compressed_size=x"), "no compressed_size"),
        (good.replace("arch=", "x="), "no arch"),
        (good.replace("checksum[sha512]", "checksum[md5]"), "no checksum[sha512]"),
        (good.replace(&sum, &sum[1..]), "no checksum[sha512]"),
        (good.replace("[fedora-39]", "[good-1]"), "two of its images have the id"),
        (good.replace("[good-1]", "good-1"), "line 1 of the index is in no section"),
        (String::from("<html>"), "line 1 of the index"),
    ] {
        mirror.put("index", text.clone());
        let chain = refusal(&mirror).await;
        assert!(chain.contains(why), "{why}: {chain}\n{text}");
    }
    mirror.put("index", good);
    assert_eq!(names(&*open(&mirror).await).await.unwrap(), ["fedora-39", "good-1"]);
}
