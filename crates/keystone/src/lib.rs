//! A small client of Keystone v3: tokens of our own, whom other tokens stand for, and limits.
//!
//! A [`Session`] speaks to one Keystone with one [`Credential`]. It gets a token with it when one is needed, once for
//! all who wait; gets the next one before the old one ends; and gets another, once, when Keystone no longer takes the
//! one it has. With it the session asks whom a token stands for, and gives it to whoever speaks to other services.
//!
//! Keystone's silence is one thing and its no another. That a token is not valid is an answer, `None`; that nobody can
//! say so is a [`Failure`], and must never be taken for a no.
//!
//! Every wait and every answer has a bound, which [`Options`] name. Redirects are not followed: a token goes to the
//! configured server alone. No secret is printed, in whatever way any of this is printed.
//!
//! This crate must not know images, who asks for what and why, or how a configuration is written.

mod address;
mod credential;
mod failure;
mod identity;
mod limits;
mod options;
mod own;
mod session;
mod wire;

pub use address::Address;
pub use credential::{Credential, Domain, Project, Scope, User};
pub use failure::{Failure, Unusable};
pub use identity::{Identity, Named, Reach};
pub use limits::Limits;
pub use options::Options;
pub use session::{Late, Session};
