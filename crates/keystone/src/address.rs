//! Where a Keystone is: the URL that clients know as the authentication URL.

use serde::Deserialize;
use url::Url;

/// The URL of a Keystone, `http` or `https`, with a path if it has one, with or without the trailing `/v3`. It holds no
/// credentials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    given: String,
    /// Without the version.
    base: Url,
}

impl Address {
    /// The address as it was given, in plain characters that can stand between quotes, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// Whether it is spoken to without encryption.
    pub(crate) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// The URL of a path of the API. No segment is text from outside.
    pub(crate) fn v3(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/v3/{path}", self.base.path().trim_end_matches('/')));
        url
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    // The text itself stays out of the messages: somebody may have put a password in it.
    fn try_from(text: String) -> Result<Self, String> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(String::from("must not have blanks or line breaks in it"));
        }
        let mut base = Url::parse(&text).map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(String::from("not an http or https URL"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(String::from("a URL with credentials in it"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(String::from("a URL with a query or a fragment"));
        }
        let path = base.path().trim_end_matches('/').to_owned();
        let given = base.as_str().trim_end_matches('/').to_owned();
        base.set_path(path.strip_suffix("/v3").unwrap_or(&path));
        Ok(Self { given, base })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_or_slash_at_the_end_makes_no_difference() {
        for (given, expected) in [
            ("http://h:5000", "http://h:5000/v3/auth/tokens"),
            ("http://h:5000/v3/", "http://h:5000/v3/auth/tokens"),
            ("https://h/identity", "https://h/identity/v3/auth/tokens"),
            ("https://h/identity/v3", "https://h/identity/v3/auth/tokens"),
        ] {
            let address = Address::try_from(given.to_owned()).unwrap();
            assert_eq!(address.v3("auth/tokens").as_str(), expected, "{given}");
            assert_eq!(address.as_str(), given.trim_end_matches('/'));
        }
    }

    #[test]
    fn an_address_that_hides_something_is_refused_without_being_repeated() {
        for given in [
            "ftp://hunter2",
            "http://u:hunter2@x",
            "http://x/?a=hunter2",
            "http://x/#hunter2",
            "hunter2",
            "http://a b",
        ] {
            let told = Address::try_from(given.to_owned()).unwrap_err();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
