//! `create`: all of an image or none of it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::feed::{broken, trickle};
use super::fixture::{Fixture, kind_of};
use super::make::{check_digests, pattern};
use super::walk::ids_of;
use crate::{
    ErrorKind, Image, ImageId, MOST_PER_IMAGE, NewImage, Properties, Status, Timestamp, Upload, Visibility,
};

/// How far the clocks of a service and of this process may be apart, in seconds.
const SKEW: i64 = 300;

/// Without data the image is `queued`; what was left out has the default that [`NewImage`] gives.
pub async fn an_image_without_data_is_queued_and_has_the_defaults(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let tags = fixture.draft().tags;
    let before = Timestamp::now();
    let new = NewImage { tags: tags.clone(), ..NewImage::default() };
    let made = fixture.service().create(&fixture.owner(), new, None).await.unwrap();
    let takes_data = fixture.service().capabilities().uploads.is_yes();
    let expected = Image {
        id: made.id.clone(),
        name: None,
        status: Status::Queued,
        visibility: Visibility::Shared,
        owner: fixture.owner().caller.project,
        size: None,
        virtual_size: None,
        disk_format: None,
        container_format: None,
        checksum: None,
        hash: None,
        hidden: false,
        protected: false,
        min_disk: 0,
        min_ram: 0,
        tags,
        created_at: made.created_at,
        updated_at: made.updated_at,
        properties: Properties::new(),
        // Only where it waits for a location is a store known by then.
        stores: if takes_data { Vec::new() } else { made.stores.clone() },
    };
    assert_eq!(made, expected);
    assert!(made.created_at <= made.updated_at);
    assert!(made.created_at >= before.saturating_add(-SKEW));
    assert!(made.updated_at <= Timestamp::now().saturating_add(SKEW));
}

/// A name is all that is needed, and no property comes of it.
pub async fn a_name_is_enough(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let new = NewImage { name: Some("a name".into()), ..NewImage::default() };
    let made = fixture.service().create(&fixture.owner(), new, None).await.unwrap();
    assert_eq!(made.name.as_deref(), Some("a name"));
    assert_eq!(made.properties, Properties::new());
    assert_eq!(fixture.shown(&made.id).await, made);
}

/// What the caller says of the image is what the image says.
pub async fn every_attribute_is_kept_as_it_came(fixture: Fixture) {
    let new = NewImage {
        name: Some("Name, with \"quotes\", ünïcode and 木".into()),
        visibility: Some(Visibility::Community),
        disk_format: Some("qcow2".into()),
        container_format: Some("ovf".into()),
        hidden: true,
        protected: true,
        min_disk: 7,
        min_ram: 1024,
        tags: BTreeSet::from([fixture.tag().to_owned(), "Two words".into(), "é".into()]),
        ..fixture.draft()
    };
    let made = fixture.make(new.clone()).await;
    let shown = fixture.shown(&made.id).await;
    let kept = NewImage {
        id: None,
        name: shown.name,
        visibility: Some(shown.visibility),
        owner: None,
        disk_format: shown.disk_format,
        container_format: shown.container_format,
        hidden: shown.hidden,
        protected: shown.protected,
        min_disk: shown.min_disk,
        min_ram: shown.min_ram,
        tags: shown.tags,
        properties: shown.properties,
        store: None,
        returning: false,
        created_at: None,
    };
    assert_eq!(kept, new);
}

/// Keys and values of properties are text, kept unread.
pub async fn properties_are_kept_as_they_came(fixture: Fixture) {
    let properties = Properties::from([
        ("kernel_id".into(), "nokernel".into()),
        ("hw_disk_bus".into(), "virtio".into()),
        ("instance_id".into(), "42".into()),
        ("empty".into(), String::new()),
        ("block_device_mapping".into(), r#"[{"virtual": "ami", "device": "sda1"}]"#.into()),
        ("looks_like_a_time".into(), "2011-01-01T01:02:03.000001".into()),
        ("looks_like_nothing".into(), "None".into()),
        ("ünïcode and spaces".into(), " 木 \" \\ \t".into()),
    ]);
    let made = fixture.make(NewImage { properties: properties.clone(), ..fixture.draft() }).await;
    assert_eq!(fixture.shown(&made.id).await.properties, properties);
}

/// Attributes and properties are kept apart. A service that has no place for a property of an attribute's name
/// refuses it, and never takes it for the attribute.
pub async fn a_property_never_takes_the_place_of_an_attribute(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    for key in ["name", "status", "id", "owner", "visibility", "min_disk", "checksum", "tags"] {
        let properties = Properties::from([(key.to_owned(), "active".to_owned())]);
        let new = NewImage { properties: properties.clone(), ..fixture.named("real") };
        match fixture.service().create(&fixture.owner(), new, None).await {
            Ok(made) => {
                let shown = fixture.shown(&made.id).await;
                assert_eq!(shown.properties, properties);
                assert_eq!(shown.name.as_deref(), Some("real"));
                assert_eq!((shown.status, shown.visibility), (Status::Queued, Visibility::Shared), "{key}");
                assert_eq!(shown.owner, fixture.owner().caller.project);
                assert_eq!((shown.min_disk, shown.checksum), (0, None), "{key}");
                assert!(shown.tags.contains(fixture.tag()));
                fixture.remove(&made).await;
            }
            Err(error) => {
                let refused = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Forbidden);
                assert!(refused, "a property called {key}: {error:?}");
                assert_eq!(fixture.ids(&fixture.owner(), fixture.query()).await, [""; 0]);
            }
        }
    }
}

/// Without an id the image gets one that no other has.
pub async fn an_image_gets_an_id_of_its_own(fixture: Fixture) {
    let mut ids = BTreeSet::new();
    for _ in 0..5 {
        let made = fixture.make(fixture.named("the same")).await;
        assert!(ImageId::for_new_image(made.id.as_str()).is_ok(), "{} is no UUID", made.id);
        assert_eq!(fixture.shown(&made.id).await, made);
        assert!(ids.insert(made.id));
    }
    assert_eq!(fixture.ids(&fixture.owner(), fixture.query()).await.len(), 5);
}

/// An id given by the caller is the image's. A service with a silent source may be unable to tell whether the
/// id is in use there, and then makes nothing.
pub async fn a_given_id_is_kept(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let id = ImageId::random();
    let new = NewImage { id: Some(id.clone()), ..fixture.draft() };
    match fixture.service().create(&fixture.owner(), new, None).await {
        Ok(made) => {
            assert_eq!(made.id, id);
            assert_eq!(fixture.shown(&id).await, made);
        }
        Err(error) => {
            assert!(fixture.has_silent_source() && error.kind().is_silence(), "{error:?}");
            fixture.assert_missing(fixture.service().show(&fixture.owner(), &id).await);
        }
    }
}

/// `AlreadyExists` if the id is in use, and the image that has it is untouched.
pub async fn a_taken_id_is_refused_and_its_image_stays_as_it_was(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let bytes = pattern(1000);
    let first = fixture.make_with(fixture.named("first"), &bytes).await;
    for data in [None, Some(Upload::from_bytes("other data"))] {
        let second = NewImage { id: Some(first.id.clone()), ..fixture.named("second") };
        fixture.assert_taken(fixture.service().create(&fixture.owner(), second, data).await);
    }
    assert_eq!(fixture.shown(&first.id).await, first);
    assert_eq!(fixture.bytes_of(&first.id, None).await, bytes);
    assert_eq!(fixture.ids(&fixture.owner(), fixture.query()).await, ids_of([&first]));
}

/// Of several creates of one id at once, one makes its image.
pub async fn an_id_that_many_want_at_once_is_given_to_one(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let (id, owner) = (ImageId::random(), fixture.owner());
    let answers = join_all((0..6).map(|number: u32| {
        let new = NewImage { id: Some(id.clone()), ..fixture.named(&number.to_string()) };
        fixture.service().create(&owner, new, None)
    }));
    let mut made = Vec::new();
    for answer in answers.await {
        match answer {
            Ok(image) => made.push(image),
            refused => fixture.assert_taken(refused),
        }
    }
    let expected = usize::from(!made.is_empty() || !fixture.has_silent_source());
    assert_eq!(made.len(), expected, "{made:?}");
    assert_eq!(fixture.all(&owner, fixture.query()).await, made);
}

/// An id is in use for everyone, also for those who may not see its image.
pub async fn an_id_taken_by_what_the_caller_cannot_see_is_refused(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let hidden = fixture.make(fixture.visible(Visibility::Private)).await;
    let new = NewImage { id: Some(hidden.id.clone()), ..fixture.draft() };
    fixture.assert_taken(fixture.service().create(&fixture.other(), new, None).await);
    assert_eq!(fixture.shown(&hidden.id).await, hidden);
}

/// With data the image is `active`. Size and hashes are what the service finds in the bytes.
pub async fn an_image_with_data_is_active_with_size_and_hashes(fixture: Fixture) {
    let bytes = pattern(300_000);
    let made = fixture.make_with(fixture.draft(), &bytes).await;
    let shown = fixture.shown(&made.id).await;
    assert_eq!(shown.status, Status::Active);
    check_digests(&shown, &bytes);
    assert_eq!(fixture.bytes_of(&made.id, None).await, bytes);
}

/// The size need not be known before.
pub async fn data_of_unknown_size_is_taken_whole(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let bytes = pattern(100_000);
    let data = Some(trickle(&bytes, 999));
    let made = fixture.service().create(&fixture.owner(), fixture.draft(), data).await.unwrap();
    assert_eq!((made.status, made.size), (Status::Active, Some(100_000)));
    assert_eq!(fixture.bytes_of(&made.id, None).await, bytes);
}

/// `Invalid` if data comes and a format is unset.
pub async fn data_without_formats_is_invalid_and_leaves_no_image(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    for new in [
        NewImage { disk_format: None, ..fixture.draft() },
        NewImage { container_format: None, ..fixture.draft() },
    ] {
        let data = Some(Upload::from_bytes("data"));
        let answer = fixture.service().create(&fixture.owner(), new, data).await;
        assert_eq!(kind_of(answer), ErrorKind::Invalid);
        assert_eq!(fixture.ids(&fixture.owner(), fixture.query()).await, [""; 0]);
    }
}

/// `Incomplete` if more or fewer bytes come than were announced.
pub async fn data_of_another_size_than_announced_leaves_no_image(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let bytes = pattern(10_000);
    for announced in [0, 1, 9_999, 10_001, 1_000_000] {
        let data = Upload { size: Some(announced), ..trickle(&bytes, 1000) };
        let answer = fixture.service().create(&fixture.owner(), fixture.draft(), Some(data)).await;
        assert_eq!(kind_of(answer), ErrorKind::Incomplete, "{announced} bytes announced");
        assert_eq!(fixture.ids(&fixture.owner(), fixture.query()).await, [""; 0]);
    }
}

/// If the upload fails, there is no image.
pub async fn data_that_breaks_off_leaves_no_image(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let bytes = pattern(10_000);
    for size in [None, Some(10_000), Some(20_000)] {
        let data = Upload { size, ..broken(&bytes) };
        let answer = fixture.service().create(&fixture.owner(), fixture.draft(), Some(data)).await;
        assert_eq!(kind_of(answer), ErrorKind::Incomplete);
        assert_eq!(fixture.ids(&fixture.owner(), fixture.query()).await, [""; 0]);
    }
}

/// `TooLarge` with more than [`MOST_PER_IMAGE`] of either.
pub async fn too_many_tags_or_properties_leave_no_image(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let many = |count: usize| (0..count).map(|number| format!("number {number}"));
    let properties = |count| many(count).map(|key| (key, String::from("value"))).collect::<BTreeMap<_, _>>();
    let tags = |count| many(count).chain([fixture.tag().to_owned()]).collect::<BTreeSet<_>>();
    for new in [
        NewImage { properties: properties(MOST_PER_IMAGE + 1), ..fixture.draft() },
        NewImage { tags: tags(MOST_PER_IMAGE), ..fixture.draft() },
    ] {
        let answer = fixture.service().create(&fixture.owner(), new, None).await;
        assert_eq!(kind_of(answer), ErrorKind::TooLarge);
        assert_eq!(fixture.ids(&fixture.owner(), fixture.query()).await, [""; 0]);
    }
    let most = NewImage {
        properties: properties(MOST_PER_IMAGE),
        tags: tags(MOST_PER_IMAGE - 1),
        ..fixture.draft()
    };
    let made = fixture.service().create(&fixture.owner(), most, None).await.unwrap();
    assert_eq!((made.properties.len(), made.tags.len()), (MOST_PER_IMAGE, MOST_PER_IMAGE));
}
