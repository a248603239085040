//! Backends that misbehave, in every way and at every place, and what clients see of it.
//!
//! Behind a real front door stands a federation of a memory, a directory, a remote service and a remote service that
//! misbehaves, at each place in their order. All wires are real sockets. Whatever the fault, a list has exactly the
//! images of those that answer, in order, and says who does not; silence is never taken for absence, nothing is
//! learned as deleted, nothing that an upstream says reaches a client, and nothing hangs.
//!
//! | fault | a list says | one image, by id |
//! |---|---|---|
//! | refuses connections | `refused` | silence |
//! | resets connections | `refused` or `error`, as the kernel sees it | silence |
//! | resets requests, resets in the middle of a body, ends in the middle of a head | `error` | silence |
//! | announces more bytes than it sends | `error` | silence |
//! | announces fewer bytes than it sends | `error` | silence, but what it does not hold it denies |
//! | 401, 403 | `refused` | silence |
//! | 404 | `error`: a service without a list is none | denial |
//! | 429, 500, 503 | `error` | silence |
//! | no JSON, JSON of the wrong shape | `error` | silence |
//! | an endless body | `error`, at `max_response` | silence |
//! | one byte a second, silence at once, silence behind the head | `timeout`, at the deadline | silence |
//! | pages out of order | `ok`: sorted here | truth |
//! | `next` on a foreign host | `ok`: nobody goes there | truth |
//! | pages that ignore the marker or repeat an image | `error` where a second page is needed, else `ok` | truth |
//!
//! After a few failures, but for refusals with 4xx, its breaker is open: it is not asked, and a list says `open`.
//!
//! *Silence* of one backend makes an id that no other has 503, *denial* 404.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

mod breaker;
mod case;
mod door;
mod fault;
mod images;
mod lists;
mod misbehaviour;
mod page;
mod upstream;
mod walks;
mod world;
mod writes;
