//! `detail` for a service that has none: `index`, then `show` of each.
//!
//! This is what the 2010 controller did on `NotImplementedError`, and what the 2011 documentation went on to
//! promise after the code for it had gone.

use futures::{StreamExt, TryStreamExt};

use crate::{Context, Error, ErrorKind, Image, ImageId, ImageService, Page, Query, Result};

/// How often a page all of whose images vanish before they are shown is asked for again.
const TRIES: usize = 8;

/// Lists with details by asking `index` and then showing each image, at most `width` at a time.
///
/// Order, limit and [`Page::more`] are those of `index`. An image that has gone between the two is left out.
/// If that leaves nothing of a page that promised more, the page is asked for again, a few times: what is gone
/// cannot come back, and an empty page still means the end.
///
/// # Errors
/// Those of `index`, and those of `show` but `NotFound`; `Unavailable` if images vanish faster than they can be
/// shown.
pub async fn detail_by_show(
    service: &dyn ImageService,
    context: &Context,
    query: &Query,
    width: usize,
) -> Result<Page<Image>> {
    for _ in 0..TRIES {
        let index = service.index(context, query).await?;
        let ids: Vec<ImageId> = index.items.into_iter().map(|summary| summary.id).collect();
        let shown: Vec<Option<Image>> = futures::stream::iter(ids)
            .map(|id| async move {
                match service.show(context, &id).await {
                    Ok(image) => Ok(Some(image)),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .buffered(width.max(1))
            .try_collect()
            .await?;
        let images: Vec<Image> = shown.into_iter().flatten().collect();
        if !images.is_empty() || !index.more {
            return Ok(Page {
                more: index.more,
                items: images,
                sources: index.sources,
                resume: index.resume,
            });
        }
    }
    Err(Error::new(ErrorKind::Unavailable, "images vanish faster than they can be listed").answered())
}
