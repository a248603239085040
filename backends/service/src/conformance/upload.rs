//! `update` with data: the whole data, or a queued image without any.

use bytes::Bytes;
use futures::future::join_all;

use super::feed::{Feed, broken, drop_at, trickle};
use super::fixture::{Fixture, kind_of};
use super::make::{check_digests, pattern};
use crate::{ErrorKind, Image, ImageChange, ImageId, NewImage, Result, Status, Upload, Visibility};

impl Fixture {
    /// Checks that an image is as if no data had ever come, and takes data now.
    async fn check_untouched(&self, before: &Image) {
        let after = self.until(&before.id, Status::Queued).await;
        let expected = Image { updated_at: after.updated_at, ..before.clone() };
        assert_eq!(after, expected);
        assert!(self.service().get(&self.owner(), &before.id, None).await.unwrap().data.is_none());
        let bytes = pattern(5000);
        let image = self.upload(&before.id, Upload::from_bytes(bytes.clone())).await.unwrap();
        assert_eq!((image.status, image.size), (Status::Active, Some(5000)));
        assert_eq!(self.bytes_of(&before.id, None).await, bytes);
    }
}

/// Data makes the image `active`, with the size and the hashes of its bytes.
pub async fn data_makes_a_queued_image_active(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let bytes = pattern(700_000);
    let queued = fixture.make(fixture.named("name")).await;
    let image = fixture.upload(&queued.id, trickle(&bytes, 12_345)).await.unwrap();
    assert_eq!(image.status, Status::Active);
    check_digests(&image, &bytes);
    assert_eq!((&image.name, &image.tags), (&queued.name, &queued.tags));
    assert_eq!(image.created_at, queued.created_at);
    assert_eq!(fixture.shown(&queued.id).await, image);
    assert_eq!(fixture.bytes_of(&queued.id, None).await, bytes);
}

/// The change that comes with data is made first, so it can set the formats that the data needs.
pub async fn a_change_goes_before_its_data(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let new = NewImage { disk_format: None, container_format: None, ..fixture.draft() };
    let queued = fixture.make(new).await;
    let change = ImageChange {
        name: Some(Some("new".into())),
        disk_format: Some(Some("qcow2".into())),
        // Some services look at bare data, and these bytes are no disk.
        container_format: Some(Some("ovf".into())),
        ..ImageChange::default()
    };
    let data = Some(Upload::from_bytes("data"));
    let image = fixture.service().update(&fixture.owner(), &queued.id, change, data).await.unwrap();
    assert_eq!((image.status, image.size), (Status::Active, Some(4)));
    assert_eq!(image.disk_format.as_deref(), Some("qcow2"));
    assert_eq!(image.name.as_deref(), Some("new"));
    assert_eq!(fixture.shown(&queued.id).await, image);
}

/// If the data is refused as it comes, the change that came with it is not made either.
pub async fn a_change_whose_data_is_refused_is_not_made(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let active = fixture.make_with(fixture.draft(), &pattern(10)).await;
    let queued = fixture.make(NewImage { disk_format: None, ..fixture.draft() }).await;
    let change = ImageChange { name: Some(Some("new".into())), min_disk: Some(3), ..ImageChange::default() };
    for (image, kind) in [(active, ErrorKind::Conflict), (queued, ErrorKind::Invalid)] {
        let data = Some(Upload::from_bytes("data"));
        let answer = fixture.service().update(&fixture.owner(), &image.id, change.clone(), data).await;
        assert_eq!(kind_of(answer), kind);
        assert_eq!(fixture.shown(&image.id).await, image);
    }
}

/// While data is on its way the image is `saving`, has no data to read, and lets no other upload in.
pub async fn an_image_is_saving_while_data_is_on_its_way(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let queued = fixture.make(fixture.draft()).await;
    let bytes = pattern(100_000);
    let (feed, upload) = Feed::new();
    let meanwhile = async {
        feed.give(bytes.clone());
        fixture.until(&queued.id, Status::Saving).await;
        let download = fixture.service().get(&fixture.owner(), &queued.id, None).await.unwrap();
        assert!(download.data.is_none());
        let second = fixture.upload(&queued.id, Upload::from_bytes("other data")).await;
        assert_eq!(kind_of(second), ErrorKind::Conflict);
        feed.give(bytes.clone());
        feed.end();
    };
    let (image, ()) = futures::join!(fixture.upload(&queued.id, upload), meanwhile);
    assert_eq!(
        (image.unwrap().status, fixture.shown(&queued.id).await.size),
        (Status::Active, Some(200_000))
    );
    assert_eq!(fixture.bytes_of(&queued.id, None).await, [&bytes[..], &bytes[..]].concat());
}

/// `Conflict` if data comes and the image is not queued; the data that it has stays.
pub async fn only_a_queued_image_takes_data(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let bytes = pattern(1000);
    let mut image = fixture.make_with(fixture.draft(), &bytes).await;
    for status in [Status::Active, Status::Deactivated, Status::Active] {
        image = fixture.change(&image, ImageChange { status: Some(status), ..ImageChange::default() }).await;
        let answer = fixture.upload(&image.id, Upload::from_bytes("other data")).await;
        assert_eq!(kind_of(answer), ErrorKind::Conflict, "an image that is {status}");
        assert_eq!(fixture.shown(&image.id).await, image);
    }
    assert_eq!(fixture.bytes_of(&image.id, None).await, bytes);
}

/// `Invalid` if data comes and a format is unset.
pub async fn an_image_without_formats_takes_no_data(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    for new in [
        NewImage { disk_format: None, ..fixture.draft() },
        NewImage { container_format: None, ..fixture.draft() },
    ] {
        let queued = fixture.make(new).await;
        let answer = fixture.upload(&queued.id, Upload::from_bytes("data")).await;
        assert_eq!(kind_of(answer), ErrorKind::Invalid);
        assert_eq!(fixture.shown(&queued.id).await, queued);
    }
}

/// `Incomplete` if more or fewer bytes come than were announced. The image can be uploaded to anew.
pub async fn data_of_another_size_than_announced_leaves_the_image_queued(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    for announced in [0, 1, 9_999, 10_001, 1_000_000] {
        let queued = fixture.make(fixture.draft()).await;
        let data = Upload { size: Some(announced), ..trickle(&pattern(10_000), 1000) };
        let answer = fixture.upload(&queued.id, data).await;
        assert_eq!(kind_of(answer), ErrorKind::Incomplete, "{announced} bytes announced");
        fixture.check_untouched(&queued).await;
    }
}

/// `Incomplete` if the upload breaks off. The image can be uploaded to anew, also if its owner alone sees it, where there are drafts.
pub async fn data_that_breaks_off_leaves_the_image_queued(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let visibility = fixture.service().capabilities().drafts.is_yes().then_some(Visibility::Private);
    for (length, size) in [(0, None), (10_000, None), (10_000, Some(10_000)), (300_000, Some(1_000_000))] {
        let queued = fixture.make(NewImage { visibility, ..fixture.draft() }).await;
        let answer = fixture.upload(&queued.id, Upload { size, ..broken(&pattern(length)) }).await;
        assert_eq!(kind_of(answer), ErrorKind::Incomplete);
        fixture.check_untouched(&queued).await;
    }
}

/// An update that is dropped while data is on its way leaves the image queued. It can be uploaded to anew.
pub async fn an_upload_that_is_dropped_leaves_the_image_queued(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let queued = fixture.make(fixture.draft()).await;
    let (mut feed, upload) = Feed::new();
    feed.give(pattern(100_000));
    let saving = async {
        feed.taken().await;
        fixture.until(&queued.id, Status::Saving).await
    };
    drop_at(fixture.upload(&queued.id, upload), saving).await;
    fixture.check_untouched(&queued).await;
}

/// Of several uploads at once exactly one is let in, and the data is all its own.
pub async fn of_several_uploads_one_is_let_in(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let queued = fixture.make(fixture.draft()).await;
    let bytes: Vec<Bytes> = (0..6).map(|number| Bytes::from(vec![number; 50_000])).collect();
    let attempts = bytes.iter().map(|bytes| fixture.upload(&queued.id, trickle(bytes, 10_000)));
    let answers: Vec<Result<Image>> = join_all(attempts).await;
    let (mut let_in, mut kinds) = (Vec::new(), Vec::new());
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(_) => let_in.push(number),
            Err(error) => kinds.push(error.kind()),
        }
    }
    assert_eq!(let_in.len(), 1, "uploads {let_in:?} were let in");
    assert_eq!(kinds, [ErrorKind::Conflict; 5]);
    assert_eq!(fixture.bytes_of(&queued.id, None).await, bytes[let_in[0]]);
}

/// What is changed while data is on its way is not undone by its end.
pub async fn changes_during_an_upload_stay(fixture: Fixture) {
    if fixture.refuses_data().await {
        return;
    }
    let rename = |name: &str| ImageChange { name: Some(Some(name.into())), ..ImageChange::default() };
    let during = async |id: &ImageId, name: &str, end: fn(&Feed)| {
        let (feed, upload) = Feed::new();
        let meanwhile = async {
            feed.give(pattern(1000));
            fixture.until(id, Status::Saving).await;
            fixture.service().update(&fixture.owner(), id, rename(name), None).await.unwrap();
            end(&feed);
        };
        futures::join!(fixture.upload(id, upload), meanwhile).0
    };
    let queued = fixture.make(fixture.named("before")).await;
    let broken = during(&queued.id, "once", Feed::break_off).await;
    assert_eq!(kind_of(broken), ErrorKind::Incomplete);
    assert_eq!(fixture.until(&queued.id, Status::Queued).await.name.as_deref(), Some("once"));
    let image = during(&queued.id, "twice", Feed::end).await.unwrap();
    assert_eq!((image.name.as_deref(), image.size), (Some("twice"), Some(1000)));
    assert_eq!(fixture.shown(&queued.id).await, image);
}
