//! Sharing an image with other projects: an optional power of a service.

use async_trait::async_trait;

use crate::words::words;
use crate::{Context, ImageId, Result, Timestamp};

/// A project that an image is shared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The image.
    pub image_id: ImageId,
    /// The project.
    pub member_id: String,
    /// What the project has said to it.
    pub status: MemberStatus,
    /// When it was added.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
}

words! {
    /// A member's answer to an image shared with it. It decides about lists alone: a member may read the image
    /// at once.
    MemberStatus, "status", {
        /// Listed.
        Accepted = "accepted",
        /// Not answered yet.
        Pending = "pending",
        /// Not listed.
        Rejected = "rejected",
    }
}

/// Gives other projects access to shared images. Reached through [`crate::ImageService::sharing`].
///
/// An image that the caller may not see is `NotFound` in every method. Only images of visibility `shared`
/// have members to show; the rows of an image that is made private and then shared again come back.
#[async_trait]
pub trait Sharing: Send + Sync {
    /// Lists the members: all of them for the owner and administrators, for a member itself alone.
    ///
    /// Ordered by member id.
    ///
    /// # Errors
    /// `Forbidden` if the image is not shared.
    async fn members(&self, context: &Context, id: &ImageId) -> Result<Vec<Member>>;

    /// Shows one member.
    ///
    /// # Errors
    /// `NotFound` if there is no such member, or the image is not shared, or the caller is neither the owner,
    /// an administrator nor that member.
    async fn member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member>;

    /// Adds a member, whose status is then `pending`.
    ///
    /// # Errors
    /// `Forbidden` if the image is not shared or not the caller's; `AlreadyExists` if it is a member;
    /// `TooLarge` beyond [`crate::MOST_PER_IMAGE`] members.
    async fn add_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<Member>;

    /// Records the member's answer. For that member and administrators.
    ///
    /// # Errors
    /// `Forbidden` for the owner; `NotFound` if there is no such member, or for another project.
    async fn set_member_status(
        &self,
        context: &Context,
        id: &ImageId,
        member: &str,
        status: MemberStatus,
    ) -> Result<Member>;

    /// Takes a member away.
    ///
    /// # Errors
    /// `Forbidden` for a caller that sees the image and is neither its owner nor an administrator; `NotFound`
    /// if there is no such member.
    async fn remove_member(&self, context: &Context, id: &ImageId, member: &str) -> Result<()>;
}
