//! Kind name → backend crate: the one list.
//!
//! To add a backend, add its crate to the root manifest and one line to [`KINDS`]. Nothing else in this program
//! knows which kinds there are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use image_service::{ImageService, Result};
use serde::de::DeserializeOwned;

use crate::document::{Document, Place};

/// Every kind of backend.
const KINDS: &[Kind] = &[
    Kind {
        name: "memory",
        address: None,
        nature: Nature::Near,
        read: |options| options.plan(portico_memory::open),
    },
    Kind {
        name: "local",
        address: Some("path"),
        nature: Nature::Disk,
        read: |options| options.plan(portico_local::open),
    },
    Kind {
        name: "http",
        address: Some("endpoint"),
        nature: Nature::Far,
        // What is published is read, and what is a service is spoken to: that takes other options.
        read: |options| match options.text("dialect") {
            Some(dialect) if portico_http::PublishedDialect::is_named(&dialect) => {
                options.plan(portico_http::open_published)
            }
            _ => options.plan(portico_http::open),
        },
    },
    Kind {
        name: "web",
        address: Some("path"),
        nature: Nature::Far,
        read: |options| options.plan(portico_web::open),
    },
];

/// Where the data of a kind of backend lies, as far as a cache goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// In this process.
    Near,
    /// In a directory, so that it can be the cache itself.
    Disk,
    /// Far away, so that it is cached unless the configuration says otherwise.
    Far,
}

/// A kind of backend.
pub struct Kind {
    name: &'static str,
    /// The option that says where the images are.
    address: Option<&'static str>,
    nature: Nature,
    read: fn(Options<'_, '_>) -> Option<Plan>,
}

/// A backend that is fully described and not yet opened.
pub type Plan = Box<dyn FnOnce(String) -> Opening + Send>;

/// A backend on its way.
pub type Opening = BoxFuture<'static, Result<Arc<dyn ImageService>>>;

/// The options of one backend, somewhere in a document.
struct Options<'d, 't> {
    document: &'d mut Document<'t>,
    place: &'d Place,
}

impl Options<'_, '_> {
    /// The text that the option `key` has, if it has one.
    fn text(&self, key: &str) -> Option<String> {
        self.document.text_at(&self.place.then(key))
    }

    /// Reads the options that `open` takes, and keeps them for it.
    fn plan<O, F>(self, open: F) -> Option<Plan>
    where
        O: DeserializeOwned + Send + 'static,
        F: for<'n> Open<'n, O> + Send + 'static,
    {
        let options = self.document.read::<O>(self.place)?;
        Some(Box::new(move |name| Box::pin(async move { open.call(&name, options).await })))
    }
}

/// A backend crate's `async fn open(name: &str, options: O)`, whose future may borrow the name.
trait Open<'n, O> {
    type Opening: Future<Output = Result<Arc<dyn ImageService>>> + Send;

    fn call(self, name: &'n str, options: O) -> Self::Opening;
}

impl<'n, O, F, T> Open<'n, O> for F
where
    F: FnOnce(&'n str, O) -> T,
    T: Future<Output = Result<Arc<dyn ImageService>>> + Send,
{
    type Opening = T;

    fn call(self, name: &'n str, options: O) -> T {
        self(name, options)
    }
}

impl Kind {
    /// What the configuration calls it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether data of this kind is cached if the configuration does not say.
    #[must_use]
    pub fn is_far(&self) -> bool {
        self.nature == Nature::Far
    }

    /// Whether a backend of this kind can be the cache.
    #[must_use]
    pub fn can_cache(&self) -> bool {
        self.nature == Nature::Disk
    }

    /// Whether its address is a directory, which is made when it is opened.
    #[must_use]
    pub fn makes_directory(&self) -> bool {
        self.nature == Nature::Disk
    }

    /// Whether the images of this kind outlast the process, so that another one can have them.
    #[must_use]
    pub fn outlasts(&self) -> bool {
        self.nature != Nature::Near
    }

    /// Reads the options at `place`; `None`, and faults noted, if they are not this kind's. Opens nothing.
    pub fn plan(&self, document: &mut Document<'_>, place: &Place) -> Option<Plan> {
        (self.read)(Options { document, place })
    }

    /// Where the options at `place` say that the images are, without credentials.
    #[must_use]
    pub fn address(&self, document: &Document<'_>, place: &Place) -> Option<String> {
        let text = document.text_at(&place.then(self.address?))?;
        let Ok(mut url) = url::Url::parse(&text) else { return Some(text) };
        // A URL that cannot carry credentials has none to hide.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        Some(url.to_string())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kind").field(&self.name).finish()
    }
}

/// The kind called `name`, if there is one.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// What the kinds are called.
#[must_use]
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(Kind::name).collect()
}

/// A backend as the configuration wants it, ready to be opened.
pub struct Planned {
    /// What clients know it by.
    pub name: String,
    /// What its kind is called.
    pub kind: &'static str,
    /// One sentence for people.
    pub description: Option<String>,
    /// How long a read may take until its answer begins.
    pub deadline: Duration,
    /// Whether its images are cached, if there is a cache.
    pub cached: bool,
    /// Where the images are, if that can be said. Holds no credentials.
    pub address: Option<String>,
    /// Opens it, given its name.
    pub plan: Plan,
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}
