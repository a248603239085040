//! Where the pages that were given out ended, for clients that go on by the plain marker.
//!
//! A marker is only an id. Its image may have been deleted since the page was given, or have moved in the order, or
//! its backend may be silent now; the walk goes on all the same from where it stood, by value, if the page is
//! remembered. What is remembered is bounded in number and age and private to the caller's project; what is
//! forgotten is looked up. The cursor in `next` needs none of this.

use std::sync::Arc;
use std::time::Duration;

use image_service::{Caller, Image, ImageId};
use moka::sync::Cache;

/// Last images of pages, as they were then.
#[derive(Debug)]
pub(super) struct Marks(Cache<Place, Arc<Image>>);

/// Whose page ended with which image.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    project: Option<String>,
    is_admin: bool,
    id: ImageId,
}

impl Place {
    fn of(caller: &Caller, id: &ImageId) -> Self {
        Self { project: caller.project.clone(), is_admin: caller.is_admin(), id: id.clone() }
    }
}

impl Marks {
    /// Room for `most`, each kept for `age`.
    pub(super) fn new(most: u64, age: Duration) -> Self {
        Self(Cache::builder().max_capacity(most).time_to_live(age).build())
    }

    /// Remembers where a page for `caller` ended.
    pub(super) fn put(&self, caller: &Caller, last: &Image) {
        let mut last = last.clone();
        // Nothing is sorted by these.
        last.properties.clear();
        last.tags.clear();
        last.stores.clear();
        self.0.insert(Place::of(caller, &last.id), Arc::new(last));
    }

    /// The image as it was when it was the last one of a page for `caller`.
    pub(super) fn get(&self, caller: &Caller, id: &ImageId) -> Option<Arc<Image>> {
        self.0.get(&Place::of(caller, id))
    }
}
