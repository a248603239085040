//! A TOML text, read so that every fault in it is found at once and has a key and a line.
//!
//! serde stops at the first fault. So what is at fault is taken out of a copy and the rest is read again, until
//! nothing more is found. (Of several keys that one table lacks, serde only ever tells the first.) Strings may
//! refer to the environment and to files, see [`mod@reference`]; what comes from there is not shown in any
//! message.
//!
//! This module must not know what the texts are about.

mod fault;
mod place;
mod reference;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

pub use fault::Fault;
pub use place::{Place, Step};
use reference::Secrets;

/// No text that is read from a file may be longer, in bytes.
pub const LONGEST_TEXT: u64 = 4 * 1024 * 1024;

/// Most faults reported of one text. Who has more of them wrote another kind of file.
const MOST_FAULTS: usize = 100;

/// Reads a file whole, if it is a text of no more than [`LONGEST_TEXT`] bytes.
///
/// # Errors
/// The one fault that keeps it from being read.
pub fn read_text(file: &Path) -> Result<String, Fault> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| Fault::of_file(file, format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    opened.take(LONGEST_TEXT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST_TEXT {
        return Err(Fault::of_file(file, format!("is longer than {LONGEST_TEXT} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Fault::of_file(file, "is not UTF-8 text"))
}

/// A parsed text, and the faults found in it so far.
#[derive(Debug)]
pub struct Document<'t> {
    file: PathBuf,
    text: &'t str,
    root: DeTable<'t>,
    secrets: Secrets,
    /// Places that have their fault already, so that none is reported for what follows from it.
    spoiled: BTreeSet<Place>,
    faults: Vec<Fault>,
}

impl<'t> Document<'t> {
    /// Parses `text`, which is called `file` in faults.
    ///
    /// # Errors
    /// All faults of syntax, one for each line.
    pub fn parse(file: &Path, text: &'t str) -> Result<Self, Vec<Fault>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut root = root.into_inner();
        if !errors.is_empty() {
            return Err(faults_of_syntax(file, text, &errors));
        }
        let (secrets, dangling) = reference::resolve(&mut root);
        let file = file.to_owned();
        let mut document = Self { file, text, root, secrets, spoiled: BTreeSet::new(), faults: Vec::new() };
        for (place, why) in dangling {
            document.fault(&place, why);
            document.spoiled.insert(place);
        }
        Ok(document)
    }

    /// Reads the table at `place` as a `T`; `None`, and faults noted, if it is none. A table that is not there is
    /// taken for an empty one.
    pub fn read<T: DeserializeOwned>(&mut self, place: &Place) -> Option<T> {
        let spoiled = self.spoiled.iter().any(|spoiled| spoiled.is_within(place));
        let (value, clean) = self.read_what_fits(place);
        value.filter(|_| clean && !spoiled)
    }

    /// Reads the whole document as a `T`, as though what is at fault were not there. The faults are noted.
    pub fn read_leniently<T: DeserializeOwned>(&mut self) -> Option<T> {
        self.read_what_fits(&Place::root()).0
    }

    /// Reads a `T` from what fits one, and says whether that was everything.
    fn read_what_fits<T: DeserializeOwned>(&mut self, place: &Place) -> (Option<T>, bool) {
        let Some(original) = self.table_at(place) else { return (None, false) };
        let mut table = original.clone();
        let (mut culprits, mut renumbered) = (Vec::new(), false);
        while self.faults.len() < MOST_FAULTS {
            let whole = Spanned::new(0..self.text.len(), table.clone());
            let error = match T::deserialize(Deserializer::from(whole)) {
                Ok(value) if !renumbered => return (Some(value), culprits.is_empty()),
                Ok(_) => {
                    table = without(&original, &culprits);
                    renumbered = false;
                    continue;
                }
                Err(error) => error,
            };
            let span = error.span().unwrap_or(0..self.text.len());
            let mut culprit = place::place_of(&original, &span);
            let (at, message) = phrase(&place.join(&culprit), error.message());
            self.fault(&at, message);
            let inner = place::place_of(&table, &span);
            if !place::take_out(&mut table, inner.steps()) {
                // All of it cannot be taken out, but perhaps what it was refused for.
                match lost_key(&culprit, error.message()) {
                    Some(key) if place::take_out(&mut table, inner.then(key).steps()) => {
                        culprit = culprit.then(key);
                    }
                    _ => {
                        self.spoiled.insert(place.join(&culprit));
                        break;
                    }
                }
            }
            self.spoiled.insert(place.join(&culprit));
            if let Some(list) = culprit.list_around() {
                // Without this item the ones behind it go by other numbers. That is good enough to find more
                // faults, as those are placed by what the text was at first, but not for what is given back.
                self.spoiled.insert(place.join(&list));
                renumbered = true;
            }
            culprits.push(culprit);
        }
        (None, false)
    }

    /// A copy of the table at `place`: empty if nothing is there, `None` if it is something else.
    fn table_at(&self, place: &Place) -> Option<DeTable<'t>> {
        let mut at = DeValue::Table(self.root.clone());
        for step in place.steps() {
            let next = match step {
                Step::Key(key) => at.get(key.as_str()),
                Step::Item(number) => at.get(*number),
            };
            let Some(next) = next else { return Some(DeTable::new()) };
            at = next.get_ref().clone();
        }
        match at {
            DeValue::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The string at `place`, if there is one.
    #[must_use]
    pub fn text_at(&self, place: &Place) -> Option<String> {
        let (around, last) = place.split_last()?;
        let Step::Key(key) = last else { return None };
        self.table_at(&around)?.get(key.as_str())?.get_ref().as_str().map(str::to_owned)
    }

    /// Notes a fault at `place`, unless what stands there has its fault already.
    pub fn fault(&mut self, place: &Place, message: impl Into<String>) {
        if self.spoiled.contains(place) || self.faults.len() >= MOST_FAULTS {
            return;
        }
        let fault = self.remark(place, message);
        self.faults.push(fault);
    }

    /// Notes faults that another text has.
    pub fn adopt(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.extend(faults);
    }

    /// A sentence about `place`, with its line, that is not noted as a fault.
    #[must_use]
    pub fn remark(&self, place: &Place, message: impl Into<String>) -> Fault {
        let line = place::span_of(&self.root, place).map(|span| line_of(self.text, &span));
        let message = self.secrets.keep_out_of(&message.into());
        Fault { file: self.file.clone(), line, place: place.clone(), message }
    }

    /// The faults noted, in the order of their lines.
    #[must_use]
    pub fn into_faults(self) -> Vec<Fault> {
        let (mut own, others): (Vec<_>, Vec<_>) =
            self.faults.into_iter().partition(|fault| fault.file == self.file);
        own.sort_by(|a, b| (a.line, &a.place).cmp(&(b.line, &b.place)));
        own.extend(others);
        own
    }
}

/// A copy of `table` without `culprits`, and without the lists that any of them is an item of.
fn without<'t>(table: &DeTable<'t>, culprits: &[Place]) -> DeTable<'t> {
    let mut rest = table.clone();
    for culprit in culprits {
        let list = culprit.list_around();
        // What is not there any more went with something around it.
        let _ = place::take_out(&mut rest, list.as_ref().unwrap_or(culprit).steps());
    }
    rest
}

fn faults_of_syntax(file: &Path, text: &str, errors: &[toml::de::Error]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for error in errors.iter().take(MOST_FAULTS) {
        let line = error.span().map(|span| line_of(text, &span));
        // One slip confuses the parser for the rest of its line.
        if faults.iter().all(|fault| fault.line != line) {
            let message = match error.span().and_then(|span| text.get(span)) {
                Some(key) if error.message() == "duplicate key" => format!("duplicate key `{key}`"),
                _ => error.message().to_owned(),
            };
            faults.push(Fault { file: file.to_owned(), line, place: Place::root(), message });
        }
    }
    faults
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start.min(text.len())).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// Says what serde says about `place` in our words: which key is at fault, and what is wrong with it.
fn phrase(place: &Place, message: &str) -> (Place, String) {
    let Some(key) = message.split('`').nth(1) else { return (place.clone(), message.to_owned()) };
    if message.starts_with("missing field `") {
        return (place.then(key), String::from("is missing"));
    }
    if message.starts_with("unknown field `") {
        let known = message.split_once("`, ").map_or("there are none", |(_, known)| known);
        let at = lost_key(place, message).map_or_else(|| place.clone(), |key| place.then(key));
        return (at, format!("is not a key here, {known}"));
    }
    (place.clone(), message.to_owned())
}

/// The key that serde says is not known, if it says that of the table at `place` as a whole: where it has to look at a
/// table twice it forgets where the key stands.
fn lost_key<'m>(place: &Place, message: &'m str) -> Option<&'m str> {
    let (key, _) = message.strip_prefix("unknown field `")?.split_once('`')?;
    let names_it = matches!(place.steps().last(), Some(Step::Key(last)) if last == key);
    (!names_it).then_some(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Fleet {
        name: String,
        ships: BTreeMap<String, Ship>,
        sails: Vec<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ship {
        masts: u8,
        #[serde(default)]
        drive: Drive,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
    enum Drive {
        #[default]
        Wind,
        Steam {
            #[serde(default)]
            funnels: u8,
        },
    }

    fn faults(text: &str) -> Vec<String> {
        let mut document = Document::parse(Path::new("fleet"), text).unwrap();
        let _ = document.read_leniently::<Fleet>();
        document.into_faults().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_text_without_faults_is_what_it_says() {
        let mut document = Document::parse(Path::new("fleet"), "[ships.a]\nmasts = 3").unwrap();
        let fleet: Fleet = document.read(&Place::root()).unwrap();
        assert_eq!(fleet.ships["a"], Ship { masts: 3, drive: Drive::Wind });
        assert_eq!(document.into_faults(), []);
    }

    #[test]
    fn a_key_that_is_missing_is_told_once_even_when_its_table_is_needed_elsewhere() {
        assert_eq!(
            faults("[ships.a]\nmasts = 'two'\n[ships.b]\n"),
            [
                "fleet:2: ships.a.masts: invalid type: string \"two\", expected u8",
                "fleet:3: ships.b.masts: is missing",
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_named_also_where_serde_has_lost_its_place() {
        let found = faults("[ships.a]\nmasts = 1\ndrive = { kind = 'steam', coal = 1 }\nflag = 'red'\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("fleet:3: ships.a.drive.coal: is not a key here"), "{found:?}");
        assert!(found[1].starts_with("fleet:4: ships.a.flag: is not a key here, expected"), "{found:?}");
    }

    #[test]
    fn an_item_of_a_list_has_its_number_and_its_line() {
        assert_eq!(faults("sails = [\n  1,\n  2000,\n]\n")[0].split(": ").next(), Some("fleet:3"));
        assert!(faults("sails = [1, 2000]")[0].starts_with("fleet:1: sails[1]: "));
    }

    #[test]
    fn a_wrong_item_of_a_list_hides_no_other_fault() {
        let text = "sails = [1, 2000, 'x', 3, -1]\nname = 7\n[ships.a]\nmasts = 'two'\n";
        let places: Vec<_> =
            faults(text).iter().map(|fault| fault.split(": ").nth(1).unwrap().to_owned()).collect();
        assert_eq!(places, ["sails[1]", "sails[2]", "sails[4]", "name", "ships.a.masts"]);
    }

    #[test]
    fn what_is_read_leniently_has_no_list_whose_items_have_moved() {
        let text = "sails = [2000, 2]\nname = 'a'\n";
        let mut document = Document::parse(Path::new("fleet"), text).unwrap();
        let fleet: Fleet = document.read_leniently().unwrap();
        assert_eq!((fleet.name.as_str(), fleet.sails), ("a", Vec::new()));
        assert_eq!(document.read::<Fleet>(&Place::root()), None);
    }

    #[test]
    fn a_text_of_nothing_but_faults_is_bounded() {
        let text: String = (0..1000).map(|number| format!("key{number} = 1\n")).collect();
        assert_eq!(faults(&text).len(), MOST_FAULTS);
    }
}
