//! What a project has, counted image by image.

use image_service::{
    Context, Field, Filter, Image, ImageService, Query, Result, Scope, Sort, Status, VisibilityScope,
};

use super::Resource;

/// An image with this property, not empty, is being copied to the stores that it names.
const COPYING: &str = "os_glance_importing_to_stores";

const MEBIBYTE: u64 = 1 << 20;

/// What a project has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    bytes: u64,
    staged_bytes: u64,
    images: u64,
    uploading: u64,
}

impl Used {
    /// How much it has of a resource, in whole units.
    #[must_use]
    pub const fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::SizeTotal => self.bytes / MEBIBYTE,
            Resource::StageTotal => self.staged_bytes / MEBIBYTE,
            Resource::CountTotal => self.images,
            Resource::CountUploading => self.uploading,
        }
    }

    fn add(&mut self, image: &Image) {
        let size = image.size.unwrap_or_default();
        self.images += 1;
        if image.has_data() {
            let copies = image.stores.len().max(1) as u64;
            self.bytes = self.bytes.saturating_add(size.saturating_mul(copies));
        }
        let staged = matches!(image.status, Status::Uploading | Status::Importing);
        if staged {
            self.staged_bytes = self.staged_bytes.saturating_add(size);
        }
        let copying = image.properties.get(COPYING).is_some_and(|stores| !stores.is_empty());
        if staged || copying || image.status == Status::Saving {
            self.uploading += 1;
        }
    }
}

/// Counts the images of `project`, the caller's own, of every visibility and hidden ones too.
pub(super) async fn of(service: &dyn ImageService, context: &Context, project: &str) -> Result<Used> {
    let mut query = Query {
        filters: vec![Filter::text(Field::Owner, project)],
        scope: Scope { visibility: VisibilityScope::All, ..Scope::default() },
        sort: Sort::default(),
        ..Query::default()
    };
    let mut used = Used::default();
    loop {
        let page = service.detail(context, &query).await?;
        page.items.iter().for_each(|image| used.add(image));
        // Each page begins behind the last image of the one before, so this comes to an end.
        let Some(last) = page.items.last().filter(|_| page.more) else { return Ok(used) };
        query.position = Some(query.sort.position_of(last));
        query.resume = page.resume;
    }
}
