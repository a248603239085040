//! Random steps of several callers, and after them what each of them sees, against the plainest catalogue there can be.

use std::collections::BTreeMap;

use image_service::{Caller, ErrorKind, Result};
use proptest::prelude::*;

use super::{Place, list, object};
use crate::metadefs::session::{Part, Session, TagsChange};
use crate::metadefs::{Contents, Namespace, NamespaceKey, Order, Visibility};

/// One step of somebody. Names are few, so that steps meet.
#[derive(Debug, Clone)]
enum Step {
    Add { name: u8, owner: u8, public: bool, protected: bool },
    Change { name: u8, renamed: u8, owner: u8, public: bool, protected: bool },
    Delete(u8),
    AddTag(u8, u8),
    RenameTag(u8, u8, u8),
    RemoveTag(u8, u8),
    SetTags(u8, Vec<u8>, bool),
    AddObject(u8, u8),
    RenameObject(u8, u8, u8),
    RemoveObject(u8, u8),
    Clear(u8, bool),
}

fn steps() -> impl Strategy<Value = Vec<(u8, Step)>> {
    let (name, word, flag) = (|| 0..4u8, || 0..6u8, any::<bool>);
    let step = prop_oneof![
        3 => (name(), 0..3u8, flag(), flag())
            .prop_map(|(name, owner, public, protected)| Step::Add { name, owner, public, protected }),
        2 => (name(), name(), 0..3u8, flag(), flag()).prop_map(|(name, renamed, owner, public, protected)| {
            Step::Change { name, renamed, owner, public, protected }
        }),
        1 => name().prop_map(Step::Delete),
        3 => (name(), word()).prop_map(|(name, word)| Step::AddTag(name, word)),
        1 => (name(), word(), word()).prop_map(|(name, from, to)| Step::RenameTag(name, from, to)),
        1 => (name(), word()).prop_map(|(name, word)| Step::RemoveTag(name, word)),
        1 => (name(), prop::collection::vec(word(), 0..3), flag())
            .prop_map(|(name, words, append)| Step::SetTags(name, words, append)),
        3 => (name(), word()).prop_map(|(name, word)| Step::AddObject(name, word)),
        1 => (name(), word(), word()).prop_map(|(name, from, to)| Step::RenameObject(name, from, to)),
        1 => (name(), word()).prop_map(|(name, word)| Step::RemoveObject(name, word)),
        1 => (name(), flag()).prop_map(|(name, tags)| Step::Clear(name, tags)),
    ];
    // 0 is an administrator, 1 and 2 are projects.
    prop::collection::vec((0..3u8, step), 1..60)
}

fn project(number: u8) -> String {
    format!("project {number}")
}

fn caller(number: u8) -> Caller {
    if number == 0 { Caller::administrator() } else { Caller::member_of(project(number)) }
}

/// Words 0 to 5 are three pairs that differ in case alone.
fn word(number: u8) -> String {
    ["a", "A", "b", "B", "é", "É"][usize::from(number)].to_owned()
}

/// What the catalogue should be: the plainest thing that can be.
#[derive(Debug, Clone, Default)]
struct Model(BTreeMap<String, Room>);

#[derive(Debug, Clone)]
struct Room {
    said: Namespace,
    /// By what they are in lower case.
    tags: BTreeMap<String, String>,
    objects: BTreeMap<String, ()>,
}

type Outcome = std::result::Result<(), ErrorKind>;

impl Model {
    fn room(&mut self, caller: &Caller, name: u8) -> std::result::Result<&mut Room, ErrorKind> {
        let room = self.0.get_mut(&name.to_string()).ok_or(ErrorKind::NotFound)?;
        let public = room.said.visibility == Visibility::Public;
        if public || caller.is_admin() || room.said.owner == caller.project {
            Ok(room)
        } else {
            Err(ErrorKind::NotFound)
        }
    }

    fn said(name: u8, owner: u8, public: bool, protected: bool) -> Namespace {
        let visibility = if public { Visibility::Public } else { Visibility::Private };
        Namespace {
            name: name.to_string(),
            owner: Some(project(owner)),
            visibility,
            protected,
            ..Namespace::default()
        }
    }

    fn take(&mut self, caller: &Caller, step: &Step) -> Outcome {
        let open = |room: &Room| if room.said.protected { Err(ErrorKind::Forbidden) } else { Ok(()) };
        match *step {
            Step::Add { name, owner, public, protected } => {
                if self.0.contains_key(&name.to_string()) {
                    return Err(ErrorKind::AlreadyExists);
                }
                let said = Self::said(name, owner, public, protected);
                let room = Room { said, tags: BTreeMap::new(), objects: BTreeMap::new() };
                self.0.insert(name.to_string(), room);
            }
            Step::Change { name, renamed, owner, public, protected } => {
                self.room(caller, name)?;
                if name != renamed && self.0.contains_key(&renamed.to_string()) {
                    return Err(ErrorKind::AlreadyExists);
                }
                let mut room = self.0.remove(&name.to_string()).ok_or(ErrorKind::NotFound)?;
                room.said = Self::said(renamed, owner, public, protected);
                self.0.insert(renamed.to_string(), room);
            }
            Step::Delete(name) => {
                open(self.room(caller, name)?)?;
                self.0.remove(&name.to_string());
            }
            Step::AddTag(name, tag) => {
                add(&mut self.room(caller, name)?.tags, &word(tag).to_lowercase(), word(tag))?
            }
            Step::RenameTag(name, from, to) => {
                let (from, to) = (word(from), word(to));
                rename(
                    &mut self.room(caller, name)?.tags,
                    &from.to_lowercase(),
                    &to.to_lowercase(),
                    to.clone(),
                )?;
            }
            Step::RemoveTag(name, tag) => {
                let room = self.room(caller, name)?;
                let tag = word(tag).to_lowercase();
                room.tags.get(&tag).ok_or(ErrorKind::NotFound)?;
                open(room)?;
                room.tags.remove(&tag);
            }
            Step::SetTags(name, ref tags, append) => {
                let room = self.room(caller, name)?;
                let mut after = if append || tags.is_empty() { room.tags.clone() } else { BTreeMap::new() };
                for tag in tags {
                    add(&mut after, &word(*tag).to_lowercase(), word(*tag))?;
                }
                room.tags = after;
            }
            Step::AddObject(name, object) => add(&mut self.room(caller, name)?.objects, &word(object), ())?,
            Step::RenameObject(name, from, to) => {
                rename(&mut self.room(caller, name)?.objects, &word(from), &word(to), ())?;
            }
            Step::RemoveObject(name, object) => {
                let room = self.room(caller, name)?;
                room.objects.get(&word(object)).ok_or(ErrorKind::NotFound)?;
                open(room)?;
                room.objects.remove(&word(object));
            }
            Step::Clear(name, tags) => {
                let room = self.room(caller, name)?;
                open(room)?;
                if tags { room.tags.clear() } else { room.objects.clear() }
            }
        }
        Ok(())
    }
}

fn add<T>(map: &mut BTreeMap<String, T>, key: &str, value: T) -> Outcome {
    if map.contains_key(key) {
        return Err(ErrorKind::AlreadyExists);
    }
    map.insert(key.to_owned(), value);
    Ok(())
}

fn rename<T>(map: &mut BTreeMap<String, T>, from: &str, to: &str, value: T) -> Outcome {
    map.get(from).ok_or(ErrorKind::NotFound)?;
    if from != to && map.contains_key(to) {
        return Err(ErrorKind::AlreadyExists);
    }
    map.remove(from);
    map.insert(to.to_owned(), value);
    Ok(())
}

fn take(session: &Session<'_>, step: &Step) -> Result<()> {
    match *step {
        Step::Add { name, owner, public, protected } => session
            .add_namespace(&Model::said(name, owner, public, protected), &Contents::default())
            .map(drop),
        Step::Change { name, renamed, owner, public, protected } => {
            let said = Model::said(renamed, owner, public, protected);
            session.change_namespace(&name.to_string(), &said).map(drop)
        }
        Step::Delete(name) => session.delete_namespace(&name.to_string()),
        Step::AddTag(name, tag) => session.add_tag(&name.to_string(), &word(tag)).map(drop),
        Step::RenameTag(name, from, to) => {
            session.rename_tag(&name.to_string(), &word(from), &word(to)).map(drop)
        }
        Step::RemoveTag(name, tag) => session.remove_tag(&name.to_string(), &word(tag)),
        Step::SetTags(name, ref tags, append) => {
            let tags: Vec<String> = tags.iter().map(|tag| word(*tag)).collect();
            let change = if append { TagsChange::Append } else { TagsChange::Replace };
            session.set_tags(&name.to_string(), &tags, change)
        }
        Step::AddObject(name, added) => {
            session.add_object(&name.to_string(), &object(&word(added))).map(drop)
        }
        Step::RenameObject(name, from, to) => {
            session.change_object(&name.to_string(), &word(from), &object(&word(to))).map(drop)
        }
        Step::RemoveObject(name, object) => session.remove_object(&name.to_string(), &word(object)),
        Step::Clear(name, tags) => {
            session.clear(&name.to_string(), if tags { Part::Tags } else { Part::Objects })
        }
    }
}

/// Whether each caller sees what the model says it does.
fn compare(place: &Place, model: &mut Model) {
    for number in 0..3 {
        let caller = caller(number);
        let list = list(NamespaceKey::Name, Order::Ascending, 100);
        let listed = place.store.read(&caller, |session| session.namespaces(&list)).unwrap();
        let names: Vec<String> = listed.into_iter().map(|found| found.namespace.it.name).collect();
        let mut expected = Vec::new();
        for name in 0..4u8 {
            let whole = place.store.read(&caller, |session| session.whole(&name.to_string()));
            match model.room(&caller, name) {
                Err(missing) => assert_eq!(whole.map(drop).unwrap_err().kind(), missing),
                Ok(room) => {
                    let mut whole = whole.unwrap();
                    whole.tags.sort_by_key(|tag| tag.to_lowercase());
                    let mut objects: Vec<String> =
                        whole.objects.into_iter().map(|object| object.it.name).collect();
                    objects.sort();
                    assert_eq!(whole.namespace.it, room.said);
                    assert_eq!(whole.tags, room.tags.values().cloned().collect::<Vec<_>>());
                    assert_eq!(objects, room.objects.keys().cloned().collect::<Vec<_>>());
                    expected.push(name.to_string());
                }
            }
        }
        assert_eq!(names, expected, "as caller {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_does_whatever_the_catalogue_is_what_a_plain_model_says(steps in steps()) {
        let (place, mut model) = (Place::new(), Model::default());
        for (number, step) in &steps {
            let caller = caller(*number);
            let expected = model.take(&caller, step);
            let outcome = place.store.write(&caller, |session| take(session, step));
            prop_assert_eq!(outcome.map_err(|error| error.kind()), expected, "{:?} by {}", step, number);
        }
        compare(&place, &mut model);
    }
}
