//! Records of images in SQLite, for the backends that keep their own.
//!
//! | part | what it does |
//! |---|---|
//! | [`Catalogue`] | one file: connections, schema, transactions |
//! | [`Jobs`], [`Lanes`] | jobs in it, async: who waits for what, and on which thread; and [`image_service::Sharing`] |
//! | [`find`], [`visible`], [`changeable`] | an image, for a caller who may see or change it |
//! | [`find_image`], [`insert_image`], [`replace_image`], [`delete_image`] | images as rows |
//! | [`Select`] | a query as SQL: filters, sorting, tenancy and paging, exactly as the contract's pure rules say |
//! | [`members_of`], [`find_member`], [`add_member`], [`set_member_status`], [`remove_member`] | members as rows |
//! | [`bounds`] | the bounds of settings, for options |
//! | [`Fault`] | what ends a job |
//!
//! A backend may keep tables of its own beside these: it names the steps of its schema, of which [`IMAGES`] is the
//! first.
//!
//! This crate must not know where the data of images is, or who keeps it.

pub mod bounds;
mod catalogue;
mod fault;
mod jobs;
mod keyset;
mod lanes;
mod list;
mod members;
mod records;
mod schema;
mod sharing;
mod tenancy;
#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Durability, Settings};
pub use fault::{Fault, closed, lost};
pub use jobs::{Jobs, Keeper};
pub use lanes::{Lanes, Running, Turn};
pub use list::Select;
pub use members::{add_member, find_member, members_of, membership, remove_member, set_member_status};
pub use records::{
    Wanted, delete_image, find_image, for_each_with_data, forget_deleted, insert_image, is_taken, must_find,
    replace_image, saving,
};
pub use schema::IMAGES;
pub use tenancy::{changeable, find, taken, visible};
