//! The projects that an image is shared with.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use image_service::{Error, ErrorKind, Image, ImageId, Member, MemberStatus, Sharing, Visibility};
use serde_json::{Value, json};

use super::exchange::Call;
use super::fault::Fault;
use super::{answer, attribute, body, wire};

fn sharing(call: &Call) -> Result<&dyn Sharing, Fault> {
    call.service().sharing().ok_or_else(|| Error::not_implemented("sharing images").into())
}

fn shown(member: &Member) -> Response {
    answer::json(StatusCode::OK, &wire::member(member))
}

pub(super) async fn list(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    call.permit_on(&call.policy().get_members, "list members of images", id).await?;
    let members = sharing(call)?.members(&call.context, id).await?;
    let members: Vec<Value> = members.iter().map(wire::member).collect();
    Ok(answer::json(StatusCode::OK, &json!({"members": members, "schema": "/v2/schemas/members"})))
}

pub(super) async fn show(call: &Call, id: &ImageId, member: &str) -> Result<Response, Fault> {
    call.permit_on(&call.policy().get_member, "see members of images", id).await?;
    Ok(shown(&sharing(call)?.member(&call.context, id, member).await?))
}

pub(super) async fn add(call: &Call, id: &ImageId, body: Body) -> Result<Response, Fault> {
    let body = body::json(body, &call.front.settings).await?;
    let member = match text(&body, "member")? {
        "" => return Err(Fault::bad_request("member: must not be empty")),
        member if member.chars().count() > attribute::LONGEST => {
            let message = format!("member: must have at most {} characters", attribute::LONGEST);
            return Err(Fault::bad_request(message));
        }
        member => member,
    };
    call.permit_on(&call.policy().add_member, "add members to images", id).await?;
    Ok(shown(&sharing(call)?.add_member(&call.context, id, member).await?))
}

pub(super) async fn set_status(
    call: &Call,
    id: &ImageId,
    member: &str,
    body: Body,
) -> Result<Response, Fault> {
    let body = body::json(body, &call.front.settings).await?;
    let status = text(&body, "status")?.parse::<MemberStatus>();
    call.permit_on(&call.policy().modify_member, "answer for members of images", id).await?;
    let status = match status {
        Ok(status) => status,
        // Whose answer it is not hears that first.
        Err(error) => {
            let image = call.service().show(&call.context, id).await?;
            must_be_shared(&image)?;
            let caller = &call.context.caller;
            if caller.owns(image.owner.as_deref()) && !caller.is_admin() {
                return Err(Fault::forbidden("the owner cannot answer for a member"));
            }
            return Err(error.into());
        }
    };
    match sharing(call)?.set_member_status(&call.context, id, member, status).await {
        Ok(member) => Ok(shown(&member)),
        Err(error) => Err(refused(call, id, error).await),
    }
}

pub(super) async fn remove(call: &Call, id: &ImageId, member: &str) -> Result<Response, Fault> {
    call.permit_on(&call.policy().delete_member, "remove members from images", id).await?;
    match sharing(call)?.remove_member(&call.context, id, member).await {
        Ok(()) => Ok(answer::empty(StatusCode::NO_CONTENT)),
        Err(error) => Err(refused(call, id, error).await),
    }
}

/// What a client hears of a change to a member that failed. That an image is not shared goes before that it has no
/// such member.
async fn refused(call: &Call, id: &ImageId, error: Error) -> Fault {
    if error.kind() == ErrorKind::NotFound
        && let Ok(image) = call.service().show(&call.context, id).await
        && let Err(fault) = must_be_shared(&image)
    {
        return fault;
    }
    error.into()
}

fn must_be_shared(image: &Image) -> Result<(), Fault> {
    if image.visibility == Visibility::Shared {
        return Ok(());
    }
    Err(Fault::forbidden("only shared images have members"))
}

fn text<'a>(body: &'a Value, key: &str) -> Result<&'a str, Fault> {
    match body.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Fault::bad_request(format!("{key}: must be a string"))),
        None => Err(Fault::bad_request(format!("{key}: is required"))),
    }
}
