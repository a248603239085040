//! Futures that are dropped before they end: reads change nothing, writes are done wholly or not at all.
//!
//! Where a future stands after some polls is the service's affair, so the cases drop it after any number of them.
//! Uploads that are dropped are among the cases of [`super::upload`].

use std::num::NonZeroUsize;

use super::feed::{Feed, abandon, drop_at};
use super::fixture::Fixture;
use super::make::{pattern, whole};
use crate::{Download, ErrorKind, ImageChange, NewImage, Query, Status};

/// So many polls at most, before a future is dropped.
const POLLS: [usize; 9] = [0, 1, 2, 3, 5, 8, 13, 21, 100];

/// `index`, `detail`, `show` and `get` can be given up at any point.
pub async fn a_read_that_is_dropped_changes_nothing(fixture: Fixture) {
    let bytes = pattern(100_000);
    let image = fixture.make_with(fixture.draft(), &bytes).await;
    let (service, owner) = (fixture.service(), fixture.owner());
    let query = Query { limit: NonZeroUsize::new(10), ..fixture.query() };
    for polls in POLLS {
        abandon(service.index(&owner, &query), polls).await;
        abandon(fixture.detail(&owner, &query), polls).await;
        abandon(service.show(&owner, &image.id), polls).await;
        abandon(service.get(&owner, &image.id, None), polls).await;
    }
    assert_eq!(fixture.all(&owner, query).await, std::slice::from_ref(&image));
    assert!(fixture.bytes_of(&image.id, None).await == bytes, "other bytes came");
}

/// A create without data makes the whole image or none.
pub async fn a_create_that_is_dropped_makes_the_whole_image_or_none(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let properties = [(String::from("key"), String::from("value"))].into();
    let new = NewImage { min_disk: 3, protected: true, properties, ..fixture.named("name") };
    let mut made = 0;
    for polls in POLLS {
        made += usize::from(
            abandon(fixture.service().create(&fixture.owner(), new.clone(), None), polls).await.is_some(),
        );
    }
    let images = fixture.all(&fixture.owner(), fixture.query()).await;
    assert!((made..=POLLS.len()).contains(&images.len()), "{made} were made and {} are there", images.len());
    for image in images {
        assert_eq!((image.status, image.min_disk, image.protected), (Status::Queued, 3, true));
        assert_eq!((image.name, image.properties), (new.name.clone(), new.properties.clone()));
        assert_eq!((image.tags, image.disk_format), (new.tags.clone(), new.disk_format.clone()));
    }
}

/// A create that is dropped while data is on its way leaves no image, or a queued one without data.
pub async fn a_create_that_is_dropped_midway_leaves_no_half_image(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let context = fixture.owner();
    let (mut feed, upload) = Feed::new();
    feed.give(pattern(100_000));
    let creating = fixture.service().create(&context, fixture.draft(), Some(upload));
    drop_at(creating, feed.taken()).await;
    for image in fixture.until_nothing_is_saving().await {
        assert_eq!((image.status, image.size, image.hash), (Status::Queued, None, None));
        match fixture.service().get(&context, &image.id, None).await {
            Ok(download) => assert!(download.data.is_none()),
            // It has been taken away meanwhile.
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
    }
}

/// A change is made wholly or not at all.
pub async fn a_change_that_is_dropped_is_made_wholly_or_not_at_all(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make(fixture.named("0")).await;
    let owner = fixture.owner();
    for (number, polls) in (1..).zip(POLLS) {
        let text = u32::to_string(&number);
        let change = ImageChange {
            name: Some(Some(text.clone())),
            min_disk: Some(number),
            properties: [(String::from("number"), Some(text.clone()))].into(),
            ..ImageChange::default()
        };
        let answer = abandon(fixture.service().update(&owner, &image.id, change, None), polls).await;
        let shown = fixture.shown(&image.id).await;
        let name = shown.name.unwrap();
        assert_eq!(name, shown.min_disk.to_string());
        assert_eq!(shown.properties.get("number").map_or("0", String::as_str), name);
        assert!(answer.is_none_or(|answer| answer.unwrap().name == Some(text)));
    }
}

/// An image is deleted with its data, or stays with it.
pub async fn a_delete_that_is_dropped_is_done_wholly_or_not_at_all(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let bytes = pattern(100_000);
    let (service, owner) = (fixture.service(), fixture.owner());
    for polls in POLLS {
        let image = fixture.make_with(fixture.draft(), &bytes).await;
        let answer = abandon(service.delete(&owner, &image.id), polls).await;
        let download = service.get(&owner, &image.id, None).await;
        match (answer, download) {
            (None, Ok(Download { data: Some(data), .. })) => match whole(data).await {
                Ok(read) => assert!(read == bytes, "other bytes came"),
                Err(_) => fixture.until_missing(&image.id).await,
            },
            // It is still being deleted, and the data goes first.
            (None, Ok(_)) => fixture.until_missing(&image.id).await,
            (answer, download) => {
                assert!(answer.is_none_or(|answer| answer.is_ok()));
                fixture.assert_missing(download);
                fixture.assert_missing(service.show(&owner, &image.id).await);
            }
        }
    }
}
