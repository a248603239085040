//! On whose behalf, and until when: what every verb takes first.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Instant;

/// The circumstances of one request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who asks.
    pub caller: Caller,
    /// Names the request in logs here and in the stores behind.
    pub request_id: String,
    /// When the answer stops being of use. A store may give up then with `TimedOut`.
    pub deadline: Option<Instant>,
    /// What to do when a part of the answer cannot be had.
    pub partial: Partial,
    /// The named stores to read data from, first ones first, if they have it; then any other. A plain store ignores it.
    pub prefer: Vec<String>,
}

impl Context {
    /// A request of `caller` with no deadline that takes partial answers, and data from any store.
    pub fn new(caller: Caller, request_id: impl Into<String>) -> Self {
        let (request_id, partial) = (request_id.into(), Partial::default());
        Self { caller, request_id, deadline: None, partial, prefer: Vec::new() }
    }
}

/// Whether a list with parts missing is an answer or an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Partial {
    /// Give what there is, and say what is missing.
    #[default]
    Serve,
    /// Give nothing: fail as `Unavailable`.
    Refuse,
}

/// Who asks. Established before any store is called, and believed by every store.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The user, if known.
    pub user: Option<String>,
    /// The project that the caller acts for.
    pub project: Option<String>,
    /// Roles in that project, in lower case.
    pub roles: BTreeSet<String>,
    /// Roles of the service that asks on the caller's behalf and has proved it with a token of its own beside the
    /// caller's, in lower case; empty if the caller asks alone. They add nothing to [`Caller::roles`]: what Glance lets
    /// services alone do, it lets do whoever has the role `service` themselves.
    pub service_roles: BTreeSet<String>,
    /// The token that the caller showed. Only for a backend that is marked to receive it.
    pub token: Option<Secret>,
}

impl Caller {
    /// An administrator without a project: who everyone is where nobody is asked.
    #[must_use]
    pub fn administrator() -> Self {
        Self { roles: BTreeSet::from([String::from("admin")]), ..Self::default() }
    }

    /// An ordinary member of `project`.
    pub fn member_of(project: impl Into<String>) -> Self {
        Self {
            project: Some(project.into()),
            roles: BTreeSet::from([String::from("member"), String::from("reader")]),
            ..Self::default()
        }
    }

    /// Whether this caller stands above tenancy.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.contains("admin")
    }

    /// Whether `owner` is this caller's own project.
    #[must_use]
    pub fn owns(&self, owner: Option<&str>) -> bool {
        owner.is_some() && owner == self.project.as_deref()
    }
}

/// Text that must never be printed. There is no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to put where it belongs and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed_with_its_caller() {
        let caller = Caller { token: Some(Secret::new("hunter2")), ..Caller::administrator() };
        let printed = format!("{:?}", Context::new(caller, "req-1"));
        assert!(!printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn nobody_owns_an_image_without_an_owner() {
        assert!(!Caller::administrator().owns(None));
        assert!(!Caller::member_of("a").owns(None));
        assert!(Caller::member_of("a").owns(Some("a")));
    }
}
