//! One image: made, shown, changed, deleted.

use axum::body::Body;
use axum::response::Response;
use http::header::{HeaderName, LOCATION};
use http::{HeaderMap, StatusCode};
use image_service::{
    ErrorKind, Image, ImageChange, ImageId, NewImage, Status, Timestamp, Upload, Visibility,
};
use percent_encoding::utf8_percent_encode;
use serde_json::json;

use super::super::exchange::Call;
use super::super::fault::Fault;
use super::super::{answer, links, policy, wire};
use super::change::{self, Purge};
use super::data::{self, Data};
use super::said::{self, Said};
use super::shown::{self, Whole};
use super::visible;
use crate::quotas::Purpose;

const PURGE: HeaderName = HeaderName::from_static("x-glance-registry-purge-props");

/// An answer with the image, in JSON.
fn told(status: StatusCode, image: &Image) -> Response {
    let mut response = answer::json(status, &json!({ "image": Whole::from(image) }));
    shown::put_tag(image, response.headers_mut());
    response
}

/// Shows an image in headers alone.
pub(super) async fn show(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    let image = visible(call, id).await?;
    let mut response = answer::empty(StatusCode::OK);
    shown::put(&image, response.headers_mut());
    Ok(response)
}

/// Makes an image, with data if any comes.
pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Fault> {
    let said = Said::read(&call.headers, &call.front.settings)?;
    let data = Data::of(call, &said, body)?;
    call.permit(&call.policy().add_image, "create images")?;
    may_publish(call, &said)?;
    let (disk, container) = (said.disk_format.as_deref(), said.container_format.as_deref());
    data.check(call, disk, container)?;
    let mut image = change::new_image(&said, &call.context.caller)?;
    image.store = store(call, &said)?;
    call.admit(Purpose::Create).await?;
    let image = make(call, &said, image, data).await?;
    let mut response = told(StatusCode::CREATED, &image);
    let base = links::base(&call.front.settings, &call.headers);
    let id = utf8_percent_encode(image.id.as_str(), wire::IN_A_PATH);
    answer::set_header(&mut response, LOCATION, &format!("{base}/v1/images/{id}"));
    Ok(response)
}

async fn make(call: &Call, said: &Said, image: NewImage, data: Data) -> Result<Image, Fault> {
    match data {
        Data::Here(body) => {
            call.admit(Purpose::Upload).await?;
            let (upload, watch) = data::incoming(call, said, body)?;
            watch.judge(record(call, image, Some(upload)).await)
        }
        // Who says that there are no bytes has given them all.
        Data::None
            if said.size == Some(0) && image.disk_format.is_some() && image.container_format.is_some() =>
        {
            Ok(record(call, image, Some(Upload::from_bytes(Vec::new()))).await?)
        }
        Data::None => Ok(record(call, image, None).await?),
        Data::Copy(url) => {
            call.admit(Purpose::Import).await?;
            let store = image.store.clone();
            let image = record(call, image, None).await?;
            let begun = data::copy(call, &image.id, url, store).await;
            kept(call, &image, begun.map(|()| image.clone())).await
        }
        Data::Location(url) => {
            call.admit(Purpose::Upload).await?;
            let draft = image.clone().into_image(&call.context.caller, Timestamp::now())?;
            let found = data::look(call, &draft, url, said).await?;
            let image = record(call, image, None).await?;
            let located = data::locate(call, &image.id, found).await;
            kept(call, &image, located).await
        }
    }
}

async fn record(call: &Call, image: NewImage, data: Option<Upload>) -> Result<Image, image_service::Error> {
    let id = image.id.clone();
    call.service().create(&call.context, image, data).await.map_err(|error| match (error.kind(), id) {
        (kind @ ErrorKind::AlreadyExists, Some(id)) => {
            let message = format!("An image with identifier {id} already exists");
            image_service::Error::new(kind, message).with_source(error)
        }
        _ => error,
    })
}

/// Leaves no record behind of an image whose data cannot come.
async fn kept(call: &Call, image: &Image, outcome: Result<Image, Fault>) -> Result<Image, Fault> {
    if outcome.is_err()
        && let Err(error) = discard(call, image).await
    {
        tracing::warn!(cause = error.chain(), "an image without data is left behind");
    }
    outcome
}

async fn discard(call: &Call, image: &Image) -> Result<(), image_service::Error> {
    let (service, context) = (call.service(), &call.context);
    if image.protected {
        let change = ImageChange { protected: Some(false), ..ImageChange::default() };
        service.update(context, &image.id, change, None).await?;
    }
    service.delete(context, &image.id).await
}

/// Changes an image, and gives it data if any comes.
pub(super) async fn update(call: &Call, id: &ImageId, body: Body) -> Result<Response, Fault> {
    let said = Said::read(&call.headers, &call.front.settings)?;
    let data = Data::of(call, &said, body)?;
    call.permit_on(&call.policy().modify_image, "change images", id).await?;
    may_publish(call, &said)?;
    let image = visible(call, id).await?;
    must_own(call, &image, "update")?;
    change::check_fixed(&said, &image)?;
    check_waits(&data, &image)?;
    let formats =
        [(&said.disk_format, &image.disk_format), (&said.container_format, &image.container_format)];
    let [disk, container] = formats.map(|(said, now)| said.clone().or_else(|| now.clone()));
    let (disk, container) = match image.status {
        Status::Queued => said::pair(disk, container)?,
        _ => (disk, container),
    };
    data.check(call, disk.as_deref(), container.as_deref())?;
    let purge = match &data {
        Data::Here(_) => Purge::No,
        _ => purge(&call.headers),
    };
    // A format that follows from the other is said with it.
    let said = match image.status {
        Status::Queued => Said { disk_format: disk, container_format: container, ..said },
        _ => said,
    };
    let image = apply(call, &said, image, purge, data).await?;
    Ok(told(StatusCode::OK, &image))
}

async fn apply(call: &Call, said: &Said, image: Image, purge: Purge, data: Data) -> Result<Image, Fault> {
    let change = change::of(said, &image, &call.context.caller, purge)?;
    let (service, context, id) = (call.service(), &call.context, &image.id);
    let store = store(call, said)?;
    match data {
        Data::Here(body) => {
            call.admit(Purpose::Upload).await?;
            let (upload, watch) = data::incoming(call, said, body)?;
            let outcome = service.update(context, id, change, Some(Upload { store, ..upload })).await;
            return watch.judge(outcome).map_err(|fault| vanished(fault, id));
        }
        Data::Copy(_) => call.admit(Purpose::Import).await?,
        Data::Location(_) => call.admit(Purpose::Upload).await?,
        Data::None => {}
    }
    let found = match &data {
        Data::Location(url) => Some(data::look(call, &image, url.clone(), said).await?),
        _ => None,
    };
    let image = match change.is_empty() {
        true => image,
        false => service.update(context, id, change, None).await?,
    };
    match (data, found) {
        (Data::Copy(url), _) => data::copy(call, &image.id, url, store).await.map(|()| image),
        (_, Some(found)) => data::locate(call, &image.id, found).await,
        _ => Ok(image),
    }
}

/// Deletes an image.
pub(super) async fn delete(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    call.permit_on(&call.policy().delete_image, "delete images", id).await?;
    let image = visible(call, id).await?;
    if image.protected {
        return Err(Fault::forbidden("Image is protected"));
    }
    if image.status == Status::PendingDelete {
        return Err(Fault::forbidden("Forbidden to delete a pending_delete image."));
    }
    must_own(call, &image, "delete")?;
    call.service().delete(&call.context, id).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// Lets through a caller whose own image this is. Others are told so of public images alone: to v1 what one cannot change
/// is not there, though one can see it.
fn must_own(call: &Call, image: &Image, verb: &str) -> Result<(), Fault> {
    let Err(fault) = policy::must_own(&call.context.caller, image) else { return Ok(()) };
    if image.visibility == Visibility::Public {
        return Err(fault.with_message(format!("Forbidden to {verb} image: it is not yours")));
    }
    let message = format!("Failed to find image to {verb}: {}", image.id);
    Err(fault.with_status(StatusCode::NOT_FOUND).with_message(message))
}

fn may_publish(call: &Call, said: &Said) -> Result<(), Fault> {
    let public = said.is_public.filter(|public| *public).map(|_| Visibility::Public);
    call.policy().may_set_visibility(&call.context.caller, public)
}

/// Data comes only to an image that waits for it.
fn check_waits(data: &Data, image: &Image) -> Result<(), Fault> {
    if image.status == Status::Queued {
        return Ok(());
    }
    match data {
        Data::None => Ok(()),
        Data::Here(_) => Err(Fault::conflict("Cannot upload to an unqueued image")),
        Data::Copy(_) | Data::Location(_) => {
            Err(Fault::bad_request("Attempted to update Location field for an image not in queued status."))
        }
    }
}

/// The store that the client names, if there are stores to name.
fn store(call: &Call, said: &Said) -> Result<Option<String>, Fault> {
    let (Some(wanted), Some(stores)) = (&said.store, call.stores()) else { return Ok(None) };
    if stores.iter().any(|store| store.name == *wanted) {
        return Ok(Some(wanted.clone()));
    }
    Err(Fault::bad_request(format!("Required store {wanted} is invalid")))
}

fn purge(headers: &HeaderMap) -> Purge {
    let wanted = headers.get(PURGE).is_none_or(|value| said::flag(value.to_str().ok()));
    if wanted { Purge::Yes } else { Purge::No }
}

/// An image that was there when its data began to come, and is not any more.
fn vanished(fault: Fault, id: &ImageId) -> Fault {
    if fault.status() != StatusCode::NOT_FOUND {
        return fault;
    }
    fault.with_status(StatusCode::PRECONDITION_FAILED).with_message(format!(
        "Image {id} could not be found after upload. The image may have been deleted during the upload."
    ))
}
