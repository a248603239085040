//! Definitions in files, put into the store: the JSON form that Glance's distribution carries, one namespace a file.
//!
//! A file is put in as a whole or not at all, each in a transaction of its own, so that a service which runs meanwhile
//! is kept waiting for no longer than that. A file with faults does not keep others from being put in.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use image_service::{Caller, Error, ErrorKind, Result};

use super::model::{Contents, Namespace};
use super::reading::Read;
use super::session::Session;
use super::store::Store;

/// Whose a namespace is of which the file does not say it, as in Glance.
const OWNER: &str = "admin";

/// What becomes of a namespace that is in the store already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// It stays as it is.
    #[default]
    Keep,
    /// What it does not have is put into it; the rest stays as it is.
    Merge,
    /// It is deleted, protected or not, and made anew.
    Overwrite,
}

/// What was put into the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Namespaces that are new, or made anew.
    pub namespaces: usize,
    /// Properties in namespaces, those of objects aside.
    pub properties: usize,
    /// Objects.
    pub objects: usize,
    /// Tags.
    pub tags: usize,
    /// Associations with types of resources.
    pub associations: usize,
    /// Namespaces that were there.
    pub kept: usize,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespaces, properties, objects, tags, associations, kept } = self;
        write!(
            f,
            "loaded: {namespaces} namespaces, {properties} properties, {objects} objects, {tags} tags, \
             {associations} associations; {kept} namespaces were there"
        )
    }
}

/// A file that was not put in, and why.
#[derive(Debug)]
pub struct Refused {
    /// The file, or what could not be looked into.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

/// Puts the files into the store, and of directories each file in them that ends in `.json`, by name.
pub fn load(store: &Store, paths: &[PathBuf], mode: Mode) -> (Loaded, Vec<Refused>) {
    let (mut loaded, mut refused) = (Loaded::default(), Vec::new());
    for path in paths {
        match files(path) {
            Ok(files) => {
                for path in files {
                    if let Err(error) = load_file(store, &path, mode, &mut loaded) {
                        refused.push(Refused { path, error });
                    }
                }
            }
            Err(error) => refused.push(Refused { path: path.clone(), error }),
        }
    }
    (loaded, refused)
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: io::Error| Error::invalid("cannot be read").with_source(error);
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::invalid("there is no file in it that ends in .json"));
    }
    files.sort();
    Ok(files)
}

fn load_file(store: &Store, path: &Path, mode: Mode, loaded: &mut Loaded) -> Result<()> {
    let (mut namespace, contents) = read(path, store.bounds().document)?;
    namespace.owner.get_or_insert_with(|| OWNER.to_owned());
    let more = store.write(&Caller::administrator(), |session| put(session, &namespace, contents, mode))?;
    loaded.namespaces += more.namespaces;
    loaded.properties += more.properties;
    loaded.objects += more.objects;
    loaded.tags += more.tags;
    loaded.associations += more.associations;
    loaded.kept += more.kept;
    Ok(())
}

fn read(path: &Path, most: usize) -> Result<(Namespace, Contents)> {
    let failed = |error: io::Error| Error::invalid("cannot be read").with_source(error);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most {
        return Err(Error::invalid(format!("is larger than metadefs.document, which is {most} bytes")));
    }
    let value =
        serde_json::from_slice(&bytes).map_err(|error| Error::invalid("is not JSON").with_source(error))?;
    Read::namespace(&value)
}

fn put(session: &Session<'_>, namespace: &Namespace, contents: Contents, mode: Mode) -> Result<Loaded> {
    let there = match session.namespace(&namespace.name) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    match mode {
        Mode::Keep if there => return Ok(Loaded { kept: 1, ..Loaded::default() }),
        Mode::Merge if there => {
            let missing = missing(session, &namespace.name, contents)?;
            session.fill(&namespace.name, &missing)?;
            return Ok(Loaded { kept: 1, ..counted(&missing) });
        }
        Mode::Overwrite => session.wipe_namespace(&namespace.name)?,
        Mode::Keep | Mode::Merge => {}
    }
    session.add_namespace(namespace, &contents)?;
    Ok(Loaded { namespaces: 1, ..counted(&contents) })
}

/// What of `contents` the namespace does not have.
fn missing(session: &Session<'_>, name: &str, mut contents: Contents) -> Result<Contents> {
    let there = session.whole(name)?;
    let tags: BTreeSet<String> = there.tags.iter().map(|tag| super::rules::folded(tag)).collect();
    if let Some(properties) = &mut contents.properties {
        properties.retain(|name, _| !there.properties.contains_key(name));
    }
    if let Some(objects) = &mut contents.objects {
        objects.retain(|object| there.objects.iter().all(|known| known.it.name != object.name));
    }
    if let Some(associations) = &mut contents.associations {
        let known = |name: &str| there.associations.iter().any(|known| known.it.resource_type == name);
        associations.retain(|association| !known(&association.resource_type));
    }
    if let Some(given) = &mut contents.tags {
        given.retain(|tag| !tags.contains(&super::rules::folded(tag)));
    }
    Ok(contents)
}

fn counted(contents: &Contents) -> Loaded {
    Loaded {
        properties: contents.properties.as_ref().map_or(0, std::collections::BTreeMap::len),
        objects: contents.objects.as_ref().map_or(0, Vec::len),
        tags: contents.tags.as_ref().map_or(0, Vec::len),
        associations: contents.associations.as_ref().map_or(0, Vec::len),
        ..Loaded::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadefs::Bounds;
    use serde_json::{Value, json};

    struct Place {
        directory: tempfile::TempDir,
        store: Store,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let bounds = Bounds { document: 4096, ..Bounds::default() };
            let store = Store::open(&directory.path().join("store"), bounds).unwrap();
            Self { directory, store }
        }

        fn file(&self, name: &str, content: impl fmt::Display) -> PathBuf {
            let path = self.directory.path().join("files").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content.to_string()).unwrap();
            path
        }

        fn load(&self, mode: Mode) -> (Loaded, Vec<String>) {
            let (loaded, refused) = load(&self.store, &[self.directory.path().join("files")], mode);
            let told = |refused: Refused| {
                format!("{}: {}", refused.path.file_name().unwrap().display(), refused.error.chain())
            };
            (loaded, refused.into_iter().map(told).collect())
        }

        fn whole(&self, name: &str) -> crate::metadefs::Whole {
            self.store.read(&Caller::administrator(), |session| session.whole(name)).unwrap()
        }
    }

    fn definition(title: &str, more: &[&str]) -> Value {
        let schema = json!({"title": title, "type": "string"});
        let properties: serde_json::Map<String, Value> =
            more.iter().map(|name| ((*name).to_owned(), schema.clone())).collect();
        let named = |name: &&str| json!({ "name": name });
        json!({
            "namespace": "N", "description": title, "protected": true, "visibility": "public",
            "properties": properties,
            "objects": more.iter().map(named).collect::<Vec<_>>(),
            "tags": more.iter().map(named).collect::<Vec<_>>(),
            "resource_type_associations": more.iter().map(named).collect::<Vec<_>>(),
        })
    }

    const fn each(number: usize) -> Loaded {
        Loaded {
            namespaces: 0,
            properties: number,
            objects: number,
            tags: number,
            associations: number,
            kept: 0,
        }
    }

    #[test]
    fn what_is_there_is_kept_or_added_to_or_made_anew() {
        let place = Place::new();
        place.file("n.json", definition("old", &["a"]));
        assert_eq!(place.load(Mode::Keep), (Loaded { namespaces: 1, ..each(1) }, vec![]));
        assert_eq!(place.whole("N").namespace.it.owner.as_deref(), Some("admin"));

        place.file("n.json", definition("new", &["a", "b"]));
        assert_eq!(place.load(Mode::Keep), (Loaded { kept: 1, ..each(0) }, vec![]));
        assert_eq!(place.whole("N").tags, ["a"]);

        assert_eq!(place.load(Mode::Merge), (Loaded { kept: 1, ..each(1) }, vec![]));
        let whole = place.whole("N");
        assert_eq!(whole.namespace.it.description.as_deref(), Some("old"));
        assert_eq!(whole.properties["a"]["title"], "old");
        assert_eq!(whole.properties["b"]["title"], "new");
        assert_eq!((whole.tags.len(), whole.objects.len(), whole.associations.len()), (2, 2, 2));

        place.file("n.json", definition("newest", &["c"]));
        assert_eq!(place.load(Mode::Overwrite), (Loaded { namespaces: 1, ..each(1) }, vec![]));
        let whole = place.whole("N");
        assert_eq!(whole.namespace.it.description.as_deref(), Some("newest"));
        assert_eq!(whole.properties.keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!(whole.tags, ["c"]);
    }

    #[test]
    fn tags_that_differ_in_case_alone_are_not_added() {
        let place = Place::new();
        place.file("n.json", json!({"namespace": "N", "tags": [{"name": "A"}]}));
        place.load(Mode::Keep);
        place.file("n.json", json!({"namespace": "N", "tags": [{"name": "a"}, {"name": "b"}]}));
        assert_eq!(place.load(Mode::Merge), (Loaded { tags: 1, kept: 1, ..Loaded::default() }, vec![]));
    }

    #[test]
    fn every_file_with_a_fault_is_told_and_nothing_of_it_put_in() {
        let place = Place::new();
        place.file("a.json", "{");
        place.file("b.json", json!({"namespace": "B", "tags": [{"name": "x"}, {"name": "X"}]}));
        place.file("c.json", json!({"namespace": "C", "foo": 1, "visibility": "all"}));
        place.file("d.json", json!({"namespace": "D", "description": "x".repeat(5000)}));
        place.file("e.json", json!({"namespace": "E"}));
        place.file("read.me", "not looked at");
        let (loaded, refused) = place.load(Mode::Keep);
        assert_eq!(loaded, Loaded { namespaces: 1, ..each(0) });
        let expected = [
            ("a.json", "is not JSON"),
            ("b.json", "tag 'X'"),
            ("c.json", "foo: is not known"),
            ("d.json", "is larger than metadefs.document"),
        ];
        assert_eq!(refused.len(), expected.len(), "{refused:?}");
        for (refused, (file, why)) in refused.iter().zip(expected) {
            assert!(refused.starts_with(file) && refused.contains(why), "{refused}");
        }
        assert!(refused[2].contains("visibility: must be public or private"), "{}", refused[2]);
        let names = place.store.read(&Caller::administrator(), |session| session.resource_types());
        assert_eq!(names.unwrap(), []);
        let error = place.store.read(&Caller::administrator(), |session| session.whole("B")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_is_not_there_or_empty_is_told() {
        let place = Place::new();
        let (empty, absent) = (place.directory.path().join("empty"), place.directory.path().join("absent"));
        fs::create_dir(&empty).unwrap();
        let file = place.file("one", json!({"namespace": "N"}));
        let (loaded, refused) = load(&place.store, &[empty.clone(), absent.clone(), file], Mode::Keep);
        assert_eq!(loaded.namespaces, 1);
        assert_eq!(refused.iter().map(|refused| refused.path.clone()).collect::<Vec<_>>(), [empty, absent]);
    }
}
