//! Signed catalogues: whose are taken, and that nothing else is. The keys and documents were made by GnuPG, see
//! `signed/make.sh`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mirror;
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use image_service::{ErrorKind, ImageService, Query};
use mirror::{Mirror, member, names, pass, read};
use portico_http::{PublishedDialect, PublishedOptions, open_published};

const INDEX: &str = "streams/v1/index.sjson";
const PRODUCTS: &str = "streams/v1/signed.sjson";

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/signed").join(file)
}

fn fixture(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap()
}

/// A mirror whose index somebody has signed.
async fn mirror(by: &str) -> Mirror {
    let mirror = Mirror::start().await;
    mirror.put(INDEX, fixture(&format!("index.{by}.sjson")));
    mirror.put(PRODUCTS, fixture("products.good.sjson"));
    mirror.put("signed.img", "signed-image");
    mirror
}

/// A keyring of some keys, all armoured, in the order given.
fn keyring(keys: &[&str]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let keys: String = keys.iter().map(|key| fixture(&format!("{key}.asc"))).collect();
    std::fs::write(file.path(), keys).unwrap();
    file
}

async fn open(
    mirror: &Mirror,
    dialect: PublishedDialect,
    keyring: &tempfile::NamedTempFile,
) -> Arc<dyn ImageService> {
    let keyring = Some(keyring.path().to_owned());
    // What is newer is waited for, however slow the machine is.
    let patience = Duration::from_secs(60);
    let options = PublishedOptions::new(dialect, mirror.endpoint());
    open_published("mirror", PublishedOptions { keyring, patience, ..options }).await.unwrap()
}

async fn streams(mirror: &Mirror, keys: &[&str]) -> Arc<dyn ImageService> {
    open(mirror, PublishedDialect::Simplestreams, &keyring(keys)).await
}

async fn refusal(service: &dyn ImageService) -> String {
    let error = service.detail(&member(), &Query::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    error.chain()
}

#[tokio::test]
async fn a_catalogue_that_a_key_of_the_keyring_has_signed_is_taken() {
    for (by, keys) in [
        ("good", &["good"][..]),
        ("good", &["other", "expired", "good"]),
        ("other", &["good", "other"]),
        ("subkey", &["good", "subkey"]),
    ] {
        let mirror = mirror(by).await;
        let service = streams(&mirror, keys).await;
        assert_eq!(names(&*service).await.unwrap(), ["signed"], "{by} {keys:?}");
        let page = service.detail(&member(), &Query::default()).await.unwrap();
        assert_eq!(page.items[0].properties["architecture"], "aarch64");
        assert_eq!(read(&*service, &page.items[0].id, None).await.unwrap(), b"signed-image");
    }
}

#[tokio::test]
async fn a_catalogue_that_nobody_who_is_trusted_has_signed_is_refused() {
    for (by, keys, why) in [
        ("other", &["good"][..], "not signed by a key of the keyring"),
        ("good", &["other", "subkey"], "not signed by a key of the keyring"),
        ("expired", &["good", "expired"], "signed by a key that has run out"),
        ("revoked", &["good", "revoked"], "signed by a key that is revoked"),
        ("certifier", &["good", "certifier"], "signed by a key that is not for signing"),
        ("weak", &["good"], "made with a weak hash"),
        ("late", &["good"], "a signature has run out"),
        // The index is good, and the stream is not.
        ("other", &["other"], "not signed by a key of the keyring"),
    ] {
        let mirror = mirror(by).await;
        let service = streams(&mirror, keys).await;
        let chain = refusal(&*service).await;
        assert!(chain.contains(why), "{by} {keys:?}: {chain}");
    }
}

#[tokio::test]
async fn a_document_that_was_changed_is_refused_wherever_that_is() {
    let mirror = mirror("good").await;
    let (index, products) = (fixture("index.good.sjson"), fixture("products.good.sjson"));
    let armour = "-----BEGIN PGP SIGNATURE-----";
    let (_, signature) = products.split_once(armour).unwrap();
    let unsigned = index.split_once("\n\n").unwrap().1.split_once(armour).unwrap().0;
    let cases = [
        (INDEX, index.replace("signed.json", "signet.json")),
        (INDEX, format!("{unsigned}{index}")),
        (INDEX, format!("{index}{unsigned}")),
        (INDEX, unsigned.to_owned()),
        (INDEX, String::new()),
        (INDEX, format!("{}{armour}{signature}", index.split_once(armour).unwrap().0)),
        (INDEX, index.replace("Hash: ", "Hash: x\n\n{}\nHash: ")),
        // What is good, in a place that it was not signed for.
        (INDEX, products.clone()),
        (PRODUCTS, index.clone()),
        (PRODUCTS, products.replace("arm64", "amd64")),
        (PRODUCTS, products.replace("\"size\": 12", "\"size\": 13")),
        (PRODUCTS, products.replace("\"path\": \"signed.img\"", "\"path\": \"other.img\"")),
    ];
    for (path, text) in cases {
        mirror.put(INDEX, index.clone());
        mirror.put(PRODUCTS, products.clone());
        mirror.put(path, text.clone());
        let chain = refusal(&*streams(&mirror, &["good"]).await).await;
        assert!(chain.contains("refused"), "{chain}\n{text}");
    }
    mirror.put(PRODUCTS, products);
    mirror.put(INDEX, index);
    assert!(names(&*streams(&mirror, &["good"]).await).await.is_ok());
}

#[tokio::test]
async fn a_changed_document_leaves_the_last_good_catalogue_for_a_while() {
    let mirror = mirror("good").await;
    let service = streams(&mirror, &["good"]).await;
    assert_eq!(names(&*service).await.unwrap(), ["signed"]);
    mirror.put(PRODUCTS, fixture("products.good.sjson").replace("arm64", "amd64"));
    pass(Duration::from_secs(61)).await;
    assert_eq!(names(&*service).await.unwrap(), ["signed"]);
    pass(Duration::from_secs(60 * 60)).await;
    assert!(refusal(&*service).await.contains("not signed by a key of the keyring"));
}

#[tokio::test]
async fn an_older_document_is_not_taken_in_place_of_a_newer_one_though_it_is_signed() {
    let (old, new) = ("20240102", "20240105");
    let text = |document: &str, at: &str| fixture(&format!("{document}.{at}.sjson"));
    for (document, path) in [("products", PRODUCTS), ("index", INDEX)] {
        let mirror = Mirror::start().await;
        mirror.put(INDEX, text("index", old));
        mirror.put(PRODUCTS, text("products", old));
        let service = streams(&mirror, &["dated"]).await;
        assert_eq!(names(&*service).await.unwrap(), [old]);
        mirror.put(INDEX, text("index", new));
        mirror.put(PRODUCTS, text("products", new));
        pass(Duration::from_secs(61)).await;
        assert_eq!(names(&*service).await.unwrap(), [new]);

        mirror.put(path, text(document, old));
        pass(Duration::from_secs(61)).await;
        assert_eq!(names(&*service).await.unwrap(), [new], "the newer one goes on");
        // Also when everything is asked for as if it had never been seen.
        pass(Duration::from_secs(24 * 60 * 60)).await;
        let chain = refusal(&*service).await;
        let why = "was signed at 2024-01-02T00:00:00Z, and one that was signed at 2024-01-05T00:00:00Z";
        assert!(chain.contains(why), "{document}: {chain}");

        mirror.put(path, text(document, new));
        pass(Duration::from_secs(61)).await;
        assert_eq!(names(&*service).await.unwrap(), [new]);
    }
}

#[tokio::test]
async fn what_was_in_a_catalogue_that_was_refused_is_not_remembered() {
    let mirror = Mirror::start().await;
    mirror.put(INDEX, fixture("index.20240105.sjson"));
    mirror.put(PRODUCTS, "nonsense");
    let service = streams(&mirror, &["dated"]).await;
    refusal(&*service).await;
    mirror.put(INDEX, fixture("index.20240102.sjson"));
    mirror.put(PRODUCTS, fixture("products.20240102.sjson"));
    pass(Duration::from_secs(61)).await;
    assert_eq!(names(&*service).await.unwrap(), ["20240102"]);
}

#[tokio::test]
async fn with_a_keyring_nothing_unsigned_is_asked_for() {
    let mirror = mirror("good").await;
    mirror.remove(INDEX);
    mirror.put("streams/v1/index.json", "{\"format\": \"index:1.0\", \"index\": {}}");
    assert!(refusal(&*streams(&mirror, &["good"]).await).await.contains("HTTP 404"));
    assert_eq!(mirror.count("index.json"), 0);
    let unsigned = PublishedOptions::new(PublishedDialect::Simplestreams, mirror.endpoint());
    assert!(names(&*open_published("mirror", unsigned).await.unwrap()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_keyring_need_not_be_armoured_and_holds_keys_alone() {
    let mirror = mirror("good").await;
    let open = |file: PathBuf| {
        let options = PublishedOptions::new(PublishedDialect::Simplestreams, mirror.endpoint());
        open_published("mirror", PublishedOptions { keyring: Some(file), ..options })
    };
    let binary = path("good.gpg");
    assert_eq!(names(&*open(binary).await.unwrap()).await.unwrap(), ["signed"]);
    let empty = tempfile::NamedTempFile::new().unwrap();
    for file in
        ["/nowhere/keyring", "/dev/zero", empty.path().to_str().unwrap(), path("make.sh").to_str().unwrap()]
    {
        let error = open(file.into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{file}");
        assert!(error.to_string().starts_with(&format!("keyring: '{file}' ")), "{error}");
    }
}

#[tokio::test]
async fn a_key_counts_while_it_is_in_the_keyring() {
    let mirror = mirror("other").await;
    mirror.put(PRODUCTS, fixture("products.good.sjson"));
    let ring = keyring(&["good"]);
    let service = open(&mirror, PublishedDialect::Simplestreams, &ring).await;
    assert!(refusal(&*service).await.contains("not signed by a key of the keyring"));
    std::fs::write(ring.path(), fixture("good.asc") + &fixture("other.asc")).unwrap();
    pass(Duration::from_secs(11)).await;
    assert_eq!(names(&*service).await.unwrap(), ["signed"]);

    // The source says that nothing has changed, and it has not.
    std::fs::write(ring.path(), fixture("good.asc")).unwrap();
    pass(Duration::from_secs(61)).await;
    assert_eq!(names(&*service).await.unwrap(), ["signed"], "the last good catalogue goes on for a while");
    pass(Duration::from_secs(60 * 60)).await;
    assert!(refusal(&*service).await.contains("not signed by a key of the keyring"));
}

#[tokio::test]
async fn another_keyring_may_do_without_what_the_last_one_believed() {
    let mirror = Mirror::start().await;
    mirror.put(INDEX, fixture("index.20240105.sjson"));
    mirror.put(PRODUCTS, fixture("products.good.sjson"));
    let ring = keyring(&["good", "dated"]);
    let service = open(&mirror, PublishedDialect::Simplestreams, &ring).await;
    assert_eq!(names(&*service).await.unwrap(), ["signed"]);
    // What somebody signed who is believed no more does not stand in the way of what is older.
    mirror.put(INDEX, fixture("index.good.sjson"));
    pass(Duration::from_secs(2 * 60 * 60)).await;
    assert!(refusal(&*service).await.contains("has been taken"));
    std::fs::write(ring.path(), fixture("good.asc")).unwrap();
    pass(Duration::from_secs(61)).await;
    assert_eq!(names(&*service).await.unwrap(), ["signed"]);
}

#[tokio::test]
async fn a_signed_index_of_virt_builder_is_taken_and_a_changed_one_is_not() {
    let mirror = mirror("good").await;
    mirror.put("index.asc", fixture("virt-builder.asc"));
    let service = open(&mirror, PublishedDialect::VirtBuilder, &keyring(&["good"])).await;
    assert_eq!(names(&*service).await.unwrap(), ["signed-1"]);
    let other = open(&mirror, PublishedDialect::VirtBuilder, &keyring(&["other"])).await;
    assert!(refusal(&*other).await.contains("not signed by a key of the keyring"));
    mirror.put("index.asc", fixture("virt-builder.asc").replace("signed.img", "other.img"));
    let service = open(&mirror, PublishedDialect::VirtBuilder, &keyring(&["good"])).await;
    assert!(refusal(&*service).await.contains("not signed by a key of the keyring"));
}
