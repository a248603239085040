//! What the cases make, and what has become of it: images and bytes.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::StreamExt;

use super::feed::step_aside;
use super::fixture::Fixture;
use crate::{
    ByteRange, Context, Data, Digester, HASH_ALGORITHM, Image, ImageChange, ImageId, NewImage, Result,
    Status, Upload, Visibility,
};

/// How often a case asks whether something has come about.
const PATIENCE: usize = 50_000;

impl Fixture {
    /// The least of an image that data can be given to. It carries the tag of the case.
    pub(super) fn draft(&self) -> NewImage {
        NewImage {
            disk_format: Some("raw".into()),
            container_format: Some("bare".into()),
            tags: BTreeSet::from([self.tag().to_owned()]),
            ..NewImage::default()
        }
    }

    /// A draft with a name.
    pub(super) fn named(&self, name: &str) -> NewImage {
        NewImage { name: Some(name.into()), ..self.draft() }
    }

    /// A draft of some visibility.
    pub(super) fn visible(&self, visibility: Visibility) -> NewImage {
        NewImage { visibility: Some(visibility), ..self.draft() }
    }

    /// Makes the owner's image, without data.
    pub(super) async fn make(&self, image: NewImage) -> Image {
        self.make_as(&self.admin_for(&image), image, None).await
    }

    /// Makes the owner's image, with data.
    pub(super) async fn make_with(&self, image: NewImage, bytes: &Bytes) -> Image {
        let context = self.admin_for(&image);
        if self.maker().capabilities().uploads.is_yes() {
            return self.make_as(&context, image, Some(Upload::from_bytes(bytes.clone()))).await;
        }
        // A service that takes no data is told where it lies.
        let queued = self.make_as(&context, image, None).await;
        let locations = self.maker().locations().unwrap();
        locations.add(&context, &queued.id, self.located(bytes)).await.unwrap()
    }

    async fn make_as(&self, context: &Context, mut image: NewImage, data: Option<Upload>) -> Image {
        image.owner.get_or_insert_with(|| self.owner().caller.project);
        self.maker().create(context, image, data).await.unwrap()
    }

    // Services with a policy let administrators alone publish images.
    fn admin_for(&self, image: &NewImage) -> Context {
        let public = image.visibility == Some(Visibility::Public);
        if public || image.owner.is_some() { self.admin() } else { self.owner() }
    }

    /// Changes an image in preparation of a case.
    pub(super) async fn change(&self, image: &Image, change: ImageChange) -> Image {
        self.maker().update(&self.admin(), &image.id, change, None).await.unwrap()
    }

    /// Deletes an image in preparation of a case.
    pub(super) async fn remove(&self, image: &Image) {
        self.maker().delete(&self.admin(), &image.id).await.unwrap();
    }

    /// What the owner is shown.
    pub(super) async fn shown(&self, id: &ImageId) -> Image {
        self.service().show(&self.owner(), id).await.unwrap()
    }

    /// What the owner reads.
    pub(super) async fn bytes_of(&self, id: &ImageId, range: Option<ByteRange>) -> Vec<u8> {
        let download = self.service().get(&self.owner(), id, range).await.unwrap();
        whole(download.data.unwrap()).await.unwrap()
    }

    /// Gives data to an image of the owner's.
    pub(super) async fn upload(&self, id: &ImageId, data: Upload) -> Result<Image> {
        self.service().update(&self.owner(), id, ImageChange::default(), Some(data)).await
    }

    /// Waits until an image is in `status`.
    pub(super) async fn until(&self, id: &ImageId, status: Status) -> Image {
        let mut last = None;
        for _ in 0..PATIENCE {
            let image = self.shown(id).await;
            if image.status == status {
                return image;
            }
            last = Some(image.status);
            step_aside().await;
        }
        panic!("the image never became {status}, and at last is {last:?}");
    }

    /// Waits until an image is not there any more.
    pub(super) async fn until_missing(&self, id: &ImageId) {
        for _ in 0..PATIENCE {
            let answer = self.service().show(&self.owner(), id).await;
            if answer.is_err() {
                return self.assert_missing(answer);
            }
            step_aside().await;
        }
        panic!("the image is still there");
    }

    /// Waits until no image of the case has data on its way, and gives all there are.
    pub(super) async fn until_nothing_is_saving(&self) -> Vec<Image> {
        for _ in 0..PATIENCE {
            let images = self.all(&self.owner(), self.query()).await;
            if images.iter().all(|image| image.status != Status::Saving) {
                return images;
            }
            step_aside().await;
        }
        panic!("an image is still saving");
    }
}

/// Bytes that look different wherever one looks.
pub(super) fn pattern(length: usize) -> Bytes {
    (0..length).map(|at| u8::try_from((at * 7 + at / 251) % 251).unwrap_or_default()).collect()
}

/// Checks that size and hashes are those of `bytes`. Which strong hash it is, is the service's choice.
#[track_caller]
pub(super) fn check_digests(image: &Image, bytes: &Bytes) {
    let mut digester = Digester::default();
    digester.update(bytes);
    let digests = digester.finish(None).unwrap();
    assert_eq!(image.size, Some(digests.size));
    assert_eq!(image.checksum, Some(digests.checksum));
    let Some(hash) = &image.hash else { panic!("there is no strong hash") };
    assert!(hash.algorithm != HASH_ALGORITHM || *hash == digests.hash, "{hash:?} is not {:?}", digests.hash);
}

/// All bytes of some data, and no more than there should be.
pub(super) async fn whole(data: Data) -> Result<Vec<u8>> {
    let range = data.range.clone();
    let (expected, mut stream) = (range.end - range.start, data.into_stream());
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        assert!(bytes.len() as u64 <= expected, "more came than {range:?} has");
        step_aside().await;
    }
    Ok(bytes)
}
