//! What is shared with a project: seen by itself, by whoever shares, each their own, and by administrators.
//!
//! No service has a list of this kind, so shared images are walked through, a bounded number of them.

use axum::response::Response;
use futures::{StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use image_service::{
    ErrorKind, Field, Filter, Image, MemberScope, Page, Query, Scope, Visibility, VisibilityScope,
};
use serde_json::{Value, json};

use super::super::answer;
use super::super::exchange::Call;
use super::super::fault::Fault;

/// Most shared images that one request looks through.
const MOST: usize = 10_000;

/// How many images are asked for a member at a time.
const WIDTH: usize = 8;

pub(super) async fn list(call: &Call, member: &str) -> Result<Response, Fault> {
    call.permit(&call.policy().get_members, "list members of images")?;
    let mut shared: Vec<Value> = Vec::new();
    let mut query = first(call, member);
    let mut seen = 0_usize;
    while let Some(asked) = query.take() {
        let Page { items, more, resume, .. } = call.service().detail(&call.context, &asked).await?;
        seen = seen.saturating_add(items.len());
        if seen > MOST {
            let message = format!("there are more than {MOST} shared images to look through");
            return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        if let Some(last) = items.last().filter(|_| more) {
            let position = Some(asked.sort.position_of(last));
            query = Some(Query { position, resume, ..asked });
        }
        for image in with(call, member, items).await? {
            shared.push(json!({"image_id": image.id.as_str(), "can_share": false}));
        }
    }
    Ok(answer::json(StatusCode::OK, &json!({ "shared_images": shared })))
}

/// The first page of the images to look through. `None` if there can be none.
fn first(call: &Call, member: &str) -> Option<Query> {
    let caller = &call.context.caller;
    let scope =
        Scope { visibility: VisibilityScope::Only(Visibility::Shared), member_status: MemberScope::All };
    let mut query = Query { scope, limit: Some(call.front.settings.largest_page), ..Query::default() };
    if !caller.is_admin() {
        let project = caller.project.as_deref()?;
        if project != member {
            query.filters.push(Filter::text(Field::Owner, project));
        }
    }
    Some(query)
}

/// Those of `images` that are shared with the member.
async fn with(call: &Call, member: &str, images: Vec<Image>) -> Result<Vec<Image>, Fault> {
    let Some(sharing) = call.service().sharing() else { return Ok(Vec::new()) };
    let caller = &call.context.caller;
    let asked = futures::stream::iter(images).map(|image| async move {
        // Others' images that a member can see, and are not everybody's, are shared with it.
        let owner = image.owner.as_deref();
        if !caller.is_admin() && caller.owns(Some(member)) && owner.is_some() && !caller.owns(owner) {
            return Ok(Some(image));
        }
        match sharing.member(&call.context, &image.id, member).await {
            Ok(_) => Ok(Some(image)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => Ok(None),
            Err(error) => Err(Fault::from(error)),
        }
    });
    let found: Vec<Option<Image>> = asked.buffered(WIDTH).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
