//! The second listener: opened with the first one, and there until that one has drained.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tracing::Instrument as _;

use super::{Failure, bind};
use crate::admin::metrics::Metrics;
use crate::admin::{self, Phase, Watched};
use crate::cache::{Cache, CacheStatus};
use crate::config::Config;
use crate::federation::Federation;
use crate::federation::status::BackendStatus;
use crate::server::{self, Connections, Ending, Server, Stop};

/// The service as it is watched over.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) federation: Arc<Federation>,
    pub(super) stop: Stop,
    pub(super) connections: Connections,
    pub(super) cache: Option<Cache>,
}

impl Watched for Running {
    fn backends(&self) -> Vec<BackendStatus> {
        self.federation.status()
    }

    fn phase(&self) -> Phase {
        if self.stop.is_asked() { Phase::Draining } else { Phase::Serving }
    }

    fn connections(&self) -> usize {
        self.connections.count()
    }

    fn cache(&self) -> Option<CacheStatus> {
        self.cache.as_ref().map(Cache::status)
    }
}

/// The second listener, if there is to be one.
#[derive(Debug)]
pub(super) struct Watch(Option<(Server, Router)>);

impl Watch {
    pub(super) fn open(config: &Config, running: Running, metrics: Arc<Metrics>) -> Result<Self, Failure> {
        let Some(address) = config.admin.listen else { return Ok(Self(None)) };
        let (server, bound) = bind("admin.listen", address, watch_settings())?;
        tracing::info!("health and metrics are on http://{bound}");
        Ok(Self(Some((server, admin::router(Arc::new(running), metrics)))))
    }

    /// Answers for as long as `service` goes on, its drain included.
    pub(super) async fn during(self, service: impl Future<Output = Ending>) -> Ending {
        let Some((server, router)) = self.0 else { return service.await };
        let stop = Stop::default();
        let service = async {
            let ending = service.await;
            stop.drain();
            ending
        };
        // Who is cut off here has only watched.
        let watching = server.serve(router, stop.clone()).instrument(tracing::info_span!("admin"));
        let (ending, _) = tokio::join!(service, watching);
        ending
    }
}

/// The bounds of the second listener. Its requests have no bodies and its answers are short, so these are fixed.
const fn watch_settings() -> server::Settings {
    server::Settings {
        connections: NonZeroUsize::MIN.saturating_add(63),
        head: 8 * 1024,
        headers: 100,
        // Who scrapes twice a minute can keep the connection.
        head_timeout: Duration::from_secs(60),
        idle: Duration::from_secs(10),
        drain: Duration::from_secs(1),
    }
}
