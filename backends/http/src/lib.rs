//! Images behind HTTP: a remote image service as a backend.
//!
//! A remote service speaks a dialect. There is one module for each [`Dialect`], and what they share is how to
//! call a server that may be slow, wrong or gone: [`Options`] name every bound, `upstream` keeps them, and
//! `fault` turns what comes back into the contract's errors. The first dialect is `glance-v2`, the OpenStack
//! Image API v2 as real Glance services answer it, quirks included.
//!
//! ```toml
//! kind = "http"
//! options = { dialect = "glance-v2", endpoint = "https://images.paris.example:9292", auth = { kind = "none" } }
//! ```
//!
//! What a server writes in its errors, and where it lives, is for the operator alone: it is in the source of an
//! [`image_service::Error`], never in its message.
//!
//! This crate must not know other backends, how a configuration is written, or how clients are answered.

mod client;
mod fault;
mod glance_v2;
mod incoming;
mod key;
mod options;
mod outgoing;
mod upstream;
mod writes;

use std::sync::Arc;

use image_service::{ImageService, Result};

pub use glance_v2::GlanceV2;
pub use options::{Auth, Dialect, Options, TextOrder};

/// Makes the backend called `name` that talks to the service at [`Options::endpoint`].
///
/// Nothing is asked of the service yet: one that is down now may be up when the first request comes.
///
/// # Errors
/// `Invalid` if options contradict each other, or a file or variable that they name cannot be read.
pub async fn open(name: &str, options: Options) -> Result<Arc<dyn ImageService>> {
    match options.dialect {
        Dialect::GlanceV2 => Ok(Arc::new(GlanceV2::open(name, options).await?)),
    }
}
