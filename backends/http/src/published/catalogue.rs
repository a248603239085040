//! A catalogue at hand: its images, found by id and listed in the contract's order. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use image_service::{Caller, Error, Image, ImageId, MultiHash, Page, Query, Result, access};
use url::Url;

use super::refused;

/// One image of a catalogue.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The image, as it is shown.
    pub(crate) image: Image,
    /// Where its data lies.
    pub(crate) file: File,
}

/// A file of the source.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Where it is.
    pub(crate) url: Url,
    /// How the image's data lies in it.
    pub(crate) packing: Packing,
    /// What the source says of the file where it lists it, as far as that would change with the file.
    pub(crate) said: Option<Arc<str>>,
}

/// How data lies in a file.
#[derive(Debug, Clone)]
pub(crate) enum Packing {
    /// As it is: the file is the image.
    Plain,
    /// Compressed by xz.
    Xz {
        /// The hash of the file. It is no hash of the image.
        seal: MultiHash,
    },
}

/// All images of a source.
#[derive(Debug)]
pub(crate) struct Catalogue {
    items: HashMap<ImageId, Item>,
}

impl Catalogue {
    /// A catalogue of these.
    ///
    /// # Errors
    /// If there are over `most`, or two have the same id.
    pub(crate) fn new(items: Vec<Item>, most: usize) -> Result<Self> {
        if items.len() > most {
            return Err(refused(format_args!("it has {} images, and the most is {most}", items.len())));
        }
        let mut by_id = HashMap::with_capacity(items.len());
        for item in items {
            match by_id.entry(item.image.id.clone()) {
                Entry::Vacant(place) => drop(place.insert(item)),
                Entry::Occupied(place) => {
                    return Err(refused(format_args!("two of its images have the id {}", place.key())));
                }
            }
        }
        Ok(Self { items: by_id })
    }

    /// How many images there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is an image of `id`.
    pub(crate) fn has(&self, id: &ImageId) -> bool {
        self.items.contains_key(id)
    }

    /// Whether all of its images are known to the last attribute: of none that has data the size is missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.items.values().all(|item| item.image.size.is_some())
    }

    /// The page that `query` asks for, of what a list of its scope shows to `caller`. Nobody is a member of anything
    /// here.
    pub(crate) fn page(&self, caller: &Caller, query: &Query) -> Result<Page<&Image>> {
        query.check()?;
        let images = self.items.values().map(|item| &item.image);
        Ok(query.page_of(images.filter(|image| access::is_listed(caller, image, None, query.scope))))
    }

    /// The image of `id`, if `caller` may see it.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn find(&self, caller: &Caller, id: &ImageId) -> Result<&Item> {
        let item = self.items.get(id).filter(|item| access::may_see(caller, &item.image, None));
        item.ok_or_else(|| Error::not_found(id))
    }
}
