//! The dialect `compute-images` on a real Nova: the reading part of the conformance suite.
//!
//! These tests need one, and the Glance behind it, in which the images are made, so they are ignored unless asked for,
//! and fail if these are not named. The token is an administrator's, for both. Each case takes away the images that the
//! one before made, so that only one may run at a time.
//!
//! ```text
//! PORTICO_TEST_NOVA=http://127.0.0.1:8774/v2.1 PORTICO_TEST_GLANCE=http://127.0.0.1:9292 PORTICO_TEST_TOKEN=... \
//!     cargo test -p portico-http --test real_nova -- --ignored --test-threads 1
//! ```

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod carried;

use std::sync::Arc;

use carried::{Reader, Writer, clear};
use image_service::conformance::Fixture;
use portico_http::{Auth, ComputeImages, Dialect, GlanceV2, Options};

fn options(dialect: Dialect, variable: &str) -> Options {
    let endpoint =
        std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names the service to test with"));
    let token_env = Some("PORTICO_TEST_TOKEN".to_owned());
    Options {
        auth: Auth::Token { token: None, token_file: None, token_env },
        ..Options::new(dialect, endpoint.parse().unwrap_or_else(|_| panic!("{variable} is a URL")))
    }
}

async fn compute_images() -> Fixture {
    let glance = GlanceV2::open("real", options(Dialect::GlanceV2, "PORTICO_TEST_GLANCE")).await.unwrap();
    let nova = ComputeImages::open(options(Dialect::ComputeImages, "PORTICO_TEST_NOVA")).await.unwrap();
    clear(&glance, &glance).await;
    let seen = Arc::new(Reader::new(Arc::new(nova)));
    let writer = Arc::new(Writer { store: Arc::new(glance), seen: Arc::clone(&seen) });
    Fixture::new(seen).read_only(writer).without_sharing()
}

carried::reading_cases!([#[ignore = "needs a real Nova, named by PORTICO_TEST_NOVA"]] compute_images,
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
