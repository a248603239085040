//! The dialect `glance-v1` on a real Glance of that time: the conformance suite as far as v1 has words for it, and what the
//! suite does not ask.
//!
//! These tests need one, so they are ignored unless asked for, and fail if it is not named:
//!
//! ```text
//! PORTICO_TEST_GLANCE_V1=http://127.0.0.1:9292 \
//!     cargo test -p portico-http --test real_glance_v1 -- --ignored --test-threads 1
//! ```
//!
//! It must speak the Image API v2 too, by which the images are made that the suite reads, and ask nobody who they are,
//! as Glance 15 does with the paste flavor `noauth`. Each case takes away the images that the one before made, so that
//! only one may run at a time.
//!
//! Another service that speaks v1 can be tried so. `PORTICO_TEST_BROKEN_UPLOAD` is the status that an image is in after an
//! upload to it that broke off: `killed` if nothing is said.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod carried;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carried::tagged::Tagged;
use carried::{Reader, Writer, clear};
use futures::{StreamExt, TryStreamExt};
use image_service::conformance::Fixture;
use image_service::{
    ByteRange, Caller, Context, Error, ErrorKind, ImageChange, ImageId, ImageService, NewImage, Status,
    Upload, Visibility,
};
use portico_http::{Dialect, GlanceV1, GlanceV2, Options};

fn options(dialect: Dialect) -> Options {
    let endpoint = std::env::var("PORTICO_TEST_GLANCE_V1")
        .expect("PORTICO_TEST_GLANCE_V1 names the Glance to test with");
    let patience = Duration::from_secs(60);
    Options {
        settle_timeout: patience,
        answer_timeout: patience,
        ..Options::new(dialect, endpoint.parse().expect("PORTICO_TEST_GLANCE_V1 is a URL"))
    }
}

async fn open() -> GlanceV1 {
    GlanceV1::open("real", options(Dialect::GlanceV1)).await.unwrap()
}

async fn glance_v1() -> Fixture {
    let store = Arc::new(GlanceV2::open("real", options(Dialect::GlanceV2)).await.unwrap());
    let service = Arc::new(open().await);
    clear(&*service, &*store).await;
    let seen = Arc::new(Reader::new(service));
    let writer = Arc::new(Writer { store, seen: Arc::clone(&seen) });
    Fixture::new(seen).read_only(writer).without_sharing()
}

async fn written() -> Fixture {
    Fixture::new(Arc::new(Tagged(Arc::new(open().await))))
}

/// An upload that breaks off takes its image to `killed` there, for good, and of many changes at once some are answered
/// with what another one has made of the image since, which is told as not kept: the cases about both are not run.
mod writing {
    use super::written;

    super::carried::tagged::writing_cases!(
        [#[ignore = "needs a real Glance of that time, named by PORTICO_TEST_GLANCE_V1"]]
        written,
        update: [],
        upload: []
    );
}

carried::reading_cases!(
    [#[ignore = "needs a real Glance of that time, named by PORTICO_TEST_GLANCE_V1"]]
    glance_v1,
    paging: [a_position_holds_when_its_image_has_moved,],
    cancellation: [a_read_that_is_dropped_changes_nothing,],
    data: [
        the_data_comes_whole_with_the_image_as_shown,
        an_image_without_data_gives_none_whatever_the_range,
        data_of_no_bytes_is_data,
        a_range_gives_exactly_its_bytes,
        a_range_without_a_byte_in_it_is_not_satisfiable,
        a_download_that_is_dropped_harms_nobody,
        several_readers_get_the_same_bytes,
        a_download_ends_whole_or_in_an_error_when_its_image_is_deleted,
    ],
);

fn owner() -> Context {
    Context::new(Caller::member_of("ours"), "req-real")
}

fn other() -> Context {
    Context::new(Caller::member_of("theirs"), "req-real")
}

fn draft(name: &str) -> NewImage {
    NewImage {
        name: Some(name.to_owned()),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    }
}

fn property(key: &str, value: Option<&str>) -> ImageChange {
    ImageChange { properties: [(key.to_owned(), value.map(str::to_owned))].into(), ..ImageChange::default() }
}

async fn bytes_of(glance: &GlanceV1, id: &ImageId, range: Option<ByteRange>) -> Vec<u8> {
    let data = glance.get(&owner(), id, range).await.unwrap().data.unwrap();
    data.into_stream().try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

#[tokio::test]
#[ignore = "needs a real Glance of that time, named by PORTICO_TEST_GLANCE_V1"]
async fn an_image_is_made_changed_and_deleted_and_keeps_what_it_was_given() {
    let glance = open().await;
    let new = NewImage {
        min_disk: 3,
        min_ram: 64,
        protected: true,
        properties: [
            ("os_distro".to_owned(), "Größe 木".to_owned()),
            ("kernel_id".to_owned(), "k".to_owned()),
        ]
        .into(),
        ..draft("ä b")
    };
    let made = glance.create(&owner(), new.clone(), None).await.unwrap();
    assert_eq!((made.status, made.size, made.visibility), (Status::Queued, None, Visibility::Shared));
    assert_eq!((&made.name, &made.properties), (&new.name, &new.properties));
    assert_eq!((made.min_disk, made.min_ram, made.protected), (3, 64, true));
    assert_eq!(made.owner.as_deref(), Some("ours"));
    assert_eq!(glance.show(&owner(), &made.id).await.unwrap(), made);
    let taken = NewImage { id: Some(made.id.clone()), ..draft("again") };
    assert_eq!(glance.create(&owner(), taken, None).await.unwrap_err().kind(), ErrorKind::AlreadyExists);

    let set = glance.update(&owner(), &made.id, property("arch", Some("x86")), None).await.unwrap();
    assert_eq!(set.properties.len(), 3);
    let gone = glance.update(&owner(), &made.id, property("kernel_id", None), None).await.unwrap();
    assert_eq!(gone.properties.keys().collect::<Vec<_>>(), ["arch", "os_distro"]);
    assert_eq!(gone.properties["os_distro"], "Größe 木");
    let rename = ImageChange { name: Some(None), protected: Some(false), ..ImageChange::default() };
    let renamed = glance.update(&owner(), &made.id, rename, None).await.unwrap();
    assert_eq!((&renamed.name, renamed.protected, renamed.properties.len()), (&None, false, 2));
    assert_eq!(glance.show(&owner(), &made.id).await.unwrap(), renamed);

    assert_eq!(glance.show(&other(), &made.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    glance.delete(&owner(), &made.id).await.unwrap();
    assert_eq!(glance.show(&owner(), &made.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    let again = NewImage { id: Some(made.id), ..draft("again") };
    assert_eq!(glance.create(&owner(), again, None).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
#[ignore = "needs a real Glance of that time, named by PORTICO_TEST_GLANCE_V1"]
async fn much_data_goes_in_and_comes_out_as_it_was() {
    let glance = open().await;
    let chunk = |n: usize| Bytes::from(vec![u8::try_from(n % 251).unwrap(); 1 << 16]);
    for (size, count) in [(None, 64), (Some(64 << 16), 64), (None, 0), (Some(0), 0)] {
        let stream = futures::stream::iter((0..count).map(move |n| Ok(chunk(n)))).boxed();
        let upload = Upload { stream, size, store: None };
        let made = glance.create(&owner(), draft("data"), Some(upload)).await.unwrap();
        assert_eq!((made.status, made.size), (Status::Active, Some((count as u64) << 16)), "{size:?}");
        let whole = (0..count).map(chunk).collect::<Vec<_>>().concat();
        assert!(bytes_of(&glance, &made.id, None).await == whole, "other bytes came");
        if count > 0 {
            let range = Some(ByteRange::Between((1 << 16) - 1, 1 << 16));
            assert_eq!(bytes_of(&glance, &made.id, range).await, [0, 1]);
        }
        let again = Some(Upload::from_bytes("more"));
        let refused = glance.update(&owner(), &made.id, ImageChange::default(), again).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
    }
}

#[tokio::test]
#[ignore = "needs a real Glance of that time, named by PORTICO_TEST_GLANCE_V1"]
async fn an_upload_that_breaks_off_leaves_no_image_or_one_without_data() {
    let glance = open().await;
    let said = std::env::var("PORTICO_TEST_BROKEN_UPLOAD");
    let expected: Status = said.as_deref().unwrap_or("killed").parse().unwrap();
    for size in [None, Some(64 << 16)] {
        let breaks = || {
            let whole = futures::stream::iter((0..32).map(|_| Ok(Bytes::from(vec![7; 1 << 16]))));
            let end = futures::stream::iter([Err(Error::new(ErrorKind::Incomplete, "the client went away"))]);
            Some(Upload { stream: whole.chain(end).boxed(), size, store: None })
        };
        let id = ImageId::random();
        let new = NewImage { id: Some(id.clone()), ..draft("broken") };
        let error = glance.create(&owner(), new, breaks()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incomplete, "{size:?}");
        assert_eq!(glance.show(&owner(), &id).await.unwrap_err().kind(), ErrorKind::NotFound);

        let made = glance.create(&owner(), draft("broken"), None).await.unwrap();
        let error = glance.update(&owner(), &made.id, ImageChange::default(), breaks()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incomplete, "{size:?}");
        let left = glance.show(&owner(), &made.id).await.unwrap();
        assert_eq!((left.status, left.size), (expected, None), "{size:?}");
        glance.delete(&owner(), &made.id).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a real Glance of that time, named by PORTICO_TEST_GLANCE_V1"]
async fn a_member_sees_an_image_until_it_is_one_no_longer_and_can_come_back() {
    let glance = open().await;
    let sharing = glance.sharing().unwrap();
    let made = glance.create(&owner(), draft("shared"), None).await.unwrap();
    for _ in 0..2 {
        assert_eq!(glance.show(&other(), &made.id).await.unwrap_err().kind(), ErrorKind::NotFound);
        sharing.add_member(&owner(), &made.id, "theirs").await.unwrap();
        assert_eq!(sharing.members(&owner(), &made.id).await.unwrap().len(), 1);
        assert_eq!(glance.show(&other(), &made.id).await.unwrap(), made);
        let listed = glance.detail(&other(), &Default::default()).await.unwrap();
        assert!(listed.items.contains(&made));
        sharing.remove_member(&owner(), &made.id, "theirs").await.unwrap();
    }
    glance.delete(&owner(), &made.id).await.unwrap();
}
