//! As whom Keystone is spoken to, in the words of `auth` in a `clouds.yaml`.
//!
//! ```toml
//! username = "portico"
//! password = "…"
//! user_domain_name = "Default"
//! project_name = "service"
//! project_domain_name = "Default"
//! ```

use image_service::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

/// The domain of users and projects that say none: the one that every Keystone begins with.
const DEFAULT_DOMAIN: &str = "default";

/// What proves to Keystone who we are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub enum Credential {
    /// A user's password, and what the user is to act for.
    Password {
        /// Who.
        user: User,
        /// Their password.
        password: Secret,
        /// For what.
        scope: Scope,
    },
    /// An application credential, which stands for a user, a project and roles.
    Application {
        /// Its id.
        id: String,
        /// Its secret.
        secret: Secret,
    },
    /// An application credential that is named.
    NamedApplication {
        /// Its name, which its user has given it.
        name: String,
        /// Whose it is.
        user: User,
        /// Its secret.
        secret: Secret,
    },
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// By id.
    Id(String),
    /// By name.
    Named(String, Domain),
}

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// By id.
    Id(String),
    /// By name.
    Named(String),
}

/// What somebody acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A project.
    Project(Project),
    /// Keystone's `system`: everything, and no project.
    System,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Project {
    /// By id.
    Id(String),
    /// By name.
    Named(String, Domain),
}

impl Credential {
    /// What is sent to get a token.
    pub(crate) fn request(&self) -> Value {
        let (identity, scope) = match self {
            Self::Password { user, password, scope } => {
                let mut user = user.value();
                user["password"] = json!(password.expose());
                (json!({"methods": ["password"], "password": {"user": user}}), Some(scope.value()))
            }
            Self::Application { id, secret } => (application(json!({"id": id}), secret), None),
            Self::NamedApplication { name, user, secret } => {
                (application(json!({"name": name, "user": user.value()}), secret), None)
            }
        };
        let mut auth = json!({"identity": identity});
        if let Some(scope) = scope {
            auth["scope"] = scope;
        }
        json!({"auth": auth})
    }
}

fn application(mut credential: Value, secret: &Secret) -> Value {
    credential["secret"] = json!(secret.expose());
    json!({"methods": ["application_credential"], "application_credential": credential})
}

impl User {
    fn value(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Named(name, domain) => json!({"name": name, "domain": domain.value()}),
        }
    }
}

impl Domain {
    fn value(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Named(name) => json!({"name": name}),
        }
    }
}

impl Scope {
    fn value(&self) -> Value {
        match self {
            Self::Project(Project::Id(id)) => json!({"project": {"id": id}}),
            Self::Project(Project::Named(name, domain)) => {
                json!({"project": {"name": name, "domain": domain.value()}})
            }
            Self::System => json!({"system": {"all": true}}),
        }
    }
}

/// A credential as it is written: every key that any kind of it has.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Fields {
    username: Option<String>,
    user_id: Option<String>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    password: Option<String>,
    project_name: Option<String>,
    project_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
    system_scope: Option<String>,
    application_credential_id: Option<String>,
    application_credential_name: Option<String>,
    application_credential_secret: Option<String>,
}

impl TryFrom<Fields> for Credential {
    type Error = &'static str;

    fn try_from(mut fields: Fields) -> Result<Self, &'static str> {
        fields.check_filled()?;
        let credential = match (fields.password.take(), fields.application_credential_secret.take()) {
            (Some(password), None) => Self::Password {
                user: fields.user()?.ok_or("needs username or user_id beside password")?,
                password: Secret::new(password),
                scope: fields.scope()?,
            },
            (None, Some(secret)) => fields.application(Secret::new(secret))?,
            _ => return Err("needs either password or application_credential_secret"),
        };
        fields.check_used_up()?;
        Ok(credential)
    }
}

impl Fields {
    fn all(&self) -> [&Option<String>; 13] {
        [
            &self.username,
            &self.user_id,
            &self.user_domain_name,
            &self.user_domain_id,
            &self.password,
            &self.project_name,
            &self.project_id,
            &self.project_domain_name,
            &self.project_domain_id,
            &self.system_scope,
            &self.application_credential_id,
            &self.application_credential_name,
            &self.application_credential_secret,
        ]
    }

    fn check_filled(&self) -> Result<(), &'static str> {
        let empty = self.all().into_iter().any(|field| field.as_deref() == Some(""));
        if empty { Err("has a key without a value") } else { Ok(()) }
    }

    /// What no kind has taken belongs to another one, and whoever wrote it meant something else.
    fn check_used_up(&self) -> Result<(), &'static str> {
        if self.all().into_iter().any(Option::is_some) {
            return Err("has keys that do not go together");
        }
        Ok(())
    }

    fn user(&mut self) -> Result<Option<User>, &'static str> {
        match (self.user_id.take(), self.username.take()) {
            (Some(_), Some(_)) => Err("takes only one of username and user_id"),
            (Some(id), None) => Ok(Some(User::Id(id))),
            (None, Some(name)) => {
                let domain = domain(self.user_domain_id.take(), self.user_domain_name.take())
                    .ok_or("takes only one of user_domain_name and user_domain_id")?;
                Ok(Some(User::Named(name, domain)))
            }
            (None, None) => Ok(None),
        }
    }

    fn scope(&mut self) -> Result<Scope, &'static str> {
        match (self.project_id.take(), self.project_name.take(), self.system_scope.take()) {
            (Some(id), None, None) => Ok(Scope::Project(Project::Id(id))),
            (None, Some(name), None) => {
                let domain = domain(self.project_domain_id.take(), self.project_domain_name.take())
                    .ok_or("takes only one of project_domain_name and project_domain_id")?;
                Ok(Scope::Project(Project::Named(name, domain)))
            }
            (None, None, Some(system)) if system == "all" => Ok(Scope::System),
            (None, None, Some(_)) => Err("takes nothing but all as system_scope"),
            _ => Err("needs exactly one of project_name, project_id and system_scope"),
        }
    }

    fn application(&mut self, secret: Secret) -> Result<Credential, &'static str> {
        match (self.application_credential_id.take(), self.application_credential_name.take()) {
            (Some(id), None) => Ok(Credential::Application { id, secret }),
            (None, Some(name)) => {
                let user =
                    self.user()?.ok_or("needs username or user_id beside application_credential_name")?;
                Ok(Credential::NamedApplication { name, user, secret })
            }
            _ => Err("needs either application_credential_id or application_credential_name"),
        }
    }
}

/// The domain that is told in one way; `None` if in two.
fn domain(id: Option<String>, name: Option<String>) -> Option<Domain> {
    match (id, name) {
        (Some(_), Some(_)) => None,
        (Some(id), None) => Some(Domain::Id(id)),
        (None, Some(name)) => Some(Domain::Named(name)),
        (None, None) => Some(Domain::Id(DEFAULT_DOMAIN.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Credential, toml::de::Error> {
        toml::from_str(&text.replace("; ", "\n"))
    }

    #[test]
    fn each_kind_becomes_what_keystone_takes() {
        let password = |user: Value, scope: Value| json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}});
        let application = |credential: Value| {
            let identity =
                json!({"methods": ["application_credential"], "application_credential": credential});
            json!({"auth": {"identity": identity}})
        };
        let (alice, default) = (json!({"id": "u", "password": "p"}), json!({"id": "default"}));
        for (text, expected) in [
            (
                "username = 'alice'; password = 'p'; user_domain_name = 'People'; project_name = 'red'",
                password(
                    json!({"name": "alice", "domain": {"name": "People"}, "password": "p"}),
                    json!({"project": {"name": "red", "domain": default}}),
                ),
            ),
            (
                "user_id = 'u'; password = 'p'; project_id = 'x'",
                password(alice.clone(), json!({"project": {"id": "x"}})),
            ),
            (
                "user_id = 'u'; password = 'p'; system_scope = 'all'",
                password(alice, json!({"system": {"all": true}})),
            ),
            (
                "application_credential_id = 'a'; application_credential_secret = 's'",
                application(json!({"id": "a", "secret": "s"})),
            ),
            (
                "application_credential_name = 'a'; application_credential_secret = 's'; username = 'b'; \
                 user_domain_id = 'd'",
                application(
                    json!({"name": "a", "user": {"name": "b", "domain": {"id": "d"}}, "secret": "s"}),
                ),
            ),
        ] {
            assert_eq!(read(text).unwrap().request(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_told_without_the_secret() {
        for (text, told) in [
            ("username = 'a'", "either password or application_credential_secret"),
            ("password = 'hunter2'; application_credential_secret = 'hunter2'", "either password or"),
            ("password = 'hunter2'; project_name = 'a'", "username or user_id"),
            ("username = 'a'; password = 'hunter2'", "exactly one of project_name"),
            ("username = 'a'; password = ''; project_name = 'b'", "without a value"),
            ("username = 'a'; password = 'hunter2'; system_scope = 'some'", "system_scope"),
            (
                "username = 'a'; user_id = 'b'; password = 'hunter2'; project_id = 'c'",
                "one of username and user_id",
            ),
            (
                "username = 'a'; password = 'hunter2'; project_id = 'c'; system_scope = 'all'",
                "exactly one of",
            ),
            (
                "username = 'a'; password = 'hunter2'; project_id = 'c'; project_domain_id = 'd'",
                "do not go together",
            ),
            ("application_credential_secret = 'hunter2'; project_id = 'c'", "application_credential_id or"),
            (
                "application_credential_secret = 'hunter2'; application_credential_id = 'a'; project_id = 'c'",
                "do not go together",
            ),
            (
                "application_credential_secret = 'hunter2'; application_credential_name = 'a'",
                "username or user_id",
            ),
            ("pasword = 'hunter2'", "unknown field"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message().contains(told), "{text}: {error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        for text in [
            "username = 'a'; password = 'hunter2'; project_name = 'b'",
            "application_credential_id = 'a'; application_credential_secret = 'hunter2'",
        ] {
            let printed = format!("{:?}", read(text).unwrap());
            assert!(!printed.contains("hunter2"), "{printed}");
        }
    }
}
