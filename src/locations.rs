//! Locations that are looked at before they are added: what lies there is read once, so that the image says what it is.
//!
//! Reading takes as long as it takes, so it is the work of a task ([`crate::imports`]). While it goes on the image stays
//! queued, as it does if it comes to nothing.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use image_service::{
    Context, Error, ErrorKind, HashAlgorithm, Image, ImageId, ImageService, Known, Locations, Measure,
    MultiHash, NewLocation, Result, Status,
};
use portico_hashing::Hashing;

/// Reads what lies at `url` once, as a location of a queued image: with the strong hash of the kind that is `expected`, or
/// else of the kind that stores compute. Looks now and then, as often as `look` says, whether the image is still to have it.
///
/// # Errors
/// `Invalid` if what lies there is not what is expected, or cannot be had; `UnsupportedFormat` if it is not what the image
/// declares; `Conflict` if the image has got data meanwhile; `NotFound` if it has gone.
pub async fn examine(
    service: &dyn ImageService,
    context: &Context,
    id: &ImageId,
    url: &str,
    expected: Option<MultiHash>,
    look: Duration,
) -> Result<Known> {
    let image = service.show(context, id).await?;
    let mut upload = power(service)?.open(context, &image, url).await?;
    let algorithm = match &expected {
        Some(expected) => expected.algorithm.parse()?,
        None => HashAlgorithm::Sha512,
    };
    let (mut checksum, mut strong) = (Hashing::new(HashAlgorithm::Md5), Hashing::new(algorithm));
    let mut measure = Measure::default();
    let mut looked = Instant::now();
    while let Some(bytes) = upload.stream.next().await {
        let bytes = bytes?;
        measure.update(&bytes);
        checksum.update(bytes.clone()).await?;
        strong.update(bytes).await?;
        if looked.elapsed() >= look {
            require_wanted(service, context, id).await?;
            looked = Instant::now();
        }
    }
    measure.check(upload.size)?;
    let digests = measure.finish(checksum.finish().await?, strong.finish().await?);
    match expected {
        Some(expected) if !expected.value.eq_ignore_ascii_case(&digests.hash.value) => Err(Error::invalid(
            format!("os_hash_value: the data has not the {} that it should have", expected.algorithm),
        )),
        _ => Ok(digests.into()),
    }
}

/// Adds a location that has been examined.
///
/// # Errors
/// Those of [`Locations::add`].
pub async fn add(
    service: &dyn ImageService,
    context: &Context,
    id: &ImageId,
    url: &str,
    known: Known,
) -> Result<Image> {
    power(service)?.add(context, id, NewLocation { known, ..NewLocation::at_url(url) }).await
}

fn power(service: &dyn ImageService) -> Result<&dyn Locations> {
    service.locations().ok_or_else(|| Error::not_implemented("a location"))
}

/// Lets through an image that still waits for data. That it cannot be told now is no reason to give up.
async fn require_wanted(service: &dyn ImageService, context: &Context, id: &ImageId) -> Result<()> {
    match service.show(context, id).await {
        Ok(image) if image.status != Status::Queued => {
            Err(Error::conflict(format!("the image is {} and waits for no data", image.status)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
