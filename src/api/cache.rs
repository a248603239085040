//! The cache itself, as whoever runs the site sees it: what is in it, what is to come, and what is to go.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::response::Response;
use http::StatusCode;
use http::header::HeaderName;
use image_service::{ImageId, Status};
use serde_json::{Map, Value, json};

use super::answer;
use super::exchange::Call;
use super::fault::Fault;
use super::policy::{Policy, Roles};
use super::unserved::{self, Part};
use crate::cache::{Cache, CachedImage, Extent};

const TARGET: HeaderName = HeaderName::from_static("x-image-cache-clear-target");

/// What can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Both lists.
    List,
    /// One of them, by the older paths.
    ListOf(Extent),
    Queue,
    /// By the older path.
    QueueAsBefore,
    Remove,
    /// By the older paths.
    RemoveFrom(Extent),
    Clear,
    /// By the older paths.
    ClearOf(Extent),
    Clean,
    Prune,
    Nodes,
}

/// Answers what is asked of the cache.
pub(super) async fn answer(call: &Call, deed: Deed, id: &ImageId) -> Result<Response, Fault> {
    let Some(cache) = &call.front.cache else { return unserved::answer(call, Part::Cache, id).await };
    let (roles, what) = rule(call.policy(), deed);
    call.permit(roles, what)?;
    match deed {
        Deed::List => Ok(json(&json!({
            "cached_images": cached(cache),
            "queued_images": queued(cache),
        }))),
        Deed::ListOf(Extent::Queued) => Ok(json(&json!({ "queued_images": queued(cache) }))),
        Deed::ListOf(_) => Ok(json(&json!({ "cached_images": cached(cache) }))),
        Deed::Queue => queue(call, cache, id, StatusCode::ACCEPTED).await,
        Deed::QueueAsBefore => queue(call, cache, id, StatusCode::OK).await,
        Deed::Remove => remove(call, cache, id, Extent::All).await,
        Deed::RemoveFrom(extent) => remove(call, cache, id, extent).await,
        Deed::Clear => {
            cache.clear(target(call)?).await;
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        Deed::ClearOf(extent) => {
            let (cached, queued) = cache.clear(extent).await;
            Ok(json(&json!({ "num_deleted": cached.saturating_add(queued) })))
        }
        Deed::Clean => {
            cache.clean().await?;
            Ok(answer::empty(StatusCode::OK))
        }
        Deed::Prune => {
            let (files, bytes) = cache.prune().await;
            Ok(json(&json!({ "total_files_pruned": files, "total_bytes_pruned": bytes })))
        }
        Deed::Nodes => {
            call.visible(id).await?;
            Ok(json(&json!([])))
        }
    }
}

/// Who may do it, and what it is called.
fn rule(policy: &Policy, deed: Deed) -> (&Roles, &'static str) {
    match deed {
        Deed::List | Deed::Nodes => (&policy.cache_list, "see what is cached"),
        Deed::Queue => (&policy.cache_image, "have images cached"),
        Deed::Remove | Deed::Clear | Deed::Clean | Deed::Prune => {
            (&policy.cache_delete, "remove images from the cache")
        }
        Deed::ListOf(_) | Deed::QueueAsBefore | Deed::RemoveFrom(_) | Deed::ClearOf(_) => {
            (&policy.manage_image_cache, "manage the cache")
        }
    }
}

async fn queue(call: &Call, cache: &Cache, id: &ImageId, done: StatusCode) -> Result<Response, Fault> {
    let image = call.visible(id).await?;
    if image.status != Status::Active {
        return Err(Fault::bad_request("Only images with status active can be targeted for queueing"));
    }
    cache.queue(&call.context, id).await?;
    Ok(answer::empty(done))
}

/// Removes an image, which must be there, or be an image at least.
async fn remove(call: &Call, cache: &Cache, id: &ImageId, extent: Extent) -> Result<Response, Fault> {
    if !cache.remove(id, extent).await {
        call.visible(id).await?;
    }
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// What is to be emptied.
fn target(call: &Call) -> Result<Extent, Fault> {
    let Some(value) = call.headers.get(TARGET) else { return Ok(Extent::All) };
    match value.to_str().unwrap_or("?").to_ascii_lowercase().as_str() {
        "" => Ok(Extent::All),
        "cache" => Ok(Extent::Kept),
        "queue" => Ok(Extent::Queued),
        _ => Err(Fault::bad_request(format!("{TARGET}: must be cache, queue or empty"))),
    }
}

fn cached(cache: &Cache) -> Vec<Value> {
    cache.cached().iter().map(|image| shown(image).into()).collect()
}

fn queued(cache: &Cache) -> Vec<String> {
    cache.queued().iter().map(|id| id.as_str().to_owned()).collect()
}

/// Times are seconds, and 0 for never.
fn shown(image: &CachedImage) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("image_id".to_owned(), image.id.as_str().into());
    shown.insert("hits".to_owned(), image.hits.into());
    shown.insert("last_accessed".to_owned(), image.used_at.map_or(0.0, seconds).into());
    shown.insert("last_modified".to_owned(), seconds(image.made_at).into());
    shown.insert("size".to_owned(), image.size.into());
    shown.insert("checksum".to_owned(), image.checksum.clone().into());
    shown
}

fn seconds(moment: SystemTime) -> f64 {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn json(value: &Value) -> Response {
    answer::json(StatusCode::OK, value)
}
