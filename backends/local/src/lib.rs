//! Images in a directory: data as files, metadata in SQLite.
//!
//! ```text
//! <path>/lock                  held while a process uses the directory
//! <path>/catalogue.sqlite3     every record: images, tags, properties, members, ids of deleted images
//! <path>/data/<id>             the data of an image, whole
//! <path>/incoming/<random>     data on its way in
//! <path>/reserve               room for deleting images when the disk is full
//! ```
//!
//! The catalogue is the truth, and one transaction in it is the moment at which an image becomes active or goes.
//! Data is written under `incoming`, hashed in passing, made durable and moved to `data` before that moment;
//! it is removed from `data` after the moment at which its image goes. So a process can die anywhere: what it
//! leaves is at worst a file that no active image owns, and [`open`] removes those.
//!
//! | part | what it does |
//! |---|---|
//! | `local` | the seven verbs, async: who waits for what, and on which thread |
//! | `intake`, `outlet` | a stream into a file, a file into a stream, both with flat memory |
//! | `piece`, `incoming` | bytes put together, and the file they go to until it is moved |
//! | `store`, `claim` | what the verbs do, one blocking step each |
//! | `directory` | files: layout, names, lock, durability |
//! | `reserve` | room kept back |
//! | `recovery` | what a process that died has left |
//!
//! The catalogue is one of [`portico_catalogue`]: filters, sorting, tenancy and paging are done by SQL.
//!
//! This crate must not know other backends, what is above it, or any client's dialect.

mod claim;
mod directory;
mod failure;
mod incoming;
mod intake;
mod local;
mod options;
mod outlet;
mod piece;
mod recovery;
mod reserve;
mod steps;
mod store;

#[cfg(test)]
mod tests;

pub use local::{Local, open};
pub use options::Options;
pub use portico_catalogue::Durability;
