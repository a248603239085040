//! Four backends in one federation behind the front door: a memory, a directory, a remote service, and a remote
//! service that misbehaves, at any place among them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use bytesize::ByteSize;
use image_service::{
    Caller, Context, Digester, Image, ImageId, ImageService, NewImage, Sort, Timestamp, Upload,
};
use portico::api::{self, Front};
use portico::auth::none::Nobody;
use portico::federation::{Backend, Federation, Guarding, Resuming, Settings};
use portico_http::Dialect;
use portico_memory::Memory;
use tempfile::TempDir;

use crate::case::Case;
use crate::door::Door;
use crate::upstream::{Mood, Upstream, Where};

/// What each backend holds.
const IMAGES: usize = 5;

/// How long the misbehaving backend may take if it hangs, so that the battery need not wait long.
const SHORT: Duration = Duration::from_millis(400);

/// How long every other backend may take: longer than any request of these tests may, so that nothing but a fault of
/// its own can make it absent, and nothing but noticing a fault can end a request in time.
const LONG: Duration = Duration::from_secs(60);

pub(crate) const FAULTY: &str = "faulty";

/// An image in the catalogue, its data, and who holds it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) image: Image,
    pub(crate) data: Bytes,
    pub(crate) member: &'static str,
}

impl Entry {
    pub(crate) fn id(&self) -> &str {
        self.image.id.as_str()
    }
}

/// The backends that never misbehave. Making them takes longer than most cases, so cases that only read share them.
#[derive(Clone)]
pub(crate) struct Neighbours {
    /// In order of priority.
    services: [(&'static str, Arc<dyn ImageService>); 3],
    entries: Vec<Entry>,
    _servers: Arc<(Upstream, TempDir)>,
}

impl Neighbours {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (local, mut entries) = local(&directory).await;
        // Around the present, because a directory makes its images now: some of the same second, some not.
        let now = entries[0].image.created_at;
        let (memory, of_memory) = stocked("memory", now);
        let (remote, of_remote) = stocked("remote", now);
        entries.extend(of_memory.into_iter().chain(of_remote));
        let server = upstream(remote, 1000).await;
        let client = client(&server).await;
        let services = [("memory", memory as Arc<dyn ImageService>), ("local", local), ("remote", client)];
        Self { services, entries, _servers: Arc::new((server, directory)) }
    }
}

/// The federation of one case.
pub(crate) struct World {
    pub(crate) case: Case,
    pub(crate) door: Door,
    /// The members' names, in order of priority.
    pub(crate) members: Vec<&'static str>,
    /// All images, in the order of a list.
    pub(crate) catalogue: Vec<Entry>,
    /// How the misbehaving backend is meant to be.
    pub(crate) mood: Mood,
    faulty: Upstream,
    _neighbours: Neighbours,
}

impl World {
    /// A world in which all is well yet, whose other backends no other case changes.
    pub(crate) async fn of(case: Case) -> Self {
        Self::among(Neighbours::new().await, case).await
    }

    /// A world in which all is well yet, and a breaker soon asks again.
    pub(crate) async fn among(neighbours: Neighbours, case: Case) -> Self {
        let (pause, longest_pause) = (Duration::from_millis(10), Duration::from_millis(20));
        Self::guarded(neighbours, case, Guarding { pause, longest_pause, ..Guarding::default() }).await
    }

    /// A world in which all is well yet.
    pub(crate) async fn guarded(neighbours: Neighbours, case: Case, guarding: Guarding) -> Self {
        let mut catalogue = neighbours.entries.clone();
        let (faulty, of_faulty) = stocked(FAULTY, catalogue[0].image.created_at);
        catalogue.extend(of_faulty);
        let sort = Sort::default();
        catalogue.sort_by(|a, b| sort.compare(&a.image, &b.image));
        // Of who has little time little is asked.
        let (deadline, page) = if case.fault.hangs() { (SHORT, 1000) } else { (LONG, 3) };
        let faulty = upstream(faulty, page).await;
        let services = neighbours.services.iter();
        let mut backends: Vec<Backend> =
            services.map(|(name, service)| backend(name, LONG, Arc::clone(service))).collect();
        backends.insert(case.position, backend(FAULTY, deadline, client(&faulty).await));
        let mut members: Vec<&'static str> = neighbours.services.iter().map(|(name, _)| *name).collect();
        members.insert(case.position, FAULTY);
        // What has failed for good is not waited for long.
        let resuming = Resuming { attempts: 3, pause: SHORT / 40, ..Resuming::default() };
        let default_store = Some("memory".into());
        let settings = Settings { default_store, guarding, resuming, ..Settings::default() };
        let federation = Federation::new(backends, settings).unwrap();
        let door = Door::to(
            front(Arc::new(federation), api::Settings::default()),
            case,
            vec![faulty.address.to_string()],
        );
        Self { case, door, members, catalogue, mood: None, faulty, _neighbours: neighbours }
    }

    /// The backend begins to misbehave.
    pub(crate) async fn fails(&mut self) {
        self.turns(Some((self.case.fault, Where::Everywhere))).await;
    }

    /// The backend keeps to the rules again.
    pub(crate) async fn heals(&mut self) {
        self.turns(None).await;
    }

    pub(crate) async fn turns(&mut self, mood: Mood) {
        self.mood = mood;
        self.faulty.turn(mood).await;
    }

    /// How many connections the misbehaving backend has taken.
    pub(crate) fn taken(&self) -> usize {
        self.faulty.taken()
    }

    /// The first image of a member.
    pub(crate) fn image_of(&self, member: &str) -> &Entry {
        self.catalogue.iter().find(|entry| entry.member == member).unwrap()
    }

    /// The members that never misbehave.
    pub(crate) fn well(&self) -> impl Iterator<Item = &'static str> {
        self.members.iter().copied().filter(|member| *member != FAULTY)
    }
}

/// A real server over `memory`, whose pages hold at most this many images.
async fn upstream(memory: Arc<Memory>, largest_page: usize) -> Upstream {
    let largest_page = NonZeroUsize::new(largest_page).unwrap();
    let settings = api::Settings { largest_page, ..api::Settings::default() };
    Upstream::before(front(memory, settings)).await
}

fn front(service: Arc<dyn ImageService>, settings: api::Settings) -> Router {
    api::router(Front::new(service, Arc::new(Nobody), settings))
}

fn backend(name: &str, deadline: Duration, service: Arc<dyn ImageService>) -> Backend {
    Backend { name: name.into(), kind: "test".into(), description: None, service, deadline }
}

/// A client of a remote service, that makes a connection for each request.
async fn client(upstream: &Upstream) -> Arc<dyn ImageService> {
    let endpoint = format!("http://{}", upstream.address).parse().unwrap();
    let options = portico_http::Options {
        pool_size: 0,
        max_response: ByteSize::kib(256),
        idle_timeout: SHORT,
        ..portico_http::Options::new(Dialect::GlanceV2, endpoint)
    };
    portico_http::open("remote", options).await.unwrap()
}

async fn local(directory: &TempDir) -> (Arc<dyn ImageService>, Vec<Entry>) {
    let options = portico_local::Options {
        sync: portico_local::Durability::Process,
        ..portico_local::Options::at(directory.path().join("images"))
    };
    let local = portico_local::open("local", options).await.unwrap();
    let context = Context::new(Caller::administrator(), "req-stock");
    let mut entries = Vec::new();
    for number in 0..IMAGES {
        let data = data("local", number);
        let upload = Upload::from_bytes(data.clone());
        let image = local.create(&context, new("local", number), Some(upload)).await.unwrap();
        entries.push(Entry { image, data, member: "local" });
    }
    (local, entries)
}

/// A memory with images, made around this moment.
fn stocked(member: &'static str, now: Timestamp) -> (Arc<Memory>, Vec<Entry>) {
    let memory = Memory::new(member, portico_memory::Options::default());
    let entries: Vec<Entry> = (0..IMAGES).map(|number| entry(member, number, now)).collect();
    for entry in &entries {
        memory.seed(entry.image.clone(), Some(entry.data.clone())).unwrap();
    }
    (Arc::new(memory), entries)
}

fn entry(member: &'static str, number: usize, now: Timestamp) -> Entry {
    let data = data(member, number);
    let mut digester = Digester::default();
    digester.update(&data);
    let digests = digester.finish(None).unwrap();
    let moment = now.saturating_add([0, -1, 1, 0, -2][number]);
    let mut image = new(member, number).into_image(&Caller::administrator(), moment).unwrap();
    image.finish_upload(digests, moment);
    Entry { image, data, member }
}

fn new(member: &str, number: usize) -> NewImage {
    NewImage {
        id: Some(ImageId::derived("faults", &format!("{member}/{number}"))),
        name: Some(format!("{member} {number}")),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    }
}

fn data(member: &str, number: usize) -> Bytes {
    Bytes::from(format!("the data of image {number} in {member}\n").repeat(100))
}
