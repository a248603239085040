//! Which method on which path is which action: one table.
//!
//! It is a table of our own because the rules are Glance's: a trailing slash is another path, a doubled one is not,
//! `HEAD` is no `GET`, and `v2.7` or a media type may stand for `v2`. Pure.

use http::Method;
use image_service::ImageId;
use percent_encoding::percent_decode_str;

use super::body::Rule;
use super::unserved::Part;
use super::versions::{self, Storage, Word};

/// Everything that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    ChooseVersion,
    ListVersions,
    CheckHealth,
    ListImages,
    CreateImage,
    ShowImage,
    UpdateImage,
    DeleteImage,
    Deactivate,
    Reactivate,
    Download,
    Upload,
    ListMembers,
    AddMember,
    ShowMember,
    SetMemberStatus,
    RemoveMember,
    AddTag,
    RemoveTag,
    ShowSchema,
    ListImportMethods,
    ListStores,
    DetailStores,
    RemoveCopy,
    ShowUsage,
    Unserved(Part),
}

impl Action {
    /// Whether nobody needs to say who they are.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::ChooseVersion | Self::ListVersions | Self::CheckHealth)
    }

    /// What becomes of a request body.
    pub(super) const fn body(self) -> Rule {
        match self {
            Self::CreateImage
            | Self::UpdateImage
            | Self::Upload
            | Self::AddMember
            | Self::SetMemberStatus => Rule::Taken,
            Self::ListImages | Self::ChooseVersion | Self::ListVersions | Self::CheckHealth => Rule::Ignored,
            Self::Unserved(part) => part.body(),
            _ => Rule::None,
        }
    }
}

type Row = (&'static str, &'static [(&'static str, Action)]);

/// `{id}` is the id of an image, `{name}` any other name, `{*}` one or more segments that nobody reads. The first
/// row that fits counts.
const TABLE: &[Row] = &[
    ("/", &[("GET", Action::ChooseVersion)]),
    ("/versions", &[("GET", Action::ListVersions)]),
    ("/healthcheck", &[("GET", Action::CheckHealth), ("HEAD", Action::CheckHealth)]),
    ("/v2", &[("GET", Action::ListVersions)]),
    ("/v2/", &[("GET", Action::ListVersions)]),
    ("/v2/images", &[("GET", Action::ListImages), ("POST", Action::CreateImage)]),
    (
        "/v2/images/{id}",
        &[("DELETE", Action::DeleteImage), ("GET", Action::ShowImage), ("PATCH", Action::UpdateImage)],
    ),
    ("/v2/images/{id}/actions/deactivate", &[("POST", Action::Deactivate)]),
    ("/v2/images/{id}/actions/reactivate", &[("POST", Action::Reactivate)]),
    ("/v2/images/{id}/file", &[("GET", Action::Download), ("PUT", Action::Upload)]),
    ("/v2/images/{id}/stage", &[("PUT", Action::Unserved(Part::Stage))]),
    ("/v2/images/{id}/import", &[("POST", Action::Unserved(Part::Import))]),
    (
        "/v2/images/{id}/locations",
        &[("GET", Action::Unserved(Part::Locations)), ("POST", Action::Unserved(Part::Locations))],
    ),
    ("/v2/images/{id}/members", &[("GET", Action::ListMembers), ("POST", Action::AddMember)]),
    (
        "/v2/images/{id}/members/{name}",
        &[("DELETE", Action::RemoveMember), ("GET", Action::ShowMember), ("PUT", Action::SetMemberStatus)],
    ),
    ("/v2/images/{id}/tags/{name}", &[("DELETE", Action::RemoveTag), ("PUT", Action::AddTag)]),
    ("/v2/schemas/{name}", &[("GET", Action::ShowSchema)]),
    ("/v2/info/import", &[("GET", Action::ListImportMethods)]),
    ("/v2/info/stores", &[("GET", Action::ListStores)]),
    ("/v2/info/stores/detail", &[("GET", Action::DetailStores)]),
    ("/v2/info/usage", &[("GET", Action::ShowUsage)]),
    ("/v2/stores/{name}/{id}", &[("DELETE", Action::RemoveCopy)]),
    ("/v2/tasks", &[("GET", Action::Unserved(Part::Tasks)), ("POST", Action::Unserved(Part::TaskWrite))]),
    ("/v2/tasks/{name}", &[("GET", Action::Unserved(Part::Task))]),
    ("/v2/cache", &[("DELETE", Action::Unserved(Part::Cache)), ("GET", Action::Unserved(Part::Cache))]),
    ("/v2/cache/clean", &[("POST", Action::Unserved(Part::Cache))]),
    ("/v2/cache/prune", &[("POST", Action::Unserved(Part::Cache))]),
    (
        "/v2/cache/{name}",
        &[("DELETE", Action::Unserved(Part::Cache)), ("PUT", Action::Unserved(Part::Cache))],
    ),
    (
        "/v2/metadefs/namespaces",
        &[("GET", Action::Unserved(Part::Namespaces)), ("POST", Action::Unserved(Part::MetadefWrite))],
    ),
    ("/v2/metadefs/resource_types", &[("GET", Action::Unserved(Part::ResourceTypes))]),
    (
        "/v2/metadefs/namespaces/{*}",
        &[
            ("DELETE", Action::Unserved(Part::MetadefWrite)),
            ("GET", Action::Unserved(Part::Metadef)),
            ("POST", Action::Unserved(Part::MetadefWrite)),
            ("PUT", Action::Unserved(Part::MetadefWrite)),
        ],
    ),
];

/// What is found at the root also when a media type names a version.
const UNVERSIONED: [&str; 2] = ["versions", "healthcheck"];

/// Where a request is going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// To an action.
    Action {
        /// Which.
        action: Action,
        /// The row of the table, for logs.
        template: &'static str,
        /// The image that the path names. Empty if it names none.
        id: ImageId,
        /// The other name in the path. Empty if there is none.
        name: String,
    },
    /// To a path that has other methods: these.
    WrongMethod(String),
    /// To no path with a method that exists.
    Nowhere,
    /// To no path with a method that nobody knows.
    UnknownMethod,
}

impl Target {
    /// What to call it in logs. From a closed set.
    pub(super) const fn template(&self) -> &'static str {
        match self {
            Self::Action { template, .. } => template,
            Self::WrongMethod(_) => "wrong method",
            Self::Nowhere | Self::UnknownMethod => "unknown path",
        }
    }
}

/// Who asks for a version that is not served may choose one that is.
fn choice() -> Target {
    let id = ImageId::lookup("");
    Target::Action { action: Action::ChooseVersion, template: "other version", id, name: String::new() }
}

/// Finds where a request is going. `accept` is its `Accept` header.
pub(super) fn find(method: &Method, path: &str, accept: Option<&str>, storage: Storage) -> Target {
    let nowhere = || match method.as_str() {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" => Target::Nowhere,
        _ => Target::UnknownMethod,
    };
    let Some(mut segments) = segments(path) else { return nowhere() };
    match segments.first().map(|first| versions::read(first, storage)) {
        Some(Word::NotServed) => return choice(),
        Some(Word::Served) => segments.iter_mut().take(1).for_each(|first| "v2".clone_into(first)),
        Some(Word::NoVersion) if !UNVERSIONED.iter().any(|known| segments.iter().eq([known])) => {
            match media_version(accept).map(|word| versions::read(word, storage)) {
                Some(Word::Served) => segments.insert(0, "v2".to_owned()),
                Some(Word::NotServed | Word::NoVersion) => return choice(),
                None => {}
            }
        }
        Some(Word::NoVersion) | None => {}
    }
    for (template, methods) in TABLE {
        let Some((id, name)) = fit(template, &segments) else { continue };
        return match methods.iter().find(|(known, _)| *known == method.as_str()) {
            Some((_, action)) => Target::Action { action: *action, template, id, name },
            None => {
                Target::WrongMethod(methods.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", "))
            }
        };
    }
    nowhere()
}

/// The decoded segments of a path: doubled slashes count once, and one at the end makes an empty last segment.
/// Nothing if a segment is not UTF-8, or has a slash in it, for neither leads anywhere.
fn segments(path: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let decoded = percent_decode_str(segment).decode_utf8().ok()?;
        if decoded.contains('/') {
            return None;
        }
        segments.push(decoded.into_owned());
    }
    if path.ends_with('/') && !segments.is_empty() {
        segments.push(String::new());
    }
    Some(segments)
}

fn media_version(accept: Option<&str>) -> Option<&str> {
    let accept = accept?.split([',', ';']).next()?.trim();
    accept.strip_prefix("application/vnd.openstack.images-")
}

/// The id and the name in `segments`, if they fit the template.
fn fit(template: &str, segments: &[String]) -> Option<(ImageId, String)> {
    let (mut id, mut name) = (String::new(), String::new());
    let mut segments = segments.iter();
    for pattern in template.split('/').skip(1).filter(|_| template != "/") {
        let segment = segments.next()?;
        match pattern {
            "{*}" => return (!segment.is_empty()).then(|| (ImageId::lookup(id), name)),
            "{id}" if !segment.is_empty() => id.clone_from(segment),
            "{name}" if !segment.is_empty() => name.clone_from(segment),
            _ if pattern == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then(|| (ImageId::lookup(id), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Target {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        find(&method, path, None, Storage::Plain)
    }

    fn action(method: &str, path: &str) -> Option<(Action, String, String)> {
        match found(method, path) {
            Target::Action { action, id, name, .. } => Some((action, id.as_str().to_owned(), name)),
            _ => None,
        }
    }

    #[test]
    fn every_row_is_reached_by_its_own_path_with_each_of_its_methods() {
        for (template, methods) in TABLE {
            let path = template.replace("{id}", "an-id").replace("{name}", "a-name").replace("{*}", "x/y");
            for (method, expected) in *methods {
                match found(method, &path) {
                    Target::Action { action, template: reached, .. } => {
                        assert_eq!((action, reached), (*expected, *template), "{method} {path}");
                    }
                    other => panic!("{method} {path} leads to {other:?}"),
                }
            }
            let Target::WrongMethod(allow) = found("OPTIONS", &path) else { panic!("OPTIONS {path}") };
            let listed: Vec<&str> = methods.iter().map(|(method, _)| *method).collect();
            assert_eq!(allow, listed.join(", "));
        }
    }

    #[test]
    fn a_trailing_slash_is_another_path_and_a_doubled_one_is_not() {
        assert_eq!(found("GET", "/v2/images/"), Target::Nowhere);
        assert_eq!(found("GET", "/v2/images/x/"), Target::Nowhere);
        assert_eq!(action("GET", "//v2//images").unwrap().0, Action::ListImages);
        assert_eq!(action("GET", "/v2//images//x").unwrap().1, "x");
        assert_eq!(action("GET", "//").unwrap().0, Action::ChooseVersion);
    }

    #[test]
    fn names_in_paths_are_decoded_and_what_cannot_be_a_name_leads_nowhere() {
        assert_eq!(action("PUT", "/v2/images/x/tags/%C3%A9%20").unwrap().2, "é ");
        assert_eq!(found("PUT", "/v2/images/x/tags/a%2Fb"), Target::Nowhere);
        assert_eq!(found("GET", "/v2/images/%FF"), Target::Nowhere);
        assert_eq!(action("GET", "/v2/images/%00%zz").unwrap().1, "\0%zz");
    }

    #[test]
    fn a_minor_that_is_served_or_a_media_type_stands_for_the_major() {
        assert_eq!(action("GET", "/v2.7/images").unwrap().0, Action::ListImages);
        let media = |accept, path| find(&Method::GET, path, Some(accept), Storage::Plain);
        let accept = "application/vnd.openstack.images-v2.3";
        assert!(matches!(media(accept, "/images"), Target::Action { action: Action::ListImages, .. }));
        assert!(matches!(media(accept, "/v2/images"), Target::Action { action: Action::ListImages, .. }));
        assert!(matches!(media(accept, "/versions"), Target::Action { action: Action::ListVersions, .. }));
        assert_eq!(media("application/vnd.openstack.images-v9", "/images"), choice());
        assert_eq!(media("application/json", "/images"), Target::Nowhere);
        for path in ["/v1/images", "/v9", "/v2.99/x/y", "/v2.8/images"] {
            assert_eq!(found("GET", path), choice(), "{path}");
        }
    }

    #[test]
    fn unknown_methods_are_told_from_known_ones_on_unknown_paths_alone() {
        assert_eq!(found("DELETE", "/v2/nothing"), Target::Nowhere);
        assert_eq!(found("BREW", "/v2/nothing"), Target::UnknownMethod);
        assert_eq!(found("HEAD", "/v2/images/x/file"), Target::WrongMethod("GET, PUT".into()));
        assert_eq!(found("GET", "/v2/images/x/tags/y"), Target::WrongMethod("DELETE, PUT".into()));
        assert_eq!(found("GET", "/v2/images/x/tags"), Target::Nowhere);
    }
}
