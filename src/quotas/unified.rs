//! Limits that Keystone keeps: its unified limits.

use std::sync::Arc;

use async_trait::async_trait;
use image_service::{Error, ErrorKind, Result};
use portico_keystone::Session;

use super::{LimitSource, Limits, Resource};

/// Asks Keystone at each question, so that a limit that is changed holds at once.
#[derive(Debug)]
pub struct Unified {
    /// How Keystone is asked. Its credential must let it see the limits of every project.
    pub session: Arc<Session>,
    /// The type that the catalogue has for this service.
    pub service_type: String,
    /// The region whose limits hold. Those of no region hold where it has none.
    pub region: Option<String>,
    /// What holds where Keystone has no limit.
    pub otherwise: Limits,
}

#[async_trait]
impl LimitSource for Unified {
    async fn limits(&self, project: &str) -> Result<Limits> {
        let limits = self.session.limits(&self.service_type, self.region.as_deref(), project).await;
        let limits = limits.map_err(|source| {
            Error::new(ErrorKind::Unavailable, "what the project may have cannot be found out")
                .with_source(source)
        })?;
        // Less than nothing is as much as it likes.
        let on = |resource: Resource| match limits.on(resource.name()) {
            Some(limit) => u64::try_from(limit).ok(),
            None => self.otherwise.on(resource),
        };
        Ok(Limits {
            size_total: on(Resource::SizeTotal),
            stage_total: on(Resource::StageTotal),
            count_total: on(Resource::CountTotal),
            count_uploading: on(Resource::CountUploading),
        })
    }
}
