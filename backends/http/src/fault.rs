//! What a server's refusal means in the words of the contract.
//!
//! The server's own words are kept as the source, for the operator; a client never reads them.

use std::fmt;

use image_service::{Error, ErrorKind};
use reqwest::StatusCode;

/// What was asked of the server, as far as the meaning of a status hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// For a list.
    List,
    /// For one record, or the members of one.
    Record,
    /// For image data.
    Data,
    /// To make a record, or a member.
    Make,
    /// To change or delete something.
    Change,
    /// To take image data.
    Upload,
}

/// Whose credentials the server saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Ours.
    Service,
    /// The caller's own.
    Caller,
}

/// The error for an answer with `status`, which is no success. `what` names the image or member asked for.
pub(crate) fn refusal(
    asked: Asked,
    credentials: Credentials,
    what: &str,
    status: StatusCode,
    body: &[u8],
) -> Error {
    let kind = kind(asked, credentials, status);
    let error = match kind {
        ErrorKind::NotFound => Error::not_found(&what),
        _ => Error::new(kind, sentence(asked, kind)),
    };
    let error = error.with_source(Answer::new(status, body));
    if status.is_client_error() {
        // Whatever it means for the caller, a server that finds fault with a request is up.
        error.answered()
    } else if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        error.passing()
    } else {
        error
    }
}

fn kind(asked: Asked, credentials: Credentials, status: StatusCode) -> ErrorKind {
    let reads = matches!(asked, Asked::List | Asked::Record | Asked::Data);
    match (status.as_u16(), credentials) {
        // Our own lists are always well-formed: a server that does not understand one is not what we think.
        (400, _) if asked == Asked::List => ErrorKind::Internal,
        (400, _) => ErrorKind::Invalid,
        (401, Credentials::Caller) => ErrorKind::Unauthenticated,
        (401, Credentials::Service) => ErrorKind::Refused,
        (403, Credentials::Service) if reads => ErrorKind::Refused,
        (403, _) => ErrorKind::Forbidden,
        (404, _) if asked == Asked::List => ErrorKind::Internal,
        // Glance answers 410 when an image is deleted during its upload.
        (404 | 410, _) => ErrorKind::NotFound,
        (405 | 501, _) => ErrorKind::NotImplemented,
        (409, _) if asked == Asked::Make => ErrorKind::AlreadyExists,
        (409, _) => ErrorKind::Conflict,
        (413, _) => ErrorKind::TooLarge,
        (415, _) if asked == Asked::Upload => ErrorKind::UnsupportedFormat,
        (416, _) if asked == Asked::Data => ErrorKind::RangeNotSatisfiable,
        (408 | 429 | 502 | 503 | 504, _) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

const fn sentence(asked: Asked, kind: ErrorKind) -> &'static str {
    match (kind, asked) {
        (ErrorKind::Invalid, Asked::Upload) => "the image service behind did not accept the image data",
        (ErrorKind::Invalid, _) => "the image service behind did not accept these values",
        (ErrorKind::Unauthenticated, _) => "the image service behind does not accept the caller's token",
        (ErrorKind::Refused, _) => "the image service behind refuses our credentials",
        (ErrorKind::Forbidden, _) => "the image service behind does not permit this",
        (ErrorKind::NotImplemented, _) => "the image service behind does not support this",
        (ErrorKind::AlreadyExists, _) => "this id is, or was, already in use",
        (ErrorKind::Conflict, Asked::Upload) => "the image is not in a state that takes data",
        (ErrorKind::Conflict, _) => "the state of the image does not allow this",
        (ErrorKind::TooLarge, _) => "a quota or size limit of the image service behind would be exceeded",
        (ErrorKind::UnsupportedFormat, _) => "the image data is not of the format that the image declares",
        (ErrorKind::RangeNotSatisfiable, _) => "the range lies outside the image's data",
        (ErrorKind::Unavailable, _) => "the image service behind cannot answer now",
        _ => "the image service behind answered in a way that it should not",
    }
}

/// The error for a request that got no answer at all.
pub(crate) fn silence(error: reqwest::Error) -> Error {
    let (kind, sentence) = if error.is_timeout() {
        (ErrorKind::TimedOut, "the image service behind did not answer in time")
    } else if error.is_connect() {
        (ErrorKind::Refused, "the image service behind cannot be reached")
    } else {
        (ErrorKind::Unavailable, "the image service behind broke off")
    };
    Error::new(kind, sentence).with_source(error)
}

/// The error for a server that does not keep to its own rules; `how` says in what.
pub(crate) fn nonsense(how: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("the image service behind broke its own rules: {how}"))
}

/// The error for a server that took longer than it may.
pub(crate) fn too_slow() -> Error {
    Error::new(ErrorKind::TimedOut, "the image service behind did not answer in time")
}

/// What the server said, for the operator.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    excerpt: String,
}

impl Answer {
    /// Long enough for any sentence, too short to flood a log.
    const LONGEST: usize = 300;

    fn new(status: StatusCode, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let excerpt = text.chars().filter(|c| !c.is_control()).take(Self::LONGEST).collect();
        Self { status, excerpt }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}: {}", self.status.as_u16(), self.excerpt)
    }
}

impl std::error::Error for Answer {}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(asked: Asked, credentials: Credentials, status: u16) -> ErrorKind {
        kind(asked, credentials, StatusCode::from_u16(status).unwrap())
    }

    #[test]
    fn a_status_means_what_was_asked_for_makes_of_it() {
        use Credentials::{Caller, Service};
        let table = [
            (Asked::Record, Service, 404, ErrorKind::NotFound),
            (Asked::Upload, Service, 410, ErrorKind::NotFound),
            (Asked::Change, Service, 400, ErrorKind::Invalid),
            (Asked::List, Service, 400, ErrorKind::Internal),
            (Asked::List, Service, 404, ErrorKind::Internal),
            (Asked::List, Service, 401, ErrorKind::Refused),
            (Asked::List, Caller, 401, ErrorKind::Unauthenticated),
            (Asked::List, Service, 403, ErrorKind::Refused),
            (Asked::List, Caller, 403, ErrorKind::Forbidden),
            (Asked::Change, Service, 403, ErrorKind::Forbidden),
            (Asked::Make, Service, 409, ErrorKind::AlreadyExists),
            (Asked::Upload, Service, 409, ErrorKind::Conflict),
            (Asked::Upload, Service, 413, ErrorKind::TooLarge),
            (Asked::Upload, Service, 415, ErrorKind::UnsupportedFormat),
            (Asked::Change, Service, 415, ErrorKind::Internal),
            (Asked::Data, Service, 416, ErrorKind::RangeNotSatisfiable),
            (Asked::List, Service, 429, ErrorKind::Unavailable),
            (Asked::List, Service, 500, ErrorKind::Internal),
            (Asked::List, Service, 503, ErrorKind::Unavailable),
            (Asked::List, Service, 302, ErrorKind::Internal),
        ];
        for (asked, credentials, status, expected) in table {
            assert_eq!(kind_of(asked, credentials, status), expected, "{asked:?} {credentials:?} {status}");
        }
    }

    #[test]
    fn a_server_that_finds_fault_with_a_request_is_up_and_one_that_fails_may_do_better_next_time() {
        for asked in [Asked::List, Asked::Record, Asked::Data, Asked::Upload] {
            for credentials in [Credentials::Service, Credentials::Caller] {
                let error = |status: u16| {
                    refusal(asked, credentials, "an image", StatusCode::from_u16(status).unwrap(), b"")
                };
                for status in [400, 401, 403, 404, 408, 409, 410, 413, 429, 451] {
                    assert!(!error(status).speaks_against_store(), "{asked:?} {credentials:?} {status}");
                    assert!(!error(status).is_passing(), "{asked:?} {credentials:?} {status}");
                }
                for status in [500, 502, 503, 504] {
                    assert!(error(status).speaks_against_store(), "{asked:?} {credentials:?} {status}");
                    assert!(error(status).is_passing(), "{asked:?} {credentials:?} {status}");
                }
            }
        }
    }

    #[test]
    fn the_servers_words_are_for_the_operator_alone() {
        let error = refusal(
            Asked::Make,
            Credentials::Service,
            "an image",
            StatusCode::CONFLICT,
            b"secret-host said\nno",
        );
        assert!(!error.to_string().contains("secret-host"), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "HTTP 409: secret-host saidno");
    }
}
