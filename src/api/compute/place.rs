//! Where a path of the Compute API begins, and links to there. Pure.
//!
//! A project may stand before everything else, as in `/v2.1/{project}/images`. Nova knows it by its digits, and so does
//! this: what has other letters is no project, and `/v2/schemas/images` stays a path of the Image API.

use image_service::{Caller, ImageId};
use percent_encoding::utf8_percent_encode;
use serde::Serialize;

use super::super::fault::Fault;
use super::super::wire::{self, IN_A_PATH};

/// The type of what an alternate link leads to.
const IMAGE: &str = "application/vnd.openstack.image";

/// By which of its two names the API is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) enum Spelling {
    /// `/v2.1`, with microversions.
    #[default]
    Versioned,
    /// `/v2`, which is older than these and takes no notice of them.
    Legacy,
}

impl Spelling {
    pub(in super::super) const fn segment(self) -> &'static str {
        match self {
            Self::Versioned => "v2.1",
            Self::Legacy => "v2",
        }
    }
}

/// Where a path begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Place {
    /// How the API is called.
    pub(in super::super) spelling: Spelling,
    /// The project in the path.
    project: Option<String>,
}

impl Place {
    /// Reads where a path begins from its segments, and leaves them as they are without a project. Nothing if it is no
    /// path of this API.
    pub(in super::super) fn take(segments: &mut Vec<String>) -> Option<Self> {
        let is_project = |segment: &String| {
            !segment.is_empty()
                && segment.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
        };
        let of_project = segments.len() > 2 && segments.get(1).is_some_and(is_project);
        let spelling = match segments.first().map(String::as_str) {
            Some("v2.1") => Spelling::Versioned,
            Some("v2") if of_project && segments.get(2).is_some_and(|third| third == "images") => {
                Spelling::Legacy
            }
            _ => return None,
        };
        let project = of_project.then(|| segments.remove(1));
        segments.iter_mut().take(1).for_each(|first| Spelling::Versioned.segment().clone_into(first));
        Some(Self { spelling, project })
    }

    /// Lets through a caller whose project is the one in the path.
    pub(super) fn check(&self, caller: &Caller) -> Result<(), Fault> {
        match (&self.project, &caller.project) {
            (Some(named), Some(own)) if named != own => Err(Fault::bad_request(format!(
                "Malformed request URL: URL's project_id '{named}' doesn't match Context's project_id '{own}'"
            ))),
            _ => Ok(()),
        }
    }
}

/// A link, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Link {
    rel: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    media_type: Option<&'static str>,
    href: String,
}

/// What links begin with.
#[derive(Debug)]
pub(super) struct Links {
    base: String,
    versioned: String,
    bookmark: String,
}

impl Links {
    /// Links to what is at `place`, where the service is at `base`.
    pub(super) fn new(base: String, place: &Place) -> Self {
        let project = place.project.as_ref().map(|project| format!("/{project}")).unwrap_or_default();
        let versioned = format!("{base}/{}{project}", place.spelling.segment());
        Self { versioned, bookmark: format!("{base}{project}"), base }
    }

    /// The links of an image.
    pub(super) fn of_image(&self, id: &ImageId) -> [Link; 3] {
        let [itself, bookmark] = self.to("images", id.as_str());
        let href = format!("{}{}", self.base, wire::path(id));
        [itself, bookmark, Link { rel: "alternate", media_type: Some(IMAGE), href }]
    }

    /// The links of a server.
    pub(super) fn of_server(&self, id: &str) -> [Link; 2] {
        self.to("servers", id)
    }

    /// The link to the next page of `list`, by what its query is.
    pub(super) fn next(&self, list: &str, query: &str) -> [Link; 1] {
        [Link { rel: "next", media_type: None, href: format!("{}/{list}?{query}", self.versioned) }]
    }

    fn to(&self, collection: &str, id: &str) -> [Link; 2] {
        let id = utf8_percent_encode(id, IN_A_PATH);
        [("self", &self.versioned), ("bookmark", &self.bookmark)].map(|(rel, begin)| Link {
            rel,
            media_type: None,
            href: format!("{begin}/{collection}/{id}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(path: &str) -> Option<(Place, String)> {
        let mut segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        let place = Place::take(&mut segments)?;
        Some((place, segments.join("/")))
    }

    #[test]
    fn a_path_begins_with_a_version_and_maybe_a_project() {
        for (path, spelling, project, rest) in [
            ("/v2.1/images", Spelling::Versioned, None, "v2.1/images"),
            ("/v2.1/images/abc/metadata", Spelling::Versioned, None, "v2.1/images/abc/metadata"),
            ("/v2.1/0a-f/images", Spelling::Versioned, Some("0a-f"), "v2.1/images"),
            ("/v2.1/abc/", Spelling::Versioned, Some("abc"), "v2.1/"),
            ("/v2.1/abc", Spelling::Versioned, None, "v2.1/abc"),
            ("/v2.1/xyz/images", Spelling::Versioned, None, "v2.1/xyz/images"),
            ("/v2.1/ABC/images", Spelling::Versioned, None, "v2.1/ABC/images"),
            ("/v2.1", Spelling::Versioned, None, "v2.1"),
            ("/v2/abc/images", Spelling::Legacy, Some("abc"), "v2.1/images"),
            ("/v2/abc/images/x", Spelling::Legacy, Some("abc"), "v2.1/images/x"),
        ] {
            let expected = Place { spelling, project: project.map(str::to_owned) };
            assert_eq!(taken(path), Some((expected, rest.to_owned())), "{path}");
        }
        for path in ["/v2", "/v2/", "/v2/images", "/v2/images/images", "/v2/images/abc/images"] {
            assert_eq!(taken(path), None, "{path}");
        }
        for path in
            ["/v2/schemas/images", "/v2/abc", "/v2/abc/servers", "/v2.10/images", "/v2.1x", "/v1/images", "/"]
        {
            assert_eq!(taken(path), None, "{path}");
        }
    }

    #[test]
    fn a_project_in_the_path_is_the_callers() {
        let place = |project: Option<&str>| Place { project: project.map(str::to_owned), ..Place::default() };
        let caller = Caller::member_of("a");
        assert!(place(None).check(&caller).is_ok() && place(Some("a")).check(&caller).is_ok());
        assert!(place(Some("b")).check(&Caller::default()).is_ok());
        let fault = place(Some("b")).check(&caller).unwrap_err();
        let words = "Malformed request URL: URL's project_id 'b' doesn't match Context's project_id 'a'";
        assert_eq!((fault.status().as_u16(), fault.message()), (400, words));
    }

    #[test]
    fn links_have_the_version_and_the_project_and_bookmarks_no_version() {
        let hrefs = |links: &[Link]| links.iter().map(|link| link.href.clone()).collect::<Vec<_>>().join(" ");
        let id = ImageId::lookup("a b");
        let links = Links::new("http://x".into(), &Place::default());
        let expected = "http://x/v2.1/images/a%20b http://x/images/a%20b http://x/v2/images/a%20b";
        assert_eq!(hrefs(&links.of_image(&id)), expected);
        assert_eq!(hrefs(&links.next("images", "limit=1")), "http://x/v2.1/images?limit=1");
        let place = Place { spelling: Spelling::Legacy, project: Some("f".into()) };
        let links = Links::new("http://x".into(), &place);
        assert_eq!(hrefs(&links.of_server("u")), "http://x/v2/f/servers/u http://x/f/servers/u");
        let alternate = serde_json::to_value(links.of_image(&id)).unwrap()[2].clone();
        let expected = serde_json::json!(
            {"rel": "alternate", "type": "application/vnd.openstack.image", "href": "http://x/v2/images/a%20b"}
        );
        assert_eq!(alternate, expected);
    }
}
