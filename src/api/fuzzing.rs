//! What must hold of the parsers whatever a client sends: for `fuzz/`, and for tests over its corpus.
//!
//! Each function takes the bytes of one input and panics if a promise is broken. Nothing else may call them: they
//! are here because parsers are nobody's business outside the API, and are built only with the feature `fuzzing`
//! or for tests, so that the program has no trace of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue};
use image_service::{
    ByteRange, Caller, Digester, Direction, ErrorKind, Image, ImageId, MOST_PER_IMAGE, NewImage, Sort,
    SortKey, Timestamp,
};
use portico_format::{Declared, Finding, HEAD, Verdict, is_fixed_vhd, look};
use serde_json::Value;

use super::attribute::{self, Kind, LONGEST};
use super::fault::{Fault, status_of};
use super::links::{CURSOR, MARKER, Params};
use super::patch::{Dialect, Patch};
use super::{CursorKey, Settings, cursor, query, ranges, v1};

/// A query string is a client's error, or a query that holds to its contract and whose links ask for the same.
pub fn check_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let settings = Settings::default();
    let params = match Params::read(text) {
        Ok(params) => params,
        Err(fault) => return must_be_the_clients(&fault),
    };
    let listing = match query::read(&params, &settings) {
        Ok(listing) => listing,
        Err(fault) => return must_be_the_clients(&fault),
    };
    assert!(listing.query.check().is_ok() && listing.query.position.is_none());
    assert!(listing.limit.is_none_or(|limit| limit <= settings.largest_page));
    assert_eq!(listing.query.sort.keys().last().map(|(key, _)| *key), Some(SortKey::Id));
    let _ = listing.query.admits(&image(false));

    let again = |link: String| {
        let text = link.strip_prefix("/v2/images").expect("a link is to the list");
        let read = Params::read(text.strip_prefix('?').unwrap_or(text)).expect("a link can be read");
        let same = query::read(&read, &settings).expect("a link asks for a list");
        assert_eq!(same, listing, "{link}");
        read
    };
    let first = again(params.first());
    assert!(first.last(MARKER).is_none() && first.last(CURSOR).is_none());
    assert_eq!(first.first(), params.first());
    let next = again(params.next("an id & more", &["a+cursor=".to_owned()], 1 << 30));
    assert_eq!((next.last(MARKER), next.last(CURSOR)), (Some("an id & more"), Some("a+cursor=")));
    let short = again(params.next("an id & more", &["a+cursor=".to_owned()], 0));
    assert_eq!((short.last(MARKER), short.last(CURSOR)), (Some("an id & more"), None));
}

/// A patch is a client's error, or makes of an image that obeys the rules one that obeys them, and changes nothing
/// that only the service may change.
pub fn check_patch(bytes: &[u8]) {
    let settings = Settings::default();
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    for dialect in [Dialect::V20, Dialect::V21] {
        for before in [image(false), image(true)] {
            let change = Patch::read(&body, dialect, &settings).and_then(|patch| {
                let visibilities: Vec<_> = patch.visibilities().collect();
                let change = patch.change_to(&before)?;
                assert!(change.visibility.is_none_or(|last| visibilities.contains(&last)));
                Ok(change)
            });
            let change = match change {
                Ok(change) => change,
                Err(fault) => {
                    must_be_the_clients(&fault);
                    continue;
                }
            };
            let now = before.updated_at.saturating_add(1);
            for caller in [Caller::administrator(), Caller::member_of("a")] {
                let mut after = before.clone();
                match change.clone().apply_to(&mut after, &caller, now) {
                    Ok(()) => must_obey_the_rules(&before, &after, &settings),
                    Err(error) => {
                        assert!(status_of(error.kind()).is_client_error(), "{error}");
                        assert_eq!(after, before, "a change that fails changes nothing");
                    }
                }
            }
        }
    }
}

pub(super) fn must_obey_the_rules(before: &Image, after: &Image, settings: &Settings) {
    let fits = |text: &str| text.chars().count() <= LONGEST;
    let known =
        |format: &Option<String>, known: &[String]| format.as_ref().is_none_or(|it| known.contains(it));
    assert!(after.name.as_deref().is_none_or(fits) && after.owner.as_deref().is_none_or(fits));
    assert!(known(&after.disk_format, &settings.disk_formats));
    assert!(known(&after.container_format, &settings.container_formats));
    assert!(after.min_disk <= i32::MAX as u32 && after.min_ram <= i32::MAX as u32);
    assert!(after.tags.len() <= MOST_PER_IMAGE && after.tags.iter().all(|tag| fits(tag)));
    assert!(after.properties.len() <= MOST_PER_IMAGE);
    assert!(after.properties.keys().all(|key| fits(key) && attribute::kind(key) == Kind::Property));
    assert!(after.updated_at >= before.updated_at);
    let served = |image: &Image| {
        let hash = image.hash.clone();
        (image.id.clone(), image.status, image.size, image.virtual_size, image.checksum.clone(), hash)
    };
    assert_eq!(served(after), served(before), "only the service writes these");
    assert_eq!((after.created_at, &after.stores), (before.created_at, &before.stores));
    if before.has_data() {
        assert_eq!(after.disk_format, before.disk_format, "formats are those of the data");
        assert_eq!(after.container_format, before.container_format, "formats are those of the data");
    }
}

/// A `Range`, or the old `Content-Range`, is a client's error, or means a part of the data that is not empty and
/// lies within it. The first line of the input is the size of the data in digits, the rest is the header.
pub fn check_range(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let size =
        lines.next().and_then(|line| std::str::from_utf8(line).ok()).and_then(|line| line.parse().ok());
    let value = lines.next().and_then(|line| HeaderValue::from_bytes(line).ok());
    let (Some(size), Some(value)) = (size, value) else { return };
    for name in [RANGE, CONTENT_RANGE] {
        let headers = HeaderMap::from_iter([(name.clone(), value.clone())]);
        match ranges::wanted(&headers) {
            Err(fault) => assert!(matches!(fault.status().as_u16(), 400 | 416), "{fault:?}"),
            Ok(wanted) => {
                let wanted = wanted.expect("a header that is there asks for something");
                match wanted.check(size) {
                    Ok(()) => must_be_within(wanted.range, size),
                    Err(fault) => assert!(name == CONTENT_RANGE && fault.status().as_u16() == 416),
                }
            }
        }
    }
}

fn must_be_within(range: ByteRange, size: u64) {
    match range.within(size) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable),
        Ok(part) => {
            assert!(part.start < part.end && part.end <= size, "{range:?} of {size} is {part:?}");
            match range {
                ByteRange::Between(first, last) => {
                    assert!(part.start == first && part.end - 1 == last.min(size - 1));
                }
                ByteRange::From(first) => assert!(part.start == first && part.end == size),
                ByteRange::Last(count) => {
                    assert!(part.end == size && part.end - part.start == count.min(size));
                }
            }
        }
    }
}

/// A cursor is a client's error, or a place that fits its order and is written as a cursor of the same place. The
/// input is taken as it comes, which never has our seal and so is never a place, and as what is under our seal.
pub fn check_cursor(bytes: &[u8]) {
    let key = CursorKey::of(b"a key for fuzzing, and for nothing else");
    for sort in sorts() {
        let encoded = URL_SAFE_NO_PAD.encode(bytes);
        for unsealed in std::str::from_utf8(bytes).into_iter().chain([encoded.as_str()]) {
            must_be_the_clients(&cursor::read(unsealed, &sort, &key).expect_err("it has no seal"));
        }
        let sealed = cursor::sealed(bytes, &key);
        must_be_the_clients(&cursor::read(&sealed, &sort, &CursorKey::random()).expect_err("another's seal"));
        match cursor::read(&sealed, &sort, &key) {
            Err(fault) => must_be_the_clients(&fault),
            Ok(mark) => {
                assert!(sort.check(&mark.position).is_ok());
                let _ = sort.is_after(&image(true), &mark.position);
                let again = cursor::read(&cursor::write(&mark, &sort, &key), &sort, &key);
                assert_eq!(again.expect("our own cursor can be read"), mark);
            }
        }
    }
}

fn sorts() -> [Sort; 4] {
    let every = SortKey::ALL.iter().filter(|key| **key != SortKey::Id);
    [
        Sort::default(),
        Sort::by([(SortKey::Id, Direction::Desc)]),
        Sort::by([(SortKey::Name, Direction::Asc), (SortKey::Size, Direction::Desc)]),
        Sort::by(every.map(|key| (*key, Direction::Asc))),
    ]
}

/// The beginning of data is of one kind, and fits what is declared of it by the rules: what leads to another file never
/// does, nor what is a disk of one format and declared to be another.
pub fn check_format(bytes: &[u8]) {
    let finding = look(&bytes[..bytes.len().min(HEAD)]);
    let size = bytes.len() as u64;
    let disk = finding.virtual_size(size);
    assert!(disk.is_none_or(|disk| disk == size || disk < i64::MAX.unsigned_abs()));
    let is_unsafe = matches!(finding, Finding::Unsafe { .. });
    assert!(!is_unsafe || disk.is_none());
    let mut fitting = 0;
    for format in Settings::default().disk_formats {
        let declared = Declared { disk: format.clone(), container: String::from("bare") };
        match declared.judge(&finding) {
            Verdict::Fits => {
                assert!(!is_unsafe, "{format}");
                fitting += usize::from(!matches!(format.as_str(), "ami" | "ari" | "aki"));
            }
            Verdict::FitsWithFooter => assert_eq!((is_unsafe, format.as_str()), (false, "vhd")),
            Verdict::Refused(why) => assert!(!why.is_empty() && !why.chars().any(char::is_control)),
        }
        let wrapped = Declared { container: String::from("ova"), ..declared };
        assert_eq!(wrapped.judge(&finding), Verdict::Fits);
    }
    assert!(fitting <= 1, "{finding:?} fits {fitting} formats");
    let _ = is_fixed_vhd(bytes);
}

/// What a client of v1 says of an image is its error, or what an image may be and become; and an image that is sent back as
/// it was shown stays as it is. The input is a header in each line, its name in front of a colon.
pub fn check_v1_headers(bytes: &[u8]) {
    v1::fuzzing::check_headers(bytes);
}

/// A query string of v1 is a client's error, or a list in a total order, of which hidden images are none.
pub fn check_v1_query(bytes: &[u8]) {
    v1::fuzzing::check_query(bytes);
}

pub(super) fn must_be_the_clients(fault: &Fault) {
    assert!(fault.status().is_client_error(), "{fault:?}");
}

/// An image of project `a`, with or without data, that has a property and a tag.
pub(super) fn image(data: bool) -> Image {
    let new = NewImage {
        id: Some(ImageId::lookup("1")),
        name: Some("image".into()),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        tags: ["tag".into()].into(),
        properties: [("colour".into(), "red".into())].into(),
        ..NewImage::default()
    };
    let now = Timestamp::from_second(1_700_000_000).expect("a time within the calendar");
    let mut image = new.into_image(&Caller::member_of("a"), now).expect("it is within its quotas");
    if data {
        let digests = Digester::default().finish(None).expect("no size was announced");
        image.finish_upload(digests, now);
    }
    image
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Checks every file of a target's corpus.
    fn over(target: &str, check: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut files = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            check(&std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files >= 10, "{files} files for {target}");
    }

    #[test]
    fn every_input_of_the_corpus_is_read_as_promised() {
        over("query", super::check_query);
        over("patch", super::check_patch);
        over("range", super::check_range);
        over("cursor", super::check_cursor);
        over("format", super::check_format);
        over("v1_headers", super::check_v1_headers);
        over("v1_query", super::check_v1_query);
    }
}
