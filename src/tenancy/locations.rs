//! Locations of images of a store behind a ceiling: the store's own, for whoever sees the image here.

use async_trait::async_trait;
use image_service::{Context, Error, Image, ImageId, Location, Locations, NewLocation, Result, Upload};

use super::Tenancy;

impl Tenancy {
    fn keeper(&self) -> Result<&dyn Locations> {
        self.inner.locations().ok_or_else(|| Error::not_implemented("a location"))
    }

    /// The request as the store is to see it, for a caller who sees the image here.
    async fn behind_for(&self, context: &Context, id: &ImageId) -> Result<Context> {
        let behind = self.behind(context);
        self.require_visible(&behind, id).await?;
        Ok(behind)
    }
}

#[async_trait]
impl Locations for Tenancy {
    fn check(&self, url: &str) -> Result<()> {
        self.keeper()?.check(url)
    }

    /// The images have been shown here, so that they may be seen.
    async fn of(&self, context: &Context, images: &[Image]) -> Result<Vec<Vec<Location>>> {
        self.keeper()?.of(&self.behind(context), images).await
    }

    async fn prepare(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        let behind = self.behind_for(context, id).await?;
        Ok(self.shown(self.keeper()?.prepare(&behind, id, url).await?))
    }

    async fn open(&self, context: &Context, image: &Image, url: &str) -> Result<Upload> {
        self.keeper()?.open(&self.behind(context), image, url).await
    }

    async fn add(&self, context: &Context, id: &ImageId, new: NewLocation) -> Result<Image> {
        let behind = self.behind_for(context, id).await?;
        Ok(self.shown(self.keeper()?.add(&behind, id, new).await?))
    }

    async fn arrange(&self, context: &Context, id: &ImageId, locations: Vec<Location>) -> Result<Image> {
        let behind = self.behind_for(context, id).await?;
        Ok(self.shown(self.keeper()?.arrange(&behind, id, locations).await?))
    }

    async fn remove(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        let behind = self.behind_for(context, id).await?;
        Ok(self.shown(self.keeper()?.remove(&behind, id, url).await?))
    }
}
