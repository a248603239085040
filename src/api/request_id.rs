//! The name of a request, by which it is found again in the logs of everyone who had a part in it.

use http::{HeaderMap, HeaderName};
use uuid::Uuid;

use super::fault::Fault;

/// The header that carries it, both ways.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

const LONGEST: usize = 64;
const PREFIX: &str = "req-";

/// A new one.
pub(super) fn fresh() -> String {
    format!("{PREFIX}{}", Uuid::new_v4())
}

/// Takes over the client's, or makes one.
pub(super) fn choose(headers: &HeaderMap) -> Result<String, Fault> {
    let Some(given) = headers.get(REQUEST_ID) else { return Ok(fresh()) };
    let given = given.to_str().ok().filter(|given| {
        !given.is_empty() && given.len() <= LONGEST && given.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match given {
        Some(given) if given.starts_with(PREFIX) => Ok(given.to_owned()),
        Some(given) => Ok(format!("{PREFIX}{given}")),
        None => Err(Fault::bad_request(format!(
            "X-Openstack-Request-Id: must be 1 to {LONGEST} printable characters without spaces"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(given: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, http::HeaderValue::from_bytes(given).unwrap());
        choose(&headers).ok()
    }

    #[test]
    fn the_clients_id_is_taken_over_and_gets_its_prefix() {
        assert_eq!(chosen(b"req-abc").as_deref(), Some("req-abc"));
        assert_eq!(chosen(b"abc").as_deref(), Some("req-abc"));
        assert_eq!(chosen(&[b'a'; 64]).unwrap().len(), 68);
    }

    #[test]
    fn what_could_not_stand_in_a_log_line_is_refused() {
        for bad in [&[b'a'; 65][..], b"", b"a b", b"a\xc3\xa9"] {
            assert_eq!(chosen(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn without_one_each_request_gets_its_own() {
        let none = HeaderMap::new();
        assert_ne!(choose(&none).unwrap(), choose(&none).unwrap());
    }
}
