//! What the caller's project has, and may have.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, json};

use super::answer;
use super::exchange::Call;
use super::fault::Fault;
use crate::quotas::{Purpose, Resource};

/// What clients read where there is no limit.
const UNLIMITED: i64 = -1;

impl Call {
    /// Lets the caller's project do so, if there are quotas.
    pub(super) async fn admit(&self, purpose: Purpose) -> Result<(), Fault> {
        let Some(quotas) = &self.front.quotas else { return Ok(()) };
        Ok(quotas.admit(self.service(), &self.context, purpose).await?)
    }
}

/// Answers with the caller's usage: nothing without quotas, or for a caller without a project.
pub(super) async fn show(call: &Call) -> Result<Response, Fault> {
    let mut usage = Map::new();
    if let Some(quotas) = &call.front.quotas
        && let Some((used, limits)) = quotas.usage(call.service(), &call.context).await?
    {
        for resource in Resource::ALL {
            let limit = limits.on(resource).and_then(|limit| i64::try_from(limit).ok()).unwrap_or(UNLIMITED);
            let shown = json!({"usage": used.of(resource), "limit": limit});
            usage.insert(resource.name().to_owned(), shown);
        }
    }
    Ok(answer::json(StatusCode::OK, &json!({ "usage": usage })))
}
