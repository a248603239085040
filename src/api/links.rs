//! Query strings, and links to pages of a list. Pure.
//!
//! Links in bodies are paths from the root: clients glue them to the endpoint they know. Every parameter of the
//! request stays in them, however often it was given, but those that say where a page begins.

use std::borrow::Cow;

use form_urlencoded::Serializer;
use http::uri::Authority;
use http::{HeaderMap, header};
use percent_encoding::percent_decode;

use super::Settings;
use super::fault::Fault;

/// Says behind which image a page begins.
pub(super) const MARKER: &str = "marker";

/// Says the same, so that nothing needs to be looked up.
pub(super) const CURSOR: &str = "cursor";

const IMAGES: &str = "/v2/images";

/// The parameters of a query string, decoded, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string.
    ///
    /// # Errors
    /// 400 if an escape is malformed or does not give UTF-8.
    pub(super) fn read(query: &str) -> Result<Self, Fault> {
        let mut params = Vec::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            let key = decode(key).ok_or_else(|| unreadable("a parameter's name"))?;
            let value = decode(value).ok_or_else(|| unreadable(&key))?;
            params.push((key, value));
        }
        Ok(Self(params))
    }

    /// All parameters.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The values of one parameter, in their order.
    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(given, _)| *given == key).map(|(_, value)| value)
    }

    /// The value of a parameter that counts once: the last one.
    pub(super) fn last<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.all(key).last()
    }

    /// The path of the first page.
    pub(super) fn first(&self) -> String {
        self.link(&[])
    }

    /// The path of the page behind `marker`, with the first of `cursors` with which the query is not longer than
    /// `longest`, or with none: then the marker is looked up.
    pub(super) fn next(&self, marker: &str, cursors: &[String], longest: usize) -> String {
        let with = |cursor: &String| self.link(&[(MARKER, marker), (CURSOR, cursor)]);
        let fits = |link: &String| link.len().saturating_sub(IMAGES.len() + 1) <= longest;
        cursors.iter().map(with).find(fits).unwrap_or_else(|| self.link(&[(MARKER, marker)]))
    }

    fn link(&self, place: &[(&str, &str)]) -> String {
        let kept = self.iter().filter(|(key, _)| *key != MARKER && *key != CURSOR);
        let query = Serializer::new(String::new()).extend_pairs(kept).extend_pairs(place).finish();
        if query.is_empty() { IMAGES.to_owned() } else { format!("{IMAGES}?{query}") }
    }
}

fn unreadable(what: &str) -> Fault {
    Fault::bad_request(format!("{what}: is not percent-encoded UTF-8"))
}

fn decode(text: &str) -> Option<String> {
    let escapes = text.split('%').skip(1);
    for escape in escapes {
        if !escape.as_bytes().get(..2)?.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
    }
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(Cow::into_owned)
}

/// Where the API begins, for links that must be absolute: as configured, or as the client sees it.
pub(super) fn base(settings: &Settings, headers: &HeaderMap) -> String {
    if let Some(endpoint) = &settings.public_endpoint {
        return endpoint.trim_end_matches('/').to_owned();
    }
    let host = headers.get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    host.map(|host| format!("{}://{host}", settings.scheme)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_every_parameter_but_the_place() {
        let params =
            Params::read("tag=a&limit=2&tag=b+%26&marker=x&cursor=y&sort_key=name&sort_key=size").unwrap();
        let kept = "/v2/images?tag=a&limit=2&tag=b+%26&sort_key=name&sort_key=size";
        assert_eq!(params.first(), kept);
        let cursors = ["c".repeat(900), "c".to_owned()];
        assert_eq!(params.next("m", &cursors, 1000), format!("{kept}&marker=m&cursor={}", cursors[0]));
        assert_eq!(params.next("m", &cursors, 900), format!("{kept}&marker=m&cursor=c"));
        assert_eq!(params.next("m", &cursors, 10), format!("{kept}&marker=m"));
        assert_eq!(Params::default().first(), "/v2/images");
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_the_last_of_a_scalar_counts() {
        for bad in ["a=%", "a=%f", "a=%zz", "%fg=1", "a=%ff", "%c3=1", "a=%é1"] {
            assert_eq!(Params::read(bad).unwrap_err().status().as_u16(), 400, "{bad}");
        }
        let params = Params::read("&limit=1&&limit=2&a&=b").unwrap();
        assert_eq!(params.last("limit"), Some("2"));
        assert_eq!(params.last("a"), Some(""));
        assert_eq!(params.last(""), Some("b"));
        assert_eq!(params.last("none"), None);
    }

    #[test]
    fn the_base_is_the_endpoint_or_the_host_that_the_client_named() {
        let (mut headers, mut settings) = (HeaderMap::new(), Settings::default());
        assert_eq!(base(&settings, &headers), "");
        headers.insert(header::HOST, "a b".parse().unwrap());
        assert_eq!(base(&settings, &headers), "");
        headers.insert(header::HOST, "images:9292".parse().unwrap());
        assert_eq!(base(&settings, &headers), "http://images:9292");
        settings.scheme = http::uri::Scheme::HTTPS;
        assert_eq!(base(&settings, &headers), "https://images:9292");
        settings.public_endpoint = Some("https://images.example/".into());
        assert_eq!(base(&settings, &headers), "https://images.example");
    }
}
