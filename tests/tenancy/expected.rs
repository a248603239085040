//! Which answers the rules allow to a deed, and what becomes of the images then.

use crate::deeds::{Deed, Edit};
use crate::people::Person;
use crate::rules::{Image, acts, governs, is_wider, knows_member, membership, sees};

/// What to expect of a deed to an image that the person sees.
pub(crate) fn of_seen(person: Person, image: &Image, deed: &Deed, names: &[usize]) -> u16 {
    let shared = image.visibility == "shared";
    match deed {
        Deed::Show | Deed::Patch(Edit::Nothing) => 200,
        Deed::ListFrom(_) => 200,
        Deed::Download { range, .. } => of_download(person, image, *range),
        Deed::Members => {
            if shared {
                200
            } else {
                403
            }
        }
        Deed::ShowMember(member) => {
            let known = shared && knows_member(person, image, member) && image.members.contains_key(*member);
            if known { 200 } else { 404 }
        }
        _ if !acts(person) => 403,
        Deed::RemoveCopy(store) => of_removed_copy(person, image, *store, names),
        Deed::Answer(member, said) => of_answer(person, image, member, said),
        _ if !governs(person, image) => 403,
        Deed::Patch(Edit::Owner(_) | Edit::Visibility("public")) if !person.is_admin() => 403,
        Deed::Patch(Edit::Visibility(visibility)) if is_wider(visibility, image.ceiling) => 403,
        Deed::Patch(Edit::Owner(None)) if is_wider("community", image.ceiling) => 403,
        Deed::Patch(_) => 200,
        Deed::Upload { .. } => {
            if image.status == "queued" {
                204
            } else {
                409
            }
        }
        Deed::Delete => {
            if image.protected {
                403
            } else {
                204
            }
        }
        Deed::Deactivate | Deed::Reactivate => {
            if image.status == "queued" {
                403
            } else {
                204
            }
        }
        Deed::AddTag(_) => 204,
        Deed::RemoveTag(tag) => {
            if image.tags.contains(*tag) {
                204
            } else {
                404
            }
        }
        Deed::AddMember(_) | Deed::RemoveMember(_) if !shared => 403,
        Deed::AddMember(_) if image.above => 403,
        Deed::RemoveMember(_) if image.above => 404,
        Deed::AddMember(member) => {
            if image.members.contains_key(*member) {
                409
            } else {
                200
            }
        }
        Deed::RemoveMember(member) => {
            if image.members.contains_key(*member) {
                204
            } else {
                404
            }
        }
        Deed::Create { .. } | Deed::List { .. } | Deed::Silence(_) | Deed::Return => 200,
    }
}

fn of_download(person: Person, image: &Image, range: Option<(usize, usize)>) -> u16 {
    match range {
        _ if !acts(person) => 403,
        _ if image.status == "queued" => 204,
        _ if image.status == "deactivated" && !person.is_admin() => 403,
        Some((first, _)) if first >= image.data.len() => 416,
        Some(_) => 206,
        None => 200,
    }
}

fn of_removed_copy(person: Person, image: &Image, store: usize, names: &[usize]) -> u16 {
    let mut places: Vec<usize> = image.stores.iter().map(|store| names[*store]).collect();
    places.dedup();
    match image.status {
        _ if !person.is_admin() => 403,
        _ if image.protected => 403,
        status if status != "active" => 409,
        _ if !places.contains(&store) => 404,
        _ if places.len() == 1 => 403,
        _ => 204,
    }
}

fn of_answer(person: Person, image: &Image, member: &str, said: &str) -> u16 {
    let is_own = person.project == Some(member);
    match image.visibility {
        visibility if visibility != "shared" => 403,
        _ if !person.is_admin() && governs(person, image) => 403,
        _ if said == "maybe" => 400,
        _ if image.above => 404,
        _ if !image.members.contains_key(member) || !(is_own || person.is_admin()) => 404,
        _ => 200,
    }
}

/// What a patch is to say.
pub(crate) fn value_of(edit: &Edit, number: usize) -> Option<(&'static str, serde_json::Value)> {
    match edit {
        Edit::Nothing => None,
        Edit::Visibility(visibility) => Some(("visibility", (*visibility).into())),
        Edit::Owner(owner) => Some(("owner", owner.map_or(serde_json::Value::Null, Into::into))),
        Edit::Hidden(hidden) => Some(("os_hidden", (*hidden).into())),
        Edit::Protected(protected) => Some(("protected", (*protected).into())),
        Edit::Name(suffix) => Some(("name", name_of(number, *suffix).into())),
    }
}

/// A name that no other image ever has.
pub(crate) fn name_of(number: usize, suffix: u8) -> String {
    format!("name-of-{number}-{suffix}-")
}

/// Makes the change that a deed with a good answer has made. Gives whether the image is still there.
pub(crate) fn follow(image: &mut Image, deed: &Deed, number: usize, names: &[usize]) -> bool {
    match deed {
        Deed::Patch(edit) => change(image, edit, number),
        Deed::Upload { bytes, store } => {
            image.status = "active";
            image.data = data_of(number, *bytes);
            if let Some(store) = store.filter(|store| !names.is_empty() && names[image.stores[0]] != *store) {
                image.stores = names.iter().position(|name| *name == store).into_iter().collect();
            }
        }
        Deed::Delete => return false,
        Deed::Deactivate => image.status = "deactivated",
        Deed::Reactivate => image.status = "active",
        Deed::AddMember(member) => drop(image.members.insert((*member).to_owned(), "pending")),
        Deed::Answer(member, said) => drop(image.members.insert((*member).to_owned(), said)),
        Deed::RemoveMember(member) => drop(image.members.remove(*member)),
        Deed::AddTag(tag) => drop(image.tags.insert((*tag).to_owned())),
        Deed::RemoveTag(tag) => drop(image.tags.remove(*tag)),
        Deed::RemoveCopy(store) => {
            // Members are of the home's image alone, and go with it.
            if names[image.stores[0]] == *store {
                image.members.clear();
            }
            image.stores.retain(|place| names[*place] != *store);
        }
        _ => {}
    }
    true
}

fn change(image: &mut Image, edit: &Edit, number: usize) {
    match edit {
        Edit::Nothing => {}
        Edit::Visibility(visibility) => {
            image.visibility = visibility;
            image.above = false;
        }
        Edit::Owner(owner) => image.owner = owner.map(str::to_owned),
        Edit::Hidden(hidden) => image.hidden = *hidden,
        Edit::Protected(protected) => image.protected = *protected,
        Edit::Name(suffix) => image.name = name_of(number, *suffix),
    }
}

/// The data that is sent for an image.
pub(crate) fn data_of(number: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| b'a' + u8::try_from((number + at) % 26).unwrap()).collect()
}

/// Whether a person sees an image by its membership alone, which is the home's to tell.
pub(crate) fn hangs_on_home(person: Person, image: &Image) -> bool {
    let without = Image { members: std::collections::BTreeMap::new(), ..image.clone() };
    membership(person, image).is_some() && !sees(person, &without)
}
