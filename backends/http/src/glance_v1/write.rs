//! Writes, each of which ends with all of it done or none of it, as far as the server can go back.
//!
//! A record and its data are sent in two requests. What may be refused is checked first; a record that was made is
//! deleted again when a later step fails; and when an answer is lost the image itself is asked what came of the request.
//! Each function here runs as a task of its own.

use std::sync::Arc;
use std::time::Duration;

use image_service::{
    Context, Error, ErrorKind, Image, ImageChange, ImageId, NewImage, Properties, Result, Status, Timestamp,
    Upload, access,
};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use super::{Glance, meta, tenancy, wire};
use crate::fault::{self, Asked};
use crate::outgoing::{self, Failure};
use crate::upstream::Reply;
use crate::writes;

/// How often to try to take away an image that should not be.
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
    // Where the server decides, whose image it may be is for it to say.
    let owner = if glance.decides() { new.owner.clone() } else { None };
    let draft = NewImage { owner, ..new.clone() }.into_image(&context.caller, Timestamp::now())?;
    if data.is_some() {
        draft.clone().begin_upload(Timestamp::now())?;
    }
    let owner = if glance.decides() { Some(draft.owner.clone()) } else { new.owner.clone() };
    let headers = meta::creation(&new, &draft.id, &owner)?;
    let made = post(&glance, &context, &draft, headers).await?;
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
async fn post(glance: &Glance, context: &Context, draft: &Image, headers: HeaderMap) -> Result<Image> {
    let url = glance.url(&["images"])?;
    let reply = match glance.upstream.write_headers(context, Method::POST, url, headers).await {
        Ok(reply) => reply,
        Err(error) => {
            // The id may be another's by chance, so nothing is taken away but what looks just like ours.
            if glance.fetch(context, &draft.id).await.is_ok_and(|found| is_untouched(&found, draft)) {
                discard(glance, context, draft).await;
            }
            return Err(error);
        }
    };
    if reply.status != StatusCode::CREATED {
        return Err(glance.refusal(Asked::Make, draft.id.as_str(), &reply));
    }
    match wire::image(&reply.body) {
        Ok(image) if image.id != draft.id => {
            Err(fault::nonsense("it made an image of another id than asked for"))
        }
        Ok(image) if is_as_sent(&image, draft) => Ok(image),
        Ok(_) => {
            discard(glance, context, draft).await;
            Err(fault::nonsense("it did not keep the image as it was sent"))
        }
        Err(error) => {
            discard(glance, context, draft).await;
            Err(error)
        }
    }
}

/// Whether `found` is `draft` as it was sent, and nothing more.
fn is_untouched(found: &Image, draft: &Image) -> bool {
    found.status == Status::Queued && found.created_at == found.updated_at && is_as_sent(found, draft)
}

/// Whether all that was sent of `draft` is in `found` as it was sent.
fn is_as_sent(found: &Image, draft: &Image) -> bool {
    (&found.id, &found.name, &found.properties, found.visibility, found.protected)
        == (&draft.id, &draft.name, &draft.properties, draft.visibility, draft.protected)
        && (&found.disk_format, &found.container_format, found.min_disk, found.min_ram)
            == (&draft.disk_format, &draft.container_format, draft.min_disk, draft.min_ram)
}

/// Takes away an image whose making has failed.
async fn discard(glance: &Glance, context: &Context, draft: &Image) {
    let mut pause = PAUSE;
    for _ in 0..TRIES {
        if draft.protected
            && let (Ok(url), Ok(headers)) = (glance.image_url(&draft.id, &[]), meta::unprotection())
        {
            // If it fails, so will the next request, and say so.
            drop(glance.upstream.write_headers(context, Method::PUT, url, headers).await);
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
    if change.status.is_some_and(|status| status != before.status) {
        return Err(Error::not_implemented("deactivating and reactivating images"));
    }
    let held = match meta::removes(&change, &before) {
        true => Some(held(&glance, &context, &id).await?),
        false => None,
    };
    let changed = match meta::change(&change, &before, held.as_ref())? {
        Some(headers) => apply(&glance, &context, &id, &change, headers).await?,
        None => before,
    };
    match data {
        Some(data) => send(&glance, &context, &id, data, &gone).await,
        None => Ok(changed),
    }
}

/// The properties of an image as the server holds them, which headers do not tell: only the answer to a write does, so
/// one that changes nothing is sent.
async fn held(glance: &Glance, context: &Context, id: &ImageId) -> Result<Properties> {
    let url = glance.image_url(id, &[])?;
    let reply = glance.upstream.write_headers(context, Method::PUT, url, meta::keeping()).await?;
    if reply.status != StatusCode::OK {
        return Err(glance.refusal(Asked::Change, id.as_str(), &reply));
    }
    wire::held_properties(&reply.body)
}

async fn apply(
    glance: &Glance,
    context: &Context,
    id: &ImageId,
    change: &ImageChange,
    headers: HeaderMap,
) -> Result<Image> {
    let url = glance.image_url(id, &[])?;
    let reply = glance.upstream.write_headers(context, Method::PUT, url, headers).await?;
    if reply.status != StatusCode::OK {
        return Err(glance.refusal(Asked::Change, id.as_str(), &reply));
    }
    let image = wire::image(&reply.body)?;
    let is_kept = |(key, value): (&String, &Option<String>)| image.properties.get(key) == value.as_ref();
    if change.properties.iter().all(is_kept) && change.name.as_ref().is_none_or(|name| *name == image.name) {
        return Ok(image);
    }
    Err(fault::nonsense("it did not keep the change as it was sent"))
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

/// Gives an image its data, and shows it.
async fn send(
    glance: &Glance,
    context: &Context,
    id: &ImageId,
    data: Upload,
    gone: &CancellationToken,
) -> Result<Image> {
    let settled = || writes::settled(glance.settle_timeout, || glance.fetch(context, id));
    let (error, found, taken) = match put(glance, context, id, data, gone).await {
        Ok((reply, sent)) => {
            let image = wire::image(&reply.body)?;
            return if image.size == Some(sent) { Ok(image) } else { Err(writes::miscounted(sent, &image)) };
        }
        Err(Failure::Refused(error)) => return Err(error),
        Err(Failure::Broken(error)) => (error, settled().await, None),
        Err(Failure::Unheard(error, sent)) => (error, settled().await, Some(sent)),
    };
    // The answer was lost, and the data was not.
    match found {
        Ok(image) if image.has_data() && taken.is_some() && image.size == taken => Ok(image),
        _ => Err(error),
    }
}

async fn put(
    glance: &Glance,
    context: &Context,
    id: &ImageId,
    data: Upload,
    gone: &CancellationToken,
) -> Result<(Reply, u64), Failure> {
    let url = glance.image_url(id, &[]).map_err(Failure::Refused)?;
    let request = glance.upstream.request(context, Method::PUT, url).await.map_err(Failure::Refused)?;
    let request = request.headers(meta::data(data.size)).header(CONTENT_TYPE, "application/octet-stream");
    let refusal = |reply: &Reply| glance.refusal(Asked::Upload, id.as_str(), reply);
    outgoing::send(&glance.upstream, request, data, gone, glance.idle_timeout, refusal).await
}
