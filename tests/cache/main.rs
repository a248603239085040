//! The cache gives the data that the stores would give, to whom they would give it, and asks them once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod fills;
mod remote;
mod rights;
mod room;
mod silence;
mod site;
mod upstream;

use image_service::conformance::Fixture;

use site::Site;

/// The images as the cache shows them keep every promise of the contract.
async fn cached() -> Fixture {
    let site = Site::open().await;
    Fixture::new(std::sync::Arc::clone(&site.shown)).keeping(site)
}

image_service::conformance!(cached);
