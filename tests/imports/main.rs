//! Imports do what was asked or leave things as they were, also over the end of the process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod gated;
mod methods;
mod restarts;
mod site;
mod staging;
mod web;

use image_service::conformance::Fixture;

use site::Site;

/// The images as imports show them keep every promise of the contract.
async fn shown() -> Fixture {
    let site = Site::open().await;
    Fixture::new(std::sync::Arc::clone(&site.shown)).keeping(site)
}

image_service::conformance!(shown);
