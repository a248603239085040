//! The images that one backend has and the other has not, copied, a few at a time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures::stream;
use futures::{StreamExt as _, TryStreamExt as _};
use image_service::{Context, Image, ImageId};
use tokio_util::sync::CancellationToken;

use super::content::{Likeness, Verified};
use super::plan::{Refusal, Remains, Step, Upkeep, step};
use super::transfer::Transfer;
use super::walk::{Pair, images, pairs};
use super::{Choice, Failed, Kept, Side, Verdict, context};

/// So many images in a row that fail because a backend does not answer are enough: the next would fail as well.
const SILENCES: u32 = 10;

/// What is copied, and how.
#[derive(Debug, Clone)]
pub struct Copying {
    /// The images that are meant. An image without data is not copied, but told.
    pub choice: Choice,
    /// The properties that copies get.
    pub kept: Kept,
    /// What becomes of the metadata of images that are there.
    pub upkeep: Upkeep,
    /// Whether anything is done.
    pub effect: Effect,
    /// How many images are on their way at a time.
    pub jobs: NonZeroUsize,
    /// The most images that something is done about. `None`: all.
    pub limit: Option<u64>,
}

/// Whether what is to be done is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Effect {
    /// It is done.
    #[default]
    Done,
    /// It is only told.
    Told,
}

/// What became of one image, or what would.
#[derive(Debug)]
pub enum Outcome {
    /// It has been copied.
    Copied(Moved),
    /// A copy that broke off has been taken up again. No bytes if they were there.
    Resumed(Moved),
    /// Its copy has got its metadata.
    Updated,
    /// It is there already.
    Left,
    /// It cannot be copied.
    Refused(Refusal),
    /// It could not be copied.
    Failed(Failed),
}

/// The data of one image that was moved, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// So many bytes.
    pub bytes: u64,
    /// What shows that the target has all of it. `None` if nothing was done.
    pub verified: Option<Verified>,
}

/// Who follows how it goes. Called from many tasks at once, and not to be slow.
pub trait Progress: Send + Sync {
    /// The data of an image begins to move, or what is there of it to be read.
    fn began(&self, image: &Image);
    /// So many bytes more of it have moved, or been read.
    fn moved(&self, id: &ImageId, bytes: u64);
    /// All is done about an image.
    fn ended(&self, image: &Image, outcome: &Outcome);
}

/// Nobody follows.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn began(&self, _image: &Image) {}
    fn moved(&self, _id: &ImageId, _bytes: u64) {}
    fn ended(&self, _image: &Image, _outcome: &Outcome) {}
}

/// What copying came to. Where nothing was to be done, what would have been.
#[derive(Debug)]
pub struct Copied {
    /// Images copied from their beginning.
    pub copied: u64,
    /// Copies that broke off and were taken up again.
    pub resumed: u64,
    /// Copies that got their metadata.
    pub updated: u64,
    /// Images that were there.
    pub left: u64,
    /// Images that cannot be copied.
    pub refused: u64,
    /// Images that could not be copied.
    pub failed: u64,
    /// Bytes of data that were moved.
    pub bytes: u64,
    /// Of the images copied or taken up again, those that are [`Verified`] by their size alone.
    pub by_size: u64,
    /// Whether all images that are meant are there now.
    pub verdict: Verdict,
    /// Why it ended early, if a list broke off, or a backend did not answer again and again.
    pub broken: Option<Failed>,
}

/// How far it has come.
#[derive(Debug, Default)]
struct Tally {
    copied: u64,
    resumed: u64,
    updated: u64,
    left: u64,
    refused: u64,
    failed: u64,
    bytes: u64,
    by_size: u64,
    unknown: bool,
    silences: u32,
    broken: Option<Failed>,
}

/// Copies what `from` has and `to` has not. Run again after whatever ended it, it goes on where it was.
///
/// Ids, attributes and the wanted properties are the same; times are the target's own, but for the time of making where
/// the target takes it. Each copy is held to the strong hash of its image, or to its MD5 if it has no other, while it is
/// on the way, and to what the target says that it has. If that is not the image's data, nothing of it stays. If it
/// breaks off, is not what the source says that it is, or does not fit, a marked record without data stays and is taken
/// up by the next run. [`Outcome`] tells by what each copy was verified.
///
/// An image whose id is there with the same data is left alone, or gets its metadata. Where the sizes agree and no hash is
/// in common, the data there is read and held to a hash of the image, if it has one. Nothing is ever copied over other
/// data. When `stop` is cancelled nothing more is begun, and what is under way is finished. Dropping the future stops it.
pub async fn copy(
    from: &Side,
    to: &Side,
    settings: &Copying,
    stop: &CancellationToken,
    progress: &Arc<dyn Progress>,
) -> Copied {
    let context = context();
    let transfer = Transfer { from, to, context: &context, kept: &settings.kept, progress };
    let mut tally = Tally::default();
    let way = run(&transfer, settings, stop, &context, &mut tally).await;
    let would = tally.copied + tally.resumed + tally.updated;
    let is_different = tally.refused > 0
        || tally.failed > 0
        || way == Way::Limited
        || (settings.effect == Effect::Told && would > 0);
    let is_unknown = tally.unknown || tally.broken.is_some() || way == Way::Cut;
    tally.end(Verdict::of(is_unknown, is_different))
}

/// How far the images that are meant have been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To their end.
    Whole,
    /// Up to the first that is beyond the limit.
    Limited,
    /// Not so far.
    Cut,
}

/// Does all that is to be done.
async fn run(
    transfer: &Transfer<'_>,
    settings: &Copying,
    stop: &CancellationToken,
    context: &Context,
    tally: &mut Tally,
) -> Way {
    let in_a = images(transfer.from, context, settings.choice.filters());
    let in_b = images(transfer.to, context, settings.choice.of_ids());
    let planned = |pair| {
        let (image, there) = match pair {
            Pair::A(image) => (image, None),
            Pair::Both(image, there) => (image, Some(there)),
            Pair::B(_) => return None,
        };
        let step = step(&image, there.as_ref(), &transfer.from.name, &settings.kept, settings.upkeep);
        Some((image, step))
    };
    let (mut room, mut is_limited) = (settings.limit, false);
    let within = |planned: &Result<(Image, Step), Failed>| {
        if let (Ok((_, step)), Some(room)) = (planned, &mut room)
            && step.changes()
        {
            is_limited |= *room == 0;
            *room = room.saturating_sub(1);
        }
        std::future::ready(!is_limited)
    };
    let is_whole = AtomicBool::new(false);
    let end = stream::poll_fn(|_| {
        is_whole.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    });
    let steps = pairs(in_a, in_b).chain(end).try_filter_map(|pair| std::future::ready(Ok(planned(pair))));
    let enough = stop.child_token();
    let steps = steps.take_until(enough.clone().cancelled_owned()).take_while(within);
    let outcomes = steps.map(|planned| async move {
        let (image, step) = planned?;
        let outcome = match settings.effect {
            Effect::Done => take(transfer, &image, step).await,
            Effect::Told => foretell(&image, step),
        };
        transfer.progress.ended(&image, &outcome);
        Ok::<Outcome, Failed>(outcome)
    });
    let mut outcomes = Box::pin(outcomes.buffer_unordered(settings.jobs.get()));
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(outcome) => tally.note(outcome),
            Err(failed) => tally.broken = Some(failed),
        }
        if tally.silences >= SILENCES {
            enough.cancel();
        }
    }
    drop(outcomes);
    match (is_limited, is_whole.into_inner()) {
        (true, _) => Way::Limited,
        (false, true) => Way::Whole,
        (false, false) => Way::Cut,
    }
}

/// Takes the step.
async fn take(transfer: &Transfer<'_>, image: &Image, step: Step) -> Outcome {
    match step {
        Step::Copy => transfer.copy(&image.id).await.map_or_else(Outcome::Failed, Outcome::Copied),
        Step::TakeUp(_) => transfer.take_up(&image.id).await.map_or_else(Outcome::Failed, Outcome::Resumed),
        Step::Update => transfer.update(&image.id).await.map_or_else(Outcome::Failed, |()| Outcome::Updated),
        Step::Leave => Outcome::Left,
        Step::Look(then) => match transfer.look(&image.id).await {
            Ok(Likeness::Same) => Box::pin(take(transfer, image, *then)).await,
            Ok(Likeness::Other(what)) => Outcome::Refused(Refusal::OtherContent(what)),
            Ok(Likeness::Unknown) => Outcome::Refused(Refusal::Unknown),
            Err(failed) => Outcome::Failed(failed),
        },
        Step::Refuse(refusal) => Outcome::Refused(refusal),
    }
}

/// What would come of the step, if all went well.
fn foretell(image: &Image, step: Step) -> Outcome {
    let moved = Moved { bytes: image.size.unwrap_or_default(), verified: None };
    match step {
        Step::Copy => Outcome::Copied(moved),
        Step::TakeUp(Remains::Record) => Outcome::Resumed(moved),
        Step::TakeUp(Remains::Whole) => Outcome::Resumed(Moved { bytes: 0, ..moved }),
        Step::TakeUp(Remains::Other) => Outcome::Refused(Refusal::Remains),
        Step::Update => Outcome::Updated,
        Step::Leave => Outcome::Left,
        Step::Look(_) => Outcome::Refused(Refusal::Unread),
        Step::Refuse(refusal) => Outcome::Refused(refusal),
    }
}

impl Tally {
    fn note(&mut self, outcome: Outcome) {
        let is_silence = matches!(&outcome, Outcome::Failed(failed) if failed.error.kind().is_silence());
        self.silences = if is_silence { self.silences.saturating_add(1) } else { 0 };
        self.unknown |= is_silence;
        match outcome {
            Outcome::Copied(moved) => {
                self.copied += 1;
                self.note_moved(&moved);
            }
            Outcome::Resumed(moved) => {
                self.resumed += 1;
                self.note_moved(&moved);
            }
            Outcome::Updated => self.updated += 1,
            Outcome::Left => self.left += 1,
            Outcome::Refused(refusal) => {
                self.refused += 1;
                self.unknown |= refusal.is_unknown();
            }
            Outcome::Failed(failed) => {
                self.failed += 1;
                if self.silences == SILENCES {
                    self.broken = Some(failed);
                }
            }
        }
    }

    fn note_moved(&mut self, moved: &Moved) {
        self.bytes = self.bytes.saturating_add(moved.bytes);
        self.by_size += u64::from(moved.verified == Some(Verified::Size));
    }

    fn end(self, verdict: Verdict) -> Copied {
        let Self { copied, resumed, updated, left, refused, failed, bytes, by_size, broken, .. } = self;
        Copied { copied, resumed, updated, left, refused, failed, bytes, by_size, verdict, broken }
    }
}
