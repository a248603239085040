//! Many backends as one [`ImageService`].
//!
//! Lists are asked of all backends at once and woven into one total order ([`merge`]); one backend's part is
//! made exact in [`source`]. An image is found through hints and, failing these, by asking everybody ([`locate`]).
//! Writes go to one place, chosen before the first byte ([`placement`], [`mod@write`]), and are never tried on a
//! second one. Every call to a backend passes its [`guard`], which asks a backend that fails too often ([`health`])
//! no more for a while. How backends are is told by [`status`]. A copy of the same data may stand in for a home that
//! is slow ([`hedge`], [`twins`]), or take over from one that fails in the middle of a download, which is held to its hash
//! on its way ([`delivery`]).
//!
//! A federation is a backend like any other, so federations nest. It must not know HTTP, the wire names of any
//! dialect, the configuration's syntax, or what kinds of backends there are.
//!
//! **Silence.** A list is served with what came, and says how each backend fared in [`Page::sources`], unless the
//! request refuses partial answers; if nobody answered there is nothing to serve and it is `Unavailable`. One
//! image is `NotFound` only if every backend says so. A backend that is not asked is silent.
//!
//! **Copies.** One id on several backends with the same data is one image, listed once, as its home has it and at
//! its home's place, whatever the copies' own names, times and visibility are. Its home is the first backend in
//! configured order that has data under the id, of those that show the image to the caller.
//!
//! **Conflicts.** Other data under the same id is another image. The first backend in configured order owns the id;
//! the other image is reachable under a derived id, and a property says so ([`aliases`]). A write to an id never
//! touches the other image.
//!
//! **Downloads** of whole images are held to their hash while they pass, save from a backend that is to be believed. What
//! fails in the middle goes on with the same data elsewhere, or in the same backend when it is back, or ends in an error.
//! A copy that gave other data is not read for [`Settings::cool_down`]; where it is the only one, reading is `Unavailable`.
//!
//! **Changes** are made at the home, and then in the copies as far as they take them. What narrows who sees an image,
//! which is a narrower visibility, another owner, a deactivation or a member that is removed, is made in the copies
//! first, and not at all while a backend that is known to hold one is silent ([`narrowing`]); nor is any change made
//! while the home is known and silent. Known is who was seen to hold the id in the last [`Settings::hint_age`], and
//! who was last counted to. What the store of a forgotten copy shows when it returns is its own.
//!
//! **Locations.** A backend that takes no data keeps records of data that lies elsewhere ([`mod@locations`]). A record
//! without data in such a backend already names it as its store, because its data can be nowhere else; it moves when
//! data is uploaded.
//!
//! **Walks.** Every image that exists through a whole walk of pages, and whose sort values do not change, appears
//! exactly once, whatever else is made, changed or deleted meanwhile, and whichever backends leave or join: what a
//! silent backend holds is missing from the pages that name it, and what comes with a backend begins at the walk's
//! place. Two limits. A copy that is made behind our back shows up beside its image for at most
//! [`Settings::census_age`]. While the home of an image is silent, its copy stands for it at the copy's place.

mod aliases;
mod census;
mod cooled;
mod copies;
mod copying;
mod delivery;
mod formats;
mod guard;
mod health;
mod hedge;
mod list;
mod locate;
mod locations;
mod merge;
mod narrowing;
mod owners;
mod placement;
mod powers;
mod read;
mod source;
pub mod status;
mod twins;
mod verification;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId, ImageService,
    Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Support, Upload,
};

use aliases::Aliases;
use census::Census;
use cooled::Cooled;
pub use delivery::Resuming;
use guard::Guard;
pub use guard::Guarding;
use owners::Owners;
use placement::Place;
use source::Bounds;
use status::{BackendStatus, Observer};

/// One backend of a federation. Their order is their priority.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Unique in the federation. Clients see it as a store's name.
    pub name: String,
    /// Which kind of store it is, for people.
    pub kind: String,
    /// One sentence about it, for people.
    pub description: Option<String>,
    /// The store itself.
    pub service: Arc<dyn ImageService>,
    /// How long a read may take until its answer begins.
    pub deadline: Duration,
}

/// How a federation behaves. Every bound has a default.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The backend that new images go to when nothing else is said. `None`: the first one that takes data, or if none
    /// does, records.
    pub default_store: Option<String>,
    /// Images in a page when the query sets no limit. Default 1000.
    pub page_size: NonZeroUsize,
    /// Most images read from one backend in order to sort them here. Default 10,000.
    pub resort_limit: usize,
    /// How many images are shown at a time for a backend without `detail`. Default 8.
    pub show_width: usize,
    /// Most ids whose backends are remembered. Default 100,000.
    pub hints: u64,
    /// How long a backend of an id is remembered. Default 10 minutes.
    pub hint_age: Duration,
    /// Most images of a backend whose ids are counted, so that lists need not ask it for each id that others list.
    /// 0 counts none. Default 1000.
    pub census: usize,
    /// How long such a count is believed, and that a larger backend was asked for an id in vain. Zero counts none, and
    /// asks each time. Default 30 seconds.
    pub census_age: Duration,
    /// What becomes of data that is not of the format that its image declares. Default: it is refused.
    pub formats: Formats,
    /// How calls to the backends are guarded.
    pub guarding: Guarding,
    /// How those to some backends are guarded instead, by name.
    pub guarding_of: BTreeMap<String, Guarding>,
    /// How downloads are taken up again that break off.
    pub resuming: Resuming,
    /// The backends, by name, whose data is believed: their downloads are not held to a hash. Default: none.
    pub believed: BTreeSet<String>,
    /// Most copies that are left out because they gave other data than their image's. Default 10,000.
    pub cooled: u64,
    /// How long such a copy is left out. Zero leaves out none. Default 5 minutes.
    pub cool_down: Duration,
}

impl Settings {
    fn guarded(&self, backend: Backend) -> Guard {
        let guarding = self.guarding_of.get(&backend.name).unwrap_or(&self.guarding).clone();
        Guard::new(backend, guarding)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_store: None,
            page_size: NonZeroUsize::MIN.saturating_add(999),
            resort_limit: 10_000,
            show_width: 8,
            hints: 100_000,
            hint_age: Duration::from_secs(600),
            census: 1000,
            census_age: Duration::from_secs(30),
            formats: Formats::default(),
            guarding: Guarding::default(),
            guarding_of: BTreeMap::new(),
            resuming: Resuming::default(),
            believed: BTreeSet::new(),
            cooled: 10_000,
            cool_down: Duration::from_secs(300),
        }
    }
}

/// What becomes of data that is not of the format that its image declares, or that refers to other files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Formats {
    /// It is `UnsupportedFormat`, and no backend sees it.
    #[default]
    Checked,
    /// It is taken as it is; a backend may look itself.
    Unchecked,
}

/// Many backends as one.
#[derive(Debug)]
pub struct Federation {
    guards: Vec<Arc<Guard>>,
    default: usize,
    owners: Owners,
    aliases: Aliases,
    census: Census,
    page_size: NonZeroUsize,
    bounds: Bounds,
    formats: Formats,
    resuming: Resuming,
    believed: BTreeSet<String>,
    cooled: Arc<Cooled>,
}

impl Federation {
    /// Joins `backends`, first ones first.
    ///
    /// # Errors
    /// `Invalid` if there are none, two share a name, or the default names none of them.
    pub fn new(backends: Vec<Backend>, settings: Settings) -> Result<Self> {
        for (number, backend) in backends.iter().enumerate() {
            if backends.iter().take(number).any(|earlier| earlier.name == backend.name) {
                return Err(Error::invalid(format!("two backends are called '{}'", backend.name)));
            }
        }
        let default = match &settings.default_store {
            Some(name) => backends.iter().position(|backend| backend.name == *name).ok_or_else(|| {
                Error::invalid(format!("the default store '{name}' is none of the backends"))
            })?,
            None => {
                let first = |takes: fn(&Capabilities) -> bool| {
                    backends.iter().position(|backend| takes(&backend.service.capabilities()))
                };
                first(|can| can.writes.is_yes() && can.uploads.is_yes())
                    .or_else(|| first(|can| can.writes.is_yes()))
                    .unwrap_or_default()
            }
        };
        if backends.is_empty() {
            return Err(Error::invalid("there are no backends"));
        }
        Ok(Self {
            census: Census::new(backends.len(), settings.census, settings.census_age, settings.hints),
            guards: backends.into_iter().map(|backend| Arc::new(settings.guarded(backend))).collect(),
            default,
            owners: Owners::new(settings.hints, settings.hint_age),
            aliases: Aliases::new(settings.hints),
            page_size: settings.page_size,
            formats: settings.formats,
            bounds: Bounds { resort: settings.resort_limit, width: settings.show_width },
            resuming: settings.resuming,
            believed: settings.believed,
            cooled: Arc::new(Cooled::new(settings.cooled, settings.cool_down)),
        })
    }

    /// The same federation, of which nothing has been asked yet, with somebody who is told of every call.
    #[must_use]
    pub fn observed(mut self, observer: Arc<dyn Observer>) -> Self {
        let guards = self.guards.iter();
        self.guards = guards.map(|guard| Arc::new(guard.observed(Arc::clone(&observer)))).collect();
        self
    }

    /// How each backend is now, in their order. A backend that fails stays listed.
    #[must_use]
    pub fn status(&self) -> Vec<BackendStatus> {
        let numbered = self.guards.iter().enumerate();
        numbered
            .map(|(source, guard)| BackendStatus { images: self.census.count(source), ..guard.status() })
            .collect()
    }

    fn name_of(&self, source: usize) -> Option<&str> {
        self.guards.get(source).map(|guard| guard.backend().name.as_str())
    }

    /// The guard of a source that came out of this federation's own numbering.
    fn guard(&self, source: usize) -> Result<&Guard> {
        self.guards
            .get(source)
            .map(AsRef::as_ref)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "there is no such backend"))
    }

    fn places(&self) -> Vec<Place<'_>> {
        let backends = self.guards.iter().map(|guard| guard.backend());
        backends
            .map(|backend| {
                let can = backend.service.capabilities();
                Place { name: &backend.name, writes: can.writes, uploads: can.uploads }
            })
            .collect()
    }

    /// Whether a backend's data is taken for what it should be.
    fn is_believed(&self, source: usize) -> bool {
        self.name_of(source).is_some_and(|name| self.believed.contains(name))
    }

    /// Whether a backend takes image data.
    fn takes_data(&self, source: usize) -> bool {
        self.guards.get(source).is_some_and(|guard| guard.service().capabilities().uploads.is_yes())
    }
}

#[async_trait]
impl ImageService for Federation {
    fn capabilities(&self) -> Capabilities {
        let can = |guard: &Arc<Guard>| guard.service().capabilities();
        let support = |is_there| if is_there { Support::Yes } else { Support::No };
        let any =
            |takes: fn(&Capabilities) -> bool| support(self.guards.iter().any(|guard| takes(&can(guard))));
        Capabilities {
            writes: any(|can| can.writes.is_yes()),
            uploads: any(|can| can.writes.is_yes() && can.uploads.is_yes()),
            drafts: any(|can| can.writes.is_yes() && can.uploads.is_yes() && can.drafts.is_yes()),
            believes_caller: support(self.guards.iter().all(|guard| can(guard).believes_caller.is_yes())),
            ..Capabilities::full()
        }
    }

    /// A total order and the folding of copies need more of an image than its id and name, so this is `detail`
    /// cut down.
    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        Ok(self.detail(context, query).await?.map(|image| Summary::from(&image)))
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        query.check()?;
        let limit = query.limit.unwrap_or(self.page_size);
        self.list(context, query, limit).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        Ok(self.locate(context, id).await?.image)
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        self.read_data(context, id, range).await
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.place(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        self.change(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.remove(context, id).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        Some(self)
    }

    fn stores(&self) -> Option<&dyn Stores> {
        Some(self)
    }

    fn locations(&self) -> Option<&dyn Locations> {
        let keeps = self.guards.iter().any(|guard| guard.service().locations().is_some());
        keeps.then_some(self as &dyn Locations)
    }
}
