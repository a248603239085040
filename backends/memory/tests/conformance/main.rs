//! The suite on the reference backend: as it is, and seen through a view that can do next to nothing.

mod least;

use std::sync::Arc;

use image_service::conformance::Fixture;
use portico_memory::{Memory, Options};

use least::Least;

fn empty() -> Arc<Memory> {
    Arc::new(Memory::new("memory", Options::default()))
}

async fn memory() -> Fixture {
    Fixture::new(empty())
}

image_service::conformance!(memory);

/// What a service lacks, the cases must do without, and never ask for.
mod least_of_all {
    use super::*;

    async fn view() -> Fixture {
        let memory = empty();
        let view = Arc::new(Least::new(Arc::clone(&memory)));
        Fixture::new(view).read_only(memory).without_sharing().without_detail()
    }

    image_service::conformance!(view);
}
