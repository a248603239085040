//! Every promise of the contract, on a directory.

use std::sync::Arc;

use bytesize::ByteSize;
use image_service::conformance::Fixture;
use portico_local::{Durability, Options};

/// In the smallest pieces, so that little data makes many; nothing here loses its power.
async fn directory() -> Fixture {
    let directory = tempfile::tempdir().expect("a directory for the case");
    let options = Options {
        chunk_size: ByteSize::kib(4),
        sync: Durability::Process,
        ..Options::at(directory.path().join("images"))
    };
    let service = portico_local::open("local", options).await.expect("a new directory opens");
    Fixture::new(service).keeping(directory)
}

image_service::conformance!(directory);

mod as_it_comes {
    use super::*;

    /// With nothing set but the path.
    async fn defaults() -> Fixture {
        let directory = tempfile::tempdir().expect("a directory for the case");
        let local = portico_local::Local::open("local", Options::at(directory.path())).await;
        Fixture::new(Arc::new(local.expect("a new directory opens"))).keeping(directory)
    }

    image_service::conformance!(defaults);
}
