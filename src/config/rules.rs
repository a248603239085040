//! What the types of [`Config`] cannot say: bounds, names that must fit together, and what is not wise.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use bytesize::ByteSize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::{AuthKind, Config, Guard, GuardOfBackend, Role, imports};
use crate::auth::tokens;
use crate::document::{Document, Fault, Place};

/// No time in the configuration is longer. Who wants no bound can come close enough with a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Notes every fault of `config` that lies between its parts.
pub(super) fn check(config: &Config, document: &mut Document<'_>) {
    check_tls(config, document);
    check_admin(config, document);
    check_log(config, document);
    check_limits(config, document);
    check_federation(config, document);
    check_guard(&config.guard, &Place::root().then("guard"), document);
    check_backends(config, document);
    check_placement(config, document);
    check_metadefs(config, document);
    imports::check(&config.imports, &Place::root().then("imports"), document);
    check_quotas(config, document);
    let used = config.auth.kind == AuthKind::Keystone;
    config.auth.keystone.check(used, &Place::root().then("auth").then("keystone"), document);
    if config.auth.kind == AuthKind::Tokens
        && let Err(faults) = tokens::check(&config.auth.tokens.file)
    {
        let unreadable = faults.iter().all(|fault| fault.line.is_none());
        if unreadable {
            let place = Place::root().then("auth").then("tokens").then("file");
            for fault in faults {
                document.fault(&place, fault.to_string());
            }
        } else {
            document.adopt(faults);
        }
    }
}

/// What is allowed but not wise.
pub(super) fn warnings(config: &Config, document: &Document<'_>) -> Vec<Fault> {
    let mut warnings = Vec::new();
    if config.auth.kind == AuthKind::None && !config.listen.ip().is_loopback() {
        let message =
            format!("everyone who can reach {} is an administrator, as auth.kind is 'none'", config.listen);
        warnings.push(document.remark(&Place::root().then("listen"), message));
    }
    if let Some(address) = config.admin.listen
        && !address.ip().is_loopback()
    {
        let message = format!(
            "everyone who can reach {address} can read the metrics and how the backends are, unasked"
        );
        warnings.push(document.remark(&Place::root().then("admin").then("listen"), message));
    }
    warnings
}

fn check_quotas(config: &Config, document: &mut Document<'_>) {
    if config.quotas.keystone.is_some() && config.auth.keystone.url.is_none() {
        let place = Place::root().then("quotas").then("keystone");
        document.fault(&place, "needs auth.keystone.url");
    }
}

fn check_tls(config: &Config, document: &mut Document<'_>) {
    let (tls, place) = (&config.tls, Place::root().then("tls"));
    within(document, &place.then("look"), tls.look);
    for (one, other) in [("certificate", "key"), ("key", "certificate")] {
        let given = |key| if key == "key" { tls.key.is_some() } else { tls.certificate.is_some() };
        if given(one) && !given(other) {
            document.fault(&place.then(one), format!("needs tls.{other} beside it"));
        }
    }
    if let Some(Err(flaw)) = tls.files().map(|files| files.check()) {
        document.fault(&place.then(if flaw.of_key { "key" } else { "certificate" }), flaw.to_string());
    }
}

fn check_admin(config: &Config, document: &mut Document<'_>) {
    if let Some(address) = config.admin.listen
        && collide(address, config.listen)
    {
        let message = format!("{address} cannot be had beside listen, which is {}", config.listen);
        document.fault(&Place::root().then("admin").then("listen"), message);
    }
}

/// Whether two listeners cannot be had at once. An address for all interfaces takes the port from every one of
/// them, and `[::]` that of IPv4 as well.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere =
        |all: SocketAddr, one: SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || everywhere(one, other) || everywhere(other, one))
}

fn check_log(config: &Config, document: &mut Document<'_>) {
    let place = Place::root().then("log").then("level");
    let level = &config.log.level;
    if let Err(error) = EnvFilter::builder().parse(level) {
        document.fault(&place, error.to_string());
        return;
    }
    // A word that is no level would be taken for the one module to be logged, and nobody means that.
    let bare = |directive: &&str| !directive.is_empty() && !directive.contains(['=', '[']);
    if let Some(word) = level.split(',').filter(bare).find(|word| word.parse::<LevelFilter>().is_err()) {
        let message = format!("'{word}' is not one of off, error, warn, info, debug, trace");
        document.fault(&place, message);
    }
}

fn check_limits(config: &Config, document: &mut Document<'_>) {
    let limits = &config.limits;
    let place = Place::root().then("limits");
    for (key, time) in [
        ("head_timeout", limits.head_timeout),
        ("read_deadline", limits.read_deadline),
        ("idle", limits.idle),
    ] {
        within(document, &place.then(key), time);
    }
    if limits.drain > LONGEST {
        document.fault(&place.then("drain"), "must not be longer than a day");
    }
    for (key, size, least, most) in [
        ("head", limits.head, ByteSize::kib(8), ByteSize::mib(1)),
        ("query", limits.query, ByteSize::b(1), ByteSize::mib(1)),
        ("json_body", limits.json_body, ByteSize::kib(1), ByteSize::mib(64)),
        ("image", limits.image, ByteSize::b(1), ByteSize::b(i64::MAX.unsigned_abs())),
    ] {
        if size < least || size > most {
            document.fault(&place.then(key), format!("must be from {least} to {most}"));
        }
    }
    for (key, number, most) in [
        ("connections", limits.connections.get(), 1_000_000),
        ("headers", limits.headers.get(), 10_000),
        ("threads", limits.threads.map_or(1, NonZeroUsize::get), 1024),
    ] {
        if number > most {
            document.fault(&place.then(key), format!("must not be more than {most}"));
        }
    }
    if config.pages.default > config.pages.largest {
        let message = format!("must not be more than pages.largest, which is {}", config.pages.largest);
        document.fault(&Place::root().then("pages").then("default"), message);
    }
}

fn check_federation(config: &Config, document: &mut Document<'_>) {
    within(document, &Place::root().then("federation").then("hint_age"), config.federation.hint_age);
    within(document, &Place::root().then("pages").then("mark_age"), config.pages.mark_age);
    if config.federation.census_age > LONGEST {
        document.fault(&Place::root().then("federation").then("census_age"), "must not be longer than a day");
    }
    if config.federation.cool_down > LONGEST {
        document.fault(&Place::root().then("federation").then("cool_down"), "must not be longer than a day");
    }
    for (key, time) in
        [("resume_within", config.federation.resume_within), ("resume_pause", config.federation.resume_pause)]
    {
        within(document, &Place::root().then("federation").then(key), time);
    }
    for (section, key, number, most) in [
        ("federation", "census", config.federation.census, 100_000),
        ("federation", "cooled", config.federation.cooled.get(), 1_000_000),
        ("federation", "resumes", config.federation.resumes as usize, 1_000_000),
        ("federation", "resume_attempts", config.federation.resume_attempts as usize, 100),
        ("pages", "marks", config.pages.marks, 1_000_000),
    ] {
        if number > most {
            document.fault(&Place::root().then(section).then(key), format!("must not be more than {most}"));
        }
    }
    for (key, words) in [("disk", &config.formats.disk), ("container", &config.formats.container)] {
        for (number, word) in words.iter().enumerate() {
            if word.is_empty() || !word.chars().all(|c| c.is_ascii_graphic()) {
                let place = Place::root().then("formats").then(key).then(number);
                document.fault(&place, "must be a word of plain characters");
            }
        }
    }
}

fn check_guard(guard: &Guard, place: &Place, document: &mut Document<'_>) {
    for (key, time) in [
        ("idle", guard.idle),
        ("slow_window", guard.slow_window),
        ("pause", guard.pause),
        ("longest_pause", guard.longest_pause),
        ("retry_pause", guard.retry_pause),
        ("hedge_after", guard.hedge_after),
    ] {
        within(document, &place.then(key), time);
    }
    if let Some(time) = guard.slow_call {
        within(document, &place.then("slow_call"), time);
    }
    if guard.longest_pause < guard.pause {
        document.fault(&place.then("longest_pause"), "must not be shorter than guard.pause");
    }
    if guard.slow_percent == 0 || guard.slow_percent > 100 {
        document.fault(&place.then("slow_percent"), "must be from 1 to 100");
    }
    for (key, number, most) in [
        ("calls", guard.calls.get(), 100_000),
        ("streams", guard.streams.get(), 100_000),
        ("queue", guard.queue, 1_000_000),
        ("failures", guard.failures.get() as usize, 1000),
        ("slow_least", guard.slow_least.get(), 100),
        ("retries", guard.retries as usize, 10),
        ("retry_percent", guard.retry_percent as usize, 100),
        ("hedge_percent", guard.hedge_percent as usize, 100),
    ] {
        if number > most {
            document.fault(&place.then(key), format!("must not be more than {most}"));
        }
    }
}

fn check_guard_of_backend(guard: &GuardOfBackend, place: &Place, document: &mut Document<'_>) {
    for (key, time) in [("idle", guard.idle), ("slow_call", guard.slow_call)] {
        if let Some(time) = time {
            within(document, &place.then(key), time);
        }
    }
    for (key, number) in [("calls", guard.calls), ("streams", guard.streams)] {
        if number.is_some_and(|number| number.get() > 100_000) {
            document.fault(&place.then(key), "must not be more than 100000");
        }
    }
}

fn check_backends(config: &Config, document: &mut Document<'_>) {
    if config.backends.is_empty() {
        document.fault(&Place::root().then("backend"), "there must be at least one [[backend]]");
    } else if config.backends.iter().all(|entry| entry.role == Role::Cache) {
        document.fault(&Place::root().then("backend"), "there must be at least one that is no cache");
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, entry) in config.backends.iter().enumerate() {
        let place = Place::root().then("backend").then(number);
        within(document, &place.then("deadline"), entry.deadline);
        check_guard_of_backend(&entry.guard, &place.then("guard"), document);
        entry.tenancy.check(entry.name.as_deref().unwrap_or_default(), &place.then("tenancy"), document);
        match &entry.name {
            None => document.fault(&place.then("name"), "is missing"),
            Some(name) if !is_name(name) => document.fault(
                &place.then("name"),
                format!("'{name}' must be lower-case letters, digits, '-' and '_', with a letter first"),
            ),
            Some(name) => {
                if let Some(first) = seen.get(name.as_str()) {
                    let message = format!("'{name}' is already the name of backend[{first}]");
                    document.fault(&place.then("name"), message);
                } else {
                    seen.insert(name, number);
                }
            }
        }
        if entry.kind.is_none() {
            document.fault(&place.then("kind"), "is missing");
        }
    }
}

fn check_metadefs(config: &Config, document: &mut Document<'_>) {
    let metadefs = &config.metadefs;
    let place = Place::root().then("metadefs");
    for (key, number, most) in [
        ("namespaces", metadefs.namespaces, 100_000),
        ("properties", metadefs.properties, 100_000),
        ("objects", metadefs.objects, 100_000),
        ("tags", metadefs.tags, 100_000),
        ("resource_types", metadefs.resource_types, 100_000),
        ("readers", metadefs.readers, 64),
    ] {
        if number.get() > most {
            document.fault(&place.then(key), format!("must not be more than {most}"));
        }
    }
    for (key, size) in [("contents", metadefs.contents), ("document", metadefs.document)] {
        let (least, most) = (ByteSize::kib(1), ByteSize::mib(64));
        if size < least || size > most {
            document.fault(&place.then(key), format!("must be from {least} to {most}"));
        }
    }
    if metadefs.busy_timeout > Duration::from_secs(60 * 60) {
        document.fault(&place.then("busy_timeout"), "must not be longer than an hour");
    }
}

fn check_placement(config: &Config, document: &mut Document<'_>) {
    let Some(default) = &config.placement.default else { return };
    let stores = config.backends.iter().filter(|entry| entry.role == Role::Store);
    let mut names = stores.filter_map(|entry| entry.name.as_ref());
    if !names.any(|name| name == default) {
        let place = Place::root().then("placement").then("default");
        document.fault(&place, format!("'{default}' is not the name of a backend"));
    }
}

/// Notes a fault unless `time` is more than nothing and at most a day.
pub(super) fn within(document: &mut Document<'_>, place: &Place, time: Duration) {
    if time.is_zero() {
        document.fault(place, "must be longer than nothing");
    } else if time > LONGEST {
        document.fault(place, "must not be longer than a day");
    }
}

/// Whether `name` can name a backend: `[a-z][a-z0-9_-]*`.
fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_lowercase())
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}
