//! Which ids a backend holds at all, for backends that hold few images.
//!
//! To list an image once, at its home's place, one must know who else holds its id. Backends can be asked for that,
//! but only after a page has come, which doubles the time that a list takes. So while the first page is on its way
//! the ids of each backend are counted too, as an administrator sees them; what is not among them needs no asking.
//!
//! Of backends that hold more, it is remembered which ids they were asked for in vain, and for whom.
//!
//! Both are believed for a while. A copy that somebody makes behind our back is noticed when that is over; what
//! is made through us is added at once. It says only that an id is *not* there: whoever may hold it is asked.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use image_service::{
    Caller, Context, Direction, Error, ErrorKind, ImageId, ImageService, MemberScope, Position, Query,
    Result, Scope, Sort, SortKey, SourceState, VisibilityScope,
};
use moka::sync::Cache;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::guard::Guard;
use super::status::State;

/// How many times longer than a census is believed a backend that holds too many is left alone.
const REST: u32 = 20;

/// Most pages that one census reads.
const PAGES: usize = 16;

/// What is known of the ids of each backend.
#[derive(Debug)]
pub(super) struct Census {
    most: usize,
    age: Duration,
    rolls: Vec<Arc<watch::Sender<Roll>>>,
    takers: Mutex<JoinSet<()>>,
    vain: Cache<(Viewer, ImageId), Vain>,
}

/// For whom an id was asked for: callers who see the same images are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Viewer {
    project: Option<String>,
    is_admin: bool,
}

impl Viewer {
    /// As whom `caller` sees images.
    pub(super) fn of(caller: &Caller) -> Self {
        Self { project: caller.project.clone(), is_admin: caller.is_admin() }
    }
}

/// Where an id was asked for in vain.
#[derive(Debug, Clone)]
struct Vain {
    since: Instant,
    sources: Vec<usize>,
}

/// What is known of one backend.
#[derive(Debug, Default)]
struct Roll {
    /// All its ids, as they were when they were last had. `None` if they were too many.
    ids: Option<HashSet<ImageId>>,
    /// When they were last asked for.
    taken: Option<Instant>,
    /// Whether they could be had then.
    had: bool,
    /// How long to believe it.
    valid: Duration,
    /// Ids that were seen there since the census under way began.
    since: Option<HashSet<ImageId>>,
}

impl Census {
    /// For so many backends. A backend with over `most` images is not counted, nor is any if `age` is zero.
    /// Of `ids` ids at most it is remembered where they were asked for in vain.
    pub(super) fn new(backends: usize, most: usize, age: Duration, ids: u64) -> Self {
        let rolls = (0..backends).map(|_| Arc::new(watch::Sender::new(Roll::default()))).collect();
        let vain = Cache::builder().max_capacity(ids).time_to_live(age.max(Duration::from_secs(1))).build();
        Self { most, age, rolls, takers: Mutex::default(), vain }
    }

    /// Begins to count the ids of a backend, if that is due and not under way and the backend answers. Must be
    /// called on a runtime.
    pub(super) fn begin(&self, source: usize, guard: &Arc<Guard>) {
        let Some(roll) = self.rolls.get(source) else { return };
        if self.age.is_zero() || self.most == 0 {
            return;
        }
        let due = roll.send_if_modified(|roll| {
            let due = roll.since.is_none() && !roll.is_valid() && guard.status().state == State::Ok;
            if due {
                roll.since = Some(HashSet::new());
            }
            due
        });
        if !due {
            return;
        }
        let (guard, roll, most, age) = (Arc::clone(guard), Arc::clone(roll), self.most, self.age);
        let mut takers = self.takers.lock().unwrap_or_else(PoisonError::into_inner);
        while takers.try_join_next().is_some() {}
        takers.spawn(async move {
            let mut ending = Ending { roll, ids: Ok(None), most, age };
            ending.ids = count(&guard, most).await;
        });
    }

    /// Waits until no count of a backend is under way.
    pub(super) async fn settled(&self, source: usize) {
        if let Some(roll) = self.rolls.get(source) {
            // It cannot fail: we hold the sender.
            let _ = roll.subscribe().wait_for(|roll| roll.since.is_none()).await;
        }
    }

    /// Whether a backend is known not to hold an id, whoever asks.
    pub(super) fn lacks(&self, source: usize, id: &ImageId) -> bool {
        self.rolls.get(source).is_some_and(|roll| {
            let roll = roll.borrow();
            let seen = roll.since.as_ref().is_some_and(|since| since.contains(id));
            roll.is_valid() && roll.had && !seen && roll.ids.as_ref().is_some_and(|ids| !ids.contains(id))
        })
    }

    /// Whether a backend was last counted to hold an id, however long ago.
    pub(super) fn has_counted(&self, source: usize, id: &ImageId) -> bool {
        let counted =
            |roll: &Arc<watch::Sender<Roll>>| roll.borrow().ids.as_ref().is_some_and(|ids| ids.contains(id));
        self.rolls.get(source).is_some_and(counted)
    }

    /// Where an id was lately asked for in vain.
    pub(super) fn vain(&self, viewer: &Viewer, id: &ImageId) -> Vec<usize> {
        let vain = self.vain.get(&(viewer.clone(), id.clone()));
        vain.filter(|vain| vain.since.elapsed() < self.age).map(|vain| vain.sources).unwrap_or_default()
    }

    /// Learns that an id was asked for in vain in these backends.
    pub(super) fn note_vain(&self, viewer: &Viewer, id: &ImageId, sources: &[usize]) {
        if self.age.is_zero() {
            return;
        }
        let key = (viewer.clone(), id.clone());
        let known = self.vain.get(&key).filter(|vain| vain.since.elapsed() < self.age);
        let mut vain = known.unwrap_or_else(|| Vain { since: Instant::now(), sources: Vec::new() });
        vain.sources.extend_from_slice(sources);
        self.vain.insert(key, vain);
    }

    /// Forgets where ids were asked for in vain, because one goes to another backend.
    pub(super) fn forget_vain(&self) {
        self.vain.invalidate_all();
    }

    /// Learns that a backend holds these ids.
    pub(super) fn add<'a>(&self, source: usize, ids: impl IntoIterator<Item = &'a ImageId>) {
        let Some(roll) = self.rolls.get(source) else { return };
        let mut ids = ids.into_iter().peekable();
        if ids.peek().is_none() {
            return;
        }
        roll.send_if_modified(|roll| {
            let Roll { ids: known, since, .. } = roll;
            for id in ids {
                for set in [known.as_mut(), since.as_mut()].into_iter().flatten() {
                    if !set.contains(id) {
                        set.insert(id.clone());
                    }
                }
            }
            false
        });
    }

    /// Learns that a backend no longer holds an id.
    pub(super) fn remove(&self, source: usize, id: &ImageId) {
        let Some(roll) = self.rolls.get(source) else { return };
        roll.send_if_modified(|roll| {
            for set in [roll.ids.as_mut(), roll.since.as_mut()].into_iter().flatten() {
                set.remove(id);
            }
            false
        });
    }

    /// How many images a backend was last counted to hold, however long ago.
    pub(super) fn count(&self, source: usize) -> Option<u64> {
        self.rolls.get(source)?.borrow().ids.as_ref().map(|ids| ids.len() as u64)
    }

    /// The first counted id of a backend that `wanted` picks.
    pub(super) fn find(&self, source: usize, wanted: impl FnMut(&&ImageId) -> bool) -> Option<ImageId> {
        self.rolls.get(source)?.borrow().ids.as_ref()?.iter().find(wanted).cloned()
    }
}

impl Roll {
    fn is_valid(&self) -> bool {
        self.taken.is_some_and(|taken| taken.elapsed() < self.valid)
    }
}

/// Sees to it that a census that was begun ends, also if it is aborted.
struct Ending {
    roll: Arc<watch::Sender<Roll>>,
    ids: Result<Option<HashSet<ImageId>>>,
    most: usize,
    age: Duration,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let ids = std::mem::replace(&mut self.ids, Ok(None));
        self.roll.send_modify(|roll| {
            let since = roll.since.take().unwrap_or_default();
            roll.valid = if matches!(ids, Ok(None)) { self.age * REST } else { self.age };
            roll.taken = Some(Instant::now());
            roll.had = ids.is_ok();
            if let Ok(ids) = ids {
                roll.ids = ids;
            }
            roll.ids = roll.ids.take().map(|mut ids| {
                ids.extend(since);
                ids
            });
            // What has grown since the last good count is bounded too.
            roll.ids.take_if(|ids| !roll.had && ids.len() > self.most);
        });
    }
}

/// All ids of a backend, as an administrator sees them. `None` if they are over `most`.
async fn count(guard: &Guard, most: usize) -> Result<Option<HashSet<ImageId>>> {
    let service = guard.service();
    let context = Context::new(Caller::administrator(), "census");
    let mut query = whole(service.as_ref(), most);
    let mut ids = HashSet::new();
    for _ in 0..PAGES {
        let page = guard.aside("census", service.index(&context, &query)).await?;
        if page.sources.iter().any(|report| report.state != SourceState::Ok) {
            return Err(Error::new(ErrorKind::Unavailable, "a part of the backend was silent"));
        }
        let last = page.items.last().map(|last| last.id.clone());
        ids.extend(page.items.into_iter().map(|image| image.id));
        if ids.len() > most {
            return Ok(None);
        }
        if !page.more {
            return Ok(Some(ids));
        }
        let Some(last) = last.filter(|_| query.sort.keys().len() == 1) else { return Ok(None) };
        query.position = Some(Position { values: Vec::new(), id: last });
    }
    Ok(None)
}

/// Asks for everything there is, one more than is of use.
fn whole(service: &dyn ImageService, most: usize) -> Query {
    let scope = Scope { visibility: VisibilityScope::All, member_status: MemberScope::All };
    let by_id = service.capabilities().sort_keys.contains(&SortKey::Id);
    let key = if by_id { SortKey::Id } else { SortKey::CreatedAt };
    let sort = Sort::by([(key, Direction::Asc)]);
    Query { scope, sort, limit: NonZeroUsize::new(most.saturating_add(1)), ..Query::default() }
}
