//! Which method on which path is which action: one table.
//!
//! It is a table of our own because the rules are Glance's: a trailing slash is another path, a doubled one is not,
//! `HEAD` is no `GET`, and `v2.7` or a media type may stand for `v2`. Pure.

use http::Method;
use image_service::ImageId;
use percent_encoding::percent_decode_str;

use super::body::Rule;
use super::cache::Deed;
use super::compute;
use super::metadefs::Ask;
use super::v1;
use super::versions::{self, Major, Storage, Word};
use crate::cache::Extent;
use crate::metadefs::Part as Contents;

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
    Stage,
    Import,
    ListTasksOfImage,
    ListTasks,
    CreateTask,
    ShowTask,
    DeleteTask,
    ListStores,
    DetailStores,
    RemoveCopy,
    ListLocations,
    AddLocation,
    ShowUsage,
    Metadefs(Ask),
    Cache(Deed),
    V1(v1::Ask),
    Compute(compute::Ask),
}

impl Action {
    /// Whether nobody needs to say who they are.
    pub(super) const fn is_open(self) -> bool {
        matches!(
            self,
            Self::ChooseVersion
                | Self::ListVersions
                | Self::CheckHealth
                | Self::Compute(compute::Ask::Version)
        )
    }

    /// What becomes of a request body.
    pub(super) const fn body(self) -> Rule {
        match self {
            Self::CreateImage
            | Self::UpdateImage
            | Self::Upload
            | Self::Stage
            | Self::Import
            | Self::CreateTask
            | Self::AddLocation
            | Self::AddMember
            | Self::SetMemberStatus => Rule::Taken,
            Self::ListImages | Self::ChooseVersion | Self::ListVersions | Self::CheckHealth => Rule::Ignored,
            Self::Metadefs(ask) => ask.body(),
            Self::V1(ask) => ask.body(),
            Self::Compute(ask) => ask.body(),
            Self::Cache(_) => Rule::Ignored,
            _ => Rule::None,
        }
    }

    /// Whether the answer goes on as long as there is data, so that only its beginning is due at the deadline.
    pub(super) const fn is_of_data(self) -> bool {
        matches!(self, Self::Download | Self::V1(v1::Ask::Download))
    }
}

type Row = (&'static str, &'static [(&'static str, Action)]);

/// `{id}` is the id of an image, `{namespace}` the name of a metadata namespace, `{name}` any other name. The first row
/// that fits counts.
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
    ("/v2/images/{id}/stage", &[("PUT", Action::Stage)]),
    ("/v2/images/{id}/import", &[("POST", Action::Import)]),
    ("/v2/images/{id}/tasks", &[("GET", Action::ListTasksOfImage)]),
    ("/v2/images/{id}/locations", &[("GET", Action::ListLocations), ("POST", Action::AddLocation)]),
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
    ("/v2/tasks", &[("GET", Action::ListTasks), ("POST", Action::CreateTask)]),
    ("/v2/tasks/{name}", &[("DELETE", Action::DeleteTask), ("GET", Action::ShowTask)]),
    ("/v2/cache", &[("DELETE", Action::Cache(Deed::Clear)), ("GET", Action::Cache(Deed::List))]),
    ("/v2/cache/clean", &[("POST", Action::Cache(Deed::Clean))]),
    ("/v2/cache/prune", &[("POST", Action::Cache(Deed::Prune))]),
    ("/v2/cache/nodes/{id}", &[("GET", Action::Cache(Deed::Nodes))]),
    ("/v2/cache/{id}", &[("DELETE", Action::Cache(Deed::Remove)), ("PUT", Action::Cache(Deed::Queue))]),
    (
        "/v2/cached_images",
        &[
            ("DELETE", Action::Cache(Deed::ClearOf(Extent::Kept))),
            ("GET", Action::Cache(Deed::ListOf(Extent::Kept))),
        ],
    ),
    ("/v2/cached_images/{id}", &[("DELETE", Action::Cache(Deed::RemoveFrom(Extent::Kept)))]),
    (
        "/v2/queued_images",
        &[
            ("DELETE", Action::Cache(Deed::ClearOf(Extent::Queued))),
            ("GET", Action::Cache(Deed::ListOf(Extent::Queued))),
        ],
    ),
    (
        "/v2/queued_images/{id}",
        &[
            ("DELETE", Action::Cache(Deed::RemoveFrom(Extent::Queued))),
            ("PUT", Action::Cache(Deed::QueueAsBefore)),
        ],
    ),
    (
        "/v2/metadefs/namespaces",
        &[("GET", Action::Metadefs(Ask::ListNamespaces)), ("POST", Action::Metadefs(Ask::AddNamespace))],
    ),
    (
        "/v2/metadefs/namespaces/{namespace}",
        &[
            ("DELETE", Action::Metadefs(Ask::DeleteNamespace)),
            ("GET", Action::Metadefs(Ask::ShowNamespace)),
            ("PUT", Action::Metadefs(Ask::ChangeNamespace)),
        ],
    ),
    (
        "/v2/metadefs/namespaces/{namespace}/properties",
        &[
            ("DELETE", Action::Metadefs(Ask::Clear(Contents::Properties))),
            ("GET", Action::Metadefs(Ask::ListProperties)),
            ("POST", Action::Metadefs(Ask::AddProperty)),
        ],
    ),
    (
        "/v2/metadefs/namespaces/{namespace}/properties/{name}",
        &[
            ("DELETE", Action::Metadefs(Ask::RemoveProperty)),
            ("GET", Action::Metadefs(Ask::ShowProperty)),
            ("PUT", Action::Metadefs(Ask::ChangeProperty)),
        ],
    ),
    (
        "/v2/metadefs/namespaces/{namespace}/objects",
        &[
            ("DELETE", Action::Metadefs(Ask::Clear(Contents::Objects))),
            ("GET", Action::Metadefs(Ask::ListObjects)),
            ("POST", Action::Metadefs(Ask::AddObject)),
        ],
    ),
    (
        "/v2/metadefs/namespaces/{namespace}/objects/{name}",
        &[
            ("DELETE", Action::Metadefs(Ask::RemoveObject)),
            ("GET", Action::Metadefs(Ask::ShowObject)),
            ("PUT", Action::Metadefs(Ask::ChangeObject)),
        ],
    ),
    (
        "/v2/metadefs/namespaces/{namespace}/tags",
        &[
            ("DELETE", Action::Metadefs(Ask::Clear(Contents::Tags))),
            ("GET", Action::Metadefs(Ask::ListTags)),
            ("POST", Action::Metadefs(Ask::SetTags)),
        ],
    ),
    (
        "/v2/metadefs/namespaces/{namespace}/tags/{name}",
        &[
            ("DELETE", Action::Metadefs(Ask::RemoveTag)),
            ("GET", Action::Metadefs(Ask::ShowTag)),
            ("POST", Action::Metadefs(Ask::AddTag)),
            ("PUT", Action::Metadefs(Ask::RenameTag)),
        ],
    ),
    (
        "/v2/metadefs/namespaces/{namespace}/resource_types",
        &[("GET", Action::Metadefs(Ask::ListAssociations)), ("POST", Action::Metadefs(Ask::Associate))],
    ),
    (
        "/v2/metadefs/namespaces/{namespace}/resource_types/{name}",
        &[("DELETE", Action::Metadefs(Ask::Dissociate))],
    ),
    ("/v2/metadefs/resource_types", &[("GET", Action::Metadefs(Ask::ListResourceTypes))]),
    ("/v2/schemas/metadefs/{name}", &[("GET", Action::Metadefs(Ask::ShowSchema))]),
    ("/v1", &[("GET", Action::V1(v1::Ask::List))]),
    ("/v1/", &[("GET", Action::V1(v1::Ask::List))]),
    ("/v1/images", &[("GET", Action::V1(v1::Ask::List)), ("POST", Action::V1(v1::Ask::Create))]),
    ("/v1/images/detail", &[("GET", Action::V1(v1::Ask::Detail))]),
    (
        "/v1/images/{id}",
        &[
            ("GET", Action::V1(v1::Ask::Download)),
            ("HEAD", Action::V1(v1::Ask::Show)),
            ("PUT", Action::V1(v1::Ask::Update)),
            ("DELETE", Action::V1(v1::Ask::Delete)),
        ],
    ),
    (
        "/v1/images/{id}/members",
        &[("GET", Action::V1(v1::Ask::ListMembers)), ("PUT", Action::V1(v1::Ask::ReplaceMembers))],
    ),
    (
        "/v1/images/{id}/members/{name}",
        &[("PUT", Action::V1(v1::Ask::AddMember)), ("DELETE", Action::V1(v1::Ask::RemoveMember))],
    ),
    ("/v1/shared-images/{name}", &[("GET", Action::V1(v1::Ask::ListShared))]),
    ("/v2.1", COMPUTE_VERSION),
    ("/v2.1/", COMPUTE_VERSION),
    ("/v2.1/images", &[("GET", Action::Compute(compute::Ask::List))]),
    ("/v2.1/images/detail", &[("GET", Action::Compute(compute::Ask::Detail))]),
    (
        "/v2.1/images/{id}",
        &[("DELETE", Action::Compute(compute::Ask::Delete)), ("GET", Action::Compute(compute::Ask::Show))],
    ),
    (
        "/v2.1/images/{id}/metadata",
        &[
            ("GET", Action::Compute(compute::Ask::ListMetadata)),
            ("POST", Action::Compute(compute::Ask::AddMetadata)),
            ("PUT", Action::Compute(compute::Ask::ReplaceMetadata)),
        ],
    ),
    (
        "/v2.1/images/{id}/metadata/{name}",
        &[
            ("DELETE", Action::Compute(compute::Ask::RemoveItem)),
            ("GET", Action::Compute(compute::Ask::ShowItem)),
            ("PUT", Action::Compute(compute::Ask::SetItem)),
        ],
    ),
];

const COMPUTE_VERSION: &[(&str, Action)] =
    &[("GET", Action::Compute(compute::Ask::Version)), ("HEAD", Action::Compute(compute::Ask::Version))];

/// What is found at the root also when a media type names a version.
const UNVERSIONED: [&str; 2] = ["versions", "healthcheck"];

/// What a path names, each of it empty if the path does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// An image.
    pub(super) id: ImageId,
    /// A namespace of metadata definitions.
    pub(super) namespace: String,
    /// Something else.
    pub(super) name: String,
    /// Where a path of the Compute API begins; nothing in those of others.
    pub(super) place: Option<compute::Place>,
}

/// Where a request is going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// To an action.
    Action {
        /// Which.
        action: Action,
        /// The row of the table, for logs.
        template: &'static str,
        /// What the path names.
        names: Names,
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
    let names = Names { id: ImageId::lookup(""), namespace: String::new(), name: String::new(), place: None };
    Target::Action { action: Action::ChooseVersion, template: "other version", names }
}

/// Finds which API a request speaks, and where it is going. `accept` is its `Accept` header.
pub(super) fn find(method: &Method, path: &str, accept: Option<&str>, storage: Storage) -> (Major, Target) {
    let mut major = Major::V2;
    let nowhere = || match method.as_str() {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" => Target::Nowhere,
        _ => Target::UnknownMethod,
    };
    let Some(mut segments) = segments(path) else { return (major, nowhere()) };
    let place = storage.compute.then(|| compute::Place::take(&mut segments)).flatten();
    if let Some(place) = &place {
        major = Major::Compute(place.spelling);
    }
    match segments.first().map(|first| versions::read(first, storage)) {
        _ if place.is_some() => {}
        Some(Word::NotServed) => return (major, choice()),
        Some(Word::Served(served)) => {
            major = served;
            segments.iter_mut().take(1).for_each(|first| major.segment().clone_into(first));
        }
        Some(Word::NoVersion) if !UNVERSIONED.iter().any(|known| segments.iter().eq([known])) => {
            match media_version(accept).map(|word| versions::read(word, storage)) {
                Some(Word::Served(served)) => {
                    major = served;
                    segments.insert(0, major.segment().to_owned());
                }
                Some(Word::NotServed | Word::NoVersion) => return (major, choice()),
                None => {}
            }
        }
        Some(Word::NoVersion) | None => {}
    }
    for (template, methods) in TABLE {
        let Some(names) = fit(template, &segments) else { continue };
        let target = match methods.iter().find(|(known, _)| *known == method.as_str()) {
            Some((_, action)) => {
                Target::Action { action: *action, template, names: Names { place, ..names } }
            }
            None => {
                Target::WrongMethod(methods.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", "))
            }
        };
        return (major, target);
    }
    (major, nowhere())
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

/// The names in `segments`, if they fit the template.
fn fit(template: &str, segments: &[String]) -> Option<Names> {
    let (mut id, mut namespace, mut name) = (String::new(), String::new(), String::new());
    let mut segments = segments.iter();
    for pattern in template.split('/').skip(1).filter(|_| template != "/") {
        let segment = segments.next()?;
        match pattern {
            "{id}" if !segment.is_empty() => id.clone_from(segment),
            "{namespace}" if !segment.is_empty() => namespace.clone_from(segment),
            "{name}" if !segment.is_empty() => name.clone_from(segment),
            _ if pattern == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then(|| Names { id: ImageId::lookup(id), namespace, name, place: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Target {
        found_with(method, path, Storage::default())
    }

    fn found_with(method: &str, path: &str, storage: Storage) -> Target {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        find(&method, path, None, storage).1
    }

    /// With all that has paths of its own.
    const EVERYTHING: Storage =
        Storage { named: false, imports: false, located: false, cache: false, v1: true, compute: true };

    fn action(method: &str, path: &str) -> Option<(Action, String, String)> {
        match found(method, path) {
            Target::Action { action, names, .. } => Some((action, names.id.as_str().to_owned(), names.name)),
            _ => None,
        }
    }

    #[test]
    fn every_row_is_reached_by_its_own_path_with_each_of_its_methods() {
        for (template, methods) in TABLE {
            let path =
                template.replace("{id}", "an-id").replace("{name}", "a-name").replace("{namespace}", "n");
            for (method, expected) in *methods {
                match found_with(method, &path, EVERYTHING) {
                    Target::Action { action, template: reached, .. } => {
                        assert_eq!((action, reached), (*expected, *template), "{method} {path}");
                    }
                    other => panic!("{method} {path} leads to {other:?}"),
                }
            }
            let Target::WrongMethod(allow) = found_with("OPTIONS", &path, EVERYTHING) else {
                panic!("OPTIONS {path}")
            };
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
        let media = |accept, path| find(&Method::GET, path, Some(accept), Storage::default()).1;
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
    fn the_api_of_old_is_found_by_each_of_its_names_if_it_is_served_and_faults_are_told_in_it() {
        let listed = |found: (Major, Target)| {
            let is_list = matches!(found.1, Target::Action { action: Action::V1(v1::Ask::List), .. });
            (found.0 == Major::V1, is_list)
        };
        for path in ["/v1", "/v1/", "/v1.0/images", "/v1.1/images", "/v1/images"] {
            assert_eq!(listed(find(&Method::GET, path, None, EVERYTHING)), (true, true), "{path}");
            assert_eq!(found("GET", path), choice(), "{path}");
        }
        let accept = Some("application/vnd.openstack.images-v1");
        assert_eq!(listed(find(&Method::GET, "/images", accept, EVERYTHING)), (true, true));
        assert_eq!(find(&Method::GET, "/images", accept, Storage::default()).1, choice());
        let detail = find(&Method::HEAD, "/v1/images/detail", None, EVERYTHING);
        assert_eq!(detail, (Major::V1, Target::WrongMethod("GET".into())));
        assert_eq!(find(&Method::DELETE, "/v1/images/", None, EVERYTHING), (Major::V1, Target::Nowhere));
        assert_eq!(find(&Method::GET, "/v2/images/", None, EVERYTHING), (Major::V2, Target::Nowhere));
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
