//! Images whose data lies elsewhere, at http and https URLs; their records in SQLite.
//!
//! ```text
//! <path>/catalogue.sqlite3     every record: images, tags, properties, members, locations, ids of deleted images
//! ```
//!
//! Records are made and changed as in any store. No data is taken: an image becomes active when it is said where its
//! data lies ([`image_service::Locations`]), and it stays there when the image is deleted. What is read is held to the
//! size and the hashes of the image, and several locations of one image are tried in their order.
//!
//! A URL is fetched as [`portico_fetch`] does it, and only from where its settings allow. A location that fails is no
//! fault of the store: it may be anybody's server.
//!
//! All state is in the catalogue and each change is one transaction, so several processes may use one directory.
//!
//! | part | what it does |
//! |---|---|
//! | `web` | the seven verbs |
//! | `power` | locations: looked at, added, arranged, removed |
//! | `rows` | locations as rows |
//! | `outlet` | data from a location, held to what is known of it |
//!
//! This crate must not know other backends, what is above it, or any client's dialect.

mod options;
mod outlet;
mod power;
mod rows;
mod store;
mod web;

pub use options::Options;
pub use portico_catalogue::Durability;
pub use portico_fetch::Settings;
pub use web::{Web, open};
