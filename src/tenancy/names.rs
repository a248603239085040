//! What projects are called on either side of a store. Pure.
//!
//! A name stands for one project on each side, or names could be taken: if ours `a` is the store's `b`, then our own `b`
//! is nobody there, and the store's own `a` is none of ours. A project of the store that has no name here is shown as
//! `store:name`, and can be named so; nobody's own project is ever taken for it, and none of ours can be given such a name.

use std::collections::BTreeMap;

use image_service::{Error, Result};

use super::Others;

/// The names on either side.
#[derive(Debug)]
pub(super) struct Names {
    /// Ours → the store's.
    behind: BTreeMap<String, String>,
    /// The store's → ours.
    here: BTreeMap<String, String>,
    others: Others,
    /// What the name of a project begins with that only the store knows.
    foreign: String,
}

impl Names {
    /// The names of `projects`, ours → the store's, for a store of this name.
    ///
    /// # Errors
    /// `Invalid` if two projects have one name in the store, or one of ours has a name that is for the store's.
    pub(super) fn new(store: &str, projects: BTreeMap<String, String>, others: Others) -> Result<Self> {
        let foreign = format!("{store}:");
        let mut here = BTreeMap::new();
        for (ours, theirs) in &projects {
            if ours.starts_with(&foreign) {
                return Err(Error::invalid(format!(
                    "'{ours}' would be a project that only store '{store}' has"
                )));
            }
            if here.insert(theirs.clone(), ours.clone()).is_some() {
                return Err(Error::invalid(format!(
                    "two projects would be called '{theirs}' in store '{store}'"
                )));
            }
        }
        Ok(Self { behind: projects, here, others, foreign })
    }

    /// What a project of the store is called here.
    pub(super) fn shown(&self, theirs: &str) -> String {
        if let Some(ours) = self.here.get(theirs) {
            return ours.clone();
        }
        if self.is_same(theirs) { theirs.to_owned() } else { format!("{}{theirs}", self.foreign) }
    }

    /// What a project that somebody names here is called in the store. `None` if there is no such project there.
    pub(super) fn of_project(&self, ours: &str) -> Option<String> {
        if let Some(theirs) = self.behind.get(ours) {
            return Some(theirs.clone());
        }
        match ours.strip_prefix(&self.foreign) {
            Some(theirs) => Some(theirs.to_owned()).filter(|theirs| self.shown(theirs) == ours),
            None => Some(ours.to_owned()).filter(|ours| self.is_same(ours)),
        }
    }

    /// What the store is to call a caller of this project. `None` if it is nobody there.
    pub(super) fn of_caller(&self, ours: &str) -> Option<String> {
        if ours.starts_with(&self.foreign) { None } else { self.of_project(ours) }
    }

    /// Whether a name that is not given is the same on both sides.
    fn is_same(&self, name: &str) -> bool {
        self.others == Others::Same
            && !self.behind.contains_key(name)
            && !self.here.contains_key(name)
            && !name.starts_with(&self.foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 10] =
        ["a", "b", "c", "d", "paris:a", "paris:b", "paris:d", "paris:paris:a", "paris:", ""];

    fn names(pairs: &[(&str, &str)], others: Others) -> Names {
        let projects = pairs.iter().map(|(ours, theirs)| ((*ours).to_owned(), (*theirs).to_owned()));
        Names::new("paris", projects.collect(), others).unwrap()
    }

    #[test]
    fn every_name_of_the_store_has_one_here_and_is_found_by_it_alone() {
        let maps: [&[(&str, &str)]; 5] = [
            &[],
            &[("a", "b")],
            &[("a", "b"), ("b", "a")],
            &[("a", "b"), ("b", "c"), ("d", "paris:a")],
            &[("a", "paris:paris:a"), ("", "a")],
        ];
        for map in maps {
            for others in [Others::Same, Others::Apart] {
                let names = names(map, others);
                for theirs in ALL {
                    let shown = names.shown(theirs);
                    assert_eq!(names.of_project(&shown).as_deref(), Some(theirs), "{shown} of {names:?}");
                }
                for ours in ALL {
                    if let Some(theirs) = names.of_project(ours) {
                        assert_eq!(names.shown(&theirs), ours, "{theirs} of {names:?}");
                    }
                    let caller = names.of_caller(ours);
                    assert!(caller.is_none() || caller == names.of_project(ours));
                }
            }
        }
    }

    #[test]
    fn nobody_becomes_another_by_having_a_name_that_is_taken() {
        let names = names(&[("a", "b")], Others::Same);
        assert_eq!(names.of_caller("a").as_deref(), Some("b"));
        assert_eq!(names.of_caller("b"), None);
        assert_eq!(names.of_caller("paris:a"), None, "a project of the store is nobody's here");
        assert_eq!(names.of_caller("c").as_deref(), Some("c"));
        assert_eq!((names.shown("b"), names.shown("a")), ("a".to_owned(), "paris:a".to_owned()));
    }

    #[test]
    fn apart_only_what_is_named_is_known() {
        let names = names(&[("a", "b")], Others::Apart);
        assert_eq!((names.of_caller("c"), names.of_project("c")), (None, None));
        assert_eq!(names.shown("c"), "paris:c");
        assert_eq!(names.of_project("paris:c").as_deref(), Some("c"));
    }

    #[test]
    fn two_projects_cannot_have_one_name_nor_ours_one_that_is_for_theirs() {
        let of = |pairs: [(&str, &str); 2]| {
            let projects = pairs.map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()));
            Names::new("paris", projects.into(), Others::Same).unwrap_err().to_string()
        };
        assert!(of([("a", "x"), ("b", "x")]).contains("'x'"));
        assert!(of([("paris:a", "x"), ("b", "y")]).contains("'paris:a'"));
    }
}
