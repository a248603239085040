//! Every promise of the contract, on images whose data a server on this machine has.

use std::sync::Arc;

use image_service::conformance::Fixture;
use portico_web::{Durability, Options, Settings};

use crate::server::{Found, Server};

/// Data from servers on this machine; nothing here loses its power.
async fn web() -> Fixture {
    let directory = tempfile::tempdir().expect("a directory for the case");
    let server = Arc::new(Server::start().await);
    let allow_networks = vec!["127.0.0.0/8".parse().expect("a network")];
    let options = Options {
        fetch: Settings { ports: Vec::new(), allow_networks, ..Settings::default() },
        sync: Durability::Process,
        ..Options::at(directory.path().join("images"))
    };
    let service = portico_web::open("web", options).await.expect("a new directory opens");
    let serve = move |bytes| server.put(Found::Bytes(bytes));
    Fixture::new(service).serving(serve).keeping(directory)
}

image_service::conformance!(web);
