//! [`Stores`]: images in several named stores.
//!
//! A service without named stores must name none on its images.

use super::fixture::{Fixture, kind_of};
use super::make::pattern;
use crate::{
    Context, ErrorKind, Image, ImageChange, ImageId, NewImage, Status, Store, Stores, Upload, Visibility,
};

impl Fixture {
    /// The power, if there is one. If there is none, it is checked that images name no stores.
    async fn stores(&self) -> Option<&dyn Stores> {
        let power = self.service().stores();
        if power.is_none() {
            let image = self.make_with(self.draft(), &pattern(10)).await;
            assert_eq!(self.shown(&image.id).await.stores, [""; 0]);
        }
        power
    }

    /// The names of two stores that take writes, if there are two that answer.
    async fn two_stores(&self) -> Option<(&dyn Stores, [String; 2])> {
        let stores = self.stores().await?;
        if self.has_silent_source() || self.refuses_writes().await {
            return None;
        }
        let mut names = stores.list().into_iter().filter(|store| !store.read_only).map(|store| store.name);
        Some((stores, [names.next()?, names.next()?]))
    }

    async fn made_in(&self, store: &str, bytes: &bytes::Bytes) -> Image {
        self.make_with(NewImage { store: Some(store.to_owned()), ..self.draft() }, bytes).await
    }

    async fn bytes_in(&self, id: &ImageId, store: &str) -> Vec<u8> {
        let context = Context { prefer: vec![store.to_owned()], ..self.owner() };
        let download = self.service().get(&context, id, None).await.unwrap();
        super::make::whole(download.data.unwrap()).await.unwrap()
    }
}

/// A copy adds a store to the image and changes nothing else. When one of two is removed the other stays, also if
/// that was the first, and the image can come back to where it was.
pub async fn a_copy_is_the_same_image_in_one_more_store(fixture: Fixture) {
    let Some((stores, [one, other])) = fixture.two_stores().await else { return };
    let (owner, bytes) = (fixture.owner(), pattern(1000));
    let made = fixture.made_in(&one, &bytes).await;
    let copied = stores.add_copy(&owner, &made.id, &other, Upload::from_bytes(bytes.clone())).await.unwrap();
    assert_eq!(copied, fixture.shown(&made.id).await);
    assert_eq!(copied.stores, [one.as_str(), other.as_str()]);
    assert_eq!(Image { stores: made.stores.clone(), ..copied }, made);
    for store in [&one, &other] {
        assert_eq!(fixture.bytes_in(&made.id, store).await, bytes);
    }
    for (gone, left) in [(&one, &other), (&other, &one)] {
        stores.remove_copy(&fixture.admin(), &made.id, gone).await.unwrap();
        let shown = fixture.shown(&made.id).await;
        assert_eq!((shown.stores.as_slice(), shown.status), ([left.clone()].as_slice(), Status::Active));
        assert_eq!(fixture.bytes_of(&made.id, None).await, bytes);
        match stores.add_copy(&owner, &made.id, gone, Upload::from_bytes(bytes.clone())).await {
            Ok(back) => {
                assert_eq!(back.stores, [one.as_str(), other.as_str()]);
                assert_eq!(back.created_at, made.created_at);
            }
            // A store that cannot forget says so.
            Err(error) => return assert_eq!(error.kind(), ErrorKind::AlreadyExists),
        }
    }
}

/// What is not the image's data is `Corrupt`, nothing of it is ever given out, and a second attempt is as good as the
/// first.
pub async fn other_data_is_no_copy(fixture: Fixture) {
    let Some((stores, [one, other])) = fixture.two_stores().await else { return };
    let (owner, bytes) = (fixture.owner(), pattern(1000));
    let made = fixture.made_in(&one, &bytes).await;
    let mut forged = bytes.to_vec();
    forged[999] ^= 1;
    for wrong in [forged, bytes[..999].to_vec(), [&bytes[..], b"x"].concat()] {
        let unsized_upload = Upload { size: None, ..Upload::from_bytes(wrong) };
        let answer = stores.add_copy(&owner, &made.id, &other, unsized_upload).await;
        assert_eq!(kind_of(answer), ErrorKind::Corrupt);
        assert_eq!(fixture.shown(&made.id).await, made);
        assert_eq!(fixture.bytes_in(&made.id, &other).await, bytes);
    }
    let copied = stores.add_copy(&owner, &made.id, &other, Upload::from_bytes(bytes.clone())).await.unwrap();
    assert_eq!(copied.stores, [one, other]);
    fixture.remove(&made).await;
    fixture.assert_missing(fixture.service().show(&owner, &made.id).await);
}

/// The first data of a queued image makes it active where it comes to, and the next must be the same.
pub async fn a_queued_image_gets_its_first_data_as_a_copy(fixture: Fixture) {
    let Some((stores, [one, other])) = fixture.two_stores().await else { return };
    let (owner, bytes) = (fixture.owner(), pattern(1000));
    let queued = fixture.make(NewImage { store: Some(one.clone()), ..fixture.draft() }).await;
    let first = stores.add_copy(&owner, &queued.id, &other, Upload::from_bytes(bytes.clone())).await.unwrap();
    assert_eq!((first.status, first.stores), (Status::Active, vec![other.clone()]));
    let answer = stores.add_copy(&owner, &queued.id, &one, Upload::from_bytes(pattern(999))).await;
    assert_eq!(kind_of(answer), ErrorKind::Corrupt);
    let second = stores.add_copy(&owner, &queued.id, &one, Upload::from_bytes(bytes.clone())).await.unwrap();
    assert_eq!(second.stores, [one.as_str(), other.as_str()]);
    for store in [&one, &other] {
        assert_eq!(fixture.bytes_in(&queued.id, store).await, bytes);
    }
}

/// What is taken back leaves the image as it is elsewhere: queued if no data is left. Nothing is taken from where it
/// is alone.
pub async fn a_copy_that_is_taken_back_leaves_the_image_where_else_it_is(fixture: Fixture) {
    let Some((stores, [one, other])) = fixture.two_stores().await else { return };
    let (owner, bytes) = (fixture.owner(), pattern(1000));
    let queued = NewImage { store: Some(one.clone()), protected: true, ..fixture.draft() };
    let queued = fixture.make(queued).await;
    stores.add_copy(&owner, &queued.id, &other, Upload::from_bytes(bytes.clone())).await.unwrap();
    stores.withdraw_copy(&owner, &queued.id, &other).await.unwrap();
    assert_eq!(fixture.shown(&queued.id).await, queued);
    for (store, kind) in [(&one, ErrorKind::Forbidden), (&other, ErrorKind::NotFound)] {
        assert_eq!(kind_of(stores.withdraw_copy(&owner, &queued.id, store).await), kind);
    }
    let answer = stores.withdraw_copy(&owner, &queued.id, "no such store").await;
    assert_eq!(kind_of(answer), ErrorKind::Conflict);
    fixture.upload(&queued.id, Upload::from_bytes(bytes)).await.unwrap();
}

/// A queued record moves to the store that is named, and nothing else does.
pub async fn a_record_without_data_moves(fixture: Fixture) {
    let Some((stores, [one, other])) = fixture.two_stores().await else { return };
    let owner = fixture.owner();
    let queued = fixture.make(NewImage { store: Some(one.clone()), ..fixture.draft() }).await;
    stores.move_record(&owner, &queued.id, &other).await.unwrap();
    stores.move_record(&owner, &queued.id, &other).await.unwrap();
    let image = fixture.upload(&queued.id, Upload::from_bytes(pattern(10))).await.unwrap();
    assert_eq!(image.stores, [other.as_str()]);
    for store in [&one, &other] {
        assert_eq!(kind_of(stores.move_record(&owner, &queued.id, store).await), ErrorKind::Conflict);
    }
    assert_eq!(kind_of(stores.move_record(&owner, &queued.id, "no such store").await), ErrorKind::Conflict);
    fixture.assert_missing(stores.move_record(&owner, &ImageId::random(), &one).await);
}

/// `Conflict` for a store that has it already or is unknown; who may not change the image adds no copies.
pub async fn copies_are_added_only_where_there_are_none_and_by_the_owner(fixture: Fixture) {
    let Some((stores, [one, other])) = fixture.two_stores().await else { return };
    let bytes = pattern(10);
    let made = fixture.made_in(&one, &bytes).await;
    for store in [one.as_str(), "no such store"] {
        let answer =
            stores.add_copy(&fixture.owner(), &made.id, store, Upload::from_bytes(bytes.clone())).await;
        assert_eq!(kind_of(answer), ErrorKind::Conflict, "{store}");
    }
    let unknown = ImageId::random();
    let answer = stores.add_copy(&fixture.owner(), &unknown, &other, Upload::from_bytes(bytes.clone())).await;
    fixture.assert_missing(answer);
    for (visibility, missing) in [(Visibility::Private, true), (Visibility::Public, false)] {
        let image = NewImage { store: Some(one.clone()), ..fixture.visible(visibility) };
        let image = fixture.make_with(image, &bytes).await;
        let answer =
            stores.add_copy(&fixture.other(), &image.id, &other, Upload::from_bytes(bytes.clone())).await;
        if missing {
            fixture.assert_missing(answer);
        } else {
            assert_eq!(kind_of(answer), ErrorKind::Forbidden);
        }
        assert_eq!(fixture.shown(&image.id).await, image);
    }
}

/// The list is always the same, names are unique, and one store at most is the default.
pub async fn stores_have_names_of_their_own(fixture: Fixture) {
    let Some(stores) = fixture.stores().await else { return };
    let list: Vec<Store> = stores.list();
    assert_eq!(stores.list(), list);
    assert!(list.iter().filter(|store| store.is_default).count() <= 1);
    for (number, store) in list.iter().enumerate() {
        assert!(!store.name.is_empty());
        assert!(list.iter().skip(number + 1).all(|later| later.name != store.name), "{list:?}");
    }
}

/// An image made for a store, or whose data is meant for one, is in that store.
pub async fn an_image_is_kept_in_the_store_it_was_made_for(fixture: Fixture) {
    let Some(stores) = fixture.stores().await else { return };
    if fixture.refuses_writes().await {
        return;
    }
    let bytes = pattern(1000);
    for store in stores.list().into_iter().filter(|store| !store.read_only) {
        let named = NewImage { store: Some(store.name.clone()), ..fixture.draft() };
        let upload = |store| Upload { store, ..Upload::from_bytes(bytes.clone()) };
        let queued = fixture.make(fixture.draft()).await;
        for answer in [
            fixture.service().create(&fixture.owner(), named, Some(upload(None))).await,
            fixture.upload(&queued.id, upload(Some(store.name.clone()))).await,
        ] {
            match answer {
                Ok(image) => {
                    assert_eq!(image.stores, [store.name.as_str()]);
                    assert_eq!(fixture.shown(&image.id).await, image);
                    assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
                }
                Err(error) => {
                    let silent = fixture.has_silent_source() && error.kind().is_silence();
                    assert!(silent, "{}: {error:?}", store.name);
                }
            }
        }
    }
}

/// `Forbidden` for the only copy, and it stays.
pub async fn the_last_copy_is_not_removed(fixture: Fixture) {
    let Some(stores) = fixture.stores().await else { return };
    let bytes = pattern(1000);
    let image = fixture.make_with(fixture.draft(), &bytes).await;
    let shown = fixture.shown(&image.id).await;
    assert_eq!(shown.stores.len(), 1);
    let answer = stores.remove_copy(&fixture.owner(), &image.id, &shown.stores[0]).await;
    assert_eq!(kind_of(answer), ErrorKind::Forbidden);
    assert_eq!(fixture.shown(&image.id).await, shown);
    assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
}

/// `Conflict` for an unknown store or an image that is not active, `NotFound` for an unknown image or one that
/// has no copy there.
pub async fn only_copies_of_active_images_in_known_stores_are_removed(fixture: Fixture) {
    let Some(stores) = fixture.stores().await else { return };
    let owner = fixture.owner();
    let queued = fixture.make(fixture.draft()).await;
    let image = fixture.make_with(fixture.draft(), &pattern(10)).await;
    let image = fixture.shown(&image.id).await;
    let unknown = stores.remove_copy(&owner, &image.id, "no such store").await;
    assert_eq!(kind_of(unknown), ErrorKind::Conflict);
    for store in stores.list() {
        let answer = stores.remove_copy(&owner, &queued.id, &store.name).await;
        assert_eq!(kind_of(answer), ErrorKind::Conflict);
        fixture.assert_missing(stores.remove_copy(&owner, &ImageId::random(), &store.name).await);
        if !image.stores.contains(&store.name) {
            let kind = kind_of(stores.remove_copy(&owner, &image.id, &store.name).await);
            let silent = fixture.has_silent_source() && kind.is_silence();
            assert!(kind == ErrorKind::NotFound || silent, "{kind:?}");
        }
    }
    assert_eq!(fixture.shown(&image.id).await, image);
}

/// `NotFound` for a caller who may not see the image; `Forbidden` for one who may not delete it, and for anyone
/// while it is protected.
pub async fn copies_are_removed_only_by_those_who_may_delete(fixture: Fixture) {
    let Some(stores) = fixture.stores().await else { return };
    for (visibility, missing) in [(Visibility::Private, true), (Visibility::Public, false)] {
        let image = fixture.make_with(fixture.visible(visibility), &pattern(10)).await;
        let store = fixture.shown(&image.id).await.stores.first().cloned().unwrap();
        let answer = stores.remove_copy(&fixture.other(), &image.id, &store).await;
        if missing {
            fixture.assert_missing(answer);
        } else {
            assert_eq!(kind_of(answer), ErrorKind::Forbidden);
        }
        let protect = ImageChange { protected: Some(true), ..ImageChange::default() };
        let image = fixture.change(&image, protect).await;
        let answer = stores.remove_copy(&fixture.admin(), &image.id, &store).await;
        assert_eq!(kind_of(answer), ErrorKind::Forbidden);
        assert_eq!(fixture.shown(&image.id).await, image);
    }
}
