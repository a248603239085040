//! The contract, kept through the Images API v1: a remote service as a backend, by the dialect `glance-v1`, whose remote
//! service is this program's own front of v1, before a federation.
//!
//! A mistake that both sides make alike does not show here: `backends/http/tests/real_glance_v1.rs` holds the dialect
//! against a real Glance of that time, by the same cases but for those about uploads that break off, and
//! `tests/interop/v1` the front against clients of that time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "../backends/http/tests/carried/mod.rs"]
mod carried;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use carried::tagged::Tagged;
use carried::{Reader, Writer};
use image_service::ImageService;
use image_service::conformance::Fixture;
use portico::api::{self, Front};
use portico::auth::none::Nobody;
use portico::federation::{Backend, Federation, Settings};
use portico_http::{Dialect, Options};
use portico_memory::Memory;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The most images in one page of the front, so that lists are of many.
const PAGE: usize = 5;

/// Ends a server with its test.
struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn federation() -> Arc<dyn ImageService> {
    let backend = |name: &str| Backend {
        name: name.into(),
        kind: "memory".into(),
        description: None,
        service: Arc::new(Memory::new(name, portico_memory::Options::default())),
        deadline: Duration::from_secs(10),
    };
    Arc::new(Federation::new(vec![backend("a"), backend("b")], Settings::default()).unwrap())
}

/// The front of v1 before `store`, as a backend.
async fn behind_v1(store: Arc<dyn ImageService>) -> (Arc<dyn ImageService>, Serving) {
    let largest_page = NonZeroUsize::new(PAGE).unwrap();
    let settings = api::Settings { v1: true, largest_page, ..api::Settings::default() };
    let router = api::router(Front::new(store, Arc::new(Nobody), settings));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let options = Options::new(Dialect::GlanceV1, endpoint.parse().unwrap());
    (portico_http::open("remote", options).await.unwrap(), Serving(serving))
}

/// Images are made in the store itself, and read through the front.
async fn read_through_v1() -> Fixture {
    let store = federation();
    let (service, serving) = behind_v1(Arc::clone(&store)).await;
    let seen = Arc::new(Reader::new(service));
    let writer = Arc::new(Writer { store, seen: Arc::clone(&seen) });
    Fixture::new(seen).read_only(writer).without_sharing().keeping(serving)
}

/// All goes through the front.
async fn written_through_v1() -> Fixture {
    let (service, serving) = behind_v1(federation()).await;
    Fixture::new(Arc::new(Tagged(service))).keeping(serving)
}

mod reading {
    use super::read_through_v1;

    super::carried::reading_cases!([] read_through_v1,
        paging: [a_position_holds_when_its_image_has_moved,],
        cancellation: [a_read_that_is_dropped_changes_nothing,],
        data: [
            the_data_comes_whole_with_the_image_as_shown,
            an_image_without_data_gives_none_whatever_the_range,
            data_of_no_bytes_is_data,
            a_range_gives_exactly_its_bytes,
            a_range_without_a_byte_in_it_is_not_satisfiable,
            a_download_that_is_dropped_harms_nobody,
            several_readers_get_the_same_bytes,
            a_download_ends_whole_or_in_an_error_when_its_image_is_deleted,
        ],
        filters: [
            any_of_several_texts_will_do,
            numbers_are_compared,
            times_are_compared_in_whole_seconds,
            tags_and_properties_are_compared,
            a_part_of_a_name_is_found_where_it_stands,
            all_filters_must_hold,
            an_id_that_is_not_there_filters_all_out,
            filtered_lists_are_paged_like_others,
        ],
    );
}

mod writing {
    use super::written_through_v1;

    super::carried::tagged::writing_cases!([] written_through_v1,
        update: [the_last_of_many_changes_at_once_wins,],
        upload: [
            data_of_another_size_than_announced_leaves_the_image_queued,
            data_that_breaks_off_leaves_the_image_queued,
            an_upload_that_is_dropped_leaves_the_image_queued,
            changes_during_an_upload_stay,
        ]
    );
}
