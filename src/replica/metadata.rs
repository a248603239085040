//! What is copied and compared of an image besides its data, and what a copy under way looks like. Pure.

use std::collections::BTreeSet;

use image_service::{Image, ImageChange, MOST_PER_IMAGE, Properties, Status, Visibility};

/// The property of an image whose copying is under way. Its value is the name of the backend that it comes from.
pub const MARK: &str = "portico_copy_from";

/// Properties that begin so are a service's own notes on what it does with an image.
const OF_SERVICE: &str = "os_glance_";

/// Which properties a copy gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Kept {
    /// All of them.
    #[default]
    All,
    /// These alone.
    Only(BTreeSet<String>),
}

impl Kept {
    /// Whether a copy has this property from its image.
    fn takes(&self, key: &str) -> bool {
        is_portable(key)
            && match self {
                Self::All => true,
                Self::Only(keys) => keys.contains(key),
            }
    }
}

/// What becomes of properties that a copy has and does not get from its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// They stay: somebody has given them to it.
    Stay,
    /// They go, but for a service's own notes: it is not the image yet, and a run that wanted more has left them.
    Go,
}

/// Whether a property is about the image, and not about what a service does with it.
fn is_portable(key: &str) -> bool {
    key != MARK && !key.starts_with(OF_SERVICE)
}

/// The attributes and properties that differ, by their names. What has no data on one side has not another status for it.
pub(super) fn differing(a: &Image, b: &Image) -> Vec<String> {
    let attributes = [
        ("name", a.name != b.name),
        ("status", a.status != b.status && a.has_data() == b.has_data()),
        ("visibility", a.visibility != b.visibility),
        ("owner", a.owner != b.owner),
        ("disk_format", a.disk_format != b.disk_format),
        ("container_format", a.container_format != b.container_format),
        ("os_hidden", a.hidden != b.hidden),
        ("protected", a.protected != b.protected),
        ("min_disk", a.min_disk != b.min_disk),
        ("min_ram", a.min_ram != b.min_ram),
        ("tags", a.tags != b.tags),
    ];
    let keys: BTreeSet<&String> = a.properties.keys().chain(b.properties.keys()).collect();
    let properties = keys.into_iter().filter(|key| is_portable(key));
    let properties = properties.filter(|key| a.properties.get(*key) != b.properties.get(*key));
    let attributes = attributes.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned());
    attributes.chain(properties.map(|key| format!("properties.{key}"))).collect()
}

/// What the copy `there` of `image` is to become. The mark goes.
pub(super) fn intended(image: &Image, there: &Image, kept: &Kept, others: Others) -> Image {
    let own = there.properties.iter().filter(|(key, _)| !kept.takes(key) && *key != MARK);
    let own = own.filter(|(key, _)| others == Others::Stay || !is_portable(key));
    let copied = image.properties.iter().filter(|(key, _)| kept.takes(key));
    let properties = own.chain(copied).map(|(key, value)| (key.clone(), value.clone())).collect();
    Image { properties, ..image.clone() }
}

/// What makes the copy `there` what it is to be, as far as a change can.
pub(super) fn change(image: &Image, there: &Image, kept: &Kept, others: Others) -> ImageChange {
    let status = match (there.status, image.status) {
        (Status::Active, Status::Deactivated) | (Status::Deactivated, Status::Active) => Some(image.status),
        _ => None,
    };
    ImageChange { status, ..ImageChange::between(there, &intended(image, there, kept, others)) }
}

/// A format that the copy has otherwise, and that nobody can change where there is data.
pub(super) fn other_format(image: &Image, there: &Image) -> Option<&'static str> {
    if image.disk_format != there.disk_format {
        return Some("disk_format");
    }
    (image.container_format != there.container_format).then_some("container_format")
}

/// `image` with the mark. If it has as many properties as an image may have, one waits until the mark goes.
pub(super) fn marked(image: &Image, from: &str) -> Image {
    let room = MOST_PER_IMAGE.saturating_sub(1);
    let others = image.properties.iter().filter(|(key, _)| *key != MARK).take(room);
    let mut properties: Properties = others.map(|(key, value)| (key.clone(), value.clone())).collect();
    properties.insert(MARK.to_owned(), from.to_owned());
    Image { properties, ..image.clone() }
}

/// What a copy of `image` is while its data is on the way: marked, nobody's but its owner's, and free to be deleted.
pub(super) fn draft(image: &Image, from: &str, kept: &Kept) -> Image {
    let bare = Image { properties: Properties::new(), ..image.clone() };
    let whole = intended(image, &bare, kept, Others::Go);
    Image { visibility: Visibility::Private, protected: false, ..marked(&whole, from) }
}

/// Whether `image` is a copy from this backend that is under way.
pub(super) fn is_marked(image: &Image, from: &str) -> bool {
    image.properties.get(MARK).is_some_and(|mark| mark == from)
}

#[cfg(test)]
pub(super) mod tests {
    use image_service::{Caller, Digester, NewImage, Timestamp};

    use super::*;

    /// An image with data.
    pub(in crate::replica) fn active() -> Image {
        let mut image = NewImage::default().into_image(&Caller::administrator(), Timestamp::now()).unwrap();
        let mut digester = Digester::default();
        digester.update(b"data");
        image.finish_upload(digester.finish(None).unwrap(), Timestamp::now());
        image
    }

    fn with(pairs: &[(&str, &str)]) -> Image {
        let properties = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Image { properties, ..active() }
    }

    fn only(keys: &[&str]) -> Kept {
        Kept::Only(keys.iter().map(|key| (*key).to_owned()).collect())
    }

    #[test]
    fn each_attribute_and_property_that_differs_is_named() {
        let a = with(&[("os", "x"), ("gone", "1"), ("same", "s")]);
        assert_eq!(differing(&a, &a), Vec::<String>::new());
        let b = Image {
            name: Some("b".into()),
            status: Status::Deactivated,
            visibility: Visibility::Public,
            owner: Some("p".into()),
            disk_format: Some("raw".into()),
            container_format: Some("bare".into()),
            hidden: true,
            protected: true,
            min_disk: 1,
            min_ram: 1,
            tags: ["t".to_owned()].into(),
            ..with(&[("os", "y"), ("new", "1"), ("same", "s")])
        };
        let expected = "name status visibility owner disk_format container_format os_hidden protected min_disk min_ram tags \
                        properties.gone properties.new properties.os";
        assert_eq!(differing(&a, &b).join(" "), expected);
        assert_eq!(differing(&b, &a), differing(&a, &b));
    }

    #[test]
    fn notes_of_a_service_and_the_mark_are_no_difference_and_are_not_copied() {
        let notes = [("os_glance_import_task", "t"), (MARK, "a"), ("os", "x")];
        let (a, b) = (with(&notes), with(&[("os", "x")]));
        assert_eq!(differing(&a, &b), Vec::<String>::new());
        assert_eq!(intended(&a, &b, &Kept::All, Others::Stay).properties, b.properties);
    }

    #[test]
    fn a_copy_has_the_properties_that_are_wanted_and_keeps_the_others_of_its_own() {
        let (image, there) = (with(&[("a", "1"), ("b", "2")]), with(&[("b", "0"), ("c", "3")]));
        let intended = |kept: &Kept, others| super::intended(&image, &there, kept, others).properties;
        assert_eq!(intended(&Kept::All, Others::Stay), image.properties);
        assert_eq!(intended(&only(&["b"]), Others::Stay), with(&[("b", "2"), ("c", "3")]).properties);
        assert_eq!(intended(&only(&[]), Others::Stay), there.properties);
        assert_eq!(intended(&only(&["b"]), Others::Go), with(&[("b", "2")]).properties);
    }

    #[test]
    fn a_change_turns_a_draft_with_data_into_the_image_and_no_change_is_left() {
        let image = Image {
            visibility: Visibility::Public,
            protected: true,
            status: Status::Deactivated,
            ..with(&[("a", "1")])
        };
        let mut copy = Image { status: Status::Active, ..draft(&image, "there", &Kept::All) };
        assert!(is_marked(&copy, "there") && !is_marked(&copy, "elsewhere"));
        assert_eq!((copy.visibility, copy.protected), (Visibility::Private, false));
        let change = |copy: &Image| super::change(&image, copy, &Kept::All, Others::Go);
        change(&copy).apply_to(&mut copy, &Caller::administrator(), image.updated_at).unwrap();
        assert_eq!(copy, image);
        assert!(change(&copy).is_empty());
    }

    #[test]
    fn an_image_with_all_properties_that_it_may_have_can_be_marked_and_gets_them_all_in_the_end() {
        let properties: Properties = (0..MOST_PER_IMAGE).map(|n| (format!("p{n}"), String::new())).collect();
        let image = Image { properties, ..active() };
        let draft = draft(&image, "a", &Kept::All);
        assert_eq!(draft.properties.len(), MOST_PER_IMAGE);
        let made = NewImage::again(&draft).into_image(&Caller::administrator(), Timestamp::now()).unwrap();
        let mut copy = Image { status: Status::Active, ..made };
        let change = change(&image, &copy, &Kept::All, Others::Go);
        change.apply_to(&mut copy, &Caller::administrator(), Timestamp::now()).unwrap();
        assert_eq!(copy.properties, image.properties);
    }
}
