//! Names to addresses that may be connected to, at the moment of the connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving as Pending};

use crate::address::Networks;

/// Resolves names.
pub trait Resolving: Send + Sync + 'static {
    /// The addresses that `name` stands for now.
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// Resolves names as the system does.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolving for SystemResolver {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        async move {
            let addresses = tokio::net::lookup_host((name, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

/// A name stands for no address that may be connected to.
#[derive(Debug)]
pub(crate) struct Forbidden;

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name stands for no address that may be connected to")
    }
}

impl std::error::Error for Forbidden {}

/// Gives away only the addresses that may be connected to.
pub(crate) struct Guarded<R> {
    inner: R,
    networks: Arc<Networks>,
}

impl<R> Guarded<R> {
    pub(crate) const fn new(inner: R, networks: Arc<Networks>) -> Self {
        Self { inner, networks }
    }
}

impl<R: Resolving> Resolve for Guarded<R> {
    fn resolve(&self, name: Name) -> Pending {
        let (resolving, networks) =
            (self.inner.resolve(name.as_str().to_owned()), Arc::clone(&self.networks));
        Box::pin(async move {
            let mut addresses = resolving.await?;
            addresses.retain(|address| networks.admit(*address));
            if addresses.is_empty() {
                return Err(Forbidden.into());
            }
            // The port is the URL's.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
