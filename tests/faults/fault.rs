//! The ways to misbehave, and what each must come to.

use image_service::SourceState;
use image_service::SourceState::{Error, Ok, Open, Refused, Timeout};

/// A way for a backend to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody listens at its port.
    RefusesConnections,
    /// A connection is reset as soon as it is there.
    ResetsConnections,
    /// A connection is reset when a request has come.
    ResetsRequests,
    /// A connection is reset in the middle of an answer's body.
    ResetsMidBody,
    /// A connection ends in the middle of an answer's head.
    EndsMidHead,
    /// An answer is shorter than its head says.
    AnnouncesTooMuch,
    /// An answer is longer than its head says.
    AnnouncesTooLittle,
    /// Every request is answered with this status.
    Answers(u16),
    /// What should be JSON is a page for people.
    NoJson,
    /// JSON of a shape that nobody asked for.
    WrongShape,
    /// An answer has no end.
    EndlessBody,
    /// An answer comes at one byte a second.
    OneByteASecond,
    /// Connections are taken, and nothing is ever said.
    SilentAtOnce,
    /// Nothing is said behind an answer's head.
    SilentBehindHead,
    /// The images of a page come last first.
    OutOfOrder,
    /// Every page of a list is the first.
    IgnoresMarker,
    /// Every page of a list begins with the image that the one before ended with.
    Repeats,
    /// The link to the next page leads to another host.
    ForeignNext,
}

/// What a list of a backend that misbehaves so must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Its images are absent, and its state is one of these.
    Absent(&'static [SourceState]),
    /// All of its images are there, as if nothing were.
    Whole,
    /// Some pages cannot be had, so that either is right, each time anew.
    Either,
}

/// What asking such a backend for one image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Silence: whether it holds the image is not known.
    Silence,
    /// Silence if it holds the image, and the truth if not: a status is enough for that.
    Garbled,
    /// Its answer that it holds no such image, true or not.
    Denial,
    /// As if nothing were.
    Truth,
}

impl Fault {
    /// Every one of them.
    pub(crate) const ALL: [Self; 23] = [
        Self::RefusesConnections,
        Self::ResetsConnections,
        Self::ResetsRequests,
        Self::ResetsMidBody,
        Self::EndsMidHead,
        Self::AnnouncesTooMuch,
        Self::AnnouncesTooLittle,
        Self::Answers(401),
        Self::Answers(403),
        Self::Answers(404),
        Self::Answers(429),
        Self::Answers(500),
        Self::Answers(503),
        Self::NoJson,
        Self::WrongShape,
        Self::EndlessBody,
        Self::OneByteASecond,
        Self::SilentAtOnce,
        Self::SilentBehindHead,
        Self::OutOfOrder,
        Self::IgnoresMarker,
        Self::Repeats,
        Self::ForeignNext,
    ];

    /// What a list must come to.
    pub(crate) const fn listed(self) -> Listed {
        match self {
            Self::RefusesConnections | Self::Answers(401 | 403) => Listed::Absent(&[Refused]),
            // Whether the reset comes before or behind the end of the handshake is for the kernel to say.
            Self::ResetsConnections => Listed::Absent(&[Refused, Error]),
            Self::OneByteASecond | Self::SilentAtOnce | Self::SilentBehindHead => Listed::Absent(&[Timeout]),
            Self::OutOfOrder | Self::ForeignNext => Listed::Whole,
            Self::IgnoresMarker | Self::Repeats => Listed::Either,
            _ => Listed::Absent(&[Error]),
        }
    }

    /// What asking for one image must come to.
    pub(crate) const fn shown(self) -> Shown {
        match self {
            Self::Answers(404) => Shown::Denial,
            Self::AnnouncesTooLittle => Shown::Garbled,
            Self::OutOfOrder | Self::IgnoresMarker | Self::Repeats | Self::ForeignNext => Shown::Truth,
            _ => Shown::Silence,
        }
    }

    /// Whether it hides that a backend does not hold an image.
    pub(crate) fn hides_absence(self) -> bool {
        self.shown() == Shown::Silence
    }

    /// Whether it is only seen by waiting, so that the backend's deadline decides.
    pub(crate) const fn hangs(self) -> bool {
        matches!(self, Self::OneByteASecond | Self::SilentAtOnce | Self::SilentBehindHead)
    }

    /// Whether a list may find a backend in this state, once it has been found to fail a few times.
    pub(crate) fn allows_later(self, state: SourceState) -> bool {
        self.allows(state) || (state == Open && self.listed() != Listed::Whole)
    }

    /// Whether the first list may find a backend in this state.
    pub(crate) fn allows(self, state: SourceState) -> bool {
        match self.listed() {
            Listed::Absent(states) => states.contains(&state),
            Listed::Whole => state == Ok,
            Listed::Either => matches!(state, Ok | Error),
        }
    }
}
