//! The optional powers of a federation: sharing, which is the home's though a member is removed everywhere, and its
//! backends as named stores.

use async_trait::async_trait;
use image_service::{
    Context, Error, ErrorKind, Image, ImageId, Member, MemberStatus, Result, Sharing, Status, Store, Stores,
    Upload, access,
};

use super::Federation;
use super::guard::Guard;
use super::locate::Located;
use super::write::not_narrowed;

impl Federation {
    /// The home of an image for a read of its members, and what it is called there.
    async fn home_to_read(&self, context: &Context, id: &ImageId) -> Result<(&Guard, ImageId)> {
        let located = self.locate(context, id).await?;
        Ok((self.guard(located.copies.home)?, located.native))
    }

    /// The home of an image for a change of its members, and what it is called there.
    async fn home_to_change(&self, context: &Context, id: &ImageId) -> Result<(&Guard, ImageId)> {
        let located = self.search(context, id).await?;
        self.require_answers(&located, |source| source < located.copies.home)?;
        Ok((self.guard(located.copies.home)?, located.native))
    }

    /// Takes a member from the copies of an image, which got the members that it had when they were made.
    async fn remove_from_copies(&self, context: &Context, located: &Located, member: &str) -> Result<()> {
        let Located { native, copies, .. } = located;
        for source in copies.sources.iter().filter(|source| copies.is_copy(**source)) {
            let guard = self.guard(*source)?;
            let Some(sharing) = guard.service().sharing() else { continue };
            let removed = guard.write("remove_member", sharing.remove_member(context, native, member)).await;
            not_narrowed(guard, removed)?;
        }
        Ok(())
    }
}

fn sharing(guard: &Guard) -> Result<&dyn Sharing> {
    guard.service().sharing().ok_or_else(|| Error::not_implemented("sharing images"))
}

/// The member as one of the image that the client named.
fn of_image(member: Member, id: &ImageId) -> Member {
    Member { image_id: id.clone(), ..member }
}

#[async_trait]
impl Sharing for Federation {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        let (home, native) = self.home_to_read(context, id).await?;
        let sharing = sharing(home)?;
        let members = home.read(context, "members", || sharing.members(context, &native)).await?;
        Ok(members.into_iter().map(|member| of_image(member, id)).collect())
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let (home, native) = self.home_to_read(context, id).await?;
        let sharing = sharing(home)?;
        let shown = home.read(context, "member", || sharing.member(context, &native, member)).await?;
        Ok(of_image(shown, id))
    }

    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let (home, native) = self.home_to_change(context, id).await?;
        let added = home.write("add_member", sharing(home)?.add_member(context, &native, member)).await?;
        Ok(of_image(added, id))
    }

    async fn set_member_status(
        &self,
        context: &Context,
        id: &ImageId,
        member: &str,
        status: MemberStatus,
    ) -> Result<Member> {
        let (home, native) = self.home_to_change(context, id).await?;
        let set = sharing(home)?.set_member_status(context, &native, member, status);
        Ok(of_image(home.write("set_member_status", set).await?, id))
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        let located = self.search(context, id).await?;
        access::may_change(&context.caller, &located.image, Some(MemberStatus::Accepted))?;
        self.require_answers(&located, |_| true)?;
        self.remove_from_copies(context, &located, member).await?;
        let home = self.guard(located.copies.home)?;
        home.write("remove_member", sharing(home)?.remove_member(context, &located.native, member)).await?;
        if self.has_come_to_others(&located) {
            let located = self.search(context, &located.native).await?;
            self.remove_from_copies(context, &located, member).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Stores for Federation {
    fn list(&self) -> Vec<Store> {
        let numbered = self.guards.iter().enumerate();
        numbered
            .map(|(number, guard)| {
                let backend = guard.backend();
                Store {
                    name: backend.name.clone(),
                    kind: backend.kind.clone(),
                    description: backend.description.clone(),
                    is_default: number == self.default,
                    read_only: !(backend.service.capabilities().writes.is_yes() && self.takes_data(number)),
                }
            })
            .collect()
    }

    async fn remove_copy(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        let Some(source) = self.guards.iter().position(|guard| guard.backend().name == store) else {
            return Err(Error::conflict(format!("there is no store '{store}'")));
        };
        let located = self.search(context, id).await?;
        access::may_delete(&context.caller, &located.image, Some(MemberStatus::Accepted))?;
        if located.image.status != Status::Active {
            return Err(Error::conflict(format!("the image is {} and not active", located.image.status)));
        }
        if located.silent.contains(&source) {
            let message = format!("whether the image is in store '{store}' is not known: it does not answer");
            return Err(Error::new(ErrorKind::Unavailable, message).answered());
        }
        if !located.copies.with_data.contains(&source) {
            return Err(Error::new(ErrorKind::NotFound, format!("image {id} is not in store '{store}'")));
        }
        if located.copies.with_data.len() == 1 {
            return Err(Error::forbidden("the last copy of an image cannot be removed"));
        }
        let guard = self.guard(source)?;
        guard.write("delete", guard.service().delete(context, &located.native)).await?;
        self.census.remove(source, &located.native);
        self.owners.leave(&located.native, source);
        Ok(())
    }

    async fn add_copy(&self, context: &Context, id: &ImageId, store: &str, data: Upload) -> Result<Image> {
        self.copy_to(context, id, store, data).await
    }

    async fn withdraw_copy(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        self.withdraw_from(context, id, store).await
    }

    async fn move_record(&self, context: &Context, id: &ImageId, store: &str) -> Result<()> {
        self.move_to(context, id, store).await
    }
}
