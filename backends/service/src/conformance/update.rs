//! `update` without data: all of a change or none of it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::fixture::{Fixture, kind_of};
use super::make::pattern;
use crate::{Edit, ErrorKind, Image, ImageChange, MOST_PER_IMAGE, NewImage, Properties, Status, Visibility};

#[expect(clippy::unnecessary_wraps, reason = "an edit that sets is what it makes")]
fn set(text: &str) -> Edit<String> {
    Some(Some(text.to_owned()))
}

/// What a change does to an image.
type Effect = fn(&mut Image);

/// Each attribute can be changed by itself; the others stay, and the time of update does not go back.
pub async fn every_attribute_changes_alone(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let none = ImageChange::default;
    let tags = BTreeSet::from([fixture.tag().to_owned(), String::from("new")]);
    let changes: Vec<(ImageChange, Effect)> = vec![
        (ImageChange { name: set("new"), ..none() }, |image| image.name = Some("new".into())),
        (ImageChange { visibility: Some(Visibility::Private), ..none() }, |image| {
            image.visibility = Visibility::Private;
        }),
        (ImageChange { disk_format: set("iso"), ..none() }, |image| image.disk_format = Some("iso".into())),
        (ImageChange { container_format: set("ovf"), ..none() }, |image| {
            image.container_format = Some("ovf".into());
        }),
        (ImageChange { hidden: Some(true), ..none() }, |image| image.hidden = true),
        (ImageChange { protected: Some(true), ..none() }, |image| image.protected = true),
        (ImageChange { protected: Some(false), ..none() }, |image| image.protected = false),
        (ImageChange { min_disk: Some(11), ..none() }, |image| image.min_disk = 11),
        (ImageChange { min_ram: Some(12), ..none() }, |image| image.min_ram = 12),
        (ImageChange { tags: Some(tags), ..none() }, |image| {
            image.tags.insert("new".into());
        }),
    ];
    let mut image = fixture.make(fixture.named("old")).await;
    for (change, apply) in changes {
        let mut expected = image.clone();
        apply(&mut expected);
        let changed =
            fixture.service().update(&fixture.owner(), &image.id, change.clone(), None).await.unwrap();
        assert!(changed.updated_at >= image.updated_at);
        expected.updated_at = changed.updated_at;
        assert_eq!(changed, expected, "{change:?}");
        assert_eq!(fixture.shown(&image.id).await, expected, "{change:?}");
        image = changed;
    }
}

/// Name and formats can be unset.
pub async fn what_may_be_unset_can_be_unset(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make(fixture.named("old")).await;
    let change = ImageChange {
        name: Some(None),
        disk_format: Some(None),
        container_format: Some(None),
        ..ImageChange::default()
    };
    fixture.service().update(&fixture.owner(), &image.id, change, None).await.unwrap();
    let shown = fixture.shown(&image.id).await;
    assert_eq!((shown.name, shown.disk_format, shown.container_format), (None, None, None));
}

/// Properties named in the change are set or removed, and others stay. Removing one that is not there is no
/// error.
pub async fn properties_are_set_and_removed_one_by_one(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let owned = |text: &str| text.to_owned();
    let properties =
        ["stays", "goes", "changes", "a/b~c"].map(|key| (owned(key), owned("old"))).into_iter().collect();
    let image = fixture.make(NewImage { properties, ..fixture.draft() }).await;
    let edits = [
        ("goes", None),
        ("changes", Some("new")),
        ("comes", Some("")),
        ("never was", None),
        ("a/b~c", Some("new")),
        ("ü~1 ~0/", Some("new")),
    ];
    let properties = edits.map(|(key, value)| (owned(key), value.map(owned))).into_iter().collect();
    let change = ImageChange { properties, ..ImageChange::default() };
    fixture.service().update(&fixture.owner(), &image.id, change, None).await.unwrap();
    let expected =
        [("stays", "old"), ("changes", "new"), ("comes", ""), ("a/b~c", "new"), ("ü~1 ~0/", "new")];
    let expected: Properties = expected.map(|(key, value)| (owned(key), owned(value))).into_iter().collect();
    assert_eq!(fixture.shown(&image.id).await.properties, expected);
}

/// An empty change changes nothing, not even the time of update.
pub async fn an_empty_change_leaves_everything_as_it_was(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make_with(fixture.named("name"), &pattern(10)).await;
    let empty = ImageChange::default();
    let answer = fixture.service().update(&fixture.owner(), &image.id, empty, None).await.unwrap();
    assert_eq!(answer, image);
    assert_eq!(fixture.shown(&image.id).await, image);
}

/// If one part of a change is refused, no other part is made.
pub async fn a_change_that_fails_in_one_part_changes_nothing(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make_with(fixture.named("old"), &pattern(10)).await;
    let good = ImageChange {
        name: set("new"),
        min_disk: Some(5),
        hidden: Some(true),
        tags: Some(BTreeSet::new()),
        properties: BTreeMap::from([(String::from("new"), Some(String::from("value")))]),
        ..ImageChange::default()
    };
    for (bad, kind) in [
        (ImageChange { disk_format: set("iso"), ..good.clone() }, ErrorKind::Forbidden),
        (ImageChange { owner: set("another"), ..good.clone() }, ErrorKind::Forbidden),
        (ImageChange { status: Some(Status::Queued), ..good.clone() }, ErrorKind::Invalid),
    ] {
        let answer = fixture.service().update(&fixture.owner(), &image.id, bad.clone(), None).await;
        assert_eq!(kind_of(answer), kind, "{bad:?}");
        assert_eq!(fixture.shown(&image.id).await, image, "{bad:?}");
    }
}

/// `Forbidden` for a format of an image that has data.
pub async fn formats_change_only_while_there_is_no_data(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make_with(fixture.draft(), &pattern(10)).await;
    for change in [
        ImageChange { disk_format: set("iso"), ..ImageChange::default() },
        ImageChange { container_format: Some(None), ..ImageChange::default() },
    ] {
        let answer = fixture.service().update(&fixture.owner(), &image.id, change, None).await;
        assert_eq!(kind_of(answer), ErrorKind::Forbidden);
    }
    assert_eq!(fixture.shown(&image.id).await, image);
}

/// An active image can be deactivated and a deactivated one reactivated, as often as one likes.
pub async fn an_active_image_is_deactivated_and_reactivated(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let bytes = pattern(1000);
    let image = fixture.make_with(fixture.draft(), &bytes).await;
    for status in [Status::Deactivated, Status::Deactivated, Status::Active, Status::Active] {
        let change = ImageChange { status: Some(status), ..ImageChange::default() };
        let changed = fixture.service().update(&fixture.admin(), &image.id, change, None).await.unwrap();
        assert_eq!((changed.status, changed.size), (status, Some(1000)));
        assert_eq!(fixture.shown(&image.id).await, changed);
    }
    assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
}

/// `Invalid` for any other status, and `Forbidden` for these two while there is no data.
pub async fn only_deactivation_and_reactivation_set_a_status(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let active = fixture.make_with(fixture.draft(), &pattern(10)).await;
    let queued = fixture.make(fixture.draft()).await;
    for status in Status::ALL.iter().copied() {
        let change = ImageChange { status: Some(status), ..ImageChange::default() };
        let known = matches!(status, Status::Active | Status::Deactivated);
        if !known {
            let answer = fixture.service().update(&fixture.admin(), &active.id, change.clone(), None).await;
            assert_eq!(kind_of(answer), ErrorKind::Invalid, "{status}");
        }
        let answer = fixture.service().update(&fixture.admin(), &queued.id, change, None).await;
        let expected = if known { ErrorKind::Forbidden } else { ErrorKind::Invalid };
        assert_eq!(kind_of(answer), expected, "{status}");
    }
    assert_eq!(fixture.shown(&active.id).await, active);
    assert_eq!(fixture.shown(&queued.id).await, queued);
}

/// `TooLarge` if tags or properties grow beyond [`MOST_PER_IMAGE`].
pub async fn too_many_tags_or_properties_change_nothing(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make(fixture.draft()).await;
    let numbers = 0..=MOST_PER_IMAGE;
    let tags = Some(numbers.clone().map(|number| format!("tag {number}")).collect());
    let properties = numbers.map(|number| (format!("key {number}"), Some(String::from("value")))).collect();
    for change in
        [ImageChange { tags, ..ImageChange::default() }, ImageChange { properties, ..ImageChange::default() }]
    {
        let answer = fixture.service().update(&fixture.owner(), &image.id, change, None).await;
        assert_eq!(kind_of(answer), ErrorKind::TooLarge);
        assert_eq!(fixture.shown(&image.id).await, image);
    }
}

/// Who sees an image is settled by its visibility now.
pub async fn a_new_visibility_holds_at_once(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make(fixture.visible(Visibility::Private)).await;
    let (service, other) = (fixture.service(), fixture.other());
    let turn = async |visibility| {
        let change = ImageChange { visibility: Some(visibility), ..ImageChange::default() };
        service.update(&fixture.admin(), &image.id, change, None).await.unwrap();
    };
    fixture.assert_missing(service.show(&other, &image.id).await);
    turn(Visibility::Community).await;
    assert_eq!(service.show(&other, &image.id).await.unwrap().visibility, Visibility::Community);
    assert!(fixture.all(&other, fixture.query()).await.is_empty());
    turn(Visibility::Public).await;
    assert_eq!(fixture.all(&other, fixture.query()).await.len(), 1);
    turn(Visibility::Shared).await;
    fixture.assert_missing(service.show(&other, &image.id).await);
    assert!(fixture.all(&other, fixture.query()).await.is_empty());
}

/// Of changes to one attribute at the same time, the image keeps one whole.
pub async fn the_last_of_many_changes_at_once_wins(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let image = fixture.make(fixture.draft()).await;
    let owner = fixture.owner();
    let answers = join_all((1..=8).map(|number| {
        let change =
            ImageChange { name: set(&number.to_string()), min_disk: Some(number), ..ImageChange::default() };
        fixture.service().update(&owner, &image.id, change, None)
    }));
    for answer in answers.await {
        answer.unwrap();
    }
    let shown = fixture.shown(&image.id).await;
    assert!((1..=8).contains(&shown.min_disk));
    assert_eq!(shown.name, Some(shown.min_disk.to_string()), "one change's name and another's disk");
}
