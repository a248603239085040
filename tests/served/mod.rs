//! Data at URLs of this machine, and a store of images whose data lies there.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use http::StatusCode;
use image_service::{ByteStream, ImageService};
use portico_web::{Durability, Options, Settings};
use tokio::task::AbortHandle;

/// Data at URLs of this machine, and the directory of the records that tell of it.
pub(crate) struct Served {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    task: AbortHandle,
    _directory: tempfile::TempDir,
}

#[derive(Default)]
struct Shelf(Mutex<Vec<Item>>);

enum Item {
    Nothing,
    Bytes(Bytes),
    /// Given to whoever comes first.
    Stream(ByteStream),
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    fn add(&self, item: Item) -> String {
        let mut shelf = self.shelf.0.lock().unwrap();
        shelf.push(item);
        format!("http://{}/{}", self.address, shelf.len() - 1)
    }

    /// Puts bytes at a URL of their own.
    pub(crate) fn put(&self, bytes: impl Into<Bytes>) -> String {
        self.add(Item::Bytes(bytes.into()))
    }

    /// Puts bytes that are still to come at a URL.
    pub(crate) fn put_stream(&self, stream: ByteStream) -> String {
        self.add(Item::Stream(stream))
    }

    /// Takes all away that lies there.
    pub(crate) fn clear(&self) {
        self.shelf.0.lock().unwrap().fill_with(|| Item::Nothing);
    }
}

async fn found(State(shelf): State<Arc<Shelf>>, Path(number): Path<usize>) -> Response {
    let mut shelf = shelf.0.lock().unwrap();
    let Some(item) = shelf.get_mut(number) else { return StatusCode::NOT_FOUND.into_response() };
    match std::mem::replace(item, Item::Nothing) {
        Item::Nothing => StatusCode::NOT_FOUND.into_response(),
        Item::Bytes(bytes) => {
            *item = Item::Bytes(bytes.clone());
            bytes.into_response()
        }
        Item::Stream(stream) => Body::from_stream(stream.fuse()).into_response(),
    }
}

/// A store of images whose data lies elsewhere, and where that is.
pub(crate) async fn web() -> (Arc<dyn ImageService>, Served) {
    let shelf = Arc::<Shelf>::default();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/{number}", axum::routing::get(found)).with_state(Arc::clone(&shelf));
    let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
    let directory = tempfile::tempdir().unwrap();
    let allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let options = Options {
        fetch: Settings { ports: Vec::new(), allow_networks, ..Settings::default() },
        sync: Durability::Process,
        ..Options::at(directory.path())
    };
    let service = portico_web::open("web", options).await.unwrap();
    (service, Served { address, shelf, task, _directory: directory })
}
