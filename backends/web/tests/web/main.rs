//! The store, with a server on this machine where data lies.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

mod conformance;
mod locations;
mod server;
