//! Conditional requests for image data: the entity tag, and what hangs on it (RFC 9110, section 13). Pure.
//!
//! The tag is strong: it is the hash of the data, so that the same tag means the same bytes, in every store and after
//! every restart. Data of which no hash is known has none.

use headers::{ETag, HeaderMapExt as _, IfMatch, IfNoneMatch, IfRange};
use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use image_service::Image;

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The data is to be sent, and the range that was asked for is that of the data that the client means.
    Send,
    /// The data is to be sent, but whole: the client's part is one of other data.
    SendWhole,
    /// The client has the data already.
    NotModified,
    /// The data is not what the client thinks.
    Failed,
}

/// The tag of an image's data.
pub(super) fn etag(image: &Image) -> Option<ETag> {
    let text = match (&image.hash, &image.checksum) {
        (Some(hash), _) => format!("\"{}:{}\"", hash.algorithm, hash.value),
        (None, Some(checksum)) => format!("\"md5:{checksum}\""),
        (None, None) => return None,
    };
    text.parse().ok()
}

/// Whether a request makes any condition.
pub(super) fn are_in(headers: &HeaderMap) -> bool {
    [IF_MATCH, IF_NONE_MATCH, IF_RANGE].iter().any(|name| headers.contains_key(name))
}

/// Judges the conditions of a request for data that has this tag. Dates decide nothing, as data has none.
pub(super) fn judge(headers: &HeaderMap, etag: Option<&ETag>) -> Verdict {
    let matches =
        |wanted: IfMatch| etag.map_or_else(|| wanted.is_any(), |etag| wanted.precondition_passes(etag));
    if headers.typed_get::<IfMatch>().is_some_and(|wanted| !matches(wanted)) {
        return Verdict::Failed;
    }
    let is_new = |known: IfNoneMatch| {
        etag.map_or_else(|| known != IfNoneMatch::any(), |etag| known.precondition_passes(etag))
    };
    if headers.typed_get::<IfNoneMatch>().is_some_and(|known| !is_new(known)) {
        return Verdict::NotModified;
    }
    // One that cannot be read is of other data.
    let same = |meant: IfRange| etag.is_some() && !meant.is_modified(etag, None);
    if headers.contains_key(IF_RANGE) && !headers.typed_get::<IfRange>().is_some_and(same) {
        return Verdict::SendWhole;
    }
    Verdict::Send
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::{any, proptest};

    use super::*;

    fn verdict(pairs: &[(HeaderName, &'static str)], etag: Option<&str>) -> Verdict {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        judge(&headers.collect(), etag.map(|etag| etag.parse().unwrap()).as_ref())
    }

    #[test]
    fn a_condition_holds_if_one_of_its_tags_is_the_datas() {
        let known = Some("\"a\"");
        for (name, value, etag, expected) in [
            (IF_NONE_MATCH, "\"a\"", known, Verdict::NotModified),
            (IF_NONE_MATCH, "W/\"a\"", known, Verdict::NotModified),
            (IF_NONE_MATCH, "\"b\", \"a\"", known, Verdict::NotModified),
            (IF_NONE_MATCH, "*", known, Verdict::NotModified),
            (IF_NONE_MATCH, "*", None, Verdict::NotModified),
            (IF_NONE_MATCH, "\"b\"", known, Verdict::Send),
            (IF_NONE_MATCH, "\"a\"", None, Verdict::Send),
            (IF_MATCH, "\"b\", \"a\"", known, Verdict::Send),
            (IF_MATCH, "*", known, Verdict::Send),
            (IF_MATCH, "*", None, Verdict::Send),
            (IF_MATCH, "\"b\"", known, Verdict::Failed),
            (IF_MATCH, "W/\"a\"", known, Verdict::Failed),
            (IF_MATCH, "\"a\"", None, Verdict::Failed),
            (IF_RANGE, "\"a\"", known, Verdict::Send),
            (IF_RANGE, "\"b\"", known, Verdict::SendWhole),
            (IF_RANGE, "W/\"a\"", known, Verdict::SendWhole),
            (IF_RANGE, "\"a\"", None, Verdict::SendWhole),
            (IF_RANGE, "Sat, 29 Oct 1994 19:43:31 GMT", known, Verdict::SendWhole),
            (IF_RANGE, "nonsense", known, Verdict::SendWhole),
        ] {
            assert_eq!(verdict(&[(name.clone(), value)], etag), expected, "{name}: {value} of {etag:?}");
        }
        assert_eq!(verdict(&[], known), Verdict::Send);
    }

    #[test]
    fn what_must_match_goes_before_what_must_not() {
        let both = [(IF_MATCH, "\"b\""), (IF_NONE_MATCH, "\"a\"")];
        assert_eq!(verdict(&both, Some("\"a\"")), Verdict::Failed);
        let both = [(IF_RANGE, "\"b\""), (IF_NONE_MATCH, "\"a\"")];
        assert_eq!(verdict(&both, Some("\"a\"")), Verdict::NotModified);
    }

    proptest! {
        #[test]
        fn no_condition_is_a_panic(text in any::<String>()) {
            for name in [IF_MATCH, IF_NONE_MATCH, IF_RANGE] {
                let Ok(value) = HeaderValue::from_str(&text) else { continue };
                judge(&HeaderMap::from_iter([(name, value)]), "\"a\"".parse().ok().as_ref());
            }
        }
    }
}
