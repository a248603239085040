//! What the bounds of a store in memory hold back, and what they give back.

use bytes::Bytes;
use bytesize::ByteSize;
use image_service::{
    Caller, Context, ErrorKind, Image, ImageChange, ImageId, ImageService, NewImage, Query, Status,
    Timestamp, Upload,
};
use portico_memory::{Memory, Options};

fn context() -> Context {
    Context::new(Caller::member_of("a"), "req-test")
}

fn formatted() -> NewImage {
    NewImage { disk_format: Some("raw".into()), container_format: Some("bare".into()), ..NewImage::default() }
}

fn store(options: Options) -> Memory {
    Memory::new("scratch", options)
}

#[tokio::test]
async fn an_image_too_many_is_too_large_until_another_is_deleted() {
    let memory = store(Options { max_images: 1, ..Options::default() });
    let first = memory.create(&context(), NewImage::default(), None).await.unwrap();
    let error = memory.create(&context(), NewImage::default(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    memory.delete(&context(), &first.id).await.unwrap();
    memory.create(&context(), NewImage::default(), None).await.unwrap();
}

#[tokio::test]
async fn ids_of_deleted_images_are_bounded_too() {
    let memory = store(Options { max_ids: 1, ..Options::default() });
    let first = memory.create(&context(), NewImage::default(), None).await.unwrap();
    memory.delete(&context(), &first.id).await.unwrap();
    let error = memory.create(&context(), NewImage::default(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn data_beyond_the_bound_is_too_large_and_leaves_room_and_image_as_they_were() {
    let memory = store(Options { max_bytes: ByteSize::b(10), ..Options::default() });
    let image = memory.create(&context(), formatted(), None).await.unwrap();
    let upload = async |bytes: &'static [u8]| {
        memory.update(&context(), &image.id, ImageChange::default(), Some(Upload::from_bytes(bytes))).await
    };
    assert_eq!(upload(b"eleven byte").await.unwrap_err().kind(), ErrorKind::TooLarge);
    let shown = memory.show(&context(), &image.id).await.unwrap();
    assert_eq!((shown.status, shown.size), (Status::Queued, None));
    assert_eq!(upload(b"ten  bytes").await.unwrap().status, Status::Active);
}

#[tokio::test]
async fn a_create_that_fails_leaves_its_id_free() {
    let memory = store(Options { max_bytes: ByteSize::b(1), ..Options::default() });
    let id = Some(ImageId::random());
    let too_much = Some(Upload::from_bytes("two"));
    let error = memory.create(&context(), NewImage { id: id.clone(), ..formatted() }, too_much).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TooLarge);
    memory.create(&context(), NewImage { id, ..formatted() }, None).await.unwrap();
}

#[tokio::test]
async fn a_seeded_image_is_there_just_as_it_was_given() {
    let memory = store(Options::default());
    let caller = Caller::member_of("a");
    let seeded = Image {
        created_at: Timestamp::from_second(1).unwrap(),
        status: Status::Active,
        size: Some(4),
        ..formatted().into_image(&caller, Timestamp::now()).unwrap()
    };
    memory.seed(seeded.clone(), Some(Bytes::from_static(b"data"))).unwrap();
    assert_eq!(
        memory.detail(&context(), &Query::default()).await.unwrap().items,
        std::slice::from_ref(&seeded)
    );
    let download = memory.get(&context(), &seeded.id, None).await.unwrap();
    assert_eq!(download.data.unwrap().total, 4);
}
