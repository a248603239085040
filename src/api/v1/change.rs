//! What a client says, made into a new image or a change to one. Pure.

use std::collections::BTreeSet;

use image_service::{Caller, Edit, Image, ImageChange, ImageId, NewImage, Status, Visibility};

use super::super::attribute::{self, Kind};
use super::super::fault::Fault;
use super::said::{self, Said};

/// Whether properties that are not said are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purge {
    /// They are.
    Yes,
    /// They stay.
    No,
}

/// The new image that is described. Its owner is an administrator's to say.
///
/// # Errors
/// 400 if the id is none.
pub(super) fn new_image(said: &Said, caller: &Caller) -> Result<NewImage, Fault> {
    let id = match &said.id {
        Some(Some(id)) => Some(ImageId::for_new_image(id).map_err(|_| {
            Fault::bad_request("Failed to reserve image. Got error: Invalid image id format")
        })?),
        Some(None) | None => None,
    };
    let properties = said.properties.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    Ok(NewImage {
        id,
        name: said.name.clone().flatten(),
        visibility: said.is_public.map(|public| if public { Visibility::Public } else { Visibility::Shared }),
        owner: said.owner.clone().filter(|_| caller.is_admin()),
        disk_format: said.disk_format.clone(),
        container_format: said.container_format.clone(),
        protected: said.protected.unwrap_or_default(),
        min_disk: said.min_disk.unwrap_or_default(),
        min_ram: said.min_ram.unwrap_or_default(),
        properties: properties.collect(),
        ..NewImage::default()
    })
}

/// Lets through what says nothing of `image` that cannot be changed. Clients may say what is so already.
///
/// # Errors
/// 403, naming what they may not change.
pub(super) fn check_fixed(said: &Said, image: &Image) -> Result<(), Fault> {
    let differs =
        |said: &Edit<String>, now: &str| said.as_ref().is_some_and(|said| said.as_deref() != Some(now));
    let status = super::shown::status(image.status);
    let of_image = |key| Fault::forbidden(format!("Forbidden to modify '{key}' of image."));
    if matches!(image.status, Status::Active | Status::Deactivated) {
        let of_data = |key| Fault::forbidden(format!("Forbidden to modify '{key}' of {status} image."));
        if said.size.is_some_and(|size| Some(size) != image.size) {
            return Err(of_data("size"));
        }
        if said.checksum.is_some() && said.checksum != image.checksum {
            return Err(of_data("checksum"));
        }
    }
    if differs(&said.status, status) {
        return Err(of_image("status"));
    }
    if differs(&said.id, image.id.as_str()) {
        return Err(of_image("id"));
    }
    Ok(())
}

/// The change that makes `image` what is said. Of what is so already there is none.
///
/// # Errors
/// 413 if it has too many properties then.
pub(super) fn of(said: &Said, image: &Image, caller: &Caller, purge: Purge) -> Result<ImageChange, Fault> {
    let edit = |said: &Edit<String>, now: &Option<String>| said.clone().filter(|said| said != now);
    let format = |said: &Option<String>, now: &Option<String>| {
        said.as_ref().filter(|_| said != now).map(|it| Some(it.clone()))
    };
    let is_public = image.visibility == Visibility::Public;
    let mut change = ImageChange {
        name: edit(&said.name, &image.name),
        owner: edit(&said.owner, &image.owner).filter(|_| caller.is_admin()),
        visibility: match said.is_public {
            Some(true) if !is_public => Some(Visibility::Public),
            Some(false) if is_public => Some(Visibility::Shared),
            _ => None,
        },
        protected: said.protected.filter(|said| *said != image.protected),
        min_disk: said.min_disk.filter(|said| *said != image.min_disk),
        min_ram: said.min_ram.filter(|said| *said != image.min_ram),
        disk_format: format(&said.disk_format, &image.disk_format),
        container_format: format(&said.container_format, &image.container_format),
        ..ImageChange::default()
    };
    let mut left: BTreeSet<&str> = image.properties.keys().map(String::as_str).collect();
    for (key, value) in &said.properties {
        if image.properties.get(key) != value.as_ref() {
            change.properties.insert(key.clone(), value.clone());
        }
        match value {
            Some(_) => left.insert(key),
            None => left.remove(key.as_str()),
        };
    }
    if purge == Purge::Yes {
        // What clients cannot write they do not take away either.
        let unsaid =
            |key: &&String| !said.properties.contains_key(*key) && attribute::kind(key) == Kind::Property;
        for key in image.properties.keys().filter(unsaid) {
            change.properties.insert(key.clone(), None);
            left.remove(key.as_str());
        }
    }
    if left.len() > image.properties.len() {
        said::check_count(left.len())?;
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_service::Timestamp;

    fn image() -> Image {
        let properties = [("colour", "red"), ("size_of", "1"), ("os_glance_task", "x")];
        let new = NewImage {
            name: Some("old".into()),
            properties: properties.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..NewImage::default()
        };
        new.into_image(&Caller::member_of("a"), Timestamp::now()).unwrap()
    }

    fn changed(said: &Said, purge: Purge) -> Image {
        let mut image = image();
        let caller = Caller::member_of("a");
        let change = of(said, &image, &caller, purge).unwrap();
        change.apply_to(&mut image, &caller, Timestamp::now()).unwrap();
        image
    }

    fn keys(image: &Image) -> String {
        image.properties.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn properties_that_are_not_said_go_or_stay_as_is_asked_but_for_those_of_the_service() {
        let properties = [("colour".to_owned(), None), ("new".to_owned(), Some("2".to_owned()))];
        let said = Said { properties: properties.into(), ..Said::default() };
        assert_eq!(keys(&changed(&said, Purge::Yes)), "new os_glance_task");
        assert_eq!(keys(&changed(&said, Purge::No)), "new os_glance_task size_of");
    }

    #[test]
    fn what_is_so_already_is_no_change_and_the_owner_is_an_administrators_to_say() {
        let image = image();
        let said = Said {
            name: Some(Some("old".into())),
            is_public: Some(false),
            protected: Some(false),
            owner: Some(Some("b".into())),
            ..Said::default()
        };
        assert!(of(&said, &image, &Caller::member_of("a"), Purge::No).unwrap().is_empty());
        let change = of(&said, &image, &Caller::administrator(), Purge::No).unwrap();
        assert_eq!(change, ImageChange { owner: Some(Some("b".into())), ..ImageChange::default() });
    }

    #[test]
    fn a_private_image_is_not_opened_to_its_members_by_a_client_that_knows_public_and_not_public() {
        for (visibility, public, expected) in [
            (Visibility::Private, false, None),
            (Visibility::Community, false, None),
            (Visibility::Public, false, Some(Visibility::Shared)),
            (Visibility::Public, true, None),
            (Visibility::Private, true, Some(Visibility::Public)),
        ] {
            let said = Said { is_public: Some(public), ..Said::default() };
            let image = Image { visibility, ..image() };
            let change = of(&said, &image, &Caller::administrator(), Purge::No).unwrap();
            assert_eq!(change.visibility, expected, "{visibility} {public}");
        }
    }

    #[test]
    fn what_cannot_be_changed_may_be_said_as_it_is() {
        let mut image = image();
        let says =
            |said: Said, image: &Image| check_fixed(&said, image).map_err(|fault| fault.message().to_owned());
        let status = |word: &str| Said { status: Some(Some(word.into())), ..Said::default() };
        let size = |size| Said { size: Some(size), ..Said::default() };
        assert_eq!(says(status("queued"), &image), Ok(()));
        assert_eq!(says(status("active"), &image), Err("Forbidden to modify 'status' of image.".into()));
        let id = Said { id: Some(Some("other".into())), ..Said::default() };
        assert_eq!(says(id, &image), Err("Forbidden to modify 'id' of image.".into()));
        assert_eq!(says(size(7), &image), Ok(()));
        (image.status, image.size) = (Status::Active, Some(3));
        assert_eq!(says(size(3), &image), Ok(()));
        assert_eq!(says(size(7), &image), Err("Forbidden to modify 'size' of active image.".into()));
        let checksum = Said { checksum: Some("00".into()), ..Said::default() };
        assert_eq!(says(checksum, &image), Err("Forbidden to modify 'checksum' of active image.".into()));
    }
}
