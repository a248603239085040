//! Requests to one Keystone within bounds of time, size and number. It must not know what answers mean.

use std::sync::Once;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use tokio::sync::Semaphore;

use crate::{Address, Failure, Options, Unusable};

/// No more idle connections are kept, however many there may be at once.
const IDLE_CONNECTIONS: usize = 8;

/// How requests get to Keystone.
#[derive(Debug)]
pub(crate) struct Wire {
    client: Client,
    address: Address,
    calls: Semaphore,
    answer_timeout: Duration,
    max_response: u64,
}

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Wire {
    pub(crate) async fn open(options: &Options) -> Result<Self, Unusable> {
        Ok(Self {
            client: client(options).await?,
            address: options.url.clone(),
            calls: Semaphore::new(options.calls.get().min(Semaphore::MAX_PERMITS)),
            answer_timeout: options.answer_timeout,
            max_response: options.max_response.as_u64(),
        })
    }

    /// A request for a path of the API, with nothing in it yet.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.address.v3(path))
    }

    /// Sends a request and gives the whole answer.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Reply, Failure> {
        let late = |_| Failure::Silent(String::from("keystone did not answer in time"));
        tokio::time::timeout(self.answer_timeout, self.send_in_turn(request)).await.map_err(late)?
    }

    async fn send_in_turn(&self, request: RequestBuilder) -> Result<Reply, Failure> {
        let closed = |_| Failure::Silent(String::from("keystone is not asked any more"));
        let _turn = self.calls.acquire().await.map_err(closed)?;
        let mut response = request.send().await.map_err(silence)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(silence)? {
            if body.len() as u64 + chunk.len() as u64 > self.max_response {
                return Err(Failure::nonsense(format_args!("an answer of over {} bytes", self.max_response)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: body.freeze() })
    }
}

/// The failure for a request that got no answer, with all that led to it.
fn silence(error: reqwest::Error) -> Failure {
    let mut text = String::from(if error.is_connect() {
        "keystone cannot be reached"
    } else if error.is_timeout() {
        "keystone did not answer in time"
    } else {
        "keystone broke off"
    });
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    for cause in causes {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    Failure::Silent(text)
}

async fn client(options: &Options) -> Result<Client, Unusable> {
    static CRYPTOGRAPHY: Once = Once::new();
    // An error means that the program has chosen a provider already, which is as good.
    CRYPTOGRAPHY.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut builder = Client::builder()
        .user_agent(concat!("portico/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.calls.get().min(IDLE_CONNECTIONS));
    if let Some(file) = &options.ca_file {
        let told = |what: &str| format!("ca_file: '{}' {what}", file.display());
        let unreadable = |source| Unusable::because(told("cannot be read"), source);
        let pem = tokio::fs::read(file).await.map_err(unreadable)?;
        let malformed = |source| Unusable::because(told("holds no certificates in PEM"), source);
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(malformed)?;
        if authorities.is_empty() {
            return Err(Unusable::new(told("holds no certificates in PEM")));
        }
        builder = builder.tls_certs_only(authorities);
    } else if options.url.is_plain() {
        // Plain HTTP needs no authorities, and a system that has none must not stand in its way.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|source| Unusable::because(String::from("no HTTP client can be made"), source))
}
