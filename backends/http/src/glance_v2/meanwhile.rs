//! Changes made while data is on its way, to be made again behind it.
//!
//! Glance reads an image's record when an upload begins and writes all of it back when the upload ends, well or
//! badly, which undoes whatever was changed in between. What was changed through this backend is noted here, and
//! the upload makes it good. What was changed by others Glance loses as it always does.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use image_service::{Error, ErrorKind, ImageChange, ImageId, Result};

/// The most changes to be noted during one upload.
const MOST: usize = 256;

/// The uploads under way, and what was changed since they began.
#[derive(Debug, Default)]
pub(super) struct Meanwhile(Mutex<HashMap<ImageId, Noted>>);

#[derive(Debug, Default)]
struct Noted {
    uploads: usize,
    next: u64,
    changes: BTreeMap<u64, ImageChange>,
}

impl Meanwhile {
    /// Begins to note changes of the image, until what this gives is dropped.
    pub(super) fn begin(&self, id: &ImageId) -> Uploading<'_> {
        self.noted().entry(id.clone()).or_default().uploads += 1;
        Uploading { meanwhile: self, id: id.clone() }
    }

    /// Notes a change that is about to be made, if data is on its way. Gives what to forget it by.
    ///
    /// # Errors
    /// `Conflict` if there are too many.
    pub(super) fn note(&self, id: &ImageId, change: &ImageChange) -> Result<Option<u64>> {
        let mut noted = self.noted();
        let Some(noted) = noted.get_mut(id) else { return Ok(None) };
        if noted.changes.len() >= MOST {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the image has changed too often while its data is on its way",
            ));
        }
        let number = noted.next;
        noted.next += 1;
        // A status cannot change during an upload.
        noted.changes.insert(number, ImageChange { status: None, ..change.clone() });
        Ok(Some(number))
    }

    /// Forgets a change that was not made after all.
    pub(super) fn forget(&self, id: &ImageId, number: Option<u64>) {
        if let (Some(noted), Some(number)) = (self.noted().get_mut(id), number) {
            noted.changes.remove(&number);
        }
    }

    // The lock is held for a few assignments, which cannot panic half way.
    fn noted(&self) -> MutexGuard<'_, HashMap<ImageId, Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload under way.
#[derive(Debug)]
pub(super) struct Uploading<'a> {
    meanwhile: &'a Meanwhile,
    id: ImageId,
}

impl Uploading<'_> {
    /// All that was changed since the upload began, as one change.
    pub(super) fn changes(&self) -> ImageChange {
        let mut all = ImageChange::default();
        if let Some(noted) = self.meanwhile.noted().get(&self.id) {
            for change in noted.changes.values() {
                lay_over(&mut all, change.clone());
            }
        }
        all
    }
}

impl Drop for Uploading<'_> {
    fn drop(&mut self) {
        let mut noted = self.meanwhile.noted();
        if let Some(entry) = noted.get_mut(&self.id) {
            entry.uploads -= 1;
            if entry.uploads == 0 {
                noted.remove(&self.id);
            }
        }
    }
}

/// Makes `change` the one that both make, one after the other.
fn lay_over(change: &mut ImageChange, later: ImageChange) {
    fn over<T>(earlier: &mut Option<T>, later: Option<T>) {
        if later.is_some() {
            *earlier = later;
        }
    }
    let ImageChange {
        name,
        visibility,
        owner,
        disk_format,
        container_format,
        hidden,
        protected,
        min_disk,
        min_ram,
        tags,
        properties,
        status,
    } = later;
    over(&mut change.name, name);
    over(&mut change.visibility, visibility);
    over(&mut change.owner, owner);
    over(&mut change.disk_format, disk_format);
    over(&mut change.container_format, container_format);
    over(&mut change.hidden, hidden);
    over(&mut change.protected, protected);
    over(&mut change.min_disk, min_disk);
    over(&mut change.min_ram, min_ram);
    over(&mut change.tags, tags);
    over(&mut change.status, status);
    change.properties.extend(properties);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, key: &str, value: Option<&str>) -> ImageChange {
        ImageChange {
            name: Some(Some(name.into())),
            properties: [(key.to_owned(), value.map(str::to_owned))].into(),
            ..ImageChange::default()
        }
    }

    #[test]
    fn changes_are_noted_while_data_is_on_its_way_and_only_then() {
        let (meanwhile, id) = (Meanwhile::default(), ImageId::random());
        assert_eq!(meanwhile.note(&id, &named("a", "k", None)).unwrap(), None);
        let upload = meanwhile.begin(&id);
        meanwhile.note(&id, &named("b", "k", Some("1"))).unwrap();
        let failed = meanwhile.note(&id, &named("c", "l", Some("2"))).unwrap();
        meanwhile.note(&id, &named("d", "k", None)).unwrap();
        meanwhile.forget(&id, failed);
        assert_eq!(upload.changes(), named("d", "k", None));
        drop(upload);
        assert!(meanwhile.begin(&id).changes().is_empty());
    }

    #[test]
    fn an_upload_that_is_not_let_in_does_not_end_the_notes_of_the_one_that_is() {
        let (meanwhile, id) = (Meanwhile::default(), ImageId::random());
        let upload = meanwhile.begin(&id);
        drop(meanwhile.begin(&id));
        meanwhile.note(&id, &named("a", "k", None)).unwrap();
        assert_eq!(upload.changes(), named("a", "k", None));
    }

    #[test]
    fn no_more_is_noted_than_was_said() {
        let (meanwhile, id) = (Meanwhile::default(), ImageId::random());
        let _upload = meanwhile.begin(&id);
        let noted = (0..=MOST).filter(|_| meanwhile.note(&id, &ImageChange::default()).is_ok()).count();
        assert_eq!(noted, MOST);
    }
}
