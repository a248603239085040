//! What a process that died has left, put right before anyone is served.
//!
//! | found | done |
//! |---|---|
//! | files under `incoming` | removed: nobody is writing them any more |
//! | images that are `saving` | back to `queued`, ready for a new upload |
//! | data without an image that has data | removed: its upload never finished, or its image is deleted |
//! | an image with data whose file is missing or of another size | logged and left: `get` answers `Corrupt` |
//! | files under `data` that are not named like an image's | logged and left: they are not ours |

use std::fs;
use std::sync::Arc;

use image_service::{ErrorKind, ImageId, Result};
use portico_catalogue::{self as catalogue, Catalogue};

use crate::directory::Directory;
use crate::failure;

/// How many damaged images are named in the log; the others are counted.
const NAMED: usize = 20;

/// How many of each kind were found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) incoming: usize,
    pub(crate) saving: usize,
    pub(crate) orphans: usize,
    pub(crate) damaged: usize,
    pub(crate) strangers: usize,
}

/// Puts right what can be, and says what was found. Looks at every record and every file once.
pub(crate) fn recover(directory: &Directory, catalogue: &Catalogue) -> Result<Findings> {
    let incoming = directory.clear_incoming()?;
    let saving = undo_uploads(catalogue)?;
    let (orphans, strangers) = remove_orphans(directory, catalogue)?;
    let damaged = count_damaged(directory, catalogue)?;
    let findings = Findings { incoming, saving, orphans, damaged, strangers };
    if findings != Findings::default() {
        tracing::warn!(
            incoming,
            saving,
            orphans,
            damaged,
            strangers,
            "the store was not closed in order, or has been changed by others"
        );
    }
    Ok(findings)
}

fn undo_uploads(catalogue: &Catalogue) -> Result<usize> {
    catalogue.write(|transaction| {
        let ids = catalogue::saving(transaction)?;
        for id in &ids {
            let mut image = catalogue::must_find(transaction, id)?;
            image.abort_upload();
            catalogue::replace_image(transaction, &image)?;
        }
        Ok(ids.len())
    })
}

fn remove_orphans(directory: &Directory, catalogue: &Catalogue) -> Result<(usize, usize)> {
    catalogue.read(Arc::default(), |snapshot| {
        let (mut orphans, mut strangers) = (0, 0);
        for file in directory.data_files()? {
            let (path, id) = file?;
            let Some(id) = id else {
                strangers += 1;
                continue;
            };
            if !catalogue::find_image(snapshot, &id)?.is_some_and(|image| image.has_data()) {
                fs::remove_file(&path).map_err(|error| failure::opening("remove", &path, error))?;
                orphans += 1;
            }
        }
        Ok((orphans, strangers))
    })
}

fn count_damaged(directory: &Directory, catalogue: &Catalogue) -> Result<usize> {
    catalogue.read(Arc::default(), |snapshot| {
        let mut damaged = 0;
        catalogue::for_each_with_data(snapshot, |id, size| {
            if !is_whole(directory, &id, size)? {
                damaged += 1;
                if damaged <= NAMED {
                    tracing::error!(image = %id, "the data is missing or not of its recorded size");
                }
            }
            Ok(())
        })?;
        Ok(damaged)
    })
}

fn is_whole(directory: &Directory, id: &ImageId, size: u64) -> Result<bool> {
    let path = match directory.data_file(id) {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::Internal => return Ok(false),
        Err(error) => return Err(error),
    };
    match fs::metadata(&path) {
        Ok(metadata) => Ok(metadata.is_file() && metadata.len() == size),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failure::opening("look at", &path, error)),
    }
}
