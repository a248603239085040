//! One difference between two backends, and what a pair of images comes to. Pure.

use image_service::Image;
use serde::Serialize;

use super::content::{Likeness, likeness};
use super::metadata::differing;
use super::walk::Pair;

/// Which of the two backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Letter {
    /// The first one.
    A,
    /// The second one.
    B,
}

/// One difference. As JSON it is an object whose `kind` says which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// An image is in one backend only.
    Missing {
        /// Its id.
        id: String,
        /// Its name.
        name: Option<String>,
        /// Where it is not.
        missing_in: Letter,
    },
    /// One id, other data.
    Content {
        /// The id.
        id: String,
        /// The name in the first backend.
        name: Option<String>,
        /// What differs: `data` if only one of them has any, else of `size`, `os_hash_value`, `checksum`.
        what: Vec<&'static str>,
    },
    /// One id, and whether the data is the same cannot be told: the sizes are, and there is no hash in common.
    Unknown {
        /// The id.
        id: String,
        /// The name in the first backend.
        name: Option<String>,
    },
    /// One id, other metadata.
    Metadata {
        /// The id.
        id: String,
        /// The name in the first backend.
        name: Option<String>,
        /// The attributes that differ, as the Image API calls them, `properties.KEY` for a property, and `members` if it is
        /// not shared with the same projects, or these have answered otherwise.
        what: Vec<String>,
    },
    /// One name, other ids: images that only one backend has, and that have a namesake among those that only the other has.
    Name {
        /// The name.
        name: String,
        /// `same` if each of the first backend has one of the same data in the second, else `other`.
        content: Sameness,
        /// The ids in the first backend.
        a: Vec<String>,
        /// The ids in the second backend.
        b: Vec<String>,
    },
}

/// Whether namesakes have the same data, or copies the same members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sameness {
    /// They have.
    Same,
    /// They have not, or it cannot be told.
    Other,
}

/// The differences of one id, whose members are the `same`, as far as they are compared.
pub(super) fn of_pair(pair: &Pair, members: Sameness) -> Vec<Difference> {
    let named = |image: &Image| (image.id.to_string(), image.name.clone());
    match pair {
        Pair::A(image) | Pair::B(image) => {
            let missing_in = if matches!(pair, Pair::A(_)) { Letter::B } else { Letter::A };
            let (id, name) = named(image);
            vec![Difference::Missing { id, name, missing_in }]
        }
        Pair::Both(a, b) => {
            let (id, name) = named(a);
            let of_data = match likeness(a, b) {
                Likeness::Same => None,
                Likeness::Other(what) => {
                    Some(Difference::Content { id: id.clone(), name: name.clone(), what })
                }
                Likeness::Unknown => Some(Difference::Unknown { id: id.clone(), name: name.clone() }),
            };
            let mut what = differing(a, b);
            what.extend((members == Sameness::Other).then(|| String::from("members")));
            let of_metadata = (!what.is_empty()).then_some(Difference::Metadata { id, name, what });
            of_data.into_iter().chain(of_metadata).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use image_service::{MultiHash, Status};

    use super::*;
    use crate::replica::metadata::tests::active;

    #[test]
    fn equal_images_have_no_difference_and_others_each_of_theirs() {
        let a = active();
        assert_eq!(of_pair(&Pair::Both(a.clone(), a.clone()), Sameness::Same), []);
        let hash = Some(MultiHash { algorithm: "sha512".into(), value: "00".into() });
        let b = Image { hash, checksum: None, min_ram: 5, ..a.clone() };
        let (id, name) = (a.id.to_string(), None);
        let content = Difference::Content { id: id.clone(), name: name.clone(), what: vec!["os_hash_value"] };
        let metadata =
            Difference::Metadata { id: id.clone(), name: name.clone(), what: vec!["min_ram".to_owned()] };
        assert_eq!(of_pair(&Pair::Both(a.clone(), b.clone()), Sameness::Same), [content, metadata]);
        let members =
            Difference::Metadata { id: id.clone(), name: name.clone(), what: vec!["members".to_owned()] };
        assert_eq!(of_pair(&Pair::Both(a.clone(), a.clone()), Sameness::Other), [members]);
        let unknown = Image { hash: None, ..b };
        let b = Image { min_ram: 0, ..unknown };
        assert_eq!(of_pair(&Pair::Both(a, b), Sameness::Same), [Difference::Unknown { id, name }]);
    }

    #[test]
    fn an_image_without_data_on_one_side_differs_in_its_data_and_not_also_in_its_status() {
        let a = active();
        let b = Image { status: Status::Queued, size: None, hash: None, checksum: None, ..a.clone() };
        let differences = of_pair(&Pair::Both(a, b), Sameness::Same);
        assert!(
            matches!(&differences[..], [Difference::Content { what, .. }] if what == &["data"]),
            "{differences:?}"
        );
    }

    #[test]
    fn what_one_side_has_is_missing_on_the_other() {
        let missing = |pair| match &of_pair(&pair, Sameness::Same)[..] {
            [Difference::Missing { missing_in, .. }] => *missing_in,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(Pair::A(active())), Letter::B);
        assert_eq!(missing(Pair::B(active())), Letter::A);
    }

    #[test]
    fn as_json_a_difference_is_what_its_documentation_says() {
        let json = |difference: &Difference| serde_json::to_value(difference).unwrap();
        let id = || "i".to_owned();
        let missing = Difference::Missing { id: id(), name: None, missing_in: Letter::B };
        assert_eq!(
            json(&missing),
            serde_json::json!({"kind": "missing", "id": "i", "name": null, "missing_in": "b"})
        );
        let (a, b) = (vec![id()], vec!["j".to_owned()]);
        let name = Difference::Name { name: "n".into(), content: Sameness::Other, a, b };
        let expected =
            serde_json::json!({"kind": "name", "name": "n", "content": "other", "a": ["i"], "b": ["j"]});
        assert_eq!(json(&name), expected);
    }
}
