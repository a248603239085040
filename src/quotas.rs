//! How much a project may have: four quotas with the names and units that Glance gives them.
//!
//! What is used is counted anew at each question, by listing the project's images; what is allowed comes from a
//! [`LimitSource`]. As in Glance the size of what is about to come counts for nothing, for it need not be known: a
//! project can go over a quota of bytes once, and then no further. Two requests at once can both find the last place
//! free. What a silent backend holds is not counted. A caller without a project has no quotas.
//!
//! It must not know HTTP, or where limits are kept.

mod unified;
mod usage;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use image_service::{Context, Error, ErrorKind, ImageService, Result};

pub use unified::Unified;
pub use usage::Used;

/// Something of which a project may have so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// MiB of data, counted once for each store that has it.
    SizeTotal,
    /// MiB of data that is staged for imports.
    StageTotal,
    /// Images.
    CountTotal,
    /// Images with data on its way.
    CountUploading,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SizeTotal, Self::StageTotal, Self::CountTotal, Self::CountUploading];

    /// What Glance, and Keystone's unified limits, call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SizeTotal => "image_size_total",
            Self::StageTotal => "image_stage_total",
            Self::CountTotal => "image_count_total",
            Self::CountUploading => "image_count_uploading",
        }
    }
}

/// How much of everything one project may have. `None` is as much as it likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// MiB of data.
    pub size_total: Option<u64>,
    /// MiB of staged data.
    pub stage_total: Option<u64>,
    /// Images.
    pub count_total: Option<u64>,
    /// Images with data on its way.
    pub count_uploading: Option<u64>,
}

impl Limits {
    /// The limit on one resource.
    #[must_use]
    pub const fn on(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::SizeTotal => self.size_total,
            Resource::StageTotal => self.stage_total,
            Resource::CountTotal => self.count_total,
            Resource::CountUploading => self.count_uploading,
        }
    }
}

/// Knows what projects may have.
#[async_trait]
pub trait LimitSource: Send + Sync + fmt::Debug {
    /// Tells the limits of a project as they are now.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be found out.
    async fn limits(&self, project: &str) -> Result<Limits>;
}

/// The same limits for every project.
#[async_trait]
impl LimitSource for Limits {
    async fn limits(&self, _: &str) -> Result<Self> {
        Ok(*self)
    }
}

/// What is about to be done, as far as quotas go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A record is made.
    Create,
    /// Data comes to a store.
    Upload,
    /// Data comes to the staging area.
    Stage,
    /// Data comes from elsewhere, by way of the staging area.
    Import,
    /// Staged data, which counts already, goes to a store.
    ImportStaged,
}

impl Purpose {
    /// The resources that bear on it, each with how much more of it there will be, as far as that counts.
    const fn asks(self) -> &'static [(Resource, u64)] {
        match self {
            Self::Create => &[(Resource::CountTotal, 1)],
            Self::Upload => &[(Resource::SizeTotal, 0), (Resource::CountUploading, 1)],
            Self::Stage => &[(Resource::StageTotal, 0), (Resource::CountUploading, 1)],
            Self::Import => {
                &[(Resource::SizeTotal, 0), (Resource::StageTotal, 0), (Resource::CountUploading, 1)]
            }
            Self::ImportStaged => &[(Resource::SizeTotal, 0)],
        }
    }
}

/// Lets projects do what their quotas leave room for.
#[derive(Debug, Clone)]
pub struct Quotas {
    source: Arc<dyn LimitSource>,
}

impl Quotas {
    /// Quotas by the limits that `source` tells.
    pub fn new(source: Arc<dyn LimitSource>) -> Self {
        Self { source }
    }

    /// Lets the caller's project do so.
    ///
    /// # Errors
    /// `TooLarge`, naming the quota, if it has too much already; whatever keeps limits or images from being known.
    pub async fn admit(&self, service: &dyn ImageService, context: &Context, purpose: Purpose) -> Result<()> {
        let Some(project) = &context.caller.project else { return Ok(()) };
        let limits = self.source.limits(project).await?;
        if purpose.asks().iter().all(|(resource, _)| limits.on(*resource).is_none()) {
            return Ok(());
        }
        let used = usage::of(service, context, project).await?;
        for (resource, more) in purpose.asks() {
            let Some(limit) = limits.on(*resource) else { continue };
            let used = used.of(*resource);
            if used.saturating_add(*more) > limit {
                let name = resource.name();
                let message =
                    format!("quota exceeded: {name} is {limit} for this project and {used} are used");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
        }
        Ok(())
    }

    /// How much of everything the caller's project has and may have. Nothing for a caller without a project.
    ///
    /// # Errors
    /// Whatever keeps limits or images from being known.
    pub async fn usage(
        &self,
        service: &dyn ImageService,
        context: &Context,
    ) -> Result<Option<(Used, Limits)>> {
        let Some(project) = &context.caller.project else { return Ok(None) };
        let limits = self.source.limits(project).await?;
        Ok(Some((usage::of(service, context, project).await?, limits)))
    }
}
