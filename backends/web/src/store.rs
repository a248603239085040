//! What the verbs do with records, one transaction each, and the way to data.

use std::fs;
use std::path::Path;
use std::time::Duration;

use image_service::{
    Caller, Error, ErrorKind, Image, ImageChange, ImageId, Location, NewImage, Page, Query, Result,
    Timestamp, access,
};
use portico_catalogue::{
    Catalogue, Fault, IMAGES, Keeper, Select, Wanted, changeable, delete_image, find, forget_deleted,
    insert_image, is_taken, replace_image, taken,
};
use portico_fetch::Fetcher;
use rusqlite::Connection;

use crate::options::Options;
use crate::rows::{self, LOCATIONS};

#[derive(Debug)]
pub(crate) struct Store {
    catalogue: Catalogue,
    pub(crate) fetcher: Fetcher,
    pub(crate) page_limit: std::num::NonZeroUsize,
    pub(crate) patience: Duration,
}

impl Keeper for Store {
    fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}

impl Store {
    pub(crate) fn open(options: Options) -> Result<Self> {
        options.check()?;
        let settings = options.of_catalogue();
        make_directory(&options.path)?;
        let file = options.path.join("catalogue.sqlite3");
        let catalogue = Catalogue::open(&file, settings, &[IMAGES, LOCATIONS], || Ok(true))?;
        let fetcher = Fetcher::new(options.fetch)?;
        Ok(Self { catalogue, fetcher, page_limit: options.page_limit, patience: options.patience })
    }
}

fn make_directory(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| {
        let message = format!("cannot make directory '{}': {error}", path.display());
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    })
}

pub(crate) fn page<T: Wanted>(
    connection: &Connection,
    caller: &Caller,
    query: &Query,
    most: usize,
) -> Result<Page<T>, Fault> {
    Select::new(query, caller, most)?.page(connection)
}

/// The image and its locations, for a caller who may read its data.
pub(crate) fn readable(
    connection: &Connection,
    caller: &Caller,
    id: &ImageId,
) -> Result<(Image, Vec<Location>), Fault> {
    let (image, membership) = find(connection, caller, id)?;
    access::may_read_data(caller, &image, membership)?;
    let locations = if image.has_data() { rows::of(connection, id)? } else { Vec::new() };
    Ok((image, locations))
}

/// The queued image that `new` describes, under an id that is free.
pub(crate) fn describe(connection: &Connection, caller: &Caller, new: NewImage) -> Result<Image, Fault> {
    if let Some(id) = &new.id {
        ImageId::for_new_image(id.as_str())?;
    }
    let image = new.into_image(caller, Timestamp::now())?;
    if is_taken(connection, &image.id)? { Err(taken(&image.id).into()) } else { Ok(image) }
}

pub(crate) fn create(connection: &Connection, caller: &Caller, new: NewImage) -> Result<Image, Fault> {
    if let Some(id) = new.id.as_ref().filter(|_| new.returning) {
        forget_deleted(connection, id)?;
    }
    let image = describe(connection, caller, new)?;
    insert_image(connection, &image)?;
    Ok(image)
}

pub(crate) fn change(
    connection: &Connection,
    caller: &Caller,
    id: &ImageId,
    change: ImageChange,
) -> Result<Image, Fault> {
    let image = changeable(connection, caller, id)?;
    let mut changed = image.clone();
    change.apply_to(&mut changed, caller, Timestamp::now())?;
    if changed != image {
        replace_image(connection, &changed)?;
    }
    Ok(changed)
}

/// Lets through an upload that another store would let in.
pub(crate) fn upload(
    connection: &Connection,
    caller: &Caller,
    id: &ImageId,
    change: ImageChange,
) -> Result<(), Fault> {
    let mut image = changeable(connection, caller, id)?;
    change.apply_to(&mut image, caller, Timestamp::now())?;
    Ok(image.begin_upload(Timestamp::now())?)
}

pub(crate) fn delete(connection: &Connection, caller: &Caller, id: &ImageId) -> Result<(), Fault> {
    let (image, membership) = find(connection, caller, id)?;
    access::may_delete(caller, &image, membership)?;
    delete_image(connection, id, Timestamp::now())
}
