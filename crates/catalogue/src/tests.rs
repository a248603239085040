//! Lists against the contract's pure rules.

mod listing;

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::{Durability, Settings};

pub(crate) fn settings(sync: Durability) -> Settings {
    let readers = NonZeroUsize::new(4).unwrap();
    Settings { sync, readers, busy_timeout: Duration::from_secs(5) }
}
