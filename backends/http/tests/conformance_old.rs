//! The reading part of the conformance suite on the dialects of old, against stand-ins for their servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod carried;

use std::num::NonZeroUsize;
use std::sync::Arc;

use carried::{Reader, Writer, standins};
use image_service::ImageService;
use image_service::conformance::Fixture;
use portico_http::{ComputeImages, Dialect, GlanceV1, Options};
use portico_memory::Memory;

fn empty() -> Arc<dyn ImageService> {
    Arc::new(Memory::new("memory", portico_memory::Options::default()))
}

fn options(dialect: Dialect, address: std::net::SocketAddr) -> Options {
    let endpoint = format!("http://{address}").parse().unwrap();
    // Small pages, so that lists are of many.
    Options { page_size: NonZeroUsize::new(7).unwrap(), ..Options::new(dialect, endpoint) }
}

fn fixture(store: Arc<dyn ImageService>, service: Arc<dyn ImageService>) -> Fixture {
    let seen = Arc::new(Reader::new(service));
    let writer = Arc::new(Writer { store, seen: Arc::clone(&seen) });
    Fixture::new(seen).read_only(writer).without_sharing()
}

async fn glance_v1() -> Fixture {
    let store = empty();
    let server = standins::glance_v1(Arc::clone(&store)).await;
    let service = GlanceV1::open("there", options(Dialect::GlanceV1, server.address)).await.unwrap();
    fixture(store, Arc::new(service)).keeping(server)
}

async fn compute_images() -> Fixture {
    let store = empty();
    let server = standins::nova(Arc::clone(&store)).await;
    let service = ComputeImages::open(options(Dialect::ComputeImages, server.address)).await.unwrap();
    fixture(store, Arc::new(service)).keeping(server)
}

mod of_glance_v1 {
    use super::glance_v1;

    super::carried::reading_cases!([] glance_v1,
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

mod of_compute_images {
    use super::compute_images;

    super::carried::reading_cases!([] compute_images,
        paging: [a_position_holds_when_its_image_has_moved,],
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
