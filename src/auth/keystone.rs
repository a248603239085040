//! Callers by their Keystone tokens.
//!
//! `X-Auth-Token` is shown to Keystone, and what it says is believed for a while: no longer than the token lives, and no
//! longer than [`Settings::recheck`], within which a revocation is thus noticed. A token that Keystone does not know is
//! 401 with a challenge that names Keystone; a Keystone that does not answer is 503, for that says nothing about the
//! token.
//!
//! What else there is to a token is taken as Glance takes it:
//!
//! * Roles are in lower case. One of [`Settings::admin_roles`] makes an administrator, which is the role `admin` from
//!   there on; the word `admin` alone does not, unless it is listed.
//! * A token for a domain or for the system, and one without any scope, is let in and has neither project nor roles: by
//!   the rules as they are it sees no image, and may do nothing.
//! * `X-Service-Token` is that of a service which asks on the caller's behalf. If it is good, and has one of
//!   [`Settings::service_roles`], it lets in a token of the caller's that has ended, for as long as Keystone allows, so
//!   that long work can come to its end, and its roles become [`Caller::service_roles`]. Any other is as good as none:
//!   so it is for a Glance as it is shipped, and clients live with that.
//! * A token of an application credential with access rules is 401, as in a Glance that is not told its own service
//!   type: which paths it may use would have to be checked here.
//!
//! It must not know routes, images or stores.

mod known;
mod mood;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue};
use image_service::{Caller, Secret};
use jiff::Timestamp;
use portico_keystone::{Address, Failure, Identity, Late, Reach, Session};
use tokio::time::Instant;

use super::{Auth, Refusal, TOKEN_HEADER};
use known::{Finding, Key, Known, Verdict};
use mood::Mood;

/// The header that carries the token of a service beside the caller's.
const SERVICE_TOKEN_HEADER: &str = "x-service-token";

/// The role that stands above tenancy, from here on.
const ADMIN: &str = "admin";

/// What can be set about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where callers are told to get a token.
    pub challenge: Address,
    /// How long Keystone's word on a token is believed. Default: 1 minute.
    pub recheck: Duration,
    /// How long it is believed that a token is worthless. Default: 10 seconds.
    pub refused_age: Duration,
    /// How long a token is not asked about again after Keystone did not answer. Default: 1 second.
    pub retry_pause: Duration,
    /// Most good tokens that are remembered. Default: 10,000.
    pub cache: u64,
    /// Most others, those that are being asked about included. Default: 10,000.
    pub refused: u64,
    /// The roles, in lower case, each of which makes an administrator. Default: `admin`.
    pub admin_roles: BTreeSet<String>,
    /// The roles, in lower case, of which a service token must have one. Default: `service`.
    pub service_roles: BTreeSet<String>,
}

impl Settings {
    /// Everything at its default, with a challenge that names `challenge`.
    #[must_use]
    pub fn new(challenge: Address) -> Self {
        Self {
            challenge,
            recheck: Duration::from_secs(60),
            refused_age: Duration::from_secs(10),
            retry_pause: Duration::from_secs(1),
            cache: 10_000,
            refused: 10_000,
            admin_roles: BTreeSet::from([String::from(ADMIN)]),
            service_roles: BTreeSet::from([String::from("service")]),
        }
    }
}

/// Knows callers by what a Keystone says of their tokens.
#[derive(Debug)]
pub struct Keystone {
    session: Arc<Session>,
    settings: Settings,
    challenge: Option<HeaderValue>,
    known: Known,
    mood: Mood,
}

impl Keystone {
    /// Lets `session` say who callers are.
    #[must_use]
    pub fn new(session: Arc<Session>, settings: Settings) -> Self {
        let challenge =
            HeaderValue::from_str(&format!("Keystone uri=\"{}\"", settings.challenge.as_str())).ok();
        let age = settings.recheck.max(settings.refused_age).max(settings.retry_pause);
        let known = Known::new(settings.cache, settings.refused, age);
        Self { session, settings, challenge, known, mood: Mood::default() }
    }

    /// Whom `token` stands for; `None` if for nobody.
    async fn identity(&self, token: &Secret, late: Late) -> Result<Option<Arc<Identity>>, Refusal> {
        match self.known.verdict(Key::of(token, late), self.find(token, late)).await {
            Verdict::Good(identity) => Ok(Some(identity)),
            Verdict::Worthless => Ok(None),
            Verdict::Silent => Err(Refusal::Silent(String::from("the identity service does not answer now"))),
        }
    }

    /// Asks Keystone about `token`.
    async fn find(&self, token: &Secret, late: Late) -> Finding {
        // What is revoked while the answer is on its way counts from here.
        let asked = Instant::now();
        let told = self.session.validate(token, late).await;
        self.mood.note(told.as_ref().err());
        self.judge(told, late, asked, Timestamp::now())
    }

    /// What follows from Keystone's answer to a question that was asked at `asked`, with the time being `now`.
    fn judge(
        &self,
        told: Result<Option<Identity>, Failure>,
        late: Late,
        asked: Instant,
        now: Timestamp,
    ) -> Finding {
        let Settings { recheck, refused_age, retry_pause, .. } = self.settings;
        let finding = |verdict, age| Finding { verdict, until: asked + age };
        let identity = match told {
            Ok(Some(identity)) => identity,
            Ok(None) => return finding(Verdict::Worthless, refused_age),
            Err(_) => {
                // From its end on, for the wait may have been long.
                return Finding { verdict: Verdict::Silent, until: Instant::now() + retry_pause };
            }
        };
        let left = Duration::try_from(identity.expires_at.duration_since(now)).unwrap_or_default();
        match late {
            Late::Refused if left.is_zero() => finding(Verdict::Worthless, refused_age),
            Late::Refused => finding(Verdict::Good(Arc::new(identity)), recheck.min(left)),
            Late::Allowed => finding(Verdict::Good(Arc::new(identity)), recheck),
        }
    }

    /// The roles of the service that asks for a caller, if one does.
    async fn service_roles(&self, headers: &HeaderMap) -> Result<BTreeSet<String>, Refusal> {
        let Some(token) = headers.get(SERVICE_TOKEN_HEADER).filter(|token| !token.is_empty()) else {
            return Ok(BTreeSet::new());
        };
        let Some(token) = secret(token) else { return Ok(BTreeSet::new()) };
        let identity = self.identity(&token, Late::Refused).await?;
        let service = identity.filter(|identity| identity.has_one_of(&self.settings.service_roles));
        Ok(service.map(|service| service.roles.clone()).unwrap_or_default())
    }

    /// The caller that somebody is here.
    fn admit(&self, identity: &Identity) -> Caller {
        let user = Some(identity.user.id.clone());
        let Reach::Project { project, .. } = &identity.reach else {
            return Caller { user, ..Caller::default() };
        };
        let mut roles = identity.roles.clone();
        if identity.has_one_of(&self.settings.admin_roles) {
            roles.insert(String::from(ADMIN));
        } else {
            roles.remove(ADMIN);
        }
        Caller { user, project: Some(project.id.clone()), roles, ..Caller::default() }
    }

    fn unknown(&self, message: &str) -> Refusal {
        Refusal::Unknown { message: message.to_owned(), challenge: self.challenge.clone() }
    }
}

fn secret(header: &HeaderValue) -> Option<Secret> {
    header.to_str().ok().map(Secret::new)
}

#[async_trait]
impl Auth for Keystone {
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = headers.get(TOKEN_HEADER).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| self.unknown("a token is needed in X-Auth-Token"))?;
        let worthless = || self.unknown("the token is not valid");
        let token = secret(token).ok_or_else(worthless)?;
        let service_roles = self.service_roles(headers).await?;
        let late = if service_roles.is_empty() { Late::Refused } else { Late::Allowed };
        let identity = self.identity(&token, late).await?.ok_or_else(worthless)?;
        Ok(Caller { token: Some(token), service_roles, ..self.admit(&identity) })
    }
}
