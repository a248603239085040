//! Who sees, lists, changes and deletes what.

use std::collections::BTreeSet;

use super::fixture::{Fixture, kind_of};
use super::make::{pattern, whole};
use crate::{
    Context, ErrorKind, Field, Filter, Image, ImageChange, NewImage, Query, Scope, Upload, Visibility,
    VisibilityScope,
};
use Visibility::{Community, Private, Public, Shared};

impl Fixture {
    /// The visibilities of the case's images in a list of `scope`. There is one image of each.
    async fn listed(&self, context: &Context, visibility: VisibilityScope) -> BTreeSet<Visibility> {
        let query = Query { scope: Scope { visibility, ..Scope::default() }, ..self.query() };
        let images = self.all(context, query).await;
        let seen: BTreeSet<Visibility> = images.iter().map(|image| image.visibility).collect();
        assert_eq!(seen.len(), images.len());
        seen
    }

    /// Checks that an image is as it was.
    async fn check_unchanged(&self, image: &Image) {
        assert_eq!(self.shown(&image.id).await, *image);
    }
}

fn rename() -> ImageChange {
    ImageChange { name: Some(Some("renamed".into())), ..ImageChange::default() }
}

/// The owner and administrators are shown every image; other projects public and community ones.
pub async fn visibility_decides_who_is_shown_an_image(fixture: Fixture) {
    let bytes = pattern(100);
    for visibility in Visibility::ALL.iter().copied() {
        let image = fixture.make_with(fixture.visible(visibility), &bytes).await;
        for context in [fixture.owner(), fixture.admin()] {
            assert_eq!(fixture.service().show(&context, &image.id).await.unwrap(), image);
        }
        let shown = fixture.service().show(&fixture.other(), &image.id).await;
        let download = fixture.service().get(&fixture.other(), &image.id, None).await;
        if matches!(visibility, Public | Community) {
            assert_eq!(shown.unwrap(), image);
            assert_eq!(whole(download.unwrap().data.unwrap()).await.unwrap(), bytes);
        } else {
            fixture.assert_missing(shown);
            fixture.assert_missing(download);
        }
    }
}

/// A list shows what its scope says, as far as the caller may see it.
pub async fn lists_show_what_is_usual_all_or_of_one_visibility(fixture: Fixture) {
    let mut private = None;
    for visibility in Visibility::ALL.iter().copied() {
        let image = fixture.make(fixture.visible(visibility)).await;
        private = Some(image).filter(|image| image.visibility == Private).or(private);
    }
    let all = BTreeSet::from([Public, Community, Shared, Private]);
    let (owner, other, admin) = (fixture.owner(), fixture.other(), fixture.admin());
    assert_eq!(fixture.listed(&owner, VisibilityScope::Usual).await, all);
    assert_eq!(fixture.listed(&owner, VisibilityScope::All).await, all);
    assert_eq!(fixture.listed(&other, VisibilityScope::Usual).await, BTreeSet::from([Public]));
    assert_eq!(fixture.listed(&other, VisibilityScope::All).await, BTreeSet::from([Public, Community]));
    let usual = BTreeSet::from([Public, Shared, Private]);
    assert_eq!(fixture.listed(&admin, VisibilityScope::Usual).await, usual);
    assert_eq!(fixture.listed(&admin, VisibilityScope::All).await, all);
    for visibility in Visibility::ALL.iter().copied() {
        let only = VisibilityScope::Only(visibility);
        let one = BTreeSet::from([visibility]);
        assert_eq!(fixture.listed(&owner, only).await, one);
        assert_eq!(fixture.listed(&admin, only).await, one);
        let others = if matches!(visibility, Public | Community) { one } else { BTreeSet::new() };
        assert_eq!(fixture.listed(&other, only).await, others);
    }
    let by_id = Filter::text(Field::Id, private.unwrap().id.as_str());
    if fixture.filters_by(&by_id) {
        let scope = Scope { visibility: VisibilityScope::All, ..Scope::default() };
        let query = Query { filters: vec![by_id], scope, ..fixture.query() };
        assert_eq!(fixture.ids(&other, query).await, [""; 0]);
    }
}

/// An image that the caller may not see is missing in every verb, never forbidden, and stays as it is.
pub async fn what_is_not_visible_is_missing_in_every_verb_and_stays(fixture: Fixture) {
    let (service, other) = (fixture.service(), fixture.other());
    for visibility in [Private, Shared] {
        let new = NewImage { protected: true, ..fixture.visible(visibility) };
        let image = fixture.make(new).await;
        fixture.assert_missing(service.show(&other, &image.id).await);
        fixture.assert_missing(service.get(&other, &image.id, None).await);
        if service.capabilities().writes.is_yes() {
            let data = || Some(Upload::from_bytes("data"));
            fixture.assert_missing(service.update(&other, &image.id, rename(), None).await);
            fixture.assert_missing(service.update(&other, &image.id, ImageChange::default(), None).await);
            fixture.assert_missing(service.update(&other, &image.id, ImageChange::default(), data()).await);
            fixture.assert_missing(service.delete(&other, &image.id).await);
        }
        fixture.check_unchanged(&image).await;
    }
}

/// `Forbidden` for a change, for data and for deletion by one who sees an image and does not own it.
pub async fn what_is_not_ones_own_cannot_be_changed_or_deleted(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let (service, other) = (fixture.service(), fixture.other());
    for visibility in [Public, Community] {
        let image = fixture.make(fixture.visible(visibility)).await;
        let answer = service.update(&other, &image.id, rename(), None).await;
        assert_eq!(kind_of(answer), ErrorKind::Forbidden);
        let data = Some(Upload::from_bytes("data"));
        let answer = service.update(&other, &image.id, ImageChange::default(), data).await;
        assert_eq!(kind_of(answer), ErrorKind::Forbidden);
        assert_eq!(kind_of(service.delete(&other, &image.id).await), ErrorKind::Forbidden);
        fixture.check_unchanged(&image).await;
    }
}

/// An image that belongs to nobody is read by everybody, and changed by administrators.
pub async fn an_image_without_owner_is_read_by_all_and_changed_by_administrators(fixture: Fixture) {
    let (service, other) = (fixture.service(), fixture.other());
    let new = NewImage { owner: Some(None), ..fixture.visible(Private) };
    let image = fixture.make(new).await;
    assert_eq!(image.owner, None);
    assert_eq!(service.show(&other, &image.id).await.unwrap(), image);
    assert_eq!(service.show(&fixture.admin(), &image.id).await.unwrap(), image);
    if service.capabilities().writes.is_yes() {
        let answer = service.update(&other, &image.id, rename(), None).await;
        assert_eq!(kind_of(answer), ErrorKind::Forbidden);
        assert_eq!(kind_of(service.delete(&other, &image.id).await), ErrorKind::Forbidden);
        service.update(&fixture.admin(), &image.id, rename(), None).await.unwrap();
        service.delete(&fixture.admin(), &image.id).await.unwrap();
    }
}

/// `Forbidden` for an owner other than the caller's project, unless an administrator asks.
pub async fn only_administrators_make_images_for_others(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let theirs = fixture.other().caller.project;
    for owner in [theirs.clone(), None] {
        let new = NewImage { owner: Some(owner), ..fixture.draft() };
        let answer = fixture.service().create(&fixture.owner(), new, None).await;
        assert_eq!(kind_of(answer), ErrorKind::Forbidden);
    }
    assert_eq!(fixture.ids(&fixture.admin(), fixture.query()).await, [""; 0]);
    let new = NewImage { owner: Some(theirs.clone()), ..fixture.visible(Private) };
    let made = fixture.service().create(&fixture.admin(), new, None).await.unwrap();
    assert_eq!(made.owner, theirs);
    fixture.service().show(&fixture.other(), &made.id).await.unwrap();
    fixture.assert_missing(fixture.service().show(&fixture.owner(), &made.id).await);
}

/// `Forbidden` for a new owner, unless an administrator asks. What is given away is the new owner's alone.
pub async fn only_administrators_give_images_away(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make(fixture.visible(Private)).await;
    let theirs = fixture.other().caller.project;
    let give = ImageChange { owner: Some(theirs.clone()), ..ImageChange::default() };
    let answer = fixture.service().update(&fixture.owner(), &image.id, give.clone(), None).await;
    assert_eq!(kind_of(answer), ErrorKind::Forbidden);
    fixture.check_unchanged(&image).await;
    fixture.service().update(&fixture.admin(), &image.id, give, None).await.unwrap();
    assert_eq!(fixture.service().show(&fixture.other(), &image.id).await.unwrap().owner, theirs);
    fixture.assert_missing(fixture.service().show(&fixture.owner(), &image.id).await);
    fixture.service().update(&fixture.other(), &image.id, rename(), None).await.unwrap();
}

/// An administrator stands above tenancy.
pub async fn administrators_change_and_delete_what_is_anyones(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let (service, admin) = (fixture.service(), fixture.admin());
    for visibility in Visibility::ALL.iter().copied() {
        let image = fixture.make(fixture.visible(visibility)).await;
        let renamed = service.update(&admin, &image.id, rename(), None).await.unwrap();
        assert_eq!((renamed.name.as_deref(), &renamed.owner), (Some("renamed"), &image.owner));
        if service.capabilities().uploads.is_yes() {
            let data = Some(Upload::from_bytes("data"));
            let filled = service.update(&admin, &image.id, ImageChange::default(), data).await.unwrap();
            assert_eq!((filled.size, &filled.owner), (Some(4), &image.owner));
        }
        service.delete(&admin, &image.id).await.unwrap();
        fixture.assert_missing(service.show(&fixture.owner(), &image.id).await);
    }
}
