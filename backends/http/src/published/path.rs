//! Where the paths of a catalogue lead: below the root of its source, or nowhere.
//!
//! A catalogue is somebody's text. What it names by a path that could be read as another place, by this program or by
//! a server behind, is refused as a whole: no path is repaired.

use url::Url;

/// Longer paths name nothing that a source could have.
const LONGEST: usize = 1024;

/// The URL of `path` below `root`, which ends with a slash.
///
/// # Errors
/// What is wrong with the path, in a few words.
pub(crate) fn below(root: &Url, path: &str) -> Result<Url, &'static str> {
    check(path)?;
    let url = Url::parse(&format!("{root}{path}")).map_err(|_| "makes no URL")?;
    // All of this holds by what has been checked. It is what counts, so it is looked at and not believed.
    let stays = url.origin() == root.origin()
        && url.path().starts_with(root.path())
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if stays { Ok(url) } else { Err("leaves its source") }
}

/// The root of a source: its endpoint with a slash at the end.
pub(crate) fn root(endpoint: &Url) -> Url {
    let mut root = endpoint.clone();
    if !root.path().ends_with('/') {
        root.set_path(&format!("{}/", root.path()));
    }
    root
}

fn check(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > LONGEST {
        return Err("is empty or too long");
    }
    if path.chars().any(|c| c.is_control() || matches!(c, '\\' | '?' | '#' | ' ')) {
        return Err("has a character that no path has");
    }
    if path.starts_with('/') {
        return Err("is not relative");
    }
    // A relative reference has no colon before its first slash: with one it would be a URL.
    if path.split('/').next().is_some_and(|first| first.contains(':')) {
        return Err("is not relative");
    }
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("has an empty segment, or one of dots");
    }
    match encoded(path) {
        Some(bytes) if bytes.iter().any(|byte| matches!(byte, b'.' | b'/' | b'\\' | b'%' | 0..=0x1f)) => {
            Err("has an encoded dot, slash or the like")
        }
        Some(_) => Ok(()),
        None => Err("has an encoding that is none"),
    }
}

/// The bytes that `path` has in percent encoding, or `None` if a percent sign begins none.
fn encoded(path: &str) -> Option<Vec<u8>> {
    let digits = |rest: &str| {
        rest.get(..2).filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit())).map(str::to_owned)
    };
    path.split('%').skip(1).map(|rest| u8::from_str_radix(&digits(rest)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_below_the_root_with_or_without_a_slash_at_its_end() {
        for endpoint in ["http://h:1/mirror", "http://h:1/mirror/"] {
            let root = root(&Url::parse(endpoint).unwrap());
            for (path, expected) in [
                ("a", "http://h:1/mirror/a"),
                (
                    "streams/v1/com.example:a:download.json",
                    "http://h:1/mirror/streams/v1/com.example:a:download.json",
                ),
                ("a/b%20c+d~e..f", "http://h:1/mirror/a/b%20c+d~e..f"),
                ("a/ü", "http://h:1/mirror/a/%C3%BC"),
            ] {
                assert_eq!(below(&root, path).unwrap().as_str(), expected);
            }
        }
    }

    #[test]
    fn a_path_that_could_lead_elsewhere_is_refused() {
        for root in ["http://h/", "http://h/mirror/"] {
            let root = Url::parse(root).unwrap();
            for path in [
                "",
                "/",
                "/a",
                "//evil/a",
                "///evil/a",
                "http://evil/a",
                "https:a",
                "file:a",
                "a:b",
                ".",
                "..",
                "../a",
                "a/../../b",
                "a/..",
                "a/./b",
                "a//b",
                "a/",
                "\\a",
                "a\\..\\b",
                "\\\\evil\\a",
                "%2e%2e/a",
                "%2E%2e/a",
                ".%2e/a",
                "a/%2e/b",
                "a%2fb",
                "a%5cb",
                "a%252e",
                "a%00",
                "a%0a",
                "a%",
                "a%2",
                "a%zz",
                "a%+1",
                "a?b",
                "a#b",
                "a b",
                "a\nb",
                "a\0",
                "\ta",
            ] {
                assert!(below(&root, path).is_err(), "{path}");
            }
            assert!(below(&root, &"a".repeat(LONGEST + 1)).is_err());
        }
    }
}
