//! Copies made on purpose: the data of an image into one more store, under the same id.
//!
//! The record comes first, without data, so that whoever changes or deletes the image meanwhile reaches the new copy
//! too, and what fails leaves nothing that anybody could read.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{
    ByteStream, Context, Error, ErrorKind, Image, ImageChange, ImageId, Member, MemberStatus, Result, Status,
    Upload, Visibility, access,
};

use super::Federation;
use super::locate::Located;
use super::verification::Check;
use super::write::members_of;

impl Federation {
    /// Puts data into one more store, as [`image_service::Stores::add_copy`] has it.
    pub(super) async fn copy_to(
        &self,
        context: &Context,
        id: &ImageId,
        store: &str,
        data: Upload,
    ) -> Result<Image> {
        let target = self.store_to_write(store)?;
        let located = self.search(context, id).await?;
        let image = &located.image;
        access::may_change(&context.caller, image, Some(MemberStatus::Accepted))?;
        if image.id != located.native || located.copies.conflicting.contains(&target) {
            let message = format!("store '{store}' has another image under the id that this one has there");
            return Err(Error::conflict(message));
        }
        if located.silent.contains(&target) {
            let message = format!("whether the image is in store '{store}' is not known: it does not answer");
            return Err(Error::new(ErrorKind::Unavailable, message).answered());
        }
        if located.copies.with_data.contains(&target) {
            return Err(Error::conflict(format!("the image is already in store '{store}'")));
        }
        if !matches!(image.status, Status::Queued | Status::Active) {
            return Err(Error::conflict(format!("the image is {} and not queued or active", image.status)));
        }
        if !located.copies.sources.contains(&target) {
            self.add_record(context, &located, target).await?;
        }
        let upload = Upload { store: None, ..data };
        let mismatch = Mismatch::default();
        let upload = if image.has_data() {
            let stream = same(upload.stream, image, mismatch.clone());
            Upload { stream, size: image.size.or(upload.size), store: None }
        } else {
            self.checked(upload, image.disk_format.as_deref(), image.container_format.as_deref())
        };
        let guard = self.guard(target)?;
        let update = |data| guard.service().update(context, id, ImageChange::default(), data);
        let answer = guard.upload("update", Some(upload), update).await;
        self.owners.forget_twins(id);
        // A store may tell any failure of the stream as one that broke off.
        let answer = answer.map(drop).map_err(|error| mismatch.take().unwrap_or(error));
        self.settle(context, &located, target, answer).await?;
        let located = self.search(context, id).await?;
        Ok(located.image)
    }

    /// Takes a copy back, as [`image_service::Stores::withdraw_copy`] has it.
    pub(super) async fn withdraw_from(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        let target = self.store_to_write(store)?;
        let located = self.search(context, id).await?;
        access::may_change(&context.caller, &located.image, Some(MemberStatus::Accepted))?;
        let mut others = located.copies.sources.iter().filter(|source| **source != target);
        if !located.copies.sources.contains(&target) || located.image.id != located.native {
            return Err(Error::new(ErrorKind::NotFound, format!("image {id} is not in store '{store}'")));
        }
        if others.all(|source| located.copies.conflicting.contains(source)) {
            return Err(Error::forbidden("the image is nowhere else"));
        }
        self.leave(context, &located.image, target).await
    }

    /// Moves a record, as [`image_service::Stores::move_record`] has it.
    pub(super) async fn move_to(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        let target = self.store_to_write(store)?;
        let located = self.search(context, id).await?;
        access::may_change(&context.caller, &located.image, Some(MemberStatus::Accepted))?;
        if located.image.status != Status::Queued {
            return Err(Error::conflict(format!("the image is {} and not queued", located.image.status)));
        }
        if located.copies.home == target {
            return Ok(());
        }
        let home = located.copies.home;
        self.copy_record(context, &located, target).await?;
        self.leave(context, &located.image, home).await
    }

    /// The number of a store that takes data.
    fn store_to_write(&self, store: &str) -> Result<usize> {
        let Some(target) = self.guards.iter().position(|guard| guard.backend().name == store) else {
            return Err(Error::conflict(format!("there is no store '{store}'")));
        };
        if !self.takes_data(target) {
            return Err(Error::forbidden(format!("store '{store}' takes no data")));
        }
        Ok(target)
    }

    /// Makes the record of an image in one more store, with the projects that it is shared with.
    pub(super) async fn add_record(&self, context: &Context, located: &Located, target: usize) -> Result<()> {
        let (image, members) = (&located.image, self.copy_record(context, located, target).await?);
        let (home, to) = (self.guard(located.copies.home)?, self.guard(target)?);
        let now = self.require_home(context, located, target).await?;
        // Whom the owner has removed meanwhile is not to see the copy; an image that is not shared has none to tell of.
        let left = if members.is_empty() { Vec::new() } else { members_of(context, home, &now).await? };
        let is_left = |member: &&Member| left.iter().any(|left| left.member_id == member.member_id);
        for member in members.iter().filter(|member| now.visibility == Visibility::Shared && !is_left(member))
        {
            let sharing = to.service().sharing().ok_or_else(|| Error::not_implemented("sharing"))?;
            let remove = sharing.remove_member(context, &image.id, &member.member_id);
            to.write("remove_member", remove).await?;
        }
        let change = ImageChange::between(image, &now);
        if !change.is_empty() {
            to.write("update", to.service().update(context, &image.id, change, None)).await?;
        }
        Ok(())
    }

    /// Looks at the home when data has come to `target`, or has not: no record of an image that has gone meanwhile is to
    /// stay, and a record without data could not be told of a deactivation.
    pub(super) async fn settle(
        &self,
        context: &Context,
        located: &Located,
        target: usize,
        answer: Result<()>,
    ) -> Result<()> {
        if target == located.copies.home {
            return answer;
        }
        let now = self.require_home(context, located, target).await;
        if answer.and(now)?.status == Status::Deactivated {
            let (guard, id) = (self.guard(target)?, &located.native);
            let close = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
            guard.write("update", guard.service().update(context, id, close, None)).await?;
        }
        Ok(())
    }

    /// The image as its home has it now. If it has gone there, the copy in `target` goes as well.
    async fn require_home(&self, context: &Context, located: &Located, target: usize) -> Result<Image> {
        let (home, id) = (self.guard(located.copies.home)?, &located.native);
        let answer = home.read(context, "show", || home.service().show(context, id)).await;
        if matches!(&answer, Err(error) if error.kind() == ErrorKind::NotFound) {
            self.leave(context, &located.image, target).await?;
        }
        answer
    }
}

/// Why data was not the same, once that is known.
#[derive(Debug, Clone, Default)]
struct Mismatch(Arc<Mutex<Option<Error>>>);

impl Mismatch {
    fn put(&self, what: &str) -> Error {
        let error = || Error::new(ErrorKind::Corrupt, format!("the data is not the image's: {what}"));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error());
        error()
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// `stream`, which ends in `Corrupt` if it is not the data of `image`, as far as that can be told.
fn same(stream: ByteStream, image: &Image, mismatch: Mismatch) -> ByteStream {
    let start = Passing { stream, passed: 0, size: image.size, check: Check::of(image), mismatch };
    Box::pin(futures::stream::try_unfold(start, Passing::next))
}

/// Data on its way into a copy.
struct Passing {
    stream: ByteStream,
    passed: u64,
    size: Option<u64>,
    check: Option<Check>,
    mismatch: Mismatch,
}

impl Passing {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        let Some(bytes) = self.stream.next().await.transpose()? else {
            return self.judge().await.map(|()| None);
        };
        self.passed = self.passed.saturating_add(bytes.len() as u64);
        if self.size.is_some_and(|size| self.passed > size) {
            return Err(self.mismatch.put("it is longer"));
        }
        if let Some(check) = &mut self.check {
            check.update(bytes.clone()).await?;
        }
        Ok(Some((bytes, self)))
    }

    async fn judge(self) -> Result<()> {
        if self.size.is_some_and(|size| size != self.passed) {
            return Err(self.mismatch.put("it is shorter"));
        }
        let Some(check) = self.check else { return Ok(()) };
        if check.matches().await? { Ok(()) } else { Err(self.mismatch.put("its hash differs")) }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use image_service::{Caller, Digester, NewImage, Timestamp};

    use super::*;

    fn active(data: &[u8]) -> Image {
        let mut image = NewImage::default().into_image(&Caller::administrator(), Timestamp::now()).unwrap();
        let mut digester = Digester::default();
        digester.update(data);
        image.finish_upload(digester.finish(None).unwrap(), Timestamp::now());
        image
    }

    async fn sent(data: &[u8], image: &Image) -> (Result<Vec<Bytes>>, Option<Error>) {
        let pieces: Vec<Result<Bytes>> =
            data.chunks(3).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mismatch = Mismatch::default();
        let passed = same(futures::stream::iter(pieces).boxed(), image, mismatch.clone());
        (passed.try_collect().await, mismatch.take())
    }

    #[tokio::test]
    async fn only_the_data_of_the_image_passes_to_its_end() {
        let image = active(b"0123456789");
        let (passed, mismatch) = sent(b"0123456789", &image).await;
        assert_eq!(passed.unwrap().concat(), b"0123456789");
        assert!(mismatch.is_none());
        for other in [&b"012345678"[..], b"01234567890", b"0123456788", b""] {
            let (passed, mismatch) = sent(other, &image).await;
            assert_eq!(passed.unwrap_err().kind(), ErrorKind::Corrupt);
            assert!(mismatch.is_some(), "{other:?}");
        }
        let weak = Image { hash: None, ..image };
        assert!(sent(b"0123456789", &weak).await.0.is_ok());
        assert!(sent(b"0123456788", &weak).await.0.is_err());
    }
}
