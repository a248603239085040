//! Why Keystone did not say what it was asked.

use std::fmt;

/// A question that got no answer. It says nothing about what was asked for. For the operator: it can name the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Keystone does not answer, or not in a way that can be understood.
    Silent(String),
    /// Keystone does not take our credential, or does not let us ask this with it.
    Refused(String),
}

impl Failure {
    /// An answer that Keystone should not give.
    pub(crate) fn nonsense(how: impl fmt::Display) -> Self {
        Self::Silent(format!("keystone broke its own rules: {how}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(how) | Self::Refused(how) => f.write_str(how),
        }
    }
}

impl std::error::Error for Failure {}

/// Options that cannot be put to use. Says which, and why.
#[derive(Debug)]
pub struct Unusable {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Unusable {
    pub(crate) const fn new(message: String) -> Self {
        Self { message, source: None }
    }

    pub(crate) fn because(
        message: String,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { message, source: Some(source.into()) }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unusable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
