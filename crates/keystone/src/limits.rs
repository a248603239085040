//! Unified limits: how much of a service's resources a project may have.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Session};

/// What Keystone has registered for a service, and what holds instead for one project. In the service's own units;
/// less than nothing is as much as the project likes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits(BTreeMap<String, i64>);

impl Limits {
    /// The limit on a resource: the project's own, else the one that is registered for all; `None` if there is neither.
    #[must_use]
    pub fn on(&self, resource: &str) -> Option<i64> {
        self.0.get(resource).copied()
    }
}

#[derive(Deserialize)]
struct Services {
    services: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    id: String,
}

#[derive(Deserialize)]
struct Registered {
    registered_limits: Vec<Limit>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct OfProject {
    limits: Vec<Limit>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct Limit {
    resource_name: String,
    #[serde(alias = "default_limit", alias = "resource_limit")]
    limit: i64,
    #[serde(default)]
    region_id: Option<String>,
    #[serde(default)]
    project_id: Option<String>,
}

impl Session {
    /// Tells the limits of `project` on what the service of type `service_type` has: those of `region`, and those of no
    /// region where the region has none. Of a service that the catalogue does not know there are none.
    ///
    /// Our own credential must let us see other projects' limits, as the role `reader` in the system scope does. With
    /// less Keystone tells only of our own project, and keeps quiet about that.
    ///
    /// # Errors
    /// If Keystone does not say.
    pub async fn limits(
        &self,
        service_type: &str,
        region: Option<&str>,
        project: &str,
    ) -> Result<Limits, Failure> {
        let Services { services } = self.decoded("services", &[("type", service_type)]).await?;
        let Some(Service { id }) = services.first() else { return Ok(Limits::default()) };
        let Registered { registered_limits, truncated } =
            self.decoded("registered_limits", &[("service_id", id)]).await?;
        let of_project = [("service_id", id.as_str()), ("project_id", project)];
        let own: OfProject = self.decoded("limits", &of_project).await?;
        if truncated || own.truncated {
            return Err(Failure::nonsense("it told only some of the limits"));
        }
        let own = own.limits.into_iter().filter(|limit| limit.project_id.as_deref() == Some(project));
        let mut limits = chosen(registered_limits, region);
        limits.append(&mut chosen(own, region));
        Ok(Limits(limits))
    }

    async fn decoded<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        let reply = self.find(path, query).await?;
        serde_json::from_slice(&reply.body)
            .map_err(|error| Failure::nonsense(format_args!("its {path} cannot be read: {error}")))
    }
}

/// The limits of the region, and those of none where it has none.
fn chosen(limits: impl IntoIterator<Item = Limit>, region: Option<&str>) -> BTreeMap<String, i64> {
    let (mut chosen, mut of_region) = (BTreeMap::new(), BTreeMap::new());
    for Limit { resource_name, limit, region_id, .. } in limits {
        match region_id.as_deref() {
            None => chosen.insert(resource_name, limit),
            own if own == region => of_region.insert(resource_name, limit),
            Some(_) => None,
        };
    }
    chosen.append(&mut of_region);
    chosen
}
