//! The backend whose role is to be the cache: that there is one at most, that it can be one, and its options.

use super::{CacheSettings, Config, Role};
use crate::document::{Document, Place};
use crate::registry;

/// Reads the options of the cache, if there is to be one, and notes every fault about it.
pub(super) fn plan(config: &Config, document: &mut Document<'_>) -> Option<CacheSettings> {
    let mut planned = None;
    let mut first = None;
    for (number, entry) in config.backends.iter().enumerate() {
        if entry.role != Role::Cache {
            continue;
        }
        let place = Place::root().then("backend").then(number);
        if let Some(first) = first {
            document
                .fault(&place.then("role"), format!("there can be one cache, and backend[{first}] is it"));
            continue;
        }
        first = Some(number);
        if entry.cached.is_some() {
            document.fault(&place.then("cached"), "is for stores, and this is the cache");
        }
        let Some(kind) = &entry.kind else { continue };
        if !registry::kind(kind).is_some_and(registry::Kind::can_cache) {
            document.fault(&place.then("kind"), format!("'{kind}' cannot be the cache"));
            continue;
        }
        let options = place.then("options");
        planned = document.read::<CacheSettings>(&options);
        for (key, fault) in planned.iter().flat_map(CacheSettings::faults) {
            document.fault(&options.then(key), fault);
        }
    }
    planned
}
