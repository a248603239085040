//! What is kept from one moment to the next, and from one process to the next: what ends, what goes, what is written down.

use image_service::{ImageId, Result};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::content::{Content, Key};
use super::files::Files;
use super::index::Index;
use super::memory::{Memory, Remembered};
use super::shelf::{Entry, Shelf};
use super::{Cache, FLUSH, Settings, blocking, millis};

impl Cache {
    /// Takes note of the end of a fill. `entry` is what came of it.
    pub(super) fn settle(&self, content: &Content, entry: Option<Entry>, lost: bool) {
        let mut state = self.state();
        state.fills.remove(&content.key);
        state.shelf.release(content.size);
        if let Some(mut entry) = entry {
            // Its image may have been deleted meanwhile.
            if state.memory.of_key(&content.key).next().is_none() {
                entry.orphaned_at = Some(self.now());
            }
            state.shelf.put(content.key.clone(), entry);
        }
        if lost {
            state.rest_until = Some(Instant::now() + self.settings().rest);
        }
    }

    /// Removes contents that are no longer on the shelf.
    pub(super) async fn discard(&self, gone: Vec<(Key, Entry)>) {
        if gone.is_empty() {
            return;
        }
        let (index, files) = (self.index(), self.files());
        let removed = blocking(move || {
            // Also when the index cannot be written, as on a full disk: room is what is wanted, and a row without a file
            // goes with the next start.
            gone.iter().for_each(|(_, entry)| files.remove_whole(&entry.file));
            index.erase(&gone, &[])
        });
        report(removed.await);
    }

    /// Takes a content off the shelf and removes it. True if it was there.
    pub(super) async fn drop_content(&self, key: &Key) -> bool {
        let taken = self.state().shelf.take(key);
        let Some(entry) = taken else { return false };
        self.discard(vec![(key.clone(), entry)]).await;
        true
    }

    /// Forgets an image for good before this returns.
    pub(super) async fn forget(&self, id: &ImageId) -> Option<Remembered> {
        let (known, written) = {
            let mut state = self.state();
            let known = state.memory.forget(id);
            let written = state.forgotten.remove(id) || known.is_some();
            (known, written)
        };
        if written {
            let (index, id, _turn) = (self.index(), id.clone(), self.turn().await);
            let gone = id.clone();
            let done = blocking(move || index.erase(&[], &[gone])).await;
            if done.is_err() {
                self.state().forgotten.insert(id);
            }
            report(done);
        }
        known
    }

    /// Lets go of a content that no image has any more, now or after a while.
    pub(super) async fn orphan(&self, key: &Key) {
        let at_once = {
            let mut state = self.state();
            if state.memory.of_key(key).next().is_some() {
                return;
            }
            let now = self.now();
            state.shelf.orphan(key, now);
            state.touched.insert(key.clone());
            self.settings().deleted.is_zero()
        };
        if at_once {
            self.drop_content(key).await;
        }
    }

    /// Waits until nobody else writes down what is remembered, so that what is forgotten stays so.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.0.turn.acquire().await.ok()
    }

    /// Writes down what has changed.
    pub(super) async fn flush(&self) {
        let _turn = self.turn().await;
        let (contents, images, forgotten) = {
            let mut state = self.state();
            let touched = std::mem::take(&mut state.touched);
            let entry = |key: Key| Some((key.clone(), state.shelf.get(&key)?.clone()));
            let contents: Vec<(Key, Entry)> = touched.into_iter().filter_map(entry).collect();
            let images = state.memory.take_changed();
            let forgotten: Vec<ImageId> = std::mem::take(&mut state.forgotten).into_iter().collect();
            (contents, images, forgotten)
        };
        if contents.is_empty() && images.is_empty() && forgotten.is_empty() {
            return;
        }
        let (index, gone) = (self.index(), forgotten.clone());
        let done = blocking(move || {
            index.erase(&[], &gone)?;
            index.put(&contents, &images)
        });
        let done = done.await;
        if done.is_err() {
            self.state().forgotten.extend(forgotten);
        }
        report(done);
    }

    /// Writes down what has changed, and removes what was kept for a while after its images, until the cache closes.
    pub(super) async fn keep_until_stopped(&self) {
        let mut ticks = tokio::time::interval(FLUSH);
        loop {
            tokio::select! {
                () = self.stopped() => return,
                _ = ticks.tick() => {}
            }
            self.flush().await;
            let (now, kept) = (self.now(), millis(self.settings().deleted));
            let over = |entry: &Entry| entry.orphaned_at.is_some_and(|at| now.saturating_sub(at) > kept);
            let gone: Vec<Key> = {
                let state = self.state();
                state.shelf.iter().filter(|(_, entry)| over(entry)).map(|(key, _)| key.clone()).collect()
            };
            for key in gone {
                self.drop_content(&key).await;
            }
        }
    }
}

/// Opens the directory and finds what is in it: files without rows and rows without files go, and what there is no room for.
pub(super) fn restore(settings: &Settings) -> Result<(Files, Index, Shelf, Memory)> {
    let files = Files::open(&settings.path)?;
    let index = Index::open(files.index())?;
    let mut found = files.whole()?;
    let mut shelf = Shelf::new(settings.size.as_u64(), settings.images.get());
    let mut lost = Vec::new();
    for (key, entry) in index.contents()? {
        if found.get(&entry.file) == Some(&entry.size) && entry.size <= settings.size.as_u64() {
            found.remove(&entry.file);
            let room = shelf.reserve(entry.size).unwrap_or_default();
            shelf.release(entry.size);
            shelf.put(key, entry);
            for (key, entry) in room {
                found.insert(entry.file.clone(), entry.size);
                lost.push((key, entry));
            }
        } else {
            lost.push((key, entry));
        }
    }
    index.erase(&lost, &[])?;
    found.keys().for_each(|name| files.remove_whole(name));
    let mut memory = Memory::new(settings.images.get(), settings.projects.get());
    let images = index.images()?;
    let surplus = images.len().saturating_sub(settings.images.get());
    let (dropped, kept): (Vec<_>, Vec<_>) = images
        .into_iter()
        .enumerate()
        .partition(|(number, known)| *number < surplus || shelf.get(&known.key).is_none());
    let dropped: Vec<ImageId> = dropped.into_iter().map(|(_, known)| known.image.id).collect();
    index.erase(&[], &dropped)?;
    kept.into_iter().for_each(|(_, known)| memory.restore(known));
    Ok((files, index, shelf, memory))
}

/// A failure here is the operator's business: data comes from the store then.
fn report(done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(error = %error.chain(), "the cache cannot write down what it has");
    }
}
