//! A service to be checked, and what the suite has to know about it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Caller, Context, ErrorKind, ImageChange, ImageId, ImageService, NewImage, Partial, Result, Sharing,
    Upload,
};

/// A service, on which one case is run.
///
/// As it is made it stands for a service that does everything, holds its images itself and believes the
/// [`Context`]. Whatever is otherwise has to be said, so that a power lost by mistake is noticed.
pub struct Fixture {
    service: Arc<dyn ImageService>,
    writer: Option<Arc<dyn ImageService>>,
    callers: Callers,
    silent: bool,
    shares: bool,
    details: bool,
    serve: Option<Box<Serve>>,
    tag: String,
    guards: Vec<Box<dyn Any + Send + Sync>>,
}

/// Makes bytes be found at a URL, another one each time.
type Serve = dyn Fn(Bytes) -> String + Send + Sync;

/// On whose behalf the cases call. The first three are of different projects and no administrators.
#[derive(Debug, Clone)]
pub struct Callers {
    /// Makes most of the images.
    pub owner: Caller,
    /// Looks at them.
    pub other: Caller,
    /// Looks at them too.
    pub third: Caller,
    /// Is an administrator, and of none of their projects.
    pub admin: Caller,
}

impl Default for Callers {
    /// Callers without tokens.
    fn default() -> Self {
        Self {
            owner: Caller::member_of("project-of-owner"),
            other: Caller::member_of("project-of-other"),
            third: Caller::member_of("project-of-third"),
            admin: Caller::administrator(),
        }
    }
}

impl Fixture {
    /// Puts `service` to the test.
    #[must_use]
    pub fn new(service: Arc<dyn ImageService>) -> Self {
        Self {
            service,
            writer: None,
            callers: Callers::default(),
            silent: false,
            shares: true,
            details: true,
            serve: None,
            tag: format!("case-{}", ImageId::random()),
            guards: Vec::new(),
        }
    }

    /// Keeps `guard` until the case has ended: a directory, a server, what the service needs to live.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guards.push(Box::new(guard));
        self
    }

    /// Says that the service draws on several sources, one of which never answers. Lists must name it, and
    /// what is not found must not be called absent.
    #[must_use]
    pub const fn with_silent_source(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Says that the service takes no writes, and that what is made in `writer` shows in it.
    #[must_use]
    pub fn read_only(mut self, writer: Arc<dyn ImageService>) -> Self {
        self.writer = Some(writer);
        self
    }

    /// Says that the service cannot share images with other projects.
    #[must_use]
    pub const fn without_sharing(mut self) -> Self {
        self.shares = false;
        self
    }

    /// Says that the service has no `detail`, and lists are to be made of `index` and `show`.
    #[must_use]
    pub const fn without_detail(mut self) -> Self {
        self.details = false;
        self
    }

    /// Says that the service keeps images whose data lies at URLs, and how bytes come to lie at one, which must be
    /// another one each time.
    #[must_use]
    pub fn serving(mut self, serve: impl Fn(Bytes) -> String + Send + Sync + 'static) -> Self {
        self.serve = Some(Box::new(serve));
        self
    }

    /// Says on whose behalf to call, for a service that wants to know callers.
    #[must_use]
    pub fn with_callers(mut self, callers: Callers) -> Self {
        self.callers = callers;
        self
    }

    pub(super) fn service(&self) -> &dyn ImageService {
        &*self.service
    }

    /// Where images are made: the service itself if it can.
    pub(super) fn maker(&self) -> &dyn ImageService {
        self.writer.as_deref().unwrap_or(&*self.service)
    }

    /// Whether it can make bytes be found at a URL.
    pub(super) const fn serves(&self) -> bool {
        self.serve.is_some()
    }

    /// A URL where these bytes are found.
    pub(super) fn serve(&self, bytes: &Bytes) -> String {
        let serve = self.serve.as_ref().expect("a fixture of a service that keeps locations serves data");
        serve(bytes.clone())
    }

    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) const fn has_silent_source(&self) -> bool {
        self.silent
    }

    pub(super) const fn has_detail(&self) -> bool {
        self.details
    }

    pub(super) fn owner(&self) -> Context {
        self.context(&self.callers.owner)
    }

    pub(super) fn other(&self) -> Context {
        self.context(&self.callers.other)
    }

    pub(super) fn third(&self) -> Context {
        self.context(&self.callers.third)
    }

    pub(super) fn admin(&self) -> Context {
        self.context(&self.callers.admin)
    }

    fn context(&self, caller: &Caller) -> Context {
        Context { partial: Partial::Serve, ..Context::new(caller.clone(), format!("req-{}", self.tag)) }
    }

    /// Checks that the answer is "there is no such image", or, with a silent source, that nobody can tell.
    #[track_caller]
    pub(super) fn assert_missing<T: fmt::Debug>(&self, answer: Result<T>) {
        let kind = kind_of(answer);
        if self.silent {
            assert!(kind.is_silence(), "with a silent source this may be there, and the answer was {kind:?}");
        } else {
            assert_eq!(kind, ErrorKind::NotFound);
        }
    }

    /// Checks that the answer is "this id is taken", or, with a silent source, that nobody can tell.
    #[track_caller]
    pub(super) fn assert_taken<T: fmt::Debug>(&self, answer: Result<T>) {
        let kind = kind_of(answer);
        let cannot_tell = self.silent && kind.is_silence();
        assert!(
            kind == ErrorKind::AlreadyExists || cannot_tell,
            "the id is taken, and the answer was {kind:?}"
        );
    }

    /// Whether the service takes no writes. If so, it is checked that it says so to each.
    pub(super) async fn refuses_writes(&self) -> bool {
        if self.service.capabilities().writes.is_yes() {
            assert!(self.writer.is_none(), "a fixture that is read-only says that it takes writes");
            return false;
        }
        let context = self.owner();
        let image = self.make(self.draft()).await;
        let data = || Some(Upload::from_bytes("data"));
        let service = self.service();
        for upload in [None, data()] {
            let made = service.create(&context, NewImage::default(), upload).await;
            assert_eq!(kind_of(made), ErrorKind::NotImplemented);
        }
        for upload in [None, data()] {
            let change = ImageChange { name: Some(None), ..ImageChange::default() };
            let changed = service.update(&context, &image.id, change, upload).await;
            assert_eq!(kind_of(changed), ErrorKind::NotImplemented);
        }
        assert_eq!(kind_of(service.delete(&context, &image.id).await), ErrorKind::NotImplemented);
        assert_eq!(service.show(&context, &image.id).await.unwrap(), image);
        true
    }

    /// Whether the service takes no data, or no writes at all. If so, it is checked that it says so, and that nothing
    /// comes of it.
    pub(super) async fn refuses_data(&self) -> bool {
        if self.refuses_writes().await {
            return true;
        }
        if self.service.capabilities().uploads.is_yes() {
            return false;
        }
        let (service, context) = (self.service(), self.owner());
        let image = self.make(self.draft()).await;
        let data = || Some(Upload::from_bytes("data"));
        let made = service.create(&context, self.draft(), data()).await;
        assert_eq!(kind_of(made), ErrorKind::NotImplemented);
        let change = ImageChange { name: Some(Some("new".into())), ..ImageChange::default() };
        let changed = service.update(&context, &image.id, change, data()).await;
        assert_eq!(kind_of(changed), ErrorKind::NotImplemented);
        assert_eq!(self.all(&context, self.query()).await, std::slice::from_ref(&image));
        self.remove(&image).await;
        true
    }

    /// The power to share. If the service has none, it is checked that nothing is shared.
    pub(super) async fn sharing(&self) -> Option<&dyn Sharing> {
        let power = self.service.sharing();
        if self.shares && self.writer.is_none() {
            assert!(power.is_some(), "the service is said to share images, and cannot");
            return power;
        }
        let image = self.make(self.draft()).await;
        if let Some(power) = power {
            let added = power.add_member(&self.owner(), &image.id, "project").await;
            assert_eq!(kind_of(added), ErrorKind::NotImplemented);
        }
        self.assert_missing(self.service.show(&self.other(), &image.id).await);
        None
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("service", &self.service)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

/// What kind of error an answer is.
#[track_caller]
pub(super) fn kind_of<T: fmt::Debug>(answer: Result<T>) -> ErrorKind {
    match answer {
        Ok(answer) => panic!("an error was expected, and the answer was {answer:?}"),
        Err(error) => error.kind(),
    }
}
