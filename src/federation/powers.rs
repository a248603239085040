//! The optional powers of a federation: sharing, which is the home's, and its backends as named stores.

use async_trait::async_trait;
use image_service::{
    Context, Error, ErrorKind, ImageId, Member, MemberStatus, Result, Sharing, Status, Store, Stores, access,
};

use super::Federation;
use super::guard::Guard;

impl Federation {
    /// The home of an image for a read of its members.
    async fn home_to_read(&self, context: &Context, id: &ImageId) -> Result<&Guard> {
        self.guard(self.locate(context, id).await?.copies.home)
    }

    /// The home of an image for a change of its members.
    async fn home_to_change(&self, context: &Context, id: &ImageId) -> Result<&Guard> {
        self.guard(self.search(context, id).await?.copies.home)
    }
}

fn sharing(guard: &Guard) -> Result<&dyn Sharing> {
    guard.service().sharing().ok_or_else(|| Error::not_implemented("sharing images"))
}

#[async_trait]
impl Sharing for Federation {
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>> {
        let home = self.home_to_read(context, id).await?;
        let sharing = sharing(home)?;
        home.read(context, "members", || sharing.members(context, id)).await
    }

    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let home = self.home_to_read(context, id).await?;
        let sharing = sharing(home)?;
        home.read(context, "member", || sharing.member(context, id, member)).await
    }

    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member> {
        let home = self.home_to_change(context, id).await?;
        home.write("add_member", sharing(home)?.add_member(context, id, member)).await
    }

    async fn set_member_status(
        &self,
        context: &Context,
        id: &ImageId,
        member: &str,
        status: MemberStatus,
    ) -> Result<Member> {
        let home = self.home_to_change(context, id).await?;
        home.write("set_member_status", sharing(home)?.set_member_status(context, id, member, status)).await
    }

    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()> {
        let home = self.home_to_change(context, id).await?;
        home.write("remove_member", sharing(home)?.remove_member(context, id, member)).await
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
                    read_only: !backend.service.capabilities().writes.is_yes(),
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
        if !located.copies.with_data.contains(&source) {
            return Err(Error::new(ErrorKind::NotFound, format!("image {id} is not in store '{store}'")));
        }
        if located.copies.with_data.len() == 1 {
            return Err(Error::forbidden("the last copy of an image cannot be removed"));
        }
        let guard = self.guard(source)?;
        guard.write("delete", guard.service().delete(context, id)).await?;
        self.owners.forget(id);
        Ok(())
    }
}
