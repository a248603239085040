//! Downloads from files that go, shrink or were never there.

use std::fs;
use std::os::unix::fs::FileExt as _;

use futures::StreamExt;
use image_service::{ByteRange, ErrorKind};

use super::*;

async fn stored(local: &Local, length: usize) -> ImageId {
    local.create(&admin(), raw(), Some(Upload::from_bytes(pattern(length)))).await.unwrap().id
}

#[tokio::test]
async fn every_range_gives_exactly_its_bytes_in_pieces_of_the_chosen_size() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let id = stored(&local, 10_000).await;
    for (range, bytes) in [
        (None, 0..10_000),
        (Some(ByteRange::Between(0, 0)), 0..1),
        (Some(ByteRange::Between(4095, 4096)), 4095..4097),
        (Some(ByteRange::Between(1, 9_999)), 1..10_000),
        (Some(ByteRange::From(8192)), 8192..10_000),
        (Some(ByteRange::Last(1)), 9_999..10_000),
        (Some(ByteRange::Last(u64::MAX)), 0..10_000),
    ] {
        let data = local.get(&admin(), &id, range).await.unwrap().data.unwrap();
        assert_eq!((&data.range, data.total), (&(bytes.start as u64..bytes.end as u64), 10_000));
        let (stream, file) = data.into_parts();
        let file = file.unwrap();
        let mut moved = vec![0; bytes.len()];
        file.file().read_exact_at(&mut moved, file.offset()).unwrap();
        assert_eq!(moved, pattern(10_000)[bytes.clone()], "{range:?}");
        let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert!(pieces.iter().rev().skip(1).all(|piece| piece.len() == 4096), "{range:?}");
        assert_eq!(pieces.concat(), pattern(10_000)[bytes], "{range:?}");
    }
    let error = local.get(&admin(), &id, Some(ByteRange::From(10_000))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable);
}

#[tokio::test]
async fn a_reader_keeps_its_data_whole_when_the_image_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let id = stored(&local, 50_000).await;
    let unread = local.get(&admin(), &id, None).await.unwrap();
    let mut begun = local.get(&admin(), &id, None).await.unwrap().data.unwrap().into_stream();
    let first = begun.next().await.unwrap().unwrap();
    local.delete(&admin(), &id).await.unwrap();
    assert_eq!(names(directory.path(), "data"), BTreeSet::new());
    assert_eq!(local.get(&admin(), &id, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    let rest: Vec<Bytes> = begun.try_collect().await.unwrap();
    assert_eq!([first, rest.concat().into()].concat(), pattern(50_000));
    local.close().await;
    drop(local);
    assert_eq!(read(unread).await.unwrap(), pattern(50_000));
}

#[tokio::test]
async fn a_file_that_is_not_in_memory_is_read_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let id = stored(&local, 300_000).await;
    let path = directory.path().join("data").join(id.as_str());
    for range in [None, Some(ByteRange::Between(100_001, 250_000))] {
        let file = fs::File::open(&path).unwrap();
        file.sync_all().unwrap();
        // Where files always are in memory this has no effect.
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let data = local.get(&admin(), &id, range).await.unwrap();
        let expected = if range.is_some() { &pattern(300_000)[100_001..=250_000] } else { &pattern(300_000) };
        assert_eq!(read(data).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_file_that_becomes_shorter_ends_the_stream_in_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let id = stored(&local, 50_000).await;
    let mut stream = local.get(&admin(), &id, None).await.unwrap().data.unwrap().into_stream();
    stream.next().await.unwrap().unwrap();
    let path = directory.path().join("data").join(id.as_str());
    fs::File::options().write(true).open(path).unwrap().set_len(20_000).unwrap();
    let items: Vec<Result<Bytes>> = stream.collect().await;
    let (last, whole) = items.split_last().unwrap();
    assert_eq!(last.as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(whole.len() <= 4 && whole.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_file_that_is_missing_or_of_another_size_is_corrupt_and_its_image_is_still_shown() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    for how in ["missing", "empty", "shorter", "longer"] {
        let id = stored(&local, 10).await;
        let path = directory.path().join("data").join(id.as_str());
        match how {
            "missing" => fs::remove_file(path).unwrap(),
            "empty" => fs::write(path, "").unwrap(),
            "shorter" => fs::write(path, pattern(9)).unwrap(),
            _ => fs::write(path, pattern(11)).unwrap(),
        }
        for range in [None, Some(ByteRange::Between(0, 0))] {
            let error = local.get(&admin(), &id, range).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{how}");
        }
        assert_eq!(local.show(&admin(), &id).await.unwrap().size, Some(10), "{how}");
    }
}

#[tokio::test]
async fn a_consumer_that_waits_makes_the_reader_wait() {
    // A file that shrinks shows how far it has been read: what was read ahead still comes, and no more.
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let id = stored(&local, 4096 * 50).await;
    let mut stream = local.get(&admin(), &id, None).await.unwrap().data.unwrap().into_stream();
    stream.next().await.unwrap().unwrap();
    local.close().await;
    let path = directory.path().join("data").join(id.as_str());
    fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
    let items: Vec<Result<Bytes>> = stream.collect().await;
    assert!(items.iter().filter(|item| item.is_ok()).count() <= 1, "one piece is read ahead at most");
    assert!(items.last().unwrap().is_err());
}
