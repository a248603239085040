//! A federation keeps the promises of the contract, whatever it is made of, and some of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod bent;
mod copies;
mod drawn;
mod failover;
mod folded;
mod frail;
mod guards;
mod hedges;
mod lists;
mod located;
mod made_of;
mod moody;
mod narrowing;
mod noted;
#[path = "../api/paper.rs"]
mod paper;
mod places;
#[path = "../served/mod.rs"]
mod served;
mod stage;
mod tenancy;
mod verified;
mod weave;

use std::sync::Arc;
use std::time::Duration;

use image_service::conformance::Fixture;
use image_service::{ErrorKind, ImageService};
use portico::federation::{Federation, Settings};

use bent::{Bend, bent};
use frail::{Flaw, Frail};
use made_of::{federation, memory, spread};

async fn of_one() -> Fixture {
    Fixture::new(federation(vec![("only", memory().await)]))
}

/// The others are held to their hashes.
async fn without_verification() -> Fixture {
    let believed = [String::from("only")].into();
    let settings = Settings { believed, ..Settings::default() };
    let backends = vec![made_of::backend(("only", memory().await))];
    Fixture::new(Arc::new(Federation::new(backends, settings).unwrap()))
}

/// Each download breaks off in the middle, and goes on.
async fn with_a_home_that_dies() -> Fixture {
    Fixture::new(federation(vec![("frail", Frail::new(memory().await, Flaw::DiesOnceAt(3)))]))
}

async fn of_three() -> Fixture {
    Fixture::new(spread(vec![("a", memory().await), ("b", memory().await), ("c", memory().await)]))
}

async fn nested() -> Fixture {
    let inner = spread(vec![("x", memory().await), ("y", memory().await)]);
    Fixture::new(spread(vec![("inner", inner), ("outer", memory().await)]))
}

async fn of_short_pages() -> Fixture {
    let short = |inner: Arc<dyn ImageService>, most| bent(inner, Bend::ShortPages(most));
    Fixture::new(spread(vec![
        ("one", short(memory().await, 1)),
        ("two", short(memory().await, 2)),
        ("full", memory().await),
    ]))
}

async fn without_detail() -> Fixture {
    let index_only = bent(memory().await, Bend::IndexOnly);
    Fixture::new(spread(vec![("poor", index_only), ("rich", memory().await)]))
}

async fn without_ranges() -> Fixture {
    Fixture::new(federation(vec![("whole", bent(memory().await, Bend::NoRanges))]))
}

async fn with_a_dead_backend() -> Fixture {
    let dead = bent(memory().await, Bend::Dead(ErrorKind::Refused));
    Fixture::new(made_of::spread_over(vec![("dead", dead), ("live", memory().await)], &["live"]))
        .with_silent_source()
}

/// A service that keeps locations, of data on this machine.
fn serving(served: served::Served, service: Arc<dyn ImageService>) -> Fixture {
    Fixture::new(service).serving(move |bytes| served.put(bytes))
}

/// With a store whose data lies elsewhere, before or behind one that takes data, and alone within another.
async fn with_locations_behind() -> Fixture {
    let (web, served) = served::web().await;
    serving(served, federation(vec![("memory", memory().await), ("web", web)]))
}

async fn with_locations_before() -> Fixture {
    let (web, served) = served::web().await;
    serving(served, federation(vec![("web", web), ("memory", memory().await)]))
}

async fn of_locations_alone() -> Fixture {
    let (web, served) = served::web().await;
    serving(served, federation(vec![("outer", federation(vec![("web", web)]))]))
}

mod conformance_of_one {
    use super::of_one;

    image_service::conformance!(of_one);
}
mod conformance_without_verification {
    use super::without_verification;

    image_service::conformance!(without_verification);
}
mod conformance_with_a_home_that_dies {
    use super::with_a_home_that_dies;

    image_service::conformance!(with_a_home_that_dies);
}
mod conformance_of_three {
    use super::of_three;

    image_service::conformance!(of_three);
}
mod conformance_of_nested_federations {
    use super::nested;

    image_service::conformance!(nested);
}
mod conformance_with_short_pages {
    use super::of_short_pages;

    image_service::conformance!(of_short_pages);
}
mod conformance_without_detail {
    use super::without_detail;

    image_service::conformance!(without_detail);
}
mod conformance_without_ranges {
    use super::without_ranges;

    image_service::conformance!(without_ranges);
}
mod conformance_with_a_dead_backend {
    use super::with_a_dead_backend;

    image_service::conformance!(with_a_dead_backend);
}

mod conformance_with_locations_behind {
    use super::with_locations_behind;

    image_service::conformance!(with_locations_behind);
}
mod conformance_with_locations_before {
    use super::with_locations_before;

    image_service::conformance!(with_locations_before);
}
mod conformance_of_locations_alone {
    use super::of_locations_alone;

    image_service::conformance!(of_locations_alone);
}

/// The deadline of every backend in these tests.
const DEADLINE: Duration = Duration::from_secs(1);
