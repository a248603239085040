//! The conformance suite, and what else only the real thing can show, on a real Glance.
//!
//! These tests need one, so they are ignored unless asked for, and fail if it is not named:
//!
//! ```text
//! PORTICO_TEST_GLANCE=http://127.0.0.1:9292 cargo test -p portico-http --test real_glance -- --ignored
//! ```
//!
//! It must be one that asks nobody who they are (paste flavor without `keystone`, and the policy rule
//! `"context_is_admin": "@"`). Images are made in it and left there; each case tags its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use image_service::conformance::Fixture;
use image_service::{
    ByteRange, Caller, Context, Direction, ErrorKind, Filter, Image, ImageId, ImageService, NewImage, Query,
    Sort, SortKey, Status, Upload,
};
use portico_http::{Dialect, GlanceV2, Options};

fn options() -> Options {
    let endpoint =
        std::env::var("PORTICO_TEST_GLANCE").expect("PORTICO_TEST_GLANCE names the Glance to test with");
    let endpoint = endpoint.parse().expect("PORTICO_TEST_GLANCE is a URL");
    // A Glance on a busy machine can take longer than the default to notice that an upload broke off, and the suite
    // asks what became of it, not how soon.
    let patience = Duration::from_secs(60);
    Options {
        settle_timeout: patience,
        answer_timeout: patience,
        ..Options::new(Dialect::GlanceV2, endpoint)
    }
}

async fn open() -> GlanceV2 {
    GlanceV2::open("real", options()).await.unwrap()
}

async fn glance() -> Fixture {
    Fixture::new(Arc::new(open().await))
}

image_service::conformance!(
    #[ignore = "needs a real Glance, named by PORTICO_TEST_GLANCE"]
    glance
);

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-real")
}

fn draft(tag: &str) -> NewImage {
    NewImage {
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        tags: [tag.to_owned()].into(),
        ..NewImage::default()
    }
}

/// A word that no other test uses.
fn tag() -> String {
    format!("real-{}", ImageId::random())
}

/// All pages of a query.
async fn walk(glance: &GlanceV2, query: &Query, limit: usize) -> Vec<Image> {
    let mut query = Query { limit: NonZeroUsize::new(limit), ..query.clone() };
    let mut all: Vec<Image> = Vec::new();
    for _ in 0..1000 {
        let page = glance.detail(&admin(), &query).await.unwrap();
        all.extend(page.items);
        match all.last() {
            Some(last) if page.more => query.position = Some(query.sort.position_of(last)),
            _ => return all,
        }
    }
    panic!("a walk without end");
}

#[tokio::test]
#[ignore = "needs a real Glance, named by PORTICO_TEST_GLANCE"]
async fn images_of_one_second_and_of_unset_values_are_walked_in_our_order_by_every_key() {
    let (glance, tag) = (open().await, tag());
    let mut all = Vec::new();
    for number in 0..24 {
        let name =
            [None, Some(String::new()), Some("b".to_owned()), Some("B".to_owned())][number % 4].clone();
        let new = NewImage { name, hidden: number % 5 == 0, ..draft(&tag) };
        let data = (number % 3 == 0).then(|| Upload::from_bytes(vec![7; number % 2]));
        all.push(glance.create(&admin(), new, data).await.unwrap());
    }
    for key in SortKey::ALL {
        for direction in Direction::ALL {
            let query = Query {
                filters: vec![Filter::Tag(tag.clone())],
                sort: Sort::by([(*key, *direction)]),
                ..Query::default()
            };
            let mut expected: Vec<&Image> = all.iter().collect();
            expected.sort_unstable_by(|a, b| query.sort.compare(a, b));
            for limit in [1, 5, 24, 25] {
                let walked = walk(&glance, &query, limit).await;
                let ids = |images: &mut dyn Iterator<Item = ImageId>| images.collect::<Vec<_>>();
                assert_eq!(
                    ids(&mut walked.iter().map(|image| image.id.clone())),
                    ids(&mut expected.iter().map(|image| image.id.clone())),
                    "{key} {direction} {limit}"
                );
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs a real Glance, named by PORTICO_TEST_GLANCE"]
async fn much_data_goes_in_and_comes_out_as_it_was() {
    let (glance, tag) = (open().await, tag());
    let chunk = |n: usize| Bytes::from(vec![u8::try_from(n % 251).unwrap(); 1 << 16]);
    for size in [None, Some(256 << 16)] {
        let stream = futures::stream::iter((0..256).map(move |n| Ok(chunk(n)))).boxed();
        let upload = Upload { stream, size, store: None };
        let made = glance.create(&admin(), draft(&tag), Some(upload)).await.unwrap();
        assert_eq!((made.status, made.size), (Status::Active, Some(256 << 16)));
        let data = glance.get(&admin(), &made.id, None).await.unwrap().data.unwrap();
        let bytes: Vec<Bytes> = data.into_stream().try_collect().await.unwrap();
        assert_eq!(bytes.concat(), (0..256).map(chunk).collect::<Vec<_>>().concat());
        let range = Some(ByteRange::Between((1 << 16) - 1, 1 << 16));
        let data = glance.get(&admin(), &made.id, range).await.unwrap().data.unwrap();
        let bytes: Vec<Bytes> = data.into_stream().try_collect().await.unwrap();
        assert_eq!(bytes.concat(), [0, 1]);
    }
}

#[tokio::test]
#[ignore = "needs a real Glance, named by PORTICO_TEST_GLANCE"]
async fn data_of_another_format_than_declared_is_refused_and_leaves_no_image() {
    let (glance, tag) = (open().await, tag());
    let new = NewImage { disk_format: Some("qcow2".into()), ..draft(&tag) };
    for size in [None, Some(64 << 16)] {
        let stream = futures::stream::iter((0..64).map(|_| Ok(Bytes::from(vec![7; 1 << 16])))).boxed();
        let error = glance
            .create(&admin(), new.clone(), Some(Upload { stream, size, store: None }))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedFormat, "{error:?}");
    }
    let query = Query { filters: vec![Filter::Tag(tag)], ..Query::default() };
    assert!(walk(&glance, &query, 10).await.is_empty());
}

#[tokio::test]
#[ignore = "needs a real Glance, named by PORTICO_TEST_GLANCE"]
async fn filters_that_glance_would_misread_are_applied_all_the_same() {
    let (glance, tag) = (open().await, tag());
    let odd = [
        ("limit", "in:a,b"),
        ("size_min", "a:b"),
        ("changes-since", "\"quoted\""),
        ("to_dict", "a,b"),
        ("os_distro", "gt:5"),
        ("visibility_max", ""),
    ];
    let new = NewImage {
        name: Some("in:a,\"b\":c".into()),
        properties: odd.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..draft(&tag)
    };
    let made = glance.create(&admin(), new, None).await.unwrap();
    let filters = odd
        .iter()
        .map(|(key, value)| Filter::Property { key: (*key).to_owned(), value: (*value).to_owned() })
        .chain([
            Filter::text(image_service::Field::Name, "in:a,\"b\":c"),
            Filter::text(image_service::Field::Id, made.id.as_str()),
        ]);
    for filter in filters {
        let query = Query { filters: vec![Filter::Tag(tag.clone()), filter.clone()], ..Query::default() };
        let found = walk(&glance, &query, 10).await;
        assert_eq!(found, std::slice::from_ref(&made), "{filter:?}");
    }
}
