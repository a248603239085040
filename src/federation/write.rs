//! Writes: to one place, chosen before the first byte, and never tried on a second one.

use image_service::{
    ByteStream, Context, Edit, Error, ErrorKind, Image, ImageChange, ImageId, Member, MemberStatus, NewImage,
    Result, Status, Timestamp, Upload, Visibility, access,
};

use portico_format::Declared;

use super::aliases;
use super::formats;
use super::guard::Guard;
use super::locate::Located;
use super::narrowing::{self, Parts, Standing};
use super::placement::{self, Load};
use super::{Federation, Formats};

impl Federation {
    /// Makes an image in the store that is asked for with the image or its data, else in the default one.
    pub(super) async fn place(
        &self,
        context: &Context,
        mut image: NewImage,
        mut data: Option<Upload>,
    ) -> Result<Image> {
        let with_data = data.as_mut().and_then(|data| data.store.take());
        let asked = image.store.take().or(with_data);
        let load = if data.is_some() { Load::Data } else { Load::Record };
        let target = placement::choose(&self.places(), asked.as_deref(), self.default, load)?;
        if let Some(id) = &image.id {
            self.require_unused(context, id, target).await?;
        }
        let data = data
            .map(|data| self.checked(data, image.disk_format.as_deref(), image.container_format.as_deref()));
        let guard = self.guard(target)?;
        let create = |data| guard.service().create(context, image, data);
        let made = guard.upload("create", data, create).await?;
        self.owners.learn(&made.id, &[target]);
        self.census.add(target, [&made.id]);
        Ok(self.as_held_by(made, target))
    }

    /// Changes an image, at its home first and then in its other copies, or gives it data. What narrows who sees it is
    /// made in the copies before.
    pub(super) async fn change(
        &self,
        context: &Context,
        id: &ImageId,
        mut change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        let located = self.search(context, id).await?;
        // It is told, not kept.
        change.properties.remove(aliases::PROPERTY);
        self.narrow(context, &located, &change).await?;
        let Some(mut data) = data else {
            return self.change_all(context, located, change).await;
        };
        let format = |edit: &Edit<String>, now: &Option<String>| edit.clone().unwrap_or_else(|| now.clone());
        let disk = format(&change.disk_format, &located.image.disk_format);
        let container = format(&change.container_format, &located.image.container_format);
        data = self.checked(data, disk.as_deref(), container.as_deref());
        let home = located.copies.home;
        let target = match data.store.take() {
            Some(name) => placement::choose(&self.places(), Some(&name), home, Load::Data)?,
            None => self.where_data_goes(&located),
        };
        // Whoever has data already says so.
        let target = if located.image.status == Status::Queued { target } else { home };
        let id = &located.native;
        if target != home {
            self.copy_record(context, &located, target).await?;
            self.leave(context, &located.image, home).await?;
        }
        let guard = self.guard(target)?;
        let update = |data| guard.service().update(context, id, change, data);
        let image = guard.upload("update", Some(data), update).await?;
        let waiting = located.copies.sources.iter().filter(|source| !self.takes_data(**source));
        for source in waiting.filter(|source| **source != target && **source != home) {
            self.leave_behind(context, &located.image, *source).await;
        }
        Ok(self.as_held_by(image, target))
    }

    /// Where the data of an image goes if no store is named: to its home, or if that takes none, because the image waits
    /// there for a location, to another backend that holds its record, or the default one.
    fn where_data_goes(&self, located: &Located) -> usize {
        let copies = &located.copies;
        let places = [copies.home].into_iter().chain(copies.sources.iter().copied()).chain([self.default]);
        places.into_iter().find(|source| self.takes_data(*source)).unwrap_or(copies.home)
    }

    /// The upload, held to the format that its image declares.
    pub(super) fn checked(&self, data: Upload, disk: Option<&str>, container: Option<&str>) -> Upload {
        self.held(data, disk, container, formats::checked)
    }

    /// Data that lies elsewhere, and may be other data tomorrow: its format is what is said of it, as with Glance, but it
    /// may not lead to other files.
    pub(super) fn made_safe(&self, data: Upload, image: &Image) -> Upload {
        self.held(data, image.disk_format.as_deref(), image.container_format.as_deref(), formats::safe)
    }

    /// The upload as `hold` leaves it, if formats are checked and its image declares one.
    fn held(
        &self,
        data: Upload,
        disk: Option<&str>,
        container: Option<&str>,
        hold: fn(ByteStream, Declared) -> ByteStream,
    ) -> Upload {
        match formats::declared(disk, container).filter(|_| self.formats == Formats::Checked) {
            Some(declared) => Upload { stream: hold(data.stream, declared), ..data },
            None => data,
        }
    }

    async fn change_all(&self, context: &Context, located: Located, change: ImageChange) -> Result<Image> {
        let Located { image, native, copies, standings, .. } = &located;
        // A change that fails, or whose caller goes away, may have been made all the same.
        self.owners.forget_twins(native);
        let guard = self.guard(copies.home)?;
        let changed =
            guard.write("update", guard.service().update(context, native, change.clone(), None)).await?;
        if image.id != *native {
            return Ok(self.aliased(copies.home, changed));
        }
        if self.has_come_to_others(&located) {
            let located = self.search(context, native).await?;
            self.narrow(context, &located, &change).await?;
        }
        for (source, record) in standings.iter().filter(|(source, _)| copies.is_copy(*source)) {
            let Parts { rest, .. } = Parts::of(&change, record);
            if rest.is_empty() {
                continue;
            }
            let guard = self.guard(*source)?;
            if let Err(error) =
                guard.write("update", guard.service().update(context, native, rest, None)).await
            {
                let store = &guard.backend().name;
                tracing::warn!(image = %image.id, %store, %error, "a copy did not take a change of its image");
            }
        }
        // Somebody may have looked in between.
        self.owners.forget_twins(&image.id);
        Ok(Image { stores: image.stores.clone(), ..changed })
    }

    /// Makes what of a change narrows who sees the image in its copies, before the home is asked for any of it.
    ///
    /// # Errors
    /// What the home would say to the change, as far as that can be told from here; `Unavailable` if the home, or with
    /// such a change any store, is known to hold the image and silent; what a copy says, naming its store. Then
    /// nothing has been done at the home.
    async fn narrow(&self, context: &Context, located: &Located, change: &ImageChange) -> Result<()> {
        let Located { image, native, copies, standings, .. } = located;
        let narrowed: Vec<(usize, ImageChange)> = standings
            .iter()
            .filter(|(source, _)| copies.is_copy(*source))
            .map(|(source, record)| (*source, Parts::of(change, record).narrowing))
            .filter(|(_, narrowing)| !narrowing.is_empty())
            .collect();
        let anywhere = !narrowed.is_empty() || narrowing::may_narrow_unseen(change, &Standing::of(image));
        let answers = self.require_answers(located, |source| anywhere || source < copies.home);
        if narrowed.is_empty() && answers.is_ok() {
            return Ok(());
        }
        access::may_change(&context.caller, image, Some(MemberStatus::Accepted))?;
        change.clone().apply_to(&mut image.clone(), &context.caller, Timestamp::now())?;
        answers?;
        self.owners.forget_twins(native);
        for (source, narrowing) in narrowed {
            let guard = self.guard(source)?;
            let answer =
                guard.write("update", guard.service().update(context, native, narrowing, None)).await;
            not_narrowed(guard, answer.map(drop))?;
        }
        Ok(())
    }

    /// Makes the record of an image without data in another backend too, as an upload that names a store, or a location,
    /// wants it.
    ///
    /// It is [left](Self::leave) behind when it is there, so at no time is it nowhere; while it is in both it is one image
    /// still, because neither has data.
    pub(super) async fn copy_record(
        &self,
        context: &Context,
        located: &Located,
        target: usize,
    ) -> Result<Vec<Member>> {
        let image = &located.image;
        access::may_change(&context.caller, image, Some(MemberStatus::Accepted))?;
        let (from, to) = (self.guard(located.copies.home)?, self.guard(target)?);
        // It can be found as soon as it is there, so that nobody deletes the image without it.
        self.owners.add(&image.id, &[target]);
        self.census.add(target, [&image.id]);
        self.census.forget_vain();
        if located.copies.sources.contains(&target) {
            return Ok(Vec::new());
        }
        let members = members_of(context, from, image).await?;
        // It may have been there before.
        let record = NewImage::again(image);
        to.write("create", to.service().create(context, record, None)).await?;
        share_with(context, to, &image.id, &members).await?;
        Ok(members)
    }

    /// Deletes the record of an image without data, which is in another backend from now on.
    pub(super) async fn leave(&self, context: &Context, image: &Image, source: usize) -> Result<()> {
        let from = self.guard(source)?;
        if image.protected {
            let unprotect = ImageChange { protected: Some(false), ..ImageChange::default() };
            from.write("update", from.service().update(context, &image.id, unprotect, None)).await?;
        }
        from.write("delete", from.service().delete(context, &image.id)).await?;
        self.census.remove(source, &image.id);
        self.owners.leave(&image.id, source);
        Ok(())
    }

    /// As [`leave`](Self::leave), when the image has data elsewhere already, so that a failure is no reason to fail.
    pub(super) async fn leave_behind(&self, context: &Context, image: &Image, source: usize) {
        if let Err(error) = self.leave(context, image, source).await {
            let store = self.name_of(source).unwrap_or_default();
            tracing::warn!(image = %image.id, store, %error, "a record without data stays behind");
        }
    }

    /// Deletes the copies of an image that were begun while it was being deleted. What had the id before is another image.
    async fn remove_new(&self, context: &Context, located: &Located) -> Result<()> {
        let native = &located.native;
        let left = match self.search(context, native).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            left => left?,
        };
        let is_new =
            |source: &&usize| !located.copies.sources.contains(source) && !located.silent.contains(source);
        for source in left.copies.sources.iter().filter(is_new) {
            let guard = self.guard(*source)?;
            match guard.write("delete", guard.service().delete(context, native)).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => self.census.remove(*source, native),
            }
        }
        Ok(())
    }

    /// Deletes an image and all its copies, its home last, so that what is left after a failure is the image.
    pub(super) async fn remove(&self, context: &Context, id: &ImageId) -> Result<()> {
        let located = self.search(context, id).await?;
        access::may_delete(&context.caller, &located.image, Some(MemberStatus::Accepted))?;
        self.require_answers(&located, |_| true)?;
        let Located { native, copies, .. } = &located;
        for source in copies.sources.iter().filter(|source| copies.is_copy(**source)) {
            let guard = self.guard(*source)?;
            match guard.write("delete", guard.service().delete(context, native)).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => self.census.remove(*source, native),
            }
        }
        let guard = self.guard(copies.home)?;
        guard.write("delete", guard.service().delete(context, native)).await?;
        self.census.remove(copies.home, native);
        if located.image.id == *native && self.has_come_to_others(&located) {
            self.remove_new(context, &located).await?;
        }
        self.owners.forget(id);
        self.forget_alias(id);
        Ok(())
    }

    pub(super) fn as_held_by(&self, mut image: Image, source: usize) -> Image {
        let name = self.name_of(source).filter(|_| image.has_data() || !self.takes_data(source));
        image.stores = name.map(str::to_owned).into_iter().collect();
        image
    }
}

/// What a copy said to what narrows it: that it is not there any more is as good.
///
/// # Errors
/// `Unavailable` if it was silent, else its own, each naming its store.
pub(super) fn not_narrowed(guard: &Guard, answer: Result<()>) -> Result<()> {
    let error = match answer {
        Err(error) if error.kind() != ErrorKind::NotFound => error,
        _ => return Ok(()),
    };
    let store = &guard.backend().name;
    if error.kind().is_silence() {
        let message = format!("a copy of the image is in store '{store}', which does not answer");
        return Err(Error::new(ErrorKind::Unavailable, message).answered().with_source(error));
    }
    let message = format!("the copy of the image in store '{store}' refuses: {}", error.message());
    Err(Error::new(error.kind(), message).with_source(error))
}

/// The projects that an image of `guard` is shared with.
pub(super) async fn members_of(context: &Context, guard: &Guard, image: &Image) -> Result<Vec<Member>> {
    let Some(sharing) = guard.service().sharing().filter(|_| image.visibility == Visibility::Shared) else {
        return Ok(Vec::new());
    };
    guard.read(context, "members", || sharing.members(context, &image.id)).await
}

/// Shares the image of this id in `guard` with these projects, which have answered already.
pub(super) async fn share_with(
    context: &Context,
    guard: &Guard,
    id: &ImageId,
    members: &[Member],
) -> Result<()> {
    // Answers are the members' own, who have given them.
    let mut answering = context.clone();
    answering.caller.roles.insert(String::from("admin"));
    for member in members {
        let sharing = guard.service().sharing().ok_or_else(|| Error::not_implemented("sharing"))?;
        let name = member.member_id.as_str();
        guard.write("add_member", sharing.add_member(context, id, name)).await?;
        if member.status == MemberStatus::Pending {
            continue;
        }
        let answer = sharing.set_member_status(&answering, id, name, member.status);
        if let Err(error) = guard.write("set_member_status", answer).await {
            let store = &guard.backend().name;
            tracing::warn!(image = %id, %store, %error, "a copy does not know what a member has answered");
        }
    }
    Ok(())
}
