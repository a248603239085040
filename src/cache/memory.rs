//! What is remembered of the images whose data is kept: what their store said last, when, and whom it let see them. Pure:
//! the time is given, in milliseconds since 1970.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use image_service::{Caller, Image, ImageId, Visibility, access};

use super::content::{Content, Key};

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) key: Key,
    pub(super) image: Image,
    /// When its store last showed it.
    pub(super) shown_at: i64,
    /// The projects that it was shown to, and when.
    pub(super) seen_by: BTreeMap<String, i64>,
    pub(super) hits: u64,
    pub(super) used_at: i64,
}

/// All of them, within bounds.
#[derive(Debug)]
pub(super) struct Memory {
    images: HashMap<ImageId, Remembered>,
    of_key: HashMap<Key, BTreeSet<ImageId>>,
    changed: BTreeSet<ImageId>,
    most: usize,
    projects: usize,
}

impl Memory {
    /// An empty one for `most` images and as many `projects` for each.
    pub(super) fn new(most: usize, projects: usize) -> Self {
        let (images, of_key, changed) = (HashMap::new(), HashMap::new(), BTreeSet::new());
        Self { images, of_key, changed, most, projects }
    }

    pub(super) fn get(&self, id: &ImageId) -> Option<&Remembered> {
        self.images.get(id)
    }

    /// All images.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.images.values()
    }

    /// The images that have this content.
    pub(super) fn of_key<'a>(&'a self, key: &Key) -> impl Iterator<Item = &'a Remembered> {
        self.of_key.get(key).into_iter().flatten().filter_map(|id| self.images.get(id))
    }

    /// Puts back what was written down.
    pub(super) fn restore(&mut self, remembered: Remembered) {
        self.put(remembered);
    }

    /// Puts back what was forgotten, to be written down again.
    pub(super) fn restore_changed(&mut self, remembered: Remembered) {
        self.changed.insert(remembered.image.id.clone());
        self.put(remembered);
    }

    /// Notes that the store has shown `image` to `caller`. Gives the image that had to be forgotten for it.
    pub(super) fn shown(&mut self, caller: &Caller, image: &Image, now: i64) -> Option<ImageId> {
        let Some(content) = Content::of(image) else {
            return self.forget(&image.id).map(|gone| gone.image.id);
        };
        let before = self.forget_silently(&image.id);
        let forgotten =
            if before.is_none() && self.images.len() >= self.most { self.forget_oldest() } else { None };
        let mut remembered = before.unwrap_or_else(|| Remembered {
            key: content.key.clone(),
            image: image.clone(),
            shown_at: now,
            seen_by: BTreeMap::new(),
            hits: 0,
            used_at: 0,
        });
        let known = &remembered.image;
        if known.visibility != image.visibility || known.owner != image.owner {
            // Who has seen it so may not see it now.
            remembered.seen_by.clear();
        }
        (remembered.key, remembered.image, remembered.shown_at) = (content.key, image.clone(), now);
        if let Some(project) = &caller.project {
            remembered.seen_by.insert(project.clone(), now);
            if remembered.seen_by.len() > self.projects
                && let Some(oldest) = remembered.seen_by.iter().min_by_key(|(_, at)| **at)
            {
                let oldest = oldest.0.clone();
                remembered.seen_by.remove(&oldest);
            }
        }
        self.changed.insert(image.id.clone());
        self.put(remembered);
        forgotten
    }

    /// Notes that the store does not show the image to `caller`. True if that is news of the image itself: it was one that
    /// this caller must see, so it has gone, or is not as it was.
    pub(super) fn hidden(&mut self, caller: &Caller, id: &ImageId) -> bool {
        let Some(remembered) = self.images.get_mut(id) else { return false };
        if let Some(project) = &caller.project
            && remembered.seen_by.remove(project).is_some()
        {
            self.changed.insert(id.clone());
        }
        access::may_see(caller, &remembered.image, None)
    }

    /// Notes that a project may no longer see the image.
    pub(super) fn withdrawn(&mut self, id: &ImageId, project: &str) {
        if let Some(remembered) = self.images.get_mut(id)
            && remembered.seen_by.remove(project).is_some()
        {
            self.changed.insert(id.clone());
        }
    }

    /// Notes that the image's data was read.
    pub(super) fn used(&mut self, id: &ImageId, now: i64) {
        if let Some(remembered) = self.images.get_mut(id) {
            remembered.hits = remembered.hits.saturating_add(1);
            remembered.used_at = now;
            self.changed.insert(id.clone());
        }
    }

    /// The image for `caller`, if it was shown no longer than `stale` ago, and the caller may see it: by what the image
    /// says, or because its project was shown it within that time.
    pub(super) fn recall(&self, caller: &Caller, id: &ImageId, now: i64, stale: i64) -> Option<&Remembered> {
        let fresh = |then: i64| (0..=stale).contains(&now.saturating_sub(then));
        let remembered = self.images.get(id).filter(|known| stale > 0 && fresh(known.shown_at))?;
        let shared = remembered.image.visibility == Visibility::Shared;
        let project = caller.project.as_ref().filter(|_| shared);
        let seen = || project.and_then(|project| remembered.seen_by.get(project));
        let may = access::may_see(caller, &remembered.image, None) || seen().is_some_and(|at| fresh(*at));
        may.then_some(remembered)
    }

    /// Forgets the image.
    pub(super) fn forget(&mut self, id: &ImageId) -> Option<Remembered> {
        self.changed.remove(id);
        self.forget_silently(id)
    }

    /// The images of which something has changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> Vec<Remembered> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|id| self.images.get(id).cloned()).collect()
    }

    fn put(&mut self, remembered: Remembered) {
        let id = remembered.image.id.clone();
        self.of_key.entry(remembered.key.clone()).or_default().insert(id.clone());
        self.images.insert(id, remembered);
    }

    fn forget_silently(&mut self, id: &ImageId) -> Option<Remembered> {
        let gone = self.images.remove(id)?;
        if let Some(ids) = self.of_key.get_mut(&gone.key) {
            ids.remove(id);
            if ids.is_empty() {
                self.of_key.remove(&gone.key);
            }
        }
        Some(gone)
    }

    /// Forgets the image that was shown before all others.
    fn forget_oldest(&mut self) -> Option<ImageId> {
        let oldest = self.images.values().min_by_key(|known| known.shown_at)?.image.id.clone();
        self.forget(&oldest).map(|gone| gone.image.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::{NewImage, Timestamp};

    fn image(visibility: Visibility) -> Image {
        let new = NewImage { visibility: Some(visibility), ..NewImage::default() };
        let mut image = new.into_image(&Caller::member_of("owner"), Timestamp::now()).unwrap();
        (image.size, image.checksum) = (Some(1), Some("0".repeat(32)));
        image
    }

    fn recalls(memory: &Memory, project: &str, id: &ImageId, now: i64) -> bool {
        memory.recall(&Caller::member_of(project), id, now, 1000).is_some()
    }

    #[test]
    fn what_is_remembered_is_for_its_owner_and_those_it_was_shown_to_of_late() {
        let mut memory = Memory::new(10, 10);
        let shared = image(Visibility::Shared);
        memory.shown(&Caller::member_of("member"), &shared, 0);
        memory.shown(&Caller::member_of("owner"), &shared, 500);
        for (project, now, expected) in [
            ("member", 1000, true),
            ("member", 1001, false),
            ("owner", 1500, true),
            ("owner", 1501, false),
            ("other", 0, false),
            ("member", -1, false),
        ] {
            assert_eq!(recalls(&memory, project, &shared.id, now), expected, "{project} {now}");
        }
        assert!(memory.recall(&Caller::administrator(), &shared.id, 1500, 1000).is_some());
        assert!(memory.recall(&Caller::administrator(), &shared.id, 500, 0).is_none(), "0 is not at all");
    }

    #[test]
    fn who_was_refused_is_not_shown_what_is_remembered_and_who_must_see_it_tells_that_it_has_gone() {
        let mut memory = Memory::new(10, 10);
        let shared = image(Visibility::Shared);
        memory.shown(&Caller::member_of("member"), &shared, 0);
        assert!(!memory.hidden(&Caller::member_of("member"), &shared.id));
        assert!(!recalls(&memory, "member", &shared.id, 0));
        assert!(memory.hidden(&Caller::member_of("owner"), &shared.id));
        let public = image(Visibility::Public);
        memory.shown(&Caller::member_of("x"), &public, 0);
        assert!(memory.hidden(&Caller::member_of("y"), &public.id));
    }

    #[test]
    fn it_holds_no_more_images_and_projects_than_it_may() {
        let mut memory = Memory::new(2, 2);
        let images = [(); 3].map(|()| image(Visibility::Shared));
        for (now, image) in (0..).zip(&images) {
            memory.shown(&Caller::member_of("a"), image, now);
        }
        assert!(memory.get(&images[0].id).is_none() && memory.images.len() == 2 && memory.of_key.len() == 2);
        for (now, project) in (5..).zip(["b", "c", "d"]) {
            memory.shown(&Caller::member_of(project), &images[2], now);
        }
        let seen: Vec<_> = memory.get(&images[2].id).unwrap().seen_by.keys().collect();
        assert_eq!(seen, ["c", "d"]);
    }
}
