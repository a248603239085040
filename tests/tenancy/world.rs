//! The front door with stores of every kind behind it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use image_service::ImageService;
use portico::api::{self, Front};
use portico::auth::Auth;
use portico::auth::none::Nobody;
use portico::cache::{self, Cache, Clock};
use portico::federation::{Backend, Federation, Guarding, Settings};
use portico::tenancy::{Rules, Tenancy};
use portico_http::{Auth as Known, Dialect, Options};
use portico_memory::Memory;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::people::{Believing, Guarded, SERVICE_TOKEN};
use crate::planted::{Leak, Planted};
use crate::switch::Switch;

/// What a store is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Local,
    /// A remote service that takes everyone for an administrator.
    OfNobody,
    /// A remote service that knows only us.
    OfToken,
    /// A remote service that knows the caller.
    OfCaller,
    /// A memory below a ceiling, where projects have other names.
    Below(&'static str),
    /// A remote service that asks nobody below a ceiling, where projects have other names.
    OfNobodyBelow(&'static str),
    /// A memory that breaks a rule.
    Planted(Leak),
    /// A memory that is said to be below a ceiling, and is not.
    Uncapped(&'static str),
}

/// What projects are called in a store that has other names: two as each other, one otherwise, and one as here.
const NAMES: [(&str, &str); 3] = [("pa", "pb"), ("pb", "pa"), ("pc", "p-three")];

/// One place where images are.
pub(crate) struct Store {
    pub(crate) switch: Arc<Switch>,
    /// Where an image can be put behind everybody's back, if anywhere.
    pub(crate) memory: Option<Arc<Memory>>,
    /// Which of the names it goes by at the front door.
    pub(crate) name: usize,
    /// The widest visibility that its images are shown with.
    pub(crate) ceiling: &'static str,
    /// Whether projects have other names in it.
    renamed: bool,
    /// Whether it tells an administrator of the front door of every id, and not whoever's token it is shown.
    pub(crate) tells: bool,
}

impl Store {
    /// What a project is called in it.
    pub(crate) fn called<'a>(&self, project: &'a str) -> &'a str {
        let other = NAMES.iter().find(|(here, _)| self.renamed && *here == project);
        other.map_or(project, |(_, there)| there)
    }
}

/// A front door and everything behind it.
pub(crate) struct World {
    pub(crate) router: axum::Router,
    pub(crate) stores: Vec<Store>,
    /// The names of stores that clients see. None: there are no named stores.
    pub(crate) names: Vec<&'static str>,
    guards: Vec<Box<dyn Any + Send>>,
}

struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What lies behind a front door.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    /// One store, and nothing between.
    Bare(Kind),
    /// Stores under names.
    Joined(Vec<(&'static str, Kind)>),
    /// Stores under names, and the data of all of them cached.
    Cached(Vec<(&'static str, Kind)>),
    /// Stores under names, and in front of them a federation of others, under a name of its own.
    Nested(&'static str, Vec<(&'static str, Kind)>, Vec<(&'static str, Kind)>),
}

/// How much the federations remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memories {
    Usual,
    /// No counts of ids, and hints for a few images.
    Few,
}

impl World {
    pub(crate) async fn of(plan: &Plan, memories: Memories) -> Self {
        let mut world =
            Self { router: axum::Router::new(), stores: Vec::new(), names: Vec::new(), guards: Vec::new() };
        let service: Arc<dyn ImageService> = match plan {
            Plan::Bare(kind) => world.store(*kind, 0).await,
            Plan::Joined(members) => world.join(members, Vec::new(), memories).await,
            Plan::Cached(members) => {
                let service = world.join(members, Vec::new(), memories).await;
                world.cached(service).await
            }
            Plan::Nested(name, inner, outer) => {
                let mut services = Vec::new();
                for (own, kind) in inner {
                    services.push((*own, world.store(*kind, 0).await));
                }
                let first = vec![(*name, federation(services, memories))];
                world.join(outer, first, memories).await
            }
        };
        world.router = front(service, Arc::new(Believing));
        world
    }

    /// The same service with a cache around it, in which there is room for a few of its images. What is remembered while
    /// stores are silent is not part of the rules.
    async fn cached(&mut self, service: Arc<dyn ImageService>) -> Arc<dyn ImageService> {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = cache::Settings::at(directory.path());
        (settings.size, settings.stale) = (bytesize::ByteSize::b(200), Duration::ZERO);
        self.guards.push(Box::new(directory));
        let stores = self.names.iter().map(|&name| name.to_owned()).collect();
        let cache = Cache::open(service, stores, settings, Clock::default()).await.unwrap();
        let shown = cache.shown();
        self.guards.push(Box::new(cache));
        shown
    }

    async fn join(
        &mut self,
        members: &[(&'static str, Kind)],
        first: Vec<(&'static str, Arc<dyn ImageService>)>,
        memories: Memories,
    ) -> Arc<dyn ImageService> {
        let mut services = first;
        for (name, kind) in members {
            let service = self.store(*kind, services.len()).await;
            services.push((*name, service));
        }
        self.names = services.iter().map(|(name, _)| *name).collect();
        federation(services, memories)
    }

    async fn store(&mut self, kind: Kind, name: usize) -> Arc<dyn ImageService> {
        let memory = Arc::new(Memory::new("memory", portico_memory::Options::default()));
        let service: Arc<dyn ImageService> = match kind {
            Kind::Memory | Kind::Below(_) | Kind::Uncapped(_) => Arc::<Memory>::clone(&memory),
            Kind::Planted(leak) => Arc::new(Planted { inner: Arc::<Memory>::clone(&memory), leak }),
            Kind::Local => {
                let directory = tempfile::tempdir().unwrap();
                let options: portico_local::Options =
                    toml::from_str(&format!("path = '{}'\nsync = 'process'", directory.path().display()))
                        .unwrap();
                self.guards.push(Box::new(directory));
                portico_local::open("local", options).await.unwrap()
            }
            Kind::OfNobody | Kind::OfNobodyBelow(_) => {
                self.remote(&memory, Arc::new(Nobody), Known::None {}).await
            }
            Kind::OfToken => {
                let token = Some(image_service::Secret::new(SERVICE_TOKEN));
                let known = Known::Token { token, token_file: None, token_env: None };
                self.remote(&memory, Arc::new(Guarded), known).await
            }
            Kind::OfCaller => self.remote(&memory, Arc::new(Believing), Known::Caller {}).await,
        };
        let (ceiling, held) = match kind {
            Kind::Below(ceiling) | Kind::OfNobodyBelow(ceiling) => (Some(ceiling), Some(ceiling)),
            Kind::Uncapped(ceiling) => (Some(ceiling), Some("public")),
            _ => (None, None),
        };
        let service = held.map_or_else(|| Arc::clone(&service), |ceiling| below(&service, ceiling));
        let switch = Switch::on(service);
        let memory = (kind != Kind::Local).then_some(memory);
        self.stores.push(Store {
            switch: Arc::clone(&switch),
            memory,
            name,
            ceiling: ceiling.unwrap_or("public"),
            renamed: ceiling.is_some(),
            tells: kind != Kind::OfCaller,
        });
        switch
    }

    /// A remote service: this program's own front door to a memory, on a socket.
    async fn remote(
        &mut self,
        memory: &Arc<Memory>,
        auth: Arc<dyn Auth>,
        known: Known,
    ) -> Arc<dyn ImageService> {
        let router = front(Arc::<Memory>::clone(memory), auth);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        self.guards.push(Box::new(Serving(serving)));
        let options = Options { auth: known, ..Options::new(Dialect::GlanceV2, endpoint.parse().unwrap()) };
        portico_http::open("remote", options).await.unwrap()
    }
}

fn below(inner: &Arc<dyn ImageService>, ceiling: &str) -> Arc<dyn ImageService> {
    let projects = NAMES.map(|(here, there)| (here.to_owned(), there.to_owned())).into();
    let rules = Rules { ceiling: ceiling.parse().unwrap(), projects, ..Rules::default() };
    Arc::new(Tenancy::around(Arc::clone(inner), "partner", rules).unwrap())
}

fn front(service: Arc<dyn ImageService>, auth: Arc<dyn Auth>) -> axum::Router {
    api::router(Front::new(service, auth, api::Settings::default()))
}

fn federation(
    members: Vec<(&'static str, Arc<dyn ImageService>)>,
    memories: Memories,
) -> Arc<dyn ImageService> {
    let backends = members.into_iter().map(|(name, service)| Backend {
        name: name.to_owned(),
        kind: "test".to_owned(),
        description: None,
        service,
        deadline: Duration::from_secs(20),
    });
    // A store that returns is asked at once, so that what is granted can be told from what is not.
    let guarding = Guarding { failures: u32::MAX, retries: 0, ..Guarding::default() };
    let settings = match memories {
        Memories::Usual => Settings { guarding, ..Settings::default() },
        Memories::Few => Settings { guarding, hints: 4, census_age: Duration::ZERO, ..Settings::default() },
    };
    Arc::new(Federation::new(backends.collect(), settings).unwrap())
}
