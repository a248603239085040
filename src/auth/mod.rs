//! Who is asking: turns the head of a request into a [`Caller`], or into a [`Refusal`].
//!
//! This is all that the front door asks of authentication, so that it can be done in any way. Who asks is
//! established here, before any store is called, and believed by all that follows. It must not know routes,
//! images or stores.

pub mod keystone;
pub mod none;
pub mod tokens;

use std::fmt;

use async_trait::async_trait;
use image_service::Caller;

/// Establishes callers.
#[async_trait]
pub trait Auth: Send + Sync + fmt::Debug {
    /// Tells who sent a request with these headers.
    ///
    /// # Errors
    /// A [`Refusal`] if the headers do not prove it, or nobody can say whether they do.
    async fn caller(&self, headers: &http::HeaderMap) -> Result<Caller, Refusal>;
}

/// Why a request is not let in, in one sentence for the client.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// It does not prove who asks. It is answered with 401.
    Unknown {
        /// What is wrong.
        message: String,
        /// What to send as `WWW-Authenticate`.
        challenge: Option<http::HeaderValue>,
    },
    /// Whoever knows does not say now who asks. It is answered with 503, never with 401: a client that hears that its
    /// token is worthless throws it away.
    Silent(String),
}

/// The header that carries a token.
const TOKEN_HEADER: &str = "x-auth-token";
