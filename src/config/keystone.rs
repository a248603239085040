//! `[auth.keystone]`: every key, its promise, its default and its rules.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use portico_keystone::{Address, Credential, Options};
use serde::Deserialize;

use super::rules::within;
use crate::auth::keystone::Settings;
use crate::document::{Document, Place};

/// `[auth.keystone]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeystoneSettings {
    /// Where Keystone is, with or without `/v3` at the end. Must be given for the kind `keystone`.
    pub url: Option<Address>,
    /// Where callers without a good token are told to get one. Default: `url`.
    pub www_authenticate_uri: Option<Address>,
    /// As whom to ask Keystone about callers: the role `service` in a project is enough. Must be given for the kind
    /// `keystone`.
    pub credential: Option<Credential>,
    /// The certificate authorities to trust, in PEM, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long Keystone's word on a token is believed: the time within which a revocation is noticed.
    /// Default: 1 minute.
    #[serde(with = "humantime_serde")]
    pub recheck: Duration,
    /// Most good tokens that are remembered. Default: 10 000.
    pub cache: NonZeroUsize,
    /// Most other tokens that are remembered. Default: 10 000.
    pub refused: NonZeroUsize,
    /// How long it is believed that a token is worthless. Default: 10 seconds.
    #[serde(with = "humantime_serde")]
    pub refused_age: Duration,
    /// The roles each of which makes an administrator. Default: `admin`.
    pub admin_roles: Vec<String>,
    /// The roles of which a service token must have one to count. Default: `service`.
    pub service_roles: Vec<String>,
    /// How long a connection may take to be made. Default: 5 seconds.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long one answer may take, the wait until others have theirs included. Default: 10 seconds.
    #[serde(with = "humantime_serde")]
    pub answer_timeout: Duration,
    /// Most bytes of one answer. Default: 1 MiB.
    pub max_response: ByteSize,
    /// Most requests to Keystone at once; more wait until one ends. Default: 32.
    pub calls: NonZeroUsize,
    /// How long before its end our own token is renewed, or a fifth of its life if that is less. Default: 5 minutes.
    #[serde(with = "humantime_serde")]
    pub renew_before: Duration,
    /// How long not to ask the same again after Keystone gave no answer. Default: 1 second.
    #[serde(with = "humantime_serde")]
    pub retry_pause: Duration,
}

impl Default for KeystoneSettings {
    fn default() -> Self {
        let number = |number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        Self {
            url: None,
            www_authenticate_uri: None,
            credential: None,
            ca_file: None,
            recheck: Duration::from_secs(60),
            cache: number(10_000),
            refused: number(10_000),
            refused_age: Duration::from_secs(10),
            admin_roles: vec![String::from("admin")],
            service_roles: vec![String::from("service")],
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(10),
            max_response: ByteSize::mib(1),
            calls: number(32),
            renew_before: Duration::from_secs(300),
            retry_pause: Duration::from_secs(1),
        }
    }
}

impl KeystoneSettings {
    /// How to reach Keystone, and how to know callers by it; `None` if not all is there that must be given.
    #[must_use]
    pub fn parts(&self) -> Option<(Options, Settings)> {
        let url = self.url.clone()?;
        let lower = |roles: &[String]| roles.iter().map(|role| role.to_lowercase()).collect::<BTreeSet<_>>();
        let settings = Settings {
            challenge: self.www_authenticate_uri.clone().unwrap_or_else(|| url.clone()),
            recheck: self.recheck,
            refused_age: self.refused_age,
            retry_pause: self.retry_pause,
            cache: self.cache.get() as u64,
            refused: self.refused.get() as u64,
            admin_roles: lower(&self.admin_roles),
            service_roles: lower(&self.service_roles),
        };
        Some((self.reach(self.credential.clone()?)?, settings))
    }

    /// How to reach Keystone with another credential; `None` if it is not said where it is.
    #[must_use]
    pub fn reach(&self, credential: Credential) -> Option<Options> {
        Some(Options {
            ca_file: self.ca_file.clone(),
            connect_timeout: self.connect_timeout,
            answer_timeout: self.answer_timeout,
            max_response: self.max_response,
            calls: self.calls,
            renew_before: self.renew_before,
            retry_pause: self.retry_pause,
            ..Options::new(self.url.clone()?, credential)
        })
    }

    /// Notes what is wrong with it; what must be given only if it is `used`.
    pub(super) fn check(&self, used: bool, place: &Place, document: &mut Document<'_>) {
        for (key, missing) in [("url", self.url.is_none()), ("credential", self.credential.is_none())] {
            if used && missing {
                document.fault(&place.then(key), "is missing");
            }
        }
        for (key, time) in [
            ("recheck", self.recheck),
            ("refused_age", self.refused_age),
            ("connect_timeout", self.connect_timeout),
            ("answer_timeout", self.answer_timeout),
            ("renew_before", self.renew_before),
            ("retry_pause", self.retry_pause),
        ] {
            within(document, &place.then(key), time);
        }
        if self.max_response < ByteSize::kib(1) || self.max_response > ByteSize::mib(64) {
            document.fault(&place.then("max_response"), "must be from 1.0 KiB to 64.0 MiB");
        }
        for (key, number, most) in [
            ("cache", self.cache, 1_000_000),
            ("refused", self.refused, 1_000_000),
            ("calls", self.calls, 1000),
        ] {
            if number.get() > most {
                document.fault(&place.then(key), format!("must not be more than {most}"));
            }
        }
        for (key, roles) in [("admin_roles", &self.admin_roles), ("service_roles", &self.service_roles)] {
            for (number, role) in roles.iter().enumerate() {
                if role.trim().is_empty() {
                    document.fault(&place.then(key).then(number), "must be the name of a role");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_leaves_every_part_at_its_own_defaults() {
        let url = Address::try_from(String::from("http://h:5000/v3")).unwrap();
        let credential: Credential =
            toml::from_str("username = 'a'\npassword = 'b'\nproject_id = 'c'").unwrap();
        let least = KeystoneSettings {
            url: Some(url.clone()),
            credential: Some(credential.clone()),
            ..KeystoneSettings::default()
        };
        let expected = (Options::new(url.clone(), credential), Settings::new(url));
        assert_eq!(least.parts(), Some(expected));
    }
}
