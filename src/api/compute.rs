//! The images of the Compute API, which Nova still shows at `/v2.1/images`, for clients that know nothing else.
//!
//! Nova is a proxy there: it asks the image service and tells what that says in its own words. This is the same without
//! Nova in between, served only if the configuration says so, from the same service, policies, quotas and rules of
//! tenancy as v2. The catalogue of Keystone is to name `/v2.1` as the place of such a service, for `/` tells of the
//! Image API alone.
//!
//! | file | what it knows |
//! |---|---|
//! | `place` | where a path begins: `/v2.1`, `/v2.1/{project}`, `/v2/{project}`; and links to there |
//! | `microversion` | which microversion a request speaks, and how an answer tells it |
//! | `version` | the document of the version, by which clients find out what this is |
//! | `shown` | an image as JSON |
//! | `query`, `list` | lists: what is asked for, and full pages of it |
//! | `images`, `metadata` | one image, and its properties |
//!
//! Faults have the form of the Compute API: `{"itemNotFound": {"code": 404, "message": "..."}}`.
//!
//! ## Where this departs from Nova 34, on purpose
//!
//! * `/v2`, `/v2/` and `/v2/images` are the Image API's, and `/` tells of its versions. `/v2/{project}/images` is
//!   Nova's.
//! * A method that a path has not is 405 and told with those that it has, `OPTIONS` too: Nova says 404 in plain text,
//!   and answers `OPTIONS` with nothing. What is not there, and who is not known, is told in the form of the other
//!   faults.
//! * Where Nova answers 500 this does not: a `block_device_mapping` or `mappings` that is no JSON is shown as the text
//!   that it is, an image that cannot be deleted just now is 409, an image service that is silent 503.
//! * `alternate` links lead to the image in v2, and Nova's nowhere: they lack the version.
//! * A list without a limit, or with a larger one, has at most `pages.largest` images, and a link to the next page then.
//!   Nova lists all there are.
//! * `status` finds the images that are shown so, `SAVING` also those that wait for data. The words of the Image API go
//!   too.
//! * `property-` is taken from the name of a property once. Nova takes every one of these letters away, so that it
//!   looks for `s_distro` if it is asked for `os_distro`. And a property is a property: `property-name` finds no image
//!   by its name.
//! * Of a parameter that is repeated the last value stays in the link to the next page, too.
//! * Metadata are properties and nothing else. To Nova a key such as `visibility` or `min_ram` means the attribute. A
//!   key that clients may not write is 403.
//! * Of metadata that is written only what differs is changed, so that of two who write different keys neither undoes
//!   what the other did. Properties of the service's own, `os_glance...`, stay when all others are replaced.
//! * Whoever may not change an image may not either if nothing would be different.
//! * The visibility stays what it is when metadata is written. Nova makes private what is not public.
//! * Keys of metadata end where they end: Nova lets one go on to a line feed. In `/v2` every key is checked, where Nova
//!   lets all pass if none is good.
//! * Whoever has no project may name any in the path.
//! * The documents of the version need no token below `/v2.1/{project}/` either, and are got by `GET` and `HEAD` alone.
//! * A parameter that is no text once it is decoded is 400, also where nobody knows the parameter: Nova ignores it.
//! * What is wrong with a body or a query is told in other words, and answers are `application/json` whatever `Accept`
//!   says.

mod images;
mod list;
mod metadata;
mod microversion;
mod place;
mod query;
mod shown;
mod version;

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, StatusCode};
use image_service::{Image, ImageId};

use super::answer;
use super::body::Rule;
use super::exchange::Call;
use super::fault::Fault;
use super::routes::Names;
use microversion::Microversion;

pub(super) use microversion::Asked;
pub(super) use place::{Place, Spelling};

/// What Nova has always called the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// What bodies may say that they are.
const MEDIA_TYPES: [&str; 4] =
    ["", "text/plain", "application/json", "application/vnd.openstack.compute+json"];

const GONE: &str = "The resource could not be found.";
const NO_IMAGE: &str = "Image not found.";

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Version,
    List,
    Detail,
    Show,
    Delete,
    ListMetadata,
    AddMetadata,
    ReplaceMetadata,
    ShowItem,
    SetItem,
    RemoveItem,
}

impl Ask {
    /// What becomes of a request body.
    pub(super) const fn body(self) -> Rule {
        match self {
            Self::AddMetadata | Self::ReplaceMetadata | Self::SetItem => Rule::Taken,
            _ => Rule::Ignored,
        }
    }

    /// The last microversion that has it. Nova gave its images up in two steps.
    const fn last(self) -> Microversion {
        match self {
            Self::Version => Microversion::NEWEST,
            Self::List | Self::Detail | Self::Show | Self::Delete => Microversion::minor(35),
            _ => Microversion::minor(38),
        }
    }
}

/// Answers what is asked.
pub(super) async fn answer(call: &Call, ask: Ask, names: &Names, body: Body) -> Result<Response, Fault> {
    let Names { id, name, place, .. } = names;
    let place = place.clone().unwrap_or_default();
    let version = Asked::read(place.spelling, &call.headers).known()?;
    if ask != Ask::Version {
        check(call, ask, &place, version)?;
    }
    match ask {
        Ask::Version => Ok(version::show(call)),
        Ask::List => list::brief(call, &place).await,
        Ask::Detail => list::detail(call, &place).await,
        Ask::Show => images::show(call, id, &place).await,
        Ask::Delete => images::delete(call, id).await,
        Ask::ListMetadata => metadata::list(call, id).await,
        Ask::AddMetadata => metadata::add(call, id, body, place.spelling).await,
        Ask::ReplaceMetadata => metadata::replace(call, id, body, place.spelling).await,
        Ask::ShowItem => metadata::show(call, id, name).await,
        Ask::SetItem => metadata::set_one(call, id, name, body, place.spelling).await,
        Ask::RemoveItem => metadata::remove(call, id, name).await,
    }
}

/// Lets through a request for what is there, in the order in which Nova looks.
fn check(call: &Call, ask: Ask, place: &Place, version: Microversion) -> Result<(), Fault> {
    check_media_type(&call.headers)?;
    place.check(&call.context.caller)?;
    if version > ask.last() {
        return Err(Fault::not_found(GONE));
    }
    Ok(())
}

/// Adds to an answer, a fault too, what every one of this API has.
pub(super) fn dress(response: &mut Response, asked: &Asked, request_id: &str) {
    asked.tell(response.headers_mut());
    answer::set_header(response, REQUEST_ID, request_id);
}

/// Lets through a request whose body, if it has one, may be JSON.
fn check_media_type(headers: &HeaderMap) -> Result<(), Fault> {
    let given = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unreadable"));
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if MEDIA_TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(Fault::unsupported_type("Unsupported Content-Type"))
}

/// The image, for a caller who may see it.
async fn visible(call: &Call, id: &ImageId) -> Result<Image, Fault> {
    call.visible(id).await.map_err(absent)
}

/// The fault, in Nova's words if it is that there is no such image.
fn absent(fault: Fault) -> Fault {
    match fault.status() {
        StatusCode::NOT_FOUND => fault.with_message(NO_IMAGE),
        _ => fault,
    }
}
