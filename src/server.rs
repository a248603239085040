//! Connections: accepted within bounds, served, and brought to an end in good order.
//!
//! The head of a request is bounded in size, number of headers and time; so are a TLS handshake ([`tls`]) and the
//! time for which a client may leave a response untaken ([`patience`]). There are never more connections than the bound: the next one is
//! accepted when one ends, and waits in the kernel's own bounded queue until then. What requests ask for is
//! the router's business; this module must not know it.
//!
//! **The end.** When [`Stop::drain`] is called the listener closes at once, idle connections close, and requests
//! under way go on until they are done, [`Settings::drain`] has passed, or [`Stop::cut`] is called.

mod carried;
mod connection;
mod lasting;
mod patience;
mod signals;
pub mod threads;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use signals::Signals;
use threads::Seats;
use tls::Tls;

/// How many connections the kernel keeps waiting to be accepted.
const BACKLOG: u32 = 1024;

/// How long to wait when the system has no room for another connection.
const BREATH: Duration = Duration::from_millis(100);

/// The bounds on connections. Their defaults are the configuration's.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most connections at once.
    pub connections: NonZeroUsize,
    /// Most bytes of a request's head, no fewer than 8 KiB.
    pub head: usize,
    /// Most headers of a request.
    pub headers: usize,
    /// How long a head may take, and a connection be idle.
    pub head_timeout: Duration,
    /// How long a client may take nothing of a response.
    pub idle: Duration,
    /// How long requests under way may go on after [`Stop::drain`].
    pub drain: Duration,
}

/// Tells a server to end. Clones tell the same server.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    drain: CancellationToken,
    cut: CancellationToken,
}

impl Stop {
    /// Lets the server end in good order.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Ends the server now, whatever is under way.
    pub fn cut(&self) {
        self.drain.cancel();
        self.cut.cancel();
    }

    /// Whether an end has been asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.drain.is_cancelled()
    }
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every request under way was done.
    Drained,
    /// This many connections were cut.
    Cut(usize),
}

/// How many connections a server has, for as long as anybody wants to know.
#[derive(Debug, Clone, Default)]
pub struct Connections(TaskTracker);

impl Connections {
    /// Those that are open now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    settings: Settings,
    tls: Option<Tls>,
    seats: Seats,
    open: Connections,
}

impl Server {
    /// Binds `address`; clients can connect from now on, and wait.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn bind(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait for the last connections of the process before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        Ok(Self { listener, settings, tls: None, seats: Seats::default(), open: Connections::default() })
    }

    /// The same, speaking TLS if `tls` says how. A handshake may take as long as a head.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The same, with its connections served on other threads, if `seats` has any.
    #[must_use]
    pub fn with_seats(self, seats: Seats) -> Self {
        Self { seats, ..self }
    }

    /// The address that is bound, with the real port.
    ///
    /// # Errors
    /// The system's refusal to tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Its connections, to be counted.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.open.clone()
    }

    /// Serves `router` until told to stop. Every task it has started has ended when it returns.
    pub async fn serve(self, router: Router, stop: Stop) -> Ending {
        let Self { listener, settings, tls, seats, open } = self;
        let settings = Arc::new(settings);
        let permits = Arc::new(Semaphore::new(settings.connections.get()));
        let mut connections = JoinSet::new();
        loop {
            let (stream, permit) = tokio::select! {
                biased;
                () = stop.drain.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&listener, &permits) => accepted,
            };
            let (tls, router, settings, stop) =
                (tls.clone(), router.clone(), Arc::clone(&settings), stop.clone());
            let counted = open.0.token();
            seats.give(&mut connections, stream, async move |stream| {
                connection::begin(stream, tls, router, settings, stop).await;
                drop((permit, counted));
            });
        }
        drop(listener);
        end(connections, settings.drain, &stop).await
    }
}

/// Waits for room, then for a client.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a permit in the end.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(error = %error, "no connection can be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Whether a client went away before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Lets the connections end by themselves for as long as they may, then ends them.
async fn end(mut connections: JoinSet<()>, bound: Duration, stop: &Stop) -> Ending {
    tracing::info!(connections = connections.len(), "draining");
    let drained = tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => true,
        () = tokio::time::sleep(bound) => false,
        () = stop.cut.cancelled() => false,
    };
    if drained {
        return Ending::Drained;
    }
    // Some may have ended by themselves in this very moment.
    while connections.try_join_next().is_some() {}
    let cut = connections.len();
    connections.shutdown().await;
    if cut == 0 { Ending::Drained } else { Ending::Cut(cut) }
}
