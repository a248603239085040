//! The Image API as clients see it: requests in, answers out, with real services behind it.
#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test that wants it")]

mod cache;
mod compute;
mod data;
mod discovery;
mod door;
mod flawed;
mod formats;
mod images;
mod imports;
mod lists;
mod locations;
mod logs;
mod members;
mod metadefs;
mod noise;
mod paper;
mod quotas;
mod rules;
#[path = "../served/mod.rs"]
mod served;
mod stores;
mod streams;
mod v1;
