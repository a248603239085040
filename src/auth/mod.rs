//! Who is asking: turns the head of a request into a [`Caller`], or into a [`Refusal`].
//!
//! This is all that the front door asks of authentication, so that it can be done in any way. Who asks is
//! established here, before any store is called, and believed by all that follows. It must not know routes,
//! images or stores.

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
    /// A [`Refusal`] if the headers do not prove it.
    async fn caller(&self, headers: &http::HeaderMap) -> Result<Caller, Refusal>;
}

/// Why a request is not let in. It is answered with 401.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// One sentence for the client.
    pub message: String,
    /// What to send as `WWW-Authenticate`.
    pub challenge: Option<http::HeaderValue>,
}

/// The header that carries a token.
const TOKEN_HEADER: &str = "x-auth-token";
