//! Opening an image's data: at its home, or while that is silent, at another copy of the same data.

use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt, stream};
use image_service::{
    ByteRange, ByteStream, Context, Data, Download, Error, ErrorKind, ImageId, Result, access,
};

use super::Federation;
use super::guard::Guard;
use super::hedge::hedged;
use super::locate::Located;
use super::placement::Copies;

impl Federation {
    /// Opens the data of an image, asking the backends that hints name at once, so that the usual download costs one
    /// call.
    ///
    /// If the home of an image with several copies is slow, another copy may be opened in its place: only one whose
    /// strong hash is the one that the home was seen to have, while both were active. That the home was deactivated
    /// since, by others than this federation, is not noticed then until hints are too old to be used.
    ///
    /// A request that prefers stores is answered from the first of them that has the data and gives it.
    ///
    /// # Errors
    /// Those of `ImageService::get`.
    pub(super) async fn read_data(
        &self,
        context: &Context,
        id: &ImageId,
        range: Option<ByteRange>,
    ) -> Result<Download> {
        // Hints know the home, and who prefers a store wants to hear of all.
        if context.prefer.is_empty() {
            match self.read_hinted(context, id, range).await {
                Some(Ok(download)) => return Ok(download),
                Some(Err(error)) if !is_elsewhere(error.kind()) => return Err(error),
                Some(Err(_)) | None => {}
            }
        }
        let located = self.search(context, id).await?;
        access::may_read_data(&context.caller, &located.image, Some(image_service::MemberStatus::Accepted))?;
        let download = self.open_any(context, &located.native, range, &located.copies).await?;
        Ok(self.as_located(download, located))
    }

    /// Opens the data of an image where hints say that it is. `None` if they say nothing, or nothing that is true.
    async fn read_hinted(
        &self,
        context: &Context,
        id: &ImageId,
        range: Option<ByteRange>,
    ) -> Option<Result<Download>> {
        if let Some([only]) = self.owners.of(id).as_deref() {
            let answer = self.open(context, id, range, (self.guards.get(*only).map(|_| *only)?, &[])).await;
            let download = answer.map(|download| self.at_stores(download, &[*only]));
            return is_data(&download).then_some(download);
        }
        let twins = self.owners.twins(id)?;
        let known = twins.copies.with_data.as_slice();
        let home = self.guards.get(twins.copies.home)?;
        let first = self.open(context, id, range, (twins.copies.home, known));
        let answer = match self.second(twins.others()) {
            Some((other, _)) => {
                let second = async {
                    let answer = self.open(context, id, range, (other, known)).await.ok();
                    answer.filter(|download| download.data.is_some() && twins.gives_data(&download.image))
                };
                hedged(first, home.patience(), || home.may_hedge("get"), second).await
            }
            None => first.await,
        };
        if matches!(&answer, Ok(download) if !twins.has_data(&download.image)) {
            return None;
        }
        let download = answer.map(|download| self.at_stores(download, &twins.copies.with_data));
        is_data(&download).then_some(download)
    }

    async fn open_any(
        &self,
        context: &Context,
        id: &ImageId,
        range: Option<ByteRange>,
        copies: &Copies,
    ) -> Result<Download> {
        let mut last = None;
        for source in self.in_order_of_preference(context, copies) {
            match self.open(context, id, range, (source, &copies.with_data)).await {
                Err(error) if is_elsewhere(error.kind()) => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(|| Error::not_found(id)))
    }

    /// Whom to ask for the data: the stores that the request prefers, then the home, then the others.
    fn in_order_of_preference(&self, context: &Context, copies: &Copies) -> Vec<usize> {
        let mut order = Vec::new();
        let preferred = context.prefer.iter().filter_map(|name| {
            copies.with_data.iter().find(|source| self.name_of(**source) == Some(name.as_str()))
        });
        for source in preferred.chain(std::iter::once(&copies.home)).chain(&copies.with_data) {
            if !order.contains(source) {
                order.push(*source);
            }
        }
        order
    }

    /// Opens the data in `source`, which is in `known` as well, and has it delivered.
    async fn open(
        &self,
        context: &Context,
        id: &ImageId,
        range: Option<ByteRange>,
        (source, known): (usize, &[usize]),
    ) -> Result<Download> {
        let guard = self.guard(source)?;
        if self.cooled.has(source, id) {
            return Err(damaged(id, guard));
        }
        let download = self.open_in(context, id, range, guard).await?;
        self.deliver(context, id, (source, known), download)
    }

    async fn open_in(
        &self,
        context: &Context,
        id: &ImageId,
        range: Option<ByteRange>,
        guard: &Guard,
    ) -> Result<Download> {
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

    /// The image of a download as it was located: by the id that the client knows.
    fn as_located(&self, mut download: Download, located: Located) -> Download {
        if located.image.id == located.native {
            download.image.stores = located.image.stores;
        } else {
            download.image = self.aliased(located.copies.home, download.image);
        }
        download
    }

    fn at_stores(&self, mut download: Download, sources: &[usize]) -> Download {
        let names = sources.iter().filter_map(|source| self.name_of(*source));
        download.image.stores = names.map(str::to_owned).collect();
        download
    }
}

/// Whether an answer is data, or an error that stands for it.
const fn is_data(answer: &Result<Download>) -> bool {
    match answer {
        Ok(download) => download.data.is_some(),
        Err(_) => true,
    }
}

/// A copy gave other data than its image's, and is not read again so soon.
fn damaged(id: &ImageId, guard: &Guard) -> Error {
    let name = &guard.backend().name;
    let message =
        format!("the data of image {id} in store '{name}' was not what was stored, and is not read for now");
    Error::new(ErrorKind::Unavailable, message).answered().with_origin(name, "get")
}

/// Whether another backend may do better.
pub(super) const fn is_elsewhere(kind: ErrorKind) -> bool {
    kind.is_silence() || matches!(kind, ErrorKind::NotFound | ErrorKind::Corrupt)
}

/// The part `range` of whole data, for a backend that cannot start in the middle.
pub(super) fn cut(data: Data, range: Range<u64>) -> Data {
    let total = data.total;
    let start = (data.into_stream(), range.start, range.end - range.start);
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
    Data::new(range, total, stream)
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
            let data = Data::new(0..10, 10, stream::iter(chunks).boxed());
            let part: Vec<Bytes> = cut(data, 3..8).into_stream().try_collect().await.unwrap();
            assert_eq!(part.concat(), b"34567", "in chunks of {size}");
        }
    }

    #[tokio::test]
    async fn an_error_in_whole_data_is_an_error_in_its_part() {
        let chunks = [Ok(Bytes::from_static(b"0123")), Err(Error::new(ErrorKind::Corrupt, "broken"))];
        let data = Data::new(0..10, 10, stream::iter(chunks).boxed());
        let part: Vec<Result<Bytes>> = cut(data, 2..8).into_stream().collect().await;
        assert_eq!(part.len(), 2);
        assert!(part[0].is_ok() && part[1].is_err());
    }
}
