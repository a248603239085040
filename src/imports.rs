//! Data that comes to images by other ways than one upload: staged first, fetched from a URL, copied from store to
//! store or from image to image, by tasks that outlive their requests and this process.
//!
//! | file | what it knows |
//! |---|---|
//! | `model` | what can be asked for, tasks, settings |
//! | `journal` | SQLite: what must outlive the process |
//! | `staging` | the directory of staged data |
//! | `marks`, `overlay` | what imports say of images beside their stores, and the service that shows it |
//! | `job` | what one task does |
//!
//! **One at a time.** An image has one task that waits or is at work, or none.
//!
//! **After the process.** A task that was at work when the process ended is begun again with the next one, from its
//! beginning save for the stores that have the data already; after [`Settings::attempts`] it fails. It goes on without
//! the token of whoever asked for it, which is never written down: a store that wants that token refuses, and the task
//! fails and says so. Staged data that has not come to its end is removed.
//!
//! **Several stores.** If all must succeed, the store that keeps the image's record comes last, and what the others have
//! been given is taken back when one fails, so that the image is queued again as if nothing had been.
//!
//! **Locations.** What is to lie elsewhere for good is read once by a task too ([`crate::locations`]), so that the image
//! says what it is.
//!
//! This room must not know HTTP, or which role may do what.

mod job;
mod journal;
mod marks;
mod model;
mod overlay;
mod staging;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use image_service::{
    Context, Error, ErrorKind, Image, ImageId, ImageService, MemberStatus, MultiHash, Result, Status, Upload,
    access,
};
use portico_fetch::Fetcher;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use journal::{Entry, Journal, Stage};
use marks::{Mark, Marks, Staged, Work};
use model::{Asker, Order, later, now};
pub use model::{
    Kind, Method, Request, Settings, Source, Targets, Task, TaskQuery, TaskSort, TaskStatus, remote_id,
};
use overlay::Overlaid;
use staging::Staging;

/// The name of the journal's file in the directory of the service's state.
pub const FILE: &str = "imports.db";

/// The name of the staging area in the directory of the service's state.
pub const STAGING: &str = "staging";

/// How often to look for what is to be forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// How long a store may take to notice that the image it is given data for has been deleted.
const GRACE: Duration = Duration::from_secs(3);

/// The imports of one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Imports(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: Arc<dyn ImageService>,
    settings: Settings,
    marks: Marks,
    journal: Arc<Journal>,
    staging: Staging,
    fetcher: Fetcher,
    permits: Semaphore,
    running: Mutex<HashMap<ImageId, Running>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A task of this process.
#[derive(Debug)]
struct Running {
    task: String,
    /// Its image has been deleted.
    gone: CancellationToken,
    bytes: Arc<AtomicU64>,
}

impl Imports {
    /// Opens the journal and the staging area, and goes on with the tasks that had not ended.
    ///
    /// # Errors
    /// `Unavailable` if one of them cannot be used.
    pub async fn open(
        journal: PathBuf,
        staging: PathBuf,
        service: Arc<dyn ImageService>,
        settings: Settings,
    ) -> Result<Self> {
        let fetcher = Fetcher::new(settings.web.clone())?;
        let most = settings.staging.as_u64();
        let (journal, staging, staged, entries) = blocking(move || {
            let journal = Journal::open(&journal)?;
            let stages = journal.stages()?;
            let (whole, broken): (Vec<Stage>, Vec<Stage>) =
                stages.into_iter().partition(|stage| stage.size.is_some());
            let known: Vec<String> = whole.iter().map(|stage| stage.file.clone()).collect();
            let (staging, found) = Staging::open(staging, most, &known)?;
            let is_there = |stage: &Stage| {
                found.iter().any(|(file, size)| *file == stage.file && Some(*size) == stage.size)
            };
            let (whole, lost): (Vec<Stage>, Vec<Stage>) = whole.into_iter().partition(is_there);
            for stage in broken.iter().chain(&lost) {
                journal.drop_stage(&stage.image, &stage.file)?;
            }
            for stage in &lost {
                if let Some((file, size)) = found.iter().find(|(file, _)| *file == stage.file) {
                    staging.remove(file, *size);
                }
            }
            let entries = journal.every()?;
            Ok((journal, staging, whole, entries))
        })
        .await?;
        let imports = Self(Arc::new(Inner {
            service,
            marks: Marks::default(),
            journal: Arc::new(journal),
            staging,
            fetcher,
            permits: Semaphore::new(settings.jobs.get()),
            running: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            settings,
        }));
        imports.restore(staged, entries);
        let sweeper = imports.clone();
        imports.0.tasks.spawn(async move { sweeper.sweep_until_stopped().await });
        Ok(imports)
    }

    fn restore(&self, staged: Vec<Stage>, entries: Vec<Entry>) {
        for Stage { image, file, size, .. } in staged {
            self.marks().change(&image, |mark| mark.staged = Some(Staged { file, size }));
        }
        let mut left = Vec::new();
        for entry in entries {
            let task = &entry.task;
            let at_work = matches!(task.status, TaskStatus::Pending | TaskStatus::Processing);
            self.marks().change(&task.image, |mark| {
                mark.stores = entry.lists();
                if at_work {
                    mark.task = Some(Work { id: task.id.clone(), status: entry.order.source.shown_as() });
                }
            });
            if at_work {
                left.push(entry);
            }
        }
        for entry in left {
            let context = entry.order.caller.context(&entry.task.request_id);
            tracing::info!(task = %entry.task.id, image = %entry.task.image, "an import is begun again");
            if entry.order.attempts < self.0.settings.attempts {
                self.spawn(entry, context);
            } else {
                let attempts = entry.order.attempts;
                let message = format!("the service has ended {attempts} times in the middle of it");
                let imports = self.clone();
                self.0.tasks.spawn(async move {
                    if entry.order.all_must_succeed {
                        imports.take_back(&entry, &context).await;
                    }
                    imports.finish(entry, Err(Error::new(ErrorKind::Unavailable, message))).await;
                });
            }
        }
    }

    /// Ends all work and waits until it has ended. What had not come to its end goes on with the next start.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// The images as clients are to see them.
    #[must_use]
    pub fn shown(&self) -> Arc<dyn ImageService> {
        Arc::new(Overlaid(self.clone()))
    }

    /// How imports are done.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Lets through a URL that may be fetched, as far as that can be said without asking anybody.
    ///
    /// # Errors
    /// `Invalid`, with what is not allowed about it.
    pub fn check_url(&self, url: &str) -> Result<()> {
        self.0.fetcher.check(url).map(drop)
    }

    fn service(&self) -> &dyn ImageService {
        self.0.service.as_ref()
    }

    fn marks(&self) -> &Marks {
        &self.0.marks
    }

    fn running(&self) -> MutexGuard<'_, HashMap<ImageId, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stages data for an image, which is `uploading` from then on.
    ///
    /// If it fails, or is given up, nothing of it stays and the image is queued.
    ///
    /// # Errors
    /// `NotFound` and `Forbidden` as for an upload; `Conflict` if the image is not queued; `Invalid` if a format is unset;
    /// `TooLarge` if there is no room; that of the stream.
    pub async fn stage(&self, context: &Context, id: &ImageId, data: Upload) -> Result<()> {
        let image = self.marks().on(self.service().show(context, id).await?);
        access::may_change(&context.caller, &image, Some(MemberStatus::Accepted))?;
        let taken = |status: Status| {
            Error::conflict(format!("image status transition from {status} to uploading is not allowed"))
        };
        if image.status != Status::Queued {
            return Err(taken(image.status));
        }
        if image.disk_format.is_none() || image.container_format.is_none() {
            return Err(Error::invalid(
                "properties disk_format, container_format must be set prior to saving data",
            ));
        }
        if self.marks().count().0 >= self.0.settings.staged.get() {
            return Err(Error::new(ErrorKind::TooLarge, "there are too many images with staged data"));
        }
        let file = uuid::Uuid::new_v4().to_string();
        let begun = self.marks().change(id, |mark| {
            let free = mark.staged.is_none() && mark.task.is_none();
            if free {
                mark.staged = Some(Staged { file: file.clone(), size: None });
            }
            free
        });
        if !begun {
            return Err(taken(Status::Uploading));
        }
        let mut unfinished = Unfinished {
            imports: self.clone(),
            image: id.clone(),
            file: file.clone(),
            bytes: 0,
            kept: false,
        };
        let outcome = self.write_stage(&mut unfinished, data).await;
        match &outcome {
            Ok(()) => unfinished.kept = true,
            Err(_) => unfinished.undo().await,
        }
        outcome
    }

    async fn write_stage(&self, unfinished: &mut Unfinished, data: Upload) -> Result<()> {
        let Unfinished { image, file, .. } = &*unfinished;
        let (image, file) = (image.clone(), file.clone());
        let mut stage = Stage { image: image.clone(), file: file.clone(), size: None, created_at: now() };
        let noted = stage.clone();
        self.in_journal(move |journal| journal.put_stage(&noted)).await?;
        let size = self.0.staging.write(&file, data.stream, data.size).await?;
        unfinished.bytes = size;
        stage.size = Some(size);
        self.in_journal(move |journal| journal.put_stage(&stage)).await?;
        let whole = self.marks().change(&image, |mark| match &mut mark.staged {
            Some(staged) if staged.file == file => {
                staged.size = Some(size);
                true
            }
            _ => false,
        });
        // Otherwise it has been deleted meanwhile.
        if whole { Ok(()) } else { Err(Error::not_found(&image)) }
    }

    /// Begins an import. `None` if there is nothing to do: a copy to all stores, when all have the image.
    ///
    /// # Errors
    /// `NotFound` if the caller may not see the image; `Forbidden` if it is not its own, and no copy is asked for, which
    /// the API decides upon; `Conflict` if its status does not fit the source, another task is at work, a format is
    /// unset, or a store is unknown; `Invalid` for a copy to a store that has it; `Unavailable` if too many imports wait.
    pub async fn import(&self, context: &Context, id: &ImageId, request: Request) -> Result<Option<Task>> {
        let image = self.marks().on(self.service().show(context, id).await?);
        let copies = request.source == Source::Copy;
        if request.source.method().is_none() {
            return Err(Error::invalid("this is no way to import"));
        }
        check_status(&image, &request.source)?;
        for (key, value) in
            [("container_format", &image.container_format), ("disk_format", &image.disk_format)]
        {
            if value.is_none() {
                return Err(Error::conflict(format!("'{key}' needs to be set before import")));
            }
        }
        if !copies {
            access::may_change(&context.caller, &image, Some(MemberStatus::Accepted))?;
        }
        let stores = self.targets(&image, request.targets, copies)?;
        if copies && stores.is_empty() {
            return Ok(None);
        }
        let order = Order {
            source: request.source,
            all_must_succeed: request.all_must_succeed,
            caller: Asker::of(&context.caller),
            attempts: 0,
            given: BTreeSet::new(),
            stores,
        };
        let entry = new_entry(context, id, request.kind, request.input, order);
        self.begin(context, entry).await.map(Some)
    }

    /// Begins to look at what lies at `url`, which becomes a location of the image if it can be read and has the
    /// `expected` hash. The image stays queued meanwhile.
    ///
    /// # Errors
    /// `NotFound` and `Forbidden` as for an import; `NotImplemented` if no store keeps locations; `Invalid` for a URL that
    /// is not allowed, and while a format is unset; `Conflict` if the image is not queued, or a task is at work on it;
    /// `Unavailable` if too many wait.
    pub async fn add_location(
        &self,
        context: &Context,
        id: &ImageId,
        url: String,
        expected: Option<MultiHash>,
        input: Value,
    ) -> Result<Task> {
        let image = self.marks().on(self.service().show(context, id).await?);
        access::may_change(&context.caller, &image, Some(MemberStatus::Accepted))?;
        if image.status != Status::Queued || self.marks().of(id).task.is_some() {
            return Err(Error::conflict(format!("image '{id}' is not queued, or a task is at work on it")));
        }
        let power = self.service().locations().ok_or_else(|| Error::not_implemented("a location"))?;
        power.prepare(context, id, &url).await?;
        let order = Order {
            source: Source::Location { url, expected: expected.map(|hash| (hash.algorithm, hash.value)) },
            all_must_succeed: true,
            caller: Asker::of(&context.caller),
            attempts: 0,
            given: BTreeSet::new(),
            stores: Vec::new(),
        };
        self.begin(context, new_entry(context, id, Kind::LocationImport, input, order)).await
    }

    async fn begin(&self, context: &Context, entry: Entry) -> Result<Task> {
        if self.0.stop.is_cancelled() {
            return Err(Error::new(ErrorKind::Unavailable, "the service is ending").answered());
        }
        if self.marks().count().1 >= self.0.settings.waiting.get() {
            return Err(Error::new(ErrorKind::Unavailable, "too many imports wait already").answered());
        }
        let (id, task) = (entry.task.image.clone(), entry.task.clone());
        let staged = matches!(entry.order.source, Source::Staged);
        let before = self.marks().change(&id, |mark| {
            let whole = mark.staged.as_ref().is_some_and(|staged| staged.size.is_some());
            if mark.task.is_some() || mark.staged.is_some() != staged || staged && !whole {
                return None;
            }
            let before = mark.clone();
            mark.task = Some(Work { id: task.id.clone(), status: entry.order.source.shown_as() });
            mark.stores = entry.lists();
            Some(before)
        });
        let Some(before) = before else {
            let message = format!(
                "new operation on image '{id}' is not permitted as prior operation is still in progress"
            );
            return Err(Error::conflict(message));
        };
        // Nobody waits for it: the deadline is that of the request alone.
        let context = Context { deadline: None, prefer: Vec::new(), ..context.clone() };
        let imports = self.clone();
        // Whoever asks may go away in the middle, and then it is begun all the same.
        let begun = self.0.tasks.spawn(async move {
            let (id, task, most) =
                (entry.task.image.clone(), entry.task.id.clone(), imports.0.settings.tasks.get());
            let noted = entry.clone();
            match imports.in_journal(move |journal| journal.put(&noted, most)).await {
                Ok(forgotten) => {
                    imports.quiet(forgotten).await;
                    imports.spawn(entry, context);
                    Ok(())
                }
                Err(error) => {
                    imports.marks().change(&id, |mark| {
                        if mark.task.as_ref().is_some_and(|work| work.id == task) {
                            (mark.task, mark.stores) = (None, before.stores);
                        }
                    });
                    Err(error)
                }
            }
        });
        let lost = |error| Error::new(ErrorKind::Internal, "a task was not begun").with_source(error);
        begun.await.map_err(lost)??;
        Ok(task)
    }

    /// The names of the stores that `targets` means.
    fn targets(&self, image: &Image, targets: Targets, copies: bool) -> Result<Vec<String>> {
        let Some(stores) = self.service().stores().map(|stores| stores.list()) else {
            return match targets {
                Targets::Default if !copies => Ok(Vec::new()),
                _ => Err(Error::invalid("there are no named stores")),
            };
        };
        let has = |name: &str| image.stores.iter().any(|store| store == name);
        let chosen = match targets {
            Targets::All => {
                let writable = stores.into_iter().filter(|store| !store.read_only).map(|store| store.name);
                return Ok(writable.filter(|name| !copies || !has(name)).collect());
            }
            Targets::Named(names) => names,
            Targets::Default => {
                stores.iter().filter(|store| store.is_default).map(|store| store.name.clone()).collect()
            }
        };
        let mut names: Vec<String> = Vec::new();
        for name in chosen {
            match stores.iter().find(|store| store.name == name) {
                None => return Err(Error::conflict(format!("there is no store '{name}'"))),
                Some(store) if store.read_only => {
                    return Err(Error::forbidden(format!("store '{name}' takes no writes")));
                }
                Some(_) if copies && has(&name) => {
                    return Err(Error::invalid(format!("image is already present at store '{name}'")));
                }
                Some(_) if !names.contains(&name) => names.push(name),
                Some(_) => {}
            }
        }
        if names.is_empty() {
            return Err(Error::invalid("no store is named"));
        }
        Ok(names)
    }

    /// Tells of a task.
    ///
    /// # Errors
    /// `NotFound` if there is none of this id, or it is not the caller's project's and the caller no administrator.
    pub async fn task(&self, context: &Context, id: &str) -> Result<Task> {
        let (wanted, caller) = (id.to_owned(), &context.caller);
        let entry = self.in_journal(move |journal| journal.task(&wanted)).await?;
        let allowed = |entry: &Entry| caller.is_admin() || caller.owns(entry.task.owner.as_deref());
        match entry.filter(allowed) {
            Some(entry) => Ok(self.told(entry)),
            None => Err(Error::new(ErrorKind::NotFound, format!("no task found with ID {id}"))),
        }
    }

    /// Tells of the tasks of an image that the caller sees, oldest first.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be read.
    pub async fn of_image(&self, id: &ImageId) -> Result<Vec<Task>> {
        let id = id.clone();
        let entries = self.in_journal(move |journal| journal.of_image(&id)).await?;
        Ok(entries.into_iter().map(|entry| self.told(entry)).collect())
    }

    /// Lists tasks: an administrator's are all, others' those of their project.
    ///
    /// # Errors
    /// `Invalid` if the marker is the id of none.
    pub async fn list(&self, context: &Context, query: TaskQuery) -> Result<Vec<Task>> {
        let owner = if context.caller.is_admin() {
            query.owner.clone()
        } else {
            // Who has no project has no tasks, and none is called so.
            Some(context.caller.project.clone().unwrap_or_default())
        };
        let query = TaskQuery { owner, ..query };
        let entries = self.in_journal(move |journal| journal.list(&query)).await?;
        Ok(entries.into_iter().map(|entry| self.told(entry)).collect())
    }

    /// A task with how far it is.
    fn told(&self, entry: Entry) -> Task {
        let mut task = entry.task;
        if let Some(running) = self.running().get(&task.image).filter(|running| running.task == task.id) {
            let mebibytes = running.bytes.load(Ordering::Relaxed) >> 20;
            if mebibytes > 0 {
                task.message = format!("Copied {mebibytes} MiB");
            }
        }
        task
    }

    /// Forgets an image that has been deleted: what is staged for it, and what is at work on it.
    async fn forget(&self, id: &ImageId) {
        let mark = self.marks().take(id);
        if let Some(running) = self.running().get(id) {
            running.gone.cancel();
        }
        self.unstage(id, mark).await;
    }

    /// Removes what a mark says is staged.
    async fn unstage(&self, id: &ImageId, mark: Mark) {
        let Some(staged) = mark.staged else { return };
        let (inner, id) = (Arc::clone(&self.0), id.clone());
        let removed = blocking(move || {
            // What is still being written is removed by who writes it.
            if let Some(size) = staged.size {
                inner.staging.remove(&staged.file, size);
            }
            inner.journal.drop_stage(&id, &staged.file)
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, "staged data is not forgotten before the next start");
        }
    }

    fn spawn(&self, entry: Entry, context: Context) {
        let (gone, bytes) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let running = Running { task: entry.task.id.clone(), gone: gone.clone(), bytes: Arc::clone(&bytes) };
        self.running().insert(entry.task.image.clone(), running);
        let imports = self.clone();
        self.0.tasks.spawn(async move { imports.run(entry, context, gone, bytes).await });
    }

    /// Takes a task from its place in the queue to its end, or until the process ends.
    async fn run(&self, mut entry: Entry, context: Context, gone: CancellationToken, bytes: Arc<AtomicU64>) {
        let stop = &self.0.stop;
        let permit = tokio::select! {
            permit = self.0.permits.acquire() => permit,
            () = gone.cancelled() => return self.finish(entry, Err(deleted())).await,
            () = stop.cancelled() => return,
        };
        entry.order.attempts += 1;
        entry.task.status = TaskStatus::Processing;
        self.save(&mut entry).await;
        let outcome = {
            let ends = || async {
                gone.cancelled().await;
                // The data has ended in an error by then, and with it what is at work. A store that hangs is left.
                tokio::time::sleep(GRACE).await;
            };
            let work = AssertUnwindSafe(self.work(&mut entry, &context, &bytes, &gone)).catch_unwind();
            tokio::select! {
                outcome = work => Some(outcome.unwrap_or_else(|_| Err(gave_up()))),
                () = ends() => Some(Err(deleted())),
                () = stop.cancelled() => None,
            }
        };
        let outcome = outcome.map(|outcome| if gone.is_cancelled() { Err(deleted()) } else { outcome });
        drop(permit);
        match outcome {
            Some(outcome) => self.finish(entry, outcome).await,
            None => {
                // It was our wish to end, which is not to be held against it.
                entry.order.attempts -= 1;
                self.save(&mut entry).await;
            }
        }
    }

    /// Writes down how far a task is.
    async fn save(&self, entry: &mut Entry) {
        entry.task.updated_at = now();
        let (noted, most) = (entry.clone(), self.0.settings.tasks.get());
        match self.in_journal(move |journal| journal.put(&noted, most)).await {
            Ok(forgotten) => self.quiet(forgotten).await,
            Err(error) => {
                let cause = error.chain();
                tracing::error!(task = %entry.task.id, cause, "how far the task is cannot be written down");
            }
        }
        self.marks().change(&entry.task.image, |mark| {
            if mark.task.as_ref().is_some_and(|work| work.id == entry.task.id) {
                mark.stores = entry.lists();
            }
        });
    }

    /// Ends a task.
    async fn finish(&self, mut entry: Entry, outcome: Result<()>) {
        let (id, task) = (entry.task.image.clone(), entry.task.id.clone());
        entry.importing.clear();
        match &outcome {
            Ok(()) => {
                entry.task.status = TaskStatus::Success;
                entry.task.message.clear();
                entry.task.result = Some(serde_json::json!({ "image_id": id.as_str() }));
                tracing::info!(%task, image = %id, "an import has ended");
            }
            Err(error) => {
                entry.task.status = TaskStatus::Failure;
                error.message().clone_into(&mut entry.task.message);
                let cause = error.chain();
                tracing::warn!(%task, image = %id, cause, "an import has failed");
            }
        }
        entry.task.expires_at = Some(later(now(), self.0.settings.task_age));
        self.save(&mut entry).await;
        self.running().remove(&id);
        let of_it = |mark: &Mark| mark.task.as_ref().is_some_and(|work| work.id == task);
        let staged = self.marks().change(&id, |mark| if of_it(mark) { mark.staged.take() } else { None });
        // The room comes first: whoever sees that the task is over may count on it.
        self.unstage(&id, Mark { staged, ..Mark::default() }).await;
        self.marks().change(&id, |mark| {
            if of_it(mark) {
                mark.task = None;
                mark.stores = entry.lists();
            }
        });
    }

    async fn sweep_until_stopped(&self) {
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.sweep().await,
                () = self.0.stop.cancelled() => return,
            }
        }
    }

    /// Forgets tasks and staged data whose time is over.
    async fn sweep(&self) {
        let inner = Arc::clone(&self.0);
        let old = now().saturating_sub(later(0, self.0.settings.staging_age));
        let found = blocking(move || {
            let forgotten = inner.journal.expire(now())?;
            let stages = inner.journal.stages()?.into_iter().filter(|stage| stage.created_at <= old);
            Ok((forgotten, stages.collect::<Vec<Stage>>()))
        });
        let (forgotten, stages) = match found.await {
            Ok(found) => found,
            Err(error) => {
                let cause = error.chain();
                tracing::error!(cause, "old tasks cannot be forgotten");
                return;
            }
        };
        self.quiet(forgotten).await;
        for stage in stages {
            let staged = self.marks().change(&stage.image, |mark| {
                let is_old =
                    mark.staged.as_ref().is_some_and(|it| it.file == stage.file && it.size.is_some());
                if is_old && mark.task.is_none() { mark.staged.take() } else { None }
            });
            if staged.is_some() {
                tracing::warn!(image = %stage.image, "staged data was not imported in time and is removed");
            }
            self.unstage(&stage.image, Mark { staged, ..Mark::default() }).await;
        }
    }

    /// Lets images that have no tasks any more tell nothing of any.
    async fn quiet(&self, mut images: Vec<ImageId>) {
        images.sort_unstable();
        images.dedup();
        for image in images {
            let asked = image.clone();
            let left = self.in_journal(move |journal| journal.of_image(&asked)).await;
            if left.is_ok_and(|left| left.is_empty()) {
                self.marks().change(&image, |mark| {
                    if mark.task.is_none() {
                        mark.stores = None;
                    }
                });
            }
        }
    }

    async fn in_journal<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Journal) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let journal = Arc::clone(&self.0.journal);
        blocking(move || work(&journal)).await
    }
}

/// Staged data that is not whole yet. When this goes first, so does what there is of it.
struct Unfinished {
    imports: Imports,
    image: ImageId,
    file: String,
    bytes: u64,
    kept: bool,
}

impl Unfinished {
    /// What removes all of it. To be done where it may wait for files.
    fn removal(&mut self) -> impl FnOnce() + Send + 'static {
        self.kept = true;
        let (imports, image, bytes) = (self.imports.clone(), self.image.clone(), self.bytes);
        let file = std::mem::take(&mut self.file);
        move || {
            imports.0.staging.remove(&file, bytes);
            if let Err(error) = imports.0.journal.drop_stage(&image, &file) {
                tracing::warn!(%error, "staged data is not forgotten before the next start");
            }
            // Only now may others begin.
            imports.marks().change(&image, |mark| {
                if mark.staged.as_ref().is_some_and(|staged| staged.file == file) {
                    mark.staged = None;
                }
            });
        }
    }

    /// Removes all of it.
    async fn undo(mut self) {
        let removal = self.removal();
        if tokio::task::spawn_blocking(removal).await.is_err() {
            tracing::error!("the removal of staged data gave up in the middle");
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Outside of a runtime the process is ending, and the next start removes it.
        if !self.kept
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn_blocking(self.removal());
        }
    }
}

/// A task that is to begin.
fn new_entry(context: &Context, id: &ImageId, kind: Kind, input: Value, order: Order) -> Entry {
    let time = now();
    let task = Task {
        id: uuid::Uuid::new_v4().to_string(),
        kind,
        status: TaskStatus::Pending,
        image: id.clone(),
        owner: context.caller.project.clone(),
        user: context.caller.user.clone(),
        request_id: context.request_id.clone(),
        input,
        result: None,
        message: String::new(),
        created_at: time,
        updated_at: time,
        expires_at: None,
    };
    Entry { task, importing: order.stores.iter().cloned().collect(), failed: BTreeSet::new(), order }
}

/// Lets through an image whose status is right for data from `source`.
fn check_status(image: &Image, source: &Source) -> Result<()> {
    let status = image.status;
    let copies = *source == Source::Copy;
    let wrong = match source {
        Source::Copy if status != Status::Active => {
            String::from("only images with status active can be targeted for copying")
        }
        _ if status == Status::Active && !copies => {
            String::from("image with status active cannot be target for import")
        }
        Source::Web { .. } | Source::Image { .. } if status != Status::Queued => {
            let method = source.method().map_or("", Method::as_str);
            format!("image needs to be in 'queued' state to use '{method}' method")
        }
        Source::Staged if status != Status::Uploading => {
            String::from("image needs to be staged before 'glance-direct' method can be used")
        }
        _ => return Ok(()),
    };
    Err(Error::conflict(wrong))
}

fn gave_up() -> Error {
    Error::new(ErrorKind::Internal, "the import gave up in the middle, by a mistake in this program")
}

fn deleted() -> Error {
    Error::new(ErrorKind::NotFound, "the image has been deleted")
}

/// Runs `work` where it may wait for files.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let lost = |error: tokio::task::JoinError| {
        Error::new(ErrorKind::Internal, "the journal of imports gave up in the middle").with_source(error)
    };
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}
