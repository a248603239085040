//! The suite of the contract on a published catalogue, whose dialect is made up: what is written to a store in memory
//! shows in it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::TryStreamExt;
use image_service::conformance::Fixture;
use image_service::{
    ByteRange, Caller, Context, ImageId, ImageService, Query, Result, Scope, Support, VisibilityScope,
};
use portico_memory::Memory;
use tokio::net::TcpListener;

use super::{Dialect, Documents, File, Item, Packing, Published, PublishedDialect, PublishedOptions, Trust};

/// All images of a store in memory, each time that a document has been fetched.
#[derive(Debug)]
struct Shown {
    memory: Arc<Memory>,
    ranges: Support,
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-shown")
}

#[async_trait]
impl Dialect for Shown {
    type Document = usize;

    fn ranges(&self) -> Support {
        self.ranges
    }

    fn trust(&self) -> &Trust {
        &Trust::Anybody
    }

    async fn items(&self, documents: &mut Documents<'_, usize>) -> Result<Vec<Item>> {
        let length = documents.read("list", |document| Ok(document.bytes.len())).await?;
        assert!(*length > 0);
        let scope = Scope { visibility: VisibilityScope::All, ..Scope::default() };
        let all = self.memory.detail(&admin(), &Query { scope, ..Query::default() }).await?;
        let item = |image: image_service::Image| {
            let url = documents.source().url(&format!("data/{}", image.id))?;
            Ok(Item { image, file: File { url, packing: Packing::Plain, said: None } })
        };
        all.items.into_iter().map(item).collect()
    }
}

/// Data of the store, and parts of it.
async fn data(State(memory): State<Arc<Memory>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let range = headers.get("range").map(|range| {
        let (first, last) = range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        ByteRange::Between(first.parse().unwrap(), last.parse().unwrap())
    });
    let download = memory.get(&admin(), &ImageId::lookup(id), range).await;
    let Some(data) = download.ok().and_then(|download| download.data) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (part, total) = (data.range.clone(), data.total);
    let bytes = data.into_stream().try_collect::<Vec<Bytes>>().await.unwrap().concat();
    if range.is_none() {
        return bytes.into_response();
    }
    let sent = format!("bytes {}-{}/{total}", part.start, part.end - 1);
    (StatusCode::PARTIAL_CONTENT, [("content-range", sent)], bytes).into_response()
}

async fn shown(ranges: Support) -> Fixture {
    let memory = Arc::new(Memory::new("memory", portico_memory::Options::default()));
    let count = Arc::new(AtomicUsize::new(0));
    let list = move || {
        let count = Arc::clone(&count);
        async move { count.fetch_add(1, Ordering::Relaxed).to_string() }
    };
    let app = Router::new()
        .route("/list", get(list))
        .route("/data/{id}", get(data))
        .with_state(Arc::clone(&memory));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    // Nothing is believed to be fresh, and nothing that is not is used.
    let far = Duration::from_secs(60);
    let options = PublishedOptions {
        fresh: Duration::ZERO,
        patience: far,
        ..PublishedOptions::new(PublishedDialect::Simplestreams, endpoint)
    };
    let dialect = Shown { memory: Arc::clone(&memory), ranges };
    let published = Published::open("shown", &options, dialect).await.unwrap();
    Fixture::new(Arc::new(published)).read_only(memory).without_sharing().keeping(server)
}

async fn with_ranges() -> Fixture {
    shown(Support::Yes).await
}

image_service::conformance!(with_ranges);

/// Of a dialect whose images can only be read whole.
mod whole {
    use super::*;

    async fn without_ranges() -> Fixture {
        shown(Support::No).await
    }

    image_service::conformance!(without_ranges);
}
