//! `tenancy` of a backend: who sees its images, and what projects are called there.

use std::collections::BTreeMap;

use image_service::Visibility;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::document::{Document, Place};

/// Most projects that are named for one backend.
const MOST: usize = 100_000;

/// Most characters in the name of a project, as the Image API has it.
const LONGEST: usize = 255;

/// `tenancy` of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenancyOfBackend {
    /// No image of the backend is shown with a wider visibility: `public`, `community`, `shared` or `private`. Default:
    /// `public`, and each is shown as it is.
    #[serde(deserialize_with = "visibility")]
    pub ceiling: Visibility,
    /// What a project is called there, by the name that it has here. Default: none is called otherwise.
    pub projects: BTreeMap<String, String>,
    /// What becomes of projects that are not among these. Default: `same`.
    pub others: OtherProjects,
}

impl Default for TenancyOfBackend {
    fn default() -> Self {
        let (projects, others) = (BTreeMap::new(), OtherProjects::default());
        Self { ceiling: Visibility::Public, projects, others }
    }
}

/// What becomes of projects that are not named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtherProjects {
    /// They have the same name on both sides, unless another project has it there.
    #[default]
    Same,
    /// They have nothing to do with each other.
    Apart,
}

impl TenancyOfBackend {
    /// Notes every fault in it, for a backend of this name.
    pub(super) fn check(&self, backend: &str, place: &Place, document: &mut Document<'_>) {
        let place = place.then("projects");
        if self.projects.len() > MOST {
            document.fault(&place, format!("must not be more than {MOST}"));
        }
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        for (here, there) in &self.projects {
            let place = place.then(here.as_str());
            for name in [here, there] {
                let length = name.chars().count();
                if length == 0 || length > LONGEST || name.chars().any(char::is_control) {
                    let message =
                        format!("'{}' must have 1 to {LONGEST} printable characters", name.escape_debug());
                    document.fault(&place, message);
                }
            }
            if here.strip_prefix(backend).is_some_and(|rest| rest.starts_with(':')) {
                let message =
                    format!("'{here}' must not begin with '{backend}:', as projects do that only it has");
                document.fault(&place, message);
            }
            if let Some(first) = known.insert(there, here) {
                document.fault(&place, format!("'{there}' is already what '{first}' is called there"));
            }
        }
    }
}

fn visibility<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Visibility, D::Error> {
    let text = String::deserialize(deserializer)?;
    let words: Vec<&str> = Visibility::ALL.iter().map(|visibility| visibility.as_str()).collect();
    text.parse().map_err(|_| D::Error::custom(format!("'{text}' is not one of {}", words.join(", "))))
}
