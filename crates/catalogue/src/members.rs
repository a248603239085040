//! Members as rows: the projects that images are shared with.

use image_service::{Caller, Error, ErrorKind, Image, ImageId, MOST_PER_IMAGE, Member, MemberStatus, Result};
use image_service::{Timestamp, access};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::fault::Fault;
use crate::records::{time, word};

const COLUMNS: &str = "image_id, member_id, status, created_at, updated_at";

fn member_from(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        image_id: ImageId::lookup(row.get::<_, String>(0)?),
        member_id: row.get(1)?,
        status: word(row, 2)?,
        created_at: time(row, 3)?,
        updated_at: time(row, 4)?,
    })
}

/// What the caller's project has said to this image, if it is a member and that matters.
///
/// # Errors
/// Those of the disk.
pub fn membership(
    connection: &Connection,
    caller: &Caller,
    image: &Image,
) -> Result<Option<MemberStatus>, Fault> {
    match &caller.project {
        Some(project) if access::hangs_on_membership(caller, image) => {
            Ok(find_member(connection, &image.id, project)?.map(|member| member.status))
        }
        _ => Ok(None),
    }
}

/// One member, if it is one.
///
/// # Errors
/// Those of the disk.
pub fn find_member(connection: &Connection, id: &ImageId, member: &str) -> Result<Option<Member>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM members WHERE image_id = ? AND member_id = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![id.as_str(), member], member_from).optional()?)
}

/// All members, by member id.
///
/// # Errors
/// Those of the disk.
pub fn members_of(connection: &Connection, id: &ImageId) -> Result<Vec<Member>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM members WHERE image_id = ? ORDER BY member_id");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map([id.as_str()], member_from)?.collect::<rusqlite::Result<_>>()?)
}

/// Adds a pending member.
///
/// # Errors
/// `AlreadyExists`; `TooLarge` if there are too many.
pub fn add_member(
    connection: &Connection,
    id: &ImageId,
    member: &str,
    now: Timestamp,
) -> Result<Member, Fault> {
    if find_member(connection, id, member)?.is_some() {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("image {id} is shared with '{member}' already"),
        )
        .into());
    }
    let mut count = connection.prepare_cached("SELECT count(*) FROM members WHERE image_id = ?")?;
    let members: u32 = count.query_row([id.as_str()], |row| row.get(0))?;
    if members as usize >= MOST_PER_IMAGE {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the limit on members is {MOST_PER_IMAGE} and {} were attempted", members + 1),
        )
        .into());
    }
    let member = Member {
        image_id: id.clone(),
        member_id: member.to_owned(),
        status: MemberStatus::Pending,
        created_at: now,
        updated_at: now,
    };
    let sql = format!("INSERT INTO members ({COLUMNS}) VALUES (?, ?, ?, ?, ?)");
    connection.prepare_cached(&sql)?.execute(params![
        id.as_str(),
        member.member_id,
        member.status.as_str(),
        now.as_second(),
        now.as_second(),
    ])?;
    Ok(member)
}

/// Records what `member` says now.
///
/// # Errors
/// Those of the disk.
pub fn set_member_status(connection: &Connection, member: &Member) -> Result<(), Fault> {
    let sql = "UPDATE members SET status = ?, updated_at = ? WHERE image_id = ? AND member_id = ?";
    connection.prepare_cached(sql)?.execute(params![
        member.status.as_str(),
        member.updated_at.as_second(),
        member.image_id.as_str(),
        member.member_id,
    ])?;
    Ok(())
}

/// Takes a member away.
///
/// # Errors
/// Those of the disk.
pub fn remove_member(connection: &Connection, id: &ImageId, member: &str) -> Result<(), Fault> {
    let sql = "DELETE FROM members WHERE image_id = ? AND member_id = ?";
    connection.prepare_cached(sql)?.execute(params![id.as_str(), member])?;
    Ok(())
}
