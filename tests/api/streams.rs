//! Data over a real connection: streamed, held back, broken off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use image_service::{
    ByteRange, Capabilities, Context, Data, Download, Image, ImageChange, ImageId, ImageService, Locations,
    NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::door::{Door, memory};
use crate::flawed::{FIRST, Flaw, Flawed};

const MIB: u64 = 1 << 20;

/// Serves a door on a port of its own, and connects to it.
async fn connect(door: &Door) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = door.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    TcpStream::connect(address).await.unwrap()
}

async fn send(stream: &mut TcpStream, head: &str) {
    let head = format!("{head}\r\nHost: x\r\nX-Caller: a\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// Everything up to the end of the connection, however that ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it should not hang")
}

#[tokio::test]
async fn a_download_that_cannot_be_finished_breaks_the_connection() {
    static WHOLE: [u8; 2 * FIRST] = [0; 2 * FIRST];
    let inner: Arc<dyn ImageService> = Arc::new(memory());
    let id = Door::to(Arc::clone(&inner)).active(&WHOLE).await;
    let door = Door::to(Arc::new(Flawed { inner, flaw: Flaw::BreaksOff }));
    let mut stream = connect(&door).await;
    send(&mut stream, &format!("GET /v2/images/{id}/file HTTP/1.1")).await;
    let answer = within(rest(&mut stream)).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200") && !head.contains("chunked"), "{head}");
    assert!(head.contains(&format!("content-length: {}", WHOLE.len())), "{head}");
    assert!(body.len() < WHOLE.len(), "a part was served as the whole");
}

#[tokio::test]
async fn an_upload_whose_client_goes_away_leaves_a_queued_image() {
    let door = Door::to_memory();
    let id = door.queued().await;
    let mut stream = connect(&door).await;
    let head = format!(
        "PUT /v2/images/{id}/file HTTP/1.1\r\nContent-Type: application/octet-stream\r\nContent-Length: 100"
    );
    send(&mut stream, &head).await;
    stream.write_all(b"only this").await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = within(rest(&mut stream)).await;
    // The server may or may not get its answer out to a client that has half gone.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    let image = door.show(&id).await;
    assert_eq!((image["status"].as_str(), image["size"].as_u64()), (Some("queued"), None));
}

/// A service with one endless image, which counts what is taken from it and tells what is given to it.
#[derive(Debug)]
struct Scripted {
    inner: Arc<dyn ImageService>,
    taken: Arc<AtomicU64>,
    given: mpsc::UnboundedSender<Bytes>,
}

#[async_trait]
impl ImageService for Scripted {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.inner.index(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.inner.detail(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.inner.show(context, id).await
    }

    async fn get(&self, context: &Context, id: &ImageId, _: Option<ByteRange>) -> Result<Download> {
        let image = self.inner.show(context, id).await?;
        let taken = Arc::clone(&self.taken);
        let piece = Bytes::from(vec![7; 64 << 10]);
        let stream = futures::stream::repeat_with(move || {
            taken.fetch_add(piece.len() as u64, Ordering::SeqCst);
            Ok(piece.clone())
        });
        let total = 1024 * 1024 * MIB;
        Ok(Download { image, data: Some(Data::new(0..total, total, Box::pin(stream))) })
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        self.inner.create(context, image, data).await
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        let given = self.given.clone();
        let data = data.map(|upload| {
            let stream = upload.stream.inspect(move |piece| {
                if let Ok(piece) = piece {
                    given.send(piece.clone()).expect("the test listens");
                }
            });
            Upload { stream: Box::pin(stream), ..upload }
        });
        self.inner.update(context, id, change, data).await
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.inner.delete(context, id).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        self.inner.sharing()
    }

    fn stores(&self) -> Option<&dyn Stores> {
        self.inner.stores()
    }

    fn locations(&self) -> Option<&dyn Locations> {
        self.inner.locations()
    }
}

fn scripted() -> (Door, Arc<AtomicU64>, mpsc::UnboundedReceiver<Bytes>) {
    let (given, received) = mpsc::unbounded_channel();
    let taken = Arc::new(AtomicU64::new(0));
    let service = Scripted { inner: Arc::new(memory()), taken: Arc::clone(&taken), given };
    (Door::to(Arc::new(service)), taken, received)
}

#[tokio::test]
async fn a_download_goes_no_faster_than_its_client() {
    let (door, taken, _received) = scripted();
    let id = door.queued().await;
    let mut stream = connect(&door).await;
    send(&mut stream, &format!("GET /v2/images/{id}/file HTTP/1.1")).await;
    let mut read = vec![0; usize::try_from(MIB).unwrap()];
    for mebibytes in 1..=16 {
        within(stream.read_exact(&mut read)).await.unwrap();
        // What may lie between is the kernel's buffers, and a little of the server's.
        let ahead = taken.load(Ordering::SeqCst).saturating_sub(mebibytes * MIB);
        assert!(ahead < 64 * MIB, "{ahead} bytes ahead of the client");
    }
}

#[tokio::test]
async fn an_upload_reaches_the_service_while_it_is_still_coming() {
    let (door, _taken, mut received) = scripted();
    let id = door.queued().await;
    let mut stream = connect(&door).await;
    let head = format!(
        "PUT /v2/images/{id}/file HTTP/1.1\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked"
    );
    send(&mut stream, &head).await;
    for word in ["one", "two", "three"] {
        stream.write_all(format!("{:x}\r\n{word}\r\n", word.len()).as_bytes()).await.unwrap();
        assert_eq!(within(received.recv()).await.unwrap(), word);
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(within(rest(&mut stream)).await.starts_with("HTTP/1.1 204"));
    assert_eq!(door.show(&id).await["size"], 11);
}
