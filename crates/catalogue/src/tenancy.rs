//! An image, for a caller who may see or change it: the rows under the contract's rules.

use std::fmt::Display;

use image_service::{Caller, Error, ErrorKind, Image, ImageId, MemberStatus, Result, access};
use rusqlite::Connection;

use crate::fault::Fault;
use crate::{members, records};

/// The image, and what the caller's project has said to it. Administrators are told if it has been deleted.
///
/// # Errors
/// `NotFound`, whoever may see it.
pub fn find(
    connection: &Connection,
    caller: &Caller,
    id: &ImageId,
) -> Result<(Image, Option<MemberStatus>), Fault> {
    let Some(image) = records::find_image(connection, id)? else {
        let was_used = caller.is_admin() && records::is_taken(connection, id)?;
        return Err(if was_used { Error::deleted(id) } else { Error::not_found(id) }.into());
    };
    let membership = members::membership(connection, caller, &image)?;
    Ok((image, membership))
}

/// As [`find`], for an image that the caller may see.
///
/// # Errors
/// `NotFound` for any other.
pub fn visible(
    connection: &Connection,
    caller: &Caller,
    id: &ImageId,
) -> Result<(Image, Option<MemberStatus>), Fault> {
    let (image, membership) = find(connection, caller, id)?;
    if !access::may_see(caller, &image, membership) {
        return Err(Error::not_found(id).into());
    }
    Ok((image, membership))
}

/// The image, which the caller may change.
///
/// # Errors
/// Those of [`access::may_change`].
pub fn changeable(connection: &Connection, caller: &Caller, id: &ImageId) -> Result<Image, Fault> {
    let (image, membership) = find(connection, caller, id)?;
    access::may_change(caller, &image, membership)?;
    Ok(image)
}

/// The id is or was in use.
pub fn taken(id: &impl Display) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("image ID {id} already exists or has existed"))
}
