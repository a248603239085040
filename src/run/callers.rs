//! The configured way to know callers.

use std::sync::Arc;

use portico_keystone::Session;

use super::{Failure, blocking};
use crate::auth::Auth;
use crate::auth::keystone::Keystone;
use crate::auth::none::Nobody;
use crate::auth::tokens::Tokens;
use crate::config::{AuthKind, Config};

/// The configured way to know callers.
#[derive(Debug, Clone)]
pub(super) enum Callers {
    Nobody,
    Tokens(Arc<Tokens>),
    Keystone(Arc<Keystone>),
}

impl Callers {
    /// Gets ready to know callers as `config` says. Asks nobody yet.
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        match config.auth.kind {
            AuthKind::None => Ok(Self::Nobody),
            AuthKind::Tokens => {
                let file = config.auth.tokens.file.clone();
                let tokens = blocking(move || Tokens::load(&file)).await?;
                Ok(Self::Tokens(Arc::new(tokens.map_err(Failure::Config)?)))
            }
            AuthKind::Keystone => {
                // That both parts are there is among the rules.
                let Some((options, settings)) = config.auth.keystone.parts() else {
                    return Err(Failure::Config(Vec::new()));
                };
                let session = Session::open(options).await.map_err(Failure::Keystone)?;
                Ok(Self::Keystone(Arc::new(Keystone::new(Arc::new(session), settings))))
            }
        }
    }

    /// What the front door is given.
    pub(super) fn auth(&self) -> Arc<dyn Auth> {
        match self {
            Self::Nobody => Arc::new(Nobody),
            Self::Tokens(tokens) => Arc::clone(tokens) as Arc<dyn Auth>,
            Self::Keystone(keystone) => Arc::clone(keystone) as Arc<dyn Auth>,
        }
    }

    /// Reads again what can be read again.
    pub(super) async fn reload(&self) {
        let Self::Tokens(tokens) = self else { return };
        let tokens = Arc::clone(tokens);
        match blocking(move || tokens.reload()).await {
            Ok(Ok(tokens)) => tracing::info!(tokens, "tokens are read again"),
            Ok(Err(faults)) => {
                for fault in faults {
                    tracing::error!("{fault}");
                }
                tracing::error!("tokens are left as they were");
            }
            Err(failure) => tracing::error!("{failure}"),
        }
    }
}
