//! The OpenStack Image API v2, in front of any image service, and beside it v1 and Nova's images for clients of old.
//!
//! A request walks through these files, top to bottom, and each knows one thing:
//!
//! | file | what it knows |
//! |---|---|
//! | `exchange` | one request from its head to its answer: id, span, caller, deadline, panic, log line |
//! | `routes`, `versions` | method and path → action; which minors of the API are served, and why |
//! | `images`, `list`, `download`, `upload`, `imports`, `tasks`, `members`, `tags`, `stores`, `locations`, `usage` | the actions |
//! | `metadefs` | the catalogue of metadata definitions: its actions, and its JSON |
//! | `cache` | the cache, as whoever runs the site sees it |
//! | `v1` | the API of 2011 to 2018: its actions, headers, lists; where it departs from Glance's |
//! | `compute` | the images of Nova's API: its actions, paths, microversions; where it departs from Nova's |
//! | `filled` | full pages, for the clients of these two |
//! | `unserved` | the parts of the API that are answered with Glance's documented refusals |
//! | `query`, `conditions`, `order`, `cursor`, `marks`, `links` | query string ⇄ [`image_service::Query`], and links of pages |
//! | `attribute`, `patch`, `wire`, `places`, `schema` | JSON ⇄ images and changes to them |
//! | `ranges`, `body`, `request_id`, `partial` | headers and bodies |
//! | `policy` | which role may do what |
//! | `fault` | error → status and body |
//!
//! All that decides is pure; only the actions await the service. Nothing here knows how many stores there are.
//!
//! ## Where this departs from Glance, on purpose
//!
//! * Errors are nested JSON whatever `Accept` says: every client reads that, and a flat one breaks glanceclient.
//! * Bad input is 400 where Glance answers 500.
//! * Repeated parameters stay in `first` and `next`; a scalar one that is repeated counts with its last value.
//! * A marker that the caller cannot see is 400, as an unknown one: Glance's 403 tells that the image exists.
//! * An empty `visibility` is 400: Glance answers with an empty list, in which a mistake is hard to see.
//! * `name=like:text` lists images that have the text in their name, byte for byte: Glance knows no such operator.
//! * Locations are told of one's own images alone, as the words of Glance's policy have it and its code does not.
//! * A patch that changes both attributes and locations changes the attributes first, and then one location after the
//!   other; those before one that fails stay changed.
//! * A posted location makes its image active when its data has been read, also if no hash is expected of it.
//! * `GET /v2` and `GET /v2/` give the document of versions, so that discovery works from there too.

mod answer;
mod attribute;
mod body;
mod cache;
mod compute;
mod conditions;
mod cursor;
mod download;
mod exchange;
mod fault;
mod filled;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod images;
mod imports;
mod links;
mod list;
mod locations;
mod marks;
mod members;
mod metadefs;
mod order;
mod partial;
mod patch;
mod places;
mod policy;
mod query;
mod ranges;
mod request_id;
mod routes;
mod schema;
mod stores;
mod tags;
mod tasks;
mod unserved;
mod upload;
mod usage;
mod v1;
mod validators;
mod versions;
mod wire;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use image_service::{ImageService, Partial};

use crate::auth::Auth;
use crate::cache::Cache;
use crate::imports::Imports;
use crate::metadefs::Metadefs;
use crate::quotas::Quotas;
use marks::Marks;

pub use cursor::CursorKey;
pub use locations::LocationSettings;
pub use policy::{Policy, Roles};

/// What the front door stands on.
#[derive(Debug)]
pub struct Front {
    /// The images. It must do every filter, sort key and range by itself, and list with details, as a
    /// federation does.
    pub service: Arc<dyn ImageService>,
    /// Who is let in.
    pub auth: Arc<dyn Auth>,
    /// Everything that can be set.
    pub settings: Settings,
    /// What projects may have. Default: as much as they like.
    pub quotas: Option<Quotas>,
    /// Data that comes to images by other ways than one upload. Default: there are none.
    pub imports: Option<Imports>,
    /// What is kept of image data that is far away. Default: nothing.
    pub cache: Option<Cache>,
    /// The catalogue of metadata definitions. Default: none, as in a Glance where nobody has made any.
    pub metadefs: Option<Metadefs>,
}

impl Front {
    /// A front door on `service`, with nothing beside it.
    #[must_use]
    pub fn new(service: Arc<dyn ImageService>, auth: Arc<dyn Auth>, settings: Settings) -> Self {
        Self { service, auth, settings, quotas: None, imports: None, cache: None, metadefs: None }
    }

    /// The same with quotas, if there are to be any.
    #[must_use]
    pub fn with_quotas(self, quotas: Option<Quotas>) -> Self {
        Self { quotas, ..self }
    }

    /// The same with imports, if there are to be any: the images are then what these show.
    #[must_use]
    pub fn with_imports(self, imports: Option<Imports>) -> Self {
        let service = imports.as_ref().map_or(self.service, Imports::shown);
        Self { service, imports, ..self }
    }

    /// The same with a cache, if there is one, which can then be looked at and emptied. The service is to have it already.
    #[must_use]
    pub fn with_cache(self, cache: Option<Cache>) -> Self {
        Self { cache, ..self }
    }

    /// The same with a catalogue of metadata definitions, if there is to be one.
    #[must_use]
    pub fn with_metadefs(self, metadefs: Option<Metadefs>) -> Self {
        Self { metadefs, ..self }
    }
}

/// What every request is answered from.
#[derive(Debug, Clone)]
struct Desk {
    front: Arc<Front>,
    marks: Arc<Marks>,
}

/// What can be set about the front door.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address that clients use, such as `https://images.example`, for links that must be absolute.
    /// Default: the scheme and the `Host` that the client named.
    pub public_endpoint: Option<String>,
    /// How clients speak to this service, for the same links. Default: `http`.
    pub scheme: Scheme,
    /// What a list does when a part of it cannot be had and the request does not say. Default: serve the rest.
    pub partial: Partial,
    /// Most bytes of a JSON body. Default: 1 MiB.
    pub json_body: usize,
    /// Most bytes of a query string. Default: 8 KiB.
    pub query_string: usize,
    /// Most bytes of one image. Default: 1 TiB.
    pub image_size: u64,
    /// Images in a page if the client does not say. Default: 25.
    pub default_page: NonZeroUsize,
    /// Most images in a page, whatever the client says. Default: 1000.
    pub largest_page: NonZeroUsize,
    /// What cursors are sealed with. Default: a key of this process alone.
    pub cursor_key: CursorKey,
    /// Most ends of pages that are remembered for clients that go on by marker. Default: 10,000.
    pub marks: u64,
    /// How long they are remembered. Default: one hour.
    pub mark_age: Duration,
    /// How long a read may take until its answer begins. Default: one minute.
    pub read_deadline: Duration,
    /// How long a client may pause while it sends a body. Default: one minute.
    pub body_pause: Duration,
    /// Which role may do what. Default: as with Glance.
    pub policy: Policy,
    /// The disk formats that an image may have.
    pub disk_formats: Vec<String>,
    /// The container formats that an image may have.
    pub container_formats: Vec<String>,
    /// What is told of where data lies. Default: nothing.
    pub locations: LocationSettings,
    /// Whether the Image API v1 is served too. Default: no.
    pub v1: bool,
    /// Whether the images of the Compute API are served too. Default: no.
    pub compute: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            public_endpoint: None,
            scheme: Scheme::HTTP,
            partial: Partial::default(),
            json_body: 1 << 20,
            query_string: 8 << 10,
            image_size: 1 << 40,
            default_page: NonZeroUsize::MIN.saturating_add(24),
            largest_page: NonZeroUsize::MIN.saturating_add(999),
            cursor_key: CursorKey::random(),
            marks: 10_000,
            mark_age: Duration::from_secs(3600),
            read_deadline: Duration::from_secs(60),
            body_pause: Duration::from_secs(60),
            policy: Policy::default(),
            disk_formats: words(&[
                "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
            ]),
            container_formats: words(&["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"]),
            locations: LocationSettings::default(),
            v1: false,
            compute: false,
        }
    }
}

/// Which row of the table of paths answered, such as `/v2/images/{id}`: every answer carries one among its
/// extensions, for whoever counts them. There are finitely many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route(pub &'static str);

/// Makes the router that answers for `front`: every path, every method, every error.
pub fn router(front: Front) -> axum::Router {
    let marks = Marks::new(front.settings.marks, front.settings.mark_age);
    let desk = Desk { front: Arc::new(front), marks: Arc::new(marks) };
    axum::Router::new().fallback(exchange::answer).with_state(desk)
}
