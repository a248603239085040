//! The projects that an image is shared with.
//!
//! A member is one at once: lists of v1 show what is shared whatever the member has said to it.

use std::collections::BTreeSet;

use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use http::StatusCode;
use image_service::{Error, ErrorKind, Image, ImageId, MOST_PER_IMAGE, Member, Sharing, Visibility};
use serde_json::{Value, json};

use super::super::exchange::Call;
use super::super::fault::Fault;
use super::super::policy::{self, Roles};
use super::super::{answer, attribute, body};
use super::{absent, visible};

pub(super) async fn list(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    call.permit_on(&call.policy().get_members, "list members of images", id).await?;
    let image = visible(call, id).await?;
    let members: Vec<Value> = known(call, &image).await?.into_iter().map(shown).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "members": members })))
}

fn shown(member: Member) -> Value {
    json!({"member_id": member.member_id, "can_share": false})
}

/// The members of an image. One that is not shared has none.
async fn known(call: &Call, image: &Image) -> Result<Vec<Member>, Fault> {
    match call.service().sharing() {
        Some(sharing) if image.visibility == Visibility::Shared => {
            Ok(sharing.members(&call.context, &image.id).await?)
        }
        _ => Ok(Vec::new()),
    }
}

/// Makes a project a member, if it is none yet.
pub(super) async fn add(call: &Call, id: &ImageId, member: &str, body: Body) -> Result<Response, Fault> {
    if !body.is_end_stream() {
        let body = body::json(body, &call.front.settings).await?;
        check_rights(body.get("member").unwrap_or(&Value::Null))?;
    }
    check_name(member)?;
    let roles = &call.policy().add_member;
    let image = to_change(call, roles, "add members to images", id).await?;
    join(call, &image, member).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Makes these projects the members, and no other.
///
/// They change one after the other: those before one that fails stay changed.
pub(super) async fn replace(call: &Call, id: &ImageId, body: Body) -> Result<Response, Fault> {
    let body = body::json(body, &call.front.settings).await?;
    let wanted = memberships(&body)?;
    let roles = &call.policy().add_member;
    let image = to_change(call, roles, "add members to images", id).await?;
    let members: BTreeSet<String> =
        known(call, &image).await?.into_iter().map(|member| member.member_id).collect();
    if wanted == members {
        return Ok(answer::empty(StatusCode::NO_CONTENT));
    }
    for member in members.difference(&wanted) {
        call.permit(&call.policy().delete_member, "remove members from images")?;
        match sharing(call)?.remove_member(&call.context, id, member).await {
            // Somebody else was quicker.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            outcome => outcome?,
        }
    }
    for member in wanted.difference(&members) {
        join(call, &image, member).await?;
    }
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Takes a member away.
pub(super) async fn remove(call: &Call, id: &ImageId, member: &str) -> Result<Response, Fault> {
    let roles = &call.policy().delete_member;
    let image = to_change(call, roles, "remove members from images", id).await?;
    let unknown = || Fault::not_found("Membership could not be found.");
    if image.visibility != Visibility::Shared {
        return Err(unknown());
    }
    match sharing(call)?.remove_member(&call.context, id, member).await {
        Ok(()) => Ok(answer::empty(StatusCode::NO_CONTENT)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}

fn sharing(call: &Call) -> Result<&dyn Sharing, Fault> {
    call.service().sharing().ok_or_else(|| Error::not_implemented("sharing images").into())
}

/// The image, for a caller who may change its members. Others do not hear that there is one.
async fn to_change(call: &Call, roles: &Roles, what: &str, id: &ImageId) -> Result<Image, Fault> {
    let caller = &call.context.caller;
    if caller.project.is_none() && !caller.is_admin() {
        return Err(Fault::new(StatusCode::UNAUTHORIZED, "No authenticated user"));
    }
    call.permit_on(roles, what, id).await.map_err(|fault| absent(fault, id))?;
    let image = visible(call, id).await?;
    policy::must_own(caller, &image).map_err(|fault| {
        fault.with_status(StatusCode::NOT_FOUND).with_message("No permission to share that image")
    })?;
    Ok(image)
}

async fn join(call: &Call, image: &Image, member: &str) -> Result<(), Fault> {
    match sharing(call)?.add_member(&call.context, &image.id, member).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::TooLarge => Err(too_many(MOST_PER_IMAGE.saturating_add(1))),
        Err(error) => Err(error.into()),
    }
}

fn too_many(attempted: usize) -> Fault {
    let message = format!(
        "The limit has been exceeded on the number of allowed image members for this image. Attempted: \
         {attempted}, Maximum: {MOST_PER_IMAGE}"
    );
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

/// The projects that a body names.
fn memberships(body: &Value) -> Result<BTreeSet<String>, Fault> {
    let malformed = |why: &str| Fault::bad_request(format!("Invalid membership association: {why}"));
    let Some(Value::Array(list)) = body.get("memberships") else {
        return Err(malformed("'memberships' must be a list"));
    };
    if list.len() > MOST_PER_IMAGE {
        return Err(too_many(list.len()));
    }
    let mut members = BTreeSet::new();
    for membership in list {
        let Some(Value::String(member)) = membership.get("member_id") else {
            return Err(malformed("'member_id' must be a string"));
        };
        check_name(member)?;
        check_rights(membership)?;
        members.insert(member.clone());
    }
    Ok(members)
}

fn check_name(member: &str) -> Result<(), Fault> {
    match member.chars().count() {
        0 => Err(Fault::bad_request("Invalid membership association: a member must have a name")),
        length if length > attribute::LONGEST => Err(Fault::bad_request(format!(
            "Invalid membership association: a member must have at most {} characters",
            attribute::LONGEST
        ))),
        _ => Ok(()),
    }
}

/// Lets through a membership without the right to share on, which there is not.
fn check_rights(membership: &Value) -> Result<(), Fault> {
    match membership.get("can_share") {
        None | Some(Value::Bool(false) | Value::Null) => Ok(()),
        Some(_) => Err(Fault::bad_request("can_share: members cannot share an image on at this site")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_are_a_list_of_names_each_once() {
        let names = |body: Value| memberships(&body).map_err(|fault| fault.status().as_u16());
        let two = json!({"memberships": [{"member_id": "b"}, {"member_id": "a", "can_share": false}, {"member_id": "b"}]});
        assert_eq!(names(two), Ok(["a".to_owned(), "b".to_owned()].into()));
        assert_eq!(names(json!({"memberships": []})), Ok(BTreeSet::new()));
        let many: Vec<Value> = (0..=MOST_PER_IMAGE).map(|n| json!({"member_id": n.to_string()})).collect();
        for (body, status) in [
            (json!([]), 400),
            (json!({}), 400),
            (json!({"memberships": {}}), 400),
            (json!({"memberships": ["a"]}), 400),
            (json!({"memberships": [{"member_id": 1}]}), 400),
            (json!({"memberships": [{"member_id": ""}]}), 400),
            (json!({"memberships": [{"member_id": "x".repeat(256)}]}), 400),
            (json!({"memberships": [{"member_id": "a", "can_share": true}]}), 400),
            (json!({"memberships": many}), 413),
        ] {
            assert_eq!(names(body), Err(status));
        }
    }
}
