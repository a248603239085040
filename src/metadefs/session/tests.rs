//! What can be asked and changed, promise by promise. `model` plays random steps against the plainest catalogue.

mod model;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use image_service::{Caller, ErrorKind, Result};

use super::{Part, Session, TagsChange};
use crate::metadefs::{
    Association, Bounds, Contents, Namespace, NamespaceKey, NamespaceList, Object, ObjectFields, Order,
    Schema, Store, TagKey, TagList, Visibility,
};

struct Place {
    _directory: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        Self::within(Bounds::default())
    }

    fn within(bounds: Bounds) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), bounds).unwrap();
        Self { _directory: directory, store }
    }

    fn admin<T>(&self, job: impl FnOnce(&Session<'_>) -> Result<T>) -> Result<T> {
        self.store.write(&Caller::administrator(), job)
    }

    fn with<T>(&self, project: &str, job: impl FnOnce(&Session<'_>) -> Result<T>) -> Result<T> {
        self.store.read(&Caller::member_of(project), job)
    }
}

fn namespace(name: &str) -> Namespace {
    Namespace { name: name.into(), owner: Some("a".into()), ..Namespace::default() }
}

fn object(name: &str) -> Object {
    Object { name: name.into(), fields: ObjectFields::default() }
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn list(key: NamespaceKey, order: Order, limit: usize) -> NamespaceList {
    NamespaceList { key, order, limit, ..NamespaceList::default() }
}

#[test]
fn what_was_put_in_comes_out_whole() {
    let place = Place::new();
    let schema: Schema = [("title".to_owned(), "T".into())].into_iter().collect();
    let said = Namespace {
        name: "N".into(),
        display_name: Some("d".into()),
        description: Some("é".into()),
        visibility: Visibility::Public,
        protected: true,
        owner: Some("a".into()),
    };
    let full = Object {
        name: "o".into(),
        fields: ObjectFields {
            description: Some("od".into()),
            required: Some(vec!["x,y".into()]),
            properties: Some(BTreeMap::from([("x".to_owned(), schema.clone())])),
        },
    };
    let association = Association {
        resource_type: "R".into(),
        prefix: Some("p:".into()),
        properties_target: Some("t".into()),
    };
    let contents = Contents {
        associations: Some(vec![association.clone()]),
        properties: Some(BTreeMap::from([("p".to_owned(), schema.clone())])),
        objects: Some(vec![full.clone()]),
        tags: Some(vec!["t".into(), "u".into()]),
    };
    let made = place.admin(|session| session.add_namespace(&said, &contents)).unwrap();
    let whole = place.with("b", |session| session.whole("N")).unwrap();
    assert_eq!((&made, &made.it), (&whole.namespace, &said));
    assert_eq!(whole.associations[0].it, association);
    assert_eq!(whole.properties, contents.properties.unwrap());
    assert_eq!(whole.objects[0].it, full);
    assert_eq!(whole.tags, ["u", "t"]);
    let types = place.with("b", |session| session.resource_types()).unwrap();
    assert_eq!(types[0].it, "R");
}

#[test]
fn a_private_namespace_is_not_there_for_others() {
    let place = Place::new();
    place.admin(|session| session.add_namespace(&namespace("N"), &Contents::default())).unwrap();
    assert!(place.with("a", |session| session.namespace("N")).is_ok());
    for found in [
        place.with("b", |session| session.namespace("N").map(drop)),
        place.with("b", |session| session.whole("N").map(drop)),
        place.with("b", |session| session.properties("N").map(drop)),
        place.with("b", |session| session.objects("N").map(drop)),
        place.with("b", |session| session.tags("N", &TagList::default()).map(drop)),
        place.with("b", |session| session.associations("N").map(drop)),
        place.with("b", |session| {
            session
                .namespaces(&NamespaceList { after: Some("N".into()), ..NamespaceList::default() })
                .map(drop)
        }),
    ] {
        assert_eq!(kind(found), ErrorKind::NotFound);
    }
    let listed = |project: &str| {
        place.with(project, |session| session.namespaces(&list(NamespaceKey::Name, Order::Ascending, 9)))
    };
    assert_eq!((listed("a").unwrap().len(), listed("b").unwrap().len()), (1, 0));
    // The name is taken for everyone all the same.
    let again = place.store.write(&Caller::member_of("b"), |session| {
        session.add_namespace(&Namespace { owner: Some("b".into()), ..namespace("N") }, &Contents::default())
    });
    assert_eq!(kind(again), ErrorKind::AlreadyExists);
}

#[test]
fn nothing_is_deleted_from_a_protected_namespace_and_all_else_can_be_changed() {
    let place = Place::new();
    let protected = Namespace { protected: true, ..namespace("N") };
    let contents = Contents {
        associations: Some(vec![Association { resource_type: "R".into(), ..Association::default() }]),
        properties: Some(BTreeMap::from([("p".to_owned(), Schema::new())])),
        objects: Some(vec![object("o")]),
        tags: Some(vec!["t".into()]),
    };
    place.admin(|session| session.add_namespace(&protected, &contents)).unwrap();
    for refused in [
        place.admin(|session| session.delete_namespace("N")),
        place.admin(|session| session.clear("N", Part::Properties)),
        place.admin(|session| session.clear("N", Part::Objects)),
        place.admin(|session| session.clear("N", Part::Tags)),
        place.admin(|session| session.remove_property("N", "p")),
        place.admin(|session| session.remove_object("N", "o")),
        place.admin(|session| session.remove_tag("N", "t")),
        place.admin(|session| session.dissociate("N", "R")),
    ] {
        assert_eq!(kind(refused), ErrorKind::Forbidden);
    }
    for absent in [
        place.admin(|session| session.remove_property("N", "x")),
        place.admin(|session| session.remove_object("N", "x")),
        place.admin(|session| session.remove_tag("N", "x")),
        place.admin(|session| session.dissociate("N", "x")),
    ] {
        assert_eq!(kind(absent), ErrorKind::NotFound);
    }
    place.admin(|session| session.change_property("N", "p", "p2", &Schema::new())).unwrap();
    place.admin(|session| session.change_object("N", "o", &object("o2"))).unwrap();
    place.admin(|session| session.set_tags("N", &["u".into()], TagsChange::Replace)).unwrap();
    place.admin(|session| session.change_namespace("N", &namespace("N"))).unwrap();
    place.admin(|session| session.delete_namespace("N")).unwrap();
}

#[test]
fn names_are_there_once_and_can_be_changed_to_free_ones() {
    let place = Place::new();
    for name in ["N", "M"] {
        place.admin(|session| session.add_namespace(&namespace(name), &Contents::default())).unwrap();
    }
    place.admin(|session| session.add_object("N", &object("o"))).unwrap();
    place.admin(|session| session.add_object("N", &object("O"))).unwrap();
    place.admin(|session| session.add_object("M", &object("o"))).unwrap();
    place.admin(|session| session.add_property("N", "p", &Schema::new())).unwrap();
    place.admin(|session| session.add_property("N", "q", &Schema::new())).unwrap();
    place.admin(|session| session.add_tag("N", "É")).unwrap();
    place.admin(|session| session.add_tag("N", "t")).unwrap();
    for twice in [
        place.admin(|session| session.add_namespace(&namespace("N"), &Contents::default()).map(drop)),
        place.admin(|session| session.change_namespace("N", &namespace("M")).map(drop)),
        place.admin(|session| session.add_object("N", &object("o")).map(drop)),
        place.admin(|session| session.change_object("N", "o", &object("O")).map(drop)),
        place.admin(|session| session.add_property("N", "p", &Schema::new())),
        place.admin(|session| session.change_property("N", "p", "q", &Schema::new())),
        place.admin(|session| session.add_tag("N", "é").map(drop)),
        place.admin(|session| session.rename_tag("N", "t", "é").map(drop)),
        place.admin(|session| session.set_tags("N", &["a".into(), "A".into()], TagsChange::Replace)),
        place.admin(|session| session.set_tags("N", &["T".into()], TagsChange::Append)),
    ] {
        assert_eq!(kind(twice), ErrorKind::AlreadyExists);
    }
    // A refused list of tags has changed nothing, and case is not what tells two tags apart.
    assert_eq!(place.with("a", |session| session.tag("N", "é")).unwrap().it, "É");
    assert_eq!(place.admin(|session| session.rename_tag("N", "é", "é")).unwrap().it, "é");
    place.admin(|session| session.change_object("N", "o", &object("o2"))).unwrap();
    assert_eq!(kind(place.with("a", |session| session.object("N", "o"))), ErrorKind::NotFound);
    place.admin(|session| session.change_namespace("N", &namespace("N2"))).unwrap();
    assert_eq!(place.with("a", |session| session.objects("N2")).unwrap().len(), 2);
}

#[test]
fn pages_of_any_size_give_the_same_list_in_either_direction() {
    let place = Place::new();
    for (number, name) in ["b", "d", "a", "c", "e"].into_iter().enumerate() {
        let display_name = (number % 2 == 0).then(|| "same".to_owned());
        let said = Namespace { display_name, protected: number > 2, ..namespace(name) };
        let tags = vec!["b".into(), "D".into(), "a".into(), "c".into()];
        place
            .admin(|session| {
                session.add_namespace(&said, &Contents { tags: Some(tags), ..Contents::default() })
            })
            .unwrap();
    }
    let walk = |key, order, size| {
        let (mut walked, mut list) = (Vec::new(), list(key, order, size));
        for _ in 0..7 {
            let page = place.with("a", |session| session.namespaces(&list)).unwrap();
            list.after = page.last().map(|last| last.namespace.it.name.clone());
            walked.extend(page.iter().map(|found| found.namespace.it.name.clone()));
            if page.len() < size {
                return walked;
            }
        }
        panic!("the walk does not end");
    };
    for (key, expected) in [
        (NamespaceKey::CreatedAt, "bdace"),
        (NamespaceKey::UpdatedAt, "bdace"),
        (NamespaceKey::Id, "bdace"),
        (NamespaceKey::Owner, "bdace"),
        (NamespaceKey::Visibility, "bdace"),
        (NamespaceKey::Name, "abcde"),
        (NamespaceKey::DisplayName, "dcbae"),
        (NamespaceKey::Protected, "bdace"),
    ] {
        for size in 1..=6 {
            assert_eq!(walk(key, Order::Ascending, size).concat(), expected, "{key:?} {size}");
            let backwards: String = expected.chars().rev().collect();
            assert_eq!(walk(key, Order::Descending, size).concat(), backwards, "{key:?} {size}");
        }
    }
    let tags = |key, order, after: Option<&str>, limit| {
        let list = TagList { key, order, after: after.map(str::to_owned), limit };
        let tags = place.with("a", |session| session.tags("a", &list)).unwrap();
        tags.into_iter().map(|tag| tag.it).collect::<Vec<_>>().concat()
    };
    assert_eq!(tags(TagKey::CreatedAt, Order::Descending, None, None), "caDb");
    assert_eq!(tags(TagKey::UpdatedAt, Order::Ascending, Some("d"), None), "ac");
    assert_eq!(tags(TagKey::Id, Order::Ascending, Some("b"), Some(1)), "D");
    assert_eq!(tags(TagKey::Name, Order::Ascending, None, None), "Dabc");
    assert_eq!(tags(TagKey::Name, Order::Descending, Some("c"), Some(2)), "ba");
    let absent = TagList { after: Some("x".into()), ..TagList::default() };
    assert_eq!(kind(place.with("a", |session| session.tags("a", &absent))), ErrorKind::NotFound);
}

#[test]
fn lists_can_be_of_some_types_of_resources_or_one_visibility() {
    let place = Place::new();
    for (name, types, visibility) in [
        ("x", vec!["R", "S"], Visibility::Public),
        ("y", vec!["S"], Visibility::Private),
        ("z", vec![], Visibility::Public),
    ] {
        let association =
            |name: &&str| Association { resource_type: (*name).into(), ..Association::default() };
        let contents =
            Contents { associations: Some(types.iter().map(association).collect()), ..Contents::default() };
        place
            .admin(|session| session.add_namespace(&Namespace { visibility, ..namespace(name) }, &contents))
            .unwrap();
    }
    let names = |types: Option<Vec<&str>>, visibility| {
        let resource_types = types.map(|types| types.into_iter().map(str::to_owned).collect());
        let list =
            NamespaceList { resource_types, visibility, ..list(NamespaceKey::Name, Order::Ascending, 9) };
        let found = place.with("a", |session| session.namespaces(&list)).unwrap();
        found.iter().map(|found| found.namespace.it.name.as_str()).collect::<Vec<_>>().concat()
    };
    assert_eq!(names(None, None), "xyz");
    assert_eq!(names(Some(vec!["S"]), None), "xy");
    assert_eq!(names(Some(vec!["R", "S"]), None), "xy");
    assert_eq!(names(Some(vec!["S"]), Some(Visibility::Private)), "y");
    assert_eq!(names(Some(vec!["T"]), None), "");
    assert_eq!(names(None, Some(Visibility::Public)), "xz");
}

#[test]
fn a_property_is_found_by_its_name_on_a_type_of_resources() {
    let place = Place::new();
    let association = |name: &str, prefix: Option<&str>| Association {
        resource_type: name.into(),
        prefix: prefix.map(str::to_owned),
        properties_target: None,
    };
    let contents = Contents {
        associations: Some(vec![
            association("R", Some("x:")),
            association("S", None),
            association("T", Some("")),
        ]),
        properties: Some(BTreeMap::from([("p".to_owned(), Schema::new())])),
        ..Contents::default()
    };
    place.admin(|session| session.add_namespace(&namespace("N"), &contents)).unwrap();
    let on = |name: &str, resource_type: &str| {
        place.with("a", |session| session.property_on("N", name, resource_type)).map(|(name, _)| name)
    };
    assert_eq!(on("x:p", "R").unwrap(), "p");
    for (name, resource_type) in [("p", "R"), ("x:q", "R"), ("x:", "R"), ("p", "S"), ("p", "T"), ("x:p", "U")]
    {
        assert_eq!(kind(on(name, resource_type)), ErrorKind::NotFound, "{name} on {resource_type}");
    }
}

#[test]
fn properties_and_objects_of_a_namespace_have_a_weight_together() {
    let place = Place::within(Bounds { contents: 600, ..Bounds::default() });
    let schema = |bytes: usize| Schema::from_iter([("title".to_owned(), "x".repeat(bytes).into())]);
    let heavy = |bytes: usize| {
        let fields = ObjectFields { description: Some("x".repeat(bytes)), ..ObjectFields::default() };
        Object { name: "o".into(), fields }
    };
    place.admin(|session| session.add_namespace(&namespace("N"), &Contents::default())).unwrap();
    place.admin(|session| session.add_property("N", "p", &schema(200))).unwrap();
    place.admin(|session| session.add_object("N", &heavy(200))).unwrap();
    for heavier in [
        place.admin(|session| session.add_property("N", "q", &schema(200))),
        place.admin(|session| session.change_property("N", "p", "p", &schema(400))),
        place.admin(|session| session.change_object("N", "o", &heavy(400)).map(drop)),
    ] {
        assert_eq!(kind(heavier), ErrorKind::TooLarge);
    }
    place.admin(|session| session.remove_object("N", "o")).unwrap();
    place.admin(|session| session.change_property("N", "p", "p", &schema(400))).unwrap();
}

#[test]
fn there_can_be_as_many_of_everything_as_the_bounds_say() {
    let bounds =
        Bounds { namespaces: 1, properties: 1, objects: 1, tags: 1, resource_types: 1, ..Bounds::default() };
    let place = Place::within(Bounds { readers: NonZeroUsize::MIN, ..bounds });
    let association = |name: &str| Association { resource_type: name.into(), ..Association::default() };
    place.admin(|session| session.add_namespace(&namespace("N"), &Contents::default())).unwrap();
    place.admin(|session| session.add_property("N", "a", &Schema::new())).unwrap();
    place.admin(|session| session.add_object("N", &object("a"))).unwrap();
    place.admin(|session| session.add_tag("N", "a")).unwrap();
    place.admin(|session| session.associate("N", &association("a"))).unwrap();
    for more in [
        place.admin(|session| session.add_namespace(&namespace("M"), &Contents::default()).map(drop)),
        place.admin(|session| session.add_property("N", "b", &Schema::new())),
        place.admin(|session| session.add_object("N", &object("b")).map(drop)),
        place.admin(|session| session.add_tag("N", "b").map(drop)),
        place.admin(|session| session.set_tags("N", &["b".into(), "c".into()], TagsChange::Replace)),
        place.admin(|session| session.associate("N", &association("b")).map(drop)),
    ] {
        assert_eq!(kind(more), ErrorKind::TooLarge);
    }
    place.admin(|session| session.set_tags("N", &["b".into()], TagsChange::Replace)).unwrap();
}
