//! Locations as rows.

use std::collections::BTreeMap;

use image_service::{Error, ErrorKind, ImageId, Location};
use portico_catalogue::Fault;
use rusqlite::{Connection, params};

/// The step of the schema that makes their tables. A step that has been released is never changed.
pub(crate) const LOCATIONS: &str = "
CREATE TABLE locations (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (image_id, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE location_metadata (
    image_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (image_id, place, key),
    FOREIGN KEY (image_id, place) REFERENCES locations (image_id, place) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
";

/// The locations of an image, in their order.
pub(crate) fn of(connection: &Connection, id: &ImageId) -> Result<Vec<Location>, Fault> {
    let mut metadata = connection
        .prepare_cached("SELECT key, value FROM location_metadata WHERE image_id = ? AND place = ?")?;
    let mut rows =
        connection.prepare_cached("SELECT place, url FROM locations WHERE image_id = ? ORDER BY place")?;
    let rows = rows.query_map([id.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    let mut locations = Vec::new();
    for row in rows {
        let (place, url) = row?;
        let notes = metadata.query_map(params![id.as_str(), place], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let metadata: BTreeMap<String, String> = notes.collect::<rusqlite::Result<_>>()?;
        locations.push(Location { url, metadata, store: None });
    }
    Ok(locations)
}

/// Puts these in the place of all locations of an image.
pub(crate) fn replace(connection: &Connection, id: &ImageId, locations: &[Location]) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM locations WHERE image_id = ?")?.execute([id.as_str()])?;
    let mut row =
        connection.prepare_cached("INSERT INTO locations (image_id, place, url) VALUES (?, ?, ?)")?;
    let mut note = connection
        .prepare_cached("INSERT INTO location_metadata (image_id, place, key, value) VALUES (?, ?, ?, ?)")?;
    for (place, location) in locations.iter().enumerate() {
        let place =
            i64::try_from(place).map_err(|_| Error::new(ErrorKind::TooLarge, "too many locations"))?;
        row.execute(params![id.as_str(), place, location.url])?;
        for (key, value) in &location.metadata {
            note.execute(params![id.as_str(), place, key, value])?;
        }
    }
    Ok(())
}
