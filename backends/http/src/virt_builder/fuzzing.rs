//! What must hold of an index whatever a source publishes.

use bytes::Bytes;
use image_service::ErrorKind;

use super::{VirtBuilder, ini};
use crate::published::fuzzing::{must_be_a_catalogue, must_be_refused, root};
use crate::published::{Document, Packing, PublishedDialect, PublishedOptions, Trust};

/// An index is refused, or has sections whose fields are said once, and comes to images that keep to their rules. A file
/// is unpacked if its name says so, and only then. Read again it comes to the same.
pub fn check_templates(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        must_have_fields_once(text);
    }
    let root = root();
    let options = PublishedOptions::new(PublishedDialect::VirtBuilder, root.clone());
    let reading = VirtBuilder::new("mirror", &options, Trust::Anybody).reading;
    let document = Document::new(Bytes::copy_from_slice(bytes), None);
    let index = match reading.index(&root, &document) {
        Err(error) => return must_be_refused(&error),
        Ok(index) => index,
    };
    let items = &index.items;
    must_be_a_catalogue(items, &root);
    for item in items {
        let is_packed = matches!(item.file.packing, Packing::Xz { .. });
        assert_eq!(is_packed, item.file.url.path().ends_with(".xz"), "{item:?}");
    }
    let again = reading.index(&root, &document).expect("it was read before");
    assert_eq!(format!("{again:?}"), format!("{index:?}"));
}

fn must_have_fields_once(text: &str) {
    let sections = match ini::sections(text) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Internal);
            return must_be_refused(&error);
        }
        Ok(sections) => sections,
    };
    for section in sections {
        assert!(!section.name.is_empty() && section.name.is_ascii(), "{section:?}");
        let mut names: Vec<&str> = section.plain().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{section:?}");
        for (name, value) in section.plain() {
            assert_eq!(section.get(name, None), Some(value));
        }
    }
}
