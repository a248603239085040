//! Fetches what a client names by URL, and never from where it must not.
//!
//! A service that fetches URLs for its clients can be made to ask what only it can reach: its own host, the network
//! behind it, a cloud's metadata service. So a URL is held to rules before anything is asked ([`Fetcher::check`]), and
//! every address that a name stands for is judged at the moment of the connection, which is then made to an address
//! that has passed: a name that means something else a moment later gains nothing. Redirects are followed by hand, each
//! held to the same rules. No proxy of the environment comes between.
//!
//! By default only public addresses, the schemes `http` and `https` and their own ports are allowed; see [`Settings`].
//!
//! This crate must not know what is fetched, or why.

mod address;
mod part;
mod resolver;
mod settings;
mod transfer;

use std::ops::Range;
use std::sync::{Arc, Once};

use image_service::{ByteStream, Error, ErrorKind, Result};
use reqwest::header::{CONTENT_ENCODING, HeaderValue, LOCATION, RANGE};
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use address::Networks;
use resolver::{Forbidden, Guarded};
pub use resolver::{Resolving, SystemResolver};
pub use settings::Settings;

/// Fetches within its settings.
#[derive(Debug, Clone)]
pub struct Fetcher {
    settings: Arc<Settings>,
    networks: Arc<Networks>,
    client: Client,
}

/// What is being fetched.
pub struct Fetched {
    /// How many bytes the server says will come.
    pub size: Option<u64>,
    /// The bytes. They end in an error if fewer come than were announced, too many, or none for too long.
    pub stream: ByteStream,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetched").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Gets ready to fetch, with names resolved as the system does.
    ///
    /// # Errors
    /// `Internal` if no client can be made.
    pub fn new(settings: Settings) -> Result<Self> {
        Self::with_resolver(settings, SystemResolver)
    }

    /// The same with names resolved by `resolver`. What it gives is judged like any other address.
    ///
    /// # Errors
    /// `Internal` if no client can be made.
    pub fn with_resolver(settings: Settings, resolver: impl Resolving) -> Result<Self> {
        static CRYPTOGRAPHY: Once = Once::new();
        // An error means that the program has chosen a provider already, which is as good.
        CRYPTOGRAPHY.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let networks = Arc::new(Networks::new(settings.allow_networks.clone()));
        let client = Client::builder()
            .user_agent(concat!("portico/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .connect_timeout(settings.connect_timeout)
            // Each connection is judged anew.
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Guarded::new(resolver, Arc::clone(&networks))))
            .build()
            .map_err(|error| Error::new(ErrorKind::Internal, "no client can be made").with_source(error))?;
        Ok(Self { settings: Arc::new(settings), networks, client })
    }

    /// Lets through a URL that may be fetched, as far as that can be said without asking anybody.
    ///
    /// # Errors
    /// `Invalid`, with what is not allowed about it.
    pub fn check(&self, url: &str) -> Result<Url> {
        // Blanks and line breaks would be dropped without a word, and what was checked would not be what was written.
        if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Error::invalid("the URL has blanks or control characters in it"));
        }
        let url = Url::parse(url).map_err(|_| Error::invalid("the URL cannot be read"))?;
        self.admit(&url)?;
        Ok(url)
    }

    fn admit(&self, url: &Url) -> Result<()> {
        let settings = &self.settings;
        if !settings.schemes.iter().any(|scheme| scheme == url.scheme()) {
            return Err(Error::invalid(format!("URLs of the scheme '{}' are not fetched", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid("URLs with credentials are not fetched"));
        }
        let port = url.port_or_known_default().ok_or_else(|| Error::invalid("the URL has no port"))?;
        if !settings.ports.is_empty() && !settings.ports.contains(&port) {
            return Err(Error::invalid(format!("nothing is fetched from port {port}")));
        }
        let allowed = match url.host() {
            Some(Host::Domain(name)) => self.admits_name(name.trim_end_matches('.')),
            Some(Host::Ipv4(address)) => {
                self.networks.admit(address.into()) && self.admits_name(&address.to_string())
            }
            Some(Host::Ipv6(address)) => {
                self.networks.admit(address.into()) && self.admits_name(&address.to_string())
            }
            None => false,
        };
        if allowed { Ok(()) } else { Err(Error::invalid("nothing is fetched from this host")) }
    }

    fn admits_name(&self, name: &str) -> bool {
        let settings = &self.settings;
        let listed = |hosts: &[String]| hosts.iter().any(|host| settings::is_within(name, host));
        !name.is_empty()
            && (settings.allow_hosts.is_empty() || listed(&settings.allow_hosts))
            && !listed(&settings.deny_hosts)
    }

    /// Fetches a URL, redirects followed.
    ///
    /// # Errors
    /// `Invalid` for a URL, a redirect or an address that is not allowed, and if the server has not answered with data;
    /// `Refused` or `TimedOut` if it cannot be reached; `TooLarge` if it announces too much.
    pub async fn open(&self, url: &str) -> Result<Fetched> {
        let (response, end) = self.answer(url, None).await?;
        if response.status() != StatusCode::OK {
            return Err(status(&response));
        }
        self.taken(response, end)
    }

    /// Fetches the bytes of `range`, which is not empty, of the `total` that lie at a URL.
    ///
    /// From a server that knows no ranges the bytes before are fetched too, and thrown away. The size is that of the
    /// range; fewer bytes end in an error.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `Invalid` if the server sends another part; `Corrupt` if it has another number of
    /// bytes in all.
    pub async fn open_range(&self, url: &str, range: Range<u64>, total: u64) -> Result<Fetched> {
        let last = range.end.saturating_sub(1);
        let (response, end) = self.answer(url, Some(&format!("bytes={}-{last}", range.start))).await?;
        let length = last.saturating_sub(range.start).saturating_add(1);
        let (found, skip) = match response.status() {
            StatusCode::PARTIAL_CONTENT => match part::content_range(&response) {
                Some(part) if part.range == range => (part.total, 0),
                _ => return Err(Error::invalid("the server sends another part than was asked for")),
            },
            StatusCode::OK => (response.content_length(), range.start),
            _ => return Err(status(&response)),
        };
        if found.is_some_and(|found| found != total) {
            let message = format!("the server does not have the {total} bytes that it should");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let stream = part::exactly(self.taken(response, end)?.stream, skip, length);
        Ok(Fetched { size: Some(length), stream })
    }

    /// How many bytes lie at a URL, if the server says so. Its data is not read.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn size(&self, url: &str) -> Result<Option<u64>> {
        // A URL may be made for GET alone; and one byte is less for the server to send in vain than all of them.
        let (response, end) = self.answer(url, Some("bytes=0-0")).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let total = part::content_range(&response).and_then(|part| part.total);
                self.taken(response, end)?;
                Ok(total)
            }
            // No byte is in a range of nothing.
            StatusCode::RANGE_NOT_SATISFIABLE if part::is_of_nothing(&response) => Ok(Some(0)),
            StatusCode::OK => Ok(self.taken(response, end)?.size),
            _ => Err(status(&response)),
        }
    }

    /// The first answer that is no redirect, and until when all of it must have come.
    async fn answer(&self, url: &str, range: Option<&str>) -> Result<(Response, Instant)> {
        let mut url = self.check(url)?;
        let end = Instant::now() + self.settings.longest;
        for _ in 0..=self.settings.redirects {
            let response = self.ask(url.clone(), range, end).await?;
            if !response.status().is_redirection() {
                return Ok((response, end));
            }
            url = self.next(&url, &response)?;
        }
        Err(Error::invalid("the server redirects too often"))
    }

    async fn ask(&self, url: Url, range: Option<&str>, end: Instant) -> Result<Response> {
        let until = end.min(Instant::now() + self.settings.answer_timeout);
        let mut request = self.client.get(url);
        if let Some(range) = range.and_then(|range| HeaderValue::from_str(range).ok()) {
            request = request.header(RANGE, range);
        }
        match timeout_at(until, request.send()).await {
            Ok(answer) => answer.map_err(unreachable),
            Err(_) => Err(Error::new(ErrorKind::TimedOut, "the server did not answer in time")),
        }
    }

    /// Where a redirect leads, if that may be fetched, and nothing that was private becomes public on the way.
    fn next(&self, from: &Url, response: &Response) -> Result<Url> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| Error::invalid("the server redirects to nowhere"))?;
        let to = from.join(location).map_err(|_| Error::invalid("the server redirects to nowhere"))?;
        self.admit(&to)?;
        if from.scheme() == "https" && to.scheme() != "https" {
            return Err(Error::invalid("the server redirects from https to http"));
        }
        Ok(to)
    }

    fn taken(&self, response: Response, end: Instant) -> Result<Fetched> {
        let encoded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
        if response.headers().get_all(CONTENT_ENCODING).iter().any(encoded) {
            return Err(Error::invalid("the server sends the data encoded"));
        }
        let (size, most) = (response.content_length(), self.settings.most_bytes.as_u64());
        if size.is_some_and(|size| size > most) {
            return Err(transfer::too_large(most));
        }
        let stream = transfer::stream(response, self.settings.idle_timeout, end, most);
        Ok(Fetched { size, stream })
    }
}

fn status(response: &Response) -> Error {
    Error::invalid(format!("the server answered with status {}", response.status().as_u16()))
}

/// Why no answer came, in words that tell a client nothing of the networks here.
fn unreachable(error: reqwest::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<Forbidden>() {
            return Error::invalid("nothing is fetched from this host");
        }
        cause = error.source();
    }
    let (kind, what) = if error.is_timeout() {
        (ErrorKind::TimedOut, "the server cannot be reached in time")
    } else {
        (ErrorKind::Refused, "the server cannot be reached")
    };
    // The URL may hold what somebody wants to keep for themselves.
    Error::new(kind, what).with_source(error.without_url())
}
