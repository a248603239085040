//! The nouns of metadata definitions.

use std::collections::BTreeMap;

use image_service::Timestamp;
use serde_json::{Map, Value};

/// Who may see a namespace besides its owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Everyone.
    Public,
    /// Nobody.
    #[default]
    Private,
}

impl Visibility {
    /// What it is called.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }

    /// The one that is called `word`.
    #[must_use]
    pub fn called(word: &str) -> Option<Self> {
        [Self::Public, Self::Private].into_iter().find(|visibility| visibility.as_str() == word)
    }
}

/// A namespace, without what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its name; there is one of each.
    pub name: String,
    /// Its name for people.
    pub display_name: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// Who may see it.
    pub visibility: Visibility,
    /// Whether neither it nor anything in it can be deleted.
    pub protected: bool,
    /// The project that it belongs to. A private one without owner is seen by administrators alone.
    pub owner: Option<String>,
}

/// What a property is: a JSON schema, in the few words that are allowed.
pub type Schema = Map<String, Value>;

/// Properties by their names.
pub type Properties = BTreeMap<String, Schema>;

/// A group of properties, without its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectFields {
    /// What it is about.
    pub description: Option<String>,
    /// Which of its properties must be there, if it was said.
    pub required: Option<Vec<String>>,
    /// Its properties, if they were said.
    pub properties: Option<Properties>,
}

/// A group of properties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// Its name; one of each in a namespace.
    pub name: String,
    /// The rest.
    pub fields: ObjectFields,
}

/// That a namespace applies to a type of resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Association {
    /// The type of resource, such as `OS::Glance::Image`.
    pub resource_type: String,
    /// What the names of properties begin with on such a resource.
    pub prefix: Option<String>,
    /// To which of several sets of properties of such a resource it applies.
    pub properties_target: Option<String>,
}

/// What is in a namespace, as far as it was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The types of resources that it applies to.
    pub associations: Option<Vec<Association>>,
    /// Its properties.
    pub properties: Option<Properties>,
    /// Its objects.
    pub objects: Option<Vec<Object>>,
    /// Its tags.
    pub tags: Option<Vec<String>>,
}

/// Something in the catalogue, and when it was made and last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// What it is.
    pub it: T,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A namespace in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The namespace.
    pub namespace: Entry<Namespace>,
    /// Its associations, in the order in which they were made.
    pub associations: Vec<Entry<Association>>,
}

/// A namespace with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The namespace.
    pub namespace: Entry<Namespace>,
    /// Its associations, in the order in which they were made.
    pub associations: Vec<Entry<Association>>,
    /// Its properties.
    pub properties: Properties,
    /// Its objects, in the order in which they were made.
    pub objects: Vec<Entry<Object>>,
    /// Its tags, last ones first.
    pub tags: Vec<String>,
}

impl Whole {
    /// Puts the prefix that belongs to `resource_type`, if there is one, before the name of every property.
    pub fn prefix_for(&mut self, resource_type: &str) {
        let mut associations = self.associations.iter().map(|entry| &entry.it);
        let association = associations.find(|association| association.resource_type == resource_type);
        let Some(prefix) = association.and_then(|association| association.prefix.clone()) else { return };
        self.properties = prefixed(std::mem::take(&mut self.properties), &prefix);
        for object in self.objects.iter_mut().map(|entry| &mut entry.it.fields) {
            object.properties = object.properties.take().map(|properties| prefixed(properties, &prefix));
            for name in object.required.iter_mut().flatten() {
                name.insert_str(0, &prefix);
            }
        }
    }
}

fn prefixed(properties: Properties, prefix: &str) -> Properties {
    properties.into_iter().map(|(name, schema)| (format!("{prefix}{name}"), schema)).collect()
}

/// In which direction a list runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Largest first.
    #[default]
    Descending,
}

/// What namespaces can be sorted by. Equal ones are in the order in which they were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a field of a namespace, or when it was made or changed")]
pub enum NamespaceKey {
    #[default]
    CreatedAt,
    UpdatedAt,
    Id,
    Name,
    DisplayName,
    Visibility,
    Protected,
    Owner,
}

/// What tags can be sorted by. Equal ones are in the order in which they were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a field of a tag, or when it was made or changed")]
pub enum TagKey {
    #[default]
    CreatedAt,
    UpdatedAt,
    Id,
    Name,
}

/// Which namespaces are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceList {
    /// Those of this visibility. Default: both.
    pub visibility: Option<Visibility>,
    /// Those that apply to one of these types of resources. Default: all.
    pub resource_types: Option<Vec<String>>,
    /// By what they are sorted.
    pub key: NamespaceKey,
    /// In which direction.
    pub order: Order,
    /// Those after the namespace of this name.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// Which tags of a namespace are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagList {
    /// By what they are sorted.
    pub key: TagKey,
    /// In which direction.
    pub order: Order,
    /// Those after the tag of this name.
    pub after: Option<String>,
    /// At most so many. Default: all.
    pub limit: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry<T>(it: T) -> Entry<T> {
        let now = Timestamp::now();
        Entry { it, created_at: now, updated_at: now }
    }

    fn properties(name: &str) -> Properties {
        let schema = json!({"title": "t", "type": "string"});
        Properties::from([(name.to_owned(), schema.as_object().unwrap().clone())])
    }

    #[test]
    fn a_prefix_comes_before_every_property_and_every_required_one() {
        let fields = ObjectFields {
            required: Some(vec!["a".into()]),
            properties: Some(properties("a")),
            ..ObjectFields::default()
        };
        let association = |name: &str, prefix: Option<&str>| {
            entry(Association {
                resource_type: name.into(),
                prefix: prefix.map(str::to_owned),
                ..Association::default()
            })
        };
        let whole = Whole {
            namespace: entry(Namespace::default()),
            associations: vec![association("Bare", None), association("Prefixed", Some("x:"))],
            properties: properties("p"),
            objects: vec![entry(Object { name: "o".into(), fields })],
            tags: Vec::new(),
        };
        for untouched in ["Bare", "Unknown"] {
            let mut same = whole.clone();
            same.prefix_for(untouched);
            assert_eq!(same, whole, "{untouched}");
        }
        let mut other = whole;
        other.prefix_for("Prefixed");
        assert_eq!(other.properties, properties("x:p"));
        assert_eq!(other.objects[0].it.name, "o");
        assert_eq!(other.objects[0].it.fields.properties, Some(properties("x:a")));
        assert_eq!(other.objects[0].it.fields.required, Some(vec!["x:a".to_owned()]));
    }
}
