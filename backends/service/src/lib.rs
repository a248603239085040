//! The contract every image store fulfils.
//!
//! [`ImageService`] is one async trait with the seven verbs of OpenStack Nova's 2011 `BaseImageService`:
//! `index`, `detail`, `show`, `get`, `create`, `update`, `delete`. A directory, a remote service and a federation
//! of others are all behind it, and none of them can be told from another but by its [`Capabilities`].
//!
//! | part | what it holds |
//! |---|---|
//! | [`ImageService`], [`Sharing`], [`Stores`], [`Locations`] | the verbs, and three optional powers |
//! | [`Image`], [`NewImage`], [`ImageChange`], [`Member`] | the nouns, and the rules of their lives |
//! | [`Query`], [`Filter`], [`Sort`], [`Page`] | lists, in one total order |
//! | [`Download`], [`Upload`], [`Digester`], [`Measure`] | data, streamed and hashed in passing |
//! | [`Context`], [`Caller`], [`access`] | on whose behalf, and what that allows |
//! | [`Error`], [`ErrorKind`] | what can go wrong |
//!
//! With the feature `conformance` there is also a suite that checks each promise of the trait on any service.
//!
//! This crate must not know HTTP, configuration files, which stores exist, or that some are made of others.
//!
//! ## Where this departs from 2011
//!
//! Deleted images are never shown, so the base attributes `deleted` and `deleted_at` are gone; `is_public` grew
//! into [`Visibility`]. `get` returns a stream instead of writing to a file. What was called `Duplicate` is
//! [`ErrorKind::AlreadyExists`], the name that the documentation always used.

pub mod access;
mod capabilities;
mod change;
mod context;
mod data;
mod digest;
mod emulation;
mod error;
mod filter;
mod hash;
mod id;
mod image;
mod locations;
mod query;
mod service;
mod sharing;
mod sort;
mod stores;
mod timestamp;
mod words;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use capabilities::{Capabilities, Support};
pub use change::{Edit, ImageChange, MOST_PER_IMAGE, NewImage};
pub use context::{Caller, Context, Partial, Secret};
pub use data::{ByteRange, ByteStream, Data, Download, FilePart, Upload};
pub use digest::{Digester, Digests, HASH_ALGORITHM, Measure};
pub use emulation::detail_by_show;
pub use error::{Error, ErrorKind, Origin, Result};
pub use filter::{Comparison, Field, Filter};
pub use hash::{HashAlgorithm, Hasher};
pub use id::ImageId;
pub use image::{Image, MultiHash, Properties, Status, Summary, Visibility};
pub use locations::{Known, Location, Locations, MOST_LOCATIONS, NewLocation};
pub use query::{MemberScope, Page, Query, Resume, Scope, SourceReport, SourceState, VisibilityScope};
pub use service::ImageService;
pub use sharing::{Member, MemberStatus, Sharing};
pub use sort::{Direction, Position, Sort, SortKey, SortValue};
pub use stores::{Store, Stores};
pub use timestamp::Timestamp;
