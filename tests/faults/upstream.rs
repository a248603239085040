//! A real server that keeps to the rules until it is told not to.
//!
//! Behind it is this program's own front door over a store in memory, so what it says while it is well is what a
//! service says. It is spoken to through real sockets, and writes its answers itself, byte by byte, because what it is
//! for no HTTP library would do. Each connection carries one request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::fault::Fault;
use crate::misbehaviour;

/// Which requests are answered badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// All of them.
    Everywhere,
    /// Those for image data.
    InData,
}

/// How the server is at the moment. `None` is well.
pub(crate) type Mood = Option<(Fault, Where)>;

/// A server on loopback that misbehaves as it is told. It is gone when this is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    inside: Router,
    taken: Arc<AtomicUsize>,
    serving: Option<JoinHandle<()>>,
    /// Keeps the port while nobody listens, so that no other test is given it.
    _port: TcpSocket,
}

impl Upstream {
    /// Serves `inside`, well.
    pub(crate) async fn before(inside: Router) -> Self {
        let port = socket();
        port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = port.local_addr().unwrap();
        let mut upstream = Self { address, inside, taken: Arc::default(), serving: None, _port: port };
        upstream.turn(None).await;
        upstream
    }

    /// Cuts all connections, and is in this mood from now on.
    pub(crate) async fn turn(&mut self, mood: Mood) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            drop(serving.await);
        }
        if matches!(mood, Some((Fault::RefusesConnections, Where::Everywhere))) {
            return;
        }
        let socket = socket();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(1024).unwrap();
        self.serving =
            Some(tokio::spawn(serve(listener, mood, self.inside.clone(), Arc::clone(&self.taken))));
    }

    /// How many connections it has taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// A socket that may share its port with the one that keeps it.
fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket
}

async fn serve(listener: TcpListener, mood: Mood, inside: Router, taken: Arc<AtomicUsize>) {
    let inside = Arc::new(inside);
    let mut open = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        taken.fetch_add(1, Ordering::Relaxed);
        open.spawn(attend(stream, mood, Arc::clone(&inside)));
        while open.try_join_next().is_some() {}
    }
}

/// One connection. What goes wrong with it is the client's doing, or meant.
async fn attend(mut stream: TcpStream, mood: Mood, inside: Arc<Router>) {
    let everywhere = mood.filter(|(_, place)| *place == Where::Everywhere).map(|(fault, _)| fault);
    match everywhere {
        Some(Fault::ResetsConnections) => return misbehaviour::reset(&stream),
        Some(Fault::SilentAtOnce) => return until_gone(stream).await,
        _ => {}
    }
    let Some(request) = read(&mut stream).await else { return };
    let is_for_data = request.uri().path().ends_with("/file");
    let fault = mood.filter(|(_, place)| *place == Where::Everywhere || is_for_data).map(|(fault, _)| fault);
    drop(misbehaviour::answer(stream, fault, request, &inside).await);
}

/// Holds a connection for as long as its client does.
pub(crate) async fn until_gone(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

/// Reads a request with a body of announced length or none. `None` if the client goes away.
async fn read(stream: &mut TcpStream) -> Option<Request<Body>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut body = bytes.split_off(head + 4);
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(target);
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        request = request.header(name, value.trim());
    }
    let length = request.headers_ref().unwrap().get("content-length");
    let length: usize = length.map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request.body(Body::from(Bytes::from(body))).unwrap())
}
