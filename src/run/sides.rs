//! Two backends of a configuration, opened to be compared or copied, and nobody served.
//!
//! Each is a federation of its own, so that calls are guarded, lists are exact and downloads go on after a break, whatever
//! the backend does by itself. The service's own state is not touched, and a service that runs is in nobody's way but
//! that a directory of images has one user at a time.

use std::sync::Arc;
use std::time::Duration;

use image_service::{Error, ErrorKind};

use super::{Failure, federation_settings, open};
use crate::config::{Config, Loaded};
use crate::federation::{self, Backend, Federation, Formats};
use crate::registry::{self, Kind, Planned};
use crate::replica::Side;

/// The least time that an answer may take to begin, whatever a backend's `deadline` says: no client waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the two backends are opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To read both.
    Read,
    /// To tell what would be written to the second one.
    Foretell,
    /// To write to the second one.
    Write,
}

/// Opens the backends called `a` and `b`, with the rules of tenancy that they have. A directory is made for what is
/// written to, and for nothing else.
///
/// # Errors
/// [`Failure::Unfit`] if there is no such backend, both are one, or one cannot be used so; [`Failure::Backend`] if one
/// cannot be opened, as a directory that is not there, or that another process has.
pub async fn sides(loaded: Loaded, a: &str, b: &str, purpose: Use) -> Result<(Side, Side), Failure> {
    let Loaded { config, backends, .. } = loaded;
    let planned = choose(backends, a, b)?;
    let made = usize::from(purpose == Use::Write);
    let read = directories(planned.iter().rev().skip(made));
    for (name, path) in read {
        be_there(name, &path).await?;
    }
    let mut opened = open(planned, &config).await?.into_iter();
    let (Some(first), Some(second)) = (opened.next(), opened.next()) else {
        return Err(Failure::Unfit(String::from("two backends are needed")));
    };
    for backend in [&first, &second] {
        if !backend.service.capabilities().believes_caller.is_yes() {
            let why =
                "shows what its clients' own tokens may see, and there is no client; give it a credential";
            return Err(Failure::Unfit(format!("the backend '{}' {why}", backend.name)));
        }
    }
    let can = second.service.capabilities();
    if purpose != Use::Read && !(can.writes.is_yes() && can.uploads.is_yes()) {
        return Err(Failure::Unfit(format!("the backend '{}' takes no image data", second.name)));
    }
    if purpose != Use::Read && !can.drafts.is_yes() {
        let why = "cannot hold a copy that is under way: it keeps no record private, or none whose upload broke off";
        return Err(Failure::Unfit(format!("the backend '{}' {why}", second.name)));
    }
    Ok((side(first, &config)?, side(second, &config)?))
}

/// The two backends, in the order that they are asked for.
fn choose(backends: Vec<Planned>, a: &str, b: &str) -> Result<Vec<Planned>, Failure> {
    if a == b {
        return Err(Failure::Unfit(format!("'{a}' is one backend, and two are needed")));
    }
    let names: Vec<&str> = backends.iter().map(|planned| planned.name.as_str()).collect();
    if let Some(unknown) = [a, b].into_iter().find(|name| !names.contains(name)) {
        let message = format!("there is no backend '{unknown}' among {}", names.join(", "));
        return Err(Failure::Unfit(message));
    }
    let mut chosen: Vec<Planned> =
        backends.into_iter().filter(|planned| planned.name == a || planned.name == b).collect();
    chosen.sort_by_key(|planned| planned.name != a);
    let fleeting = |planned: &&Planned| registry::kind(planned.kind).is_some_and(|kind| !kind.outlasts());
    if let Some(planned) = chosen.iter().find(fleeting) {
        let why = "has its images in the process that serves them alone";
        return Err(Failure::Unfit(format!("the backend '{}' {why}", planned.name)));
    }
    Ok(chosen)
}

/// The directories among these, after the names of their backends.
fn directories<'a>(planned: impl Iterator<Item = &'a Planned>) -> Vec<(String, String)> {
    let are_made = |planned: &&Planned| registry::kind(planned.kind).is_some_and(Kind::makes_directory);
    planned
        .filter(are_made)
        .filter_map(|planned| Some((planned.name.clone(), planned.address.clone()?)))
        .collect()
}

/// Refuses a directory that is not there: opened, it would be made, and pass for a store without images.
async fn be_there(name: String, path: &str) -> Result<(), Failure> {
    match tokio::fs::try_exists(path).await {
        Ok(false) => {
            let message = format!("there is no directory '{path}': only `copy` makes one, for its target");
            Err(Failure::Backend(name, Error::new(ErrorKind::Unavailable, message)))
        }
        // What else is wrong with it shows when it is opened.
        Ok(true) | Err(_) => Ok(()),
    }
}

/// One of the two, as a service that does everything.
fn side(backend: Backend, config: &Config) -> Result<Side, Failure> {
    let name = backend.name.clone();
    let backend = Backend { deadline: backend.deadline.max(PATIENCE), ..backend };
    let settings = federation::Settings {
        default_store: None,
        // What is copied is data of an image already, and is held to its hash where it is copied.
        formats: Formats::Unchecked,
        believed: [name.clone()].into(),
        ..federation_settings(config)
    };
    let federation = Federation::new(vec![backend], settings).map_err(Failure::Federation)?;
    Ok(Side { name, service: Arc::new(federation) })
}
