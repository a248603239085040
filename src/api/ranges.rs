//! Which part of an image's data a request wants. Pure.
//!
//! `Range` is read strictly, as Glance does: what is malformed is 416, not ignored. `Content-Range` in a request
//! means nothing by itself, yet old clients send it.

use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, StatusCode};
use image_service::ByteRange;

use super::fault::Fault;

/// A part that is wanted, and what must hold of the whole for it to make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The part.
    pub(super) range: ByteRange,
    whole: Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Any,
    AtLeast(u64),
    Exactly(u64),
}

impl Wanted {
    /// Checks the size of the whole.
    ///
    /// # Errors
    /// 416 if the request took it for another.
    pub(super) fn check(&self, total: u64) -> Result<(), Fault> {
        match self.whole {
            Whole::AtLeast(least) if total < least => Err(bad("Content-Range: lies beyond the end")),
            Whole::Exactly(size) if total != size => Err(bad("Content-Range: the image has another size")),
            _ => Ok(()),
        }
    }
}

/// Reads the part that is wanted, if it is not the whole.
///
/// # Errors
/// 400 for several ranges, 416 for a malformed one.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Option<Wanted>, Fault> {
    let mut ranges = headers.get_all(RANGE).iter();
    if let Some(range) = ranges.next() {
        let text = range.to_str().map_err(|_| bad("Range: is malformed"))?;
        if ranges.next().is_some() || text.contains(',') {
            return Err(Fault::bad_request("Range: requests with multiple ranges are not supported"));
        }
        let range = byte_range(text).ok_or_else(|| bad("Range: is malformed"))?;
        return Ok(Some(Wanted { range, whole: Whole::Any }));
    }
    let Some(range) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    let wanted = range.to_str().ok().and_then(content_range);
    wanted.map(Some).ok_or_else(|| bad("Content-Range: is malformed"))
}

fn bad(message: &str) -> Fault {
    Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, message)
}

fn byte_range(text: &str) -> Option<ByteRange> {
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", count) => Some(ByteRange::Last(offset(count)?)),
        (first, "") => Some(ByteRange::From(offset(first)?)),
        (first, last) => {
            let (first, last) = (offset(first)?, offset(last)?);
            (first <= last).then_some(ByteRange::Between(first, last))
        }
    }
}

fn content_range(text: &str) -> Option<Wanted> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (range, size) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (offset(first)?, offset(last)?);
    if !unit.eq_ignore_ascii_case("bytes") || first > last {
        return None;
    }
    let whole = match size {
        "*" => Whole::AtLeast(last.saturating_add(1)),
        size => Whole::Exactly(offset(size).filter(|size| last < *size)?),
    };
    Some(Wanted { range: ByteRange::Between(first, last), whole })
}

/// Digits alone: a sign would be taken by `parse`. What overflows lies behind the end of every image, and ranges
/// may end there.
fn offset(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::{any, proptest};

    fn read(name: http::HeaderName, text: &str) -> Result<Option<Wanted>, u16> {
        let Ok(value) = HeaderValue::from_str(text) else { return Err(0) };
        wanted(&HeaderMap::from_iter([(name, value)])).map_err(|fault| fault.status().as_u16())
    }

    fn range(text: &str) -> Result<ByteRange, u16> {
        read(RANGE, text).map(|wanted| wanted.unwrap().range)
    }

    #[test]
    fn one_range_is_read_in_each_of_its_forms() {
        assert_eq!(range("bytes=0-4"), Ok(ByteRange::Between(0, 4)));
        assert_eq!(range("Bytes = 3 - "), Ok(ByteRange::From(3)));
        assert_eq!(range("bytes=-5"), Ok(ByteRange::Last(5)));
        assert_eq!(range("bytes=0-0,2-3"), Err(400));
        assert_eq!(range("bytes=3-99999999999999999999"), Ok(ByteRange::Between(3, u64::MAX)));
        assert_eq!(range("bytes=-99999999999999999999"), Ok(ByteRange::Last(u64::MAX)));
        for bad in ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=4-2", "items=0-1", "bytes=+1-2"] {
            assert_eq!(range(bad), Err(416), "{bad}");
        }
        assert_eq!(wanted(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn two_headers_are_several_ranges() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.append(RANGE, HeaderValue::from_static("bytes=3-4"));
        assert_eq!(wanted(&headers).unwrap_err().status().as_u16(), 400);
    }

    #[test]
    fn the_old_header_is_read_and_must_fit_the_whole() {
        let old = |text| read(CONTENT_RANGE, text).map(Option::unwrap);
        let open = old("bytes 1-4/*").unwrap();
        assert_eq!(open.range, ByteRange::Between(1, 4));
        assert!(open.check(5).is_ok() && open.check(4).is_err());
        let sized = old("bytes 1-4/10").unwrap();
        assert!(sized.check(10).is_ok() && sized.check(11).is_err());
        for bad in ["bytes */10", "bytes 1-4", "bytes 4-1/*", "bytes 1-4/3", "items 1-4/*", "bytes=1-4"] {
            assert_eq!(old(bad), Err(416), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_header_is_a_range_or_a_clients_error(text in any::<String>(), tail in "[0-9=,\\-/* ]{0,12}") {
            for text in [text, format!("bytes={tail}"), format!("bytes {tail}")] {
                for name in [RANGE, CONTENT_RANGE] {
                    assert!(matches!(read(name, &text), Ok(Some(_)) | Err(0 | 400 | 416)));
                }
            }
        }
    }
}
