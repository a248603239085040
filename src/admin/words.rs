//! The words of closed sets that are told here and nowhere else. Pure.

use image_service::ErrorKind;

/// The one word of a kind of error.
pub(super) const fn of_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::AlreadyExists => "already_exists",
        ErrorKind::Invalid => "invalid",
        ErrorKind::Forbidden => "forbidden",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::Conflict => "conflict",
        ErrorKind::TooLarge => "too_large",
        ErrorKind::UnsupportedFormat => "unsupported_format",
        ErrorKind::RangeNotSatisfiable => "range_not_satisfiable",
        ErrorKind::Incomplete => "incomplete",
        ErrorKind::Refused => "refused",
        ErrorKind::TimedOut => "timed_out",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::NotImplemented => "not_implemented",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Internal => "internal",
    }
}
