//! One image: made, shown, changed, deleted, deactivated.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use http::{HeaderMap, StatusCode};
use image_service::{ImageChange, ImageId, Status, Store};

use super::exchange::Call;
use super::fault::Fault;
use super::patch::{Dialect, Patch};
use super::{answer, body, imports, links, locations, policy, wire};
use crate::quotas::Purpose;

pub(super) const STORE: HeaderName = HeaderName::from_static("x-image-meta-store");
const STORE_IDS: HeaderName = HeaderName::from_static("openstack-image-store-ids");

pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Fault> {
    let settings = &call.front.settings;
    call.permit(&call.policy().add_image, "create images")?;
    let mut image = wire::new_image(&body::json(body, settings).await?, settings)?;
    call.policy().may_set_visibility(&call.context.caller, image.visibility)?;
    let stores = call.stores();
    image.store = wanted_store(&call.headers, stores.as_deref())?;
    call.admit(Purpose::Create).await?;
    let image = call.service().create(&call.context, image, None).await?;
    let mut response = answer::json(StatusCode::CREATED, &locations::shown(call, &image).await?);
    let base = links::base(settings, &call.headers);
    answer::set_header(&mut response, LOCATION, &format!("{base}{}", wire::path(&image.id)));
    let methods = imports::names(call);
    if !methods.is_empty() {
        answer::set_header(&mut response, imports::METHODS, &methods.join(","));
    }
    if let Some(stores) = stores {
        let names: Vec<&str> = stores.iter().map(|store| store.name.as_str()).collect();
        answer::set_header(&mut response, STORE_IDS, &names.join(","));
    }
    Ok(response)
}

/// The store that the client names, if there are stores to name.
pub(super) fn wanted_store(headers: &HeaderMap, stores: Option<&[Store]>) -> Result<Option<String>, Fault> {
    let (Some(wanted), Some(stores)) = (headers.get(STORE), stores) else { return Ok(None) };
    match stores.iter().find(|store| store.name.as_bytes() == wanted.as_bytes()) {
        Some(store) => Ok(Some(store.name.clone())),
        None => Err(Fault::bad_request("X-Image-Meta-Store: there is no store of this name")),
    }
}

pub(super) async fn show(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    let image = call.visible(id).await?;
    Ok(answer::json(StatusCode::OK, &locations::shown(call, &image).await?))
}

pub(super) async fn update(call: &Call, id: &ImageId, body: Body) -> Result<Response, Fault> {
    let settings = &call.front.settings;
    let dialect = Dialect::of(call.headers.get(CONTENT_TYPE))?;
    let patch = Patch::read(&body::json(body, settings).await?, dialect, settings)?;
    let image = call.visible(id).await?;
    if patch.is_empty() {
        return Ok(answer::json(StatusCode::OK, &locations::shown(call, &image).await?));
    }
    if !patch.is_of_locations_alone() {
        call.permit(&call.policy().modify_image, "change images")?;
        policy::must_own(&call.context.caller, &image)?;
    }
    for visibility in patch.visibilities() {
        call.policy().may_set_visibility(&call.context.caller, Some(visibility))?;
    }
    let moves = patch.moves();
    locations::check(call, &image, &moves)?;
    let change = patch.change_to(&image)?;
    let image = match change.is_empty() && !moves.is_empty() {
        true => image,
        false => call.service().update(&call.context, id, change, None).await?,
    };
    let image = locations::apply(call, image, moves).await?;
    Ok(answer::json(StatusCode::OK, &locations::shown(call, &image).await?))
}

pub(super) async fn delete(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    call.permit_on(&call.policy().delete_image, "delete images", id).await?;
    call.service().delete(&call.context, id).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn deactivate(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    call.permit_on(&call.policy().deactivate, "deactivate images", id).await?;
    set_status(call, id, Status::Deactivated).await
}

pub(super) async fn reactivate(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    call.permit_on(&call.policy().reactivate, "reactivate images", id).await?;
    set_status(call, id, Status::Active).await
}

async fn set_status(call: &Call, id: &ImageId, status: Status) -> Result<Response, Fault> {
    let change = ImageChange { status: Some(status), ..ImageChange::default() };
    call.service().update(&call.context, id, change, None).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
