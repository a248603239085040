//! `[imports]`: the rules of its settings that a type cannot say. The settings themselves are the imports' own.

use std::time::Duration;

use crate::document::{Document, Place};
use crate::imports::Settings;

/// Notes every fault in them.
pub(super) fn check(settings: &Settings, place: &Place, document: &mut Document<'_>) {
    if settings.attempts == 0 {
        document.fault(&place.then("attempts"), "must be 1 or more");
    }
    for (number, method) in settings.methods.iter().enumerate() {
        if settings.methods.iter().take(number).any(|earlier| earlier == method) {
            document.fault(&place.then("methods"), format!("names {method} twice"));
        }
    }
    for (key, time) in [("staging_age", settings.staging_age), ("task_age", settings.task_age)] {
        if time < Duration::from_secs(60) || time > Duration::from_secs(365 * 24 * 3600) {
            document.fault(&place.then(key), "must be from 1 minute to 365 days");
        }
    }
}
