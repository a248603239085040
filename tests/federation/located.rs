//! Images whose data lies at URLs beside images whose data stores hold.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use image_service::{
    Digester, ErrorKind, Image, ImageChange, ImageService, Known, Locations, NewImage, NewLocation, Status,
    Upload,
};

use crate::made_of::{context, federation, memory};
use crate::served::{Served, web};

/// A store of data, one of locations, and both as one.
struct World {
    memory: Arc<dyn ImageService>,
    web: Arc<dyn ImageService>,
    served: Served,
    both: Arc<dyn ImageService>,
}

impl World {
    async fn new() -> Self {
        let (memory, (web, served)) = (memory().await, web().await);
        let both = federation(vec![("memory", Arc::clone(&memory)), ("web", Arc::clone(&web))]);
        Self { memory, web, served, both }
    }

    fn power(&self) -> &dyn Locations {
        self.both.locations().unwrap()
    }

    async fn make(&self, new: NewImage, data: Option<&'static [u8]>) -> Image {
        let new = NewImage { disk_format: Some("raw".into()), container_format: Some("bare".into()), ..new };
        self.both.create(&context(), new, data.map(Upload::from_bytes)).await.unwrap()
    }

    async fn urls(&self, image: &Image) -> Vec<String> {
        let lists = self.power().of(&context(), std::slice::from_ref(image)).await.unwrap();
        lists.into_iter().flatten().map(|location| location.url).collect()
    }

    async fn read(&self, image: &Image) -> Vec<u8> {
        let data = self.both.get(&context(), &image.id, None).await.unwrap().data.unwrap();
        data.into_stream().try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }
}

#[tokio::test]
async fn an_image_that_waits_for_a_location_can_get_data_instead() {
    let world = World::new().await;
    let image = world.make(NewImage { protected: true, ..NewImage::default() }, None).await;
    assert_eq!(image.stores, [""; 0]);
    let url = world.served.put("data");
    let prepared = world.power().prepare(&context(), &image.id, &url).await.unwrap();
    assert_eq!((&prepared.stores[..], prepared.protected), (&["web".to_owned()][..], true));
    assert_eq!(world.both.show(&context(), &image.id).await.unwrap(), prepared);
    let upload = Some(Upload::from_bytes("other"));
    let filled = world.both.update(&context(), &image.id, ImageChange::default(), upload).await.unwrap();
    assert_eq!((filled.status, &filled.stores[..]), (Status::Active, &["memory".to_owned()][..]));
    assert_eq!(world.urls(&filled).await, [format!("store://memory/{}", image.id)]);
    assert_eq!(world.web.show(&context(), &image.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_record_moves_to_where_its_location_is() {
    let world = World::new().await;
    for protected in [false, true] {
        let image = world.make(NewImage { protected, ..NewImage::default() }, None).await;
        let url = world.served.put("data");
        let added = world.power().add(&context(), &image.id, NewLocation::at_url(&url)).await.unwrap();
        assert_eq!((&added.stores[..], added.protected), (&["web".to_owned()][..], protected));
        assert_eq!(world.urls(&added).await, [url]);
        assert_eq!(world.memory.show(&context(), &image.id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(world.both.show(&context(), &image.id).await.unwrap(), added);
    }
}

#[tokio::test]
async fn a_location_that_gives_no_data_moves_nothing() {
    let world = World::new().await;
    let image = world.make(NewImage::default(), None).await;
    let url = world.served.put("data");
    world.served.clear();
    let answer = world.power().add(&context(), &image.id, NewLocation::at_url(&url)).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(world.memory.show(&context(), &image.id).await.unwrap(), image);
    assert_eq!(world.both.show(&context(), &image.id).await.unwrap(), image);
}

#[tokio::test]
async fn data_that_a_store_holds_and_its_copy_elsewhere_are_one_image() {
    let world = World::new().await;
    let image = world.make(NewImage { protected: true, ..NewImage::default() }, Some(b"data")).await;
    let own = format!("store://memory/{}", image.id);
    let [first, second] = [(); 2].map(|()| world.served.put("data"));
    for (url, urls) in [(&first, vec![&own, &first]), (&second, vec![&own, &first, &second])] {
        let added = world.power().add(&context(), &image.id, NewLocation::at_url(url)).await.unwrap();
        assert_eq!(added.stores, ["memory", "web"]);
        assert!(world.urls(&added).await.iter().eq(urls));
    }
    let copy = world.web.show(&context(), &image.id).await.unwrap();
    assert_eq!(
        (copy.hash, copy.checksum, copy.size),
        (image.hash.clone(), image.checksum.clone(), image.size)
    );
    assert!(copy.protected);
    // What holds the data itself goes as a copy goes; what is protected does not.
    let answer = world.power().remove(&context(), &image.id, &own).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Forbidden);
    let free = ImageChange { protected: Some(false), ..ImageChange::default() };
    world.both.update(&context(), &image.id, free, None).await.unwrap();
    let left = world.power().remove(&context(), &image.id, &own).await.unwrap();
    assert_eq!((&left.stores[..], left.size), (&["web".to_owned()][..], image.size));
    assert_eq!(world.urls(&left).await, [first.as_str(), &second]);
    assert_eq!(world.read(&left).await, b"data");
    world.both.delete(&context(), &image.id).await.unwrap();
    assert_eq!(world.web.show(&context(), &image.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_leaves_nothing_behind() {
    let world = World::new().await;
    let image = world.make(NewImage::default(), Some(b"data")).await;
    let other = world.served.put("others");
    let mut digester = Digester::default();
    digester.update(b"daza");
    let wrong = NewLocation {
        known: digester.finish(None).unwrap().into(),
        ..NewLocation::at_url(world.served.put("data"))
    };
    for new in [NewLocation::at_url(other), wrong] {
        let answer = world.power().add(&context(), &image.id, new).await;
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(world.web.show(&context(), &image.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(world.both.show(&context(), &image.id).await.unwrap(), image);
}

#[tokio::test]
async fn another_copy_gives_the_data_that_a_location_does_not() {
    let world = World::new().await;
    let (web, memory) = (Arc::clone(&world.web), Arc::clone(&world.memory));
    let both = federation(vec![("web", web), ("memory", memory)]);
    let image = world.make(NewImage::default(), Some(b"data")).await;
    let url = world.served.put("data");
    world.power().add(&context(), &image.id, NewLocation::at_url(url)).await.unwrap();
    world.served.clear();
    // The home does not give it, and is no worse a store for that.
    for _ in 0..8 {
        let download = both.get(&context(), &image.id, None).await.unwrap();
        assert_eq!(download.image.stores, ["web", "memory"]);
        let data: Vec<Bytes> = download.data.unwrap().into_stream().try_collect().await.unwrap();
        assert_eq!(data.concat(), b"data");
        assert_eq!(both.show(&context(), &image.id).await.unwrap().stores, ["web", "memory"]);
    }
}

#[tokio::test]
async fn data_that_ends_early_never_looks_whole_and_speaks_against_no_store() {
    let world = World::new().await;
    let known = Known { size: Some(4), ..Known::default() };
    for _ in 0..8 {
        let image = world.make(NewImage::default(), None).await;
        let half = stream::iter([Ok(Bytes::from_static(b"da"))]);
        let url = world.served.put_stream(half.boxed());
        let new = NewLocation { known: known.clone(), ..NewLocation::at_url(url) };
        world.power().add(&context(), &image.id, new).await.unwrap();
        let data = world.both.get(&context(), &image.id, None).await.unwrap().data.unwrap();
        let error = data.into_stream().try_collect::<Vec<Bytes>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        world.both.show(&context(), &image.id).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_of_locations_takes_records_by_name_and_no_data() {
    let world = World::new().await;
    let stores = world.both.stores().unwrap().list();
    let marks: Vec<_> = stores.iter().map(|store| (store.is_default, store.read_only)).collect();
    assert_eq!(marks, [(true, false), (false, true)]);
    let named = || NewImage { store: Some("web".into()), ..NewImage::default() };
    let image = world.make(named(), None).await;
    assert_eq!(image.stores, ["web"]);
    let refused = world.both.create(&context(), named(), Some(Upload::from_bytes("data"))).await;
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.message().contains("takes no data")), (ErrorKind::Forbidden, true));
    let upload = Upload { store: Some("web".into()), ..Upload::from_bytes("data") };
    let refused = world.both.update(&context(), &image.id, ImageChange::default(), Some(upload)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(world.both.show(&context(), &image.id).await.unwrap(), image);
}
