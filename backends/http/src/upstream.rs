//! One server behind HTTP: how to call it within bounds of time and size, and as whom.
//!
//! Redirects are not followed and nothing is tried twice, save that a token of our own that the server no longer takes is
//! replaced once, if there is a way to get another and the request can be sent again. A token goes to the configured server alone. This
//! module must not know what the server's answers mean: that is for the dialects.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use image_service::{Context, Result};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use url::Url;

use crate::client::{self, Client};
use crate::fault::{self, Credentials};
use crate::key::Key;
use crate::options::{Dialect, Options};

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// Glance answers 500 to a longer request id.
const LONGEST_REQUEST_ID: usize = 64;

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
            client: Client::make(options.connection()).await?,
            base: base(options.dialect, &options.endpoint),
            key: Key::open(&options.auth).await?,
            answer_timeout: options.answer_timeout,
            write_timeout: options.write_timeout,
            max_response: options.max_response.as_u64(),
        })
    }

    /// Whose credentials the server sees.
    pub(crate) const fn credentials(&self) -> Credentials {
        self.key.credentials()
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

    /// A request on behalf of `context`'s caller. May have to wait for a token, for which the key has its own bounds.
    pub(crate) async fn request(
        &self,
        context: &Context,
        method: Method,
        url: Url,
    ) -> Result<RequestBuilder> {
        let mut request = self.client.now().request(method, url);
        if let Some(token) = self.key.token(context).await? {
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

    /// Sends a request and gives the head of the answer, whenever that comes. If a token of our own is refused and another
    /// can be had, a request whose body is at hand is sent once more; a stream cannot be, and only the next one benefits.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let (client, request) = request.build_split();
        let request = request.map_err(fault::silence)?;
        let (shown, again) = (request.headers().get(TOKEN).cloned(), request.try_clone());
        let response = client.execute(request).await.map_err(fault::silence)?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let another = self.key.replace(shown.as_ref(), again.is_some()).await;
        let (Some(token), Some(mut again)) = (another, again) else { return Ok(response) };
        again.headers_mut().insert(TOKEN, token);
        client.execute(again).await.map_err(fault::silence)
    }

    /// Gets `url` as a whole.
    pub(crate) async fn read(&self, context: &Context, url: Url) -> Result<Reply> {
        let answer = async {
            let request = self.request(context, Method::GET, url).await?;
            self.whole(self.send(request).await?).await
        };
        within(self.patience(context), answer).await
    }

    /// Gets what an answer to a read of `url` would have in front of its body.
    pub(crate) async fn head(&self, context: &Context, url: Url) -> Result<(StatusCode, HeaderMap)> {
        let answer = async {
            let request = self.request(context, Method::HEAD, url).await?;
            let response = self.send(request).await?;
            Ok((response.status(), response.headers().clone()))
        };
        within(self.patience(context), answer).await
    }

    /// Asks for a change that is said in `headers` of the dialect's, and gives the whole answer.
    pub(crate) async fn write_headers(
        &self,
        context: &Context,
        method: Method,
        url: Url,
        headers: HeaderMap,
    ) -> Result<Reply> {
        let answer = async {
            let request = self.request(context, method, url).await?.headers(headers);
            self.whole(self.send(request).await?).await
        };
        within(self.write_timeout, answer).await
    }

    /// Asks for a change, and gives the whole answer. `content` is a media type and a body.
    pub(crate) async fn write(
        &self,
        context: &Context,
        method: Method,
        url: Url,
        content: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Reply> {
        let answer = async {
            let mut request = self.request(context, method, url).await?;
            if let Some((media_type, body)) = content {
                request = request.header(reqwest::header::CONTENT_TYPE, media_type).body(body);
            }
            self.whole(self.send(request).await?).await
        };
        within(self.write_timeout, answer).await
    }

    /// Asks for `url`, with `headers` of the dialect's, where the answer may be endless, and gives the head of it.
    pub(crate) async fn head_of(&self, context: &Context, url: Url, headers: HeaderMap) -> Result<Response> {
        let head = async {
            let request = self.request(context, Method::GET, url).await?.headers(headers);
            self.send(request).await
        };
        within(self.patience(context), head).await
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

    /// The time that a read may take.
    fn patience(&self, context: &Context) -> Duration {
        client::patience(context, self.answer_timeout)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// Waits for `answer` no longer than `patience`.
async fn within<T>(patience: Duration, answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| Err(fault::too_slow()))
}

/// The endpoint as the paths of the dialect begin with it, whether or not it has the version at its end, as some
/// catalogues put it.
fn base(dialect: Dialect, endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    let without = |versions: &[&str]| {
        versions.iter().find_map(|version| path.strip_suffix(version)).unwrap_or(&path).to_owned()
    };
    url.set_path(&match dialect {
        Dialect::GlanceV2 => without(&["/v2"]),
        Dialect::GlanceV1 => without(&["/v1", "/v1.0", "/v1.1"]),
        // Behind the version there may be a project, so that it must stand there.
        Dialect::ComputeImages if path.split('/').any(|part| matches!(part, "v2" | "v2.1")) => path,
        Dialect::ComputeImages => format!("{path}/v2.1"),
    });
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn upstream_of(dialect: Dialect, endpoint: &str) -> Upstream {
        Upstream::open(&Options::new(dialect, Url::parse(endpoint).unwrap())).await.unwrap()
    }

    async fn upstream(endpoint: &str) -> Upstream {
        upstream_of(Dialect::GlanceV2, endpoint).await
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
    async fn each_dialect_knows_the_versions_of_its_own() {
        for (dialect, endpoint, expected) in [
            (Dialect::GlanceV1, "http://h:1", "http://h:1/images"),
            (Dialect::GlanceV1, "http://h:1/v1", "http://h:1/images"),
            (Dialect::GlanceV1, "http://h:1/image/v1.1/", "http://h:1/image/images"),
            (Dialect::GlanceV1, "http://h:1/v2", "http://h:1/v2/images"),
            (Dialect::ComputeImages, "http://h:1", "http://h:1/v2.1/images"),
            (Dialect::ComputeImages, "http://h:1/compute/v2.1/", "http://h:1/compute/v2.1/images"),
            (Dialect::ComputeImages, "http://h:1/v2/project", "http://h:1/v2/project/images"),
        ] {
            let url = upstream_of(dialect, endpoint).await.url(&["images"]).unwrap();
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
}
