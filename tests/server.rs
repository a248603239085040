//! Connections on real sockets: their bounds, and their end.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures::StreamExt as _;
use portico::server::threads::{Seats, Threads};
use portico::server::{Connections, Ending, Server, Settings, Stop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes, and shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(20);

fn settings() -> Settings {
    Settings {
        connections: NonZeroUsize::new(16).unwrap(),
        head: 8 * 1024,
        headers: 20,
        head_timeout: PATIENCE,
        idle: PATIENCE,
        drain: PATIENCE,
    }
}

struct Running {
    address: SocketAddr,
    connections: Connections,
    stop: Stop,
    ending: JoinHandle<Ending>,
}

impl Running {
    fn new(settings: Settings, router: Router) -> Self {
        Self::seated(settings, Seats::default(), router)
    }

    fn seated(settings: Settings, seats: Seats, router: Router) -> Self {
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), settings).unwrap();
        let server = server.with_seats(seats);
        let (address, connections, stop) = (server.address().unwrap(), server.connections(), Stop::default());
        let ending = tokio::spawn(server.serve(router, stop.clone()));
        Self { address, connections, stop, ending }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ask(&self, head: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    async fn ended(self) -> Ending {
        timeout(PATIENCE, self.ending).await.unwrap().unwrap()
    }
}

/// Everything that comes until the connection closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

async fn until(stream: &mut TcpStream, mark: &str) -> String {
    let mut text = String::new();
    while !text.contains(mark) {
        let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap();
        text.push(char::from(byte));
    }
    text
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Answers with whatever is sent into the channel, until it closes.
fn dripping() -> (mpsc::Sender<&'static str>, Router) {
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(Some(receiver)));
    let answer = async move || {
        let receiver = receiver.lock().await.take().unwrap();
        let stream = futures::stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|piece| (Ok::<_, std::io::Error>(Bytes::from(piece)), receiver))
        });
        Body::from_stream(stream.boxed())
    };
    (sender, Router::new().route("/", get(answer)))
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_transfer_under_way_goes_on_to_its_end_while_new_clients_are_refused() {
    let (pieces, router) = dripping();
    let running = Running::new(settings(), router);
    // Clients are let in one after the other, so when the second has its answer the first one is in as well.
    let mut idle = running.connect().await;
    let mut stream = running.ask(GET).await;
    pieces.send("first").await.unwrap();
    until(&mut stream, "first").await;
    let address = running.address;

    running.stop.drain();
    assert_eq!(rest(&mut idle).await, "", "a connection that said nothing closes at once");
    assert!(TcpStream::connect(address).await.is_err());
    pieces.send("last").await.unwrap();
    drop(pieces);
    let answer = rest(&mut stream).await;
    assert!(answer.contains("last") && answer.ends_with("0\r\n\r\n"), "{answer:?}");
    assert_eq!(running.ended().await, Ending::Drained);
}

#[tokio::test]
async fn a_connection_between_two_requests_closes_when_the_server_ends() {
    let running = Running::new(settings(), hello());
    let mut stream = running.ask(GET).await;
    until(&mut stream, "hello").await;
    running.stop.drain();
    assert_eq!(rest(&mut stream).await, "");
    drop(stream);
    assert_eq!(running.ended().await, Ending::Drained);
}

#[tokio::test]
async fn a_transfer_that_outlasts_the_bound_is_cut() {
    let (pieces, router) = dripping();
    let running = Running::new(Settings { drain: Duration::from_millis(50), ..settings() }, router);
    let mut stream = running.ask(GET).await;
    pieces.send("first").await.unwrap();
    until(&mut stream, "first").await;
    running.stop.drain();
    let answer = rest(&mut stream).await;
    assert!(!answer.ends_with("0\r\n\r\n"), "a cut answer must not look whole: {answer:?}");
    assert_eq!(running.ended().await, Ending::Cut(1));
}

#[tokio::test]
async fn being_told_twice_cuts_at_once() {
    let (pieces, router) = dripping();
    let running = Running::new(settings(), router);
    let mut stream = running.ask(GET).await;
    pieces.send("first").await.unwrap();
    until(&mut stream, "first").await;
    running.stop.drain();
    running.stop.cut();
    assert!(!rest(&mut stream).await.ends_with("0\r\n\r\n"));
    assert_eq!(running.ended().await, Ending::Cut(1));
}

#[tokio::test]
async fn a_head_that_does_not_come_whole_in_time_is_not_waited_for() {
    let running = Running::new(Settings { head_timeout: Duration::from_millis(50), ..settings() }, hello());
    let mut slow = running.ask("GET / HTTP/1.1\r\nHost: a\r\nX-Slow").await;
    let answer = rest(&mut slow).await;
    assert!(!answer.contains("hello"), "{answer:?}");
    let mut silent = running.connect().await;
    assert_eq!(rest(&mut silent).await, "");
}

#[tokio::test]
async fn a_head_beyond_the_bounds_is_431() {
    let running = Running::new(settings(), hello());
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(9 * 1024));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(30));
    for head in [long, many] {
        let answer = rest(&mut running.ask(&head).await).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    }
}

#[tokio::test]
async fn beyond_the_most_connections_a_client_waits_for_another_to_leave() {
    let settings = Settings { connections: NonZeroUsize::MIN, ..settings() };
    let running = Running::new(settings, hello());
    let mut first = running.ask(GET).await;
    until(&mut first, "hello").await;
    let mut second = running.ask(GET).await;
    let early = timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(early.is_err(), "the second client must wait");
    drop(first);
    until(&mut second, "hello").await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let (gone, mut notice) = mpsc::channel::<()>(1);
    let answer = async move || {
        let endless = futures::stream::unfold(gone.clone(), async |gone| {
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![0; 64 * 1024])), gone))
        });
        Body::from_stream(endless.boxed())
    };
    let router = Router::new().route("/", get(answer));
    let running = Running::new(Settings { idle: Duration::from_millis(100), ..settings() }, router);
    let mut stream = running.ask(GET).await;
    until(&mut stream, "\r\n\r\n").await;
    running.stop.drain();
    // Only the cut can end this drain: the answer has no end and the client keeps its side open.
    assert_eq!(running.ended().await, Ending::Drained);
    assert!(notice.recv().await.is_none());
    drop(stream);
}

#[tokio::test]
async fn a_client_that_is_still_sending_can_read_that_it_was_refused() {
    let router = Router::new().route("/", post(async || http::StatusCode::PAYLOAD_TOO_LARGE));
    let running = Running::new(settings(), router);
    let mut stream = running.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n").await;
    let (mut reading, mut writing) = stream.split();
    let piece = vec![0; 4_000_000];
    let (sent, answer) = tokio::join!(writing.write_all(&piece), async {
        let mut answer = Vec::new();
        timeout(PATIENCE, reading.read_to_end(&mut answer)).await.unwrap().unwrap();
        answer
    });
    sent.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "));
}

#[tokio::test]
async fn an_address_in_use_is_refused() {
    let running = Running::new(settings(), hello());
    let error = Server::bind(running.address, settings()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn open_connections_are_counted_until_they_close() {
    let running = Running::new(settings(), hello());
    let connections = running.connections.clone();
    assert_eq!(connections.count(), 0);
    let (mut first, mut second) = (running.ask(GET).await, running.ask(GET).await);
    until(&mut first, "hello").await;
    until(&mut second, "hello").await;
    assert_eq!(connections.count(), 2);
    running.stop.drain();
    assert_eq!(rest(&mut first).await + &rest(&mut second).await, "");
    assert_eq!(running.ended().await, Ending::Drained);
    assert_eq!(connections.count(), 0);
}

/// Tells on which thread it is answered.
fn whereabouts() -> Router {
    Router::new().route("/", get(async || format!("({})", std::thread::current().name().unwrap_or_default())))
}

/// Asks who answers on this connection.
async fn thread_of(stream: &mut TcpStream) -> String {
    stream.write_all(GET.as_bytes()).await.unwrap();
    let text = until(stream, ")").await;
    text.split_once('(').unwrap().1.to_owned()
}

#[tokio::test]
async fn connections_are_spread_over_the_threads_and_each_stays_on_its_own() {
    let threads = Threads::start(NonZeroUsize::new(2).unwrap(), PATIENCE).unwrap();
    let running = Running::seated(settings(), threads.seats(), whereabouts());
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = running.connect().await;
        let thread = thread_of(&mut stream).await;
        streams.push((thread, stream));
    }
    let on =
        |name: &str, streams: &[(String, TcpStream)]| streams.iter().filter(|(on, _)| on == name).count();
    assert_eq!((on("serve-0)", &streams), on("serve-1)", &streams)), (2, 2));
    for (thread, stream) in &mut streams {
        assert_eq!(thread_of(stream).await, *thread);
    }
    // The next ones take the room of those that have gone.
    let (gone, mut streams): (Vec<_>, Vec<_>) = streams.into_iter().partition(|(on, _)| on == "serve-1)");
    for (_, mut stream) in gone {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        rest(&mut stream).await;
    }
    let connections = running.connections.clone();
    let gone = async {
        while connections.count() > 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    for _ in 0..2 {
        let mut stream = running.connect().await;
        streams.push((thread_of(&mut stream).await, stream));
    }
    assert_eq!((on("serve-0)", &streams), on("serve-1)", &streams)), (2, 2));
    running.stop.drain();
    assert_eq!(running.ended().await, Ending::Drained);
}

#[tokio::test]
async fn what_is_under_way_on_other_threads_is_waited_for_and_cut_like_any() {
    for is_cut in [false, true] {
        let threads = Threads::start(NonZeroUsize::MIN, PATIENCE).unwrap();
        let (pieces, router) = dripping();
        let running = Running::seated(settings(), threads.seats(), router);
        let mut stream = running.ask(GET).await;
        pieces.send("first").await.unwrap();
        until(&mut stream, "first").await;
        running.stop.drain();
        if is_cut {
            running.stop.cut();
            assert_eq!(running.ended().await, Ending::Cut(1));
        } else {
            pieces.send("last").await.unwrap();
            drop(pieces);
            assert!(rest(&mut stream).await.contains("last"));
            assert_eq!(running.ended().await, Ending::Drained);
        }
    }
}
