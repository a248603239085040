//! [`Stores`]: images in several named stores.
//!
//! That the other copies of an image stay when one is removed is not checked here: the contract has no verb that
//! makes a second copy. A service without named stores must name none on its images.

use super::fixture::{Fixture, kind_of};
use super::make::pattern;
use crate::{ErrorKind, ImageChange, ImageId, NewImage, Store, Stores, Upload, Visibility};

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
