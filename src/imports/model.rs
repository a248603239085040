//! What is asked for, and the task that stands for it.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use bytesize::ByteSize;
use image_service::{Caller, Context, Error, ImageId, Result, Status};
use portico_fetch::Settings as FetchSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A way for data to come to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// What has been staged.
    GlanceDirect,
    /// What is at a URL.
    WebDownload,
    /// What the image has in one store, for others.
    CopyImage,
    /// What another image has, in a store that is named like a region.
    GlanceDownload,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::GlanceDirect, Self::WebDownload, Self::CopyImage, Self::GlanceDownload];

    /// What Glance calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GlanceDirect => "glance-direct",
            Self::WebDownload => "web-download",
            Self::CopyImage => "copy-image",
            Self::GlanceDownload => "glance-download",
        }
    }

    /// The method of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How imports are done. Every bound has a default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The methods that are served: `glance-direct`, `web-download`, `copy-image`, `glance-download`. Default: the first
    /// three, as with Glance.
    pub methods: Vec<Method>,
    /// The region in which `glance-download` finds images of any store here. Any other region is the name of a store.
    /// Default: none.
    pub region: Option<String>,
    /// How the properties begin that `glance-download` takes over. Default: `hw_`, `trait:`, `os_distro`,
    /// `os_secure_boot` and `os_type`, as with Glance.
    pub copied_properties: Vec<String>,
    /// How many imports are at work at once. Default: 4.
    pub jobs: NonZeroUsize,
    /// Most imports that wait or are at work. Default: 1000.
    pub waiting: NonZeroUsize,
    /// How often an import is begun again when the process has ended in the middle of it. Default: 3.
    pub attempts: u32,
    /// Most images with staged data. Default: 1000.
    pub staged: NonZeroUsize,
    /// Most bytes of staged data, all together. Default: 1 TiB.
    pub staging: ByteSize,
    /// How long staged data waits to be imported. Default: 2 days.
    #[serde(with = "humantime_serde")]
    pub staging_age: Duration,
    /// Most tasks that are remembered; of those that have ended, the oldest are forgotten first. Default: 10,000.
    pub tasks: NonZeroUsize,
    /// How long a task is remembered after its end. Default: 2 days.
    #[serde(with = "humantime_serde")]
    pub task_age: Duration,
    /// From where `web-download` fetches, and how much.
    pub web: FetchSettings,
    /// Whether what lies at a location is read, so that the image has its hashes; otherwise it is believed. Default: yes.
    #[serde(skip)]
    pub hash_locations: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let number = |number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        Self {
            methods: vec![Method::GlanceDirect, Method::WebDownload, Method::CopyImage],
            region: None,
            copied_properties: words(&["hw_", "trait:", "os_distro", "os_secure_boot", "os_type"]),
            jobs: number(4),
            waiting: number(1000),
            attempts: 3,
            staged: number(1000),
            staging: ByteSize::tib(1),
            staging_age: Duration::from_secs(48 * 3600),
            tasks: number(10_000),
            task_age: Duration::from_secs(48 * 3600),
            web: FetchSettings::default(),
            hash_locations: true,
        }
    }
}

/// An import, asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Where the data comes from.
    pub source: Source,
    /// Which kind of task stands for it.
    pub kind: Kind,
    /// Where it goes to.
    pub targets: Targets,
    /// Whether the failure of one store is that of all.
    pub all_must_succeed: bool,
    /// What the client asked, for the task to show.
    pub input: Value,
}

/// The stores that data is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// The default store.
    Default,
    /// These.
    Named(Vec<String>),
    /// All that take writes and do not have it yet.
    All,
}

/// Where data comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// From the staging area.
    Staged,
    /// From a URL.
    Web {
        /// The URL.
        uri: String,
    },
    /// From a store that the image is in.
    Copy,
    /// From a URL, where it stays: it is read, to tell what it is.
    Location {
        /// The URL.
        url: String,
        /// The algorithm and the value of the strong hash that it must have, if any.
        expected: Option<(String, String)>,
    },
    /// From another image.
    Image {
        /// Its id.
        id: String,
        /// Where to look for it: a store, or the whole service's own region.
        region: String,
    },
}

impl Source {
    /// The method that brings data from there, if it is one of import.
    #[must_use]
    pub const fn method(&self) -> Option<Method> {
        match self {
            Self::Staged => Some(Method::GlanceDirect),
            Self::Web { .. } => Some(Method::WebDownload),
            Self::Copy => Some(Method::CopyImage),
            Self::Image { .. } => Some(Method::GlanceDownload),
            Self::Location { .. } => None,
        }
    }

    /// The status that the image is shown with while data comes from there, if it is another than its store's.
    pub(super) const fn shown_as(&self) -> Option<Status> {
        match self {
            Self::Staged | Self::Web { .. } | Self::Image { .. } => Some(Status::Importing),
            Self::Copy | Self::Location { .. } => None,
        }
    }
}

/// What kind of task it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Made as a task, which makes the image too.
    Import,
    /// Asked of an image.
    ApiImageImport,
    /// A location that is looked at.
    LocationImport,
}

impl Kind {
    /// Its name in Glance.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::ApiImageImport => "api_image_import",
            Self::LocationImport => "location_import",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Import, Self::ApiImageImport, Self::LocationImport]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStatus {
    /// It waits.
    Pending,
    /// It is at work.
    Processing,
    /// It has done all that it should.
    Success,
    /// It has ended, and its message says why.
    Failure,
}

impl TaskStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Success, Self::Failure];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    /// The status of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// One import, as it is told of. Moments are in microseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// A UUID.
    pub id: String,
    /// What kind it is.
    pub kind: Kind,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// The image.
    pub image: ImageId,
    /// The project on whose behalf it is.
    pub owner: Option<String>,
    /// The user on whose behalf it is.
    pub user: Option<String>,
    /// The request that began it.
    pub request_id: String,
    /// What was asked.
    pub input: Value,
    /// What has come of it, once that is known.
    pub result: Option<Value>,
    /// How far it is, or why it failed.
    pub message: String,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// When it is forgotten, once it has ended.
    pub expires_at: Option<i64>,
}

/// What a list of tasks is to be, newest or oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQuery {
    /// Only those of this project. None: all.
    pub owner: Option<String>,
    /// Only those of this status.
    pub status: Option<TaskStatus>,
    /// Only those of this kind.
    pub kind: Option<Kind>,
    /// What they are sorted by, and then by id.
    pub sort: TaskSort,
    /// Whether the largest come first.
    pub descending: bool,
    /// Only those behind this one.
    pub marker: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// What tasks can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskSort {
    /// Their ids.
    Id,
    /// Their kinds.
    Kind,
    /// Their words of status.
    Status,
    /// When they were made.
    CreatedAt,
    /// When they last changed.
    UpdatedAt,
    /// When they are forgotten.
    ExpiresAt,
}

impl TaskSort {
    /// The key of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "type" => Self::Kind,
            "status" => Self::Status,
            "created_at" => Self::CreatedAt,
            "updated_at" => Self::UpdatedAt,
            "expires_at" => Self::ExpiresAt,
            _ => return None,
        })
    }
}

/// All that an import needs to go on with when the process begins again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) source: Source,
    pub(super) stores: Vec<String>,
    pub(super) all_must_succeed: bool,
    pub(super) caller: Asker,
    /// How often it has been begun.
    pub(super) attempts: u32,
    /// The stores that it has given data, or was about to: what is to be taken back if it fails.
    pub(super) given: BTreeSet<String>,
}

/// A caller without the token, which is nobody's business when its request is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asker {
    user: Option<String>,
    project: Option<String>,
    roles: BTreeSet<String>,
    service_roles: BTreeSet<String>,
}

impl Asker {
    pub(super) fn of(caller: &Caller) -> Self {
        Self {
            user: caller.user.clone(),
            project: caller.project.clone(),
            roles: caller.roles.clone(),
            service_roles: caller.service_roles.clone(),
        }
    }

    pub(super) fn context(&self, request_id: &str) -> Context {
        let caller = Caller {
            user: self.user.clone(),
            project: self.project.clone(),
            roles: self.roles.clone(),
            service_roles: self.service_roles.clone(),
            token: None,
        };
        Context::new(caller, request_id)
    }
}

/// The present moment.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// A moment so much later than `from`.
pub(super) fn later(from: i64, by: Duration) -> i64 {
    from.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}

/// Lets through a text that can be the id of an image in a Glance.
///
/// # Errors
/// `Invalid` for anything but a UUID.
pub fn remote_id(id: &str) -> Result<String> {
    match uuid::Uuid::try_parse(id) {
        Ok(_) => Ok(id.to_owned()),
        Err(_) => Err(Error::invalid(format!("Remote image id does not look like a UUID: {id}"))),
    }
}
