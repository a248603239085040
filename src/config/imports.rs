//! `[imports]`: how data comes to images by other ways than one upload.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytesize::ByteSize;
use portico_fetch::Settings as FetchSettings;
use serde::Deserialize;

use crate::document::{Document, Place};
use crate::imports::{Method, Settings};

/// `[imports]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImportSettings {
    /// The methods that are served: `glance-direct`, `web-download`, `copy-image`, `glance-download`. They need the
    /// directory of `[state]`. Default: the first three, as with Glance.
    pub methods: Vec<Method>,
    /// The region in which `glance-download` finds images of any store here; any other region that a client names is the
    /// name of a store. Default: none.
    pub region: Option<String>,
    /// How the properties begin that `glance-download` takes over from the other image. Default: `hw_`, `trait:`,
    /// `os_distro`, `os_secure_boot` and `os_type`, as with Glance.
    pub copied_properties: Vec<String>,
    /// How many imports are at work at once. Default: 4.
    pub jobs: NonZeroUsize,
    /// Most imports that wait or are at work. Default: 1000.
    pub waiting: NonZeroUsize,
    /// How often an import is begun when the process ends in the middle of it, before it fails. Default: 3.
    pub attempts: u32,
    /// Most images with staged data. Default: 1000.
    pub staged: NonZeroUsize,
    /// Most bytes of staged data, all together. Default: 1 TiB.
    pub staging: ByteSize,
    /// How long staged data waits to be imported. Default: 2 days.
    #[serde(with = "humantime_serde")]
    pub staging_age: Duration,
    /// Most tasks that are remembered; of those that have ended, the oldest are forgotten first. Default: 10 000.
    pub tasks: NonZeroUsize,
    /// How long a task is remembered after its end. Default: 2 days.
    #[serde(with = "humantime_serde")]
    pub task_age: Duration,
    /// From where `web-download` fetches, and how much.
    pub web: FetchSettings,
}

impl Default for ImportSettings {
    fn default() -> Self {
        let Settings {
            methods,
            region,
            copied_properties,
            jobs,
            waiting,
            attempts,
            staged,
            staging,
            staging_age,
            tasks,
            task_age,
            web,
            hash_locations: _,
        } = Settings::default();
        let staging = ByteSize::b(staging);
        Self {
            methods,
            region,
            copied_properties,
            jobs,
            waiting,
            attempts,
            staged,
            staging,
            staging_age,
            tasks,
            task_age,
            web,
        }
    }
}

impl ImportSettings {
    /// The same for the imports themselves, which read locations if `hash_locations` says so.
    #[must_use]
    pub fn settings(&self, hash_locations: bool) -> Settings {
        Settings {
            methods: self.methods.clone(),
            region: self.region.clone(),
            copied_properties: self.copied_properties.clone(),
            jobs: self.jobs,
            waiting: self.waiting,
            attempts: self.attempts,
            staged: self.staged,
            staging: self.staging.as_u64(),
            staging_age: self.staging_age,
            tasks: self.tasks,
            task_age: self.task_age,
            web: self.web.clone(),
            hash_locations,
        }
    }

    /// Notes every fault that a type cannot find.
    pub(super) fn check(&self, place: &Place, document: &mut Document<'_>) {
        if self.attempts == 0 {
            document.fault(&place.then("attempts"), "must be 1 or more");
        }
        for (number, method) in self.methods.iter().enumerate() {
            if self.methods.iter().take(number).any(|earlier| earlier == method) {
                document.fault(&place.then("methods"), format!("names {method} twice"));
            }
        }
        for (key, time) in [("staging_age", self.staging_age), ("task_age", self.task_age)] {
            if time < Duration::from_secs(60) || time > Duration::from_secs(365 * 24 * 3600) {
                document.fault(&place.then(key), "must be from 1 minute to 365 days");
            }
        }
    }
}
