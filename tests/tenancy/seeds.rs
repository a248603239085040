//! Images that are there before anybody asks, some of them in several stores.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fastrand::Rng;
use image_service::{Caller, Context, Digester, ImageId, NewImage, Sharing as _, Timestamp};

use crate::deeds::VISIBILITIES;
use crate::expected::{data_of, name_of};
use crate::people::PROJECTS;
use crate::rules::{Image, is_wider};
use crate::world::World;

/// Puts `count` images into the stores that can be reached behind everybody's back. Most lie in one store, some in
/// two.
pub(crate) async fn sow(world: &World, seed: u64, count: usize) -> BTreeMap<usize, Image> {
    let mut rng = Rng::with_seed(seed);
    let reachable: Vec<usize> =
        (0..world.stores.len()).filter(|store| world.stores[*store].memory.is_some()).collect();
    let mut images = BTreeMap::new();
    for number in 0..if reachable.is_empty() { 0 } else { count } {
        let mut stores = reachable.clone();
        rng.shuffle(&mut stores);
        let count = rng.usize(1..3);
        // Which of two copies somebody sees would hang on the ceiling of each.
        let is_capped = world.stores.iter().any(|store| store.ceiling != "public");
        stores.truncate(if is_capped { 1 } else { count });
        stores.sort_unstable();
        let mut image = draw(&mut rng, number, stores);
        for store in &image.stores {
            put(world, *store, &image, *store == image.stores[0]).await;
        }
        image.ceiling = world.stores[image.stores[0]].ceiling;
        image.above = is_wider(image.visibility, image.ceiling);
        if image.above {
            image.visibility = image.ceiling;
        }
        images.insert(number, image);
    }
    images
}

fn draw(rng: &mut Rng, number: usize, stores: Vec<usize>) -> Image {
    let members: BTreeMap<String, &'static str> = match rng.u8(..3) {
        0 => BTreeMap::from([("pb".to_owned(), "accepted"), ("pc".to_owned(), "pending")]),
        1 => BTreeMap::from([("pa".to_owned(), "rejected")]),
        _ => BTreeMap::new(),
    };
    Image {
        id: format!("00000000-0000-4000-8000-{number:012}"),
        name: name_of(number, 0),
        owner: Some(PROJECTS[rng.usize(..3)].to_owned()),
        visibility: VISIBILITIES[rng.usize(..4)],
        hidden: rng.u8(..6) == 0,
        protected: rng.u8(..8) == 0,
        status: "active",
        data: data_of(number, rng.usize(1..20)),
        tags: BTreeSet::new(),
        members,
        stores,
        drifted: false,
        ceiling: "public",
        above: false,
    }
}

async fn put(world: &World, store: usize, image: &Image, is_home: bool) {
    let Some(memory) = &world.stores[store].memory else { return };
    let called = |project: &str| world.stores[store].called(project).to_owned();
    let mut digester = Digester::default();
    digester.update(&image.data);
    let new = NewImage {
        id: Some(ImageId::lookup(image.id.as_str())),
        name: Some(image.name.clone()),
        visibility: Some(image.visibility.parse().unwrap()),
        owner: Some(image.owner.as_deref().map(called)),
        disk_format: Some("raw".to_owned()),
        container_format: Some("bare".to_owned()),
        hidden: image.hidden,
        protected: image.protected,
        ..NewImage::default()
    };
    let then = Timestamp::from_second(1_700_000_000 + i64::try_from(store).unwrap()).unwrap();
    let mut record = new.into_image(&Caller::administrator(), then).unwrap();
    record.finish_upload(digester.finish(None).unwrap(), then);
    memory.seed(record.clone(), Some(Bytes::from(image.data.clone()))).unwrap();
    if !is_home {
        return;
    }
    let context = Context::new(Caller::administrator(), "req-seed");
    let shared = image_service::Image { visibility: image_service::Visibility::Shared, ..record.clone() };
    memory.seed(shared, Some(Bytes::from(image.data.clone()))).unwrap();
    for (member, said) in &image.members {
        memory.add_member(&context, &record.id, &called(member)).await.unwrap();
        memory.set_member_status(&context, &record.id, &called(member), said.parse().unwrap()).await.unwrap();
    }
    // The rows stay with an image that is not shared.
    let change = image_service::ImageChange { visibility: Some(record.visibility), ..Default::default() };
    image_service::ImageService::update(memory.as_ref(), &context, &record.id, change, None).await.unwrap();
}
