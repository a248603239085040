//! The records, and who may find them.
//!
//! Pure but for the map: the lock around it is the business of `memory`.
//!
//! An image is in its record and in the orders that lists are taken from, which must not drift apart. So nobody but
//! the shelf can change one: what is handed out to be changed is never a record, only its members.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use image_service::{
    Caller, Error, ErrorKind, Field, Filter, Image, ImageId, Member, MemberStatus, Page, Query, Result,
    Scope, access,
};

use crate::Options;
use crate::order::Orders;
use crate::pieces::Pieces;

/// The projects that an image is shared with, by name.
pub(crate) type Members = BTreeMap<String, Member>;

/// One image, its data, and the projects it is shared with.
#[derive(Debug)]
pub(crate) struct Record {
    image: Arc<Image>,
    data: Option<Arc<Pieces>>,
    members: Members,
}

impl Record {
    /// A record of an image that nobody is a member of.
    pub(crate) fn new(image: Image, data: Option<Arc<Pieces>>) -> Self {
        Self { image: Arc::new(image), data, members: Members::new() }
    }

    /// The image.
    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// Its data, if there is any.
    pub(crate) const fn data(&self) -> Option<&Arc<Pieces>> {
        self.data.as_ref()
    }

    /// The projects it is shared with.
    pub(crate) const fn members(&self) -> &Members {
        &self.members
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
    orders: Orders,
    used: HashSet<ImageId>,
}

impl Shelf {
    /// The record of `id`, if `caller` may see it.
    pub(crate) fn find(&self, caller: &Caller, id: &ImageId) -> Result<&Record> {
        self.visible(caller, id).ok_or_else(|| self.absence(caller, id))
    }

    /// The record of `id`, to be changed, if `caller` may see it.
    pub(crate) fn find_to_change(&self, caller: &Caller, id: &ImageId) -> Result<&Record> {
        self.visible(caller, id).ok_or_else(|| Error::not_found(id))
    }

    fn visible(&self, caller: &Caller, id: &ImageId) -> Option<&Record> {
        let visible = |record: &&Record| access::may_see(caller, &record.image, record.membership(caller));
        self.records.get(id).filter(visible)
    }

    /// Why `caller` does not find `id`.
    fn absence(&self, caller: &Caller, id: &ImageId) -> Error {
        if caller.is_admin() && self.used.contains(id) { Error::deleted(id) } else { Error::not_found(id) }
    }

    /// Whether there is an image of this id, whoever asks.
    pub(crate) fn holds(&self, id: &ImageId) -> bool {
        self.records.contains_key(id)
    }

    /// The page that `query` asks for, of the images that a list of its scope shows to `caller`.
    pub(crate) fn page(&self, caller: &Caller, query: &Query) -> Page<&Image> {
        if let Some(records) = self.named(&query.filters) {
            let listed = records.filter(|record| is_listed(record, caller, query.scope));
            return query.page_of(listed.map(Record::image));
        }
        let shown = |image: &Image| {
            let record = || self.records.get(&image.id);
            query.admits(image) && record().is_some_and(|record| is_listed(record, caller, query.scope))
        };
        let limit = query.limit.map_or(usize::MAX, NonZeroUsize::get);
        let mut images = self.orders.first(query, limit.saturating_add(1), shown);
        let more = images.len() > limit;
        images.truncate(limit);
        Page::new(images, more)
    }

    /// The records of the ids that one of `filters` names, if one does: the only ones it can let through.
    fn named(&self, filters: &[Filter]) -> Option<impl Iterator<Item = &Record>> {
        let ids: BTreeSet<&str> = filters.iter().find_map(|filter| match filter {
            Filter::Text { field: Field::Id, any_of } => Some(any_of.iter().map(String::as_str).collect()),
            _ => None,
        })?;
        Some(ids.into_iter().filter_map(|id| self.records.get(&ImageId::lookup(id))))
    }

    /// All images that a list of `scope` shows to `caller`, in no order: what pages are tested against.
    #[cfg(test)]
    pub(crate) fn listed(&self, caller: &Caller, scope: Scope) -> impl Iterator<Item = &Image> {
        self.records.values().filter(move |record| is_listed(record, caller, scope)).map(Record::image)
    }

    /// Makes `change` in the image of `id`, whoever asks: all of it or, if it fails, nothing.
    ///
    /// # Errors
    /// `NotFound`, and those of `change`.
    pub(crate) fn change(
        &mut self,
        id: &ImageId,
        change: impl FnOnce(&mut Image) -> Result<()>,
    ) -> Result<Image> {
        let record = self.records.get_mut(id).ok_or_else(|| Error::not_found(id))?;
        let mut image = Image::clone(&record.image);
        change(&mut image)?;
        debug_assert_eq!(image.id, *id, "an id never changes");
        self.orders.remove(&record.image);
        record.image = Arc::new(image.clone());
        self.orders.insert(&record.image);
        Ok(image)
    }

    /// Makes `data` that of the image of `id`, if there is one.
    pub(crate) fn set_data(&mut self, id: &ImageId, data: Pieces) {
        if let Some(record) = self.records.get_mut(id) {
            record.data = Some(Arc::new(data));
        }
    }

    /// The members of the image of `id`, to be changed, whoever asks.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn members_mut(&mut self, id: &ImageId) -> Result<&mut Members> {
        self.records.get_mut(id).map(|record| &mut record.members).ok_or_else(|| Error::not_found(id))
    }

    /// Adds a record under an id that never was in use, or if it is `returning`, that is not in use now.
    ///
    /// # Errors
    /// `AlreadyExists` if it was; `TooLarge` beyond a bound.
    pub(crate) fn add(&mut self, record: Record, returning: bool, bounds: &Options) -> Result<()> {
        let id = &record.image.id;
        if self.records.contains_key(id) || self.used.contains(id) && !returning {
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
        let id = id.clone();
        self.remove(&id);
        self.orders.insert(&record.image);
        self.used.insert(id.clone());
        self.records.insert(id, record);
        Ok(())
    }

    /// Removes the record of `id`. The id stays in use.
    pub(crate) fn remove(&mut self, id: &ImageId) -> Option<Record> {
        let record = self.records.remove(id)?;
        self.orders.remove(&record.image);
        Some(record)
    }

    /// Removes the record of `id` as if it had never been: its id can be used again.
    pub(crate) fn forget(&mut self, id: &ImageId) {
        if self.remove(id).is_some() {
            self.used.remove(id);
        }
    }

    /// How many images there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

fn is_listed(record: &Record, caller: &Caller, scope: Scope) -> bool {
    access::is_listed(caller, &record.image, record.membership(caller), scope)
}
