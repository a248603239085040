//! Who asks, and how the front door is told.

use std::collections::BTreeSet;

use async_trait::async_trait;
use http::HeaderMap;
use image_service::{Caller, Secret};
use portico::auth::{Auth, Refusal};

/// The header that says who asks.
pub(crate) const TOKEN: &str = "x-auth-token";

/// What the service itself shows to a service behind it.
pub(crate) const SERVICE_TOKEN: &str = "front/service/admin";

/// What a person may do at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Reader,
    Member,
    Admin,
}

/// Somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) token: &'static str,
    pub(crate) project: Option<&'static str>,
    pub(crate) role: Role,
}

const fn person(token: &'static str, project: Option<&'static str>, role: Role) -> Person {
    Person { token, project, role }
}

/// Two members and a reader of one project, a member and a reader of another, a member of a third, an administrator,
/// and a member of no project.
pub(crate) const PEOPLE: [Person; 8] = [
    person("anna/pa/member,reader", Some("pa"), Role::Member),
    person("bert/pb/member,reader", Some("pb"), Role::Member),
    person("cleo/pc/member,reader", Some("pc"), Role::Member),
    person("root/pr/admin,member,reader", Some("pr"), Role::Admin),
    person("alan/pa/member,reader", Some("pa"), Role::Member),
    person("ada/pa/reader", Some("pa"), Role::Reader),
    person("bea/pb/reader", Some("pb"), Role::Reader),
    person("nils//member,reader", None, Role::Member),
];

/// The projects that own images or are members of them.
pub(crate) const PROJECTS: [&str; 4] = ["pa", "pb", "pc", "pr"];

impl Person {
    pub(crate) fn is_admin(self) -> bool {
        self.role == Role::Admin
    }

    pub(crate) fn owns(self, owner: Option<&str>) -> bool {
        owner.is_some() && owner == self.project
    }
}

/// Believes a token, which says it all: `user/project/role,role`.
#[derive(Debug)]
pub(crate) struct Believing;

/// Believes one token alone, and takes who shows it for an administrator without a project.
#[derive(Debug)]
pub(crate) struct Guarded;

fn refusal() -> Refusal {
    Refusal::Unknown { message: "who are you?".to_owned(), challenge: None }
}

fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    headers.get(TOKEN).and_then(|token| token.to_str().ok()).ok_or_else(refusal)
}

#[async_trait]
impl Auth for Believing {
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = token(headers)?;
        let mut words = token.split('/');
        let (Some(user), Some(project), Some(roles)) = (words.next(), words.next(), words.next()) else {
            return Err(refusal());
        };
        let roles: BTreeSet<String> = roles.split(',').map(str::to_owned).collect();
        let project = Some(project.to_owned()).filter(|project| !project.is_empty());
        Ok(Caller {
            user: Some(user.to_owned()),
            project,
            roles,
            token: Some(Secret::new(token)),
            ..Caller::default()
        })
    }
}

#[async_trait]
impl Auth for Guarded {
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        if token(headers)? == SERVICE_TOKEN { Ok(Caller::administrator()) } else { Err(refusal()) }
    }
}
