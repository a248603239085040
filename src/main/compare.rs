//! `portico compare A B`: differences as a table for people, or as JSON.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use portico::replica::{
    Comparing, Comparison, Counts, Difference, Letter, Members, OneSided, Sameness, Side, Verdict, compare,
};
use portico::run::Use;
use serde_json::json;

use super::sides::{Backends, Chosen, UNKNOWN, complain, exit_code, on, printable, shown};

pub(super) const EXIT_CODES: &str = "\
Images are compared by their ids: whether both backends have them, with the same data (size, strong hash, MD5) and the
same metadata. Images that only one has are compared by their names too. Times and stores are not compared, members of shared
images with --members alone. A directory that is not there is not made, but what a crash left in one is put right as it is
opened. A directory that a running service has is to be reached through that service, as a backend of kind http.

Exit codes:
  0   equal
  1   different
  2   it could not be told: a backend cannot be opened or read, or two images have no hash in common
  64  the command line or the configuration is wrong";

/// Rows that are put into columns together.
const ROWS: usize = 200;

/// Ids that a row of the table names.
const NAMED: usize = 3;

/// As wide as the longest word for a difference, and an id.
const WIDTHS: [u16; 2] = [14, 36];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    backends: Backends,
    /// Also tell what is missing in A
    #[arg(long)]
    both: bool,
    /// Also compare the projects that images are shared with, and their answers
    #[arg(long)]
    members: bool,
    /// How differences are told. README.md tells what the JSON looks like
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    chosen: Chosen,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// A table
    #[default]
    Table,
    /// One JSON object
    Json,
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    let Arguments { backends, both, members, format, chosen } = arguments;
    let only_in_b = if both { OneSided::Told } else { OneSided::Ignored };
    let members = if members { Members::Compared } else { Members::Ignored };
    let settings = Comparing { choice: chosen.choice(&[]), only_in_b, members };
    on(backends, Use::Read, async |a, b| {
        let mut paper = Paper::new(format, [a.name.clone(), b.name.clone()]);
        let comparison = told(&a, &b, &settings, &mut paper).await;
        if let Some(failed) = &comparison.broken {
            complain(failed);
        }
        match paper.end(&comparison) {
            Ok(()) => exit_code(comparison.verdict),
            Err(error) => {
                complain(format_args!("the differences cannot be written: {error}"));
                ExitCode::from(UNKNOWN)
            }
        }
    })
}

async fn told(a: &Side, b: &Side, settings: &Comparing, paper: &mut Paper) -> Comparison {
    compare(a, b, settings, &mut |difference| paper.write(difference)).await
}

/// Standard output, written while differences are found.
struct Paper {
    format: Format,
    names: [String; 2],
    rows: Vec<[String; 4]>,
    is_begun: bool,
    written: io::Result<()>,
}

impl Paper {
    const fn new(format: Format, names: [String; 2]) -> Self {
        Self { format, names, rows: Vec::new(), is_begun: false, written: Ok(()) }
    }

    fn write(&mut self, difference: &Difference) {
        if self.written.is_err() {
            return;
        }
        self.written = match self.format {
            Format::Json => self.json(difference),
            Format::Table => {
                self.rows.push(self.row(difference));
                if self.rows.len() >= ROWS { self.flush() } else { Ok(()) }
            }
        };
    }

    fn json(&mut self, difference: &Difference) -> io::Result<()> {
        self.begin()?;
        let comma = if std::mem::replace(&mut self.is_begun, true) { ",\n    " } else { "\n    " };
        write!(io::stdout().lock(), "{comma}{}", json!(difference))
    }

    /// Writes what stands before the differences, once.
    fn begin(&mut self) -> io::Result<()> {
        if self.is_begun {
            return Ok(());
        }
        let [a, b] = &self.names;
        write!(
            io::stdout().lock(),
            "{{\n  \"a\": {},\n  \"b\": {},\n  \"differences\": [",
            json!(a),
            json!(b)
        )
    }

    fn row(&self, difference: &Difference) -> [String; 4] {
        let [a, b] = &self.names;
        let row = |what: &str, id: &str, name: Option<&str>, more: String| {
            [what.to_owned(), printable(id), shown(name), printable(&more)]
        };
        match difference {
            Difference::Missing { id, name, missing_in } => {
                let side = if *missing_in == Letter::A { a } else { b };
                row("missing", id, name.as_deref(), format!("in {side}"))
            }
            Difference::Content { id, name, what } => row("other data", id, name.as_deref(), what.join(", ")),
            Difference::Unknown { id, name } => {
                row("unknown data", id, name.as_deref(), String::from("no hash in common"))
            }
            Difference::Metadata { id, name, what } => {
                row("other metadata", id, name.as_deref(), what.join(", "))
            }
            Difference::Name { name, content, a: in_a, b: in_b } => {
                let content = if *content == Sameness::Same { "same data" } else { "other data" };
                let more = format!("{content}: {a} {}, {b} {}", few(in_a), few(in_b));
                row("other ids", "", Some(name), more)
            }
        }
    }

    /// Writes the rows that there are.
    fn flush(&mut self) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !self.is_begun {
            table.set_header(["DIFFERENCE", "ID", "NAME", "WHAT"]);
        }
        self.is_begun = true;
        table.add_rows(self.rows.drain(..));
        for (column, width) in table.column_iter_mut().zip(WIDTHS) {
            // The padding counts.
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + 2)));
        }
        writeln!(io::stdout().lock(), "{}", table.trim_fmt())
    }

    fn end(mut self, comparison: &Comparison) -> io::Result<()> {
        std::mem::replace(&mut self.written, Ok(()))?;
        match self.format {
            Format::Json => {
                let is_empty = !self.is_begun;
                self.begin()?;
                let (counts, is_complete) = (json!(comparison.counts), comparison.broken.is_none());
                let bracket = if is_empty { "]" } else { "\n  ]" };
                let verdict = json!(word(comparison.verdict));
                let rest = format!(
                    "\"counts\": {counts},\n  \"complete\": {is_complete},\n  \"verdict\": {verdict}"
                );
                writeln!(io::stdout().lock(), "{bracket},\n  {rest}\n}}")
            }
            Format::Table => {
                if !self.rows.is_empty() {
                    self.flush()?;
                }
                writeln!(io::stdout().lock(), "{}", self.summary(&comparison.counts, comparison.verdict))
            }
        }
    }

    fn summary(&self, counts: &Counts, verdict: Verdict) -> String {
        let [a, b] = &self.names;
        let parts = [
            (counts.missing_in_b, format!("missing in {b}")),
            (counts.missing_in_a, format!("only in {b}")),
            (counts.content, "with other data".to_owned()),
            (counts.unknown, "with unknown data".to_owned()),
            (counts.metadata, "with other metadata".to_owned()),
            (counts.name, "names under other ids".to_owned()),
            (counts.unnamed, "whose names were not compared".to_owned()),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        let found = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        let (in_a, in_b) = (counts.images_in_a, counts.images_in_b);
        format!("{}: {in_a} images in {a}, {in_b} in {b}{found}", word(verdict))
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "equal",
        Verdict::Different => "different",
        Verdict::Unknown => "unknown",
    }
}

/// Some ids, and how many more there are.
fn few(ids: &[String]) -> String {
    let named = ids.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(" ");
    match ids.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_choose_can_steer_the_terminal() {
        let paper = Paper::new(Format::Table, ["a".into(), "b".into()]);
        let evil = || String::from("\u{1b}[2J");
        for difference in [
            Difference::Missing { id: evil(), name: Some(evil()), missing_in: Letter::B },
            Difference::Content { id: evil(), name: None, what: vec!["size"] },
            Difference::Unknown { id: evil(), name: None },
            Difference::Metadata { id: evil(), name: None, what: vec![evil()] },
            Difference::Name { name: evil(), content: Sameness::Same, a: vec![evil()], b: vec![evil()] },
        ] {
            let row = paper.row(&difference).join(" ");
            assert!(row.contains("\u{fffd}[2J") && !row.contains(char::is_control), "{row:?}");
        }
    }
}
