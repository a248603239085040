//! [`Sharing`]: projects that an image is shared with.
//!
//! Each case first asks the fixture for the power. If there is none, it is checked there that nothing is shared.

use super::fixture::{Fixture, kind_of};
use super::make::{pattern, whole};
use crate::{
    Context, ErrorKind, Image, ImageChange, ImageId, MOST_PER_IMAGE, MemberScope, MemberStatus, NewImage,
    Query, Scope, Sharing, Upload, Visibility,
};

/// The project of a caller.
fn project(context: &Context) -> &str {
    context.caller.project.as_deref().unwrap()
}

impl Fixture {
    /// A shared image of the owner's that `other` is a member of.
    async fn share_with_other(&self, sharing: &dyn Sharing) -> Image {
        let image = self.make_with(self.draft(), &pattern(100)).await;
        sharing.add_member(&self.owner(), &image.id, project(&self.other())).await.unwrap();
        image
    }

    /// Which images of the case a caller lists with a member status.
    async fn listed_as(&self, context: &Context, member_status: MemberScope) -> Vec<String> {
        let scope = Scope { member_status, ..Scope::default() };
        self.ids(context, Query { scope, ..self.query() }).await
    }

    async fn turn(&self, image: &Image, visibility: Visibility) {
        self.change(image, ImageChange { visibility: Some(visibility), ..ImageChange::default() }).await;
    }
}

/// Adding a project makes it a pending member, and it may read the image by its id from then on.
pub async fn a_new_member_is_pending_and_sees_the_image_at_once(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.make_with(fixture.draft(), &pattern(100)).await;
    let (owner, other) = (fixture.owner(), fixture.other());
    fixture.assert_missing(fixture.service().show(&other, &image.id).await);
    let member = sharing.add_member(&owner, &image.id, project(&other)).await.unwrap();
    assert_eq!((&member.image_id, member.member_id.as_str()), (&image.id, project(&other)));
    assert_eq!(member.status, MemberStatus::Pending);
    assert!(member.created_at <= member.updated_at);
    for context in [&owner, &other] {
        assert_eq!(sharing.member(context, &image.id, project(&other)).await.unwrap(), member);
    }
    assert_eq!(fixture.service().show(&other, &image.id).await.unwrap(), image);
    fixture.assert_missing(fixture.service().show(&fixture.third(), &image.id).await);
    assert_eq!(fixture.shown(&image.id).await, image);
}

/// The member's answer decides about its lists: usually they show what it has accepted.
pub async fn a_member_lists_what_it_has_accepted(fixture: Fixture) {
    use MemberScope::{Accepted, All, Pending, Rejected};
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.share_with_other(sharing).await;
    let other = fixture.other();
    let id = image.id.to_string();
    for (status, scope) in [
        (MemberStatus::Pending, Pending),
        (MemberStatus::Accepted, Accepted),
        (MemberStatus::Rejected, Rejected),
        (MemberStatus::Pending, Pending),
    ] {
        sharing.set_member_status(&other, &image.id, project(&other), status).await.unwrap();
        for asked in [Accepted, Pending, Rejected] {
            let expected = if asked == scope { vec![id.clone()] } else { Vec::new() };
            assert_eq!(fixture.listed_as(&other, asked).await, expected, "{status}, listing {asked}");
        }
        assert_eq!(fixture.listed_as(&other, All).await, [id.as_str()]);
        assert_eq!(fixture.listed_as(&fixture.third(), All).await, [""; 0]);
        assert_eq!(fixture.listed_as(&fixture.owner(), Accepted).await, [id.as_str()]);
        fixture.service().show(&other, &image.id).await.unwrap();
    }
}

/// A member reads the image and its data, and may neither change nor delete it.
pub async fn a_member_reads_data_but_changes_nothing(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.share_with_other(sharing).await;
    let (service, other) = (fixture.service(), fixture.other());
    let download = service.get(&other, &image.id, None).await.unwrap();
    assert_eq!(whole(download.data.unwrap()).await.unwrap(), pattern(100));
    let rename = ImageChange { name: Some(None), ..ImageChange::default() };
    let answer = service.update(&other, &image.id, rename, None).await;
    assert_eq!(kind_of(answer), ErrorKind::Forbidden);
    let data = Some(Upload::from_bytes("data"));
    let answer = service.update(&other, &image.id, ImageChange::default(), data).await;
    assert_eq!(kind_of(answer), ErrorKind::Forbidden);
    assert_eq!(kind_of(service.delete(&other, &image.id).await), ErrorKind::Forbidden);
    assert_eq!(fixture.shown(&image.id).await, image);
}

/// All members for the owner and administrators, for a member itself alone, ordered by id.
pub async fn owner_and_administrators_see_all_members_and_a_member_itself(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.make(fixture.draft()).await;
    let other = fixture.other();
    assert_eq!(sharing.members(&fixture.owner(), &image.id).await.unwrap(), []);
    let mut expected = vec![project(&other), "z-project", "a-project", "m-project"];
    for member in &expected {
        sharing.add_member(&fixture.owner(), &image.id, member).await.unwrap();
    }
    expected.sort_unstable();
    for context in [fixture.owner(), fixture.admin()] {
        let members = sharing.members(&context, &image.id).await.unwrap();
        let ids: Vec<&str> = members.iter().map(|member| member.member_id.as_str()).collect();
        assert_eq!(ids, expected);
        for member in &members {
            let shown = sharing.member(&context, &image.id, &member.member_id).await.unwrap();
            assert_eq!(shown, *member);
        }
    }
    let own = sharing.member(&other, &image.id, project(&other)).await.unwrap();
    assert_eq!(sharing.members(&other, &image.id).await.unwrap(), [own]);
    let answer = sharing.member(&other, &image.id, "z-project").await;
    assert_eq!(kind_of(answer), ErrorKind::NotFound);
}

/// `NotFound` in showing, answering for and removing a project that is no member.
pub async fn a_member_that_is_not_there_is_not_found(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.share_with_other(sharing).await;
    let accepted = MemberStatus::Accepted;
    for member in ["nobody", "../x", project(&fixture.third())] {
        let answer = sharing.member(&fixture.owner(), &image.id, member).await;
        assert_eq!(kind_of(answer), ErrorKind::NotFound, "{member}");
        let answer = sharing.set_member_status(&fixture.admin(), &image.id, member, accepted).await;
        assert_eq!(kind_of(answer), ErrorKind::NotFound, "{member}");
        let answer = sharing.remove_member(&fixture.owner(), &image.id, member).await;
        assert_eq!(kind_of(answer), ErrorKind::NotFound, "{member}");
    }
}

/// `Forbidden` to list or add members of an image of another visibility; single ones are `NotFound`.
pub async fn only_shared_images_have_members(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let owner = fixture.owner();
    for visibility in [Visibility::Private, Visibility::Community, Visibility::Public] {
        let image = fixture.share_with_other(sharing).await;
        fixture.turn(&image, visibility).await;
        assert_eq!(kind_of(sharing.members(&owner, &image.id).await), ErrorKind::Forbidden);
        let added = sharing.add_member(&owner, &image.id, "another").await;
        assert_eq!(kind_of(added), ErrorKind::Forbidden, "{visibility}");
        let shown = sharing.member(&owner, &image.id, project(&fixture.other())).await;
        assert_eq!(kind_of(shown), ErrorKind::NotFound, "{visibility}");
    }
}

/// Members of an image that is made private see it no longer, and again once it is shared again.
pub async fn members_come_back_when_an_image_is_shared_again(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.share_with_other(sharing).await;
    let other = fixture.other();
    let accepted = MemberStatus::Accepted;
    let member = sharing.set_member_status(&other, &image.id, project(&other), accepted).await.unwrap();
    fixture.turn(&image, Visibility::Private).await;
    fixture.assert_missing(fixture.service().show(&other, &image.id).await);
    assert_eq!(fixture.listed_as(&other, MemberScope::All).await, [""; 0]);
    fixture.turn(&image, Visibility::Shared).await;
    assert_eq!(sharing.member(&other, &image.id, project(&other)).await.unwrap(), member);
    assert_eq!(fixture.listed_as(&other, MemberScope::Accepted).await, [image.id.to_string()]);
}

/// `Forbidden` for one who sees the image and does not own it.
pub async fn only_the_owner_and_administrators_add_members(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.share_with_other(sharing).await;
    let added = sharing.add_member(&fixture.other(), &image.id, "friend").await;
    assert_eq!(kind_of(added), ErrorKind::Forbidden);
    sharing.add_member(&fixture.admin(), &image.id, "friend").await.unwrap();
    assert_eq!(sharing.members(&fixture.owner(), &image.id).await.unwrap().len(), 2);
}

/// `AlreadyExists` for a project that is a member, and its answer stays.
pub async fn a_project_is_a_member_once(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.share_with_other(sharing).await;
    let other = fixture.other();
    let rejected = MemberStatus::Rejected;
    let member = sharing.set_member_status(&other, &image.id, project(&other), rejected).await.unwrap();
    let again = sharing.add_member(&fixture.owner(), &image.id, project(&other)).await;
    assert_eq!(kind_of(again), ErrorKind::AlreadyExists);
    assert_eq!(sharing.members(&fixture.owner(), &image.id).await.unwrap(), [member]);
}

/// `TooLarge` for a member beyond [`MOST_PER_IMAGE`].
pub async fn too_many_members_are_too_large(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.make(fixture.draft()).await;
    for number in 0..MOST_PER_IMAGE {
        sharing.add_member(&fixture.owner(), &image.id, &format!("project {number}")).await.unwrap();
    }
    let added = sharing.add_member(&fixture.owner(), &image.id, "one more").await;
    assert_eq!(kind_of(added), ErrorKind::TooLarge);
    assert_eq!(sharing.members(&fixture.owner(), &image.id).await.unwrap().len(), MOST_PER_IMAGE);
}

/// The member itself and administrators record its answer. `Forbidden` for the owner, `NotFound` for others.
pub async fn a_member_and_administrators_answer_and_nobody_else(fixture: Fixture) {
    use MemberStatus::{Accepted, Pending, Rejected};
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.share_with_other(sharing).await;
    let (other, third) = (fixture.other(), fixture.third());
    sharing.add_member(&fixture.owner(), &image.id, project(&third)).await.unwrap();
    let member = project(&other);
    for (context, status) in [(&other, Accepted), (&fixture.admin(), Rejected), (&other, Pending)] {
        let answered = sharing.set_member_status(context, &image.id, member, status).await.unwrap();
        assert_eq!((answered.member_id.as_str(), answered.status), (member, status));
        assert!(answered.created_at <= answered.updated_at);
        assert_eq!(sharing.member(&fixture.owner(), &image.id, member).await.unwrap(), answered);
    }
    let answer = sharing.set_member_status(&fixture.owner(), &image.id, member, Accepted).await;
    assert_eq!(kind_of(answer), ErrorKind::Forbidden);
    let answer = sharing.set_member_status(&third, &image.id, member, Accepted).await;
    assert_eq!(kind_of(answer), ErrorKind::NotFound);
    let unanswered = sharing.members(&fixture.owner(), &image.id).await.unwrap();
    assert!(unanswered.iter().all(|member| member.status == Pending), "{unanswered:?}");
}

/// A project that is taken off is as any other, and can be added anew.
pub async fn a_member_that_is_removed_sees_the_image_no_longer(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.share_with_other(sharing).await;
    let (owner, other) = (fixture.owner(), fixture.other());
    sharing.set_member_status(&other, &image.id, project(&other), MemberStatus::Accepted).await.unwrap();
    sharing.remove_member(&owner, &image.id, project(&other)).await.unwrap();
    fixture.assert_missing(fixture.service().show(&other, &image.id).await);
    fixture.assert_missing(fixture.service().get(&other, &image.id, None).await);
    assert_eq!(fixture.listed_as(&other, MemberScope::All).await, [""; 0]);
    assert_eq!(sharing.members(&owner, &image.id).await.unwrap(), []);
    let answer = sharing.remove_member(&owner, &image.id, project(&other)).await;
    assert_eq!(kind_of(answer), ErrorKind::NotFound);
    let member = sharing.add_member(&owner, &image.id, project(&other)).await.unwrap();
    assert_eq!(member.status, MemberStatus::Pending);
}

/// `Forbidden` for one who sees the image and does not own it, the member itself among them.
pub async fn only_the_owner_and_administrators_remove_members(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let image = fixture.share_with_other(sharing).await;
    let other = fixture.other();
    let answer = sharing.remove_member(&other, &image.id, project(&other)).await;
    assert_eq!(kind_of(answer), ErrorKind::Forbidden);
    fixture.service().show(&other, &image.id).await.unwrap();
    sharing.remove_member(&fixture.admin(), &image.id, project(&other)).await.unwrap();
    fixture.assert_missing(fixture.service().show(&other, &image.id).await);
}

/// An image that the caller may not see, or that is not there, is missing in every method.
pub async fn images_that_are_not_visible_have_no_members_to_be_seen(fixture: Fixture) {
    let Some(sharing) = fixture.sharing().await else { return };
    let shared = fixture.share_with_other(sharing).await.id;
    let private = fixture.make(NewImage { protected: true, ..fixture.visible(Visibility::Private) }).await.id;
    let (third, member) = (fixture.third(), fixture.other());
    let member = project(&member);
    let accepted = MemberStatus::Accepted;
    for id in [shared.clone(), private, ImageId::random(), ImageId::lookup("../x"), ImageId::lookup("")] {
        fixture.assert_missing(sharing.members(&third, &id).await);
        fixture.assert_missing(sharing.member(&third, &id, member).await);
        fixture.assert_missing(sharing.add_member(&third, &id, "another").await);
        fixture.assert_missing(sharing.set_member_status(&third, &id, member, accepted).await);
        fixture.assert_missing(sharing.remove_member(&third, &id, member).await);
    }
    let members = sharing.members(&fixture.owner(), &shared).await.unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].status, MemberStatus::Pending);
}
