//! `show`, and what an id is.

use super::fixture::Fixture;
use super::make::pattern;
use crate::{ByteRange, ImageChange, ImageId, Upload};

/// Any string is a valid id to ask for, and names nothing unless an image has it.
pub async fn any_unknown_id_is_missing_in_every_verb(fixture: Fixture) {
    fixture.make_with(fixture.draft(), &pattern(10)).await;
    let long = "0".repeat(5000);
    let (service, owner) = (fixture.service(), fixture.owner());
    let writes = service.capabilities().writes.is_yes();
    for id in [
        ImageId::random().as_str(),
        "not-a-uuid",
        "",
        " ",
        ".",
        "..",
        "../x",
        "../../etc/passwd",
        "a/b",
        "a\\b",
        "x?y=z#f",
        "%2e%2e%2f",
        "%",
        "ünïcode 木",
        "line\nbreak",
        "nul\0",
        "'; drop table images; --",
        "00000000-0000-0000-0000-000000000000",
        &long,
    ] {
        let id = ImageId::lookup(id);
        fixture.assert_missing(service.show(&owner, &id).await);
        fixture.assert_missing(service.show(&fixture.admin(), &id).await);
        fixture.assert_missing(service.get(&owner, &id, None).await);
        if service.capabilities().ranges.is_yes() {
            fixture.assert_missing(service.get(&owner, &id, Some(ByteRange::From(0))).await);
        }
        if writes {
            let rename = ImageChange { name: Some(None), ..ImageChange::default() };
            fixture.assert_missing(service.update(&owner, &id, rename, None).await);
            let data = Some(Upload::from_bytes("data"));
            fixture.assert_missing(service.update(&owner, &id, ImageChange::default(), data).await);
            fixture.assert_missing(service.delete(&owner, &id).await);
        }
    }
}

/// An id in other letters is another id.
pub async fn the_case_of_an_id_is_significant(fixture: Fixture) {
    // A UUID has a letter with a chance of all but one in 10^6, and two of them all but certainly.
    for _ in 0..2 {
        let image = fixture.make(fixture.draft()).await;
        let upper = image.id.as_str().to_uppercase();
        if upper != image.id.as_str() {
            fixture.assert_missing(fixture.service().show(&fixture.owner(), &ImageId::lookup(upper)).await);
        }
        assert_eq!(fixture.shown(&image.id).await, image);
    }
}

/// `create` and `update` answer with what `show` says from then on.
pub async fn what_writes_answer_is_what_is_shown(fixture: Fixture) {
    if fixture.refuses_writes().await {
        return;
    }
    let (service, owner) = (fixture.service(), fixture.owner());
    let made = service.create(&owner, fixture.named("first"), None).await.unwrap();
    assert_eq!(fixture.shown(&made.id).await, made);
    let rename = ImageChange { name: Some(Some("second".into())), ..ImageChange::default() };
    let renamed = service.update(&owner, &made.id, rename, None).await.unwrap();
    assert_eq!(fixture.shown(&made.id).await, renamed);
    fixture.remove(&made).await;
    if fixture.refuses_data().await {
        return;
    }
    let made = service.create(&owner, fixture.named("first"), None).await.unwrap();
    let filled = fixture.upload(&made.id, Upload::from_bytes("data")).await.unwrap();
    assert_eq!(fixture.shown(&made.id).await, filled);
    let data = Some(Upload::from_bytes("data"));
    let whole = service.create(&owner, fixture.named("third"), data).await.unwrap();
    assert_eq!(fixture.shown(&whole.id).await, whole);
}
