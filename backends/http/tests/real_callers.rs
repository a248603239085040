//! The conformance suite on a real Glance that is shown each caller's own token, and decides by itself.
//!
//! Ignored unless asked for, and failing if the Glance and the callers are not named: three members of different
//! projects, and an administrator of a fourth, each as `project:token`.
//!
//! With its default policies Glance hides an image without an owner from all but administrators. That is its
//! decision, and so `an_image_without_owner_is_read_by_all_and_changed_by_administrators` fails there.
//!
//! ```text
//! PORTICO_TEST_GLANCE=http://127.0.0.1:9292 PORTICO_TEST_CALLERS="p1:t1 p2:t2 p3:t3 p4:t4" \
//!     cargo test -p portico-http --test real_callers -- --ignored
//! ```

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use image_service::conformance::{Callers, Fixture};
use image_service::{Caller, Secret};
use portico_http::{Auth, Dialect, GlanceV2, Options};

fn callers() -> Callers {
    let text =
        std::env::var("PORTICO_TEST_CALLERS").expect("PORTICO_TEST_CALLERS names the callers to test with");
    let callers: Vec<Caller> = text
        .split_whitespace()
        .map(|caller| {
            let (project, token) = caller.split_once(':').expect("a caller is a project and a token");
            Caller { token: Some(Secret::new(token)), ..Caller::member_of(project) }
        })
        .collect();
    let [owner, other, third, admin] = <[Caller; 4]>::try_from(callers).expect("four callers");
    let admin = Caller { roles: Caller::administrator().roles, ..admin };
    Callers { owner, other, third, admin }
}

async fn glance() -> Fixture {
    let endpoint =
        std::env::var("PORTICO_TEST_GLANCE").expect("PORTICO_TEST_GLANCE names the Glance to test with");
    let options =
        Options { auth: Auth::Caller {}, ..Options::new(Dialect::GlanceV2, endpoint.parse().unwrap()) };
    Fixture::new(Arc::new(GlanceV2::open("real", options).await.unwrap())).with_callers(callers())
}

image_service::conformance!(
    #[ignore = "needs a real Glance, and callers that it knows"]
    glance
);
