//! One Keystone, spoken to with one credential.

use std::sync::Arc;
use std::time::Duration;

use image_service::Secret;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use tokio::time::Instant;

use crate::identity::Token;
use crate::own::{Keeper, Own};
use crate::wire::{Reply, Wire};
use crate::{Credential, Failure, Identity, Options, Unusable};

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

/// The share of a token's life, as a divisor, in which it is renewed at the latest.
const LAST_PART: u32 = 5;

/// Whether a token that has ended may still be told of. Keystone bounds how long ago that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Late {
    /// It must be good now.
    Refused,
    /// It may have ended.
    Allowed,
}

/// A Keystone, and a token of our own for it. Made once and shared.
#[derive(Debug)]
pub struct Session {
    desk: Arc<Desk>,
    own: Arc<Keeper>,
}

/// What is needed to get a token.
#[derive(Debug)]
struct Desk {
    wire: Wire,
    credential: Credential,
    renew_before: Duration,
}

impl Session {
    /// Gets ready to speak to the Keystone at `options.url`. Asks nothing of it yet: one that is down now may be up when
    /// something is to be asked.
    ///
    /// # Errors
    /// If the file of certificates cannot be used.
    pub async fn open(options: Options) -> Result<Self, Unusable> {
        let wire = Wire::open(&options).await?;
        let Options { credential, renew_before, retry_pause, .. } = options;
        let desk = Arc::new(Desk { wire, credential, renew_before });
        Ok(Self { desk, own: Keeper::new(retry_pause) })
    }

    /// A token of our own, as a header has it, that is good for a while.
    ///
    /// # Errors
    /// If there is none, and none can be had.
    pub async fn token(&self) -> Result<HeaderValue, Failure> {
        self.own.token(|| Arc::clone(&self.desk).log_in()).await
    }

    /// Drops `token`, which is one of our own that a server has refused. The next one is a new one.
    pub fn drop_token(&self, token: &HeaderValue) {
        self.own.drop_token(token);
    }

    /// Tells whom `token` stands for; `None` if Keystone says that it is not valid.
    ///
    /// # Errors
    /// If Keystone does not say.
    pub async fn validate(&self, token: &Secret, late: Late) -> Result<Option<Identity>, Failure> {
        // What no header can carry is no token.
        let Ok(mut subject) = HeaderValue::from_str(token.expose()) else { return Ok(None) };
        subject.set_sensitive(true);
        let query: &[(&str, &str)] = match late {
            Late::Refused => &[("nocatalog", "")],
            Late::Allowed => &[("nocatalog", ""), ("allow_expired", "1")],
        };
        let request = || {
            self.desk.wire.request(Method::GET, "auth/tokens").query(query).header(SUBJECT, subject.clone())
        };
        let reply = self.ask(request).await?;
        match reply.status {
            StatusCode::OK => Identity::read(&reply.body).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(unexpected("whether a token is valid", status)),
        }
    }

    /// Asks as ourselves. If our token is refused, asks once more with a new one.
    pub(crate) async fn ask(&self, request: impl Fn() -> RequestBuilder) -> Result<Reply, Failure> {
        let token = self.token().await?;
        let reply = self.desk.wire.send(request().header(TOKEN, token.clone())).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        self.drop_token(&token);
        let reply = self.desk.wire.send(request().header(TOKEN, self.token().await?)).await?;
        match reply.status {
            StatusCode::UNAUTHORIZED => Err(Failure::Refused(String::from(
                "keystone does not take the token that it has just given us",
            ))),
            _ => Ok(reply),
        }
    }

    /// Asks for what is found under `path` with `query`, which must be there.
    pub(crate) async fn find(&self, path: &str, query: &[(&str, &str)]) -> Result<Reply, Failure> {
        let reply = self.ask(|| self.desk.wire.request(Method::GET, path).query(query)).await?;
        match reply.status {
            StatusCode::OK => Ok(reply),
            status => Err(unexpected(path, status)),
        }
    }
}

impl Desk {
    /// Gets a token with the credential.
    async fn log_in(self: Arc<Self>) -> Result<Own, Failure> {
        let asked = Instant::now();
        let request = self.wire.request(Method::POST, "auth/tokens").query(&[("nocatalog", "")]);
        let reply = self.wire.send(request.json(&self.credential.request())).await?;
        match reply.status {
            StatusCode::CREATED | StatusCode::OK => self.understand(&reply, asked),
            StatusCode::UNAUTHORIZED => {
                Err(Failure::Refused(String::from("keystone does not take our credential")))
            }
            status => Err(unexpected("for a token", status)),
        }
    }

    fn understand(&self, reply: &Reply, asked: Instant) -> Result<Own, Failure> {
        let token = reply.headers.get(SUBJECT).filter(|token| !token.is_empty());
        let mut token =
            token.cloned().ok_or_else(|| Failure::nonsense("it gave a token without saying which"))?;
        token.set_sensitive(true);
        // Both by Keystone's clock, so that ours need not agree with it.
        let Token { issued_at, expires_at, .. } = Token::read(&reply.body)?;
        let life = Duration::try_from(expires_at.duration_since(issued_at)).unwrap_or_default();
        let margin = self.renew_before.min(life / LAST_PART);
        let end =
            asked.checked_add(life).ok_or_else(|| Failure::nonsense("it gave a token that never ends"))?;
        Ok(Own { token, due: end - margin, end })
    }
}

/// The failure for an answer that is neither a yes nor a no to `what` was asked.
fn unexpected(what: &str, status: StatusCode) -> Failure {
    if status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED {
        return Failure::Refused(format!("keystone does not let us ask {what}"));
    }
    Failure::Silent(format!("keystone was asked {what} and answered {}", status.as_u16()))
}
