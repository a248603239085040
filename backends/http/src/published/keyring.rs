//! The keys in a file, read again when it has changed.
//!
//! It is looked at before a catalogue is fetched, and no more often than `look` says. A file that cannot be used leaves the
//! keys as they were. That is told once for each thing that is wrong with it, and it is tried again at each look, for it
//! may become readable without another change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use image_service::{Error, Result};
use pgp::composed::{Deserializable as _, SignedPublicKey};
use tokio::time::Instant;

use crate::client::{Stamp, stamp};

/// The most bytes of a keyring.
const LONGEST_KEYRING: u64 = 4 << 20;

/// How an armoured key begins.
const ARMOUR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// A file of OpenPGP public keys that is followed.
#[derive(Debug)]
pub(crate) struct Keyring {
    file: PathBuf,
    look: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Arc<Vec<SignedPublicKey>>,
    /// How often it has been read with success.
    edition: u64,
    /// When the file was looked at.
    at: Instant,
    /// The file as it was when the keys were read.
    stamp: Option<Stamp>,
    /// What the operator has been told is wrong with it.
    told: Option<String>,
}

impl Keyring {
    /// The keys in `file`, which is looked at again when `look` has passed. Blocks on the file.
    ///
    /// # Errors
    /// `Invalid` if it is no file of OpenPGP public keys.
    pub(super) fn open(file: PathBuf, look: Duration) -> Result<Self> {
        // The stamp first: what is written between the two is read again.
        let (at, stamp) = (Instant::now(), stamp(&file));
        let keys = Arc::new(read(&file)?);
        Ok(Self { file, look, state: Mutex::new(State { keys, edition: 0, at, stamp, told: None }) })
    }

    /// The keys as they were when they were last looked at.
    pub(super) fn keys(&self) -> Arc<Vec<SignedPublicKey>> {
        Arc::clone(&self.lock().keys)
    }

    /// Which edition of the keys there is now. Looks at the file if it is time for that, and blocks on it.
    pub(super) fn edition(&self) -> u64 {
        let mut state = self.lock();
        if state.at.elapsed() < self.look {
            return state.edition;
        }
        state.at = Instant::now();
        let stamp = stamp(&self.file);
        if stamp.is_some() && stamp == state.stamp {
            state.told = None;
            return state.edition;
        }
        match read(&self.file) {
            Ok(keys) => {
                tracing::info!(keyring = %self.file.display(), keys = keys.len(), "the keyring has been read again");
                *state = State {
                    keys: Arc::new(keys),
                    edition: state.edition + 1,
                    at: state.at,
                    stamp,
                    told: None,
                };
            }
            Err(error) => {
                let chain = error.chain();
                if state.told.as_ref() != Some(&chain) {
                    tracing::error!(%chain, "the keyring is left as it was");
                }
                state.told = Some(chain);
            }
        }
        state.edition
    }

    // Whoever holds the lock changes all of the state at once.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys in `file`, of which there is at least one.
fn read(file: &Path) -> Result<Vec<SignedPublicKey>> {
    use std::io::Read as _;
    let told = |what: &str| Error::invalid(format!("keyring: '{}' {what}", file.display()));
    let unreadable = |source| told("cannot be read").with_source(source);
    // What is no file, such as a pipe, could be waited for without end.
    if !std::fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(told("is not a regular file"));
    }
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let mut bytes = Vec::new();
    opened.take(LONGEST_KEYRING + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST_KEYRING {
        return Err(told("is too long for a keyring"));
    }
    let keys = keys(&bytes)
        .map_err(|source| told("holds something else than OpenPGP public keys").with_source(source))?;
    if keys.is_empty() { Err(told("holds no OpenPGP public keys")) } else { Ok(keys) }
}

/// All keys of a keyring, one behind the other, each of them armoured or all of them not.
fn keys(bytes: &[u8]) -> pgp::errors::Result<Vec<SignedPublicKey>> {
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains(ARMOUR)) else {
        return SignedPublicKey::from_bytes_many(bytes)?.collect();
    };
    let mut keys = Vec::new();
    for block in text.split(ARMOUR).skip(1) {
        for key in SignedPublicKey::from_string_many(&format!("{ARMOUR}{block}"))?.0 {
            keys.push(key?);
        }
    }
    Ok(keys)
}
