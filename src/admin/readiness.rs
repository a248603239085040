//! Whether requests are worth sending here; the rule and the shape are promises of the [module above](super). Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Phase;
use crate::federation::status::{BackendStatus, State};

/// Whether, why not, and how the backends are.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Readiness<'s> {
    pub(super) ready: bool,
    why: Option<&'static str>,
    backends: BTreeMap<&'s str, &'static str>,
}

/// Judges.
pub(super) fn of(phase: Phase, backends: &[BackendStatus]) -> Readiness<'_> {
    let why = if phase == Phase::Draining {
        Some("draining")
    } else if backends.iter().all(|backend| backend.state == State::Open) {
        Some("no backends")
    } else {
        None
    };
    let states = backends.iter().map(|backend| (backend.name.as_str(), backend.state.as_str()));
    Readiness { ready: why.is_none(), why, backends: states.collect() }
}
