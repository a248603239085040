//! Federations to test, out of backends in memory.

use std::sync::Arc;

use image_service::{Caller, Context, Image, ImageId, ImageService, NewImage, Page, Query, Timestamp};
use portico::federation::{Backend, Federation, Settings};

use crate::DEADLINE;
use crate::bent::{Bend, bent};
use crate::paper;

pub(crate) type Named = (&'static str, Arc<dyn ImageService>);

pub(crate) async fn memory() -> Arc<dyn ImageService> {
    portico_memory::open("memory", portico_memory::Options::default()).await.unwrap()
}

/// A memory that holds images with these numbers, all made in the same second.
pub(crate) fn holding(numbers: impl IntoIterator<Item = u32>) -> Arc<dyn ImageService> {
    let memory = portico_memory::Memory::new("memory", portico_memory::Options::default());
    for number in numbers {
        memory.seed(image(number), None).unwrap();
    }
    Arc::new(memory)
}

/// The image of a number.
pub(crate) fn image(number: u32) -> Image {
    let new = NewImage {
        id: Some(ImageId::derived("images", &number.to_string())),
        name: Some(format!("image {number}")),
        ..NewImage::default()
    };
    new.into_image(&Caller::administrator(), Timestamp::from_second(1_000_000_000).unwrap()).unwrap()
}

pub(crate) fn federation(members: Vec<Named>) -> Arc<dyn ImageService> {
    Arc::new(concrete(members))
}

pub(crate) fn concrete(members: Vec<Named>) -> Federation {
    Federation::new(members.into_iter().map(backend).collect(), Settings::default()).unwrap()
}

pub(crate) fn backend((name, service): Named) -> Backend {
    paper::ready();
    Backend { name: name.into(), kind: "memory".into(), description: None, service, deadline: DEADLINE }
}

/// A federation whose new images go to its members in turn.
pub(crate) fn spread(members: Vec<Named>) -> Arc<dyn ImageService> {
    let stores: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    spread_over(members, &stores)
}

/// A federation whose new images go to these of its members in turn.
pub(crate) fn spread_over(members: Vec<Named>, stores: &[&str]) -> Arc<dyn ImageService> {
    let stores = stores.iter().map(|name| (*name).to_owned()).collect();
    bent(federation(members), Bend::Spread(stores))
}

pub(crate) fn context() -> Context {
    Context::new(Caller::administrator(), "req-test")
}

/// Reads a list to its end, page by page, by the position of the last image of each page.
pub(crate) async fn walk(service: &dyn ImageService, query: &Query) -> Vec<Image> {
    let mut query = query.clone();
    let mut walked: Vec<Image> = Vec::new();
    for _ in 0..10_000 {
        let Page { items, more, resume, .. } = service.detail(&context(), &query).await.unwrap();
        assert!(query.limit.is_none_or(|limit| items.len() <= limit.get()), "a page over its limit");
        assert!(!(more && items.is_empty()), "an empty page that promises more");
        walked.extend(items);
        if !more {
            return walked;
        }
        query.position = walked.last().map(|last| query.sort.position_of(last));
        query.resume = resume;
    }
    panic!("the walk does not end");
}
