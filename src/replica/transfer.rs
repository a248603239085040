//! One image from one backend to the other: begun, taken up again, or brought up to date.
//!
//! Each step leaves what the next run can go on from: a marked record without data, a marked image with data, or the image.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use image_service::{
    Context, Data, Error, ErrorKind, Image, ImageChange, ImageId, Member, MemberStatus, NewImage, Result,
    Status, Upload,
};

use super::content::{Likeness, Verified, likeness, shown_by, telling};
use super::copying::Moved;
use super::metadata::{self, Kept, Others};
use super::passing::{End, Meter, held, verified};
use super::plan::{Refusal, Remains, Step, Upkeep, step};
use super::{Failed, Progress, Side};

/// How often to try to go on with a copy while the target is still at what broke off.
const TRIES: u32 = 3;

/// How often to look whether a target has noticed that an upload to it broke off.
const LOOKS: u32 = 20;

/// Why what was planned is not done.
const CHANGED: &str = "it has changed in the meantime";

/// Why an id that is not there cannot be had, and what helps.
const USED_UP: &str = "an image of this id was deleted there, and it gives no id out again before its deleted records are \
                       purged";

/// What became of data that is not the image's, and what may have to be done before the next try.
const REMOVED: &str =
    "has been removed; if no id is given out again there, deleted records must be purged first";

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// What one image is copied with.
#[derive(Clone)]
pub(super) struct Transfer<'a> {
    pub(super) from: &'a Side,
    pub(super) to: &'a Side,
    pub(super) context: &'a Context,
    pub(super) kept: &'a Kept,
    pub(super) progress: &'a Arc<dyn Progress>,
}

impl Transfer<'_> {
    /// Copies an image that is not there.
    ///
    /// # Errors
    /// Of the source, or of the target. There is nothing then but what the next run goes on from. It can go on also when
    /// the data was not the image's, unless the target has some of it, which is removed.
    pub(super) async fn copy(&self, id: &ImageId) -> Result<Moved, Failed> {
        match self.begin(id).await {
            Err(failed) if self.is_held_up(&failed) => self.take_up(id).await,
            done => done,
        }
    }

    /// Takes up a copy that broke off.
    ///
    /// # Errors
    /// As for [`copy`](Self::copy).
    pub(super) async fn take_up(&self, id: &ImageId) -> Result<Moved, Failed> {
        for _ in 1..TRIES {
            match self.go_on_from_there(id).await {
                Err(failed) if self.is_held_up(&failed) => {}
                done => return done,
            }
        }
        self.go_on_from_there(id).await
    }

    /// Whether the target is still at what broke off, or begins with it only now.
    fn is_held_up(&self, failed: &Failed) -> bool {
        failed.backend == self.to.name && failed.error.kind() == ErrorKind::Conflict
    }

    async fn begin(&self, id: &ImageId) -> Result<Moved, Failed> {
        let (image, data) = self.open(id).await?;
        let record = NewImage::again(&self.draft(&image));
        match self.to.service.create(self.context, record, None).await {
            Ok(there) => self.fill(&image, data, &there).await,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match self.settled(id).await {
                Ok(there) => self.go_on(&image, data, &there).await,
                Err(failed) if failed.error.kind() == ErrorKind::NotFound => {
                    Err(self.to.failed(Error::new(ErrorKind::AlreadyExists, USED_UP)))
                }
                Err(failed) => Err(failed),
            },
            Err(error) => Err(self.to.failed(error)),
        }
    }

    async fn go_on_from_there(&self, id: &ImageId) -> Result<Moved, Failed> {
        let there = match self.settled(id).await {
            Err(failed) if failed.error.kind() == ErrorKind::NotFound => return self.begin(id).await,
            there => there?,
        };
        let (image, data) = self.open(id).await?;
        self.go_on(&image, data, &there).await
    }

    /// Reads the data that is there under the id of an image, and tells whether it is the image's by a hash of that.
    ///
    /// # Errors
    /// Of the source, or of the target; `Conflict` if that has no data any more.
    pub(super) async fn look(&self, id: &ImageId) -> Result<Likeness, Failed> {
        let image = self.show(self.from, id).await?;
        let there = self.to.service.get(self.context, id, None).await;
        let there = there.map_err(|error| self.to.failed(error))?;
        let Some(data) = there.data.filter(|_| telling(&image).is_some()) else {
            return Err(self.to.failed(Error::conflict(CHANGED)));
        };
        self.progress.began(&image);
        let (stream, passed) = held(data.into_stream(), &image, self.meter(id));
        let read = stream.try_for_each(|_| std::future::ready(Ok(()))).await;
        match (passed.take(), read) {
            (End::Mismatch(_), _) => Ok(Likeness::Other(vec!["data"])),
            (End::Broken(error), _) | (_, Err(error)) => Err(self.to.failed(error)),
            (End::Open | End::Whole(..), Ok(())) => Ok(Likeness::Same),
        }
    }

    /// Gives the copy of an image, which is known to have its data, its metadata.
    ///
    /// # Errors
    /// Of the source, or of the target; `Conflict` if something has changed meanwhile, or a format would have to.
    pub(super) async fn update(&self, id: &ImageId) -> Result<(), Failed> {
        let (image, there) = futures::try_join!(self.show(self.from, id), self.show(self.to, id))?;
        let step = match step(&image, Some(&there), &self.from.name, self.kept, Upkeep::Update) {
            Step::Look(then) => *then,
            step => step,
        };
        match step {
            Step::Update => {}
            Step::Leave => return Ok(()),
            _ => return Err(self.to.failed(Error::conflict(CHANGED))),
        }
        let changed = self.change(id, metadata::change(&image, &there, self.kept, Others::Stay)).await?;
        match metadata::other_format(&image, &changed) {
            Some(which) => Err(self.to.failed(Error::conflict(Refusal::Format(which).to_string()))),
            None => Ok(()),
        }
    }

    /// Goes on from what is there under the id of `image`.
    async fn go_on(&self, image: &Image, data: Data, there: &Image) -> Result<Moved, Failed> {
        if !metadata::is_marked(there, &self.from.name) {
            let message = "its id has come to be there in the meantime";
            return if likeness(image, there) == Likeness::Same {
                Ok(Moved { bytes: 0, verified: Some(shown_by(image, there)) })
            } else {
                Err(self.to.failed(Error::conflict(message)))
            };
        }
        if there.status == Status::Queued {
            return self.fill(image, data, there).await;
        }
        if !there.has_data() {
            let message = format!("its copy there is {}, so that somebody else may be at it", there.status);
            return Err(self.to.failed(Error::conflict(message)));
        }
        if Remains::of(image, there) == Remains::Other {
            self.discard(&image.id).await;
            let message =
                format!("what a copy that broke off has left there was not its data, and {REMOVED}");
            return Err(self.to.failed(Error::new(ErrorKind::Corrupt, message)));
        }
        self.finish(image, there).await?;
        Ok(Moved { bytes: 0, verified: Some(shown_by(image, there)) })
    }

    /// Gives the marked record `there` the data of `image`, and what else it is to have.
    async fn fill(&self, image: &Image, data: Data, there: &Image) -> Result<Moved, Failed> {
        self.progress.began(image);
        let total = data.total;
        let (stream, passed) = held(data.into_stream(), image, self.meter(&image.id));
        let upload = Upload { stream, size: Some(total), store: None };
        let change = ImageChange::between(there, &self.draft(image));
        let made = self.to.service.update(self.context, &image.id, change, Some(upload)).await;
        let (made, end) = (made, passed.take());
        if let (Ok(made), End::Whole(bytes, hashes)) = (&made, &end)
            && let Some(verified) = verified(made, *bytes, hashes)
        {
            self.finish(image, made).await?;
            // What passed is the image's data, so that its MD5 counts also where that was not made on the way.
            let verified = if verified == Verified::Size { shown_by(image, made) } else { verified };
            return Ok(Moved { bytes: *bytes, verified: Some(verified) });
        }
        match (made, end) {
            (Ok(_), _) => {
                self.discard(&image.id).await;
                let message = format!("it has other data than was sent, which {REMOVED}");
                Err(self.to.failed(Error::new(ErrorKind::Corrupt, message)))
            }
            (Err(_), End::Mismatch(error)) => {
                self.discard_data(&image.id).await;
                Err(self.from.failed(error))
            }
            (Err(_), End::Broken(error)) => Err(self.from.failed(error)),
            (Err(error), End::Open | End::Whole(..)) => Err(self.to.failed(error)),
        }
    }

    /// Turns a marked copy that has its data into the image. Only what is shared has members, so that it is marked until
    /// it has them, and the mark goes last.
    async fn finish(&self, image: &Image, made: &Image) -> Result<(), Failed> {
        let shares = self.to.service.sharing().is_some();
        let members = if shares { self.from.members(self.context, image).await? } else { Vec::new() };
        let change = metadata::change(image, made, self.kept, Others::Go);
        if members.is_empty() {
            return self.change(&image.id, change).await.map(drop);
        }
        let whole = metadata::intended(image, made, self.kept, Others::Go);
        let marked = metadata::marked(&whole, &self.from.name);
        let open = ImageChange { status: change.status, ..ImageChange::between(made, &marked) };
        let made = self.change(&image.id, open).await?;
        for member in &members {
            self.share(image, member).await?;
        }
        self.change(&image.id, metadata::change(image, &made, self.kept, Others::Go)).await.map(drop)
    }

    /// Shares the copy with a project, which has answered already.
    async fn share(&self, image: &Image, member: &Member) -> Result<(), Failed> {
        let Some(sharing) = self.to.service.sharing() else { return Ok(()) };
        let (id, project) = (&image.id, member.member_id.as_str());
        match sharing.add_member(self.context, id, project).await {
            Err(error) if error.kind() == ErrorKind::NotImplemented => return Ok(()),
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(self.to.failed(error)),
            _ => {}
        }
        if member.status == MemberStatus::Pending {
            return Ok(());
        }
        let answer = sharing.set_member_status(self.context, id, project, member.status).await;
        answer.map(drop).map_err(|error| self.to.failed(error))
    }

    fn meter(&self, id: &ImageId) -> Meter {
        let (id, progress) = (id.clone(), Arc::clone(self.progress));
        Arc::new(move |bytes| progress.moved(&id, bytes))
    }

    /// The image as it is now, and its data.
    async fn open(&self, id: &ImageId) -> Result<(Image, Data), Failed> {
        let download = self.from.service.get(self.context, id, None).await;
        let download = download.map_err(|error| self.from.failed(error))?;
        let no_data = || self.from.failed(Error::conflict(Refusal::NoData.to_string()));
        Ok((download.image, download.data.ok_or_else(no_data)?))
    }

    async fn show(&self, side: &Side, id: &ImageId) -> Result<Image, Failed> {
        side.service.show(self.context, id).await.map_err(|error| side.failed(error))
    }

    /// What is there once it is not being uploaded to any more, or when that has been waited for long enough.
    async fn settled(&self, id: &ImageId) -> Result<Image, Failed> {
        let mut there = self.show(self.to, id).await?;
        for _ in 0..LOOKS {
            if there.status != Status::Saving {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            there = self.show(self.to, id).await?;
        }
        Ok(there)
    }

    /// Makes a change, if it is one.
    async fn change(&self, id: &ImageId, change: ImageChange) -> Result<Image, Failed> {
        let changed = self.to.service.update(self.context, id, change, None).await;
        changed.map_err(|error| self.to.failed(error))
    }

    /// Sees to it that nothing stays of data that is not the image's. A record that never had it is what the next run goes
    /// on from when the source is mended: to remove it would use up the id where none is given out again.
    async fn discard_data(&self, id: &ImageId) {
        match self.settled(id).await {
            Ok(there) if there.status == Status::Queued => {}
            _ => self.discard(id).await,
        }
    }

    /// Removes a copy that has not become the image.
    async fn discard(&self, id: &ImageId) {
        match self.to.service.delete(self.context, id).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let error = error.chain();
                tracing::warn!(image = %id, backend = %self.to.name, error, "a copy that is not its image could not be removed");
            }
            _ => {}
        }
    }

    fn draft(&self, image: &Image) -> Image {
        metadata::draft(image, &self.from.name, self.kept)
    }
}
