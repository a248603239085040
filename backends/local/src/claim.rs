//! The right to give an image its data: held by one upload at a time, and given back whatever happens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image_service::{
    Caller, Error, ErrorKind, Image, ImageChange, ImageId, NewImage, Result, Status, Timestamp,
};
use portico_catalogue::{self as catalogue, Keeper, changeable};
use tokio_util::sync::CancellationToken;

use crate::failure;
use crate::intake::Received;
use crate::steps::Step;
use crate::store::{Store, new_image};

/// The uploads that this process is taking in, each with what stops it.
#[derive(Debug, Default)]
pub(crate) struct Underway(Mutex<HashMap<ImageId, CancellationToken>>);

impl Underway {
    pub(crate) fn has(&self, id: &ImageId) -> bool {
        self.lock().contains_key(id)
    }

    /// Stops the upload to this image, if there is one.
    pub(crate) fn stop(&self, id: &ImageId) {
        if let Some(stop) = self.lock().get(id) {
            stop.cancel();
        }
    }

    fn enter(self: &Arc<Self>, id: &ImageId, stop: CancellationToken) -> Ticket {
        self.lock().insert(id.clone(), stop);
        Ticket { underway: Arc::clone(self), id: id.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ImageId, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry in [`Underway`].
#[derive(Debug)]
struct Ticket {
    underway: Arc<Underway>,
    id: ImageId,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.underway.lock().remove(&self.id);
    }
}

/// The right to give one image its data. Unless it is [finished](Self::finish), dropping it undoes everything.
#[derive(Debug)]
pub(crate) struct Claim {
    store: Arc<Store>,
    to: Target,
    ticket: Option<Ticket>,
    settled: bool,
}

#[derive(Debug)]
enum Target {
    /// An image that there is not yet: nobody sees it before it is whole, but its id is taken.
    New(Box<Image>),
    /// An image in the catalogue that is `saving`.
    Saving(ImageId),
}

impl Target {
    const fn id(&self) -> &ImageId {
        match self {
            Self::New(image) => &image.id,
            Self::Saving(id) => id,
        }
    }
}

impl Claim {
    /// Claims a new image. The catalogue holds nothing of it until it is finished.
    ///
    /// # Errors
    /// Those of `create` that can be known before the data.
    pub(crate) fn for_new(
        store: &Arc<Store>,
        caller: &Caller,
        new: NewImage,
        stop: CancellationToken,
    ) -> Result<Self> {
        let mut image = new_image(caller, new)?;
        image.begin_upload(image.created_at)?;
        let ticket = store.catalogue().write(|transaction| {
            store.must_be_free(transaction, &image.id)?;
            Ok(store.underway().enter(&image.id, stop))
        })?;
        Self::made(store, Target::New(Box::new(image)), ticket)
    }

    /// Changes a queued image, takes it to `saving`, and claims it.
    ///
    /// # Errors
    /// Those of `update` that can be known before the data; nothing has changed then.
    pub(crate) fn for_change(
        store: &Arc<Store>,
        caller: &Caller,
        id: &ImageId,
        change: ImageChange,
        stop: CancellationToken,
    ) -> Result<Self> {
        let ticket = store.catalogue().write(|transaction| {
            let mut image = changeable(transaction, caller, id)?;
            change.apply_to(&mut image, caller, Timestamp::now())?;
            image.begin_upload(Timestamp::now())?;
            catalogue::replace_image(transaction, &image)?;
            // Inside, so that whoever deletes the image when it is `saving` finds the upload to stop.
            Ok(store.underway().enter(id, stop))
        })?;
        Self::made(store, Target::Saving(id.clone()), ticket)
    }

    fn made(store: &Arc<Store>, to: Target, ticket: Ticket) -> Result<Self> {
        let claim = Self { store: Arc::clone(store), to, ticket: Some(ticket), settled: false };
        let watch = claim.store.directory().watch();
        watch.reached(Step::Claimed).map_err(|error| failure::file("take image data", error))?;
        Ok(claim)
    }

    /// Puts the data in its place and makes the image active.
    ///
    /// The last step is one transaction: before it there is no image, or one without data; after it, a whole one.
    ///
    /// # Errors
    /// `NotFound` if the image has been deleted meanwhile; those of the disk. All is undone then.
    pub(crate) fn finish(mut self, received: Received) -> Result<Image> {
        let Received { incoming, digests } = received;
        incoming.place(self.store.directory(), self.to.id())?;
        let image = self.store.catalogue().write(|transaction| match &self.to {
            Target::New(image) => {
                let mut image = Image::clone(image);
                image.finish_upload(digests, Timestamp::now());
                catalogue::insert_image(transaction, &image)?;
                Ok(image)
            }
            Target::Saving(id) => {
                let mut image = catalogue::must_find(transaction, id)?;
                if image.status != Status::Saving {
                    return Err(Error::new(ErrorKind::Internal, "an upload has lost its image").into());
                }
                image.finish_upload(digests, Timestamp::now());
                catalogue::replace_image(transaction, &image)?;
                Ok(image)
            }
        })?;
        self.settled = true;
        // It is done, so there is no failing any more.
        drop(self.store.directory().watch().reached(Step::Finished));
        Ok(image)
    }

    /// Undoes everything because of `error`, and gives what to answer: that, or `NotFound` if the reason is that
    /// the image has been deleted.
    pub(crate) fn abandon(mut self, error: Error) -> Error {
        match self.undo() {
            Ok(Left::Nothing) if matches!(self.to, Target::Saving(_)) => Error::not_found(self.to.id()),
            Ok(_) => error,
            Err(failure) => {
                warn(&failure);
                error
            }
        }
    }

    /// Takes the image back to `queued`, or frees the id, and removes the data if it has been placed.
    fn undo(&mut self) -> Result<Left> {
        self.settled = true;
        let id = self.to.id();
        if matches!(self.to, Target::Saving(_)) {
            // As soon as the image is queued, the next upload may enter. Until then nobody else can.
            self.ticket = None;
        }
        let left = self.store.catalogue().write(|transaction| {
            let image = catalogue::find_image(transaction, id)?;
            if image.as_ref().is_some_and(Image::has_data) {
                // The transaction that seemed to fail did not.
                return Ok(Left::Image);
            }
            // Before the image is queued: from then on, the place is another's.
            self.store.directory().remove_data(id)?;
            let Some(mut image) = image else {
                return Ok(Left::Nothing);
            };
            image.abort_upload();
            catalogue::replace_image(transaction, &image)?;
            Ok(Left::Image)
        })?;
        drop(self.store.directory().watch().reached(Step::Undone));
        Ok(left)
    }
}

enum Left {
    Nothing,
    Image,
}

impl Drop for Claim {
    /// Mostly on a thread for blocking work. On another one only when the runtime goes down in the middle, and
    /// then there is no better place left.
    fn drop(&mut self) {
        if !self.settled
            && let Err(failure) = self.undo()
        {
            warn(&failure);
        }
    }
}

fn warn(failure: &Error) {
    let cause = std::error::Error::source(failure).map(ToString::to_string);
    tracing::warn!(error = %failure, cause, "a failed upload could not be undone; opening the store anew will");
}
