//! A cache in front of another service of images, through a wire.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use image_service::{Upload, Visibility};
use portico::api::{self, Front};
use portico::auth::none::Nobody;
use portico::cache::{Cache, Clock, Settings};
use portico::federation::{self, Backend, Federation};
use portico_http::{Dialect, Options};
use tokio::net::TcpListener;

use crate::site::{bytes, collect, far, owner, raw, until};

#[tokio::test]
async fn an_image_of_a_remote_service_is_read_once() {
    let (there, data) = (far(), bytes(100_000, 1));
    let upload = Some(Upload::from_bytes(data.clone()));
    let id = there.create(&owner(), raw(Visibility::Private), upload).await.unwrap().id;
    let router = api::router(Front::new(there, Arc::new(Nobody), api::Settings::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let backend = Backend {
        name: "remote".into(),
        kind: "http".into(),
        description: None,
        service: portico_http::open("remote", Options::new(Dialect::GlanceV2, endpoint)).await.unwrap(),
        deadline: Duration::from_secs(10),
    };
    let federation = Arc::new(Federation::new(vec![backend], federation::Settings::default()).unwrap());
    let (directory, stores) = (tempfile::tempdir().unwrap(), BTreeSet::from(["remote".to_owned()]));
    let settings = Settings::at(directory.path());
    let cache = Cache::open(federation, stores, settings, Clock::default()).await.unwrap();
    for _ in 0..3 {
        let download = cache.shown().get(&owner(), &id, None).await.unwrap();
        assert_eq!(collect(download).await.unwrap(), data);
        until(|| cache.status().fills == 1).await;
    }
    assert_eq!((cache.status().misses, cache.status().hits, cache.status().passed), (1, 2, 0));
    serving.abort();
    // The remote service is gone, and the data is still here.
    let download = cache.shown().get(&owner(), &id, None).await.unwrap();
    assert_eq!(collect(download).await.unwrap(), data);
}
