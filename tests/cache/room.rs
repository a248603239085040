//! The cache takes no more room than it may, and finds after its end what it had before.

use std::fs;

use bytesize::ByteSize;
use image_service::Visibility;

use crate::site::{Site, bytes, collect, far, owner, until};
use crate::upstream::{PIECE, Upstream};

#[tokio::test]
async fn what_was_not_read_for_longest_goes_and_what_is_too_large_is_passed_through() {
    let site = Site::with(Upstream::new(far()), |settings| {
        (settings.size, settings.most) = (ByteSize::b(10_000), Some(ByteSize::b(5000)));
    })
    .await;
    let mut images = Vec::new();
    for seed in 0..3 {
        images.push(site.image(Visibility::Public, &bytes(4000, seed)).await);
    }
    for (image, reads) in [(0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4)] {
        site.read(&owner(), &images[image]).await.unwrap();
        assert_eq!(site.upstream.reads().0, reads, "{image}");
    }
    let status = site.cache.status();
    assert_eq!((status.contents, status.size, status.evicted), (2, 8000, 2));
    assert_eq!(site.files(), (2, 0));
    let large = site.image(Visibility::Public, &bytes(5001, 9)).await;
    for reads in [5, 6] {
        assert_eq!(site.read(&owner(), &large).await.unwrap(), bytes(5001, 9));
        assert_eq!(site.upstream.reads().0, reads);
    }
}

#[tokio::test]
async fn who_reads_a_file_that_goes_reads_it_to_its_end() {
    let site = Site::with(Upstream::new(far()), |settings| {
        (settings.size, settings.most) = (ByteSize::b(10_000), Some(ByteSize::b(10_000)));
        settings.chunk_size = ByteSize::kib(4);
    })
    .await;
    let (first, second) = (bytes(9000, 1), bytes(9000, 2));
    let one = site.image(Visibility::Public, &first).await;
    let two = site.image(Visibility::Public, &second).await;
    site.read(&owner(), &one).await.unwrap();
    let reader = site.get(&owner(), &one).await.unwrap();
    assert_eq!(site.read(&owner(), &two).await.unwrap(), second);
    assert_eq!(site.files(), (1, 0));
    assert_eq!(collect(reader).await.unwrap(), first);
}

#[tokio::test]
async fn what_was_kept_is_there_after_the_end_and_what_is_not_as_it_was_is_not() {
    let site = Site::open().await;
    let mut images = Vec::new();
    for seed in 0..3 {
        images.push(site.image(Visibility::Public, &bytes(4000 + seed, seed)).await);
        site.read(&owner(), &images[seed]).await.unwrap();
    }
    let site = site.again().await;
    assert_eq!((site.cache.status().contents, site.cache.status().size), (3, 12_003));
    for (seed, image) in images.iter().enumerate() {
        assert_eq!(site.read(&owner(), image).await.unwrap(), bytes(4000 + seed, seed));
    }
    assert_eq!(site.upstream.reads(), (3, 0));
    let data = site.directory.path().join("data");
    let files: Vec<_> = data.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    let of_size = |size| files.iter().find(|file| file.metadata().unwrap().len() == size).unwrap();
    fs::write(of_size(4000), "short").unwrap();
    fs::remove_file(of_size(4001)).unwrap();
    fs::write(data.join("stranger"), "x").unwrap();
    fs::write(site.directory.path().join("incomplete/half"), "x").unwrap();
    // What is damaged while it runs is found as it is read, too.
    assert_eq!(site.read(&owner(), &images[0]).await.unwrap(), bytes(4000, 0));
    let site = site.again().await;
    assert_eq!((site.files(), site.cache.status().contents), ((2, 0), 2));
    for (seed, image) in images.iter().enumerate() {
        assert_eq!(site.read(&owner(), image).await.unwrap(), bytes(4000 + seed, seed));
    }
    assert_eq!(site.upstream.reads(), (5, 0));
}

#[tokio::test]
async fn what_had_not_come_to_its_end_is_gone_after_the_end() {
    let site = Site::held().await;
    let id = site.image(Visibility::Public, &bytes(10 * PIECE, 1)).await;
    let reader = site.get(&owner(), &id).await.unwrap();
    site.upstream.give(5);
    until(|| site.files() == (0, 1)).await;
    drop(reader);
    let site = site.again().await;
    assert_eq!(site.files(), (0, 0));
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_no_business_of_clients() {
    let site = Site::open().await;
    let (data, incomplete) = (bytes(5000, 1), site.directory.path().join("incomplete"));
    let id = site.image(Visibility::Public, &data).await;
    fs::remove_dir(&incomplete).unwrap();
    fs::write(&incomplete, "").unwrap();
    for _ in 0..3 {
        assert_eq!(site.read(&owner(), &id).await.unwrap(), data);
    }
    assert_eq!((site.upstream.reads(), site.cache.status().passed), ((3, 0), 3));
    fs::remove_file(&incomplete).unwrap();
    fs::create_dir(&incomplete).unwrap();
}
