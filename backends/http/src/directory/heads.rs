//! What a server says of a file when it is asked for its head: how long it is, when it changed, and its tag. Kept.
//!
//! An answer is good for `fresh`. After that it still is while the listing says the same of the file, if it says a
//! time: a file that changes later than in the minute that the listing tells would be listed with another. So an answer
//! that came soon after the change of its file is not believed longer than `fresh`, and no answer longer than a day.
//!
//! Of many who need an answer one asks. While asking comes to nothing the last answer goes on for `stale`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use image_service::{Error, ErrorKind, Image, ImageId, Result, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderMap, HeaderValue};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::body;
use crate::fault::{self, Asked};
use crate::published::{Ages, Catalogue, Item, Source, times};

/// How long an answer is believed at most, whatever the listing says.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// How long not to wait again for answers after none came, while there are some that may be used.
const PAUSE: Duration = Duration::from_secs(5);

/// What a server says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of it.
    pub(super) size: u64,
    /// When it last changed, if the server says.
    modified: Option<Timestamp>,
    /// Its tag.
    tag: Option<HeaderValue>,
    is_settled: bool,
}

/// The answers for the files of a directory, no more than there are images in it.
#[derive(Debug)]
pub(super) struct Heads {
    ages: Ages,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: HashMap<ImageId, Arc<Ask>>,
    /// When asking last came to nothing.
    failed: Option<Instant>,
}

/// A question, and its answer when that has come.
#[derive(Debug)]
struct Ask {
    /// What the listing said of the file.
    said: Option<Arc<str>>,
    answer: OnceCell<(Head, Instant)>,
    /// The answer before this one.
    before: Option<(Head, Instant)>,
}

impl Heads {
    pub(super) fn new(ages: Ages) -> Self {
        Self { ages, state: Mutex::default() }
    }

    /// What the server says of the file of `item`, which is in `catalogue`.
    ///
    /// # Errors
    /// `NotFound` if it is not there any more; silence.
    pub(super) async fn of(&self, source: &Source, catalogue: &Catalogue, item: &Item) -> Result<Head> {
        let ask = self.ask(catalogue, item);
        let usable = ask.before.as_ref().filter(|(_, at)| at.elapsed() < self.ages.fresh + self.ages.stale);
        if let (Some((head, _)), true) = (usable, self.has_failed_lately()) {
            return Ok(head.clone());
        }
        let patience = match usable {
            Some(_) => self.ages.patience.min(source.answer_timeout),
            None => source.answer_timeout,
        };
        let asking = ask.answer.get_or_try_init(|| async {
            // Counted from before the question, so that it is never believed for too long.
            let now = Instant::now();
            Ok::<_, Error>((fetch(source, item, patience).await?, now))
        });
        match asking.await {
            Ok((head, _)) => Ok(head.clone()),
            Err(error) if error.kind().is_silence() => {
                self.lock().failed = Some(Instant::now());
                usable.map(|(head, _)| head.clone()).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets what is known of the file of an image, because it turned out not to be so.
    pub(super) fn forget(&self, id: &ImageId) {
        self.lock().asked.remove(id);
    }

    /// The question to ask, or the one that has been answered and need not be asked again.
    fn ask(&self, catalogue: &Catalogue, item: &Item) -> Arc<Ask> {
        let (id, said) = (&item.image.id, &item.file.said);
        let mut state = self.lock();
        let known = state.asked.get(id);
        if let Some(known) = known.filter(|known| self.is_good(known, said.as_ref())) {
            return Arc::clone(known);
        }
        let before = known.and_then(|known| known.answer.get().or(known.before.as_ref()).cloned());
        let ask = Arc::new(Ask { said: said.clone(), answer: OnceCell::new(), before });
        state.asked.insert(id.clone(), Arc::clone(&ask));
        if state.asked.len() > catalogue.len() {
            state.asked.retain(|id, _| catalogue.has(id));
        }
        ask
    }

    fn is_good(&self, ask: &Ask, said: Option<&Arc<str>>) -> bool {
        let says_the_same = ask.said.as_ref() == said;
        match ask.answer.get() {
            None => says_the_same,
            Some((head, at)) => {
                let is_told = head.is_settled && said.is_some();
                says_the_same && at.elapsed() < if is_told { AGAIN } else { self.ages.fresh }
            }
        }
    }

    fn has_failed_lately(&self) -> bool {
        self.lock().failed.is_some_and(|failed| failed.elapsed() < PAUSE.min(self.ages.fresh))
    }

    // No code that holds the lock can panic half way through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Head {
    /// What the headers of an answer say of the file.
    ///
    /// # Errors
    /// If they do not say how long it is.
    fn read(headers: &HeaderMap) -> Result<Self> {
        let size = body::length(headers)?.ok_or_else(|| fault::nonsense("a file of unknown length"))?;
        let (modified, is_settled) = (times::modified(headers), times::is_settled(headers));
        Ok(Self { size, modified, tag: headers.get(ETAG).cloned(), is_settled })
    }

    /// What a listing that is exact says of a file.
    pub(super) const fn listed(size: u64, modified: Timestamp) -> Self {
        Self { size, modified: Some(modified), tag: None, is_settled: false }
    }

    /// Whether an answer with these headers is of the same file in the same state, as far as it says.
    pub(super) fn is_of(&self, headers: &HeaderMap) -> bool {
        let times = self.modified.zip(times::modified(headers));
        let same_time = times.is_none_or(|(known, said)| known == said);
        let tags = self.tag.as_ref().zip(headers.get(ETAG));
        same_time && tags.is_none_or(|(known, said)| opaque(known) == opaque(said))
    }

    /// The tag, if it stands for the very bytes.
    pub(super) fn strong_tag(&self) -> Option<&HeaderValue> {
        self.tag.as_ref().filter(|tag| tag.as_bytes().starts_with(b"\""))
    }

    /// `image` as it is with this file.
    ///
    /// # Errors
    /// `Internal` if there is no time to take.
    pub(super) fn complete(&self, mut image: Image) -> Result<Image> {
        image.size = Some(self.size);
        image.virtual_size = image.size.filter(|_| image.disk_format.as_deref() == Some("raw"));
        let modified = self.modified.map_or_else(|| Timestamp::from_second(0), Ok)?;
        (image.created_at, image.updated_at) = (modified, modified);
        Ok(image)
    }
}

/// A tag without the mark that it is weak. A server may take that away from one answer to the next.
fn opaque(tag: &HeaderValue) -> &[u8] {
    tag.as_bytes().strip_prefix(b"W/").unwrap_or(tag.as_bytes())
}

async fn fetch(source: &Source, item: &Item, patience: Duration) -> Result<Head> {
    let answer = source.head(item.file.url.clone(), patience).await?;
    match answer.status() {
        StatusCode::OK => Head::read(answer.headers()),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Error::not_found(&item.image.id)),
        _ => {
            let error = source.refusal(Asked::Record, item.image.id.as_str(), answer).await;
            match error.kind() {
                ErrorKind::NotImplemented => {
                    Err(fault::nonsense("it tells nothing of its files").with_source(error))
                }
                _ => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_file_of_unknown_length_is_refused_and_one_of_unknown_age_has_not_settled() {
        assert!(Head::read(&headers(&[("etag", "\"a\"")])).is_err());
        assert!(!Head::read(&headers(&[("content-length", "3")])).unwrap().is_settled);
    }

    #[test]
    fn another_state_of_a_file_is_told_by_its_tag_or_its_time() {
        let (then, later) = ("Tue, 19 Mar 2024 09:48:00 GMT", "Tue, 19 Mar 2024 09:48:01 GMT");
        let said = [("content-length", "3"), ("etag", "W/\"a\""), ("last-modified", then)];
        let head = Head::read(&headers(&said)).unwrap();
        assert_eq!(head.strong_tag(), None);
        for (other, same) in [
            (&[("etag", "\"a\""), ("last-modified", then)][..], true),
            (&[], true),
            (&[("etag", "\"b\"")], false),
            (&[("last-modified", later)], false),
        ] {
            assert_eq!(head.is_of(&headers(other)), same, "{other:?}");
        }
    }
}
