//! Whom a token stands for, as Keystone tells it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use crate::Failure;

/// Whom a token stands for, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: Named,
    /// What the token is good for.
    pub reach: Reach,
    /// The names of the roles there, in lower case. Roles that others imply are among them.
    pub roles: BTreeSet<String>,
    /// When the token ends, or ended, by Keystone's clock.
    pub expires_at: Timestamp,
}

/// Something that Keystone knows by id and by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// A project.
    Project {
        /// The project.
        project: Named,
        /// Its domain.
        domain: Named,
    },
    /// A domain, and no project in it.
    Domain(Named),
    /// The `system`: everything, and no project.
    System,
    /// To prove who one is, and nothing more.
    Nothing,
}

impl Identity {
    /// Whether any of its roles is one of `names`, which are in lower case.
    #[must_use]
    pub fn has_one_of(&self, names: &BTreeSet<String>) -> bool {
        !self.roles.is_disjoint(names)
    }

    /// Reads what Keystone says of a token.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Failure> {
        Ok(Self::from(Token::read(body)?))
    }
}

/// What Keystone says of a token, without what is of no use here.
#[derive(Deserialize)]
pub(crate) struct Token {
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    user: Named,
    #[serde(default)]
    project: Option<InDomain>,
    #[serde(default)]
    domain: Option<Named>,
    #[serde(default)]
    system: Option<System>,
    #[serde(default)]
    roles: Vec<Named>,
}

#[derive(Deserialize)]
struct InDomain {
    id: String,
    #[serde(default)]
    name: String,
    domain: Named,
}

#[derive(Deserialize)]
struct System {}

impl Token {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Answer {
            token: Token,
        }
        let answer = serde_json::from_slice::<Answer>(body);
        // What stands in the answer stays out of the message: serde tells places, and values only of wrong types.
        answer.map(|answer| answer.token).map_err(|error| {
            Failure::nonsense(format_args!("what it says of a token cannot be read ({})", Place(&error)))
        })
    }
}

/// Where in an answer serde gave up, without what stands there.
struct Place<'e>(&'e serde_json::Error);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} error in line {}, column {}", self.0.classify(), self.0.line(), self.0.column())
    }
}

impl From<Token> for Identity {
    fn from(token: Token) -> Self {
        let reach = match (token.project, token.domain, token.system) {
            (Some(InDomain { id, name, domain }), _, _) => {
                Reach::Project { project: Named { id, name }, domain }
            }
            (None, _, Some(System {})) => Reach::System,
            (None, Some(domain), None) => Reach::Domain(domain),
            (None, None, None) => Reach::Nothing,
        };
        let roles = token.roles.into_iter().map(|role| role.name.to_lowercase()).collect();
        Self { user: token.user, reach, roles, expires_at: token.expires_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Identity {
        let body = format!(
            r#"{{"token": {{"methods": ["password"], "user": {{"id": "u", "name": "alice", "password_expires_at": null,
            "domain": {{"id": "default", "name": "Default"}}}}, "issued_at": "2026-11-25T10:00:00.000000Z",
            "expires_at": "2026-11-25T11:00:00.000000Z", "audit_ids": ["x"]{more}}}}}"#
        );
        Identity::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_token_of_each_scope_is_told_from_the_others() {
        let domain = r#"{"id": "default", "name": "Default"}"#;
        let project = read(&format!(
            r#", "project": {{"id": "p", "name": "red", "domain": {domain}}}, "is_domain": false,
            "roles": [{{"id": "1", "name": "Member"}}, {{"id": "2", "name": "reader"}}]"#
        ));
        assert!(matches!(&project.reach, Reach::Project { project, .. } if project.id == "p"));
        assert_eq!(project.roles, ["member", "reader"].map(String::from).into());
        assert_eq!(project.expires_at.to_string(), "2026-11-25T11:00:00Z");
        assert_eq!((project.user.id.as_str(), project.user.name.as_str()), ("u", "alice"));
        assert!(matches!(read(&format!(r#", "domain": {domain}, "roles": []"#)).reach, Reach::Domain(_)));
        assert_eq!(read(r#", "system": {"all": true}, "roles": []"#).reach, Reach::System);
        assert_eq!(read("").reach, Reach::Nothing);
    }

    #[test]
    fn what_is_no_token_is_told_without_being_repeated() {
        for body in ["", "hunter2", r#"{"token": "hunter2"}"#, r#"{"token": {"expires_at": "hunter2"}}"#] {
            let failure = Identity::read(body.as_bytes()).unwrap_err();
            assert!(!failure.to_string().contains("hunter2"), "{failure}");
        }
    }
}
