//! Downloads are held to their hash: of what is not the image's data nobody gets the last byte.

use std::sync::Arc;

use bytes::Bytes;
use image_service::{ByteRange, ErrorKind, Image, ImageId, ImageService as _};
use portico::federation::{Federation, Settings};
use portico_memory::{Memory, Options};

use crate::frail::{Flaw, Frail};
use crate::made_of::{backend, context};
use crate::paper;
use crate::stage::{Stage, active, data, drained, holding, settings};

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_anywhere_ends_the_download_before_its_last_byte() {
    for at in [0, 1, 499, 993, 994, 999] {
        for weak in [false, true] {
            let at_home = if weak { |image| Image { hash: None, ..image } } else { |image| image };
            let stage = Stage::with(Flaw::Flips(at), Flaw::None, settings(), at_home, |_| None);
            let (bytes, end) = stage.read(None).await;
            let error = end.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{at}");
            assert_eq!(error.origin().unwrap().backend, "home");
            assert!(bytes.len() < 1000, "{at}: {}", bytes.len());
            assert_eq!(stage.told(), ["home corrupt"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_copy_is_left_out_for_a_while_and_another_one_read_instead() {
    let stage = Stage::new(Flaw::Flips(500), Flaw::None);
    stage.federation.show(&context(), &stage.id).await.unwrap();
    assert_eq!(stage.read(None).await.1.unwrap_err().kind(), ErrorKind::Corrupt);
    stage.home.opened();
    stage.read_well().await;
    let (part, end) = stage.read(Some(ByteRange::Between(490, 509))).await;
    end.unwrap();
    assert_eq!((part.as_slice(), stage.home.opened()), (&data()[490..510], 0));
    // Other images there are none the worse for it, and neither is this one's record.
    assert!(stage.federation.show(&context(), &stage.id).await.is_ok());
    tokio::time::advance(Settings::default().cool_down).await;
    stage.home.is_now(Flaw::None);
    stage.read_well().await;
    assert_eq!(stage.home.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_the_only_copy_is_damaged_the_client_is_told_so_before_a_byte_comes() {
    let stage = Stage::with(Flaw::Flips(500), Flaw::None, settings(), |image| image, |_| None);
    let sheet = paper::lay();
    assert_eq!(stage.read(None).await.1.unwrap_err().kind(), ErrorKind::Corrupt);
    let lines = sheet.lines();
    let warned = lines.iter().filter(|line| line["level"] == "WARN").collect::<Vec<_>>();
    assert_eq!(warned.len(), 1, "{warned:#?}");
    assert_eq!(warned[0]["fields"]["backend"], "home");
    assert_eq!(warned[0]["fields"]["image"], stage.id.as_str());
    stage.home.opened();
    for range in [None, Some(ByteRange::Last(1))] {
        let error = stage.open(range).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("store 'home' was not what was stored"), "{error}");
    }
    assert_eq!(stage.home.opened(), 0);
    tokio::time::advance(Settings::default().cool_down).await;
    stage.home.is_now(Flaw::None);
    stage.read_well().await;
}

#[tokio::test(start_paused = true)]
async fn all_sources_of_data_that_came_from_several_and_is_not_the_images_are_left_out() {
    // The copy flips a byte of its own part.
    let stage = Stage::new(Flaw::DiesAt(500), Flaw::Flips(700));
    let (bytes, end) = stage.read(None).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(bytes.len() < 1000);
    assert_eq!(stage.told(), ["home resumed Elsewhere", "home corrupt", "copy corrupt"]);
    assert_eq!(stage.open(None).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn data_that_is_not_as_long_as_its_image_says_is_not_even_begun() {
    let longer = |image| Image { size: Some(1001), hash: None, checksum: None, ..image };
    let stage = Stage::with(Flaw::None, Flaw::None, settings(), longer, |_| None);
    assert_eq!(stage.open(None).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test(start_paused = true)]
async fn without_any_hash_the_length_is_all_that_is_checked() {
    let unknown = |image| Image { hash: None, checksum: None, ..image };
    let stage = Stage::with(Flaw::Flips(3), Flaw::None, settings(), unknown, |_| None);
    let (bytes, end) = stage.read(None).await;
    end.unwrap();
    assert_eq!(bytes.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_to_be_believed_is_not_checked_and_still_replaced_when_it_dies() {
    let believed = Settings { believed: [String::from("home")].into(), ..settings() };
    let stage = Stage::with(Flaw::Flips(3), Flaw::None, believed.clone(), |image| image, Some);
    let (bytes, end) = stage.read(None).await;
    end.unwrap();
    assert_eq!(bytes.len(), 1000);
    assert!(stage.told().is_empty());
    let stage = Stage::with(Flaw::DiesAt(3), Flaw::None, believed, |image| image, Some);
    stage.read_well().await;
}

#[tokio::test(start_paused = true)]
async fn data_in_a_file_can_be_moved_from_there_unless_it_must_be_read_to_be_checked() {
    let open = async |settings: Settings, range| {
        let id = ImageId::random();
        let frail = Frail::in_file(holding(active(&id)), tempfile::tempfile().unwrap());
        let federation = Federation::new(vec![backend(("home", frail))], settings).unwrap();
        let data = federation.get(&context(), &id, range).await.unwrap().data.unwrap();
        data.into_parts().1.map(|file| file.offset())
    };
    let believed = Settings { believed: [String::from("home")].into(), ..settings() };
    assert_eq!(open(believed, None).await, Some(0));
    assert_eq!(open(settings(), None).await, None);
    assert_eq!(open(settings(), Some(ByteRange::From(10))).await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn an_empty_image_is_held_to_its_hash_as_well() {
    let empty = |image| Image { size: Some(0), ..image };
    let id = ImageId::random();
    let memory = Memory::new("memory", Options::default());
    memory.seed(empty(active(&id)), Some(Bytes::new())).unwrap();
    let backends = vec![backend(("home", Arc::new(memory)))];
    let federation = Federation::new(backends, settings()).unwrap();
    let (bytes, end) = drained(federation.get(&context(), &id, None).await.unwrap()).await;
    assert_eq!((bytes.len(), end.unwrap_err().kind()), (0, ErrorKind::Corrupt));
}
