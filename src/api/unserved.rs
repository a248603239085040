//! The parts of the Image API that are not served, each answered as a Glance without that part answers.
//!
//! None of their versions is advertised, so no client comes here but by its own decision.

use axum::response::Response;
use http::StatusCode;
use image_service::ImageId;
use serde_json::{Value, json};

use super::answer;
use super::exchange::Call;
use super::fault::Fault;

/// A part that is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Stage,
    Import,
    Tasks,
    Task,
    TaskWrite,
    Cache,
    Namespaces,
    ResourceTypes,
    Metadef,
    MetadefWrite,
}

/// Answers a request for a part that is not served.
pub(super) async fn answer(call: &Call, part: Part, id: &ImageId) -> Result<Response, Fault> {
    match part {
        Part::Stage | Part::Import => {
            call.service().show(&call.context, id).await?;
            Err(Fault::not_found(
                "staging and import are not supported at this site; upload to the image's file",
            ))
        }
        Part::Tasks => Ok(list(&json!({"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"}))),
        Part::Task => Err(Fault::not_found("no task found with this ID")),
        Part::TaskWrite => Err(Fault::bad_request("type: tasks are not supported at this site")),
        Part::Cache => Err(Fault::not_found("Caching via API is not supported at this site.")),
        Part::Namespaces => Ok(list(&json!({
            "namespaces": [],
            "first": "/v2/metadefs/namespaces",
            "schema": "/v2/schemas/metadefs/namespaces",
        }))),
        Part::ResourceTypes => Ok(list(&json!({"resource_types": []}))),
        Part::Metadef => Err(Fault::not_found("no metadata definition of this name")),
        Part::MetadefWrite => Err(Fault::forbidden("metadata definitions cannot be written at this site")),
    }
}

fn list(value: &Value) -> Response {
    answer::json(StatusCode::OK, value)
}
