//! An upload under way: undone when dropped, unless it ended well.
//!
//! While this value lives its image is `saving`, and nobody else's upload is let in. An image deleted meanwhile
//! has no record to find, which fails the upload. As ids are not used again, a record that is found is the one
//! that this upload began with.

use image_service::{Digests, Error, Image, ImageId, Result, Timestamp};

use crate::Memory;
use crate::pieces::Pieces;

/// What becomes of the image if its data does not arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Undo {
    /// It was there before, and is queued again.
    Requeue,
    /// It came with the data, and is gone.
    Forget,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Saving<'a> {
    memory: &'a Memory,
    id: ImageId,
    undo: Option<Undo>,
}

impl<'a> Saving<'a> {
    /// Watches over the upload to `id`, which has just been taken to `saving`.
    pub(crate) const fn new(memory: &'a Memory, id: ImageId, undo: Undo) -> Self {
        Self { memory, id, undo: Some(undo) }
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// `NotFound` if the image has been deleted.
    pub(crate) fn check(&self) -> Result<()> {
        if self.memory.read().holds(&self.id) { Ok(()) } else { Err(Error::not_found(&self.id)) }
    }

    /// Gives the image its data, and shows it.
    ///
    /// # Errors
    /// `NotFound` if the image has been deleted.
    pub(crate) fn finish(mut self, data: Pieces, digests: Digests) -> Result<Image> {
        let mut shelf = self.memory.write();
        self.undo = None;
        let image = shelf.change(&self.id, |image| {
            image.finish_upload(digests, Timestamp::now());
            Ok(())
        })?;
        shelf.set_data(&self.id, data);
        Ok(image)
    }
}

impl Drop for Saving<'_> {
    fn drop(&mut self) {
        match self.undo {
            None => {}
            Some(Undo::Forget) => self.memory.write().forget(&self.id),
            Some(Undo::Requeue) => {
                // An image that is not there has been deleted, and needs nothing undone.
                let _ = self.memory.write().change(&self.id, |image| {
                    image.abort_upload();
                    Ok(())
                });
            }
        }
    }
}
