//! Images behind HTTP: a remote image service, or a published catalogue, as a backend.
//!
//! A server speaks a dialect, and there is one module for each. What they share is how to call a server that may be
//! slow, wrong or gone: the options name every bound, `client` connects, `body` and `outgoing` carry image data, and
//! `fault` turns what comes back into the contract's errors.
//!
//! | dialect | what is behind | what it does | options |
//! |---|---|---|---|
//! | `glance-v2` | the OpenStack Image API v2 as real Glance services answer it, quirks included | everything | [`Options`] |
//! | `glance-v1` | the Images API v1, as Glance spoke it until 2018 | all that its headers can hold; members, no answers | [`Options`] |
//! | `compute-images` | the images of the OpenStack Compute API, `/v2.1/images` | shows records; no data, no writes | [`Options`] |
//! | `simplestreams` | the catalogue of a mirror such as Ubuntu's cloud images | reads | [`PublishedOptions`] |
//! | `virt-builder` | the catalogue of libguestfs | reads | [`PublishedOptions`] |
//! | `directory` | a directory as nginx and Apache list it, with checksum files | reads | [`PublishedOptions`] |
//!
//! A service is asked for each list anew (`upstream`), and `listing` makes our pages out of lists of servers that sort by
//! little. A published catalogue is a few documents, which are fetched, verified and kept, and lists are made of what is
//! in memory (`published`).
//!
//! ```toml
//! kind = "http"
//! options = { dialect = "glance-v2", endpoint = "https://images.paris.example:9292", auth = { kind = "none" } }
//! ```
//!
//! ```toml
//! kind = "http"
//! options = { dialect = "simplestreams", endpoint = "https://mirror.example/releases", keyring = "./mirror.gpg" }
//! ```
//!
//! What a server writes in its errors, and where it lives, is for the operator alone: it is in the source of an
//! [`image_service::Error`], never in its message.
//!
//! This crate must not know other backends, how a configuration is written, or how clients are answered.

mod body;
mod client;
mod compute_images;
mod directory;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod glance_v1;
mod glance_v2;
mod key;
mod keys;
mod listing;
mod members;
mod options;
mod outgoing;
mod published;
mod simplestreams;
mod upstream;
mod virt_builder;
mod writes;

use std::sync::Arc;

use image_service::{ImageService, Result};

pub use compute_images::ComputeImages;
pub use glance_v1::GlanceV1;
pub use glance_v2::GlanceV2;
pub use options::{Auth, Dialect, Options, TextOrder};
pub use published::{Hashes, PublishedDialect, PublishedOptions};

use directory::Directory;
use published::{Published, Trust};
use simplestreams::Simplestreams;
use virt_builder::VirtBuilder;

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

/// Makes the backend called `name` that reads the catalogue published at [`PublishedOptions::endpoint`], and nothing
/// else.
///
/// Nothing is asked of the source yet.
///
/// # Errors
/// `Invalid` if a file that the options name cannot be used, or one is named without the other that it needs.
pub async fn open_published(name: &str, options: PublishedOptions) -> Result<Arc<dyn ImageService>> {
    let trust = Trust::open(options.keyring.as_deref(), options.look).await?;
    match options.dialect {
        PublishedDialect::Simplestreams => {
            let dialect = Simplestreams::new(name, &options, trust);
            Ok(Arc::new(Published::open(name, &options, dialect).await?))
        }
        PublishedDialect::VirtBuilder => {
            let dialect = VirtBuilder::new(name, &options, trust);
            Ok(Arc::new(Published::open(name, &options, dialect).await?))
        }
        PublishedDialect::Directory => Ok(Arc::new(Directory::open(name, &options, trust).await?)),
    }
}
