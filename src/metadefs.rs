//! The catalogue of metadata definitions: which properties images, volumes and other resources may carry, and what
//! they mean.
//!
//! A *namespace* holds *properties*, *objects* (groups of properties) and *tags*, and says by *associations* to which
//! *resource types* they apply, and with which prefix. Nothing here looks at images: people and their tools read the
//! definitions, and nobody enforces them.
//!
//! | file | what it knows |
//! |---|---|
//! | `model` | the nouns |
//! | `fields`, `reading` | JSON → nouns, or every fault in it |
//! | `rules` | who sees a namespace, what may be removed, how much there may be. Pure |
//! | `store` | SQLite: one file, one writer, readers beside it, jobs in one transaction each |
//! | `session` | what can be asked and changed within one job |
//! | `files` | definitions in files, put into the store |
//!
//! This room must not know HTTP, or which role may do what: whoever asks has been let in.

mod fields;
pub mod files;
mod model;
mod reading;
mod rules;
mod session;
mod store;

use std::path::PathBuf;
use std::sync::Arc;

use image_service::{Caller, Error, ErrorKind, Result};
use tokio::sync::Semaphore;

pub use model::{
    Association, Contents, Entry, Listed, Namespace, NamespaceKey, NamespaceList, Object, ObjectFields,
    Order, Properties, Schema, TagKey, TagList, Visibility, Whole,
};
pub use reading::{Read, TYPES};
pub use rules::{Bounds, LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_OWNER};
pub use session::{Part, Session, TagsChange};
pub use store::Store;

/// The name of the store's file in the directory of the service's state.
pub const FILE: &str = "metadefs.db";

/// The catalogue, for callers that must not block.
#[derive(Debug, Clone)]
pub struct Metadefs {
    store: Arc<Store>,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl Metadefs {
    /// Opens the store at `path`, and makes it if it is not there.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be used, or is of a later version of this program.
    pub async fn open(path: PathBuf, bounds: Bounds) -> Result<Self> {
        let store = blocking(move || Store::open(&path, bounds)).await?;
        let (reads, writes) = (Semaphore::new(bounds.readers.get()), Semaphore::new(1));
        Ok(Self { store: Arc::new(store), reads: Arc::new(reads), writes: Arc::new(writes) })
    }

    /// How much there may be.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        self.store.bounds()
    }

    /// Does `job` on one state of the catalogue, as `caller` sees it. Waits while others read, never for a write.
    ///
    /// # Errors
    /// Those of the job, and `Unavailable` if the store cannot be read.
    pub async fn read<T, J>(&self, caller: &Caller, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce(&Session<'_>) -> Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.reads).acquire_owned().await.map_err(|_| closed())?;
        let (store, caller) = (Arc::clone(&self.store), caller.clone());
        blocking(move || {
            let _permit = permit;
            store.read(&caller, job)
        })
        .await
    }

    /// Does `job` in one transaction, all of it or nothing if it fails. Once begun it ends, also when nobody waits for it
    /// any more. Waits for other writes.
    ///
    /// # Errors
    /// Those of the job, and `Unavailable` if the store cannot be written.
    pub async fn write<T, J>(&self, caller: &Caller, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce(&Session<'_>) -> Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.writes).acquire_owned().await.map_err(|_| closed())?;
        let (store, caller) = (Arc::clone(&self.store), caller.clone());
        blocking(move || {
            let _permit = permit;
            store.write(&caller, job)
        })
        .await
    }
}

/// Runs `work` where it may wait for files.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let lost = |error: tokio::task::JoinError| {
        Error::new(ErrorKind::Internal, "the catalogue of metadata definitions gave up in the middle")
            .with_source(error)
    };
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the catalogue of metadata definitions is closing")
}
