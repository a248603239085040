//! What is shared with a project: seen by itself, by whoever shares, each their own, and by administrators.
//!
//! No service has a list of this kind, so images are walked through, a bounded number of them: those that the member
//! sees, where a service can be asked for these, and else all that are shared.

use axum::response::Response;
use futures::{StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use image_service::{
    Caller, Context, ErrorKind, Field, Filter, Image, MemberScope, Page, Query, Scope, Visibility,
    VisibilityScope,
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
    let context = viewed(call, member);
    let mut query = first(call, &context.caller, member);
    let mut seen = 0_usize;
    while let Some(asked) = query.take() {
        let Page { items, more, resume, .. } = call.service().detail(&context, &asked).await?;
        seen = seen.saturating_add(items.len());
        if seen > MOST {
            let message = format!("there are more than {MOST} shared images to look through");
            return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        if let Some(last) = items.last().filter(|_| more) {
            let position = Some(asked.sort.position_of(last));
            query = Some(Query { position, resume, ..asked });
        }
        for image in with(call, &context, member, items).await? {
            shared.push(json!({"image_id": image.id.as_str(), "can_share": false}));
        }
    }
    Ok(answer::json(StatusCode::OK, &json!({ "shared_images": shared })))
}

/// Who asks for the images: the member in place of an administrator, where the service takes our word for who that is.
fn viewed(call: &Call, member: &str) -> Context {
    let mut context = call.context.clone();
    if context.caller.is_admin() && call.service().capabilities().believes_caller.is_yes() {
        context.caller = Caller::member_of(member);
    }
    context
}

/// The first page of the images to look through. `None` if there can be none.
fn first(call: &Call, caller: &Caller, member: &str) -> Option<Query> {
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
async fn with(call: &Call, context: &Context, member: &str, images: Vec<Image>) -> Result<Vec<Image>, Fault> {
    let Some(sharing) = call.service().sharing() else { return Ok(Vec::new()) };
    let caller = &context.caller;
    let asked = futures::stream::iter(images).map(|image| async move {
        // Others' images that a member can see, and are not everybody's, are shared with it.
        let owner = image.owner.as_deref();
        if !caller.is_admin() && caller.owns(Some(member)) && owner.is_some() && !caller.owns(owner) {
            return Ok(Some(image));
        }
        match sharing.member(context, &image.id, member).await {
            Ok(_) => Ok(Some(image)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => Ok(None),
            Err(error) => Err(Fault::from(error)),
        }
    });
    let found: Vec<Option<Image>> = asked.buffered(WIDTH).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
