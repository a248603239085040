//! [`Locations`]: images whose data lies at URLs. A service without this power is not asked for it.
//!
//! What becomes of an image whose location dies is not checked here: what a fixture serves, it serves on.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::fixture::{Fixture, kind_of};
use super::make::{check_digests, pattern, whole};
use crate::{
    Data, Digester, ErrorKind, HashAlgorithm, Image, ImageChange, ImageId, Known, Location, Locations,
    MOST_LOCATIONS, MultiHash, NewImage, NewLocation, Result, Status, Visibility,
};

impl Fixture {
    /// The power, if there is one. A fixture of a service that has it serves data.
    pub(super) fn locations(&self) -> Option<&dyn Locations> {
        let power = self.service().locations();
        assert_eq!(power.is_some(), self.serves(), "whether it keeps locations is not as it is said to be");
        power
    }

    /// A URL of some bytes, as a location of an image, with all that can be known of them.
    pub(super) fn located(&self, bytes: &Bytes) -> NewLocation {
        let mut digester = Digester::default();
        digester.update(bytes);
        let known = digester.finish(None).unwrap().into();
        NewLocation { known, ..NewLocation::at_url(self.serve(bytes)) }
    }

    /// The URLs of an image.
    async fn urls(&self, image: &Image) -> Vec<String> {
        let power = self.locations().unwrap();
        let lists = power.of(&self.owner(), std::slice::from_ref(image)).await.unwrap();
        assert_eq!(lists.len(), 1);
        lists.into_iter().flatten().map(|location| location.url).collect()
    }

    /// Makes an image whose data is at one URL.
    async fn at_url(&self, image: NewImage, bytes: &Bytes) -> Image {
        let queued = self.make(image).await;
        let power = self.locations().unwrap();
        power.add(&self.owner(), &queued.id, self.located(bytes)).await.unwrap()
    }
}

fn noted(url: &str, note: &str) -> Location {
    let metadata = BTreeMap::from([(String::from("note"), note.to_owned())]);
    Location { url: url.to_owned(), metadata, store: None }
}

/// A queued image becomes active, with what is known of its data and the notes of its location; its size is found if
/// it is not known, and nothing else is.
pub async fn a_location_makes_a_queued_image_active(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let bytes = pattern(100_000);
    let queued = fixture.make(fixture.named("name")).await;
    let mut new = fixture.located(&bytes);
    new.location = noted(&new.location.url, "first");
    let url = new.location.url.clone();
    let image = power.add(&fixture.owner(), &queued.id, new).await.unwrap();
    assert_eq!((image.status, &image.name), (Status::Active, &queued.name));
    check_digests(&image, &bytes);
    assert_eq!(fixture.shown(&queued.id).await, image);
    let lists = power.of(&fixture.owner(), std::slice::from_ref(&image)).await.unwrap();
    assert_eq!((lists[0].len(), &lists[0][0].url), (1, &url));
    assert_eq!(lists[0][0].metadata.get("note").map(String::as_str), Some("first"));
    assert_eq!(lists[0][0].store.as_ref(), image.stores.first());
    assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
    let unknown = fixture.make(fixture.draft()).await;
    let new = NewLocation::at_url(fixture.serve(&bytes));
    let image = power.add(&fixture.owner(), &unknown.id, new).await.unwrap();
    assert_eq!((image.status, image.size), (Status::Active, Some(100_000)));
    assert_eq!((&image.checksum, &image.hash), (&None, &None));
    assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
}

/// An image whose data has another strong hash than stores compute is held to that one.
pub async fn a_hash_of_any_kind_is_kept_and_held_to(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let bytes = pattern(10_000);
    for algorithm in HashAlgorithm::ALL.iter().copied() {
        let mut digester = Digester::with(algorithm);
        digester.update(&bytes);
        let known: Known = digester.finish(None).unwrap().into();
        let wrong = MultiHash { algorithm: algorithm.as_str().into(), value: "0".repeat(algorithm.digits()) };
        for (hash, right) in [(known.hash.clone(), true), (Some(wrong), false)] {
            let queued = fixture.make(fixture.draft()).await;
            let known = Known { hash: hash.clone(), ..Known::default() };
            let new = NewLocation { known, ..NewLocation::at_url(fixture.serve(&bytes)) };
            let image = power.add(&fixture.owner(), &queued.id, new).await.unwrap();
            assert_eq!(image.hash, hash);
            let data: Data =
                fixture.service().get(&fixture.owner(), &image.id, None).await.unwrap().data.unwrap();
            let read: Result<Vec<u8>> = whole(data).await;
            assert_eq!(read.is_ok(), right, "{algorithm}");
            if let Err(error) = read {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
            }
        }
    }
}

/// Locations stand where they were put, and are put elsewhere with other notes, all of them or none.
pub async fn locations_stand_in_their_order(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let (bytes, owner) = (pattern(1000), fixture.owner());
    let image = fixture.at_url(fixture.draft(), &bytes).await;
    let mut expected = fixture.urls(&image).await;
    for (at, place) in [(Some(0), 0), (None, 2), (Some(1), 1), (Some(99), 4)] {
        let new = NewLocation { at, ..fixture.located(&bytes) };
        expected.insert(place, new.location.url.clone());
        power.add(&owner, &image.id, new).await.unwrap();
        assert_eq!(fixture.urls(&image).await, expected);
    }
    expected.reverse();
    let arranged: Vec<Location> = expected.iter().map(|url| noted(url, "new")).collect();
    let image = power.arrange(&owner, &image.id, arranged.clone()).await.unwrap();
    assert_eq!(fixture.urls(&image).await, expected);
    let other = noted(&fixture.serve(&bytes), "other");
    let (first, rest) = arranged.split_first().unwrap();
    for wrong in [
        rest.to_vec(),
        [rest, std::slice::from_ref(&other)].concat(),
        [&arranged[..], std::slice::from_ref(first)].concat(),
        [rest, &rest[..1]].concat(),
        Vec::new(),
    ] {
        assert_eq!(kind_of(power.arrange(&owner, &image.id, wrong).await), ErrorKind::Invalid);
    }
    let lists = power.of(&owner, std::slice::from_ref(&image)).await.unwrap();
    let notes: Vec<_> = lists[0].iter().map(|location| location.metadata.get("note").unwrap()).collect();
    assert_eq!(notes, ["new"; 5]);
}

/// An active image, also one whose data came in another way, gets a location of the same data and of no other.
pub async fn only_the_same_data_is_added_to_an_active_image(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let (bytes, owner) = (pattern(1000), fixture.owner());
    let image = fixture.make_with(fixture.draft(), &bytes).await;
    let before = fixture.urls(&image).await;
    let other = NewLocation::at_url(fixture.serve(&pattern(999)));
    let known = || fixture.located(&bytes);
    let hash = |algorithm: &str, value: &str| {
        Some(MultiHash { algorithm: algorithm.to_owned(), value: value.to_owned() })
    };
    let mut wrong = vec![other, known(), known(), known(), known()];
    wrong[1].known.checksum = Some("1".repeat(32));
    wrong[2].known.hash = hash("sha512", &"1".repeat(128));
    wrong[3].known.hash = hash("sha256", &"1".repeat(64));
    wrong[4].known.size = Some(999);
    for wrong in wrong {
        let answer = power.add(&owner, &image.id, wrong.clone()).await;
        assert_eq!(kind_of(answer), ErrorKind::Conflict, "{:?}", wrong.known);
    }
    assert_eq!(fixture.urls(&image).await, before);
    assert_eq!(fixture.shown(&image.id).await, image);
    for new in [known(), NewLocation::at_url(fixture.serve(&bytes))] {
        let url = new.location.url.clone();
        let added = power.add(&owner, &image.id, new.clone()).await.unwrap();
        assert_eq!((&added.checksum, &added.hash), (&image.checksum, &image.hash));
        assert_eq!(fixture.shown(&image.id).await, added);
        assert!(fixture.urls(&added).await.contains(&url));
        assert_eq!(kind_of(power.add(&owner, &image.id, new).await), ErrorKind::Invalid, "it is there twice");
    }
    assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
}

/// `Invalid` for what is no URL of a location, and while a format is unset; `Conflict` unless the image is queued or
/// active; `TooLarge` beyond the bound. Nothing has changed then.
pub async fn a_location_that_cannot_be_is_refused(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let (bytes, owner) = (pattern(10), fixture.owner());
    let queued = fixture.make(fixture.draft()).await;
    for url in ["", "gopher://images.example/x", "file:///etc/passwd", "not a URL", "http://", "store://a/b"]
    {
        assert_eq!(kind_of(power.check(url)), ErrorKind::Invalid, "{url}");
        assert_eq!(kind_of(power.prepare(&owner, &queued.id, url).await), ErrorKind::Invalid, "{url}");
        let answer = power.add(&owner, &queued.id, NewLocation::at_url(url)).await;
        assert_eq!(kind_of(answer), ErrorKind::Invalid, "{url}");
        assert_eq!(kind_of(power.open(&owner, &queued, url).await), ErrorKind::Invalid, "{url}");
    }
    assert_eq!(fixture.shown(&queued.id).await.status, Status::Queued);
    let formless = fixture.make(NewImage { disk_format: None, ..fixture.draft() }).await;
    let answer = power.add(&owner, &formless.id, fixture.located(&bytes)).await;
    assert_eq!(kind_of(answer), ErrorKind::Invalid);
    let image = fixture.at_url(fixture.draft(), &bytes).await;
    let off = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    let image = fixture.change(&image, off).await;
    let answer = power.add(&owner, &image.id, fixture.located(&bytes)).await;
    assert_eq!(kind_of(answer), ErrorKind::Conflict);
    let on = ImageChange { status: Some(Status::Active), ..ImageChange::default() };
    let image = fixture.change(&image, on).await;
    for _ in 1..MOST_LOCATIONS {
        power.add(&owner, &image.id, fixture.located(&bytes)).await.unwrap();
    }
    let answer = power.add(&owner, &image.id, fixture.located(&bytes)).await;
    assert_eq!(kind_of(answer), ErrorKind::TooLarge);
    assert_eq!(fixture.urls(&image).await.len(), MOST_LOCATIONS);
}

/// A location is removed from an active image, but for the last one: that is `Forbidden`.
pub async fn all_locations_but_the_last_are_removed(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let (bytes, owner) = (pattern(1000), fixture.owner());
    let queued = fixture.make(fixture.draft()).await;
    let answer = power.remove(&owner, &queued.id, "http://images.example/x").await;
    assert_eq!(kind_of(answer), ErrorKind::Conflict);
    let image = fixture.make_with(fixture.draft(), &bytes).await;
    let [first] = fixture.urls(&image).await.try_into().unwrap();
    let new = fixture.located(&bytes);
    let url = new.location.url.clone();
    power.add(&owner, &image.id, new).await.unwrap();
    let answer = power.remove(&owner, &image.id, "http://images.example/x").await;
    assert_eq!(kind_of(answer), ErrorKind::NotFound);
    let image = power.remove(&owner, &image.id, &url).await.unwrap();
    assert_eq!(fixture.shown(&image.id).await, image);
    assert_eq!(fixture.urls(&image).await, [first.as_str()]);
    assert_eq!(kind_of(power.remove(&owner, &image.id, &first).await), ErrorKind::Forbidden);
    assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
}

/// Only a queued image with formats is made ready for a location, and it is the same image then.
pub async fn a_queued_image_is_made_ready_for_a_location(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let (bytes, owner) = (pattern(1000), fixture.owner());
    let url = fixture.serve(&bytes);
    let queued = fixture.make(fixture.named("name")).await;
    let ready = power.prepare(&owner, &queued.id, &url).await.unwrap();
    assert_eq!((&ready.id, &ready.name, ready.status), (&queued.id, &queued.name, Status::Queued));
    assert_eq!(fixture.shown(&queued.id).await, ready);
    let formless = fixture.make(NewImage { container_format: None, ..fixture.draft() }).await;
    assert_eq!(kind_of(power.prepare(&owner, &formless.id, &url).await), ErrorKind::Invalid);
    let active = fixture.at_url(fixture.draft(), &bytes).await;
    assert_eq!(kind_of(power.prepare(&owner, &active.id, &url).await), ErrorKind::Conflict);
    fixture.assert_missing(power.prepare(&owner, &ImageId::random(), &url).await);
}

/// What lies at a URL is data like an upload.
pub async fn what_lies_at_a_url_can_be_looked_at(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let (bytes, owner) = (pattern(300_000), fixture.owner());
    let queued = fixture.make(fixture.draft()).await;
    let upload = power.open(&owner, &queued, &fixture.serve(&bytes)).await.unwrap();
    assert!(upload.size.is_none_or(|size| size == 300_000));
    let data = Data::new(0..300_000, 300_000, upload.stream);
    assert!(whole(data).await.unwrap() == bytes, "other bytes came");
    assert_eq!(fixture.shown(&queued.id).await, queued);
}

/// Who may not see an image finds none, and who may not change it changes no location.
pub async fn locations_are_changed_by_those_who_may_change_the_image(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let (bytes, other) = (pattern(10), fixture.other());
    for (visibility, missing) in [(Visibility::Private, true), (Visibility::Public, false)] {
        let queued = fixture.make(fixture.visible(visibility)).await;
        let active = fixture.make_with(fixture.visible(visibility), &bytes).await;
        let before = fixture.urls(&active).await;
        let url = before[0].clone();
        for answer in [
            power.prepare(&other, &queued.id, &fixture.serve(&bytes)).await,
            power.add(&other, &queued.id, fixture.located(&bytes)).await,
            power.add(&other, &active.id, fixture.located(&bytes)).await,
            power.arrange(&other, &active.id, vec![noted(&url, "x")]).await,
            power.remove(&other, &active.id, &url).await,
        ] {
            if missing {
                fixture.assert_missing(answer);
            } else {
                assert_eq!(kind_of(answer), ErrorKind::Forbidden);
            }
        }
        assert_eq!(fixture.urls(&active).await, before);
        assert_eq!(fixture.shown(&queued.id).await.status, Status::Queued);
    }
}

/// Several images' locations come at once; those of images without data, or that have gone, are none.
pub async fn locations_of_many_images_come_at_once(fixture: Fixture) {
    let Some(power) = fixture.locations() else { return };
    let bytes = pattern(10);
    let queued = fixture.make(fixture.draft()).await;
    let first = fixture.at_url(fixture.draft(), &bytes).await;
    let second = fixture.at_url(fixture.draft(), &bytes).await;
    let gone = fixture.at_url(fixture.draft(), &bytes).await;
    let (one, two) = (fixture.urls(&first).await, fixture.urls(&second).await);
    fixture.service().delete(&fixture.owner(), &gone.id).await.unwrap();
    let lists = power.of(&fixture.owner(), &[second, gone, queued, first]).await.unwrap();
    let urls: Vec<Vec<String>> =
        lists.into_iter().map(|list| list.into_iter().map(|location| location.url).collect()).collect();
    assert_eq!(urls, [two, Vec::new(), Vec::new(), one]);
    assert!(power.of(&fixture.owner(), &[]).await.unwrap().is_empty());
}
