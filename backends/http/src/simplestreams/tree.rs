//! JSON as a tree, in which no name is given twice.
//!
//! What a name stands for must not depend on who reads it, so a document that gives one twice is no document.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value. Lists are of no use in a catalogue, and are passed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// Nothing, or a list.
    Nothing,
    /// A text, a flag or a number, as it is written.
    Leaf(String),
    /// What has names in it, in their order.
    Branch(Branch),
}

/// Values by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Branch(Vec<(String, Tree)>);

impl Branch {
    /// What `name` stands for.
    pub(super) fn get(&self, name: &str) -> Option<&Tree> {
        let at = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// The text, flag or number called `name`.
    pub(super) fn leaf(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Tree::Leaf(leaf)) => Some(leaf),
            _ => None,
        }
    }

    /// What is below `name`, each thing by its name, if all of it has names in it.
    pub(super) fn branches(&self, name: &str) -> Option<Vec<(&str, &Self)>> {
        let Some(Tree::Branch(branch)) = self.get(name) else { return None };
        let below = branch.0.iter().map(|(name, value)| match value {
            Tree::Branch(branch) => Some((name.as_str(), branch)),
            _ => None,
        });
        below.collect()
    }

    /// All texts, flags and numbers with their names.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Tree::Leaf(leaf) => Some((name.as_str(), leaf.as_str())),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Branch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Tree::deserialize(deserializer)? {
            Tree::Branch(branch) => Ok(branch),
            _ => Err(D::Error::custom("no object")),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(flag.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Leaf(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Tree::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = object.next_entry::<String, Tree>()? {
            fields.push(field);
        }
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        let mut pairs = fields.iter().zip(fields.iter().skip(1));
        match pairs.find(|(before, after)| before.0 == after.0) {
            Some((twice, _)) => Err(A::Error::custom(format_args!("{:?} stands there twice", twice.0))),
            None => Ok(Tree::Branch(Branch(fields))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_name_is_found_by_it() {
        let text =
            r#"{"b": {"y": {"k": 1}, "x": {}}, "a": true, "n": -1, "s": "t", "l": [{"z": 1}], "e": null}"#;
        let branch: Branch = serde_json::from_str(text).unwrap();
        assert_eq!(branch.leaves().collect::<Vec<_>>(), [("a", "true"), ("n", "-1"), ("s", "t")]);
        let below = branch.branches("b").unwrap();
        assert_eq!(below.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(below[1].1.leaf("k"), Some("1"));
        assert_eq!(branch.get("l"), Some(&Tree::Nothing));
        for missing in ["a", "l", "zz"] {
            assert_eq!(branch.branches(missing), None);
        }
    }

    #[test]
    fn a_name_that_stands_there_twice_is_a_fault_wherever_that_is() {
        for text in [r#"{"a": 1, "a": 1}"#, r#"{"a": {"b": 1, "c": 2, "b": {}}}"#, r#"{"a": 1, "\u0061": 2}"#]
        {
            let error = serde_json::from_str::<Branch>(text).unwrap_err().to_string();
            assert!(error.contains("stands there twice"), "{error}");
        }
        for text in ["", "[]", "1", "{", r#"{"a": 1} {}"#, &"[".repeat(10_000)] {
            assert!(serde_json::from_str::<Branch>(text).is_err(), "{text}");
        }
    }
}
