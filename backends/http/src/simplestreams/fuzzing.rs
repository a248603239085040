//! What must hold of an index and of a stream whatever a mirror publishes.

use bytes::Bytes;

use super::{Read, Reading, Stream};
use crate::published::fuzzing::{must_be_a_catalogue, must_be_below, must_be_refused, root};
use crate::published::{Document, PublishedDialect, PublishedOptions, Trust, below};

/// The stream that is read. An input is its document, or an index.
const STREAM: &str = "com.example:released:download";

/// JSON is refused, or is an index whose streams lie below the root, or a stream of images that keep to their rules and of
/// which no two have one id. Read again it comes to the same.
pub fn check_products(bytes: &[u8]) {
    let root = root();
    let options = PublishedOptions::new(PublishedDialect::Simplestreams, root.clone());
    let reading = super::Simplestreams::new("mirror", &options, Trust::Anybody).reading;
    let document = Document::new(Bytes::copy_from_slice(bytes), None);
    match reading.index(&document) {
        Err(error) => must_be_refused(&error),
        Ok(Read::Products(_)) => panic!("an index is no stream"),
        Ok(Read::Index(index)) => {
            for stream in index.streams {
                if let Ok(url) = below(&root, &reading.name(&stream.path)) {
                    must_be_below(&url, &root);
                }
            }
        }
    }
    let stream = Stream { content_id: STREAM.to_owned(), path: String::from("streams/v1/x.json") };
    let read = |reading: &Reading| reading.products(&stream, &root, reading.room, &document);
    match read(&reading) {
        Err(error) => must_be_refused(&error),
        Ok(Read::Index(_)) => panic!("a stream is no index"),
        Ok(Read::Products(all)) => {
            let items = &all.items;
            must_be_a_catalogue(items, &root);
            let known = |format: &str| options.ftypes.values().any(|known| known == format);
            for item in items {
                assert!(item.image.disk_format.as_deref().is_some_and(known), "{:?}", item.image);
            }
            let mut ids: Vec<_> = items.iter().map(|item| &item.image.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), items.len(), "one stream names nothing twice");
            let Ok(Read::Products(again)) = read(&reading) else { panic!("it was read before") };
            assert_eq!(format!("{again:?}"), format!("{all:?}"));
        }
    }
}
