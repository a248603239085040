//! What is staged, and what is shown of it.

use futures::StreamExt as _;
use image_service::{
    Caller, Context, Direction, Error, ErrorKind, Field, Filter, ImageChange, Query, Sort, SortKey, Status,
    Upload,
};
use portico::imports::{Settings, Source, Targets};

use crate::site::{Site, bytes, one, owner, raw, request, settings, until};

fn of_status(status: Status) -> Query {
    Query { filters: vec![Filter::text(Field::Status, status.as_str())], ..Query::default() }
}

#[tokio::test]
async fn a_staged_image_is_uploading_in_whatever_way_it_is_looked_at() {
    let site = Site::open().await;
    let (other, id) = (site.queued().await, site.staged(&bytes(1000)).await);
    let shown = site.show(&id).await;
    assert_eq!((shown.status, shown.size), (Status::Uploading, Some(1000)));
    assert_eq!(shown.hash, None);
    assert!(site.shown.get(&owner(), &id, None).await.unwrap().data.is_none());
    assert_eq!(site.count(of_status(Status::Uploading)).await, 1);
    assert_eq!(site.count(of_status(Status::Queued)).await, 1);
    for (direction, expected) in [(Direction::Asc, [&other, &id]), (Direction::Desc, [&id, &other])] {
        let query = Query { sort: Sort::by([(SortKey::Size, direction)]), ..Query::default() };
        let page = site.shown.detail(&owner(), &query).await.unwrap();
        assert_eq!(page.items.iter().map(|image| &image.id).collect::<Vec<_>>(), expected);
        assert_eq!(site.shown.index(&owner(), &query).await.unwrap().items.len(), 2);
    }
    site.shown.delete(&owner(), &id).await.unwrap();
    assert_eq!((site.files(), site.count(Query::default()).await), (0, 1));
}

#[tokio::test]
async fn only_a_queued_image_with_formats_is_staged_and_only_by_its_owner() {
    let site = Site::open().await;
    let stage = async |context: &Context, id| {
        site.imports.stage(context, id, Upload::from_bytes(bytes(10))).await.unwrap_err().kind()
    };
    let staged = site.staged(&bytes(10)).await;
    let active = site.active("a", &bytes(10)).await;
    let formless = image_service::NewImage { disk_format: None, ..raw() };
    let formless = site.shown.create(&owner(), formless, None).await.unwrap().id;
    assert_eq!(stage(&owner(), &staged).await, ErrorKind::Conflict);
    assert_eq!(stage(&owner(), &active).await, ErrorKind::Conflict);
    assert_eq!(stage(&owner(), &formless).await, ErrorKind::Invalid);
    let stranger = Context::new(Caller::member_of("stranger"), "req");
    assert_eq!(stage(&stranger, &site.queued().await).await, ErrorKind::NotFound);
    assert_eq!(site.files(), 1);
}

#[tokio::test]
async fn while_it_is_staged_neither_data_nor_formats_nor_activation_get_into_the_way() {
    let site = Site::open().await;
    let id = site.staged(&bytes(10)).await;
    let kind = async |change, data| site.shown.update(&owner(), &id, change, data).await.unwrap_err().kind();
    let upload = Some(Upload::from_bytes(bytes(5)));
    assert_eq!(kind(ImageChange::default(), upload).await, ErrorKind::Conflict);
    let format = ImageChange { disk_format: Some(Some("qcow2".into())), ..ImageChange::default() };
    assert_eq!(kind(format, None).await, ErrorKind::Forbidden);
    let status = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    assert_eq!(kind(status, None).await, ErrorKind::Forbidden);
    let name = ImageChange { name: Some(Some("n".into())), ..ImageChange::default() };
    let shown = site.shown.update(&owner(), &id, name, None).await.unwrap();
    assert_eq!((shown.name.as_deref(), shown.status), (Some("n"), Status::Uploading));
}

#[tokio::test]
async fn what_breaks_off_or_is_given_up_leaves_a_queued_image_and_no_file() {
    let site = Site::open().await;
    let id = site.queued().await;
    let broken = || {
        let error = Error::new(ErrorKind::Incomplete, "the client has gone");
        futures::stream::iter([Ok(bytes(100)), Err(error)]).boxed()
    };
    let error = site.imports.stage(&owner(), &id, Upload::new(broken())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    let idle =
        || async { (site.files() == 0 && site.show(&id).await.status == Status::Queued).then_some(()) };
    until(idle).await;
    let endless = futures::stream::iter([Ok(bytes(100))]).chain(futures::stream::pending()).boxed();
    let context = owner();
    let staging = site.imports.stage(&context, &id, Upload::new(endless));
    let begun = until(|| async { (site.files() == 1).then_some(()) });
    tokio::select! {
        ended = staging => panic!("it ended: {ended:?}"),
        () = begun => {}
    }
    until(idle).await;
    site.imports.stage(&owner(), &id, Upload::from_bytes(bytes(10))).await.unwrap();
}

#[tokio::test]
async fn there_are_so_many_staged_images_and_bytes_and_no_more() {
    let few = Site::with(Settings { staged: one(), ..settings() }).await;
    few.staged(&bytes(10)).await;
    let id = few.queued().await;
    let error = few.imports.stage(&owner(), &id, Upload::from_bytes(bytes(10))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let small = Site::with(Settings { staging: bytesize::ByteSize::b(100), ..settings() }).await;
    let id = small.queued().await;
    let error = small.imports.stage(&owner(), &id, Upload::from_bytes(bytes(101))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    until(|| async { (small.files() == 0).then_some(()) }).await;
    small.imports.stage(&owner(), &id, Upload::from_bytes(bytes(100))).await.unwrap();
    small.import(&id, request(Source::Staged, Targets::Default)).await;
    assert_eq!(small.files(), 0, "an import that is over has given its room back");
    small.staged(&bytes(100)).await;
}
