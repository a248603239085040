//! Opening an image's data: at its home, or while that is silent, at another copy of the same data.

use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt, stream};
use image_service::{
    ByteRange, ByteStream, Context, Data, Download, Error, ErrorKind, ImageId, Result, access,
};

use super::Federation;
use super::placement::Copies;

impl Federation {
    /// Opens the data of an image, asking the backend that a hint names at once, so that the usual download
    /// costs one call.
    ///
    /// # Errors
    /// Those of `ImageService::get`.
    pub(super) async fn read_data(
        &self,
        context: &Context,
        id: &ImageId,
        range: Option<ByteRange>,
    ) -> Result<Download> {
        if let Some([only]) = self.owners.of(id).as_deref() {
            match self.open(context, id, range, *only).await {
                Ok(download) if download.data.is_some() => return Ok(self.at_store(download, *only)),
                Err(error) if !is_elsewhere(error.kind()) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        let located = self.search(context, id).await?;
        access::may_read_data(&context.caller, &located.image, Some(image_service::MemberStatus::Accepted))?;
        let mut download = self.open_any(context, id, range, &located.copies).await?;
        download.image.stores = located.image.stores;
        Ok(download)
    }

    async fn open_any(
        &self,
        context: &Context,
        id: &ImageId,
        range: Option<ByteRange>,
        copies: &Copies,
    ) -> Result<Download> {
        let mut last = None;
        let others = copies.with_data.iter().filter(|source| **source != copies.home);
        for source in std::iter::once(&copies.home).chain(others) {
            match self.open(context, id, range, *source).await {
                Err(error) if is_elsewhere(error.kind()) => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(|| Error::not_found(id)))
    }

    async fn open(
        &self,
        context: &Context,
        id: &ImageId,
        range: Option<ByteRange>,
        source: usize,
    ) -> Result<Download> {
        let guard = self.guard(source)?;
        let service = guard.service();
        if range.is_none() || service.capabilities().ranges.is_yes() {
            return guard.open(context, || service.get(context, id, range)).await;
        }
        let mut download = guard.open(context, || service.get(context, id, None)).await?;
        if let (Some(data), Some(range)) = (download.data.take(), range) {
            let range = range.within(data.total)?;
            download.data = Some(cut(data, range));
        }
        Ok(download)
    }

    fn at_store(&self, mut download: Download, source: usize) -> Download {
        download.image.stores = self.name_of(source).map(str::to_owned).into_iter().collect();
        download
    }
}

/// Whether another backend may do better.
const fn is_elsewhere(kind: ErrorKind) -> bool {
    kind.is_silence() || matches!(kind, ErrorKind::NotFound | ErrorKind::Corrupt)
}

/// The part `range` of whole data, for a backend that cannot start in the middle.
fn cut(data: Data, range: Range<u64>) -> Data {
    let start = (data.stream, range.start, range.end - range.start);
    let stream: ByteStream = stream::unfold(start, async |(mut stream, mut skip, mut left)| {
        while left > 0 {
            let bytes: Bytes = match stream.next().await? {
                Ok(bytes) => bytes,
                Err(error) => return Some((Err(error), (stream, 0, 0))),
            };
            let skipped = usize::try_from(skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
            skip -= skipped as u64;
            let rest = bytes.slice(skipped..);
            let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
            if taken > 0 {
                left -= taken as u64;
                return Some((Ok(rest.slice(..taken)), (stream, skip, left)));
            }
        }
        None
    })
    .boxed();
    Data { range, total: data.total, stream }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_part_cut_out_of_whole_data_is_that_part_whatever_the_chunks() {
        for size in 1..=7 {
            let chunks: Vec<Result<Bytes>> =
                b"0123456789".chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            let data = Data { range: 0..10, total: 10, stream: stream::iter(chunks).boxed() };
            let part: Vec<Bytes> = cut(data, 3..8).stream.try_collect().await.unwrap();
            assert_eq!(part.concat(), b"34567", "in chunks of {size}");
        }
    }

    #[tokio::test]
    async fn an_error_in_whole_data_is_an_error_in_its_part() {
        let chunks = [Ok(Bytes::from_static(b"0123")), Err(Error::new(ErrorKind::Corrupt, "broken"))];
        let data = Data { range: 0..10, total: 10, stream: stream::iter(chunks).boxed() };
        let part: Vec<Result<Bytes>> = cut(data, 2..8).stream.collect().await;
        assert_eq!(part.len(), 2);
        assert!(part[0].is_ok() && part[1].is_err());
    }
}
