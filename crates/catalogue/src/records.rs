//! Images as rows.

use std::fmt::Display;
use std::str::FromStr;

use image_service::{Error, ErrorKind, Image, ImageId, MultiHash, Result, Summary, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use crate::fault::Fault;

/// What a list wants of each image, and how a row becomes that.
pub trait Wanted: Sized {
    /// The columns to select from `images`.
    const COLUMNS: &'static str;

    /// Reads the selected columns, and looks up what they do not hold.
    ///
    /// # Errors
    /// Those of the disk, and of a row that makes no sense.
    fn from_row(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Self>;
}

impl Wanted for Summary {
    const COLUMNS: &'static str = "images.id, images.name";

    fn from_row(_: &Connection, row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: ImageId::lookup(row.get::<_, String>(0)?), name: row.get(1)? })
    }
}

impl Wanted for Image {
    const COLUMNS: &'static str = "images.id, images.name, images.status, images.visibility, images.owner, \
        images.size, images.virtual_size, images.disk_format, images.container_format, images.checksum, \
        images.hash_algorithm, images.hash_value, images.hidden, images.protected, images.min_disk, \
        images.min_ram, images.created_at, images.updated_at";

    fn from_row(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Self> {
        let hash = row.get::<_, Option<String>>(10)?.zip(row.get::<_, Option<String>>(11)?);
        let mut image = Self {
            id: ImageId::lookup(row.get::<_, String>(0)?),
            name: row.get(1)?,
            status: word(row, 2)?,
            visibility: word(row, 3)?,
            owner: row.get(4)?,
            size: size(row, 5)?,
            virtual_size: size(row, 6)?,
            disk_format: row.get(7)?,
            container_format: row.get(8)?,
            checksum: row.get(9)?,
            hash: hash.map(|(algorithm, value)| MultiHash { algorithm, value }),
            hidden: row.get(12)?,
            protected: row.get(13)?,
            min_disk: row.get(14)?,
            min_ram: row.get(15)?,
            tags: Default::default(),
            created_at: time(row, 16)?,
            updated_at: time(row, 17)?,
            properties: Default::default(),
            stores: Vec::new(),
        };
        let mut tags = connection.prepare_cached("SELECT tag FROM tags WHERE image_id = ?")?;
        image.tags =
            tags.query_map([image.id.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut properties =
            connection.prepare_cached("SELECT key, value FROM properties WHERE image_id = ?")?;
        image.properties = properties
            .query_map([image.id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(image)
    }
}

/// A column that holds one of an enum's words.
pub(crate) fn word<T: FromStr<Err = Error>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    unreadable(column, Type::Text, row.get_ref(column)?.as_str()?.parse())
}

pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    unreadable(column, Type::Integer, Timestamp::from_second(row.get(column)?))
}

fn size(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let size: Option<i64> = row.get(column)?;
    size.map(|size| unreadable(column, Type::Integer, u64::try_from(size))).transpose()
}

fn unreadable<T, E>(column: usize, kind: Type, value: Result<T, E>) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    value.map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error)))
}

/// The image of this id, if there is one.
///
/// # Errors
/// Those of the disk.
pub fn find_image(connection: &Connection, id: &ImageId) -> Result<Option<Image>, Fault> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {} FROM images WHERE id = ?", Image::COLUMNS))?;
    Ok(statement.query_row([id.as_str()], |row| Image::from_row(connection, row)).optional()?)
}

/// The image of this id.
///
/// # Errors
/// `NotFound`, and those of the disk.
pub fn must_find(connection: &Connection, id: &ImageId) -> Result<Image, Fault> {
    find_image(connection, id)?.ok_or_else(|| Error::not_found(id).into())
}

/// Whether the id is in use, or ever was.
///
/// # Errors
/// Those of the disk.
pub fn is_taken(connection: &Connection, id: &impl Display) -> Result<bool, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM images WHERE id = ?1) OR EXISTS (SELECT 1 FROM deleted WHERE id = ?1)",
    )?;
    Ok(statement.query_row([id.to_string()], |row| row.get(0))?)
}

/// Adds an image whose id is free.
///
/// # Errors
/// Those of the disk.
pub fn insert_image(connection: &Connection, image: &Image) -> Result<(), Fault> {
    write_row(
        connection,
        image,
        "INSERT INTO images (id, name, status, visibility, owner, size, virtual_size, disk_format, \
         container_format, checksum, hash_algorithm, hash_value, hidden, protected, min_disk, min_ram, \
         created_at, updated_at) VALUES (:id, :name, :status, :visibility, :owner, :size, :virtual_size, \
         :disk_format, :container_format, :checksum, :hash_algorithm, :hash_value, :hidden, :protected, \
         :min_disk, :min_ram, :created_at, :updated_at)",
    )?;
    insert_lists(connection, image)
}

/// Puts `image` in the place of the one of its id.
///
/// # Errors
/// Those of the disk.
pub fn replace_image(connection: &Connection, image: &Image) -> Result<(), Fault> {
    write_row(
        connection,
        image,
        "UPDATE images SET name = :name, status = :status, visibility = :visibility, owner = :owner, \
         size = :size, virtual_size = :virtual_size, disk_format = :disk_format, \
         container_format = :container_format, checksum = :checksum, hash_algorithm = :hash_algorithm, \
         hash_value = :hash_value, hidden = :hidden, protected = :protected, min_disk = :min_disk, \
         min_ram = :min_ram, created_at = :created_at, updated_at = :updated_at WHERE id = :id",
    )?;
    for table in ["DELETE FROM tags WHERE image_id = ?", "DELETE FROM properties WHERE image_id = ?"] {
        connection.prepare_cached(table)?.execute([image.id.as_str()])?;
    }
    insert_lists(connection, image)
}

fn write_row(connection: &Connection, image: &Image, sql: &str) -> Result<(), Fault> {
    let rows = connection.prepare_cached(sql)?.execute(named_params! {
        ":id": image.id.as_str(),
        ":name": image.name,
        ":status": image.status.as_str(),
        ":visibility": image.visibility.as_str(),
        ":owner": image.owner,
        ":size": image.size.map(storable).transpose()?,
        ":virtual_size": image.virtual_size.map(storable).transpose()?,
        ":disk_format": image.disk_format,
        ":container_format": image.container_format,
        ":checksum": image.checksum,
        ":hash_algorithm": image.hash.as_ref().map(|hash| &hash.algorithm),
        ":hash_value": image.hash.as_ref().map(|hash| &hash.value),
        ":hidden": image.hidden,
        ":protected": image.protected,
        ":min_disk": image.min_disk,
        ":min_ram": image.min_ram,
        ":created_at": image.created_at.as_second(),
        ":updated_at": image.updated_at.as_second(),
    })?;
    if rows != 1 {
        return Err(Error::new(ErrorKind::Internal, "a record has gone within a transaction").into());
    }
    Ok(())
}

/// A size as SQLite keeps it. Always less than `i64::MAX`, which comparisons use for all that is larger.
fn storable(size: u64) -> Result<i64, Fault> {
    i64::try_from(size)
        .ok()
        .filter(|size| *size < i64::MAX)
        .ok_or_else(|| Error::new(ErrorKind::TooLarge, "no image can be that large").into())
}

fn insert_lists(connection: &Connection, image: &Image) -> Result<(), Fault> {
    let mut tag = connection.prepare_cached("INSERT INTO tags (image_id, tag) VALUES (?, ?)")?;
    for word in &image.tags {
        tag.execute(params![image.id.as_str(), word])?;
    }
    let mut property =
        connection.prepare_cached("INSERT INTO properties (image_id, key, value) VALUES (?, ?, ?)")?;
    for (key, value) in &image.properties {
        property.execute(params![image.id.as_str(), key, value])?;
    }
    Ok(())
}

/// Removes an image with its members, and remembers its id.
///
/// # Errors
/// Those of the disk.
pub fn delete_image(connection: &Connection, id: &ImageId, now: Timestamp) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM images WHERE id = ?")?.execute([id.as_str()])?;
    connection
        .prepare_cached("INSERT INTO deleted (id, deleted_at) VALUES (?, ?)")?
        .execute(params![id.as_str(), now.as_second()])?;
    Ok(())
}

/// Forgets that there was an image of this id.
///
/// # Errors
/// SQLite's.
pub fn forget_deleted(connection: &Connection, id: &ImageId) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM deleted WHERE id = ?")?.execute([id.as_str()])?;
    Ok(())
}

/// The ids of all images that data is being written to.
///
/// # Errors
/// Those of the disk.
pub fn saving(connection: &Connection) -> Result<Vec<ImageId>, Fault> {
    let mut statement = connection.prepare("SELECT id FROM images WHERE status = 'saving'")?;
    let ids = statement.query_map([], |row| row.get(0).map(|id: String| ImageId::lookup(id)))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Shows `each` the id and size of every image that has data, one at a time.
///
/// # Errors
/// Those of the disk.
pub fn for_each_with_data(
    connection: &Connection,
    mut each: impl FnMut(ImageId, u64) -> Result<()>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare("SELECT id, size FROM images WHERE size IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(size) = size(row, 1)? {
            each(ImageId::lookup(row.get::<_, String>(0)?), size)?;
        }
    }
    Ok(())
}
