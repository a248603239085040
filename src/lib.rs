//! One front door over many image stores.
//!
//! Portico speaks the OpenStack Image API v2 to clients, and v1 and the images of the Compute API if it is told to, and
//! one async trait, [`image_service::ImageService`], to its backends. A [`federation::Federation`] of backends is itself an
//! `ImageService`, so the API stands in front of one service and does not know how many stores are behind it.
//!
//! # Floors
//!
//! An arrow may only point down.
//!
//! ```text
//! main, run          the program: command line, from a configuration to a service that has ended
//! telemetry          the log
//! config             TOML text to a configuration, or every fault in it with key and line
//! registry           kind of backend to the crate that makes it: the one list
//! server             connections within bounds, drain
//! state              the directory of what this process keeps beside the images
//! admin              metrics and health, on a listener of their own
//! api, auth          the Image API v2, v1 and Nova's images beside it; the head of a request to a caller
//! quotas             how much a project may have
//! replica            two backends compared, and one copied to the other, without a service
//! imports            data that comes to images by other ways than one upload
//! cache              data of images from far away, kept near
//! locations          what lies at a URL, read before it becomes an image's data
//! metadefs           the catalogue of metadata definitions
//! document           TOML text to values, with the key and line of each fault: for config, registry, auth
//! federation         many backends as one service
//! tenancy            one backend below a ceiling of visibility, and with other names of projects
//! crates/keystone    a client of Keystone, for auth, and for backends that need a token of their own
//! backends/*         memory, local, http, web: they know the contract and never each other
//! image-service      the contract: verbs, nouns, errors, query
//! crates/format      what image data is, for the federation, which refuses it, and the contract, which measures it
//! crates/catalogue   records of images in SQLite, for the backends that keep their own
//! crates/hashing     data hashed off the async threads while it passes, for the federation, locations and web
//! crates/fetch       URLs that clients name, fetched from where they may be, for web and for the imports
//! ```
//!
//! | room | must never know |
//! |---|---|
//! | `image-service` | HTTP, TOML, which backends exist, that a federation exists |
//! | `crates/*` | who uses them and why, the configuration's syntax; but for `catalogue` and `hashing`, image services |
//! | a backend | other backends, this crate, the dialects of clients |
//! | [`federation`] | HTTP, wire names, the configuration's syntax, concrete backends |
//! | its `merge`, `narrowing`, `placement`, `health`, `twins` | clocks, network, logs, async |
//! | [`tenancy`] | HTTP, the configuration's syntax, that its backend is one of several |
//! | [`api`] | how many backends there are, that anybody counts its answers |
//! | [`replica`] | HTTP, the configuration, how backends are opened |
//! | [`imports`] | HTTP, which role may do what, how many backends there are |
//! | [`cache`] | HTTP, which role may do what, how many backends there are |
//! | [`metadefs`] | HTTP, which role may do what, images |
//! | [`admin`] | how a federation or the API works, images, callers |
//! | everything but [`registry`] | concrete backends |
//!
//! # `GET /v2/images?limit=2`
//!
//! 1. [`server`] reads the head within its limits.
//! 2. [`api`] gives the request an id and a span, finds the action, and asks [`auth`] for the caller.
//! 3. The query string becomes an [`image_service::Query`]; a bad value is 400 with its key's name, and no backend
//!    has been asked for anything.
//! 4. A marker or cursor becomes a position: sort values and id of the last image seen. A cursor must have our seal, and
//!    also says how far each backend has been read; a marker is looked up, or known from the page that ended with it.
//! 5. The federation asks every backend at once for two images behind that position, each within its deadline; one
//!    that failed too often of late is not asked. What a backend does not do by itself (filter, sort, detail) is done
//!    here.
//! 6. The parts are woven by the total order, as far as the horizon of those that have more. Whoever else may hold an
//!    id on the page is asked for it, and each image is given out once, at its home's place.
//! 7. Who holds which image is remembered as a hint.
//! 8. The images are written with `first` and `next`, and the header `Portico-Backends` tells how each backend fared.
//!
//! # `PUT /v2/images/{id}/file`
//!
//! 1. As above, to a caller and an image id. The announced size is checked against the bound; no byte is read yet.
//! 2. The federation finds the image's home by asking the backends to show it. With `X-Image-Meta-Store` naming another
//!    store, the queued record moves there first: made there, then deleted here.
//! 3. The beginning of the body is looked at: what is not of the declared format goes nowhere.
//! 4. The body goes to that one backend as a stream, piece by piece, as fast as the backend takes it. The backend hashes
//!    it in passing and makes the image `active` only when all of it is safe.
//! 5. If the client goes away or the size is not as announced, nothing of it stays and the image is `queued` again.
//!    Another backend is never tried.
//!
//! # Words
//!
//! *Image*, *property*, *backend*; *store*: a backend as clients see it; *copy*; *home*: the backend that owns an image;
//! *owner*: the project; *member*: a project that an image is shared with, never a backend; *caller*, *context*, *query*,
//! *page*, *position*, *cursor*, *marker*, *placement*, *deadline*; *absent*: a backend that did not answer.

pub mod admin;
pub mod api;
pub mod auth;
pub mod cache;
pub mod config;
pub mod document;
pub mod federation;
pub mod imports;
pub mod locations;
pub mod metadefs;
pub mod passage;
pub mod quotas;
pub mod registry;
pub mod replica;
pub mod run;
pub mod server;
pub mod state;
pub mod telemetry;
pub mod tenancy;
