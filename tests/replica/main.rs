//! Two backends side by side: compared, and one copied to the other, whatever comes in between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod comparing;
mod copying;
mod interrupted;
mod program;
mod stage;
mod strange;
