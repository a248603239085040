//! Lists with parts missing: what the client wants done, and what it is told.
//!
//! `Portico-Partial: refuse` or `serve` asks. `Portico-Backends` answers: an RFC 8941 dictionary from the name of
//! each backend to how it fared, as in `local=ok, paris=timeout`.

use http::{HeaderMap, HeaderName, HeaderValue};
use image_service::{Partial, SourceReport, SourceState};
use sfv::{DictSerializer, KeyRef, TokenRef};

use super::fault::Fault;

/// The header in which a client says what it wants.
pub(super) const PARTIAL: HeaderName = HeaderName::from_static("portico-partial");

/// The header that tells how each backend fared.
pub(super) const BACKENDS: HeaderName = HeaderName::from_static("portico-backends");

/// Reads what the client wants; `default` if it does not say.
pub(super) fn wanted(headers: &HeaderMap, default: Partial) -> Result<Partial, Fault> {
    match headers.get(PARTIAL).map(HeaderValue::as_bytes) {
        None => Ok(default),
        Some(b"serve") => Ok(Partial::Serve),
        Some(b"refuse") => Ok(Partial::Refuse),
        Some(_) => Err(Fault::bad_request("Portico-Partial: must be 'serve' or 'refuse'")),
    }
}

/// Writes how the sources fared; nothing if there are none.
pub(super) fn report(sources: &[SourceReport]) -> Option<HeaderValue> {
    let mut states: Vec<(String, SourceState)> = Vec::new();
    for source in sources {
        let key = key_for(&source.name);
        match states.iter_mut().find(|(seen, _)| *seen == key) {
            // Two names with one spelling: the failure is what must not go unsaid.
            Some((_, state)) if *state == SourceState::Ok => *state = source.state,
            Some(_) => {}
            None => states.push((key, source.state)),
        }
    }
    let mut dictionary = DictSerializer::new();
    for (key, state) in &states {
        if let (Ok(key), Ok(state)) = (KeyRef::from_str(key), TokenRef::from_str(state.as_str())) {
            dictionary.bare_item(key, state);
        }
    }
    dictionary.finish().and_then(|text| HeaderValue::from_str(&text).ok())
}

/// A backend's name spelled as a dictionary key: in lower case, with `_` for what a key cannot have, and behind a
/// `*` if it begins with anything but a letter.
fn key_for(name: &str) -> String {
    let mut key: String = name
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '_' | '-' | '.' | '*') => c,
            _ => '_',
        })
        .collect();
    if !key.starts_with(|c: char| c.is_ascii_lowercase() || c == '*') {
        key.insert(0, '*');
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(sources: &[(&str, SourceState)]) -> Option<String> {
        let sources: Vec<_> =
            sources.iter().map(|&(name, state)| SourceReport { name: name.to_owned(), state }).collect();
        report(&sources).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_source_is_named_with_its_state_in_order() {
        let sources = [("local", SourceState::Ok), ("paris.inner", SourceState::Timeout)];
        assert_eq!(reported(&sources).as_deref(), Some("local=ok, paris.inner=timeout"));
        assert_eq!(reported(&[]), None);
    }

    #[test]
    fn a_name_that_is_no_key_is_spelled_as_one_and_a_failure_is_never_lost() {
        let sources = [("9 Lives", SourceState::Open), ("Ä", SourceState::Error)];
        assert_eq!(reported(&sources).as_deref(), Some("*9_lives=open, *_=error"));
        for states in [[SourceState::Ok, SourceState::Refused], [SourceState::Refused, SourceState::Ok]] {
            assert_eq!(reported(&[("A", states[0]), ("a", states[1])]).as_deref(), Some("a=refused"));
        }
    }

    #[test]
    fn only_the_two_wishes_are_understood() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(PARTIAL, HeaderValue::from_str(text).unwrap());
            wanted(&headers, Partial::Serve).ok()
        };
        assert_eq!(asked("refuse"), Some(Partial::Refuse));
        assert_eq!(asked("serve"), Some(Partial::Serve));
        assert_eq!(asked("maybe"), None);
        assert_eq!(wanted(&HeaderMap::new(), Partial::Refuse).unwrap(), Partial::Refuse);
    }
}
