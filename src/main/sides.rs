//! What `portico compare` and `portico copy` have in common: two backends, which images, exit codes, text for a terminal.

use std::fmt::Display;
use std::process::ExitCode;

use clap::Args;
use image_service::{Status, Visibility};
use portico::config;
use portico::config::Log;
use portico::replica::{Choice, Side, Verdict};
use portico::run::{self, Failure, Use};
use portico::telemetry;

use super::{ConfigFile, LAST_WORK, USAGE, chain, refuse, tell};

/// There is a difference, or not all could be copied.
pub(super) const DIFFERENT: u8 = 1;

/// That could not be told.
pub(super) const UNKNOWN: u8 = 2;

/// The longest name that is shown whole.
const LONGEST_NAME: usize = 60;

#[derive(Debug, Args)]
pub(super) struct Backends {
    /// The first backend, by its name in the configuration
    a: String,
    /// The second backend
    b: String,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which images")]
pub(super) struct Chosen {
    /// Only images of these ids. All of these may be given several times
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    /// Only images of these names
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Only images of these statuses
    #[arg(long = "status", value_name = "STATUS")]
    statuses: Vec<Status>,
    /// Only images of these visibilities
    #[arg(long = "visibility", value_name = "VISIBILITY")]
    visibilities: Vec<Visibility>,
    /// Only images of these projects
    #[arg(long = "owner", value_name = "PROJECT")]
    owners: Vec<String>,
    /// Only images with all of these tags
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only images with all of these properties
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = property)]
    properties: Vec<(String, String)>,
}

impl Chosen {
    /// The images that are meant; of these statuses, if none is named.
    pub(super) fn choice(self, usual: &[Status]) -> Choice {
        let Self { ids, names, mut statuses, visibilities, owners, tags, properties } = self;
        if statuses.is_empty() {
            statuses.extend_from_slice(usual);
        }
        Choice { ids, names, statuses, visibilities, owners, tags, properties }
    }
}

fn property(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("there is no '=' in it")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Opens the two backends and has `work` done on them, on a runtime of its own.
pub(super) fn on<F: Future<Output = ExitCode>>(
    backends: Backends,
    purpose: Use,
    work: impl FnOnce(Side, Side) -> F,
) -> ExitCode {
    let loaded = match config::load(&backends.config.config) {
        Ok(loaded) => loaded,
        Err(faults) => return refuse(&faults),
    };
    let log = Log { level: String::from("warn"), ..loaded.config.log.clone() };
    if let Err(error) = telemetry::start(&log) {
        complain(format_args!("the log cannot be started: {error}"));
        return ExitCode::from(USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::System(error)),
    };
    let code = runtime.block_on(async {
        match run::sides(loaded, &backends.a, &backends.b, purpose).await {
            Ok((a, b)) => work(a, b).await,
            Err(failure) => fail(&failure),
        }
    });
    runtime.shutdown_timeout(LAST_WORK);
    code
}

fn fail(failure: &Failure) -> ExitCode {
    complain(chain(failure));
    ExitCode::from(if failure.is_of_config() { USAGE } else { UNKNOWN })
}

pub(super) fn exit_code(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Equal => ExitCode::SUCCESS,
        Verdict::Different => ExitCode::from(DIFFERENT),
        Verdict::Unknown => ExitCode::from(UNKNOWN),
    }
}

/// Writes a line on standard error, as a terminal may show it.
pub(super) fn complain(what: impl Display) {
    tell(format_args!("portico: {}", printable(&what.to_string())));
}

/// Text as a terminal may show it: others choose names and ids, and what steers a terminal may be in them.
pub(super) fn printable(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

/// A name as a terminal may show it, and not more of it than fits beside others.
pub(super) fn shown(name: Option<&str>) -> String {
    let mut text: String = printable(name.unwrap_or_default()).chars().take(LONGEST_NAME + 1).collect();
    if text.chars().count() > LONGEST_NAME {
        text.pop();
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal_or_fill_it() {
        assert_eq!(shown(Some("a\u{1b}[2Jb\n\u{202e}c")), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c");
        assert_eq!(shown(Some(&"x".repeat(60))), "x".repeat(60));
        assert_eq!(shown(Some(&"x".repeat(61))), format!("{}…", "x".repeat(60)));
        assert_eq!(shown(None), "");
    }
}
