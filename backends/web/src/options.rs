//! What can be set, and what holds if it is not.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use image_service::{Error, Result};
use portico_catalogue::bounds::{
    busy_timeout, check_busy_timeout, check_path, check_readers, page_limit, read_busy_timeout, read_path,
    read_readers, readers,
};
use portico_catalogue::{Durability, Settings};

/// Where the records are, and from where data is fetched. Only `path` must be given.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The directory of the records. It is made if it is not there, readable by its owner alone.
    #[serde(deserialize_with = "read_path")]
    pub path: PathBuf,
    /// From where data may be fetched, how long that may take, and how much there may be.
    #[serde(default)]
    pub fetch: portico_fetch::Settings,
    /// How long a download waits for its locations before it begins without them, and breaks off if they come to
    /// nothing. To be kept below the deadline that this store has for its answers. Default: 1 second.
    #[serde(default = "patience", with = "humantime_serde")]
    pub patience: Duration,
    /// What an answered write survives. Default: `full`.
    #[serde(default)]
    pub sync: Durability,
    /// How many lists and lookups are answered at once, up to 64; more wait their turn. Default: 4.
    #[serde(default = "readers", deserialize_with = "read_readers")]
    pub readers: NonZeroUsize,
    /// The most images in one page, whatever limit a query has. Default: 1000.
    #[serde(default = "page_limit")]
    pub page_limit: NonZeroUsize,
    /// How long to wait for another process that works on the records, up to an hour. Default: 5 s.
    #[serde(default = "busy_timeout", deserialize_with = "read_busy_timeout")]
    pub busy_timeout: Duration,
}

const fn patience() -> Duration {
    Duration::from_secs(1)
}

impl Options {
    /// The defaults, for records in the directory `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            fetch: portico_fetch::Settings::default(),
            patience: patience(),
            sync: Durability::default(),
            readers: readers(),
            page_limit: page_limit(),
            busy_timeout: busy_timeout(),
        }
    }

    pub(crate) const fn of_catalogue(&self) -> Settings {
        Settings { sync: self.sync, readers: self.readers, busy_timeout: self.busy_timeout }
    }

    /// Checks what a type cannot say, of options that were not read from text.
    pub(crate) fn check(&self) -> Result<()> {
        let checks = [
            ("path", check_path(&self.path)),
            ("readers", check_readers(&self.readers)),
            ("busy_timeout", check_busy_timeout(&self.busy_timeout)),
        ];
        for (key, check) in checks {
            check.map_err(|fault| Error::invalid(format!("{key}: {fault}")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_enough_and_what_is_out_of_its_range_or_unknown_is_refused() {
        let parse = serde_json::from_str::<Options>;
        assert_eq!(parse(r#"{"path": "/images"}"#).unwrap(), Options::at("/images"));
        let options = parse(r#"{"path": "/i", "patience": "3s", "fetch": {"ports": [8080]}}"#).unwrap();
        assert_eq!((options.patience.as_secs(), options.fetch.ports), (3, vec![8080]));
        for wrong in [
            "{}",
            r#"{"path": ""}"#,
            r#"{"path": "/i", "readers": 65}"#,
            r#"{"path": "/i", "busy_timeout": "100days"}"#,
            r#"{"path": "/i", "fetch": {"port": 80}}"#,
            r#"{"path": "/i", "colour": "red"}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let readers = NonZeroUsize::new(65).unwrap();
        let error = Options { readers, ..Options::at("/i") }.check().unwrap_err();
        assert!(error.message().starts_with("readers"), "{error}");
    }
}
