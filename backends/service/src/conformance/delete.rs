//! `delete`: gone for good.

use super::feed::Feed;
use super::fixture::{Fixture, kind_of};
use super::make::pattern;
use super::walk::ids_of;
use crate::{ErrorKind, Filter, ImageChange, ImageId, NewImage, Query, Status, Upload};

/// A deleted image is missing in every verb and in lists, also for administrators.
pub async fn a_deleted_image_is_gone_from_every_verb(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let (service, owner, admin) = (fixture.service(), fixture.owner(), fixture.admin());
    let image = fixture.make_with(fixture.draft(), &pattern(1000)).await;
    service.delete(&owner, &image.id).await.unwrap();
    for context in [owner, admin] {
        fixture.assert_missing(service.show(&context, &image.id).await);
        fixture.assert_missing(service.get(&context, &image.id, None).await);
        let rename = ImageChange { name: Some(None), ..ImageChange::default() };
        fixture.assert_missing(service.update(&context, &image.id, rename, None).await);
        fixture.assert_missing(service.delete(&context, &image.id).await);
        assert_eq!(fixture.ids(&context, fixture.query()).await, [""; 0]);
        let by_id = Filter::text(crate::Field::Id, image.id.as_str());
        if fixture.filters_by(&by_id) {
            let query = Query { filters: vec![by_id], ..fixture.query() };
            assert_eq!(fixture.ids(&context, query).await, [""; 0]);
        }
    }
}

/// One image less, and all others as they were.
pub async fn a_deleted_image_takes_no_other_with_it(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let bytes = pattern(1000);
    fixture.make_with(fixture.named("twin"), &bytes).await;
    fixture.make_with(fixture.named("twin"), &bytes).await;
    fixture.make(fixture.named("twin")).await;
    let mut images = fixture.all(&fixture.owner(), fixture.query()).await;
    let gone = images.remove(images.iter().position(|image| image.size.is_some()).unwrap());
    fixture.service().delete(&fixture.owner(), &gone.id).await.unwrap();
    assert_eq!(fixture.ids(&fixture.owner(), fixture.query()).await, ids_of(&images));
    for image in images {
        assert_eq!(fixture.shown(&image.id).await, image);
        if image.size.is_some() {
            assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
        }
    }
}

/// That an image was deleted is told to administrators alone, if the service remembers it at all. Nobody is told
/// so of an id that never was in use.
pub async fn only_administrators_may_learn_that_an_image_was_deleted(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make(fixture.draft()).await;
    fixture.service().delete(&fixture.owner(), &image.id).await.unwrap();
    for (context, id) in [
        (fixture.owner(), image.id.clone()),
        (fixture.other(), image.id),
        (fixture.owner(), ImageId::random()),
        (fixture.admin(), ImageId::random()),
    ] {
        let error = fixture.service().show(&context, &id).await.unwrap_err();
        assert!(!error.is_of_deleted_image(), "{error:?}");
        fixture.assert_missing::<()>(Err(error));
    }
}

/// The id of a deleted image stays taken.
pub async fn the_id_of_a_deleted_image_is_not_used_again(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make(fixture.draft()).await;
    fixture.service().delete(&fixture.owner(), &image.id).await.unwrap();
    for data in [None, Some(Upload::from_bytes("data"))] {
        let again = NewImage { id: Some(image.id.clone()), ..fixture.draft() };
        fixture.assert_taken(fixture.service().create(&fixture.owner(), again, data).await);
    }
    fixture.assert_missing(fixture.service().show(&fixture.owner(), &image.id).await);
}

/// `Forbidden` while the image is protected, also for administrators.
pub async fn a_protected_image_stays_until_it_is_unprotected(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let bytes = pattern(1000);
    let image = fixture.make_with(NewImage { protected: true, ..fixture.draft() }, &bytes).await;
    for context in [fixture.owner(), fixture.admin()] {
        let answer = fixture.service().delete(&context, &image.id).await;
        assert_eq!(kind_of(answer), ErrorKind::Forbidden);
    }
    assert_eq!(fixture.shown(&image.id).await, image);
    assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
    let unprotect = ImageChange { protected: Some(false), ..ImageChange::default() };
    fixture.change(&image, unprotect).await;
    fixture.service().delete(&fixture.owner(), &image.id).await.unwrap();
    fixture.assert_missing(fixture.service().show(&fixture.owner(), &image.id).await);
}

/// Queued, active and deactivated images can all be deleted. One that is saving has a case of its own.
pub async fn an_image_is_deleted_in_whatever_status(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let queued = fixture.make(fixture.draft()).await;
    let active = fixture.make_with(fixture.draft(), &pattern(10)).await;
    let off = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    let deactivated = fixture.make_with(fixture.draft(), &pattern(10)).await;
    fixture.change(&deactivated, off).await;
    for image in [queued, active, deactivated] {
        fixture.service().delete(&fixture.owner(), &image.id).await.unwrap();
        fixture.assert_missing(fixture.service().show(&fixture.owner(), &image.id).await);
    }
}

/// An upload to an image that is deleted meanwhile fails, and does not bring the image back.
pub async fn an_upload_under_way_fails_when_its_image_is_deleted(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    for rest in [None, Some(pattern(1000))] {
        let image = fixture.make(fixture.draft()).await;
        let (mut feed, upload) = Feed::new();
        let meanwhile = async {
            feed.give(pattern(1000));
            feed.taken().await;
            fixture.until(&image.id, Status::Saving).await;
            fixture.service().delete(&fixture.owner(), &image.id).await.unwrap();
            rest.into_iter().for_each(|rest| feed.give(rest));
            feed.end();
        };
        let (answer, ()) = futures::join!(fixture.upload(&image.id, upload), meanwhile);
        assert!(answer.is_err(), "the upload went well: {answer:?}");
        fixture.assert_missing(fixture.service().show(&fixture.owner(), &image.id).await);
        assert_eq!(fixture.ids(&fixture.admin(), fixture.query()).await, [""; 0]);
    }
}
