//! What can be asked of the cache itself: what is in it, what is to come into it, and what is to go.

use std::time::{Duration, SystemTime};

use image_service::{Context, Error, ErrorKind, ImageId, Result};
use tokio::sync::watch;

use super::content::Key;
use super::fill::Progress;
use super::lookup::Place;
use super::{Cache, blocking};

/// An image whose data is in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedImage {
    /// The image.
    pub id: ImageId,
    /// MD5 of its data, if the image says it.
    pub checksum: Option<String>,
    /// How often its data was read from the cache.
    pub hits: u64,
    /// Bytes of its data.
    pub size: u64,
    /// When its data was last read, if it was.
    pub used_at: Option<SystemTime>,
    /// Since when its data is there.
    pub made_at: SystemTime,
}

/// What may be emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What is there.
    Kept,
    /// What is to come.
    Queued,
    /// Both.
    All,
}

impl Cache {
    /// The images whose data is here, by their ids.
    #[must_use]
    pub fn cached(&self) -> Vec<CachedImage> {
        let state = self.state();
        let mut found: Vec<CachedImage> = Vec::new();
        for known in state.memory.iter() {
            let Some(entry) = state.shelf.get(&known.key) else { continue };
            found.push(CachedImage {
                id: known.image.id.clone(),
                checksum: known.image.checksum.clone(),
                hits: known.hits,
                size: entry.size,
                used_at: (known.used_at > 0).then(|| moment(known.used_at)),
                made_at: moment(entry.made_at),
            });
        }
        found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        found
    }

    /// The images whose data is to come because somebody asked for it, those that come first first.
    #[must_use]
    pub fn queued(&self) -> Vec<ImageId> {
        self.state().queue.iter().map(|(id, _)| id.clone()).collect()
    }

    /// Has an image filled in, as `context` may read it, when those that were asked for before have been. If it is in the
    /// queue already nothing happens. The queue does not outlive the process.
    ///
    /// # Errors
    /// Those of the store, if the image cannot be seen; `Conflict` if it is not one that is cached; `Unavailable` if too
    /// many wait.
    pub async fn queue(&self, context: &Context, id: &ImageId) -> Result<()> {
        let image = self.look(context, id).await?.image;
        let most = self.settings().most();
        if self.content_of(&image).is_none_or(|content| content.size > most) {
            return Err(Error::conflict("the image is not one that is cached at this site"));
        }
        let mut state = self.state();
        if state.queue.iter().any(|(queued, _)| queued == id) {
            return Ok(());
        }
        if state.queue.len() >= self.settings().queue {
            return Err(Error::new(ErrorKind::Unavailable, "too many images wait to be cached").answered());
        }
        state.queue.push_back((id.clone(), Context { deadline: None, ..context.clone() }));
        drop(state);
        self.0.asked.notify_one();
        Ok(())
    }

    /// Takes an image out of `extent`. True if it was there. Other images with the same data lose it too.
    pub async fn remove(&self, id: &ImageId, extent: Extent) -> bool {
        let (queued, key) = {
            let mut state = self.state();
            let before = state.queue.len();
            if extent != Extent::Kept {
                state.queue.retain(|(queued, _)| queued != id);
            }
            let known = state.memory.get(id).filter(|_| extent != Extent::Queued);
            (before > state.queue.len(), known.map(|known| known.key.clone()))
        };
        let Some(key) = key else { return queued };
        self.drop_content(&key).await || queued
    }

    /// Empties `extent`, and says how many images went from the cache and from the queue.
    pub async fn clear(&self, extent: Extent) -> (usize, usize) {
        let (cached, queued, keys) = {
            let mut state = self.state();
            let queued = if extent == Extent::Kept { 0 } else { std::mem::take(&mut state.queue).len() };
            let all = state.shelf.iter().map(|(key, _)| key.clone());
            let keys: Vec<Key> = if extent == Extent::Queued { Vec::new() } else { all.collect() };
            let is_kept = |key: &Key| extent != Extent::Queued && state.shelf.get(key).is_some();
            let cached = state.memory.iter().filter(|known| is_kept(&known.key)).count();
            (cached, queued, keys)
        };
        for key in keys {
            self.drop_content(&key).await;
        }
        (cached, queued)
    }

    /// Removes files that belong to nothing.
    ///
    /// # Errors
    /// `Unavailable` if the directory cannot be read.
    pub async fn clean(&self) -> Result<()> {
        let files = self.files();
        let found = blocking(move || files.all()).await?;
        // What was found belongs to a fill that goes on, to what is kept, or to nothing.
        let strays: Vec<String> = {
            let state = self.state();
            let mut used: std::collections::BTreeSet<&str> =
                state.fills.values().map(|fill| fill.name.as_str()).collect();
            used.extend(state.shelf.iter().map(|(_, entry)| entry.file.as_str()));
            found.into_iter().filter(|name| !used.contains(name.as_str())).collect()
        };
        let files = self.files();
        blocking(move || {
            for name in strays {
                files.remove_whole(&name);
                files.remove_incomplete(&name);
            }
            Ok(())
        })
        .await
    }

    /// Lets go of what is kept although no image has it any more, and says how many files and bytes that were. There is
    /// never more than there is room for, so nothing else needs to go.
    pub async fn prune(&self) -> (usize, u64) {
        let orphans: Vec<(Key, u64)> = {
            let state = self.state();
            let orphans = state.shelf.iter().filter(|(_, entry)| entry.orphaned_at.is_some());
            orphans.map(|(key, entry)| (key.clone(), entry.size)).collect()
        };
        let (mut files, mut bytes) = (0, 0_u64);
        for (key, size) in orphans {
            if self.drop_content(&key).await {
                (files, bytes) = (files + 1, bytes.saturating_add(size));
            }
        }
        (files, bytes)
    }

    /// Fills in what is in the queue, one after the other, until the cache closes.
    pub(super) async fn work_until_stopped(&self) {
        loop {
            let next = self.state().queue.front().cloned();
            let Some((id, context)) = next else {
                tokio::select! {
                    () = self.stopped() => return,
                    () = self.0.asked.notified() => continue,
                }
            };
            let filled = tokio::select! {
                () = self.stopped() => return,
                filled = self.fetch(&context, &id) => filled,
            };
            if let Err(error) = filled {
                tracing::warn!(image = %id, error = %error.chain(), "an image cannot be cached");
            }
            self.state().queue.retain(|(queued, _)| *queued != id);
        }
    }

    /// Has an image filled in, and waits for the end of that.
    async fn fetch(&self, context: &Context, id: &ImageId) -> Result<()> {
        let seen = self.look(context, id).await?;
        let Some(content) = self.content_of(&seen.image) else { return Ok(()) };
        let mut progress: watch::Receiver<Progress> = match self.place(&seen.image, &content, 0) {
            Place::Kept(_) => return Ok(()),
            Place::Store => return Err(Error::new(ErrorKind::Unavailable, "the cache does not take it now")),
            Place::Joined(_, progress) => progress,
            Place::Begun(fill, progress, gone) => {
                self.remember(context, &seen);
                self.begin(context, id, &fill, gone);
                progress
            }
        };
        let ended = progress.wait_for(|progress| progress.end.is_some()).await;
        let lost = |_| Error::new(ErrorKind::Internal, "filling the cache was given up");
        let end = ended.map_err(lost)?.end.clone();
        self.remember(context, &seen);
        tracing::debug!(image = %id, ?end, "an image from the queue has been filled in");
        Ok(())
    }
}

fn moment(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}
