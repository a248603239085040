//! `config.example.toml`: it works, it has every key there is, and what it shows is the default.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

#[path = "tls/authority.rs"]
mod authority;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use authority::Authority;
use portico::config::{self, BackendEntry, Config};
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

const EXAMPLE: &str = include_str!("../config.example.toml");

/// The example with every setting that is commented out put in.
fn with_everything() -> String {
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(|line| uncommented(line) + "\n").collect()
}

/// The keys that a struct takes: it is asked to read itself, and says what it looks for.
fn keys_of<T: DeserializeOwned>() -> BTreeSet<String> {
    struct Asked<'k>(&'k mut Vec<&'static str>);
    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = serde::de::value::Error;
        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            keys: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            self.0.extend(keys);
            Err(serde::de::Error::custom("that is all there was to know"))
        }
        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("not a struct"))
        }
        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut keys = Vec::new();
    assert!(T::deserialize(Asked(&mut keys)).is_err());
    assert!(!keys.is_empty());
    keys.into_iter().map(str::to_owned).collect()
}

/// The keys of every struct that the configuration is made of, by where they stand.
fn known() -> BTreeMap<&'static str, BTreeSet<String>> {
    BTreeMap::from([
        ("", keys_of::<Config>()),
        ("tls", keys_of::<config::TlsSettings>()),
        ("api", keys_of::<config::ApiSettings>()),
        ("admin", keys_of::<config::Admin>()),
        ("log", keys_of::<config::Log>()),
        ("auth", keys_of::<config::Auth>()),
        ("auth.tokens", keys_of::<config::TokensFile>()),
        ("auth.keystone", keys_of::<config::KeystoneSettings>()),
        ("quotas", keys_of::<config::QuotaSettings>()),
        ("quotas.keystone", keys_of::<config::UnifiedLimits>()),
        ("policy", keys_of::<config::Policy>()),
        ("limits", keys_of::<config::Limits>()),
        ("pages", keys_of::<config::Pages>()),
        ("formats", keys_of::<config::Formats>()),
        ("locations", keys_of::<config::LocationSettings>()),
        ("federation", keys_of::<config::FederationSettings>()),
        ("guard", keys_of::<config::Guard>()),
        ("placement", keys_of::<config::Placement>()),
        ("state", keys_of::<config::StateSettings>()),
        ("imports", keys_of::<config::ImportSettings>()),
        ("imports.web", keys_of::<portico_fetch::Settings>()),
        ("metadefs", keys_of::<config::MetadefsSettings>()),
        ("backend", keys_of::<BackendEntry>()),
        ("backend.guard", keys_of::<config::GuardOfBackend>()),
        ("backend.tenancy", keys_of::<config::TenancyOfBackend>()),
        ("local", keys_of::<portico_local::Options>()),
        ("cache", keys_of::<config::CacheSettings>()),
        ("memory", keys_of::<portico_memory::Options>()),
        ("http", keys_of::<portico_http::Options>()),
        ("http, published", keys_of::<portico_http::PublishedOptions>()),
        ("web", keys_of::<portico_web::Options>()),
    ])
}

/// The keys of every table in the example, by where they stand; a backend's options by its kind.
fn shown(table: &toml::Table, place: &str, into: &mut BTreeMap<String, BTreeSet<String>>) {
    into.entry(place.to_owned()).or_default().extend(table.keys().cloned());
    for (key, value) in table {
        let below = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        match (below.as_str(), value) {
            ("backend.options", toml::Value::Table(options)) => {
                let is_cache = table.get("role").is_some_and(|role| role.as_str() == Some("cache"));
                let dialect = options.get("dialect").and_then(toml::Value::as_str);
                let is_published = dialect.is_some_and(portico_http::PublishedDialect::is_named);
                let kind = match (is_cache, is_published) {
                    (true, _) => "cache",
                    (_, true) => "http, published",
                    _ => table["kind"].as_str().unwrap(),
                };
                into.entry(kind.to_owned()).or_default().extend(options.keys().cloned());
            }
            // Its keys are names of projects.
            ("backend.tenancy.projects", _) => {}
            (_, toml::Value::Table(inner)) => shown(inner, &below, into),
            ("backend", toml::Value::Array(backends)) => {
                backends.iter().for_each(|backend| shown(backend.as_table().unwrap(), "backend", into));
            }
            _ => {}
        }
    }
}

#[test]
fn it_is_a_configuration_without_faults_or_warnings() {
    let loaded = config::parse(Path::new("config.example.toml"), EXAMPLE).unwrap();
    assert_eq!(loaded.warnings, []);
    let names: Vec<_> = loaded.backends.iter().map(|backend| (backend.name.as_str(), backend.kind)).collect();
    assert_eq!(names, [("local", "local"), ("scratch", "memory")]);
}

#[test]
fn what_is_commented_out_is_without_faults_too() {
    // The certificate it names must be there.
    let (directory, pair) = (tempfile::tempdir().unwrap(), Authority::new().certify("images.test"));
    std::fs::write(directory.path().join("certificate.pem"), pair.certificate).unwrap();
    std::fs::write(directory.path().join("key.pem"), pair.key).unwrap();
    let here = format!("{}/", directory.path().display());
    let mut text = with_everything();
    for file in ["certificate.pem", "key.pem"] {
        text = text.replace(&format!("/etc/portico/{file}"), &format!("{here}{file}"));
    }
    let loaded = config::parse(Path::new("config.example.toml"), &text).unwrap();
    assert_eq!(loaded.backends.len(), 7);
}

#[test]
fn it_has_every_key_there_is_and_no_other() {
    let mut found = BTreeMap::new();
    shown(&with_everything().parse().unwrap(), "", &mut found);
    // No credential can have all the keys there are, so the text beside it names them.
    let keys = keys_of::<portico_keystone::Credential>();
    for place in ["auth.keystone.credential", "quotas.keystone.credential"] {
        let credential = found.remove(place).unwrap();
        assert!(credential.is_subset(&keys), "{credential:?}");
    }
    let unnamed: Vec<_> = keys.iter().filter(|key| !EXAMPLE.contains(key.as_str())).collect();
    assert_eq!(unnamed, Vec::<&String>::new());
    let known: BTreeMap<String, _> =
        known().into_iter().map(|(place, keys)| (place.to_owned(), keys)).collect();
    assert_eq!(found, known);
}

#[test]
fn every_setting_it_shows_is_the_default() {
    let loaded = config::parse(Path::new("config.example.toml"), EXAMPLE).unwrap();
    let defaults = BackendEntry::default();
    for backend in &loaded.config.backends {
        assert_eq!(
            (backend.deadline, backend.verify, backend.role, &backend.guard, &backend.tenancy),
            (defaults.deadline, defaults.verify, defaults.role, &defaults.guard, &defaults.tenancy)
        );
    }
    assert_eq!(Config { backends: Vec::new(), ..loaded.config }, Config::default());
}

#[test]
fn every_option_of_a_backend_it_shows_is_the_default() {
    let all: toml::Table = with_everything().parse().unwrap();
    let options = |number: usize| all["backend"][number]["options"].clone();
    let least = |keys: &[&str], number: usize| {
        let all = options(number);
        toml::Table::from_iter(keys.iter().map(|key| ((*key).to_owned(), all[*key].clone())))
    };
    assert_eq!(
        options(0).try_into::<portico_local::Options>().unwrap(),
        least(&["path"], 0).try_into().unwrap()
    );
    assert_eq!(options(1).try_into::<portico_memory::Options>().unwrap(), portico_memory::Options::default());
    // Files have no default that could be shown.
    let shown: portico_http::Options = options(2).try_into().unwrap();
    let default: portico_http::Options =
        least(&["dialect", "endpoint", "ca_file", "client_certificate", "client_key"], 2).try_into().unwrap();
    assert_eq!(format!("{shown:?}"), format!("{default:?}"));
    // Nor has what only some catalogues need.
    let shown: portico_http::PublishedOptions = options(3).try_into().unwrap();
    let without_default = [
        "dialect",
        "endpoint",
        "keyring",
        "namespace",
        "owner",
        "versions",
        "ca_file",
        "client_certificate",
        "client_key",
    ];
    let default: portico_http::PublishedOptions = least(&without_default, 3).try_into().unwrap();
    assert_eq!(format!("{shown:?}"), format!("{default:?}"));
    let shown: portico_http::PublishedOptions = options(4).try_into().unwrap();
    let default: portico_http::PublishedOptions = least(&["dialect", "endpoint"], 4).try_into().unwrap();
    assert_eq!(format!("{shown:?}"), format!("{default:?}"));
    let shown: portico_web::Options = options(5).try_into().unwrap();
    assert_eq!(shown, least(&["path"], 5).try_into().unwrap());
    let shown: config::CacheSettings = options(6).try_into().unwrap();
    let default: config::CacheSettings = least(&["path"], 6).try_into().unwrap();
    assert_eq!(shown.most.map(|most| most.as_u64() * 2), Some(default.size.as_u64()));
    assert_eq!(config::CacheSettings { most: None, ..shown }, default);
    // It shows every key of what it may fetch, too.
    let fetch: BTreeSet<String> = options(5)["fetch"].as_table().unwrap().keys().cloned().collect();
    assert_eq!(fetch, keys_of::<portico_web::Settings>());
}
