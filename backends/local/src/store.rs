//! What the verbs do, one blocking step each: the catalogue and the directory together.
//!
//! The rules of an image's life and of tenancy are the contract's. Every read-modify-write is one transaction.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use image_service::{
    ByteRange, Caller, Error, ErrorKind, Image, ImageChange, ImageId, NewImage, Page, Query, Result,
    Timestamp, access,
};
use portico_catalogue::{self as catalogue, Catalogue, Fault, IMAGES, Keeper, Select, Wanted};
use portico_catalogue::{changeable, find, taken, visible};
use rusqlite::Connection;

use crate::claim::Underway;
use crate::directory::Directory;
use crate::failure;
use crate::options::Options;
use crate::recovery::{self, Findings};
use crate::reserve::Reserve;
use crate::steps::{Step, Watch};

#[derive(Debug)]
pub(crate) struct Store {
    /// Closed before the directory is unlocked.
    catalogue: Catalogue,
    directory: Directory,
    reserve: Reserve,
    underway: Arc<Underway>,
    options: Options,
}

/// An image, and its data if it has any: the file, at the start of the range, the range, and the whole's size.
pub(crate) struct Opened {
    pub(crate) image: Image,
    pub(crate) data: Option<(File, Range<u64>, u64)>,
}

impl Store {
    /// Opens the directory for this process alone, and puts right what a process that died has left.
    pub(crate) fn open(options: Options, watch: Watch) -> Result<(Self, Findings)> {
        options.check()?;
        let directory = Directory::open(&options.path, options.sync, watch)?;
        let reserve = Reserve::in_directory(&options.path, options.reserve.as_u64());
        let catalogue = Catalogue::open(&directory.catalogue(), options.of_catalogue(), &[IMAGES], || {
            has_no_data(&directory)
        })?;
        let findings = recovery::recover(&directory, &catalogue)?;
        reserve.refill();
        Ok((Self { directory, reserve, catalogue, underway: Arc::default(), options }, findings))
    }

    pub(crate) const fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(crate) const fn underway(&self) -> &Arc<Underway> {
        &self.underway
    }

    pub(crate) fn chunk_len(&self) -> usize {
        self.options.chunk_len()
    }

    pub(crate) const fn max_upload(&self) -> u64 {
        self.options.max_upload.as_u64()
    }

    pub(crate) const fn page_limit(&self) -> std::num::NonZeroUsize {
        self.options.page_limit
    }

    pub(crate) fn list<T: Wanted>(
        &self,
        caller: &Caller,
        query: &Query,
        unwanted: Arc<AtomicBool>,
    ) -> Result<Page<T>> {
        let select = Select::new(query, caller, self.options.page_limit.get())?;
        self.catalogue.read(unwanted, |snapshot| select.page(snapshot))
    }

    pub(crate) fn show(&self, caller: &Caller, id: &ImageId, unwanted: Arc<AtomicBool>) -> Result<Image> {
        self.catalogue.read(unwanted, |snapshot| Ok(visible(snapshot, caller, id)?.0))
    }

    /// Opens an image's data for reading. What has been opened can be read whole, whatever becomes of the image.
    ///
    /// # Errors
    /// Those of `get`, and `Corrupt` if the file of an image with data is missing or of another size.
    pub(crate) fn open_data(
        &self,
        caller: &Caller,
        id: &ImageId,
        range: Option<ByteRange>,
        unwanted: &Arc<AtomicBool>,
    ) -> Result<Opened> {
        let image = self.catalogue.read(Arc::clone(unwanted), |snapshot| {
            let (image, membership) = find(snapshot, caller, id)?;
            access::may_read_data(caller, &image, membership)?;
            Ok(image)
        })?;
        let Some(total) = image.size.filter(|_| image.has_data()) else {
            return Ok(Opened { image, data: None });
        };
        let range = range.map_or(Ok(0..total), |range| range.within(total))?;
        let failed = |error| failure::file("read image data", error);
        let file = match File::open(self.directory.data_file(id)?) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Deleted since the record was read, or else missing.
                self.catalogue.read(Arc::clone(unwanted), |snapshot| catalogue::must_find(snapshot, id))?;
                return Err(damaged(id, "missing").with_source(error));
            }
            Err(error) => return Err(failed(error)),
        };
        if file.metadata().map_err(failed)?.len() != total {
            return Err(damaged(id, "not of its recorded size"));
        }
        Ok(Opened { image, data: Some((file, range, total)) })
    }

    /// Makes a queued image.
    pub(crate) fn create(&self, caller: &Caller, new: NewImage) -> Result<Image> {
        let returning = new.returning;
        let image = new_image(caller, new)?;
        self.catalogue.write(|transaction| {
            if returning {
                catalogue::forget_deleted(transaction, &image.id)?;
            }
            self.must_be_free(transaction, &image.id)?;
            catalogue::insert_image(transaction, &image)?;
            Ok(())
        })?;
        Ok(image)
    }

    /// `AlreadyExists` if the id is or was in use, or is being uploaded to. To be asked in a writing transaction.
    pub(crate) fn must_be_free(&self, connection: &Connection, id: &ImageId) -> Result<(), Fault> {
        if self.underway.has(id) || catalogue::is_taken(connection, id)? {
            return Err(taken(id).into());
        }
        Ok(())
    }

    pub(crate) fn change(&self, caller: &Caller, id: &ImageId, change: ImageChange) -> Result<Image> {
        self.catalogue.write(|transaction| {
            let image = changeable(transaction, caller, id)?;
            let mut changed = image.clone();
            change.apply_to(&mut changed, caller, Timestamp::now())?;
            if changed != image {
                catalogue::replace_image(transaction, &changed)?;
            }
            Ok(changed)
        })
    }

    /// Takes the image out of the catalogue for ever, and stops an upload to it. Its data is still there:
    /// [`discard`](Self::discard) it.
    ///
    /// A disk that is full does not stand in the way as long as there is a reserve.
    pub(crate) fn delete(&self, caller: &Caller, id: &ImageId) -> Result<()> {
        match self.delete_record(caller, id) {
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                self.reserve.release();
                self.delete_record(caller, id)?;
            }
            deleted => deleted?,
        }
        self.underway.stop(id);
        Ok(())
    }

    fn delete_record(&self, caller: &Caller, id: &ImageId) -> Result<()> {
        let failed = |error| failure::file("delete the image", error);
        self.directory.watch().reached(Step::Deleting).map_err(failed)?;
        self.catalogue.write(|transaction| {
            let (image, membership) = find(transaction, caller, id)?;
            access::may_delete(caller, &image, membership)?;
            catalogue::delete_image(transaction, id, Timestamp::now())
        })
    }

    /// Removes the data of an image that the catalogue does not hold. If that fails, opening will do it.
    pub(crate) fn discard(&self, id: &ImageId) {
        let removed = self
            .directory
            .watch()
            .reached(Step::Deleted)
            .map_err(|error| failure::file("remove image data", error))
            .and_then(|()| self.directory.remove_data(id));
        if let Err(error) = removed {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(image = %id, cause, "the data of a deleted image stays until the store is opened anew");
        }
        self.reserve.refill();
    }
}

impl Keeper for Store {
    fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}

/// The queued image that `new` describes, under an id that can be a file's name.
pub(crate) fn new_image(caller: &Caller, new: NewImage) -> Result<Image> {
    if let Some(id) = &new.id {
        ImageId::for_new_image(id.as_str())?;
    }
    new.into_image(caller, Timestamp::now())
}

fn damaged(id: &ImageId, how: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the data of image {id} is {how}"))
}

fn has_no_data(directory: &Directory) -> Result<bool> {
    for file in directory.data_files()? {
        if file?.1.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}
