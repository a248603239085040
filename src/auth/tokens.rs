//! Callers by tokens that a file lists.
//!
//! The file holds the SHA-256 of each token and whom it stands for; the token itself is nowhere. That is enough
//! for tokens made by a machine, of 128 random bits or more, and not for words that people think up:
//!
//! ```toml
//! [[token]]
//! sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
//! user = "alice"
//! project = "demo"
//! roles = ["member"]            # `admin` stands above all projects
//! ```
//!
//! `portico token` makes one, and so does a shell:
//! `token=$(openssl rand -hex 32); printf %s "$token" | sha256sum`.
//!
//! The file is read again when [`Tokens::reload`] is called. A file with faults changes nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue};
use image_service::{Caller, Secret};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::{Auth, Refusal, TOKEN_HEADER};
use crate::document::{Document, Fault, Place, read_text};

/// Most tokens in a file. Every request is compared with all of them.
const MOST_TOKENS: usize = 10_000;

/// Knows callers by their tokens.
#[derive(Debug)]
pub struct Tokens {
    file: PathBuf,
    known: RwLock<Arc<Vec<Known>>>,
}

/// Whom one token stands for.
#[derive(Debug)]
struct Known {
    sha256: [u8; 32],
    caller: Caller,
}

impl Tokens {
    /// Reads `file`.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn load(file: &Path) -> Result<Self, Vec<Fault>> {
        let known = read(file)?;
        Ok(Self { file: file.to_owned(), known: RwLock::new(Arc::new(known)) })
    }

    /// Reads the file again and says how many tokens there are now. Blocks on the file.
    ///
    /// # Errors
    /// Every fault in it; the tokens are then those of before.
    pub fn reload(&self) -> Result<usize, Vec<Fault>> {
        let known = read(&self.file)?;
        let count = known.len();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(count)
    }

    /// Whom `token` stands for. Takes as long for each token, known or not.
    fn find(&self, token: &str) -> Option<Caller> {
        let known = Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner));
        let sha256: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // No token is listed twice, so at most one matches.
        let (mut found, mut at) = (Choice::from(0), 0_u64);
        for (number, candidate) in (0_u64..).zip(known.iter()) {
            let same = candidate.sha256.ct_eq(&sha256);
            at.conditional_assign(&number, same);
            found |= same;
        }
        let at = usize::try_from(at).ok()?;
        if bool::from(found) { known.get(at).map(|known| known.caller.clone()) } else { None }
    }
}

#[async_trait]
impl Auth for Tokens {
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = headers.get(TOKEN_HEADER).ok_or_else(|| refusal("a token is needed in X-Auth-Token"))?;
        let token = token.to_str().map_err(|_| refusal("the token is not known"))?;
        let caller = self.find(token).ok_or_else(|| refusal("the token is not known"))?;
        Ok(Caller { token: Some(Secret::new(token)), ..caller })
    }
}

fn refusal(message: &str) -> Refusal {
    let challenge = HeaderValue::from_static("Token realm=\"portico\"");
    Refusal::Unknown { message: message.to_owned(), challenge: Some(challenge) }
}

/// Finds every fault in `file`.
///
/// # Errors
/// The faults, if there are any.
pub fn check(file: &Path) -> Result<(), Vec<Fault>> {
    read(file).map(drop)
}

/// The entry that lets `token` in, as the file has it.
#[must_use]
pub fn entry(token: &str, user: Option<String>, project: Option<String>, roles: Vec<String>) -> String {
    let mut entry = toml::Table::new();
    entry.insert(String::from("sha256"), hex::encode(Sha256::digest(token.as_bytes())).into());
    entry.extend(user.map(|user| (String::from("user"), user.into())));
    entry.extend(project.map(|project| (String::from("project"), project.into())));
    entry.insert(String::from("roles"), roles.into());
    format!("[[token]]\n{}\n", entry.to_string().trim_end())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default, rename = "token")]
    tokens: Vec<Entry>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    sha256: Option<String>,
    user: Option<String>,
    project: Option<String>,
    roles: Vec<String>,
}

fn read(file: &Path) -> Result<Vec<Known>, Vec<Fault>> {
    let text = read_regular(file).map_err(|fault| vec![fault])?;
    let mut document = Document::parse(file, &text)?;
    let mut known = Vec::new();
    if let Some(list) = document.read_leniently::<List>() {
        let (mut seen, here) = (BTreeSet::new(), Place::root().then("token"));
        for (number, entry) in list.tokens.into_iter().enumerate() {
            known.extend(understand(entry, &here.then(number), &mut document, &mut seen));
        }
        if known.len() > MOST_TOKENS {
            document.fault(&here, format!("there are more than {MOST_TOKENS} tokens"));
        }
    }
    let faults = document.into_faults();
    if faults.is_empty() { Ok(known) } else { Err(faults) }
}

/// Reads `file` unless it is something else, such as a pipe, which a reload could wait for without end.
fn read_regular(file: &Path) -> Result<String, Fault> {
    match std::fs::metadata(file) {
        Ok(metadata) if !metadata.is_file() => Err(Fault::of_file(file, "is not a regular file")),
        // What keeps it from being looked at also keeps it from being read.
        _ => read_text(file),
    }
}

/// Turns an entry into whom it stands for, or notes its faults.
fn understand(
    entry: Entry,
    place: &Place,
    document: &mut Document<'_>,
    seen: &mut BTreeSet<[u8; 32]>,
) -> Option<Known> {
    let at = place.then("sha256");
    let mut sha256 = [0; 32];
    match &entry.sha256 {
        None => document.fault(&at, "is missing"),
        Some(text) if hex::decode_to_slice(text, &mut sha256).is_err() => {
            document.fault(&at, "is not a SHA-256: 64 hexadecimal digits are");
        }
        Some(_) if !seen.insert(sha256) => document.fault(&at, "is listed twice"),
        Some(_) => {}
    }
    let roles: BTreeSet<String> = entry.roles.iter().map(|role| role.to_lowercase()).collect();
    if entry.project.is_none() && !roles.contains("admin") {
        document.fault(&place.then("project"), "is missing, and only an administrator needs none");
    }
    let caller = Caller { user: entry.user, project: entry.project, roles, ..Caller::default() };
    entry.sha256.map(|_| Known { sha256, caller })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[token]]
        sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
        user = "alice"
        project = "demo"
        roles = ["Member"]

        [[token]]
        sha256 = "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"
        roles = ["admin"]
    "#;

    fn tokens(text: &str) -> (tempfile::TempDir, Result<Tokens, Vec<Fault>>) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tokens.toml");
        std::fs::write(&file, text).unwrap();
        let tokens = Tokens::load(&file);
        (directory, tokens)
    }

    fn with(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(TOKEN_HEADER), token.parse().unwrap())])
    }

    #[tokio::test]
    async fn a_listed_token_stands_for_its_user_project_and_roles() {
        let (_directory, tokens) = tokens(FILE);
        let tokens = tokens.unwrap();
        let caller = tokens.caller(&with("foo")).await.unwrap();
        assert_eq!(caller.user.as_deref(), Some("alice"));
        assert_eq!(caller.project.as_deref(), Some("demo"));
        assert_eq!(caller.roles, BTreeSet::from([String::from("member")]));
        assert!(!caller.is_admin());
        assert!(tokens.caller(&with("bar")).await.unwrap().is_admin());
    }

    #[tokio::test]
    async fn any_other_token_and_none_are_refused_with_a_challenge() {
        let (_directory, tokens) = tokens(FILE);
        let tokens = tokens.unwrap();
        let sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        for headers in [HeaderMap::new(), with(""), with("fooo"), with("FOO"), with(sha256)] {
            let Refusal::Unknown { message, challenge } = tokens.caller(&headers).await.unwrap_err() else {
                panic!("the file knows all there is to know");
            };
            assert!(challenge.is_some());
            assert!(!message.contains("foo"), "{message}");
        }
    }

    #[tokio::test]
    async fn a_reload_takes_a_good_file_and_leaves_everything_for_a_bad_one() {
        let (directory, tokens) = tokens(FILE);
        let (file, tokens) = (directory.path().join("tokens.toml"), tokens.unwrap());
        std::fs::write(&file, "[[token]]\nsha256 = \"short\"\n").unwrap();
        assert_eq!(tokens.reload().unwrap_err().len(), 2);
        assert!(tokens.caller(&with("foo")).await.is_ok());
        std::fs::write(&file, "").unwrap();
        assert_eq!(tokens.reload().unwrap(), 0);
        assert!(tokens.caller(&with("foo")).await.is_err());
    }

    #[test]
    fn what_is_no_regular_file_is_refused_unread() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("tokens.toml");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for file in [directory.path(), &link] {
            let faults = Tokens::load(file).unwrap_err();
            assert_eq!(faults, [Fault::of_file(file, "is not a regular file")]);
        }
    }

    #[test]
    fn every_fault_of_a_file_is_found_with_its_line() {
        let sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let (_directory, tokens) = tokens(&format!(
            "[[token]]\nsha256 = 7\nproject = \"a\"\n[[token]]\nrole = []\n[[token]]\nsha256 = \"{sha256}\"\n\
             project = \"a\"\n[[token]]\nsha256 = \"{sha256}\"\nproject = \"b\"\n"
        ));
        let faults = tokens.unwrap_err();
        let found: Vec<_> = faults.iter().map(|fault| (fault.line, fault.place.to_string())).collect();
        let expected = [
            (2, "token[0].sha256"),
            (4, "token[1].project"),
            (4, "token[1].sha256"),
            (5, "token[1].role"),
            (10, "token[3].sha256"),
        ];
        assert_eq!(found, expected.map(|(line, place)| (Some(line), place.to_owned())));
    }

    #[tokio::test]
    async fn a_new_entry_lets_its_token_in_as_whom_it_names() {
        let member = entry("one", Some("a \"b\"".into()), Some("demo".into()), vec!["reader".into()]);
        let admin = entry("two", None, None, vec!["admin".into()]);
        let (_directory, tokens) = tokens(&format!("{member}{admin}"));
        let tokens = tokens.unwrap();
        let caller = tokens.caller(&with("one")).await.unwrap();
        assert_eq!(caller.user.as_deref(), Some("a \"b\""));
        assert_eq!((caller.project.as_deref(), caller.is_admin()), (Some("demo"), false));
        assert!(tokens.caller(&with("two")).await.unwrap().is_admin());
    }

    #[test]
    fn the_hash_is_what_sha256sum_prints() {
        let expected = "sha256 = \"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\"";
        assert!(entry("foo", None, None, Vec::new()).contains(expected));
    }
}
