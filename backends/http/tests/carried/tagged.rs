//! A service without tags that takes writes: the tags of its images are properties, both ways.

use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    ByteRange, Capabilities, Context, Download, Image, ImageChange, ImageId, ImageService, Locations,
    NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload,
};

use super::{TAG, property_of, with_tags, without_tags};

/// One test for each case about writing that holds for a service which the Images API v1 is spoken to, and for those that
/// are named.
///
/// Left out are the cases about what v1 has no word for: visibilities but public and shared, hidden images, deactivation,
/// strong hashes, empty texts and texts with blanks around them, formats that are unset again, answers of members. So are
/// those with more properties than there is room for beside the case's tag.
macro_rules! writing_cases {
    ([$($attribute:tt)*] $fixture:ident, update: [$($update:ident,)*], upload: [$($upload:ident,)*]) => {
        image_service::conformance!(@groups [$($attribute)*] $fixture,
            cancellation: [
                a_create_that_is_dropped_makes_the_whole_image_or_none,
                a_create_that_is_dropped_midway_leaves_no_half_image,
                a_change_that_is_dropped_is_made_wholly_or_not_at_all,
                a_delete_that_is_dropped_is_done_wholly_or_not_at_all,
            ],
            create: [
                an_image_without_data_is_queued_and_has_the_defaults,
                a_name_is_enough,
                a_property_never_takes_the_place_of_an_attribute,
                an_image_gets_an_id_of_its_own,
                a_given_id_is_kept,
                a_taken_id_is_refused_and_its_image_stays_as_it_was,
                an_id_that_many_want_at_once_is_given_to_one,
                data_of_unknown_size_is_taken_whole,
                data_without_formats_is_invalid_and_leaves_no_image,
                data_of_another_size_than_announced_leaves_no_image,
                data_that_breaks_off_leaves_no_image,
            ],
            delete: [
                a_deleted_image_is_gone_from_every_verb,
                a_deleted_image_takes_no_other_with_it,
                only_administrators_may_learn_that_an_image_was_deleted,
                the_id_of_a_deleted_image_is_not_used_again,
                a_protected_image_stays_until_it_is_unprotected,
                an_upload_under_way_fails_when_its_image_is_deleted,
            ],
            sharing: [
                a_member_reads_data_but_changes_nothing,
                owner_and_administrators_see_all_members_and_a_member_itself,
                a_member_that_is_not_there_is_not_found,
                only_the_owner_and_administrators_add_members,
                too_many_members_are_too_large,
                only_the_owner_and_administrators_remove_members,
            ],
            show: [what_writes_answer_is_what_is_shown,],
            update: [
                an_empty_change_leaves_everything_as_it_was,
                a_change_that_fails_in_one_part_changes_nothing,
                formats_change_only_while_there_is_no_data,
                only_deactivation_and_reactivation_set_a_status,
                too_many_tags_or_properties_change_nothing,
                $($update,)*
            ],
            upload: [
                a_change_goes_before_its_data,
                a_change_whose_data_is_refused_is_not_made,
                an_image_is_saving_while_data_is_on_its_way,
                an_image_without_formats_takes_no_data,
                of_several_uploads_one_is_let_in,
                $($upload,)*
            ],
        );
    };
}
pub(crate) use writing_cases;

/// A service that has no tags, with the tags that its images carry.
#[derive(Debug)]
pub(crate) struct Tagged(pub(crate) Arc<dyn ImageService>);

#[async_trait]
impl ImageService for Tagged {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.0.index(context, &without_tags(query)).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        Ok(self.0.detail(context, &without_tags(query)).await?.map(with_tags))
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        self.0.show(context, id).await.map(with_tags)
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let Download { image, data } = self.0.get(context, id, range).await?;
        Ok(Download { image: with_tags(image), data })
    }

    async fn create(&self, context: &Context, mut image: NewImage, data: Option<Upload>) -> Result<Image> {
        let tags = std::mem::take(&mut image.tags);
        image.properties.extend(tags.into_iter().map(|tag| (property_of(&tag), tag)));
        self.0.create(context, image, data).await.map(with_tags)
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        mut change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        if let Some(tags) = change.tags.take() {
            let now = self.0.show(context, id).await?.properties;
            let had = now.into_keys().filter(|key| key.starts_with(TAG)).map(|key| (key, None));
            change.properties.extend(had);
            change.properties.extend(tags.into_iter().map(|tag| (property_of(&tag), Some(tag))));
        }
        self.0.update(context, id, change, data).await.map(with_tags)
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        self.0.delete(context, id).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        self.0.sharing()
    }

    fn stores(&self) -> Option<&dyn Stores> {
        None
    }

    fn locations(&self) -> Option<&dyn Locations> {
        None
    }
}
