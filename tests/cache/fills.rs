//! A cold image is read once, whoever comes and goes meanwhile.

use futures::StreamExt as _;
use image_service::{ByteRange, ErrorKind, Visibility};

use crate::site::{Site, bytes, collect, far, of, owner, until};
use crate::upstream::{Mood, PIECE, Upstream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_of_one_cold_image_make_one_read_of_the_store() {
    let site = Site::with(Upstream::held(far()), |settings| {
        settings.chunk_size = bytesize::ByteSize::kib(16);
    })
    .await;
    let data = bytes(100 * PIECE, 1);
    let id = site.image(Visibility::Public, &data).await;
    let readers: Vec<_> = (0..1000)
        .map(|number| {
            let (shown, id, data) = (std::sync::Arc::clone(&site.shown), id.clone(), data.clone());
            tokio::spawn(async move {
                let download = shown.get(&of(&format!("project-{number}")), &id, None).await.unwrap();
                assert_eq!(collect(download).await.unwrap(), data);
            })
        })
        .collect();
    // None can end before the last piece has come, and all begin before.
    site.upstream.give(99);
    until(|| site.cache.status().followed == 999).await;
    assert!(readers.iter().all(|reader| !reader.is_finished()));
    site.upstream.give(1);
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(site.upstream.reads(), (1, 0));
    let status = site.cache.status();
    assert_eq!((status.misses, status.followed, status.fills, status.passed), (1, 999, 1, 0));
}

#[tokio::test]
async fn an_image_that_was_read_is_read_from_its_file_by_all_who_follow() {
    let site = Site::open().await;
    let data = bytes(10_500, 2);
    let id = site.image(Visibility::Public, &data).await;
    assert_eq!(site.read(&owner(), &id).await.unwrap(), data);
    until(|| site.cache.status().fills == 1).await;
    let download = site.get(&of("other"), &id).await.unwrap();
    let (stream, file) = download.data.unwrap().into_parts();
    assert_eq!(file.unwrap().offset(), 0);
    drop(stream);
    assert_eq!(site.read(&owner(), &id).await.unwrap(), data);
    let part = site.shown.get(&owner(), &id, Some(ByteRange::Between(3, 5000))).await.unwrap();
    assert_eq!(part.data.as_ref().unwrap().range, 3..5001);
    assert_eq!(collect(part).await.unwrap(), data.slice(3..5001));
    assert_eq!(site.part(&owner(), &id, ByteRange::Last(7)).await.unwrap(), data.slice(10_493..));
    let error = site.part(&owner(), &id, ByteRange::From(10_500)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable);
    assert_eq!((site.upstream.reads(), site.files()), ((1, 0), (1, 0)));
}

#[tokio::test]
async fn another_image_with_the_same_content_is_read_from_the_same_file() {
    let site = Site::open().await;
    let data = bytes(5000, 3);
    let (one, other) =
        (site.image(Visibility::Public, &data).await, site.image(Visibility::Private, &data).await);
    site.read(&owner(), &one).await.unwrap();
    assert_eq!(site.read(&owner(), &other).await.unwrap(), data);
    let error = site.read(&of("other"), &other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!((site.upstream.reads(), site.files()), ((1, 0), (1, 0)));
}

#[tokio::test]
async fn readers_get_data_before_the_fill_ends_and_none_the_last_byte_before_the_verdict() {
    let site = Site::held().await;
    let data = bytes(10 * PIECE, 4);
    let id = site.image(Visibility::Public, &data).await;
    let leader = site.get(&owner(), &id).await.unwrap();
    site.upstream.give(4);
    let mut stream = site.get(&owner(), &id).await.unwrap().data.unwrap().into_stream();
    let mut got = Vec::new();
    while got.len() < 4 * PIECE {
        got.extend_from_slice(&stream.next().await.unwrap().unwrap());
    }
    assert_eq!(got, data.slice(..4 * PIECE));
    site.upstream.give(6);
    while let Some(piece) = stream.next().await {
        got.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(got, data);
    assert_eq!(collect(leader).await.unwrap(), data);
    assert_eq!(site.upstream.reads(), (1, 0));
}

#[tokio::test]
async fn a_fill_goes_on_when_whoever_began_it_has_gone() {
    let site = Site::held().await;
    let data = bytes(10 * PIECE, 5);
    let id = site.image(Visibility::Public, &data).await;
    let leader = site.get(&owner(), &id).await.unwrap();
    site.upstream.give(2);
    let follower = site.get(&of("other"), &id).await.unwrap();
    drop(leader);
    site.upstream.give(8);
    assert_eq!(collect(follower).await.unwrap(), data);
    let other = bytes(3 * PIECE, 6);
    let id = site.image(Visibility::Public, &other).await;
    drop(site.get(&owner(), &id).await.unwrap());
    site.upstream.give(3);
    until(|| site.cache.status().fills == 2).await;
    assert_eq!(site.read(&owner(), &id).await.unwrap(), other);
    assert_eq!(site.upstream.reads(), (2, 0));
}

#[tokio::test]
async fn a_range_waits_for_its_bytes_or_is_read_by_itself_if_they_are_far_off() {
    let ahead = bytesize::ByteSize::b(3 * PIECE as u64);
    let site = Site::with(Upstream::held(far()), |settings| settings.ahead = ahead).await;
    let data = bytes(10 * PIECE, 7);
    let id = site.image(Visibility::Public, &data).await;
    let leader = site.get(&owner(), &id).await.unwrap();
    let near = site.shown.get(&owner(), &id, Some(ByteRange::Between(2500, 2999))).await.unwrap();
    let far = site.shown.get(&owner(), &id, Some(ByteRange::Between(3001, 3500))).await.unwrap();
    assert_eq!(site.upstream.reads(), (1, 1));
    site.upstream.give(20);
    assert_eq!(collect(near).await.unwrap(), data.slice(2500..3000));
    assert_eq!(collect(far).await.unwrap(), data.slice(3001..3501));
    assert_eq!(collect(leader).await.unwrap(), data);
}

#[tokio::test]
async fn data_that_is_not_what_it_should_be_is_never_kept_and_never_given_whole() {
    let site = Site::open().await;
    let data = bytes(10 * PIECE, 8);
    let id = site.image(Visibility::Public, &data).await;
    site.upstream.is_now(Mood::Corrupting);
    let mut stream = site.get(&owner(), &id).await.unwrap().data.unwrap().into_stream();
    let (mut got, mut end) = (0, None);
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => got += piece.len(),
            Err(error) => end = Some(error.kind()),
        }
    }
    assert_eq!(end, Some(ErrorKind::Corrupt));
    assert!(got < data.len(), "{got}");
    assert_eq!((site.files(), site.cache.status().fills), ((0, 0), 0));
    site.upstream.is_now(Mood::Well);
    assert_eq!(site.read(&owner(), &id).await.unwrap(), data);
    assert_eq!((site.upstream.reads(), site.files()), ((2, 0), (1, 0)));
}

#[tokio::test]
async fn a_store_that_breaks_off_breaks_the_readers_and_leaves_nothing() {
    let site = Site::open().await;
    let data = bytes(10 * PIECE, 9);
    let id = site.image(Visibility::Public, &data).await;
    site.upstream.is_now(Mood::Breaking);
    assert_eq!(site.read(&owner(), &id).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(site.files(), (0, 0));
    site.upstream.is_now(Mood::Well);
    assert_eq!(site.read(&owner(), &id).await.unwrap(), data);
}

#[tokio::test]
async fn when_the_cache_closes_a_fill_ends_and_its_readers_hear_of_it() {
    let site = Site::held().await;
    let id = site.image(Visibility::Public, &bytes(10 * PIECE, 10)).await;
    let reader = site.get(&owner(), &id).await.unwrap();
    site.upstream.give(3);
    site.cache.close().await;
    assert_eq!(collect(reader).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(site.files(), (0, 0));
}
