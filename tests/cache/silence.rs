//! While a store is silent, cached images are as they were last, for those who could see them.

use std::time::Duration;

use image_service::{ErrorKind, ImageChange, ImageService as _, Visibility};

use crate::site::{Site, bytes, far, of, owner, until};
use crate::upstream::{Mood, Upstream};

const DOWN: Mood = Mood::Failing(ErrorKind::Unavailable);

#[tokio::test]
async fn a_cached_image_is_there_while_its_store_is_silent_and_for_so_long() {
    let site = Site::open().await;
    let data = bytes(5000, 1);
    let (public, private) =
        (site.image(Visibility::Public, &data).await, site.image(Visibility::Private, &data).await);
    let cold = site.image(Visibility::Public, &bytes(5000, 2)).await;
    for id in [&public, &private] {
        site.read(&owner(), id).await.unwrap();
    }
    let image = site.shows(&owner(), &private).await.unwrap();
    let site = site.again().await;
    site.upstream.is_now(DOWN);
    site.pass(Duration::from_secs(3600));
    assert_eq!(site.shows(&owner(), &private).await.unwrap(), image);
    assert_eq!(site.read(&owner(), &private).await.unwrap(), data);
    assert_eq!(site.read(&of("other"), &public).await.unwrap(), data);
    for (context, id) in [(of("other"), &private), (owner(), &cold)] {
        assert_eq!(site.read(&context, id).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(site.shows(&context, id).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    site.pass(Duration::from_secs(1));
    assert_eq!(site.read(&owner(), &public).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_waited_for_no_longer_than_patience_lasts() {
    let site = Site::open().await;
    let data = bytes(5000, 1);
    let id = site.image(Visibility::Public, &data).await;
    site.read(&owner(), &id).await.unwrap();
    site.upstream.is_now(Mood::Hanging);
    let begun = tokio::time::Instant::now();
    assert_eq!(site.read(&owner(), &id).await.unwrap(), data);
    assert!(begun.elapsed() < Duration::from_millis(1100), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_a_store_answers_is_no_silence() {
    let site = Site::open().await;
    let id = site.image(Visibility::Public, &bytes(5000, 1)).await;
    site.read(&owner(), &id).await.unwrap();
    for kind in [ErrorKind::Unauthenticated, ErrorKind::Forbidden] {
        site.upstream.is_now(Mood::Failing(kind));
        assert_eq!(site.read(&owner(), &id).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_member_is_remembered_until_it_is_withdrawn_or_refused() {
    let site = Site::open().await;
    let data = bytes(5000, 1);
    let id = site.image(Visibility::Shared, &data).await;
    let sharing = site.shown.sharing().unwrap();
    for member in ["one", "two", "three"] {
        sharing.add_member(&owner(), &id, member).await.unwrap();
        site.read(&of(member), &id).await.unwrap();
    }
    sharing.remove_member(&owner(), &id, "one").await.unwrap();
    site.upstream.sharing().unwrap().remove_member(&owner(), &id, "two").await.unwrap();
    site.read(&of("two"), &id).await.unwrap_err();
    let site = site.again().await;
    site.upstream.is_now(DOWN);
    for (project, may) in [("one", false), ("two", false), ("three", true), ("four", false)] {
        assert_eq!(site.read(&of(project), &id).await.is_ok(), may, "{project}");
    }
}

#[tokio::test]
async fn what_was_changed_or_deleted_through_us_is_not_shown_as_it_was() {
    let site = Site::open().await;
    let mut images = Vec::new();
    for seed in 0..4 {
        images.push(site.image(Visibility::Shared, &bytes(5000, seed)).await);
        let sharing = site.shown.sharing().unwrap();
        sharing.add_member(&owner(), &images[seed], "member").await.unwrap();
        site.read(&owner(), &images[seed]).await.unwrap();
        site.read(&of("member"), &images[seed]).await.unwrap();
    }
    let hide = || ImageChange { visibility: Some(Visibility::Private), ..ImageChange::default() };
    site.shown.update(&owner(), &images[0], hide(), None).await.unwrap();
    site.shown.delete(&owner(), &images[1]).await.unwrap();
    // What has become of a change that was not answered is not known.
    site.upstream.is_now(DOWN);
    site.shown.update(&owner(), &images[2], hide(), None).await.unwrap_err();
    // Who may not change it changes nothing.
    site.upstream.is_now(Mood::Well);
    let error = site.shown.update(&of("member"), &images[3], hide(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let site = site.again().await;
    site.upstream.is_now(DOWN);
    assert_eq!(site.read(&owner(), &images[0]).await.unwrap(), bytes(5000, 0));
    assert_eq!(site.read(&of("member"), &images[0]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(site.read(&owner(), &images[1]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(site.read(&owner(), &images[2]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(site.read(&owner(), &images[3]).await.unwrap(), bytes(5000, 3));
}

#[tokio::test]
async fn an_image_that_is_deleted_while_its_data_is_awaited_is_not_remembered() {
    let site = Site::held().await;
    let id = site.image(Visibility::Public, &bytes(5000, 1)).await;
    site.upstream.is_awaited();
    let (shown, wanted) = (std::sync::Arc::clone(&site.shown), id.clone());
    let reader = tokio::spawn(async move { shown.get(&owner(), &wanted, None).await.map(drop) });
    // It has seen the image, and waits at the store.
    until(|| site.upstream.reads() == (1, 0)).await;
    site.shown.delete(&owner(), &id).await.unwrap();
    site.upstream.goes_on();
    reader.await.unwrap().unwrap();
    site.upstream.give(10);
    until(|| site.cache.status().fills == 1).await;
    let site = site.again().await;
    site.upstream.is_now(DOWN);
    assert_eq!(site.shows(&owner(), &id).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_image_that_its_store_has_lost_is_not_shown_when_the_store_falls_silent() {
    let site = Site::with(Upstream::new(far()), |settings| settings.deleted = Duration::from_secs(60)).await;
    let id = site.image(Visibility::Public, &bytes(5000, 1)).await;
    site.read(&owner(), &id).await.unwrap();
    site.upstream.delete(&owner(), &id).await.unwrap();
    assert_eq!(site.read(&of("other"), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    site.upstream.is_now(DOWN);
    assert_eq!(site.read(&owner(), &id).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(site.files(), (1, 0), "its data is kept for a while");
}

#[tokio::test]
async fn what_is_seen_of_an_image_while_it_is_being_changed_is_not_remembered() {
    let site = Site::open().await;
    let id = site.image(Visibility::Public, &bytes(5000, 1)).await;
    site.read(&owner(), &id).await.unwrap();
    site.upstream.is_now(Mood::Hanging);
    let context = owner();
    let mut change = site.shown.delete(&context, &id);
    // It has been begun, and nobody knows how far it is.
    for _ in 0..100 {
        assert!(futures::poll!(change.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    site.upstream.is_now(Mood::Well);
    site.shows(&owner(), &id).await.unwrap();
    drop(change);
    site.upstream.is_now(DOWN);
    assert_eq!(site.shows(&owner(), &id).await.unwrap_err().kind(), ErrorKind::Unavailable);
    site.upstream.is_now(Mood::Well);
    site.read(&owner(), &id).await.unwrap();
    site.upstream.is_now(DOWN);
    site.shows(&owner(), &id).await.unwrap();
}

#[tokio::test]
async fn who_saw_an_image_when_it_was_open_to_more_does_not_see_it_when_it_is_not() {
    let site = Site::open().await;
    let id = site.image(Visibility::Public, &bytes(5000, 1)).await;
    site.read(&of("other"), &id).await.unwrap();
    // Not through us, and the owner is the first to see it.
    let narrower = ImageChange { visibility: Some(Visibility::Shared), ..ImageChange::default() };
    site.upstream.update(&owner(), &id, narrower, None).await.unwrap();
    site.shows(&owner(), &id).await.unwrap();
    site.upstream.is_now(DOWN);
    site.shows(&owner(), &id).await.unwrap();
    assert_eq!(site.shows(&of("other"), &id).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
