//! What can go wrong, as any store could meet it.
//!
//! An [`Error`] is a kind that callers branch on, one sentence in our own words that may be shown to a
//! client, and the cause, which is for the operator alone. `Display` prints the sentence and never the
//! cause; follow [`std::error::Error::source`] for the chain.

use std::error::Error as StdError;
use std::fmt;

/// The result of a call on an image service.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong. A kind exists only if any reasonable store could meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no such image, or the caller may not know that there is.
    NotFound,
    /// The id, or the member, is taken. Ids of deleted images stay taken.
    AlreadyExists,
    /// The request can never succeed as it stands.
    Invalid,
    /// The caller can see the image but may not do this.
    Forbidden,
    /// The store wants credentials and got none, or bad ones.
    Unauthenticated,
    /// The image's state does not allow this now.
    Conflict,
    /// A bound on size or number would be broken.
    TooLarge,
    /// The data is not of the format that the image declares.
    UnsupportedFormat,
    /// The range lies outside the image's data.
    RangeNotSatisfiable,
    /// The client's upload ended before its announced size, or broke off.
    Incomplete,
    /// The store refused the connection or our credentials.
    Refused,
    /// The store did not answer within its deadline.
    TimedOut,
    /// The store, or every store that could know, cannot answer now.
    Unavailable,
    /// This store does not do that.
    NotImplemented,
    /// The data read is not the data that was stored.
    Corrupt,
    /// The store broke its own rules, or there is a mistake in this program.
    Internal,
}

impl ErrorKind {
    /// Whether the store was silent, so that its answer is unknown rather than "no".
    #[must_use]
    pub const fn is_silence(self) -> bool {
        matches!(
            self,
            Self::Refused | Self::TimedOut | Self::Unavailable | Self::Unauthenticated | Self::Internal
        )
    }
}

/// A failed call: kind, sentence, and cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    bearing: Bearing,
    id_was_used: bool,
    origin: Option<Origin>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What an error says of the store that it comes from, beyond its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bearing {
    /// Nothing.
    Unsaid,
    /// It is well: it understood and refused.
    Answered,
    /// It may do better at once.
    Passing,
}

/// Where an error arose: which backend was asked to do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The backend's configured name.
    pub backend: String,
    /// The verb, such as `detail`.
    pub operation: &'static str,
}

impl Error {
    /// An error of `kind`, told in one lower-case sentence without a full stop. A client may read it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (message, bearing) = (message.into(), Bearing::Unsaid);
        Self { kind, message, bearing, id_was_used: false, origin: None, source: None }
    }

    /// The image is not there for this caller.
    pub fn not_found(id: &impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("no image found with ID {id}"))
    }

    /// As [`not_found`](Self::not_found), of an id that a deleted image had. A store that remembers such ids
    /// tells administrators so, that no other store gives the id out again.
    pub fn deleted(id: &impl fmt::Display) -> Self {
        Self { id_was_used: true, ..Self::not_found(id) }
    }

    /// The request can never succeed as it stands.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// The caller may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    /// The image's state does not allow this.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// This store does not do `what`.
    pub fn not_implemented(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotImplemented, format!("{what} is not supported by this store"))
    }

    /// Keeps `source` for the operator. It is never shown to a client.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says that the store is well: it understood, and refused. Such an error never speaks against it, whatever
    /// the kind: a store that takes no more requests for now, or not our credentials, is not down.
    #[must_use]
    pub const fn answered(mut self) -> Self {
        self.bearing = Bearing::Answered;
        self
    }

    /// Says that the store may do better at once, if it is asked again.
    #[must_use]
    pub const fn passing(mut self) -> Self {
        self.bearing = Bearing::Passing;
        self
    }

    /// Whether it speaks against the store's health: silence or nonsense where an answer was due.
    #[must_use]
    pub fn speaks_against_store(&self) -> bool {
        self.kind.is_silence() && self.kind != ErrorKind::Unauthenticated && self.bearing != Bearing::Answered
    }

    /// Whether asking the store the same again may well succeed: it broke off, or said that it will pass. A store
    /// that let the time run out, and one that broke its rules, will most likely do so again.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self.bearing {
            Bearing::Unsaid => matches!(self.kind, ErrorKind::Refused | ErrorKind::Unavailable),
            Bearing::Answered => false,
            Bearing::Passing => true,
        }
    }

    /// Says which backend failed at what. The first origin stays: it is the one nearest to the cause.
    #[must_use]
    pub fn with_origin(mut self, backend: &str, operation: &'static str) -> Self {
        self.origin.get_or_insert_with(|| Origin { backend: backend.to_owned(), operation });
        self
    }

    /// What callers branch on.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether what was not found is known to have been deleted. False if that is not known.
    #[must_use]
    pub const fn is_of_deleted_image(&self) -> bool {
        self.id_was_used
    }

    /// Our sentence, fit for a client.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The sentence and all its causes on one line, for the operator alone.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut chain = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            chain.push_str(": ");
            chain.push_str(&error.to_string());
            cause = error.source();
        }
        chain
    }

    /// Where it arose, if a guard has said so.
    #[must_use]
    pub const fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reads_the_sentence_and_the_operator_the_chain() {
        let cause = Error::new(ErrorKind::Refused, "the connection was refused");
        let error = Error::new(ErrorKind::Unavailable, "the store cannot answer").with_source(cause);
        assert_eq!(error.to_string(), "the store cannot answer");
        assert_eq!(error.chain(), "the store cannot answer: the connection was refused");
    }

    #[test]
    fn only_silence_speaks_against_a_store_and_not_what_it_answered_or_wants_of_the_caller() {
        let of = |kind| Error::new(kind, "x");
        for kind in [ErrorKind::Refused, ErrorKind::TimedOut, ErrorKind::Unavailable, ErrorKind::Internal] {
            assert!(of(kind).speaks_against_store(), "{kind:?}");
            assert!(!of(kind).answered().speaks_against_store(), "{kind:?}");
        }
        for kind in [ErrorKind::NotFound, ErrorKind::Forbidden, ErrorKind::Unauthenticated] {
            assert!(!of(kind).speaks_against_store(), "{kind:?}");
        }
    }

    #[test]
    fn what_may_pass_is_what_broke_off_or_says_so() {
        let of = |kind| Error::new(kind, "x");
        assert!(of(ErrorKind::Refused).is_passing() && of(ErrorKind::Unavailable).is_passing());
        assert!(!of(ErrorKind::TimedOut).is_passing() && !of(ErrorKind::Internal).is_passing());
        assert!(!of(ErrorKind::Unavailable).answered().is_passing());
        assert!(of(ErrorKind::Internal).passing().is_passing());
    }

    #[test]
    fn the_origin_nearest_to_the_cause_stays() {
        let error = Error::invalid("x").with_origin("inner", "show").with_origin("outer", "detail");
        assert_eq!(error.origin().map(|origin| origin.backend.as_str()), Some("inner"));
    }
}
