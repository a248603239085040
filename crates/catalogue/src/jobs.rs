//! Jobs in the catalogue of a store: one transaction or one snapshot each, in their lanes.

use std::sync::Arc;

use image_service::{Context, Result};
use rusqlite::Connection;

use crate::catalogue::Catalogue;
use crate::fault::Fault;
use crate::lanes::Lanes;

/// A store that keeps its records in a catalogue, with whatever else it is made of.
pub trait Keeper: Send + Sync + 'static {
    /// The catalogue.
    fn catalogue(&self) -> &Catalogue;
}

/// Does jobs in the catalogue of a store, which lives as long as a job is at work. It shares the store's images:
/// the power [`image_service::Sharing`] needs no more than the records.
#[derive(Debug)]
pub struct Jobs<S> {
    store: Arc<S>,
    lanes: Arc<Lanes>,
}

impl<S: Keeper> Jobs<S> {
    /// Jobs for `store`, whose catalogue has so many readers.
    pub fn new(store: S, readers: usize) -> Self {
        Self { store: Arc::new(store), lanes: Arc::new(Lanes::new(readers)) }
    }

    /// The store.
    pub const fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// Who may block, and when.
    pub const fn lanes(&self) -> &Arc<Lanes> {
        &self.lanes
    }

    /// Does `job` on a snapshot of the catalogue.
    ///
    /// # Errors
    /// The job's; `TimedOut` at the request's deadline; `Unavailable` if the store is closing.
    pub async fn read<T: Send + 'static>(
        &self,
        context: &Context,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        self.lanes.read(context.deadline, move |unwanted| store.catalogue().read(unwanted, job)).await
    }

    /// Does `job` in one transaction: all of it, or nothing if it fails. Once begun it runs to its end, awaited or not.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn write<T: Send + 'static>(
        &self,
        context: &Context,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        self.lanes
            .write(context.deadline, move |turn| {
                let answer = store.catalogue().write(|transaction| job(transaction));
                drop(turn);
                answer
            })
            .await
    }
}
