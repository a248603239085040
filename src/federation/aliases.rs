//! Other data under an id that is taken: reachable under an id of its own.
//!
//! Of several backends that hold different data under one id, the first in configured order owns the id. The images
//! of the others are given derived ids, a UUIDv5 of the backend's name and the id there, and a property that tells
//! which id it is. Which derived id stands for what is remembered, in bounds; what has been forgotten is found again
//! when the image is next listed or shown under its own id, or among the counted ids of the backends.

use image_service::{Image, ImageId};
use moka::sync::Cache;

use super::Federation;

/// The property that tells the id which an image would have, were it not taken by another one.
pub(super) const PROPERTY: &str = "portico_conflicts_with";

/// The derived ids that have been seen.
#[derive(Debug)]
pub(super) struct Aliases(Cache<ImageId, (usize, ImageId)>);

impl Aliases {
    /// Room for `most` ids.
    pub(super) fn new(most: u64) -> Self {
        Self(Cache::builder().max_capacity(most).build())
    }
}

impl Federation {
    /// The id under which the image `native` of `source` is reachable while another one owns that id.
    fn derived_id(&self, source: usize, native: &ImageId) -> ImageId {
        ImageId::derived(self.name_of(source).unwrap_or_default(), native.as_str())
    }

    /// The image of `source` as clients see it while its id belongs to another one. From then on it is found.
    pub(super) fn aliased(&self, source: usize, mut image: Image) -> Image {
        let derived = self.note_alias(source, &image.id);
        image.properties.insert(PROPERTY.to_owned(), image.id.as_str().to_owned());
        image.id = derived;
        image.stores = self.name_of(source).map(str::to_owned).into_iter().collect();
        image
    }

    /// Remembers that the id `native` of `source` belongs to another image. Gives the derived id.
    pub(super) fn note_alias(&self, source: usize, native: &ImageId) -> ImageId {
        let derived = self.derived_id(source, native);
        if !self.aliases.0.contains_key(&derived) {
            let store = self.name_of(source).unwrap_or_default();
            tracing::warn!(
                image = %native, store, %derived,
                "the id belongs to another image with other data: the one in this store goes by a derived id"
            );
            self.aliases.0.insert(derived.clone(), (source, native.clone()));
        }
        derived
    }

    /// The sources whose image of the id `native` goes by a derived id, and comes behind the image that is given as
    /// `position`, which is one of them or the owner of the id.
    pub(super) fn aliases_behind(&self, position: &ImageId) -> (ImageId, Vec<usize>) {
        let (first, native) = match self.known_alias(position) {
            Some((source, native)) => (source + 1, native),
            None => (0, position.clone()),
        };
        let behind = (first..self.guards.len()).filter(|source| self.is_aliased(*source, &native)).collect();
        (native, behind)
    }

    /// Whether the image `native` of `source` was seen to have other data than the owner of its id.
    pub(super) fn is_aliased(&self, source: usize, native: &ImageId) -> bool {
        self.aliases.0.contains_key(&self.derived_id(source, native))
    }

    /// The image that a derived id stands for, if it has been seen.
    pub(super) fn known_alias(&self, id: &ImageId) -> Option<(usize, ImageId)> {
        self.aliases.0.get(id)
    }

    /// The image that a derived id may stand for, also if it has not been seen yet: then it is looked for among
    /// the ids that the backends were counted to hold.
    pub(super) fn possible_alias(&self, id: &ImageId) -> Option<(usize, ImageId)> {
        if let Some(known) = self.known_alias(id) {
            return Some(known);
        }
        if self.guards.len() < 2 || !is_of_version_five(id) {
            return None;
        }
        (0..self.guards.len()).find_map(|source| {
            let native = self.census.find(source, |native| self.derived_id(source, native) == *id)?;
            Some((source, native))
        })
    }

    /// Forgets that a derived id stands for anything.
    pub(super) fn forget_alias(&self, id: &ImageId) {
        self.aliases.0.invalidate(id);
    }
}

/// Whether the id could be a derived one, so that looking for what it stands for makes sense.
fn is_of_version_five(id: &ImageId) -> bool {
    id.as_str().len() == 36 && id.as_str().as_bytes().get(14) == Some(&b'5')
}
