//! The `portico` program: its command line and its exit codes.

#[path = "main/compare.rs"]
mod compare;
#[path = "main/copy.rs"]
mod copy;
#[path = "main/sides.rs"]
mod sides;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use portico::auth::tokens;
use portico::config::{self, Loaded};
use portico::document::Fault;
use portico::metadefs::files::{self, Mode};
use portico::metadefs::{self, Store};
use portico::run::{self, Failure};
use portico::server::Ending;
use portico::server::threads::Threads;
use portico::state::State;
use portico::telemetry;
use uuid::Uuid;

/// The command line or the configuration is wrong.
const USAGE: u8 = 64;

/// How long work on files that has begun may take to finish when everything else has ended.
const LAST_WORK: Duration = Duration::from_secs(5);

/// One front door over many image stores.
///
/// Serves the OpenStack Image API in front of the backends that the configuration names, until SIGTERM or SIGINT;
/// a second one cuts what is still under way. SIGHUP reads the file of tokens again.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    serve: ConfigFile,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   ended in good order
  1   could not begin, ended before all requests were done, or could not load every file
  64  the command line or the configuration is wrong
compare and copy have others, which their own --help tells.

The log goes to standard error; RUST_LOG goes before log.level of the configuration.";

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration; config.example.toml shows every key
    #[arg(long, value_name = "FILE", default_value = "portico.toml")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Report every fault of the configuration, or what it comes to. Opens and makes nothing
    Check(ConfigFile),
    /// Make a token: its entry for the file of tokens goes to standard output, the token to standard error
    Token {
        /// The user that it stands for
        #[arg(long)]
        user: Option<String>,
        /// The project that it acts for. Without one it must have the role `admin`
        #[arg(long, required_unless_present = "admin")]
        project: Option<String>,
        /// Roles in the project
        #[arg(long = "role", default_values = ["member"])]
        roles: Vec<String>,
        /// Also the role `admin`, which stands above all projects
        #[arg(long)]
        admin: bool,
    },
    /// Tell what differs between two backends of the configuration. Changes nothing
    #[command(after_help = compare::EXIT_CODES)]
    Compare(compare::Arguments),
    /// Copy what the backend A has and the backend B has not
    #[command(after_help = copy::EXIT_CODES)]
    Copy(copy::Arguments),
    /// Work on the catalogue of metadata definitions, also while the service runs
    #[command(subcommand)]
    Metadefs(MetadefsCommand),
}

#[derive(Debug, Subcommand)]
enum MetadefsCommand {
    /// Put namespaces from files in the JSON form of Glance's etc/metadefs into the catalogue. Tells every fault; a file
    /// with faults is left out as a whole
    Load {
        /// A file, or a directory of which each file that ends in .json is taken
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        config: ConfigFile,
        /// What becomes of a namespace that is there
        #[arg(long, value_enum, default_value_t)]
        mode: LoadMode,
    },
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LoadMode {
    /// It stays as it is
    #[default]
    Keep,
    /// What it does not have is put into it
    Merge,
    /// It is made anew, also if it is protected
    Overwrite,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // If this cannot be written there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        None => serve(&arguments.serve),
        Some(Command::Check(file)) => check(&file),
        Some(Command::Token { user, project, mut roles, admin }) => {
            if admin {
                roles.push(String::from("admin"));
            }
            token(user, project, roles)
        }
        Some(Command::Compare(arguments)) => compare::run(arguments),
        Some(Command::Copy(arguments)) => copy::run(arguments),
        Some(Command::Metadefs(MetadefsCommand::Load { paths, config, mode })) => {
            load_metadefs(&config, &paths, mode)
        }
    }
}

fn serve(file: &ConfigFile) -> ExitCode {
    let loaded = match config::load(&file.config) {
        Ok(loaded) => loaded,
        Err(faults) => return refuse(&faults),
    };
    if let Err(error) = telemetry::start(&loaded.config.log) {
        tell(format_args!("portico: the log cannot be started: {error}"));
        return ExitCode::from(USAGE);
    }
    match run_to_the_end(loaded) {
        Ok(Ending::Drained) => ExitCode::SUCCESS,
        Ok(Ending::Cut(_)) => ExitCode::FAILURE,
        Err(Failure::Config(faults)) => refuse(&faults),
        Err(failure) => {
            tell(format_args!("portico: {}", chain(&failure)));
            if failure.is_of_config() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn run_to_the_end(loaded: Loaded) -> Result<Ending, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::System)?;
    let threads = loaded.config.limits.threads.map_or_else(thread::available_parallelism, Ok);
    let threads = threads.and_then(|count| Threads::start(count, LAST_WORK)).map_err(Failure::System)?;
    let ending = runtime.block_on(run::run(loaded, threads.seats()));
    // What connections have begun may still be at work on their threads. Both have the same time for it.
    threads.stop();
    runtime.shutdown_timeout(LAST_WORK);
    ending
}

fn check(file: &ConfigFile) -> ExitCode {
    match config::load(&file.config) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                tell(format_args!("warning: {warning}"));
            }
            print(&config::report(&loaded))
        }
        Err(faults) => refuse(&faults),
    }
}

fn token(user: Option<String>, project: Option<String>, roles: Vec<String>) -> ExitCode {
    // Two version 4 UUIDs hold 244 random bits.
    let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let entry = print(&tokens::entry(&token, user, project, roles));
    tell(token);
    entry
}

fn load_metadefs(file: &ConfigFile, paths: &[PathBuf], mode: LoadMode) -> ExitCode {
    let config = match config::load(&file.config) {
        Ok(loaded) => loaded.config,
        Err(faults) => return refuse(&faults),
    };
    let Some(directory) = &config.state.directory else {
        tell("portico: state.directory is off, so there is no place for metadata definitions");
        return ExitCode::from(USAGE);
    };
    let opened = State::make(directory)
        .and_then(|state| Store::open(&state.join(metadefs::FILE), run::metadefs_bounds(&config)));
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            tell(format_args!("portico: {}", chain(&error)));
            return ExitCode::FAILURE;
        }
    };
    let mode = match mode {
        LoadMode::Keep => Mode::Keep,
        LoadMode::Merge => Mode::Merge,
        LoadMode::Overwrite => Mode::Overwrite,
    };
    let (loaded, refused) = files::load(&store, paths, mode);
    for refused in &refused {
        tell(format_args!("{}: {}", refused.path.display(), chain(&refused.error)));
    }
    let told = print(&format!("{loaded}\n"));
    if refused.is_empty() { told } else { ExitCode::FAILURE }
}

/// Tells every fault.
fn refuse(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        tell(fault);
    }
    ExitCode::from(USAGE)
}

/// An error and all that it came from, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn tell(line: impl Display) {
    // If standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

fn print(text: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
