//! The documents of a source, fetched within bounds, and not again while they have not changed.
//!
//! What was read of a document is kept with what the server said to know it by, unless that is too young to tell the
//! next change. The next time the server is asked whether it has changed, and what it gives is compared with what is
//! known. No redirect is followed, and nothing but a plain answer is taken.
//!
//! A signature says that a document was its signer's once, and not that it is so still. So a document is refused if one
//! of the same path has been taken that was signed later. What was taken is remembered by whoever keeps the catalogue. Where
//! the paths come from something that is not signed, as the listing of a directory, this keeps nobody from giving an older
//! document another path.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use image_service::{Error, ErrorKind, HashAlgorithm, Hasher, MultiHash, Result, Timestamp};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use url::Url;

use super::{path, refused, times};
use crate::client::Client;
use crate::fault::{self, Asked, Credentials};

/// The most documents that one catalogue is made of, where its dialect does not say otherwise.
const MOST_DOCUMENTS: usize = 256;

/// No more room than this is made for a document before it comes.
const LARGEST_AT_ONCE: u64 = 1 << 20;

/// One server, and where on it a catalogue and its files are.
#[derive(Debug)]
pub(crate) struct Source {
    /// How it is connected to.
    pub(crate) client: Client,
    /// What every path is below of. Ends with a slash.
    pub(crate) root: Url,
    /// How long one answer may take: a document, or the head of a download.
    pub(crate) answer_timeout: Duration,
    /// The most bytes of all documents of a catalogue.
    pub(crate) max_response: u64,
}

/// A document as it came.
#[derive(Debug)]
pub(crate) struct Document {
    /// All of it.
    pub(crate) bytes: Bytes,
    /// When it last changed, if the server says.
    pub(crate) modified: Option<Timestamp>,
    /// When it was signed. Whoever verifies the signature notes it.
    pub(crate) signed: Cell<Option<Timestamp>>,
}

impl Document {
    /// A document that came so, whose signature nobody has looked at yet.
    pub(crate) const fn new(bytes: Bytes, modified: Option<Timestamp>) -> Self {
        Self { bytes, modified, signed: Cell::new(None) }
    }

    /// Notes when it was signed, in seconds since the epoch.
    ///
    /// # Errors
    /// If there is no such time.
    pub(super) fn note_signed(&self, made: u32) -> Result<()> {
        self.signed.set(Some(Timestamp::from_second(made.into())?));
        Ok(())
    }
}

/// What is known of one document.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    read: Arc<T>,
    basis: Option<Bytes>,
    /// The SHA-256 of it: a server that has no name for it may give the same again.
    digest: MultiHash,
    size: u64,
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
    /// When it was signed, if it is.
    pub(super) signed: Option<Timestamp>,
}

/// When the documents that have been taken were signed, by their paths: of each the newest.
pub(crate) type Signed = HashMap<String, Timestamp>;

/// What is known of all documents of a catalogue, by their paths.
pub(crate) type Known<T> = HashMap<String, Kept<T>>;

/// The documents of one catalogue while it is read.
pub(crate) struct Documents<'a, T> {
    source: &'a Source,
    known: &'a Known<T>,
    signed: &'a Signed,
    now: Known<T>,
    left: Budget,
    most: usize,
    changed: bool,
}

/// A document that is one of many to be read.
pub(crate) struct Wanted<T> {
    /// What it is known by.
    pub(crate) path: String,
    /// Where it is.
    pub(crate) url: Url,
    /// What else it is read by, such as a signature beside it. What was read by something else is not known.
    pub(crate) basis: Option<Bytes>,
    /// What is made of it.
    pub(crate) read: Reader<T>,
}

/// What makes something of a document.
pub(crate) type Reader<T> = Box<dyn FnOnce(&Document) -> Result<T> + Send>;

/// How many bytes the documents of a catalogue may still have, all that are on their way together.
#[derive(Debug)]
struct Budget(AtomicU64);

impl Source {
    /// The URL of a path below the root.
    ///
    /// # Errors
    /// If it leads elsewhere: then the catalogue that names it is refused.
    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        path::below(&self.root, path).map_err(|why| refused(format_args!("the path {path:?} {why}")))
    }

    /// Asks for `url`, with `headers`, and gives the head of the answer.
    ///
    /// # Errors
    /// Silence, also if the answer does not begin within `patience`.
    pub(crate) async fn get(&self, url: Url, headers: HeaderMap, patience: Duration) -> Result<Response> {
        self.ask(self.client.now().get(url).headers(headers), patience).await
    }

    /// Asks for `url` without what is there, and gives the head of the answer.
    ///
    /// # Errors
    /// Silence, also if the answer does not come within `patience`.
    pub(crate) async fn head(&self, url: Url, patience: Duration) -> Result<Response> {
        self.ask(self.client.now().head(url), patience).await
    }

    async fn ask(&self, request: RequestBuilder, patience: Duration) -> Result<Response> {
        let request = request.header(ACCEPT_ENCODING, "identity");
        let answer = tokio::time::timeout(patience, request.send()).await.map_err(|_| fault::too_slow())?;
        let answer = answer.map_err(fault::silence)?;
        match answer.headers().get(CONTENT_ENCODING) {
            None => Ok(answer),
            Some(encoding) if encoding == "identity" => Ok(answer),
            Some(_) => Err(fault::nonsense("an answer that is encoded although none may be")),
        }
    }

    /// The error that an answer without success stands for. Reads a little of it.
    pub(crate) async fn refusal(&self, asked: Asked, what: &str, mut answer: Response) -> Error {
        let status = answer.status();
        let excerpt = tokio::time::timeout(self.answer_timeout, answer.chunk()).await;
        let excerpt = excerpt.ok().and_then(Result::ok).flatten().unwrap_or_default();
        fault::refusal(asked, Credentials::Service, what, status, &excerpt)
    }
}

impl<'a, T: Send + Sync + 'static> Documents<'a, T> {
    /// Gets ready to read a catalogue of which so much is `known`, and none of whose documents is to be older than one
    /// that was `signed` then.
    pub(crate) fn new(source: &'a Source, known: &'a Known<T>, signed: &'a Signed) -> Self {
        let left = Budget(AtomicU64::new(source.max_response));
        Self { source, known, signed, now: Known::new(), left, most: MOST_DOCUMENTS, changed: false }
    }

    /// Where the documents are, and the files that they name.
    pub(crate) const fn source(&self) -> &'a Source {
        self.source
    }

    /// Lets the catalogue be of so many documents.
    pub(crate) const fn allow(&mut self, most: usize) {
        self.most = most;
    }

    /// What is known now, and whether it is anything else than before.
    pub(crate) fn finish(self) -> (Known<T>, bool) {
        let changed = self.changed || self.now.len() != self.known.len();
        (self.now, changed)
    }

    /// Fetches the document at `path`, and makes of it what `read` does, off the async threads. If it is still the one
    /// that is known, that is what it gives.
    ///
    /// # Errors
    /// Silence; what `read` says; if it is older than one that was taken before; if the documents of the catalogue are too
    /// many or too much.
    pub(crate) async fn read<F>(&mut self, path: &str, read: F) -> Result<Arc<T>>
    where
        F: FnOnce(&Document) -> Result<T> + Send + 'static,
    {
        if let Some(kept) = self.now.get(path) {
            return Ok(Arc::clone(&kept.read));
        }
        let (path, url) = (path.to_owned(), self.source.url(path)?);
        let mut read =
            self.read_all(vec![Wanted { path, url, basis: None, read: Box::new(read) }], 1).await?;
        read.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "a document that was read is not there"))
    }

    /// Fetches documents as [`read`](Self::read) does, `width` at a time, and gives what they come to in their order.
    ///
    /// # Errors
    /// Those of `read`, for any of them.
    pub(crate) async fn read_all(&mut self, wanted: Vec<Wanted<T>>, width: usize) -> Result<Vec<Arc<T>>> {
        if self.now.len().saturating_add(wanted.len()) > self.most {
            return Err(refused(format_args!("it is of over {} documents", self.most)));
        }
        let (source, known, newest, left) = (self.source, self.known, self.signed, &self.left);
        let fetches: Vec<BoxFuture<'_, Result<Obtained<T>>>> =
            wanted.into_iter().map(|wanted| obtain(source, known, newest, left, wanted).boxed()).collect();
        let fetched: Vec<_> = futures::stream::iter(fetches).buffered(width.max(1)).try_collect().await?;
        let mut all = Vec::with_capacity(fetched.len());
        for (path, kept, changed) in fetched {
            all.push(Arc::clone(&kept.read));
            self.changed |= changed;
            self.now.insert(path, kept);
        }
        Ok(all)
    }
}

impl Budget {
    fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes so many bytes of it, or says that there are not so many left.
    fn take(&self, bytes: u64) -> bool {
        let less = |left: u64| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// A document by its path, and whether it is another one than is known.
type Obtained<T> = (String, Kept<T>, bool);

async fn obtain<T: Send + Sync + 'static>(
    source: &Source,
    known: &Known<T>,
    newest: &Signed,
    left: &Budget,
    wanted: Wanted<T>,
) -> Result<Obtained<T>> {
    let Wanted { path, url, basis, read } = wanted;
    let known = known.get(&path).filter(|kept| kept.basis == basis);
    let fetched = tokio::time::timeout(source.answer_timeout, fetch(source, url, known, left));
    match fetched.await.map_err(|_| fault::too_slow())?? {
        Fetched::Unchanged(kept) if left.take(kept.size) => Ok((path, kept, false)),
        Fetched::Unchanged(_) => Err(too_much(source)),
        Fetched::Document(Head { etag, modified }, document) => {
            let size = document.bytes.len() as u64;
            let before = known.map(|kept| kept.digest.clone());
            let broken =
                |source| Error::new(ErrorKind::Internal, "a document cannot be read").with_source(source);
            let read = move || {
                let digest = digest(&document.bytes);
                let is_new = before.as_ref() != Some(&digest);
                let read = if is_new { Some((read(&document)?, document.signed.get())) } else { None };
                Ok::<_, Error>((digest, read))
            };
            let (digest, read) = tokio::task::spawn_blocking(read).await.map_err(broken)??;
            match (read, known) {
                (None, Some(kept)) => Ok((path, Kept { etag, modified, ..kept.again() }, false)),
                (read, _) => {
                    let (read, signed) = read.ok_or_else(|| refused("a document was not read"))?;
                    check_age(&path, signed, newest.get(&path))?;
                    let read = Arc::new(read);
                    Ok((path, Kept { read, basis, digest, size, etag, modified, signed }, true))
                }
            }
        }
    }
}

fn digest(bytes: &[u8]) -> MultiHash {
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    hasher.update(bytes);
    hasher.finish()
}

/// Refuses the document at `path` if it was signed before the `newest` of it that was taken.
fn check_age(path: &str, signed: Option<Timestamp>, newest: Option<&Timestamp>) -> Result<()> {
    match (signed, newest) {
        (Some(signed), Some(newest)) if signed < *newest => Err(refused(format_args!(
            "the document {path:?} was signed at {signed}, and one that was signed at {newest} has been taken"
        ))),
        _ => Ok(()),
    }
}

/// What the server knows a document by, if its next change would be told by that.
#[derive(Debug, Default)]
struct Head {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

impl Head {
    /// What these headers say. Nothing of a document that has just changed: it may change again within the second, and
    /// tags are often made of that.
    fn read(headers: &HeaderMap) -> Self {
        if headers.contains_key(LAST_MODIFIED) && !times::is_settled(headers) {
            return Self::default();
        }
        let header = |name: HeaderName| headers.get(name).cloned();
        Self { etag: header(ETAG), modified: header(LAST_MODIFIED) }
    }
}

enum Fetched<T> {
    Unchanged(Kept<T>),
    Document(Head, Document),
}

impl<T> Kept<T> {
    fn again(&self) -> Self {
        let (etag, modified) = (self.etag.clone(), self.modified.clone());
        Self {
            read: Arc::clone(&self.read),
            basis: self.basis.clone(),
            digest: self.digest.clone(),
            size: self.size,
            etag,
            modified,
            signed: self.signed,
        }
    }

    /// The conditions under which the document is wanted again. A time is only asked for where there is no tag: it says
    /// less.
    fn conditions(&self) -> HeaderMap {
        let tag = self.etag.clone().map(|tag| (IF_NONE_MATCH, tag));
        tag.or_else(|| self.modified.clone().map(|time| (IF_MODIFIED_SINCE, time))).into_iter().collect()
    }
}

async fn fetch<T: Send + Sync>(
    source: &Source,
    url: Url,
    known: Option<&Kept<T>>,
    left: &Budget,
) -> Result<Fetched<T>> {
    let conditions = known.map(Kept::conditions).unwrap_or_default();
    let answer = source.get(url, conditions, source.answer_timeout).await?;
    match (answer.status(), known) {
        (StatusCode::OK, _) => {
            let (head, modified) = (Head::read(answer.headers()), times::modified(answer.headers()));
            let bytes = whole(source, answer, left).await?;
            Ok(Fetched::Document(head, Document::new(bytes, modified)))
        }
        (StatusCode::NOT_MODIFIED, Some(known)) => Ok(Fetched::Unchanged(known.again())),
        _ => Err(source.refusal(Asked::List, "the catalogue", answer).await),
    }
}

async fn whole(source: &Source, mut answer: Response, left: &Budget) -> Result<Bytes> {
    let said = answer.content_length().unwrap_or(0);
    if said > left.left() {
        return Err(too_much(source));
    }
    let mut bytes = BytesMut::with_capacity(usize::try_from(said.min(LARGEST_AT_ONCE)).unwrap_or(0));
    while let Some(chunk) = answer.chunk().await.map_err(fault::silence)? {
        if !left.take(chunk.len() as u64) {
            return Err(too_much(source));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn too_much(source: &Source) -> Error {
    refused(format_args!("its documents have over {} bytes", source.max_response))
}
