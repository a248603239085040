//! One connection, from its first byte to its close.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::FutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::carried::Carried;
use super::lasting::Lasting;
use super::patience::Patient;
use super::tls::Tls;
use super::{Settings, Stop};
use crate::passage::Passage;

/// hyper's buffers are never smaller than this, whatever the bound on heads.
///
/// It is also the most of an upload that is read at once. Four times as much made one upload about a tenth quicker on
/// two busy processors, and many at once took almost twice the memory, so it stays at this.
const LEAST_BUFFER: usize = 128 * 1024;

/// How long a client that is still sending may take to notice that it has got its answer.
const LINGER: Duration = Duration::from_secs(2);

/// Most bytes that are thrown away meanwhile.
const MOST_LINGERED: usize = 16 * 1024 * 1024;

/// Serves `router` on `stream`, by way of TLS if there is any, until either side closes it, or `stop` asks for an end
/// and nothing is under way.
pub(super) async fn begin(
    stream: TcpStream,
    tls: Option<Tls>,
    router: Router,
    settings: Arc<Settings>,
    stop: Stop,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "a connection broke before it began");
        return;
    }
    let Some(tls) = tls else {
        let passage = Passage::default();
        let stream = Patient::new(Carried::new(stream, passage.clone()), settings.idle);
        return serve(stream, router, Some(passage), settings, stop).await;
    };
    let stream = Patient::new(stream, settings.idle);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(settings.head_timeout, tls.accept(stream)) => shaken,
        () = stop.drain.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve(stream, router, None, settings, stop).await,
        Ok(Err(error)) => tracing::debug!(error = %error, "a handshake failed"),
        Err(_) => tracing::debug!("a handshake took too long"),
    }
}

/// Serves `router` on `stream`, whose files go by way of `passage`, if there is any.
async fn serve<S>(stream: S, router: Router, passage: Option<Passage>, settings: Arc<Settings>, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        if let Some(passage) = &passage {
            request.extensions_mut().insert(passage.clone());
        }
        router.clone().oneshot(request.map(Body::new)).boxed()
    });
    let mut connection = builder(&settings).serve_connection(TokioIo::new(Lasting::new(stream)), service);
    let mut asked = false;
    let ended = loop {
        tokio::select! {
            ended = &mut connection => break ended,
            () = stop.drain.cancelled(), if !asked => {
                asked = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    match ended {
        Err(error) => tracing::debug!(error = %error, "a connection was cut off"),
        Ok(()) => close(connection.into_parts().io.into_inner().into_inner(), &stop).await,
    }
}

fn builder(settings: &Settings) -> Builder {
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .max_buf_size(settings.head.max(LEAST_BUFFER))
        // A passage goes by it that bytes are written where they lie.
        .writev(true)
        .max_header_size(settings.head)
        .max_headers(settings.headers)
        .header_read_timeout(settings.head_timeout);
    builder
}

/// Closes `stream` in a way that lets the client read the last answer.
///
/// A client that is still sending when it has been answered would have its connection reset, and could lose the
/// answer with it. So what it sends is thrown away for a little while.
async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin, stop: &Stop) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut waste = vec![0; 16 * 1024];
    let discard = async {
        let mut discarded = 0;
        while discarded < MOST_LINGERED {
            match stream.read(&mut waste).await {
                Ok(0) | Err(_) => break,
                Ok(read) => discarded += read,
            }
        }
    };
    tokio::select! {
        () = discard => {}
        () = tokio::time::sleep(LINGER) => {}
        () = stop.drain.cancelled() => {}
    }
}
