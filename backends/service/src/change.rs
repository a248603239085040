//! New images and changes to images, and the rules both obey in every store that keeps its own records.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Caller, Digests, Error, Image, ImageId, Properties, Result, Status, Timestamp, Visibility};

/// Most properties on one image, most tags on one image, most members of one image.
pub const MOST_PER_IMAGE: usize = 128;

/// A change to an attribute that may be unset: `None` leaves it, `Some(None)` unsets it.
pub type Edit<T> = Option<Option<T>>;

/// What a caller says of an image to be made. What it leaves out gets the default given here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewImage {
    /// Default: a random UUID. A given one must be unused, now and ever before.
    pub id: Option<ImageId>,
    /// Default: unset.
    pub name: Option<String>,
    /// Default: shared.
    pub visibility: Option<Visibility>,
    /// Default: the caller's project. Another one, or none, is for administrators.
    pub owner: Edit<String>,
    /// Default: unset.
    pub disk_format: Option<String>,
    /// Default: unset.
    pub container_format: Option<String>,
    /// Default: no.
    pub hidden: bool,
    /// Default: no.
    pub protected: bool,
    /// Default: 0.
    pub min_disk: u32,
    /// Default: 0.
    pub min_ram: u32,
    /// Default: none.
    pub tags: BTreeSet<String>,
    /// Default: none.
    pub properties: Properties,
    /// The named store to put the record in. Default: the service's choice. A plain store ignores it.
    pub store: Option<String>,
    /// Whether the id may be that of an image which this store has deleted: a copy of one that lives on in another
    /// store, and comes back. Never said on behalf of a client. It bears on a record without data, and a store that
    /// cannot forget an id says `AlreadyExists` all the same. Default: no.
    pub returning: bool,
    /// When the image was made, for one that has been elsewhere before. Never said on behalf of a client, and a store that
    /// keeps its own time ignores it. Default: now.
    pub created_at: Option<Timestamp>,
}

impl NewImage {
    /// What makes the record of `image` anew, with its id, where that may have been before.
    #[must_use]
    pub fn again(image: &Image) -> Self {
        Self {
            id: Some(image.id.clone()),
            name: image.name.clone(),
            visibility: Some(image.visibility),
            owner: Some(image.owner.clone()),
            disk_format: image.disk_format.clone(),
            container_format: image.container_format.clone(),
            hidden: image.hidden,
            protected: image.protected,
            min_disk: image.min_disk,
            min_ram: image.min_ram,
            tags: image.tags.clone(),
            properties: image.properties.clone(),
            store: None,
            returning: true,
            created_at: Some(image.created_at),
        }
    }

    /// The queued image that this describes, made by `caller` at `now`.
    ///
    /// # Errors
    /// `Forbidden` if the owner is not the caller's project and the caller is no administrator; `TooLarge`
    /// with over [`MOST_PER_IMAGE`] tags or properties.
    pub fn into_image(self, caller: &Caller, now: Timestamp) -> Result<Image> {
        let owner = match self.owner {
            None => caller.project.clone(),
            Some(owner) => {
                if !caller.is_admin() && !caller.owns(owner.as_deref()) {
                    let owner = owner.as_deref().unwrap_or("nobody");
                    return Err(Error::forbidden(format!(
                        "you are not permitted to create images owned by '{owner}'"
                    )));
                }
                owner
            }
        };
        let image = Image {
            id: self.id.unwrap_or_else(ImageId::random),
            name: self.name,
            status: Status::Queued,
            visibility: self.visibility.unwrap_or(Visibility::Shared),
            owner,
            size: None,
            virtual_size: None,
            disk_format: self.disk_format,
            container_format: self.container_format,
            checksum: None,
            hash: None,
            hidden: self.hidden,
            protected: self.protected,
            min_disk: self.min_disk,
            min_ram: self.min_ram,
            tags: self.tags,
            created_at: self.created_at.map_or(now, |made| made.min(now)),
            updated_at: now,
            properties: self.properties,
            stores: Vec::new(),
        };
        check_quotas(&image)?;
        Ok(image)
    }
}

/// What to change in an image. Everything left at its default stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageChange {
    /// A new name.
    pub name: Edit<String>,
    /// A new visibility.
    pub visibility: Option<Visibility>,
    /// A new owner. For administrators.
    pub owner: Edit<String>,
    /// A new disk format, while there is no data.
    pub disk_format: Edit<String>,
    /// A new container format, while there is no data.
    pub container_format: Edit<String>,
    /// Hide or show it.
    pub hidden: Option<bool>,
    /// Protect it or not.
    pub protected: Option<bool>,
    /// A new smallest disk.
    pub min_disk: Option<u32>,
    /// A new smallest memory.
    pub min_ram: Option<u32>,
    /// All its tags from now on.
    pub tags: Option<BTreeSet<String>>,
    /// Properties to set, or with `None` to remove. Others stay. Removing one that is not there is no error.
    pub properties: BTreeMap<String, Option<String>>,
    /// `Deactivated` or `Active`, from either of the two.
    pub status: Option<Status>,
}

impl ImageChange {
    /// What would make `old` what `new` is, but for what no change can: data, status and times, and formats once there is
    /// data.
    #[must_use]
    pub fn between(old: &Image, new: &Image) -> Self {
        fn changed<T: PartialEq + Clone>(old: &T, new: &T) -> Option<T> {
            (old != new).then(|| new.clone())
        }
        let removed = old.properties.keys().filter(|key| !new.properties.contains_key(*key));
        let set = new.properties.iter().filter(|(key, value)| old.properties.get(*key) != Some(value));
        let formats = old.status == Status::Queued;
        Self {
            name: changed(&old.name, &new.name),
            visibility: changed(&old.visibility, &new.visibility),
            owner: changed(&old.owner, &new.owner),
            disk_format: changed(&old.disk_format, &new.disk_format).filter(|_| formats),
            container_format: changed(&old.container_format, &new.container_format).filter(|_| formats),
            hidden: changed(&old.hidden, &new.hidden),
            protected: changed(&old.protected, &new.protected),
            min_disk: changed(&old.min_disk, &new.min_disk),
            min_ram: changed(&old.min_ram, &new.min_ram),
            tags: changed(&old.tags, &new.tags),
            properties: removed
                .map(|key| (key.clone(), None))
                .chain(set.map(|(key, value)| (key.clone(), Some(value.clone()))))
                .collect(),
            status: None,
        }
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Makes the change in `image`, or none of it. An empty change leaves `updated_at` as it is too.
    ///
    /// # Errors
    /// `Forbidden` for a new owner unless the caller is an administrator, for a format once the image is
    /// beyond `queued` and `importing`, and for a status that it cannot go to; `TooLarge` if tags or
    /// properties grow beyond [`MOST_PER_IMAGE`]; `Invalid` for a status other than the two.
    pub fn apply_to(self, image: &mut Image, caller: &Caller, now: Timestamp) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut changed = image.clone();
        if let Some(owner) = self.owner {
            if !caller.is_admin() {
                return Err(Error::forbidden("owner can't be updated by non admin"));
            }
            changed.owner = owner;
        }
        if self.disk_format.is_some() || self.container_format.is_some() {
            if !matches!(image.status, Status::Queued | Status::Importing) {
                let which = if self.disk_format.is_some() { "disk_format" } else { "container_format" };
                return Err(Error::forbidden(format!(
                    "attribute {which} can be only replaced for a queued image"
                )));
            }
            assign(&mut changed.disk_format, self.disk_format);
            assign(&mut changed.container_format, self.container_format);
        }
        if let Some(status) = self.status {
            changed.status = activation(image.status, status)?;
        }
        assign(&mut changed.name, self.name);
        assign(&mut changed.visibility, self.visibility);
        assign(&mut changed.hidden, self.hidden);
        assign(&mut changed.protected, self.protected);
        assign(&mut changed.min_disk, self.min_disk);
        assign(&mut changed.min_ram, self.min_ram);
        assign(&mut changed.tags, self.tags);
        for (key, value) in self.properties {
            match value {
                Some(value) => drop(changed.properties.insert(key, value)),
                None => drop(changed.properties.remove(&key)),
            }
        }
        if changed.tags.len() > image.tags.len() || changed.properties.len() > image.properties.len() {
            check_quotas(&changed)?;
        }
        changed.updated_at = now.max(image.updated_at);
        *image = changed;
        Ok(())
    }
}

fn assign<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn activation(from: Status, to: Status) -> Result<Status> {
    let verb = match to {
        Status::Active => "reactivate",
        Status::Deactivated => "deactivate",
        _ => return Err(Error::invalid(format!("status: an image cannot be set to '{to}'"))),
    };
    if !matches!(from, Status::Active | Status::Deactivated) {
        return Err(Error::forbidden(format!("not allowed to {verb} image in status '{from}'")));
    }
    Ok(to)
}

fn check_quotas(image: &Image) -> Result<()> {
    for (what, count) in [("properties", image.properties.len()), ("tags", image.tags.len())] {
        if count > MOST_PER_IMAGE {
            return Err(Error::new(
                crate::ErrorKind::TooLarge,
                format!("the limit on {what} is {MOST_PER_IMAGE} and {count} were attempted"),
            ));
        }
    }
    Ok(())
}

impl Image {
    /// Takes a queued image to `saving`, for data to come.
    ///
    /// # Errors
    /// `Conflict` in any other status; `Invalid` while a format is unset.
    pub fn begin_upload(&mut self, now: Timestamp) -> Result<()> {
        if self.status != Status::Queued {
            return Err(Error::conflict(format!(
                "image status transition from {} to saving is not allowed",
                self.status
            )));
        }
        if self.disk_format.is_none() || self.container_format.is_none() {
            return Err(Error::invalid(
                "properties disk_format, container_format must be set prior to saving data",
            ));
        }
        self.status = Status::Saving;
        self.updated_at = now.max(self.updated_at);
        Ok(())
    }

    /// Takes a saving image to `active`, with what is known of its data.
    pub fn finish_upload(&mut self, digests: Digests, now: Timestamp) {
        self.status = Status::Active;
        self.size = Some(digests.size);
        self.virtual_size = digests.virtual_size;
        self.checksum = Some(digests.checksum);
        self.hash = Some(digests.hash);
        self.updated_at = now.max(self.updated_at);
    }

    /// Takes a saving image back to `queued`, as if no data had come.
    pub fn abort_upload(&mut self) {
        self.status = Status::Queued;
        self.size = None;
        self.virtual_size = None;
        self.checksum = None;
        self.hash = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn queued() -> Image {
        NewImage::default().into_image(&Caller::member_of("a"), Timestamp::now()).unwrap()
    }

    #[test]
    fn a_change_that_fails_in_one_part_changes_nothing() {
        let mut image = queued();
        let before = image.clone();
        let change = ImageChange {
            name: Some(Some("new".into())),
            owner: Some(Some("b".into())),
            ..ImageChange::default()
        };
        let error = change.apply_to(&mut image, &Caller::member_of("a"), Timestamp::now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(image, before);
    }

    #[test]
    fn a_difference_makes_the_old_the_new_and_leaves_the_formats_of_data_alone() {
        let properties = |pairs: [(&str, &str); 2]| pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let old = Image { properties: properties([("a", "1"), ("b", "2")]), ..queued() };
        let new = Image {
            name: Some("n".into()),
            protected: true,
            disk_format: Some("raw".into()),
            properties: properties([("b", "3"), ("c", "4")]),
            ..old.clone()
        };
        assert!(ImageChange::between(&old, &old).is_empty());
        let mut changed = old.clone();
        let difference = ImageChange::between(&old, &new);
        difference.apply_to(&mut changed, &Caller::administrator(), old.updated_at).unwrap();
        assert_eq!(changed, new);
        let active = Image { status: Status::Active, ..old };
        assert_eq!(ImageChange::between(&active, &new).disk_format, None);
    }

    #[test]
    fn an_empty_change_does_not_touch_the_time_of_update() {
        let mut image = queued();
        let before = image.clone();
        let later = Timestamp::now().saturating_add(60);
        ImageChange::default().apply_to(&mut image, &Caller::member_of("a"), later).unwrap();
        assert_eq!(image, before);
    }

    #[test]
    fn too_many_properties_are_refused_only_when_they_grow() {
        let caller = Caller::member_of("a");
        let mut image = queued();
        image.properties = (0..=MOST_PER_IMAGE).map(|n| (n.to_string(), String::new())).collect();
        let set = |key: &str, value: Option<&str>| ImageChange {
            properties: BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]),
            ..ImageChange::default()
        };
        let now = Timestamp::now();
        assert!(set("0", Some("changed")).apply_to(&mut image, &caller, now).is_ok());
        assert!(set("1", None).apply_to(&mut image, &caller, now).is_ok());
        assert_eq!(
            set("another", Some("")).apply_to(&mut image, &caller, now).unwrap_err().kind(),
            ErrorKind::TooLarge
        );
    }
}
