//! One server behind HTTP: how to call it within bounds of time and size, and as whom.
//!
//! Redirects are not followed and nothing is tried twice. A token goes to the configured server alone. This
//! module must not know what the server's answers mean: that is for the dialects.

use std::env::VarError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use image_service::{Context, Error, ErrorKind, Result, Secret};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tokio::io::AsyncReadExt as _;
use url::Url;

use crate::client::Client;
use crate::fault::{self, Credentials};
use crate::options::{Auth, Options, token_header};

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// Glance answers 500 to a longer request id.
const LONGEST_REQUEST_ID: usize = 64;

/// The most bytes that are read of a token file. Longer tokens fit no header.
const LONGEST_TOKEN_FILE: u64 = 64 * 1024;

/// No more room than this is made for an answer before it comes.
const LARGEST_AT_ONCE: u64 = 4 << 20;

/// Longer path segments name nothing that a server could have.
const LONGEST_SEGMENT: usize = 1024;

/// A server, and how it is spoken to.
pub(crate) struct Upstream {
    client: Client,
    base: Url,
    key: Key,
    answer_timeout: Duration,
    write_timeout: Duration,
    max_response: u64,
}

/// What is shown to the server.
enum Key {
    Nothing,
    Ours { token: RwLock<Secret>, file: Option<PathBuf> },
    Callers,
}

/// A whole answer that is not image data.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its body, within bounds.
    pub(crate) body: Bytes,
}

impl Upstream {
    /// Gets ready to call the server at `options.endpoint`. Asks nothing of it yet.
    pub(crate) async fn open(options: &Options) -> Result<Self> {
        Ok(Self {
            client: client(options).await?,
            base: base(&options.endpoint),
            key: Key::open(&options.auth).await?,
            answer_timeout: options.answer_timeout,
            write_timeout: options.write_timeout,
            max_response: options.max_response.as_u64(),
        })
    }

    /// Whose credentials the server sees.
    pub(crate) const fn credentials(&self) -> Credentials {
        match self.key {
            Key::Nothing | Key::Ours { .. } => Credentials::Service,
            Key::Callers => Credentials::Caller,
        }
    }

    /// The URL of a path under the server's base, or `None` if no URL can name it.
    pub(crate) fn url(&self, segments: &[&str]) -> Option<Url> {
        // Dots alone would climb; an empty segment would be another path.
        let is_nameable =
            |segment: &&str| !matches!(*segment, "" | "." | "..") && segment.len() <= LONGEST_SEGMENT;
        if !segments.iter().all(is_nameable) {
            return None;
        }
        let mut url = self.base.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
        Some(url)
    }

    /// A request on behalf of `context`'s caller.
    pub(crate) fn request(&self, context: &Context, method: Method, url: Url) -> Result<RequestBuilder> {
        let mut request = self.client.now().request(method, url);
        if let Some(token) = self.key.token(context)? {
            request = request.header(TOKEN, token);
        }
        let id = context.request_id.as_str();
        if id.len() <= LONGEST_REQUEST_ID
            && let Ok(id) = HeaderValue::from_str(id)
        {
            request = request.header(REQUEST_ID, id);
        }
        Ok(request)
    }

    /// Gets `url` as a whole.
    pub(crate) async fn read(&self, context: &Context, url: Url) -> Result<Reply> {
        let request = self.request(context, Method::GET, url)?;
        let answer = async { self.whole(request.send().await.map_err(fault::silence)?).await };
        within(self.patience(context), answer).await
    }

    /// Asks for a change, and gives the whole answer. `content` is a media type and a body.
    pub(crate) async fn write(
        &self,
        context: &Context,
        method: Method,
        url: Url,
        content: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Reply> {
        let mut request = self.request(context, method, url)?;
        if let Some((media_type, body)) = content {
            request = request.header(reqwest::header::CONTENT_TYPE, media_type).body(body);
        }
        let answer = async { self.whole(request.send().await.map_err(fault::silence)?).await };
        within(self.write_timeout, answer).await
    }

    /// Sends a request whose answer may be endless, and gives the head of it.
    pub(crate) async fn head_of(&self, context: &Context, request: RequestBuilder) -> Result<Response> {
        let head = async { request.send().await.map_err(fault::silence) };
        let response = within(self.patience(context), head).await?;
        self.key.learn_from(response.status()).await;
        Ok(response)
    }

    /// The rest of an answer whose head is at hand, in time.
    pub(crate) async fn rest_of(&self, response: Response) -> Result<Reply> {
        within(self.answer_timeout, self.whole(response)).await
    }

    /// How long a write may take to be answered once it has been sent.
    pub(crate) const fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    async fn whole(&self, mut response: Response) -> Result<Reply> {
        let status = response.status();
        self.key.learn_from(status).await;
        // As long as it says it is, within reason: it may not come to that.
        let said = response.content_length().unwrap_or(0).min(self.max_response).min(LARGEST_AT_ONCE);
        let mut body = BytesMut::with_capacity(usize::try_from(said).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(fault::silence)? {
            if body.len() as u64 + chunk.len() as u64 > self.max_response {
                return Err(fault::nonsense(format_args!("an answer of over {} bytes", self.max_response)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body: body.freeze() })
    }

    /// The time that a read may take: our own bound, or what is left until nobody waits any more.
    fn patience(&self, context: &Context) -> Duration {
        let left = context.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map_or(self.answer_timeout, |left| left.min(self.answer_timeout))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Key {
    async fn open(auth: &Auth) -> Result<Self> {
        let Auth::Token { token, token_file, token_env } = auth else {
            return Ok(if matches!(auth, Auth::Caller {}) { Self::Callers } else { Self::Nothing });
        };
        let (key, secret) = match (token, token_file, token_env) {
            (Some(token), None, None) => ("token", token.clone()),
            (None, Some(file), None) => ("token_file", read_token(file).await?),
            (None, None, Some(variable)) => ("token_env", token_in(variable)?),
            _ => return Err(Error::invalid("auth: needs exactly one of token, token_file and token_env")),
        };
        if token_header(&secret).is_none() {
            let message = format!("auth.{key}: the token is empty or not one that a header can carry");
            return Err(Error::invalid(message));
        }
        Ok(Self::Ours { token: RwLock::new(secret), file: token_file.clone() })
    }

    fn token(&self, context: &Context) -> Result<Option<HeaderValue>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Ours { token, .. } => {
                header(&token.read().unwrap_or_else(PoisonError::into_inner)).map(Some)
            }
            Self::Callers => match &context.caller.token {
                Some(token) => header(token).map(Some),
                None => Err(Error::new(
                    ErrorKind::Unauthenticated,
                    "the image service behind wants the caller's token",
                )),
            },
        }
    }

    /// Reads the token file again if the server no longer takes what it held, for the requests to come.
    async fn learn_from(&self, status: StatusCode) {
        if let Self::Ours { token, file: Some(file) } = self
            && status == StatusCode::UNAUTHORIZED
            && let Ok(fresh) = read_token(file).await
            && token_header(&fresh).is_some()
        {
            *token.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }
}

fn header(token: &Secret) -> Result<HeaderValue> {
    let invalid = || Error::new(ErrorKind::Unauthenticated, "the token is not one that a header can carry");
    token_header(token).ok_or_else(invalid)
}

/// The token that `file` holds, without the blanks around it.
async fn read_token(file: &Path) -> Result<Secret> {
    let unreadable = |source| {
        Error::invalid(format!("auth.token_file: '{}' cannot be read", file.display())).with_source(source)
    };
    // What is no file, such as a pipe, could be waited for without end.
    if !tokio::fs::metadata(file).await.map_err(unreadable)?.is_file() {
        let message = format!("auth.token_file: '{}' is not a regular file", file.display());
        return Err(Error::invalid(message));
    }
    let file = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let mut text = String::new();
    file.take(LONGEST_TOKEN_FILE).read_to_string(&mut text).await.map_err(unreadable)?;
    Ok(Secret::new(text.trim()))
}

/// The token that the environment variable called `variable` holds, without the blanks around it.
fn token_in(variable: &str) -> Result<Secret> {
    let unreadable = |source| {
        // What the variable holds, if it is no text, must not be shown.
        let why = if source == VarError::NotPresent { "is not set" } else { "is not a text" };
        Error::invalid(format!("auth.token_env: the environment variable '{variable}' {why}"))
    };
    std::env::var(variable).map(|text| Secret::new(text.trim())).map_err(unreadable)
}

/// Waits for `answer` no longer than `patience`.
async fn within<T>(patience: Duration, answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| Err(fault::too_slow()))
}

async fn client(options: &Options) -> Result<Client> {
    let options = options.clone();
    let broken = |source| Error::new(ErrorKind::Internal, "files cannot be read").with_source(source);
    tokio::task::spawn_blocking(move || Client::open(&options)).await.map_err(broken)?
}

/// The endpoint without the version that some catalogues put at its end.
fn base(endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(path.strip_suffix("/v2").unwrap_or(&path));
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;

    async fn upstream(endpoint: &str) -> Upstream {
        Upstream::open(&Options::new(Dialect::GlanceV2, Url::parse(endpoint).unwrap())).await.unwrap()
    }

    #[tokio::test]
    async fn a_version_or_slash_at_the_end_of_the_endpoint_makes_no_difference() {
        for (endpoint, expected) in [
            ("http://h:1", "http://h:1/v2/images"),
            ("http://h:1/", "http://h:1/v2/images"),
            ("http://h:1/v2/", "http://h:1/v2/images"),
            ("http://h:1/image", "http://h:1/image/v2/images"),
            ("http://h:1/image/v2", "http://h:1/image/v2/images"),
        ] {
            let url = upstream(endpoint).await.url(&["v2", "images"]).unwrap();
            assert_eq!(url.as_str(), expected, "{endpoint}");
        }
    }

    #[tokio::test]
    async fn an_id_cannot_climb_out_of_its_place_in_the_path() {
        let upstream = upstream("http://h/base").await;
        for id in ["..", ".", ""] {
            assert_eq!(upstream.url(&["v2", "images", id]), None, "{id}");
        }
        for (id, expected) in [
            ("../x", "http://h/base/v2/images/..%2Fx"),
            ("a b?c#d", "http://h/base/v2/images/a%20b%3Fc%23d"),
            ("%2e%2e", "http://h/base/v2/images/%252e%252e"),
        ] {
            assert_eq!(upstream.url(&["v2", "images", id]).unwrap().as_str(), expected, "{id}");
        }
    }

    #[tokio::test]
    async fn a_service_token_must_be_given_in_exactly_one_way() {
        for auth in [
            Auth::Token { token: None, token_file: None, token_env: None },
            Auth::Token { token: Some(Secret::new("a")), token_file: Some("b".into()), token_env: None },
            Auth::Token { token: Some(Secret::new("a\nb")), token_file: None, token_env: None },
            Auth::Token { token: Some(Secret::new("")), token_file: None, token_env: None },
        ] {
            assert!(Key::open(&auth).await.is_err());
        }
    }

    #[tokio::test]
    async fn what_a_token_cannot_be_read_from_is_told_with_its_key() {
        let file = |path: &str| Auth::Token { token: None, token_file: Some(path.into()), token_env: None };
        let unset = Some(String::from("PORTICO_TEST_UNSET"));
        let empty = tempfile::NamedTempFile::new().unwrap();
        for (auth, message) in [
            (file("/nowhere/token"), "auth.token_file: '/nowhere/token' cannot be read"),
            (file("/dev/zero"), "auth.token_file: '/dev/zero' is not a regular file"),
            (file(empty.path().to_str().unwrap()), "auth.token_file: the token is empty"),
            (
                Auth::Token { token: None, token_file: None, token_env: unset },
                "auth.token_env: the environment variable 'PORTICO_TEST_UNSET' is not set",
            ),
        ] {
            let error = Key::open(&auth).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[tokio::test]
    async fn a_token_file_is_read_again_once_its_token_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "old\n").unwrap();
        let auth = Auth::Token { token: None, token_file: Some(file.path().into()), token_env: None };
        let key = Key::open(&auth).await.unwrap();
        let context = Context::new(image_service::Caller::administrator(), "r");
        std::fs::write(file.path(), "new\n").unwrap();
        key.learn_from(StatusCode::OK).await;
        assert_eq!(key.token(&context).unwrap().unwrap(), "old");
        key.learn_from(StatusCode::UNAUTHORIZED).await;
        assert_eq!(key.token(&context).unwrap().unwrap(), "new");
    }
}
