//! The records, and who may find them.
//!
//! Pure but for the map: the lock around it is the business of `memory`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use image_service::{Caller, Error, ErrorKind, Image, ImageId, Member, MemberStatus, Result, Scope, access};

use crate::Options;
use crate::pieces::Pieces;

/// One image, its data, and the projects it is shared with.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) image: Image,
    pub(crate) data: Option<Arc<Pieces>>,
    pub(crate) members: BTreeMap<String, Member>,
}

impl Record {
    /// A record of an image that nobody is a member of.
    pub(crate) const fn new(image: Image, data: Option<Arc<Pieces>>) -> Self {
        Self { image, data, members: BTreeMap::new() }
    }

    /// The answer of the caller's project, if it is a member.
    pub(crate) fn membership(&self, caller: &Caller) -> Option<MemberStatus> {
        self.members.get(caller.project.as_deref()?).map(|member| member.status)
    }
}

/// All records, and every id that ever was in use.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    records: HashMap<ImageId, Record>,
    used: HashSet<ImageId>,
}

impl Shelf {
    /// The record of `id`, if `caller` may see it.
    pub(crate) fn find(&self, caller: &Caller, id: &ImageId) -> Result<&Record> {
        let visible = |record: &&Record| access::may_see(caller, &record.image, record.membership(caller));
        self.records.get(id).filter(visible).ok_or_else(|| self.absence(caller, id))
    }

    /// Why `caller` does not find `id`.
    fn absence(&self, caller: &Caller, id: &ImageId) -> Error {
        if caller.is_admin() && self.used.contains(id) { Error::deleted(id) } else { Error::not_found(id) }
    }

    /// The record of `id`, to be changed, if `caller` may see it.
    pub(crate) fn find_mut(&mut self, caller: &Caller, id: &ImageId) -> Result<&mut Record> {
        let visible =
            |record: &&mut Record| access::may_see(caller, &record.image, record.membership(caller));
        self.records.get_mut(id).filter(visible).ok_or_else(|| Error::not_found(id))
    }

    /// The record of `id`, whoever asks.
    pub(crate) fn get_mut(&mut self, id: &ImageId) -> Option<&mut Record> {
        self.records.get_mut(id)
    }

    /// Whether there is an image of this id, whoever asks.
    pub(crate) fn holds(&self, id: &ImageId) -> bool {
        self.records.contains_key(id)
    }

    /// The images that a list of `scope` shows to `caller`, in no order.
    pub(crate) fn listed(&self, caller: &Caller, scope: Scope) -> impl Iterator<Item = &Image> {
        self.records
            .values()
            .filter(move |record| access::is_listed(caller, &record.image, record.membership(caller), scope))
            .map(|record| &record.image)
    }

    /// Adds a record under an id that never was in use.
    ///
    /// # Errors
    /// `AlreadyExists` if it was; `TooLarge` beyond a bound.
    pub(crate) fn add(&mut self, record: Record, bounds: &Options) -> Result<()> {
        let id = &record.image.id;
        if self.used.contains(id) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("image ID {id} already exists")));
        }
        self.put(record, bounds)
    }

    /// Puts a record in its place, whatever was there.
    ///
    /// # Errors
    /// `TooLarge` beyond a bound.
    pub(crate) fn put(&mut self, record: Record, bounds: &Options) -> Result<()> {
        let id = &record.image.id;
        let images = self.records.len() + usize::from(!self.records.contains_key(id));
        let ids = self.used.len() + usize::from(!self.used.contains(id));
        if images > bounds.max_images || ids > bounds.max_ids {
            return Err(Error::new(ErrorKind::TooLarge, "the store cannot hold any more images"));
        }
        self.used.insert(id.clone());
        self.records.insert(id.clone(), record);
        Ok(())
    }

    /// Removes the record of `id`. The id stays in use.
    pub(crate) fn remove(&mut self, id: &ImageId) -> Option<Record> {
        self.records.remove(id)
    }

    /// Removes the record of `id` as if it had never been: its id can be used again.
    pub(crate) fn forget(&mut self, id: &ImageId) {
        if self.records.remove(id).is_some() {
            self.used.remove(id);
        }
    }

    /// How many images there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}
