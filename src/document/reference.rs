//! Values that a text does not hold itself: `"${env:NAME}"` and `"${file:PATH}"`.
//!
//! A string that is nothing but such a reference becomes what the environment variable, or the file without
//! its last line break, holds. What is fetched so is taken for a secret, and so is every string under a key that
//! sounds like one; [`Secrets`] keeps them out of messages.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Place;

/// No referenced file may be longer, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// What is shorter, in bytes, is no secret: it can be guessed, and to blank it out would only spoil messages.
const SHORTEST_SECRET: usize = 4;

/// A reference that leads nowhere: where it stands, and why.
pub(super) type Dangling = (Place, String);

/// Puts what is referred to in the place of every reference in `table`.
pub(super) fn resolve(table: &mut DeTable<'_>) -> (Secrets, Vec<Dangling>) {
    let (mut secrets, mut dangling) = (Secrets::default(), Vec::new());
    in_table(table, &Place::root(), &mut secrets, &mut dangling);
    (secrets, dangling)
}

fn in_table(table: &mut DeTable<'_>, here: &Place, secrets: &mut Secrets, dangling: &mut Vec<Dangling>) {
    for (key, value) in table {
        let place = here.then(key.get_ref().as_ref());
        if let DeValue::String(text) = value.get_ref()
            && sounds_secret(key.get_ref())
        {
            secrets.learn(text);
        }
        in_value(value, &place, secrets, dangling);
    }
}

fn in_value(
    value: &mut Spanned<DeValue<'_>>,
    place: &Place,
    secrets: &mut Secrets,
    dangling: &mut Vec<Dangling>,
) {
    match value.get_mut() {
        DeValue::String(text) => match fetch(text) {
            None => {}
            Some(Ok(fetched)) => {
                secrets.learn(&fetched);
                *text = Cow::Owned(fetched);
            }
            Some(Err(why)) => dangling.push((place.clone(), why)),
        },
        DeValue::Table(table) => in_table(table, place, secrets, dangling),
        DeValue::Array(items) => {
            for (number, item) in items.iter_mut().enumerate() {
                in_value(item, &place.then(number), secrets, dangling);
            }
        }
        _ => {}
    }
}

/// What `text` refers to, if it is a reference.
fn fetch(text: &str) -> Option<Result<String, String>> {
    let reference = text.strip_prefix("${")?.strip_suffix('}')?;
    match reference.split_once(':')? {
        ("env", name) => Some(match std::env::var(name) {
            Ok(value) => Ok(value),
            Err(_) => Err(format!("the environment variable '{name}' is not set to a text")),
        }),
        ("file", path) => Some(read(path).map_err(|why| format!("the file '{path}' is not readable: {why}"))),
        _ => None,
    }
}

fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(LONGEST_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if read as u64 > LONGEST_FILE {
        return Err(format!("it is longer than {LONGEST_FILE} bytes"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn sounds_secret(key: &str) -> bool {
    ["password", "secret", "token", "credential"].iter().any(|word| key.contains(word))
}

/// Texts that no message may hold.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    fn learn(&mut self, text: &str) {
        if text.len() >= SHORTEST_SECRET {
            self.0.push(text.to_owned());
        }
    }

    /// `message` with every secret, also as it looks in quotes, replaced.
    pub(super) fn keep_out_of(&self, message: &str) -> String {
        self.0.iter().fold(message.to_owned(), |message, secret| {
            let quoted = format!("{secret:?}");
            let inner = quoted.trim_matches('"');
            message.replace(inner, "…").replace(secret, "…")
        })
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}
