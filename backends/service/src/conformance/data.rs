//! `get`: exactly the bytes, or an error.

use futures::StreamExt;
use futures::future::join_all;

use super::feed::step_aside;
use super::fixture::{Fixture, kind_of};
use super::make::{pattern, whole};
use crate::{ByteRange, ErrorKind, ImageChange, Status, Visibility};

/// The image comes as `show` has it, and its data whole.
pub async fn the_data_comes_whole_with_the_image_as_shown(fixture: Fixture) {
    for length in [1, 1000, 65_536, 300_001] {
        let bytes = pattern(length);
        let image = fixture.make_with(fixture.named("name"), &bytes).await;
        let download = fixture.service().get(&fixture.owner(), &image.id, None).await.unwrap();
        assert_eq!(download.image, fixture.shown(&image.id).await);
        let data = download.data.unwrap();
        assert_eq!((data.range.clone(), data.total), (0..length as u64, length as u64));
        assert_eq!(whole(data).await.unwrap(), bytes);
    }
}

/// Without data there is nothing to be outside of: no range is an error.
pub async fn an_image_without_data_gives_none_whatever_the_range(fixture: Fixture) {
    let image = fixture.make(fixture.draft()).await;
    let ranges = [None, Some(ByteRange::From(0)), Some(ByteRange::Between(7, 9)), Some(ByteRange::Last(1))];
    for range in ranges {
        let answer = fixture.service().get(&fixture.owner(), &image.id, range).await;
        if range.is_some() && !fixture.service().capabilities().ranges.is_yes() {
            assert_eq!(kind_of(answer), ErrorKind::NotImplemented);
        } else {
            let download = answer.unwrap();
            assert!(download.data.is_none(), "{range:?}");
            assert_eq!(download.image, image);
        }
    }
}

/// Data of no bytes is there, and not the same as none.
pub async fn data_of_no_bytes_is_data(fixture: Fixture) {
    let image = fixture.make_with(fixture.draft(), &pattern(0)).await;
    assert_eq!((image.status, image.size), (Status::Active, Some(0)));
    let download = fixture.service().get(&fixture.owner(), &image.id, None).await.unwrap();
    let data = download.data.unwrap();
    assert_eq!((data.range.clone(), data.total), (0..0, 0));
    assert_eq!(whole(data).await.unwrap(), b"");
}

/// A range gives the bytes in it, cut at the end of the data. `NotImplemented` if the service has no ranges.
pub async fn a_range_gives_exactly_its_bytes(fixture: Fixture) {
    let bytes = pattern(600_000);
    let image = fixture.make_with(fixture.draft(), &bytes).await;
    for range in [
        ByteRange::Between(0, 0),
        ByteRange::Between(0, 599_999),
        ByteRange::Between(1, 2),
        ByteRange::Between(262_143, 262_144),
        ByteRange::Between(100_000, 500_000),
        ByteRange::Between(599_999, 599_999),
        ByteRange::Between(599_990, 1_000_000),
        ByteRange::Between(5, u64::MAX),
        ByteRange::From(0),
        ByteRange::From(1),
        ByteRange::From(599_999),
        ByteRange::Last(1),
        ByteRange::Last(599_999),
        ByteRange::Last(600_000),
        ByteRange::Last(u64::MAX),
    ] {
        let answer = fixture.service().get(&fixture.owner(), &image.id, Some(range)).await;
        if !fixture.service().capabilities().ranges.is_yes() {
            assert_eq!(kind_of(answer), ErrorKind::NotImplemented);
            continue;
        }
        let data = answer.unwrap().data.unwrap();
        let expected = range.within(600_000).unwrap();
        assert_eq!((data.range.clone(), data.total), (expected.clone(), 600_000), "{range:?}");
        let (start, end) = (usize::try_from(expected.start).unwrap(), usize::try_from(expected.end).unwrap());
        assert!(whole(data).await.unwrap() == bytes[start..end], "{range:?} gives other bytes");
    }
}

/// `RangeNotSatisfiable` if no byte lies in the range.
pub async fn a_range_without_a_byte_in_it_is_not_satisfiable(fixture: Fixture) {
    let expected = match fixture.service().capabilities().ranges {
        crate::Support::Yes => ErrorKind::RangeNotSatisfiable,
        crate::Support::No => ErrorKind::NotImplemented,
    };
    for (length, range) in [
        (10, ByteRange::From(10)),
        (10, ByteRange::Between(10, 20)),
        (10, ByteRange::Between(u64::MAX, u64::MAX)),
        (10, ByteRange::Between(5, 4)),
        (10, ByteRange::Last(0)),
        (0, ByteRange::From(0)),
        (0, ByteRange::Between(0, 0)),
        (0, ByteRange::Last(5)),
    ] {
        let image = fixture.make_with(fixture.draft(), &pattern(length)).await;
        let answer = fixture.service().get(&fixture.owner(), &image.id, Some(range)).await;
        assert_eq!(kind_of(answer), expected, "{range:?} of {length} bytes");
    }
}

/// `Forbidden` if the image is deactivated and the caller is no administrator.
pub async fn a_deactivated_image_is_read_by_administrators_alone(fixture: Fixture) {
    let bytes = pattern(1000);
    let image = fixture.make_with(fixture.visible(Visibility::Public), &bytes).await;
    let off = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    fixture.change(&image, off).await;
    for context in [fixture.owner(), fixture.other()] {
        let answer = fixture.service().get(&context, &image.id, None).await;
        assert_eq!(kind_of(answer), ErrorKind::Forbidden);
        assert_eq!(fixture.service().show(&context, &image.id).await.unwrap().status, Status::Deactivated);
    }
    let download = fixture.service().get(&fixture.admin(), &image.id, None).await.unwrap();
    assert_eq!(whole(download.data.unwrap()).await.unwrap(), bytes);
}

/// A download may be given up at any point.
pub async fn a_download_that_is_dropped_harms_nobody(fixture: Fixture) {
    let bytes = pattern(2_000_000);
    let image = fixture.make_with(fixture.draft(), &bytes).await;
    for chunks in [0, 1, 2] {
        let download = fixture.service().get(&fixture.owner(), &image.id, None).await.unwrap();
        let mut stream = download.data.unwrap().into_stream();
        for _ in 0..chunks {
            stream.next().await;
        }
    }
    assert!(fixture.bytes_of(&image.id, None).await == bytes, "other bytes came");
    assert_eq!(fixture.shown(&image.id).await, image);
}

/// Any number of callers may read at once.
pub async fn several_readers_get_the_same_bytes(fixture: Fixture) {
    let bytes = pattern(500_000);
    let image = fixture.make_with(fixture.draft(), &bytes).await;
    let readers = (0..5).map(|_| fixture.bytes_of(&image.id, None));
    for read in join_all(readers).await {
        assert!(read == bytes, "other bytes came");
    }
}

/// Data that is being read when its image is deleted stays whole, or the stream ends in an error: it never just
/// stops.
pub async fn a_download_ends_whole_or_in_an_error_when_its_image_is_deleted(fixture: Fixture) {
    let bytes = pattern(4_000_000);
    for chunks in [0, 1] {
        let image = fixture.make_with(fixture.draft(), &bytes).await;
        let download = fixture.service().get(&fixture.owner(), &image.id, None).await.unwrap();
        let mut stream = download.data.unwrap().into_stream();
        let mut read = Vec::new();
        for _ in 0..chunks {
            read.extend_from_slice(&stream.next().await.unwrap().unwrap());
        }
        fixture.remove(&image).await;
        let mut ended_in_error = false;
        while let Some(chunk) = stream.next().await {
            step_aside().await;
            assert!(!ended_in_error, "something came after an error");
            match chunk {
                Ok(chunk) => read.extend_from_slice(&chunk),
                Err(_) => ended_in_error = true,
            }
        }
        assert!(ended_in_error || read == bytes, "{} of {} bytes came", read.len(), bytes.len());
        assert!(bytes.starts_with(&read), "other bytes came");
    }
}
