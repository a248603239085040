//! What is shown to a server, so that it knows us or the caller.

use std::env::VarError;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use image_service::{Context, Error, ErrorKind, Result, Secret};
use portico_keystone::{Failure, Session};
use reqwest::header::HeaderValue;
use tokio::io::AsyncReadExt as _;

use crate::fault::Credentials;
use crate::options::{Auth, token_header};

/// The most bytes that are read of a token file. Longer tokens fit no header.
const LONGEST_TOKEN_FILE: u64 = 64 * 1024;

/// What is shown to a server.
pub(crate) enum Key {
    /// Nothing.
    Nothing,
    /// A token of our own, which may be in a file.
    Ours {
        /// The token as it was when the file was read.
        token: RwLock<Secret>,
        /// The file.
        file: Option<PathBuf>,
    },
    /// The caller's token.
    Callers,
    /// A token of our own that a Keystone gives us.
    Keystone(Session),
}

impl Key {
    /// Gets ready to show what `auth` says. Asks nobody yet.
    pub(crate) async fn open(auth: &Auth) -> Result<Self> {
        match auth {
            Auth::None {} => Ok(Self::Nothing),
            Auth::Caller {} => Ok(Self::Callers),
            Auth::Token { token, token_file, token_env } => Self::ours(token, token_file, token_env).await,
            Auth::Keystone(options) => {
                let session = Session::open(options.as_ref().clone()).await;
                session.map(Self::Keystone).map_err(|unusable| {
                    Error::invalid("auth: the options for keystone cannot be used").with_source(unusable)
                })
            }
        }
    }

    async fn ours(
        token: &Option<Secret>,
        token_file: &Option<PathBuf>,
        token_env: &Option<String>,
    ) -> Result<Self> {
        let (key, secret) = match (token, token_file, token_env) {
            (Some(token), None, None) => ("token", token.clone()),
            (None, Some(file), None) => ("token_file", read_token(file).await?),
            (None, None, Some(variable)) => ("token_env", token_in(variable)?),
            _ => return Err(Error::invalid("auth: needs exactly one of token, token_file and token_env")),
        };
        if token_header(&secret).is_none() {
            let message = format!("auth.{key}: the token is empty or not one that a header can carry");
            return Err(Error::invalid(message));
        }
        Ok(Self::Ours { token: RwLock::new(secret), file: token_file.clone() })
    }

    /// Whose credentials these are.
    pub(crate) const fn credentials(&self) -> Credentials {
        match self {
            Self::Nothing | Self::Ours { .. } | Self::Keystone(_) => Credentials::Service,
            Self::Callers => Credentials::Caller,
        }
    }

    /// The token to show on behalf of `context`'s caller, if one is shown at all.
    pub(crate) async fn token(&self, context: &Context) -> Result<Option<HeaderValue>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Ours { token, .. } => {
                let token = token.read().unwrap_or_else(PoisonError::into_inner).clone();
                header(&token).map(Some)
            }
            Self::Callers => match &context.caller.token {
                Some(token) => header(token).map(Some),
                None => Err(Error::new(
                    ErrorKind::Unauthenticated,
                    "the image service behind wants the caller's token, and there is none",
                )),
            },
            Self::Keystone(session) => session.token().await.map(Some).map_err(no_token),
        }
    }

    /// Learns that the server refuses what was `shown`, for the requests to come. Gives another token if one is `wanted`
    /// and can be had at once.
    pub(crate) async fn replace(&self, shown: Option<&HeaderValue>, wanted: bool) -> Option<HeaderValue> {
        match self {
            Self::Nothing | Self::Callers | Self::Ours { file: None, .. } => None,
            Self::Ours { token, file: Some(file) } => {
                if let Ok(fresh) = read_token(file).await
                    && token_header(&fresh).is_some()
                {
                    *token.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                }
                None
            }
            Self::Keystone(session) => {
                session.drop_token(shown?);
                if !wanted {
                    return None;
                }
                // If there is none, the refusal says all there is to say.
                session.token().await.ok()
            }
        }
    }
}

/// The error for a token of our own that is not to be had. What Keystone said is for the operator.
fn no_token(failure: Failure) -> Error {
    let (kind, message) = match &failure {
        Failure::Silent(_) => {
            (ErrorKind::Unavailable, "the identity service of the image service behind does not answer now")
        }
        Failure::Refused(_) => {
            (ErrorKind::Refused, "the identity service of the image service behind refuses our credentials")
        }
    };
    Error::new(kind, message).with_source(failure)
}

fn header(token: &Secret) -> Result<HeaderValue> {
    let invalid = || Error::new(ErrorKind::Unauthenticated, "the token is not one that a header can carry");
    token_header(token).ok_or_else(invalid)
}

/// The token that `file` holds, without the blanks around it.
async fn read_token(file: &Path) -> Result<Secret> {
    let unreadable = |source| {
        Error::invalid(format!("auth.token_file: '{}' cannot be read", file.display())).with_source(source)
    };
    // What is no file, such as a pipe, could be waited for without end.
    if !tokio::fs::metadata(file).await.map_err(unreadable)?.is_file() {
        let message = format!("auth.token_file: '{}' is not a regular file", file.display());
        return Err(Error::invalid(message));
    }
    let file = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let mut text = String::new();
    file.take(LONGEST_TOKEN_FILE).read_to_string(&mut text).await.map_err(unreadable)?;
    Ok(Secret::new(text.trim()))
}

/// The token that the environment variable called `variable` holds, without the blanks around it.
fn token_in(variable: &str) -> Result<Secret> {
    let unreadable = |source| {
        // What the variable holds, if it is no text, must not be shown.
        let why = if source == VarError::NotPresent { "is not set" } else { "is not a text" };
        Error::invalid(format!("auth.token_env: the environment variable '{variable}' {why}"))
    };
    std::env::var(variable).map(|text| Secret::new(text.trim())).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_token_must_be_given_in_exactly_one_way() {
        for auth in [
            Auth::Token { token: None, token_file: None, token_env: None },
            Auth::Token { token: Some(Secret::new("a")), token_file: Some("b".into()), token_env: None },
            Auth::Token { token: Some(Secret::new("a\nb")), token_file: None, token_env: None },
            Auth::Token { token: Some(Secret::new("")), token_file: None, token_env: None },
        ] {
            assert!(Key::open(&auth).await.is_err());
        }
    }

    #[tokio::test]
    async fn what_a_token_cannot_be_read_from_is_told_with_its_key() {
        let file = |path: &str| Auth::Token { token: None, token_file: Some(path.into()), token_env: None };
        let unset = Some(String::from("PORTICO_TEST_UNSET"));
        let empty = tempfile::NamedTempFile::new().unwrap();
        for (auth, message) in [
            (file("/nowhere/token"), "auth.token_file: '/nowhere/token' cannot be read"),
            (file("/dev/zero"), "auth.token_file: '/dev/zero' is not a regular file"),
            (file(empty.path().to_str().unwrap()), "auth.token_file: the token is empty"),
            (
                Auth::Token { token: None, token_file: None, token_env: unset },
                "auth.token_env: the environment variable 'PORTICO_TEST_UNSET' is not set",
            ),
        ] {
            let error = Key::open(&auth).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[tokio::test]
    async fn a_token_file_is_read_again_once_its_token_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "old\n").unwrap();
        let auth = Auth::Token { token: None, token_file: Some(file.path().into()), token_env: None };
        let key = Key::open(&auth).await.unwrap();
        let context = Context::new(image_service::Caller::administrator(), "r");
        std::fs::write(file.path(), "new\n").unwrap();
        assert_eq!(key.token(&context).await.unwrap().unwrap(), "old");
        assert_eq!(key.replace(None, true).await, None);
        assert_eq!(key.token(&context).await.unwrap().unwrap(), "new");
    }
}
