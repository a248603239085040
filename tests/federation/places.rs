//! Where images are found, and where writes go.

use bytes::Bytes;
use futures::TryStreamExt;
use image_service::{
    Caller, Context, Download, ErrorKind, Image, ImageChange, ImageId, ImageService, NewImage, Status,
    Stores, Upload, Visibility,
};
use std::sync::Arc;

use crate::bent::{Bend, bent};
use crate::made_of::{concrete, context, federation, holding, image, memory};

fn new_image() -> NewImage {
    NewImage {
        name: Some("new".into()),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    }
}

fn upload(text: &'static str, store: Option<&str>) -> Upload {
    Upload { store: store.map(str::to_owned), ..Upload::from_bytes(Bytes::from_static(text.as_bytes())) }
}

async fn text(download: Download) -> String {
    let chunks: Vec<Bytes> = download.data.unwrap().into_stream().try_collect().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

async fn holds(service: &Arc<dyn ImageService>, id: &ImageId) -> bool {
    service.show(&context(), id).await.is_ok()
}

#[tokio::test]
async fn a_new_image_goes_to_the_default_or_to_the_store_that_is_named_and_nowhere_else() {
    let (a, b) = (memory().await, memory().await);
    let federation = federation(vec![("a", a.clone()), ("b", b.clone())]);
    let usual = federation.create(&context(), new_image(), Some(upload("x", None))).await.unwrap();
    assert_eq!(usual.stores, ["a"]);
    assert!(holds(&a, &usual.id).await && !holds(&b, &usual.id).await);

    let named = NewImage { store: Some("b".into()), ..new_image() };
    let named = federation.create(&context(), named, Some(upload("x", None))).await.unwrap();
    assert_eq!(named.stores, ["b"]);
    assert!(!holds(&a, &named.id).await && holds(&b, &named.id).await);

    let nowhere = NewImage { store: Some("c".into()), ..new_image() };
    let error = federation.create(&context(), nowhere, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_write_that_its_store_refuses_is_tried_nowhere_else() {
    let dead = bent(memory().await, Bend::Dead(ErrorKind::Refused));
    let other = memory().await;
    let federation = federation(vec![("dead", dead), ("other", other.clone())]);
    let error = federation.create(&context(), new_image(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.origin().unwrap().backend, "dead");
    assert!(other.detail(&context(), &Default::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn an_id_that_another_backend_holds_is_taken() {
    let federation = federation(vec![("a", memory().await), ("b", holding([1]))]);
    let taken = NewImage { id: Some(image(1).id), ..new_image() };
    let error = federation.create(&context(), taken, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn an_id_that_a_silent_backend_may_hold_is_not_given_out() {
    let dead = bent(memory().await, Bend::Dead(ErrorKind::TimedOut));
    let federation = federation(vec![("a", memory().await), ("dead", dead)]);
    let wanted = NewImage { id: Some(image(1).id), ..new_image() };
    let error = federation.create(&context(), wanted, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("dead"), "{error}");
}

#[tokio::test]
async fn an_upload_that_names_a_store_takes_a_queued_image_there() {
    let (a, b) = (memory().await, memory().await);
    let federation = federation(vec![("a", a.clone()), ("b", b.clone())]);
    let protected = NewImage { protected: true, ..new_image() };
    let queued = federation.create(&context(), protected, None).await.unwrap();
    assert!(holds(&a, &queued.id).await);

    let data = Some(upload("moved", Some("b")));
    let moved = federation.update(&context(), &queued.id, ImageChange::default(), data).await.unwrap();
    assert_eq!((moved.status, moved.stores.clone()), (Status::Active, vec!["b".to_owned()]));
    assert!(!holds(&a, &queued.id).await && holds(&b, &queued.id).await);
    assert_eq!((moved.name, moved.protected), (queued.name, true));
    assert_eq!(text(federation.get(&context(), &queued.id, None).await.unwrap()).await, "moved");
}

#[tokio::test]
async fn an_upload_to_an_unknown_store_leaves_the_image_as_it_was() {
    let federation = federation(vec![("a", memory().await), ("b", memory().await)]);
    let queued = federation.create(&context(), new_image(), None).await.unwrap();
    let data = Some(upload("x", Some("c")));
    let error = federation.update(&context(), &queued.id, ImageChange::default(), data).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(federation.show(&context(), &queued.id).await.unwrap(), queued);
}

#[tokio::test]
async fn an_unknown_image_is_not_found_only_if_everybody_says_so() {
    let absent = ImageId::random();
    let live = federation(vec![("a", memory().await), ("b", memory().await)]);
    assert_eq!(live.show(&context(), &absent).await.unwrap_err().kind(), ErrorKind::NotFound);

    let dead = bent(memory().await, Bend::Dead(ErrorKind::Refused));
    let partial = federation(vec![("a", holding([1])), ("dead", dead)]);
    let error = partial.show(&context(), &absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("dead"), "{error}");
    assert!(partial.show(&context(), &image(1).id).await.is_ok());
}

#[tokio::test]
async fn data_is_read_from_another_copy_while_the_home_is_silent() {
    let (a, b) = (memory().await, memory().await);
    let id = ImageId::random();
    for service in [&a, &b] {
        let same = NewImage { id: Some(id.clone()), ..new_image() };
        service.create(&context(), same, Some(upload("the same", None))).await.unwrap();
    }
    let federation = federation(vec![("a", bent(a, Bend::Dead(ErrorKind::Refused))), ("b", b)]);
    assert_eq!(text(federation.get(&context(), &id, None).await.unwrap()).await, "the same");
}

async fn twins() -> (Arc<dyn ImageService>, Arc<dyn ImageService>, ImageId) {
    let (a, b) = (memory().await, memory().await);
    let id = ImageId::random();
    for service in [&a, &b] {
        let same = NewImage { id: Some(id.clone()), ..new_image() };
        service.create(&context(), same, Some(upload("twin", None))).await.unwrap();
    }
    (a, b, id)
}

#[tokio::test]
async fn copies_are_one_image_that_names_its_stores_and_changes_and_goes_as_one() {
    let (a, b, id) = twins().await;
    let federation = federation(vec![("a", a.clone()), ("b", b.clone())]);
    assert_eq!(federation.show(&context(), &id).await.unwrap().stores, ["a", "b"]);

    let rename = ImageChange { name: Some(Some("renamed".into())), ..ImageChange::default() };
    federation.update(&context(), &id, rename, None).await.unwrap();
    for service in [&a, &b] {
        let image: Image = service.show(&context(), &id).await.unwrap();
        assert_eq!(image.name.as_deref(), Some("renamed"));
    }
    federation.delete(&context(), &id).await.unwrap();
    assert!(!holds(&a, &id).await && !holds(&b, &id).await);
}

#[tokio::test]
async fn a_protected_image_loses_none_of_its_copies() {
    let (a, b, id) = twins().await;
    let protect = ImageChange { protected: Some(true), ..ImageChange::default() };
    a.update(&context(), &id, protect, None).await.unwrap();
    let federation = federation(vec![("a", a.clone()), ("b", b.clone())]);
    let error = federation.delete(&context(), &id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(holds(&a, &id).await && holds(&b, &id).await);
}

#[tokio::test]
async fn a_copy_can_be_removed_from_one_store_but_never_the_last() {
    let (a, b, id) = twins().await;
    let federation = concrete(vec![("a", a.clone()), ("b", b.clone())]);
    let context: Context = context();
    let kind = |answer: image_service::Result<()>| answer.unwrap_err().kind();
    assert_eq!(kind(federation.remove_copy(&context, &id, "nowhere").await), ErrorKind::Conflict);
    assert_eq!(kind(federation.remove_copy(&context, &ImageId::random(), "a").await), ErrorKind::NotFound);
    federation.remove_copy(&context, &id, "a").await.unwrap();
    assert!(!holds(&a, &id).await && holds(&b, &id).await);
    assert_eq!(kind(federation.remove_copy(&context, &id, "a").await), ErrorKind::NotFound);
    assert_eq!(kind(federation.remove_copy(&context, &id, "b").await), ErrorKind::Forbidden);
}

#[tokio::test]
async fn the_stores_are_the_backends_in_their_order() {
    let read_only = bent(memory().await, Bend::ReadOnly);
    let federation = concrete(vec![("mirror", read_only), ("disk", memory().await)]);
    let stores: Vec<(String, bool, bool)> =
        federation.list().into_iter().map(|store| (store.name, store.is_default, store.read_only)).collect();
    assert_eq!(stores, [("mirror".to_owned(), false, true), ("disk".to_owned(), true, false)]);
    let named = NewImage { store: Some("mirror".into()), ..new_image() };
    let context = context();
    let error = federation.create(&context, named, None);
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Forbidden);
}

/// A store that goes by the caller's token may hide that an id is somebody's.
#[tokio::test]
async fn an_id_is_given_out_only_where_every_other_store_can_tell_whether_it_is_in_use() {
    let (theirs, ours) = (memory().await, memory().await);
    let federation = federation(vec![("theirs", bent(theirs.clone(), Bend::ByToken)), ("ours", ours)]);
    assert!(!federation.capabilities().believes_caller.is_yes());
    let somebody = Context::new(Caller::member_of("somebody"), "req-test");
    let hidden = ImageId::random();
    let new = NewImage { id: Some(hidden.clone()), visibility: Some(Visibility::Private), ..new_image() };
    theirs.create(&Context::new(Caller::member_of("else"), "req-test"), new.clone(), None).await.unwrap();
    let in_ours = |id: ImageId| NewImage { id: Some(id), store: Some("ours".into()), ..new_image() };
    let make = async |context: &Context, new: NewImage| federation.create(context, new, None).await;
    for id in [hidden.clone(), ImageId::random()] {
        let error = make(&somebody, in_ours(id)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.message().contains("'theirs'"), "{error}");
    }
    assert_eq!(make(&context(), in_ours(hidden)).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    make(&context(), in_ours(ImageId::random())).await.unwrap();
    // The store itself knows its ids, and an id that nobody chose is nobody's.
    let in_theirs = NewImage { store: Some("theirs".into()), ..in_ours(ImageId::random()) };
    make(&somebody, in_theirs).await.unwrap();
    make(&somebody, NewImage { store: Some("ours".into()), ..new_image() }).await.unwrap();
}
