//! Where the data of an image is to come from: a whole file, one that is being filled in, or the store.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use image_service::{ByteRange, Context, Data, Download, Error, ErrorKind, Image, ImageId, Result, Status};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::content::{Content, Key};
use super::fill::{self, End, Fill, Progress};
use super::reader::{self, Follower};
use super::shelf::Entry;
use super::{Cache, blocking, millis};

/// An image as it was seen.
pub(super) struct Seen {
    pub(super) image: Image,
    /// How often images like it had been written before.
    written: u64,
}

/// Where data is to come from.
pub(super) enum Place {
    /// This file.
    Kept(Entry),
    /// One that somebody else has begun.
    Joined(Arc<Fill>, watch::Receiver<Progress>),
    /// One that begins now, once these have gone.
    Begun(Arc<Fill>, watch::Receiver<Progress>, Vec<(Key, Entry)>),
    /// The store, as the cache does not take it.
    Store,
}

/// Why a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Leader,
    Follower,
}

impl Cache {
    /// The image as the store shows it to this caller, or if the store is silent, as it may be remembered for this caller.
    pub(super) async fn look(&self, context: &Context, id: &ImageId) -> Result<Seen> {
        let (recalled, written) = (self.recall(context, id), self.written(id));
        let asked = self.service().show(context, id);
        let answer = match &recalled {
            None => asked.await,
            Some(_) => timeout(self.settings().patience, asked).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::TimedOut, "the store did not show the image in time"))
            }),
        };
        match (answer, recalled) {
            (Ok(image), _) => {
                self.learn(context, &image, written);
                Ok(Seen { image, written })
            }
            (Err(error), Some(image)) if is_silence(&error) => {
                self.0.counts.stale.count(1);
                tracing::debug!(error = %error.chain(), "an image is shown as it was last");
                Ok(Seen { image, written })
            }
            (Err(error), _) => {
                if error.kind() == ErrorKind::NotFound {
                    self.missed(context, id, error.is_of_deleted_image()).await;
                }
                Err(error)
            }
        }
    }

    /// What is remembered of an image whose data is here, for this caller.
    fn recall(&self, context: &Context, id: &ImageId) -> Option<Image> {
        let (now, stale) = (self.now(), millis(self.settings().stale));
        let state = self.state();
        let known = state.memory.recall(&context.caller, id, now, stale)?;
        state.shelf.get(&known.key)?;
        Some(known.image.clone())
    }

    /// Remembers what the store has shown of an image that is remembered, or whose data is here, unless the image was
    /// written since `written` was asked for.
    fn learn(&self, context: &Context, image: &Image, written: u64) {
        let now = self.now();
        let mut state = self.state();
        if self.written(&image.id) != written || state.writing.contains_key(&image.id) {
            return;
        }
        let known = state.memory.get(&image.id).is_some();
        let wanted = || self.content_of(image).is_some_and(|content| state.shelf.get(&content.key).is_some());
        if known || wanted() {
            let forgotten = state.memory.shown(&context.caller, image, now);
            state.forgotten.extend(forgotten);
        }
    }

    /// Takes note that the store does not show an image to this caller.
    pub(super) async fn missed(&self, context: &Context, id: &ImageId, deleted: bool) {
        let (gone, known) = {
            let mut state = self.state();
            // Who has looked before may have seen what is not there any more.
            self.note_write(id);
            let known = state.memory.get(id).is_some();
            (state.memory.hidden(&context.caller, id) || deleted, known)
        };
        if !known {
            return;
        }
        if !gone {
            self.flush().await;
            return;
        }
        if let Some(known) = self.forget(id).await {
            self.orphan(&known.key).await;
        }
    }

    /// What the data of an image is known by, if it is one that is cached.
    pub(super) fn content_of(&self, image: &Image) -> Option<Content> {
        let stores = &self.0.stores;
        let ours = !image.stores.is_empty() && image.stores.iter().all(|store| stores.contains(store));
        if !ours || image.status != Status::Active {
            return None;
        }
        Content::of(image)
    }

    /// Opens the data of an image, or a part of it.
    pub(super) async fn read(
        &self,
        context: &Context,
        id: &ImageId,
        range: Option<ByteRange>,
    ) -> Result<Download> {
        let seen = self.look(context, id).await?;
        let Some(content) = self.content_of(&seen.image) else { return self.pass(context, id, range).await };
        let part = match range {
            Some(range) => range.within(content.size)?,
            None => 0..content.size,
        };
        let mut place = self.place(&seen.image, &content, part.start);
        if let Place::Kept(entry) = &place {
            if let Some(file) = self.opened(&content.key, entry).await {
                self.note_use(context, &seen);
                self.0.counts.hits.count(1);
                let data = reader::of_whole(self, &content.key, Arc::new(file), part, content.size);
                return Ok(Download { image: seen.image, data: Some(data) });
            }
            // It has gone just now; what is there now counts.
            place = self.place(&seen.image, &content, part.start);
        }
        let Some(data) = self.read_along(context, &seen, &content, part, place).await? else {
            self.0.counts.passed.count(1);
            return self.pass(context, id, range).await;
        };
        Ok(Download { image: seen.image, data: Some(data) })
    }

    /// Opens data that is being filled in, by this reader or by another. `None` if the store must be asked instead.
    async fn read_along(
        &self,
        context: &Context,
        seen: &Seen,
        content: &Content,
        part: Range<u64>,
        place: Place,
    ) -> Result<Option<Data>> {
        let id = &seen.image.id;
        let (fill, progress, role) = match place {
            Place::Kept(_) | Place::Store => return Ok(None),
            Place::Joined(fill, progress) => (fill, progress, Role::Follower),
            Place::Begun(fill, progress, gone) => {
                // At once: what is filled in belongs to this image also if nobody waits for it.
                self.remember(context, seen);
                self.begin(context, id, &fill, gone);
                (fill, progress, Role::Leader)
            }
        };
        let Some((file, progress)) = follow(&fill, progress, role).await? else { return Ok(None) };
        match role {
            Role::Leader => self.0.counts.misses.count(1),
            Role::Follower => {
                self.0.counts.followed.count(1);
                self.note_use(context, seen);
            }
        }
        let (cache, context, id, total) = (self.clone(), context.clone(), id.clone(), content.size);
        Ok(Some(Follower { cache, context, id, file, progress, left: part, total }.into_data()))
    }

    async fn pass(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.service().get(context, id, range).await
    }

    /// Remembers an image that was seen, unless it was written since.
    pub(super) fn remember(&self, context: &Context, seen: &Seen) {
        let (now, image) = (self.now(), &seen.image);
        let mut state = self.state();
        let is_current = self.written(&image.id) == seen.written && !state.writing.contains_key(&image.id);
        if is_current && state.memory.get(&image.id).is_none() {
            let forgotten = state.memory.shown(&context.caller, image, now);
            state.forgotten.extend(forgotten);
        }
    }

    /// Remembers the image as one whose data was read.
    fn note_use(&self, context: &Context, seen: &Seen) {
        self.remember(context, seen);
        let now = self.now();
        self.state().memory.used(&seen.image.id, now);
    }

    /// Begins to fill in, apart from whoever asks.
    pub(super) fn begin(&self, context: &Context, id: &ImageId, fill: &Arc<Fill>, gone: Vec<(Key, Entry)>) {
        let context = Context { deadline: None, ..context.clone() };
        self.0.counts.evicted.count(gone.len() as u64);
        self.0.tasks.spawn(fill::run(self.clone(), Arc::clone(fill), context, id.clone(), gone));
    }

    /// Finds where the data of a content is, for a reader that begins at `from`.
    pub(super) fn place(&self, image: &Image, content: &Content, from: u64) -> Place {
        let (now, settings) = (self.now(), self.settings());
        let mut state = self.state();
        // Who knows the hash of data that only administrators may read could else read it under another image's name.
        let elsewhere = |status: Status, id: &ImageId| status == Status::Deactivated && *id != image.id;
        if state.memory.of_key(&content.key).any(|known| elsewhere(known.image.status, &known.image.id)) {
            return Place::Store;
        }
        if let Some(entry) = state.shelf.touch(&content.key, now).cloned() {
            state.touched.insert(content.key.clone());
            return if entry.size == content.size { Place::Kept(entry) } else { Place::Store };
        }
        let ahead = settings.ahead.as_u64();
        if let Some(fill) = state.fills.get(&content.key) {
            let near = from <= fill.filled().saturating_add(ahead) && fill.content == *content;
            return if near { Place::Joined(Arc::clone(fill), fill.follow()) } else { Place::Store };
        }
        let resting = state.rest_until.is_some_and(|until| Instant::now() < until);
        let full = state.fills.len() >= settings.fills.get();
        if from > ahead || content.size > settings.most() || full || resting || self.0.stop.is_cancelled() {
            return Place::Store;
        }
        let Some(gone) = state.shelf.reserve(content.size) else { return Place::Store };
        let fill = Fill::new(content.clone());
        state.fills.insert(content.key.clone(), Arc::clone(&fill));
        let progress = fill.follow();
        Place::Begun(fill, progress, gone)
    }

    /// Opens a whole file. One that is not as it should be goes.
    async fn opened(&self, key: &Key, entry: &Entry) -> Option<std::fs::File> {
        let (files, name, size) = (self.files(), entry.file.clone(), entry.size);
        let opened = blocking(move || Ok(files.open_whole(&name, size))).await.ok()?;
        if let Err(error) = &opened
            && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData)
        {
            let same = self.state().shelf.get(key).is_some_and(|now| now.file == entry.file);
            if same {
                tracing::warn!(%error, "a file of the cache has gone or changed");
                self.drop_content(key).await;
            }
        }
        opened.ok()
    }
}

/// Waits until there is a file to read from. `None` if the store must be asked instead.
async fn follow(
    fill: &Fill,
    mut progress: watch::Receiver<Progress>,
    role: Role,
) -> Result<Option<(Arc<std::fs::File>, watch::Receiver<Progress>)>> {
    let begun = progress.wait_for(|progress| progress.opened || progress.end.is_some()).await;
    let state = begun.map_err(|_| Error::new(ErrorKind::Internal, "filling the cache was given up"))?.clone();
    match state.end {
        Some(End::Broken(kind, message)) if !state.opened => {
            // What a store answers to one caller says nothing of another; that it is silent does. If another content lies
            // there by now, that is what is wanted.
            if (role == Role::Leader && kind != ErrorKind::Conflict) || is_silent(kind) {
                return Err(Error::new(kind, message));
            }
            Ok(None)
        }
        _ => Ok(fill.file().map(|file| (file, progress))),
    }
}

/// Whether what is remembered may stand in for this answer. A store that wants other credentials has answered.
fn is_silence(error: &Error) -> bool {
    is_silent(error.kind())
}

fn is_silent(kind: ErrorKind) -> bool {
    kind.is_silence() && kind != ErrorKind::Unauthenticated
}
