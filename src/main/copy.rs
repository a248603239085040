//! `portico copy A B`: how it goes, line by line or as bars, and how it is interrupted.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use bytesize::ByteSize;
use clap::Args;
use image_service::{Image, ImageId, Status};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use portico::replica::{Choice, Copied, Copying, Effect, Kept, Moved, Outcome, Progress, Side, Upkeep, copy};
use portico::run::Use;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::sides::{Backends, Chosen, UNKNOWN, complain, exit_code, on, printable, shown};

pub(super) const EXIT_CODES: &str = "\
Copies have the ids, attributes, properties and members of their images. Data is held to the hash of its image on the way,
and to what B says that it has; of data that is not the image's nothing stays. Each line names the hash by which the copy is
verified, or `size` where B tells none that can be compared. Images that B has already with the same
data are left alone, and nothing is copied over other data. Where no hash is in common, the data in B is read and held to the
hash of the image; of an image without any it cannot be told. Run it again after an interruption, and it goes on where it
was: what was under way is in B a private image without data, with the property portico_copy_from.

The first SIGINT or SIGTERM lets what is under way finish, the second one stops it. A directory that a running service has
is to be reached through that service, as a backend of kind http. An id that a Glance has deleted cannot be had there
again before its deleted records are purged, which is told.

Exit codes:
  0   all images that are meant are in B, with the same data
  1   some are not; with --dry-run, something would be done
  2   it could not be told: a backend cannot be opened or read, or it was interrupted
  64  the command line or the configuration is wrong";

/// Most images on their way at a time.
const MOST_JOBS: u16 = 64;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    backends: Backends,
    /// Tell what would be done, and do nothing. A directory that is not there is not made, but what a crash left in one is
    /// put right as it is opened
    #[arg(long)]
    dry_run: bool,
    /// Give copies that are there already the metadata of their images. Properties that an image has not are removed
    #[arg(long)]
    update_metadata: bool,
    /// Copy this property and no others but those that are named too [default: all properties]
    #[arg(long = "keep-property", value_name = "KEY")]
    keep_properties: Vec<String>,
    /// How many images are on their way at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_JOBS)))]
    jobs: u16,
    /// Do something about so many images at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    chosen: Chosen,
}

impl Arguments {
    fn settings(self) -> (Backends, Copying) {
        let kept = match self.keep_properties {
            keys if keys.is_empty() => Kept::All,
            keys => Kept::Only(keys.into_iter().collect()),
        };
        let choice: Choice = self.chosen.choice(&[Status::Active]);
        let settings = Copying {
            choice,
            kept,
            upkeep: if self.update_metadata { Upkeep::Update } else { Upkeep::Leave },
            effect: if self.dry_run { Effect::Told } else { Effect::Done },
            jobs: NonZeroUsize::new(self.jobs.into()).unwrap_or(NonZeroUsize::MIN),
            limit: self.limit,
        };
        (self.backends, settings)
    }
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    let (backends, settings) = arguments.settings();
    let purpose = if settings.effect == Effect::Told { Use::Foretell } else { Use::Write };
    on(backends, purpose, async |from, to| match Interrupts::take_over() {
        Ok(interrupts) => follow(&from, &to, &settings, interrupts).await,
        Err(error) => {
            complain(format_args!("the system refuses to tell of signals: {error}"));
            ExitCode::from(UNKNOWN)
        }
    })
}

async fn follow(from: &Side, to: &Side, settings: &Copying, mut interrupts: Interrupts) -> ExitCode {
    let (stop, screen) = (CancellationToken::new(), Arc::new(Screen::new(settings.effect)));
    let progress = Arc::clone(&screen) as Arc<dyn Progress>;
    let copied = tokio::select! {
        copied = copy(from, to, settings, &stop, &progress) => copied,
        () = interrupts.pass_on(&stop, &screen) => {
            screen.clear();
            screen.say("stopped; run it again to go on");
            return ExitCode::from(UNKNOWN);
        }
    };
    if let Some(failed) = &copied.broken {
        complain(failed);
    }
    screen.print(&summary(&copied, settings.effect));
    exit_code(copied.verdict)
}

/// The signals that end it.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn take_over() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Lets nothing new begin after the first signal, and returns after the second.
    async fn pass_on(&mut self, stop: &CancellationToken, screen: &Screen) {
        self.next().await;
        stop.cancel();
        screen.say("finishing what is under way; once more to stop it");
        self.next().await;
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A line for each image, and a bar for each that is on its way if there is a terminal.
struct Screen {
    effect: Effect,
    bars: Option<MultiProgress>,
    under_way: Mutex<HashMap<ImageId, ProgressBar>>,
}

impl Screen {
    fn new(effect: Effect) -> Self {
        let bars = io::stderr().is_terminal().then(MultiProgress::new);
        Self { effect, bars, under_way: Mutex::default() }
    }

    /// Writes a line on standard output, past the bars.
    fn print(&self, line: &str) {
        self.past_bars(|| {
            // If standard output is closed nobody wants to know, and copying is worth it all the same.
            let _ = writeln!(io::stdout().lock(), "{line}");
        });
    }

    /// Writes a line on standard error, past the bars.
    fn say(&self, line: &str) {
        self.past_bars(|| complain(line));
    }

    /// Takes the bars away.
    fn clear(&self) {
        for (_, bar) in self.under_way.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            bar.finish_and_clear();
        }
    }

    fn past_bars(&self, write: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    fn bar(&self, id: &ImageId) -> Option<ProgressBar> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

impl Progress for Screen {
    fn began(&self, image: &Image) {
        let Some(bars) = &self.bars else { return };
        let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bars.add(ProgressBar::new(image.size.unwrap_or_default()).with_style(style));
        bar.set_message(printable(&named(image)));
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(image.id.clone(), bar);
    }

    fn moved(&self, id: &ImageId, bytes: u64) {
        if self.bars.is_some()
            && let Some(bar) = self.bar(id)
        {
            bar.inc(bytes);
        }
    }

    fn ended(&self, image: &Image, outcome: &Outcome) {
        let bar = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&image.id);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        if let Some(line) = line(image, outcome, self.effect) {
            self.print(&line);
        }
    }
}

fn named(image: &Image) -> String {
    format!("{} {}", image.id, shown(image.name.as_deref()))
}

/// What became of an image, as a terminal may show it. Nothing is said of what was there.
fn line(image: &Image, outcome: &Outcome, effect: Effect) -> Option<String> {
    let id = named(image);
    let would = if effect == Effect::Told { "would be " } else { "" };
    let line = match outcome {
        Outcome::Left => return None,
        Outcome::Copied(moved) => format!("{would}copied {id} ({})", size_and_proof(moved)),
        Outcome::Resumed(moved) => format!("{would}resumed {id} ({})", size_and_proof(moved)),
        Outcome::Updated => format!("{would}updated {id}"),
        Outcome::Refused(refusal) => format!("not copied {id}: {refusal}"),
        Outcome::Failed(failed) => format!("failed {id}: {failed}"),
    };
    Some(printable(&line))
}

/// How much it was, and what shows that it is there.
fn size_and_proof(moved: &Moved) -> String {
    let bytes = ByteSize::b(moved.bytes);
    match &moved.verified {
        Some(verified) => format!("{bytes}, verified: {verified}"),
        None => bytes.to_string(),
    }
}

fn summary(copied: &Copied, effect: Effect) -> String {
    let would = if effect == Effect::Told { "would be " } else { "" };
    let Copied { copied: new, resumed, updated, left, refused, failed, bytes, by_size, .. } = copied;
    let bytes = ByteSize::b(*bytes);
    let by_size =
        if *by_size > 0 { format!("; verified by their size alone {by_size}") } else { String::new() };
    format!(
        "{would}copied {new}, resumed {resumed}, updated {updated} ({bytes}); there already {left}, not copied {refused}, \
         failed {failed}{by_size}"
    )
}

#[cfg(test)]
mod tests {
    use image_service::{Caller, Error, ErrorKind, NewImage, Timestamp};
    use portico::replica::Failed;

    use super::*;

    #[test]
    fn an_id_or_an_error_cannot_steer_the_terminal() {
        let image = NewImage::default().into_image(&Caller::administrator(), Timestamp::now()).unwrap();
        let image = Image { id: ImageId::lookup("i\u{1b}[2J"), ..image };
        let error = Error::new(ErrorKind::Internal, "e\u{1b}[2J\n");
        let outcome = Outcome::Failed(Failed { backend: "b".into(), error });
        let line = line(&image, &outcome, Effect::Done).unwrap();
        assert_eq!(line, "failed i\u{fffd}[2J : backend 'b': e\u{fffd}[2J\u{fffd}");
    }
}
