//! The catalogue of a source, kept: how old it may be, and who fetches it.
//!
//! For `fresh` a catalogue is used without asking. After that whoever needs it asks, and however many need it, one
//! fetch is made for all. While that comes to nothing the last good catalogue goes on for `stale`; then there is none.
//! A catalogue that is refused never takes the place of a good one. Why there is no newer one is told to the operator
//! when that changes, and not each time.
//!
//! When the documents of the catalogues that were taken were signed is remembered for as long as the process lives and the
//! keyring is the same, so that none is taken that is older. Another keyring may do without the key that signed the newest.
//!
//! Once a day, and when the keyring has changed, all documents are fetched as if they had never been seen. What was signed
//! by a key that has run out or been removed since is then refused, although the source says that it is the same as ever.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use image_service::{Context, Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::Dialect;
use super::catalogue::Catalogue;
use super::documents::{Documents, Known, Signed, Source};
use crate::fault;

/// How long not to ask again after that came to nothing, unless `fresh` is shorter.
const PAUSE: Duration = Duration::from_secs(5);

/// How long the source is believed that a document is the same as before.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Of so many documents it is remembered when they were signed. Beyond that only those of the catalogue at hand count.
const MOST_REMEMBERED: usize = 1024;

/// The most fetches that one request waits for: one that began before it, its own, and one in whose place its own came.
const MOST_WAITS: usize = 3;

/// How old a catalogue may be, or what a server said of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ages {
    /// How long it is used without asking.
    pub(crate) fresh: Duration,
    /// How long after that it is used while there is no newer one.
    pub(crate) stale: Duration,
    /// How long to wait for a newer one when there is one that may be used.
    pub(crate) patience: Duration,
}

/// Keeps the catalogue of one source.
pub(crate) struct Keeper<D: Dialect> {
    shared: Arc<Shared<D>>,
}

/// What a fetch needs, which goes on when whoever began it has gone.
struct Shared<D: Dialect> {
    name: String,
    dialect: D,
    source: Source,
    ages: Ages,
    most: usize,
    state: Mutex<State<D::Document>>,
}

struct State<T> {
    good: Option<Good>,
    known: Arc<Known<T>>,
    signed: Arc<Signed>,
    anew: Option<Anew>,
    failure: Option<Failure>,
    flight: Option<Flight>,
}

/// The last fetch that knew nothing and was good.
#[derive(Debug, Clone, Copy)]
struct Anew {
    began: Instant,
    /// Which edition of the keyring it went by.
    edition: u64,
}

/// The last good catalogue.
struct Good {
    catalogue: Arc<Catalogue>,
    /// When the fetch began that found it to be the source's.
    confirmed: Instant,
}

/// Why there is no newer one.
struct Failure {
    error: Arc<Error>,
    /// What the operator has been told.
    told: String,
    ended: Instant,
}

/// A fetch under way. It has ended when nobody can send any more.
#[derive(Clone)]
struct Flight {
    began: Instant,
    end: watch::Receiver<()>,
    task: AbortHandle,
}

/// What a fetch goes by.
struct Basis<T> {
    /// What need not be fetched unless it has changed: nothing when all is fetched anew.
    known: Arc<Known<T>>,
    /// When those were signed than which none may be older.
    signed: Arc<Signed>,
    /// The last fetch that knew nothing, if this one comes to something.
    anew: Option<Anew>,
}

/// What a fetch came to.
struct Fetched<T> {
    basis: Basis<T>,
    /// What is known of the documents now.
    known: Known<T>,
    /// The catalogue that they come to. `None`: it is the same.
    catalogue: Option<Catalogue>,
}

/// What there is for a request.
enum Look {
    /// The catalogue to use.
    Catalogue(Arc<Catalogue>),
    /// Nothing, and no use in waiting.
    Nothing(Error),
    /// A fetch to wait for, and what may be used if that takes too long.
    Wait(Flight, Option<Arc<Catalogue>>),
}

impl<D: Dialect> Keeper<D> {
    /// Keeps the catalogue that `dialect` reads at `source`, of no more than `most` images. Asks nothing yet. `name` is
    /// what the operator knows the source by.
    pub(crate) fn new(name: &str, dialect: D, source: Source, ages: Ages, most: usize) -> Self {
        let (known, signed) = (Arc::default(), Arc::default());
        let state = Mutex::new(State { good: None, known, signed, anew: None, failure: None, flight: None });
        Self { shared: Arc::new(Shared { name: name.to_owned(), dialect, source, ages, most, state }) }
    }

    /// How the catalogue is read.
    pub(crate) fn dialect(&self) -> &D {
        &self.shared.dialect
    }

    /// Where it comes from.
    pub(crate) fn source(&self) -> &Source {
        &self.shared.source
    }

    /// The catalogue as it was no longer than `fresh` ago, or the last good one if no newer is to be had.
    ///
    /// # Errors
    /// `Unavailable` if there is none, or it is too old; `TimedOut` if whoever asks waits no longer.
    pub(crate) async fn current(&self, context: &Context) -> Result<Arc<Catalogue>> {
        let arrival = Instant::now();
        for _ in 0..MOST_WAITS {
            match self.shared.look(arrival) {
                Look::Catalogue(catalogue) => return Ok(catalogue),
                Look::Nothing(error) => return Err(error),
                Look::Wait(mut flight, Some(usable)) => {
                    // Of a fetch that takes long already nothing is to be hoped for.
                    let until = flight.began + self.shared.ages.patience;
                    if timeout_at(until, flight.end.changed()).await.is_err() {
                        return Ok(usable);
                    }
                }
                Look::Wait(mut flight, None) => {
                    let deadline = context.deadline.map(Instant::from_std);
                    let until = deadline.unwrap_or_else(|| Instant::now() + LONG);
                    if timeout_at(until, flight.end.changed()).await.is_err() {
                        return Err(fault::too_slow());
                    }
                }
            }
        }
        Err(Error::new(ErrorKind::Unavailable, UNUSABLE))
    }
}

/// Longer than any fetch takes, each of whose answers has its own bound.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// What a client is told when there is no catalogue.
const UNUSABLE: &str = "the catalogue of the image source cannot be had now";

impl<D: Dialect> Drop for Keeper<D> {
    fn drop(&mut self) {
        if let Some(flight) = &self.shared.lock().flight {
            flight.task.abort();
        }
    }
}

impl<D: Dialect> Shared<D> {
    // No code that holds the lock can panic half way through a change.
    fn lock(&self) -> MutexGuard<'_, State<D::Document>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is for a request that came at `arrival`. Begins a fetch if there is need of one.
    fn look(self: &Arc<Self>, arrival: Instant) -> Look {
        let mut state = self.lock();
        let usable = match &state.good {
            Some(good) if good.confirmed + self.ages.fresh >= arrival => {
                return Look::Catalogue(Arc::clone(&good.catalogue));
            }
            Some(good) if good.confirmed + self.ages.fresh + self.ages.stale > Instant::now() => {
                Some(Arc::clone(&good.catalogue))
            }
            _ => None,
        };
        if let Some(failure) = &state.failure
            && failure.ended + self.ages.fresh.min(PAUSE) >= arrival
        {
            let unusable =
                || Error::new(ErrorKind::Unavailable, UNUSABLE).with_source(Arc::clone(&failure.error));
            return usable.map_or_else(|| Look::Nothing(unusable()), Look::Catalogue);
        }
        let under_way = state.flight.clone().filter(|flight| !flight.task.is_finished());
        let flight = under_way.unwrap_or_else(|| self.begin(&mut state));
        Look::Wait(flight, usable)
    }

    fn begin(self: &Arc<Self>, state: &mut State<D::Document>) -> Flight {
        let (began, (told, end)) = (Instant::now(), watch::channel(()));
        let shared = Arc::clone(self);
        let task = tokio::spawn(async move {
            let outcome = shared.fetch(began).await;
            shared.settle(began, outcome);
            drop(told);
        });
        let flight = Flight { began, end, task: task.abort_handle() };
        state.flight = Some(flight.clone());
        flight
    }

    /// What a fetch goes by that begins now and trusts by this edition of the keyring.
    fn basis(&self, began: Instant, edition: u64) -> Basis<D::Document> {
        let state = self.lock();
        let last = state.anew.filter(|anew| anew.edition == edition);
        let is_believed = last.is_some_and(|anew| began.duration_since(anew.began) < AGAIN);
        Basis {
            known: if is_believed { Arc::clone(&state.known) } else { Arc::default() },
            signed: if last.is_some() { Arc::clone(&state.signed) } else { Arc::default() },
            anew: if is_believed { last } else { Some(Anew { began, edition }) },
        }
    }

    /// The catalogue as it is at the source, or `None` if it is the same.
    async fn fetch(&self, began: Instant) -> Result<Fetched<D::Document>> {
        let basis = self.basis(began, self.dialect.trust().edition().await?);
        let mut documents = Documents::new(&self.source, &basis.known, &basis.signed);
        let items = self.dialect.items(&mut documents).await?;
        let (known, changed) = documents.finish();
        let catalogue = if changed { Some(Catalogue::new(items, self.most)?) } else { None };
        Ok(Fetched { basis, known, catalogue })
    }

    fn settle(&self, began: Instant, outcome: Result<Fetched<D::Document>>) {
        let name = self.name.as_str();
        let mut state = self.lock();
        state.flight = None;
        match outcome {
            Ok(Fetched { basis, known, catalogue }) => {
                state.anew = basis.anew;
                state.signed = basis.signed;
                if let Some(catalogue) = catalogue {
                    tracing::info!(backend = name, images = catalogue.len(), "there is a new catalogue");
                    remember(Arc::make_mut(&mut state.signed), &known);
                    state.good = Some(Good { catalogue: Arc::new(catalogue), confirmed: began });
                } else if let Some(good) = &mut state.good {
                    good.confirmed = began;
                }
                // Also of a catalogue that is the same the server may know a document by something else now.
                state.known = Arc::new(known);
                if state.failure.take().is_some() {
                    tracing::info!(backend = name, "the catalogue is to be had again");
                }
            }
            Err(error) => {
                let (chain, ended) = (error.chain(), Instant::now());
                if state.failure.as_ref().is_none_or(|failure| failure.told != chain) {
                    tracing::warn!(backend = name, %chain, "there is no newer catalogue");
                }
                state.failure = Some(Failure { error: Arc::new(error), told: chain, ended });
            }
        }
    }
}

/// Remembers when the documents of a catalogue that is taken were signed. No document in it is older than what is known.
fn remember<T>(signed: &mut Signed, known: &Known<T>) {
    signed.extend(known.iter().filter_map(|(path, kept)| Some((path.clone(), kept.signed?))));
    if signed.len() > MOST_REMEMBERED {
        signed.retain(|path, _| known.contains_key(path));
    }
}

impl<D: Dialect> fmt::Debug for Keeper<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("name", &self.shared.name)
            .field("dialect", &self.shared.dialect)
            .finish_non_exhaustive()
    }
}
