//! What imports say of images beside what their stores say: in memory, made anew from the journal at each start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use image_service::{Image, ImageId, Status};

/// The task that is at work on the image.
pub(super) const TASK: &str = "os_glance_import_task";
/// The stores that the data has still to come to.
pub(super) const IMPORTING: &str = "os_glance_importing_to_stores";
/// The stores that have failed.
pub(super) const FAILED: &str = "os_glance_failed_import";

/// What there is to say of one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// What is staged for it.
    pub(super) staged: Option<Staged>,
    /// The task that is at work on it.
    pub(super) task: Option<Work>,
    /// The last task's stores: those that it has still to do, and those that have failed.
    pub(super) stores: Option<(BTreeSet<String>, BTreeSet<String>)>,
}

/// Data in the staging area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Staged {
    pub(super) file: String,
    /// `None` while it is being written.
    pub(super) size: Option<u64>,
}

/// A task that waits or is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) id: String,
    /// The status that the image is shown with all the while, if it is another than its store's.
    pub(super) status: Option<Status>,
}

impl Mark {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The status that the image is shown with, whatever its store says.
    pub(super) fn status(&self) -> Option<Status> {
        match (&self.task, &self.staged) {
            (Some(work), _) => work.status,
            (None, Some(_)) => Some(Status::Uploading),
            (None, None) => None,
        }
    }

    /// Puts the mark on the image.
    pub(super) fn apply(&self, image: &mut Image) {
        // Data that has come by another way all the same is not hidden by what is staged.
        let status = self.status().filter(|status| *status != Status::Uploading || !image.has_data());
        if let Some(status) = status {
            image.status = status;
            image.size = self.staged.as_ref().map_or(image.size, |staged| staged.size);
            if status == Status::Uploading {
                image.stores.clear();
            }
        }
        for (key, value) in self.properties() {
            image.properties.insert(key.to_owned(), value);
        }
    }

    /// The properties that the image is shown with.
    pub(super) fn properties(&self) -> Vec<(&'static str, String)> {
        let mut properties = Vec::new();
        if let Some(work) = &self.task {
            properties.push((TASK, work.id.clone()));
        }
        if let Some((importing, failed)) = &self.stores {
            for (key, stores) in [(IMPORTING, importing), (FAILED, failed)] {
                let names: Vec<&str> = stores.iter().map(String::as_str).collect();
                properties.push((key, names.join(",")));
            }
        }
        properties
    }
}

/// The marks of all images that have one.
#[derive(Debug, Default)]
pub(super) struct Marks(RwLock<BTreeMap<ImageId, Mark>>);

impl Marks {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<ImageId, Mark>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<ImageId, Mark>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mark of an image; an empty one if it has none.
    pub(super) fn of(&self, id: &ImageId) -> Mark {
        self.read().get(id).cloned().unwrap_or_default()
    }

    /// Changes the mark of an image as `change` says, and gives what that gives. What is empty then is dropped.
    pub(super) fn change<T>(&self, id: &ImageId, change: impl FnOnce(&mut Mark) -> T) -> T {
        let mut marks = self.write();
        let mark = marks.entry(id.clone()).or_default();
        let given = change(mark);
        if mark.is_empty() {
            marks.remove(id);
        }
        given
    }

    /// Removes the mark of an image, and gives what it was.
    pub(super) fn take(&self, id: &ImageId) -> Mark {
        self.write().remove(id).unwrap_or_default()
    }

    /// How many images have something staged, and how many tasks there are.
    pub(super) fn count(&self) -> (usize, usize) {
        let marks = self.read();
        let staged = marks.values().filter(|mark| mark.staged.is_some()).count();
        (staged, marks.values().filter(|mark| mark.task.is_some()).count())
    }

    /// The image with its mark.
    pub(super) fn on(&self, mut image: Image) -> Image {
        if let Some(mark) = self.read().get(&image.id) {
            mark.apply(&mut image);
        }
        image
    }

    /// The images with their marks.
    pub(super) fn on_all(&self, images: &mut [Image]) {
        let marks = self.read();
        if marks.is_empty() {
            return;
        }
        for image in images {
            if let Some(mark) = marks.get(&image.id) {
                mark.apply(image);
            }
        }
    }

    /// The images whose mark `wanted` admits.
    pub(super) fn where_it(&self, wanted: impl Fn(&Mark) -> bool) -> Vec<ImageId> {
        self.read().iter().filter(|(_, mark)| wanted(mark)).map(|(id, _)| id.clone()).collect()
    }
}
