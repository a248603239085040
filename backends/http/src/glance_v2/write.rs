//! Writes, each of which ends with all of it done or none of it.
//!
//! Glance takes a record, its status and its data in separate requests. What may be refused is therefore checked
//! first; what has been done is undone when a later step fails; and when an answer is lost the image itself is
//! asked what came of the request. Each function here runs as a task of its own.

use std::sync::Arc;
use std::time::Duration;

use image_service::{
    Context, Error, ErrorKind, Image, ImageChange, ImageId, NewImage, Result, Status, Timestamp, Upload,
    access,
};
use reqwest::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use super::meanwhile::Uploading;
use super::upload::{self, Failure};
use super::{Glance, patch, tenancy, wire};
use crate::fault::{self, Asked};
use crate::writes;

/// How often to try to take away an image that should not be. Glance refuses while it is busy with it.
const TRIES: u32 = 5;

/// The pause before looking again, which doubles each time.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes an image, with data if an upload comes with it.
pub(super) async fn create(
    glance: Arc<Glance>,
    context: Context,
    new: NewImage,
    data: Option<Upload>,
    gone: CancellationToken,
) -> Result<Image> {
    let new = NewImage { id: Some(new.id.clone().unwrap_or_else(ImageId::random)), ..new };
    let mut draft = new.clone().into_image(&context.caller, Timestamp::now());
    if !glance.decides() {
        // Whose image it may be is for the server to say; the rest is checked as for one of the caller's own.
        draft = NewImage { owner: None, ..new.clone() }.into_image(&context.caller, Timestamp::now());
    }
    let draft = draft?;
    if data.is_some() {
        draft.clone().begin_upload(Timestamp::now())?;
    }
    let owner = if glance.decides() { Some(draft.owner.clone()) } else { new.owner.clone() };
    let body = patch::creation(&new, &draft.id, owner)?;
    let made = post(&glance, &context, &draft, body).await?;
    let Some(data) = data else { return Ok(made) };
    match send(&glance, &context, &draft.id, data, &gone).await {
        Ok(image) => Ok(image),
        Err(error) => {
            discard(&glance, &context, &draft).await;
            Err(error)
        }
    }
}

/// Makes the record. If that fails, also without an answer, there is none.
async fn post(glance: &Glance, context: &Context, draft: &Image, body: Vec<u8>) -> Result<Image> {
    let content = Some(("application/json", body));
    let reply = match glance.upstream.write(context, Method::POST, glance.images_url()?, content).await {
        Ok(reply) => reply,
        Err(error) => {
            // The id may be another's by chance, so nothing is taken away but what looks just like ours.
            if glance.fetch(context, &draft.id).await.is_ok_and(|found| is_untouched(&found, draft)) {
                discard(glance, context, draft).await;
            }
            return Err(error);
        }
    };
    let made = match reply.status {
        StatusCode::CREATED => wire::image(&reply.body),
        _ => return Err(glance.refusal(Asked::Make, draft.id.as_str(), &reply)),
    };
    match made {
        Ok(image) if image.id == draft.id => Ok(image),
        Ok(_) => Err(fault::nonsense("it made an image of another id than asked for")),
        Err(error) => {
            discard(glance, context, draft).await;
            Err(error)
        }
    }
}

/// Whether `found` is `draft` as it was sent, and nothing more.
fn is_untouched(found: &Image, draft: &Image) -> bool {
    found.status == Status::Queued
        && found.created_at == found.updated_at
        && (&found.id, &found.name, &found.properties, &found.tags)
            == (&draft.id, &draft.name, &draft.properties, &draft.tags)
}

/// Takes away an image whose making has failed.
async fn discard(glance: &Glance, context: &Context, draft: &Image) {
    let mut pause = PAUSE;
    for _ in 0..TRIES {
        if draft.protected
            && let Ok(url) = glance.image_url(&draft.id, &[])
        {
            let content = Some((patch::MEDIA_TYPE, patch::unprotection()));
            // If it fails, so will the next request, and say so.
            drop(glance.upstream.write(context, Method::PATCH, url, content).await);
        }
        match remove(glance, context, &draft.id).await {
            Ok(()) => return,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    tracing::warn!(backend = %glance.name, image = %draft.id, "an image whose upload failed could not be taken away");
}

/// Changes an image, and gives it data if an upload comes with it.
pub(super) async fn update(
    glance: Arc<Glance>,
    context: Context,
    id: ImageId,
    change: ImageChange,
    data: Option<Upload>,
    gone: CancellationToken,
) -> Result<Image> {
    let before = tenancy::changeable(&glance, &context, &id).await?;
    // Where the server decides it does so first, and whoever may not change the image hears that from it.
    if glance.decides() || context.caller.is_admin() || context.caller.owns(before.owner.as_deref()) {
        let mut after = before.clone();
        change.clone().apply_to(&mut after, &context.caller, Timestamp::now())?;
        if data.is_some() {
            after.begin_upload(Timestamp::now())?;
        }
    }
    let body = patch::change(&change, &before)?;
    let noted = glance.meanwhile.note(&id, &change)?;
    let changed = revise(&glance, &context, &before, change.status, body).await;
    if changed.is_err() {
        glance.meanwhile.forget(&id, noted);
    }
    let changed = changed?;
    match (data, changed) {
        (Some(data), _) => send(&glance, &context, &id, data, &gone).await,
        (None, Some(image)) => Ok(image),
        (None, None) if change.status.is_some() => glance.fetch(&context, &id).await,
        (None, None) => Ok(before),
    }
}

/// Makes the changes of a record: both or neither. The status goes first, for it can be set back.
async fn revise(
    glance: &Glance,
    context: &Context,
    before: &Image,
    status: Option<Status>,
    body: Option<Vec<u8>>,
) -> Result<Option<Image>> {
    if let Some(status) = status {
        activate(glance, context, &before.id, status).await?;
    }
    let Some(body) = body else { return Ok(None) };
    let patched = apply(glance, context, &before.id, body).await;
    if patched.is_err() && status.is_some() {
        activate(glance, context, &before.id, before.status).await?;
    }
    patched.map(Some)
}

async fn apply(glance: &Glance, context: &Context, id: &ImageId, body: Vec<u8>) -> Result<Image> {
    let content = Some((patch::MEDIA_TYPE, body));
    let reply = glance.upstream.write(context, Method::PATCH, glance.image_url(id, &[])?, content).await?;
    match reply.status {
        StatusCode::OK => wire::image(&reply.body),
        _ => Err(glance.refusal(Asked::Change, id.as_str(), &reply)),
    }
}

async fn activate(glance: &Glance, context: &Context, id: &ImageId, status: Status) -> Result<()> {
    let action = if status == Status::Active { "reactivate" } else { "deactivate" };
    let url = glance.image_url(id, &["actions", action])?;
    let reply = glance.upstream.write(context, Method::POST, url, None).await?;
    match reply.status {
        status if status.is_success() => Ok(()),
        _ => Err(glance.refusal(Asked::Change, id.as_str(), &reply)),
    }
}

/// Deletes an image.
pub(super) async fn delete(glance: Arc<Glance>, context: Context, id: ImageId) -> Result<()> {
    let (image, membership) = tenancy::visible(&glance, &context, &id).await?;
    if glance.decides() {
        access::may_delete(&context.caller, &image, membership)?;
    }
    remove(&glance, &context, &id).await
}

async fn remove(glance: &Glance, context: &Context, id: &ImageId) -> Result<()> {
    let reply = glance.upstream.write(context, Method::DELETE, glance.image_url(id, &[])?, None).await?;
    match reply.status {
        status if status.is_success() => Ok(()),
        _ => Err(glance.refusal(Asked::Change, id.as_str(), &reply)),
    }
}

/// Gives an image its data, and shows it. If that fails the image is as it was, for all we can do.
async fn send(
    glance: &Glance,
    context: &Context,
    id: &ImageId,
    data: Upload,
    gone: &CancellationToken,
) -> Result<Image> {
    let uploading = glance.meanwhile.begin(id);
    let settled = || writes::settled(glance.bounds.settle_timeout, || glance.fetch(context, id));
    let (error, found, taken) = match upload::send(glance, context, id, data, gone).await {
        Ok(sent) => {
            let image = glance.fetch(context, id).await?;
            if image.size != Some(sent) {
                return Err(writes::miscounted(sent, &image));
            }
            return make_good(glance, context, image, &uploading).await;
        }
        // Whoever got in before us has the image now.
        Err(Failure::Refused(error)) if error.kind() == ErrorKind::Conflict => return Err(error),
        Err(Failure::Refused(error)) => (error, glance.fetch(context, id).await, None),
        Err(Failure::Broken(error)) => (error, settled().await, None),
        Err(Failure::Unheard(error, sent)) => (error, settled().await, Some(sent)),
    };
    let Ok(image) = found else { return Err(error) };
    if error.kind() == ErrorKind::NotFound {
        // Glance says that an image has gone also when another upload has just got in.
        return Err(Error::conflict("data for this image is on its way already").with_source(error));
    }
    // The answer was lost, and the data was not.
    let succeeded = image.has_data() && taken.is_some() && image.size == taken;
    match make_good(glance, context, image, &uploading).await {
        Ok(image) if succeeded => Ok(image),
        _ => Err(error),
    }
}

/// Makes the changes again that Glance undid when the upload ended.
async fn make_good(
    glance: &Glance,
    context: &Context,
    image: Image,
    uploading: &Uploading<'_>,
) -> Result<Image> {
    match patch::change(&uploading.changes(), &image)? {
        Some(body) => apply(glance, context, &image.id, body).await,
        None => Ok(image),
    }
}
