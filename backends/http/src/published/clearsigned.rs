//! The cleartext signature framework of OpenPGP (RFC 9580, section 7): a text between two lines, and signatures of it.
//! Pure.
//!
//! The text that comes out is the text that was signed, byte for byte: without the escapes, without blanks at the ends
//! of lines, and without all that stands around it. What stands around it makes the document refused, for somebody
//! might take it for signed.
//!
//! The library that verifies the signatures could read this too, but in a time that grows with the square of the number
//! of lines, of which catalogues have a hundred thousand.

use super::refused;
use image_service::Result;

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";

/// A signed document, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clearsigned<'t> {
    /// What was signed: lines that end as on the wire, the last one without an end.
    pub(super) text: String,
    /// The signatures, in their armour.
    pub(super) signatures: &'t str,
}

impl<'t> Clearsigned<'t> {
    /// Takes `document` apart.
    ///
    /// # Errors
    /// If it is not one signed text and nothing else.
    pub(super) fn read(document: &'t str) -> Result<Self> {
        let wrong = |why: &str| refused(format_args!("a signed document {why}"));
        let (first, mut rest) = line(document).ok_or_else(|| wrong("is empty"))?;
        if first != BEGIN {
            return Err(wrong("does not begin as one"));
        }
        loop {
            let (header, behind) = line(rest).ok_or_else(|| wrong("has no text"))?;
            rest = behind;
            if header.is_empty() {
                break;
            }
            if !header.starts_with("Hash: ") {
                return Err(wrong("has a header that none may have"));
            }
        }
        let (mut text, mut is_first) = (String::with_capacity(rest.len()), true);
        loop {
            let signatures = rest;
            let (written, behind) = line(rest).ok_or_else(|| wrong("has no signature"))?;
            if written == SIGNATURE {
                let (armour, around) = signatures.split_once(END).ok_or_else(|| wrong("has no end"))?;
                if !around.trim_ascii().is_empty() {
                    return Err(wrong("goes on behind its signature"));
                }
                let length = armour.len() + END.len();
                return Ok(Self { text, signatures: signatures.get(..length).unwrap_or(signatures) });
            }
            let signed = match written.strip_prefix("- ") {
                Some(escaped) => escaped,
                None if written.starts_with('-') => return Err(wrong("has a line that is not escaped")),
                None => written,
            };
            if !std::mem::take(&mut is_first) {
                text.push_str("\r\n");
            }
            text.push_str(signed);
            rest = behind;
        }
    }
}

/// The first line of `text` without the blanks at its end, and what is behind it.
fn line(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    Some((line.trim_end_matches([' ', '\t', '\r']), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARMOUR: &str = "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----";

    fn document(text: &str) -> String {
        format!("{BEGIN}\nHash: SHA512\n\n{text}\n{ARMOUR}\n")
    }

    #[test]
    fn the_text_is_what_was_signed() {
        for (written, signed) in [
            ("one\ntwo", "one\r\ntwo"),
            ("one \t\n- - two\n\n", "one\r\n- two\r\n\r\n"),
            ("one\r\ntwo\r", "one\r\ntwo"),
            ("- -----BEGIN PGP SIGNATURE-----", "-----BEGIN PGP SIGNATURE-----"),
            ("", ""),
        ] {
            let document = document(written);
            let read = Clearsigned::read(&document).unwrap();
            assert_eq!((read.text.as_str(), read.signatures), (signed, ARMOUR), "{written:?}");
        }
    }

    #[test]
    fn what_is_around_the_text_is_refused() {
        let sound = document("text");
        assert!(Clearsigned::read(&sound).is_ok());
        for unsound in [
            String::new(),
            String::from("text"),
            format!("x\n{sound}"),
            format!("\n{sound}"),
            format!("{sound}x"),
            format!("{sound}{sound}"),
            sound.replace("Hash: SHA512", "Charset: x"),
            sound.replace("\n\ntext", "\ntext"),
            sound.replace("text", "-text"),
            sound.replace("text", "-----BEGIN PGP SIGNED MESSAGE-----"),
            sound.replace(SIGNATURE, ""),
            sound.replace(END, ""),
            sound.replace(BEGIN, "-----BEGIN PGP MESSAGE-----"),
        ] {
            assert!(Clearsigned::read(&unsound).is_err(), "{unsound}");
        }
    }
}
