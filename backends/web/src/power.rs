//! Locations: looked at, added, arranged, removed.
//!
//! A server elsewhere is never asked in a transaction, and never for a caller who would be refused anyhow. The rules are
//! tested before it is asked, and again with its answer.

use async_trait::async_trait;
use image_service::{
    Caller, Context, Error, ErrorKind, Image, ImageId, Known, Location, Locations, MOST_LOCATIONS,
    MOST_PER_IMAGE, NewLocation, Result, Status, Timestamp, Upload,
};
use portico_catalogue::{Fault, changeable, find_image, replace_image};
use rusqlite::Connection;

use crate::rows;
use crate::web::Web;

/// Most bytes of a URL.
const LONGEST_URL: usize = 2048;

#[async_trait]
impl Locations for Web {
    fn check(&self, url: &str) -> Result<()> {
        if url.len() > LONGEST_URL {
            return Err(Error::invalid(format!("the URL is longer than {LONGEST_URL} bytes")));
        }
        self.jobs.store().fetcher.check(url).map(drop)
    }

    async fn of(&self, context: &Context, images: &[Image]) -> Result<Vec<Vec<Location>>> {
        let ids: Vec<ImageId> = images.iter().map(|image| image.id.clone()).collect();
        self.jobs.read(context, move |snapshot| ids.iter().map(|id| rows::of(snapshot, id)).collect()).await
    }

    async fn prepare(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        self.check(url)?;
        let (caller, id) = (context.caller.clone(), id.clone());
        self.jobs
            .read(context, move |snapshot| {
                let image = changeable(snapshot, &caller, &id)?;
                // A trial: what it becomes is thrown away.
                image.clone().activate(0, Known::default(), Timestamp::now())?;
                Ok(image)
            })
            .await
    }

    async fn open(&self, _: &Context, _: &Image, url: &str) -> Result<Upload> {
        self.check(url)?;
        let fetched = self.jobs.store().fetcher.open(url).await.map_err(unfit)?;
        Ok(Upload { size: fetched.size, ..Upload::new(fetched.stream) })
    }

    async fn add(&self, context: &Context, id: &ImageId, mut new: NewLocation) -> Result<Image> {
        self.check(&new.location.url)?;
        let (caller, asked, first) = (context.caller.clone(), id.clone(), new.clone());
        // The size that is not known yet can still be any.
        self.jobs.read(context, move |snapshot| with(snapshot, &caller, &asked, first)).await?;
        if new.known.size.is_none() {
            new.known.size = self.jobs.store().fetcher.size(&new.location.url).await.map_err(unfit)?;
            if new.known.size.is_none() {
                return Err(Error::invalid(
                    "invalid location: the server does not say how much data there is",
                ));
            }
        }
        let (caller, id) = (context.caller.clone(), id.clone());
        self.jobs
            .write(context, move |transaction| {
                let (image, locations) = with(transaction, &caller, &id, new)?;
                replace_image(transaction, &image)?;
                rows::replace(transaction, &id, &locations)?;
                Ok(image)
            })
            .await
    }

    async fn arrange(&self, context: &Context, id: &ImageId, locations: Vec<Location>) -> Result<Image> {
        for location in &locations {
            check_notes(location)?;
        }
        self.change(context, id, move |now| {
            let sorted = |locations: &[Location]| {
                let mut urls: Vec<String> = locations.iter().map(|location| location.url.clone()).collect();
                urls.sort_unstable();
                urls
            };
            if sorted(&locations) != sorted(now) {
                return Err(Error::invalid("the URLs must be those that the image has"));
            }
            Ok(locations)
        })
        .await
    }

    async fn remove(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        let url = url.to_owned();
        self.change(context, id, move |now| {
            let left: Vec<Location> = now.iter().filter(|location| location.url != url).cloned().collect();
            if left.len() == now.len() {
                return Err(Error::new(ErrorKind::NotFound, "the image has no location of this URL"));
            }
            if left.is_empty() {
                return Err(Error::forbidden("the last location of an image cannot be removed"));
            }
            Ok(left)
        })
        .await
    }
}

impl Web {
    /// Gives an active image other locations.
    async fn change(
        &self,
        context: &Context,
        id: &ImageId,
        edit: impl FnOnce(&[Location]) -> Result<Vec<Location>> + Send + 'static,
    ) -> Result<Image> {
        let (caller, id) = (context.caller.clone(), id.clone());
        self.jobs
            .write(context, move |transaction| {
                let mut image = changeable(transaction, &caller, &id)?;
                if image.status != Status::Active {
                    return Err(not_now(&image).into());
                }
                let now = rows::of(transaction, &id)?;
                let edited = edit(&now)?;
                if edited != now {
                    image.updated_at = Timestamp::now().max(image.updated_at);
                    replace_image(transaction, &image)?;
                    rows::replace(transaction, &id, &edited)?;
                }
                Ok(find_image(transaction, &id)?.unwrap_or(image))
            })
            .await
    }
}

/// The image with one more location, and all its locations.
fn with(
    connection: &Connection,
    caller: &Caller,
    id: &ImageId,
    new: NewLocation,
) -> Result<(Image, Vec<Location>), Fault> {
    check_notes(&new.location)?;
    let mut image = changeable(connection, caller, id)?;
    let mut locations = rows::of(connection, id)?;
    if locations.iter().any(|location| location.url == new.location.url) {
        return Err(Error::invalid("the image has a location of this URL already").into());
    }
    if locations.len() >= MOST_LOCATIONS {
        let message =
            format!("the limit on locations is {MOST_LOCATIONS} and {} were attempted", locations.len() + 1);
        return Err(Error::new(ErrorKind::TooLarge, message).into());
    }
    let now = Timestamp::now();
    match image.status {
        Status::Queued => image.activate(new.known.size.unwrap_or_default(), new.known, now)?,
        Status::Active => {
            image.must_have(&new.known)?;
            image.updated_at = now.max(image.updated_at);
        }
        _ => return Err(not_now(&image).into()),
    }
    let at = new.at.unwrap_or(usize::MAX).min(locations.len());
    locations.insert(at, Location { store: None, ..new.location });
    Ok((image, locations))
}

fn check_notes(location: &Location) -> Result<()> {
    if location.metadata.len() > MOST_PER_IMAGE {
        let message = format!("the limit on metadata of a location is {MOST_PER_IMAGE}");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(())
}

fn not_now(image: &Image) -> Error {
    Error::conflict(format!("the locations of an image that is {} cannot be changed so", image.status))
}

/// What lies at a URL cannot be had: that is said to whoever named it.
fn unfit(error: Error) -> Error {
    if error.kind() == ErrorKind::TooLarge {
        return error;
    }
    Error::invalid(format!("invalid location: {}", error.message())).with_source(error)
}
