//! The Image API v1, which Glance served from 2011 to 2018, for clients that know no other.
//!
//! An image travels in the headers of requests and answers, its data beside it in the body. It is served only if the
//! configuration says so, from the same service, policies, quotas and rules of tenancy as v2: what is made in one is seen
//! in the other.
//!
//! | file | what it knows |
//! |---|---|
//! | `said` | headers → what a client says of an image |
//! | `change` | that, and an image → a new image, or a change |
//! | `shown` | an image → headers and JSON |
//! | `query`, `list` | lists: what is asked for, and full pages of it, for there is no link to the next |
//! | `images`, `data`, `download` | one image: made, changed, deleted; where its data comes from; its data |
//! | `members`, `shared` | the projects that an image is shared with, and what is shared with a project |
//!
//! Faults are plain text. What v2 tells as 415, data of another format than its image's, is 400 here, where 415 is no
//! status that clients know.
//!
//! ## Where this departs from Glance 15, on purpose
//!
//! * An upload that fails leaves no `killed` image behind: nothing, or the image as it was, `queued`. So a failed copy is
//!   told by the image being `queued` again.
//! * What a client says of size and checksum in advance is held to the data that comes with it, or with its location, and
//!   is not remembered of an image that waits for data: its size is shown as 0, and found by no filter. Of an image with
//!   data nobody changes them.
//! * A checksum cannot be given with `x-glance-api-copy-from`: what is fetched later is not held to it.
//! * `is_public: false` makes a public image a shared one, and leaves all others as they are: Glance shows a private image
//!   to its former members then.
//! * Formats of an image with data stay as they are, as in v2.
//! * Members cannot share an image on: `can_share: true` is refused. Only shared images have members.
//! * A public or community image has no members to list; to add one is 403.
//! * Properties have values: an empty header is no property. One with the name of an attribute, or that begins with
//!   `os_glance`, is refused; those of the second kind are not shown. A property whose name or value cannot stand in a
//!   header is shown in JSON alone.
//! * Images are never shown once they are deleted: `changes-since` finds none of these, and an administrator's
//!   `deleted=true` finds nothing. Hidden images are not listed. An image that is being imported is `saving`.
//! * An image without an owner is listed to everyone, as in v2.
//! * A backend that goes by the caller's own token lists to an administrator what that token may see, also where Glance
//!   would take the administrator for a user.
//! * A location whose data cannot be had is 404, whatever the reason.
//! * A bad `min_disk` in a query is 400, where Glance lists nothing, and an unknown operator too, where it answers 500.
//! * An image of no bytes has the checksum of no bytes, and `/v1` answers at once what Glance has clients ask `/v1/` for.
//! * Times that a client gives are checked and not kept.
//! * Faults are text/plain whatever `Accept` says.

mod change;
mod data;
mod download;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod images;
mod list;
mod members;
mod query;
mod said;
mod shared;
mod shown;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use image_service::{Image, ImageId};

use super::body::Rule;
use super::exchange::Call;
use super::fault::Fault;
use super::routes::Names;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    List,
    Detail,
    Create,
    Show,
    Download,
    Update,
    Delete,
    ListMembers,
    ReplaceMembers,
    AddMember,
    RemoveMember,
    ListShared,
}

impl Ask {
    /// What becomes of a request body. Clients of old send some where none is wanted.
    pub(super) const fn body(self) -> Rule {
        match self {
            Self::Create | Self::Update | Self::ReplaceMembers | Self::AddMember => Rule::Taken,
            _ => Rule::Ignored,
        }
    }
}

/// Answers what is asked.
pub(super) async fn answer(call: &Call, ask: Ask, names: &Names, body: Body) -> Result<Response, Fault> {
    let Names { id, name, .. } = names;
    let outcome = match ask {
        Ask::List => list::brief(call).await,
        Ask::Detail => list::detail(call).await,
        Ask::Create => images::create(call, body).await,
        Ask::Show => images::show(call, id).await,
        Ask::Download => download::download(call, id).await,
        Ask::Update => images::update(call, id, body).await,
        Ask::Delete => images::delete(call, id).await,
        Ask::ListMembers => members::list(call, id).await,
        Ask::ReplaceMembers => members::replace(call, id, body).await,
        Ask::AddMember => members::add(call, id, name, body).await,
        Ask::RemoveMember => members::remove(call, id, name).await,
        Ask::ListShared => shared::list(call, name).await,
    };
    outcome.map_err(|fault| match fault.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => fault.with_status(StatusCode::BAD_REQUEST),
        _ => fault,
    })
}

/// The image, for a caller who may see it.
async fn visible(call: &Call, id: &ImageId) -> Result<Image, Fault> {
    call.visible(id).await.map_err(|fault| absent(fault, id))
}

/// The fault, in v1's words if it is that there is no such image.
fn absent(fault: Fault, id: &ImageId) -> Fault {
    match fault.status() {
        StatusCode::NOT_FOUND => fault.with_message(format!("Image with identifier {id} not found")),
        _ => fault,
    }
}
