//! Where the rest of a download can be had when its source has failed.
//!
//! Other copies come first: those that were known when the download began, then those that other backends show now. Then
//! the source itself is asked, which may be back. If nobody gives the rest but somebody may later, all are asked again
//! after a pause, within bounds that begin anew with the next byte. Every call passes its guard, so who is not asked for now is not asked here either.
//!
//! Each backend judges by itself whether the caller may read its copy, as it does for any download.

use std::ops::Range;
use std::sync::Arc;

use futures::future::join_all;
use image_service::{
    ByteRange, ByteStream, Context, Data, Download, Error, ErrorKind, Image, ImageId, Result,
};
use tokio::time::Instant;

use super::Resuming;
use super::identity::Identity;
use crate::federation::cooled::Cooled;
use crate::federation::guard::Guard;
use crate::federation::read::cut;

/// The sources of one download.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) guards: Vec<Arc<Guard>>,
    pub(super) cooled: Arc<Cooled>,
    pub(super) resuming: Resuming,
    /// On whose behalf. Its deadline was for the beginning of the answer, and does not count here.
    pub(super) context: Context,
    /// What the backends call the image.
    pub(super) id: ImageId,
    pub(super) identity: Identity,
    /// How many bytes the whole has.
    pub(super) total: u64,
    /// Those that are known to have the data.
    pub(super) known: Vec<usize>,
    /// Those that gave a part of it, the one that gives it now last.
    pub(super) taken: Vec<usize>,
    pub(super) outage: Outage,
}

/// How long no data has come.
#[derive(Debug, Default)]
pub(super) struct Outage {
    since: Option<Instant>,
    /// How often everybody was asked since then.
    asked: u32,
}

/// What came of asking for the rest.
enum Answer {
    Opened(usize, ByteStream),
    /// Somebody was silent who may have it.
    Silence,
    /// It is nowhere to be had.
    No,
}

impl Sources {
    /// The source that gives the data now, or did until it failed.
    pub(super) fn current(&self) -> usize {
        self.taken.last().copied().unwrap_or_default()
    }

    pub(super) fn guard(&self, source: usize) -> Option<&Guard> {
        self.guards.get(source).map(AsRef::as_ref)
    }

    pub(super) fn name(&self, source: usize) -> &str {
        self.guard(source).map_or("", |guard| guard.backend().name.as_str())
    }

    /// Leaves out a source that gave other data than the image's, and tells of it.
    pub(super) fn condemn(&self, source: usize) {
        self.cooled.add(source, &self.id);
        let Some(guard) = self.guard(source) else { return };
        tracing::warn!(backend = %guard.backend().name, image = %self.id, "a copy gave other data than its image's");
        guard.observer().corrupt(&guard.backend().name);
    }

    /// Data has come, so that the bounds on what comes of no data begin anew.
    pub(super) const fn gave(&mut self) {
        self.outage = Outage { since: None, asked: 0 };
    }

    /// Opens the bytes `rest` where they can be had. `None` if that is nowhere within the bounds. Who opens them and gives
    /// none is no better than who does not.
    pub(super) async fn reopen(&mut self, rest: Range<u64>) -> Option<(usize, ByteStream)> {
        let end = *self.outage.since.get_or_insert_with(Instant::now) + self.resuming.within;
        tokio::time::timeout_at(end, self.persist(rest)).await.ok().flatten()
    }

    async fn persist(&mut self, rest: Range<u64>) -> Option<(usize, ByteStream)> {
        while self.outage.asked < self.resuming.attempts {
            if let Some(before) = self.outage.asked.checked_sub(1) {
                let pause = self.resuming.pause.saturating_mul(2_u32.saturating_pow(before));
                tokio::time::sleep(pause.min(self.resuming.within).mul_f64(0.5 + 0.5 * fastrand::f64()))
                    .await;
            }
            self.outage.asked = self.outage.asked.saturating_add(1);
            match self.ask_all(&rest).await {
                Answer::Opened(source, stream) => return Some((source, stream)),
                Answer::Silence => {}
                Answer::No => return None,
            }
        }
        None
    }

    /// Asks everybody who may have the bytes, one after the other, once.
    async fn ask_all(&mut self, rest: &Range<u64>) -> Answer {
        let (mut is_silent, current) = (false, self.current());
        if self.identity.can_be_elsewhere() {
            let others: Vec<usize> = self.known.iter().copied().filter(|source| *source != current).collect();
            if let Some((source, stream)) = self.ask(&others, rest, &mut is_silent).await {
                return Answer::Opened(source, stream);
            }
            let found = self.search().await;
            self.known.extend_from_slice(&found);
            if let Some((source, stream)) = self.ask(&found, rest, &mut is_silent).await {
                return Answer::Opened(source, stream);
            }
        }
        match self.ask(&[current], rest, &mut is_silent).await {
            Some((source, stream)) => Answer::Opened(source, stream),
            None if is_silent => Answer::Silence,
            None => Answer::No,
        }
    }

    async fn ask(
        &self,
        sources: &[usize],
        rest: &Range<u64>,
        is_silent: &mut bool,
    ) -> Option<(usize, ByteStream)> {
        for source in sources.iter().copied().filter(|source| !self.cooled.has(*source, &self.id)) {
            match self.open(source, rest).await {
                Ok(stream) => return Some((source, stream)),
                Err(error) => {
                    *is_silent |= error.kind().is_silence();
                    let (backend, error) = (self.name(source), error.chain());
                    tracing::debug!(backend, image = %self.id, error, "a download cannot go on here");
                }
            }
        }
        None
    }

    /// The other backends that show the caller an image with this data.
    async fn search(&self) -> Vec<usize> {
        let is_new = |source: &usize| !self.known.contains(source) && *source != self.current();
        let guards =
            self.guards.iter().enumerate().filter(|(source, guard)| is_new(source) && guard.is_asked());
        let shown = guards.map(async |(source, guard)| {
            let show = || guard.service().show(&self.context, &self.id);
            let image = guard.read(&self.context, "show", show).await.ok()?;
            self.identity.is_of_copy(&image).then_some(source)
        });
        join_all(shown).await.into_iter().flatten().collect()
    }

    /// Opens the bytes `rest` in one source.
    async fn open(&self, source: usize, rest: &Range<u64>) -> Result<ByteStream> {
        let guard = self.guard(source).ok_or_else(|| Error::not_found(&self.id))?;
        let (service, context, id) = (guard.service(), &self.context, &self.id);
        if service.capabilities().ranges.is_yes() {
            let range = self.asked_for(rest);
            match guard.open(context, || service.get(context, id, Some(range))).await {
                Err(error) if error.kind() == ErrorKind::NotImplemented => {}
                answer => return Ok(self.accept(source, answer?, rest)?.into_stream()),
            }
        }
        if rest.start > self.resuming.skip_limit {
            return Err(Error::not_implemented("reading from the middle of an image"));
        }
        let whole = guard.open(context, || service.get(context, id, None)).await?;
        Ok(cut(self.accept(source, whole, &(0..self.total))?, rest.clone()).into_stream())
    }

    const fn asked_for(&self, rest: &Range<u64>) -> ByteRange {
        if rest.end == self.total {
            ByteRange::From(rest.start)
        } else {
            ByteRange::Between(rest.start, rest.end.saturating_sub(1))
        }
    }

    /// The data of an answer, if it is the bytes `wanted` of the same data.
    fn accept(&self, source: usize, answer: Download, wanted: &Range<u64>) -> Result<Data> {
        let Download { image, data } = answer;
        if !self.is_same(source, &image) {
            return Err(Error::conflict("the image there has other data"));
        }
        let data = data.ok_or_else(|| Error::conflict("the image there has no data"))?;
        if data.range != *wanted || data.total != self.total {
            return Err(Error::conflict("another part of the data came than was asked for"));
        }
        Ok(data)
    }

    fn is_same(&self, source: usize, image: &Image) -> bool {
        if source == self.current() {
            self.identity.is_unchanged_in(image)
        } else {
            self.identity.is_of_copy(image)
        }
    }
}
