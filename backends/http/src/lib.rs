//! Images behind HTTP: a remote image service as a backend.
//!
//! A remote service speaks a dialect. There is one module for each [`Dialect`], and what they share is how to
//! call a server that may be slow, wrong or gone: [`Options`] name every bound, `upstream` keeps them, and
//! `fault` turns what comes back into the contract's errors. `incoming` and `outgoing` carry image data, and
//! `listing` makes our pages out of lists of servers that sort by little.
//!
//! | dialect | the service | what it does |
//! |---|---|---|
//! | `glance-v2` | the OpenStack Image API v2 as real Glance services answer it, quirks included | everything |
//! | `glance-v1` | the Images API v1, as Glance spoke it until 2018 | all that its headers can hold; members, no answers |
//! | `compute-images` | the images of the OpenStack Compute API, `/v2.1/images` | shows records; no data, no writes |
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
mod compute_images;
mod fault;
mod glance_v1;
mod glance_v2;
mod incoming;
mod key;
mod listing;
mod options;
mod outgoing;
mod upstream;
mod writes;

use std::sync::Arc;

use image_service::{ImageService, Result};

pub use compute_images::ComputeImages;
pub use glance_v1::GlanceV1;
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
        Dialect::GlanceV1 => Ok(Arc::new(GlanceV1::open(name, options).await?)),
        Dialect::ComputeImages => Ok(Arc::new(ComputeImages::open(options).await?)),
    }
}
