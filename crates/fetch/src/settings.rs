//! What may be fetched, and how long and how much.

use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;
use serde::Deserialize;

/// The rules and bounds of fetching.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The schemes of URLs that are fetched. Default: `http` and `https`.
    pub schemes: Vec<String>,
    /// The ports that are connected to; empty: any. Default: 80 and 443.
    pub ports: Vec<u16>,
    /// If this is not empty, only from these hosts: a name, or with a dot before it all names below it. Default: empty.
    pub allow_hosts: Vec<String>,
    /// Never from these hosts, written likewise. Default: empty.
    pub deny_hosts: Vec<String>,
    /// Networks that are reached although they are not public, such as `10.0.0.0/8`. Default: none.
    pub allow_networks: Vec<IpNet>,
    /// How many redirects are followed. Default: 5.
    pub redirects: u32,
    /// How long a connection may take to be made. Default: 10 seconds.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long an answer may take to begin. Default: 30 seconds.
    #[serde(with = "humantime_serde")]
    pub answer_timeout: Duration,
    /// How long no byte may come in the middle of data. Default: 1 minute.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long all of it may take. Default: 12 hours.
    #[serde(with = "humantime_serde")]
    pub longest: Duration,
    /// Most bytes that are fetched from one URL. Default: 1 TiB.
    pub most_bytes: ByteSize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schemes: vec!["http".to_owned(), "https".to_owned()],
            ports: vec![80, 443],
            allow_hosts: Vec::new(),
            deny_hosts: Vec::new(),
            allow_networks: Vec::new(),
            redirects: 5,
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            longest: Duration::from_secs(12 * 3600),
            most_bytes: ByteSize::tib(1),
        }
    }
}

/// Whether `name` is `host`, or with a dot before `host`, below it.
pub(crate) fn is_within(name: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match host.strip_prefix('.') {
        None => name.eq_ignore_ascii_case(host),
        Some(parent) => name
            .len()
            .checked_sub(parent.len() + 1)
            .and_then(|at| name.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_itself_and_one_with_a_dot_all_below_it() {
        for (name, host, within) in [
            ("a.example", "a.example", true),
            ("A.Example", "a.example.", true),
            ("b.a.example", "a.example", false),
            ("b.a.example", ".a.example", true),
            ("a.example", ".a.example", false),
            ("evila.example", ".a.example", false),
            ("é.example", ".example", true),
            ("", ".example", false),
        ] {
            assert_eq!(is_within(name, host), within, "{name} within {host}");
        }
    }

    #[test]
    fn settings_are_read_as_text_and_unknown_ones_refused() {
        let settings: Settings = toml::from_str(
            "ports = []\nallow_networks = ['127.0.0.0/8']\nlongest = '2h'\nmost_bytes = '5GiB'",
        )
        .unwrap();
        assert_eq!((settings.longest.as_secs(), settings.most_bytes), (7200, ByteSize::gib(5)));
        assert_eq!(settings.schemes, Settings::default().schemes);
        assert!(toml::from_str::<Settings>("allow_networks = ['127.0.0.0/33']").is_err());
        assert!(toml::from_str::<Settings>("port = 80").is_err());
    }
}
