//! Whose documents are taken: anybody's, or those that a key of a keyring has signed.
//!
//! A signature counts if it is of the text, strong, not from the future and not run out, and was made by a key that may
//! sign: a primary key of the keyring with a good signature of its own that says so, or a subkey that such a key has
//! bound and that has agreed to it. A key that is revoked, or has run out by now, signs nothing, and neither do its
//! subkeys. Revocations are those that the keyring holds; nobody is asked for more.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use image_service::{Error, ErrorKind, Result};
use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, Timestamp, VerifyingKey};
use tokio::task::JoinError;

use super::clearsigned::Clearsigned;
use super::documents::Document;
use super::keyring::Keyring;
use super::refused;

/// The most signatures that are looked at, of one document.
const MOST_SIGNATURES: usize = 16;

/// How far another clock may be ahead.
const AHEAD: u32 = 5 * 60;

/// How an armoured signature begins.
const SIGNATURE_ARMOUR: &str = "-----BEGIN PGP SIGNATURE-----";

/// Whose documents are taken.
#[derive(Debug)]
pub(crate) enum Trust {
    /// Anybody's, unsigned.
    Anybody,
    /// Those that one of these keys has signed.
    Signed(Arc<Keyring>),
}

impl Trust {
    /// Trusts the keys in the file `keyring`, or anybody if there is none. The file is looked at again as often as `look`
    /// says.
    ///
    /// # Errors
    /// `Invalid` if it is no file of OpenPGP public keys.
    pub(crate) async fn open(keyring: Option<&Path>, look: Duration) -> Result<Self> {
        let Some(file) = keyring.map(Path::to_owned) else { return Ok(Self::Anybody) };
        let open = tokio::task::spawn_blocking(move || Keyring::open(file, look)).await;
        Ok(Self::Signed(Arc::new(open.map_err(broken)??)))
    }

    /// Which edition of the keyring there is: another number when it has changed. Looks at it if it is time for that.
    ///
    /// # Errors
    /// If the process is at its end.
    pub(crate) async fn edition(&self) -> Result<u64> {
        let Self::Signed(keyring) = self else { return Ok(0) };
        let keyring = Arc::clone(keyring);
        tokio::task::spawn_blocking(move || keyring.edition()).await.map_err(broken)
    }

    /// Whether only signed documents are taken.
    pub(crate) const fn wants_signatures(&self) -> bool {
        matches!(self, Self::Signed(_))
    }

    /// The text of `document` that may be believed: all of it, or what was signed by somebody who is trusted. When that was
    /// is noted in [`Document::signed`].
    ///
    /// # Errors
    /// If nobody who is trusted has signed it.
    pub(crate) fn text(&self, document: &Document) -> Result<Bytes> {
        match self {
            Self::Anybody => Ok(document.bytes.clone()),
            Self::Signed(keyring) => {
                let (text, made) = signed(&keyring.keys(), &document.bytes, Timestamp::now())?;
                document.note_signed(made)?;
                Ok(Bytes::from(text))
            }
        }
    }

    /// The text of `document`, which may have its signature in it, `beside` it, or not at all. `None` if only signed
    /// documents are taken, and nobody has signed this one. When it was signed is noted as by [`text`](Self::text).
    ///
    /// # Errors
    /// If it is signed, and nobody who is trusted has signed it, or it is not one signed text.
    pub(crate) fn text_of_either(&self, document: &Document, beside: Option<&[u8]>) -> Result<Option<Bytes>> {
        let bytes = &document.bytes;
        match (self, beside) {
            (Self::Anybody, _) if is_clearsigned(bytes) => {
                let document = std::str::from_utf8(bytes).map_err(|_| not_utf8())?;
                Ok(Some(Bytes::from(Clearsigned::read(document)?.text)))
            }
            (Self::Signed(_), _) if is_clearsigned(bytes) => self.text(document).map(Some),
            (Self::Anybody, _) => Ok(Some(bytes.clone())),
            (Self::Signed(keyring), Some(signatures)) => {
                document.note_signed(signed_beside(&keyring.keys(), bytes, signatures, Timestamp::now())?)?;
                Ok(Some(bytes.clone()))
            }
            (Self::Signed(_), None) => Ok(None),
        }
    }
}

fn not_utf8() -> Error {
    refused("a signed document is not UTF-8")
}

fn unreadable(source: pgp::errors::Error) -> Error {
    refused("a document has no signature that can be read").with_source(source)
}

/// How a signed text begins that has its signature in it.
const SIGNED_TEXT: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";

/// Whether `document` is, or pretends to be, a text that has its signature in it.
pub(crate) fn is_clearsigned(document: &[u8]) -> bool {
    document.starts_with(SIGNED_TEXT)
}

fn broken(source: JoinError) -> Error {
    Error::new(ErrorKind::Internal, "a keyring cannot be read").with_source(source)
}

/// Trusts the keys of this keyring.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn trusting(keyring: &[u8]) -> Trust {
    Trust::Signed(Arc::new(Keyring::of(keyring).expect("a keyring")))
}

/// The text of `document`, if one of `keys` has signed it, and when that was, in seconds since the epoch.
fn signed(keys: &[SignedPublicKey], document: &[u8], now: Timestamp) -> Result<(String, u32)> {
    let document = std::str::from_utf8(document).map_err(|_| not_utf8())?;
    let Clearsigned { text, signatures } = Clearsigned::read(document)?;
    let (signatures, _) = DetachedSignature::from_string_many(signatures).map_err(unreadable)?;
    let made = any_counts(keys, signatures, text.as_bytes(), &[SignatureType::Text], now)?;
    Ok((text, made))
}

/// When one of `keys` has signed `document` by `signatures`, which are armoured or not.
fn signed_beside(
    keys: &[SignedPublicKey],
    document: &[u8],
    signatures: &[u8],
    now: Timestamp,
) -> Result<u32> {
    let types = &[SignatureType::Binary, SignatureType::Text];
    match std::str::from_utf8(signatures).ok().filter(|text| text.contains(SIGNATURE_ARMOUR)) {
        Some(text) => {
            let (signatures, _) = DetachedSignature::from_string_many(text).map_err(unreadable)?;
            any_counts(keys, signatures, document, types, now)
        }
        None => {
            let signatures = DetachedSignature::from_bytes_many(signatures).map_err(unreadable)?;
            any_counts(keys, signatures, document, types, now)
        }
    }
}

/// When the first of a few `signatures` was made that is of one of `types`, by one of `keys`, of `text`, and counts.
fn any_counts(
    keys: &[SignedPublicKey],
    signatures: impl Iterator<Item = pgp::errors::Result<DetachedSignature>>,
    text: &[u8],
    types: &[SignatureType],
    now: Timestamp,
) -> Result<u32> {
    let mut why = "a document has no signature";
    for signature in signatures.take(MOST_SIGNATURES) {
        let signature = signature.map_err(unreadable)?.signature;
        let is_fitting = signature.typ().is_some_and(|found| types.contains(&found));
        let counts = if is_fitting {
            check(keys, &signature, text, now)
        } else {
            Err("a signature is not one of a text")
        };
        match counts {
            Ok(made) => return Ok(made),
            Err(reason) => why = reason,
        }
    }
    Err(refused(why))
}

/// When `signature` was made, if it is that of one of `keys`, of `text`, and counts.
fn check(
    keys: &[SignedPublicKey],
    signature: &Signature,
    text: &[u8],
    now: Timestamp,
) -> Result<u32, &'static str> {
    let made = signature.created().ok_or("a signature does not say when it was made")?.as_secs();
    if !is_strong(signature) {
        return Err("a signature is made with a weak hash");
    }
    if made > now.as_secs().saturating_add(AHEAD) {
        return Err("a signature is from the future");
    }
    if ends(made, signature.signature_expiration_time()).is_some_and(|end| end <= now.as_secs()) {
        return Err("a signature has run out");
    }
    let mut why = "a document is not signed by a key of the keyring";
    for key in keys {
        let standing = standing(key, now);
        let primary = is_by(&key.primary_key, signature, text);
        let subkey = key.public_subkeys.iter().find(|subkey| is_by(&subkey.key, signature, text));
        why = match (standing, primary, subkey) {
            (_, false, None) => continue,
            (Err(reason), ..) => reason,
            (Ok(Signs::Yes), true, _) => return Ok(made),
            (Ok(_), _, Some(subkey)) => match binding(key, subkey, now) {
                Ok(()) => return Ok(made),
                Err(reason) => reason,
            },
            (Ok(Signs::No), true, None) => "a document is signed by a key that is not for signing",
        };
    }
    Err(why)
}

fn is_by(key: &impl VerifyingKey, signature: &Signature, text: &[u8]) -> bool {
    signature.verify(key, text).is_ok()
}

/// Whether a primary key is for signing documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signs {
    Yes,
    No,
}

/// How a primary key stands now, by what it says of itself.
fn standing(key: &SignedPublicKey, now: Timestamp) -> Result<Signs, &'static str> {
    let primary = &key.primary_key;
    if key.details.revocation_signatures.iter().any(|revocation| revocation.verify_key(primary).is_ok()) {
        return Err("a document is signed by a key that is revoked");
    }
    let of_users = key.details.users.iter().flat_map(|user| {
        let own =
            |signature: &&Signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok();
        // A user id that is revoked says no more what the key is for.
        let own: Vec<&Signature> = user.signatures.iter().filter(own).collect();
        let is_revoked = own.iter().any(|signature| signature.typ() == Some(SignatureType::CertRevocation));
        if is_revoked { Vec::new() } else { own }
    });
    let of_itself =
        key.details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    let said = newest(of_users.chain(of_itself), now)
        .ok_or("a document is signed by a key that says nothing good of itself")?;
    let ends = ends(primary.created_at().as_secs(), said.key_expiration_time());
    if ends.is_some_and(|end| end <= now.as_secs()) {
        return Err("a document is signed by a key that has run out");
    }
    let flags = said.key_flags();
    // A key that does not say what it is for is for everything.
    let says_nothing = !(flags.certify()
        || flags.sign()
        || flags.encrypt_comms()
        || flags.encrypt_storage()
        || flags.authentication());
    Ok(if flags.sign() || says_nothing { Signs::Yes } else { Signs::No })
}

/// Whether `subkey` may sign for `key` now.
fn binding(key: &SignedPublicKey, subkey: &SignedPublicSubKey, now: Timestamp) -> Result<(), &'static str> {
    let primary = &key.primary_key;
    let good: Vec<&Signature> = subkey
        .signatures
        .iter()
        .filter(|signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok())
        .collect();
    if good.iter().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation)) {
        return Err("a document is signed by a subkey that is revoked");
    }
    let bound = newest(good.into_iter(), now)
        .ok_or("a document is signed by a subkey that is not bound to its key")?;
    let agreed = bound.embedded_signature();
    let has_agreed =
        agreed.is_some_and(|agreed| agreed.verify_primary_key_binding(&subkey.key, primary).is_ok());
    if !bound.key_flags().sign() || !has_agreed {
        return Err("a document is signed by a subkey that is not for signing");
    }
    let ends = ends(subkey.key.created_at().as_secs(), bound.key_expiration_time());
    if ends.is_some_and(|end| end <= now.as_secs()) {
        return Err("a document is signed by a subkey that has run out");
    }
    Ok(())
}

/// The newest of some signatures that is of the past and has not run out: what it says is what holds. They may be made
/// with SHA-1, as those of old keys are: whoever names a key in a keyring trusts the key.
fn newest<'s>(signatures: impl Iterator<Item = &'s Signature>, now: Timestamp) -> Option<&'s Signature> {
    let made = |signature: &Signature| signature.created().map(Timestamp::as_secs);
    let counts = |signature: &&Signature| {
        made(signature).is_some_and(|made| {
            let end = ends(made, signature.signature_expiration_time());
            made <= now.as_secs().saturating_add(AHEAD) && end.is_none_or(|end| end > now.as_secs())
        })
    };
    signatures.filter(counts).max_by_key(|signature| made(signature))
}

/// When what began then ends, if it ever does.
fn ends(begun: u32, lasts: Option<pgp::types::Duration>) -> Option<u32> {
    lasts
        .map(pgp::types::Duration::as_secs)
        .filter(|lasts| *lasts > 0)
        .map(|lasts| begun.saturating_add(lasts))
}

/// Whether a document could not be made to fit a signature.
fn is_strong(signature: &Signature) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    matches!(signature.hash_alg(), Some(Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512))
}
