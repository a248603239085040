//! A client that goes away ends what was asked of backends for its sake.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "federation/moody.rs"]
mod moody;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use image_service::{Caller, Context, NewImage, Upload};
use portico::api::{self, Front};
use portico::auth::none::Nobody;
use portico::federation::status::State;
use portico::federation::{Backend, Federation};
use portico::server::{Server, Stop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use moody::{Mood, Moody};

/// Longer than anything here takes, and shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// A served federation of one moody backend with one image.
struct Served {
    moody: Arc<Moody>,
    federation: Arc<Federation>,
    address: SocketAddr,
    id: String,
}

impl Served {
    async fn new() -> Self {
        let memory = portico_memory::open("memory", portico_memory::Options::default()).await.unwrap();
        let new = NewImage {
            disk_format: Some("raw".into()),
            container_format: Some("bare".into()),
            ..NewImage::default()
        };
        let context = Context::new(Caller::administrator(), "req-made");
        let image = memory.create(&context, new, Some(Upload::from_bytes("0123456789"))).await.unwrap();
        let moody = Moody::new(memory, Mood::Well);
        let backend = Backend {
            name: "moody".into(),
            kind: "memory".into(),
            description: None,
            service: moody.clone(),
            deadline: 2 * PATIENCE,
        };
        let federation = Arc::new(Federation::new(vec![backend], Default::default()).unwrap());
        let settings = api::Settings::default();
        let router = api::router(Front::new(federation.clone(), Arc::new(Nobody), settings));
        let settings = portico::server::Settings {
            connections: NonZeroUsize::new(16).unwrap(),
            head: 8 * 1024,
            headers: 20,
            head_timeout: PATIENCE,
            idle: 2 * PATIENCE,
            drain: PATIENCE,
        };
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), settings).unwrap();
        let address = server.address().unwrap();
        tokio::spawn(server.serve(router, Stop::default()));
        Self { moody, federation, address, id: image.id.to_string() }
    }

    async fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    fn under_way(&self) -> (usize, usize) {
        let status = self.federation.status();
        (status[0].calls, status[0].streams)
    }
}

#[tokio::test]
async fn a_client_that_goes_away_before_its_answer_ends_the_calls_behind() {
    let served = Served::new().await;
    served.moody.is_now(Mood::Hangs);
    let (record, file) = (format!("/v2/images/{}", served.id), format!("/v2/images/{}/file", served.id));
    for path in ["/v2/images", &record, &file] {
        let client = served.ask(path).await;
        timeout(PATIENCE, served.moody.arrived()).await.unwrap();
        assert_ne!(served.under_way(), (0, 0), "{path}");
        drop(client);
        timeout(PATIENCE, served.moody.dropped()).await.unwrap();
        assert_eq!(served.under_way(), (0, 0), "{path}");
    }
    assert_eq!(served.federation.status()[0].state, State::Ok);
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_data_ends_the_stream_behind() {
    let served = Served::new().await;
    served.moody.is_now(Mood::Stalls);
    let mut client = served.ask(&format!("/v2/images/{}/file", served.id)).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nx") {
        answer.push(timeout(PATIENCE, client.read_u8()).await.unwrap().unwrap());
    }
    assert_eq!(served.under_way(), (0, 1));
    drop(client);
    timeout(PATIENCE, served.moody.dropped()).await.unwrap();
    assert_eq!(served.under_way(), (0, 0));
}
