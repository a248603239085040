//! What its owner closes is closed in every store, or the owner is told that it is not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{
    Caller, Context, ErrorKind, Image, ImageChange, ImageId, ImageService, NewImage, Sharing as _, Status,
    Stores as _, Upload, Visibility,
};
use portico::federation::Federation;

use crate::bent::{Bend, bent};
use crate::made_of::{concrete, context, memory};
use crate::moody::{Mood, Moody};
use Visibility::{Private, Public, Shared};

/// An image with data in two stores, the second of which has moods.
struct Pair {
    home: Arc<dyn ImageService>,
    copy: Arc<dyn ImageService>,
    mood: Arc<Moody>,
    federation: Federation,
    id: ImageId,
}

const OWNER: &str = "owner";
const MEMBER: &str = "member";

async fn put(service: &Arc<dyn ImageService>, id: &ImageId, visibility: Visibility) {
    let new = NewImage {
        id: Some(id.clone()),
        visibility: Some(visibility),
        owner: Some(Some(OWNER.into())),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    };
    service.create(&context(), new, Some(Upload::from_bytes("data"))).await.unwrap();
}

/// Copies of this visibility, known to the federation.
async fn pair(visibility: Visibility) -> Pair {
    let (home, copy, id) = (memory().await, memory().await, ImageId::random());
    put(&home, &id, visibility).await;
    put(&copy, &id, visibility).await;
    let mood = Moody::new(Arc::clone(&copy), Mood::Well);
    let federation = concrete(vec![("home", home.clone()), ("copy", mood.clone() as Arc<dyn ImageService>)]);
    assert_eq!(federation.show(&owner(), &id).await.unwrap().stores, ["home", "copy"]);
    Pair { home, copy, mood, federation, id }
}

impl Pair {
    async fn records(&self) -> [Image; 2] {
        [
            self.home.show(&context(), &self.id).await.unwrap(),
            self.copy.show(&context(), &self.id).await.unwrap(),
        ]
    }

    async fn visibilities(&self) -> [Visibility; 2] {
        self.records().await.map(|image| image.visibility)
    }
}

fn owner() -> Context {
    Context::new(Caller::member_of(OWNER), "req-test")
}

fn member() -> Context {
    Context::new(Caller::member_of(MEMBER), "req-test")
}

fn to(visibility: Visibility) -> ImageChange {
    ImageChange { visibility: Some(visibility), ..ImageChange::default() }
}

#[tokio::test]
async fn what_closes_an_image_is_refused_while_a_store_that_has_it_is_silent_and_changes_nothing() {
    let give = ImageChange { owner: Some(Some("else".into())), ..ImageChange::default() };
    let deactivate = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    for (asker, change) in [(owner(), to(Private)), (owner(), deactivate), (context(), give)] {
        let pair = pair(Public).await;
        let before = pair.records().await;
        pair.mood.is_now(Mood::Fails(ErrorKind::Refused));
        let error = pair.federation.update(&asker, &pair.id, change.clone(), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{change:?}");
        assert!(error.message().contains("'copy'"), "{error}");
        assert!(!error.speaks_against_store(), "it is the store's fault and not the federation's");
        assert_eq!(pair.records().await, before);
        pair.mood.is_now(Mood::Well);
        let changed = pair.federation.update(&asker, &pair.id, change, None).await.unwrap();
        for record in pair.records().await {
            assert_eq!(
                (record.visibility, &record.owner, record.status),
                (changed.visibility, &changed.owner, changed.status)
            );
        }
    }
}

#[tokio::test]
async fn what_opens_an_image_or_is_of_no_weight_is_done_while_a_copy_is_silent() {
    let rename = ImageChange { name: Some(Some("x".into())), hidden: Some(true), ..ImageChange::default() };
    for change in [to(Shared), rename] {
        let pair = pair(Private).await;
        pair.mood.is_now(Mood::Fails(ErrorKind::Refused));
        let changed = pair.federation.update(&owner(), &pair.id, change, None).await.unwrap();
        let [home, _] = pair.records().await;
        assert_eq!(
            (home.visibility, home.name, home.hidden),
            (changed.visibility, changed.name, changed.hidden)
        );
    }
}

#[tokio::test]
async fn who_may_not_change_an_image_is_told_that_and_not_where_it_is() {
    let pair = pair(Public).await;
    pair.mood.is_now(Mood::Fails(ErrorKind::Refused));
    let error = pair.federation.update(&member(), &pair.id, to(Private), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(!error.message().contains("copy"), "{error}");
    let give = ImageChange { owner: Some(None), ..ImageChange::default() };
    let error = pair.federation.update(&owner(), &pair.id, give, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn copies_are_closed_first_and_the_home_last() {
    let (home, copy, id) = (memory().await, memory().await, ImageId::random());
    put(&home, &id, Public).await;
    put(&copy, &id, Public).await;
    let visibility =
        async |service: &Arc<dyn ImageService>| service.show(&context(), &id).await.unwrap().visibility;

    let stuck = bent(home.clone(), Bend::ReadOnly);
    let federation = concrete(vec![("home", stuck), ("copy", copy.clone())]);
    federation.update(&owner(), &id, to(Shared), None).await.unwrap_err();
    assert_eq!((visibility(&home).await, visibility(&copy).await), (Public, Shared));

    let stuck = bent(copy.clone(), Bend::ReadOnly);
    let federation = concrete(vec![("home", home.clone()), ("copy", stuck)]);
    let error = federation.update(&owner(), &id, to(Private), None).await.unwrap_err();
    assert!(error.message().contains("'copy'"), "{error}");
    assert_eq!((visibility(&home).await, visibility(&copy).await), (Public, Shared));
    // What the copy is already need not be made of it.
    federation.update(&owner(), &id, to(Shared), None).await.unwrap();
    assert_eq!((visibility(&home).await, visibility(&copy).await), (Shared, Shared));
}

#[tokio::test]
async fn of_a_change_that_opens_and_closes_the_copies_get_the_opening_part_last() {
    let pair = pair(Public).await;
    let deactivate = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    pair.federation.update(&owner(), &pair.id, deactivate, None).await.unwrap();
    let stuck = bent(pair.home.clone(), Bend::ReadOnly);
    let federation = concrete(vec![("home", stuck), ("copy", pair.copy.clone())]);
    let both = ImageChange { status: Some(Status::Active), ..to(Private) };
    federation.update(&owner(), &pair.id, both.clone(), None).await.unwrap_err();
    let [_, copy] = pair.records().await;
    assert_eq!((copy.visibility, copy.status), (Private, Status::Deactivated));
    pair.federation.update(&owner(), &pair.id, both, None).await.unwrap();
    for record in pair.records().await {
        assert_eq!((record.visibility, record.status), (Private, Status::Active));
    }
}

#[tokio::test]
async fn a_member_is_removed_everywhere_or_nowhere_while_a_store_is_silent() {
    let pair = pair(Shared).await;
    for service in [&pair.home, &pair.copy] {
        service.sharing().unwrap().add_member(&owner(), &pair.id, MEMBER).await.unwrap();
    }
    pair.mood.is_now(Mood::Fails(ErrorKind::Refused));
    let error = pair.federation.remove_member(&owner(), &pair.id, MEMBER).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("'copy'"), "{error}");
    pair.home.show(&member(), &pair.id).await.unwrap();
    pair.mood.is_now(Mood::Well);
    pair.federation.remove_member(&owner(), &pair.id, MEMBER).await.unwrap();
    for service in [&pair.home, &pair.copy] {
        assert_eq!(service.show(&member(), &pair.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    // As the home says it.
    let again = pair.federation.remove_member(&owner(), &pair.id, MEMBER).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn nothing_is_changed_while_the_home_is_silent_and_its_copy_stands_for_it() {
    let (home, copy, id) = (memory().await, memory().await, ImageId::random());
    put(&home, &id, Shared).await;
    put(&copy, &id, Shared).await;
    let mood = Moody::new(home.clone(), Mood::Well);
    let federation = concrete(vec![("home", mood.clone() as Arc<dyn ImageService>), ("copy", copy)]);
    federation.show(&owner(), &id).await.unwrap();
    mood.is_now(Mood::Fails(ErrorKind::Refused));
    assert_eq!(federation.show(&owner(), &id).await.unwrap().stores, ["copy"]);
    let rename = ImageChange { name: Some(Some("x".into())), ..ImageChange::default() };
    let refused = federation.update(&owner(), &id, rename, None).await.unwrap_err();
    assert!(refused.message().contains("'home'"), "{refused}");
    let refused = federation.add_member(&owner(), &id, MEMBER).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}

/// Somebody else's look must not make a federation forget a copy that is hidden from them.
#[tokio::test]
async fn a_copy_that_others_do_not_see_is_remembered() {
    let pair = pair(Public).await;
    pair.copy.update(&owner(), &pair.id, to(Private), None).await.unwrap();
    let refused = pair.federation.update(&member(), &pair.id, to(Shared), None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    pair.mood.is_now(Mood::Fails(ErrorKind::Refused));
    let error = pair.federation.update(&owner(), &pair.id, to(Private), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(pair.visibilities().await, [Public, Private]);
}

/// Nor that there is an image at all.
#[tokio::test]
async fn an_image_that_others_do_not_see_is_remembered() {
    let pair = pair(Private).await;
    for _ in 0..2 {
        assert_eq!(pair.federation.show(&member(), &pair.id).await.unwrap_err().kind(), ErrorKind::NotFound);
        let refused = pair.federation.update(&member(), &pair.id, to(Shared), None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
    }
    pair.mood.is_now(Mood::Fails(ErrorKind::Refused));
    let deactivate = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    let error = pair.federation.update(&owner(), &pair.id, deactivate, None).await.unwrap_err();
    assert!(error.message().contains("'copy'"), "{error}");
}

/// Also after the copy in another store was removed.
#[tokio::test]
async fn the_other_copies_are_remembered_when_one_is_removed() {
    let (a, b, c, id) = (memory().await, memory().await, memory().await, ImageId::random());
    for service in [&a, &b, &c] {
        put(service, &id, Public).await;
    }
    let mood = Moody::new(c.clone(), Mood::Well);
    let federation = concrete(vec![("a", a), ("b", b), ("c", mood.clone() as Arc<dyn ImageService>)]);
    federation.remove_copy(&owner(), &id, "b").await.unwrap();
    mood.is_now(Mood::Fails(ErrorKind::Refused));
    let error = federation.update(&owner(), &id, to(Private), None).await.unwrap_err();
    assert!(error.message().contains("'c'"), "{error}");
    let error = federation.remove_copy(&owner(), &id, "c").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// Every call to the home takes this long but for those about members, which take none.
const STEP: Duration = Duration::from_millis(100);

/// A copy is put into another store; what it finds at the home is closed before it has gone to its end.
///
/// The copy's maker has looked at the home for the last time before it has its data at 200 ms, when the image is still
/// open. Who closes the image looks for copies at 50 ms, when there is none, and closes the home at 250 ms.
async fn closed_while_copied(
    close: impl AsyncFnOnce(&Federation, &ImageId),
) -> (Arc<dyn ImageService>, ImageId) {
    let (home, copy, id) = (memory().await, memory().await, ImageId::random());
    put(&home, &id, Shared).await;
    home.sharing().unwrap().add_member(&owner(), &id, MEMBER).await.unwrap();
    let slow = Moody::new(home.clone(), Mood::Takes(STEP));
    let federation = concrete(vec![("home", slow as Arc<dyn ImageService>), ("copy", copy.clone())]);
    let data = late_data(STEP * 4);
    let context = context();
    let copied = federation.add_copy(&context, &id, "copy", data);
    let closed = async {
        tokio::time::sleep(STEP / 2).await;
        close(&federation, &id).await;
    };
    let (copied, ()) = tokio::join!(copied, closed);
    copied.unwrap();
    (copy, id)
}

/// The data of the image, which comes so late.
fn late_data(time: Duration) -> Upload {
    let late = futures::stream::once(async move {
        tokio::time::sleep(time).await;
        Ok(Bytes::from_static(b"data"))
    });
    Upload { stream: late.boxed(), size: Some(4), store: None }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_made_while_its_image_is_closed_is_closed_too() {
    let (copy, id) = closed_while_copied(async |federation, id| {
        federation.update(&owner(), id, to(Private), None).await.unwrap();
    })
    .await;
    let copy = copy.show(&context(), &id).await.unwrap();
    assert_eq!((copy.visibility, copy.status), (Private, Status::Active));
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_made_while_a_member_is_removed_does_not_keep_it() {
    let (copy, id) = closed_while_copied(async |federation, id| {
        federation.remove_member(&owner(), id, MEMBER).await.unwrap();
    })
    .await;
    copy.show(&owner(), &id).await.unwrap();
    assert_eq!(copy.show(&member(), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
}
